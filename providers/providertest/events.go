package providertest

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

// maxIDBytes is the longest id the product stores: it is part of a workflow
// id, of a unique key and of a search attribute.
const maxIDBytes = 200

func (s Suite) exerciseEvents(t *testing.T) {
	t.Run("a genuine body carries named events", func(t *testing.T) {
		for _, e := range s.events(t, s.signed(s.Secrets.Live)) {
			requireID(t, e.ID)
			require.NotEmpty(t, e.Type)
			require.Contains(t, []providers.Mode{providers.ModeUnknown, providers.ModeLive, providers.ModeTest}, e.Mode)
			require.Equal(t, e.Ref.Type == "", e.Ref.ID == "", "a ref has a type and an id, or neither: %v", e.Ref)
			if !e.Ref.IsZero() {
				requireID(t, e.Ref.ID)
			}
		}
	})
	t.Run("ids stay the same when the platform delivers again", func(t *testing.T) {
		again := s.unsigned()
		again.ReceivedAt = again.ReceivedAt.Add(36 * time.Hour)
		s.Oracle(&again, s.Secrets.Next)
		first, second := s.events(t, s.signed(s.Secrets.Live)), s.events(t, again)
		for _, e := range [][]providers.Event{first, second} {
			for i := range e {
				if s.Tolerance > 0 {
					// What is signed holds the time of signing. An attacker cannot change
					// that, and the platform's own repetition is known by its ID.
					e[i].Fingerprint = ""
				}
				if s.Covered != nil {
					e[i].Payload = nil // the signature may stand in it
				}
			}
		}
		require.Equal(t, first, second)
	})
	t.Run("reading a request leaves it as it was", func(t *testing.T) {
		r, untouched := s.signed(s.Secrets.Live), s.signed(s.Secrets.Live)
		s.events(t, r)
		require.NoError(t, s.Provider.Verify(r, providers.Secrets{s.Secrets.Live}))
		require.Equal(t, untouched, r)
	})
	for name, body := range s.malformed(t) {
		t.Run(name+" is malformed", func(t *testing.T) { s.refuseBody(t, body) })
	}
	t.Run("a body cut short anywhere is malformed", func(t *testing.T) {
		if s.isForm() {
			t.Skip("what is left of a form is a form")
		}
		whole := bytes.TrimSpace(s.unsigned().Body)
		for n := range whole {
			s.refuseBody(t, string(whole[:n]))
		}
	})
}

func (s Suite) events(t *testing.T, r providers.Request) []providers.Event {
	t.Helper()
	events, err := s.Provider.Events(r)
	require.NoError(t, err)
	require.NotEmpty(t, events)
	return events
}

func requireID(t *testing.T, id string) {
	t.Helper()
	require.NotEmpty(t, id)
	require.LessOrEqual(t, len(id), maxIDBytes)
	for _, c := range []byte(id) {
		require.True(t, c > ' ' && c < 0x7f, "id %q holds more than printable ASCII", id)
	}
}

func (s Suite) refuseBody(t *testing.T, body string) {
	t.Helper()
	r := s.unsigned()
	r.Body = []byte(body)
	s.Oracle(&r, s.Secrets.Live)
	events, err := s.Provider.Events(r)
	require.ErrorIs(t, err, providers.ErrMalformed, "body %.80q", body)
	require.Empty(t, events)
}

// malformed returns bodies that no platform sends: the suite's own, and what
// can go wrong with every JSON object.
func (s Suite) malformed(t *testing.T) map[string]string {
	if s.isForm() {
		return maps.Clone(s.Malformed)
	}
	whole := string(bytes.TrimSpace(s.unsigned().Body))
	start, one := "{", whole
	if s.isBatch() {
		start, one = "[{", firstElement(t, whole)
	}
	require.True(t, strings.HasPrefix(whole, start), "the suite's body is no JSON object, and no array of them")
	first := func(member string) string { return start + member + "," + whole[len(start):] }

	bodies := map[string]string{
		"an empty body":                  "",
		"a blank body":                   " \n",
		"null":                           "null",
		"true":                           "true",
		"a number":                       "12",
		"a string":                       `"` + strings.Repeat("x", 300) + `"`,
		"an array of too many":           "[" + whole + "]",
		"the body twice":                 whole + whole,
		"text after the end":             whole + "x",
		"a byte order mark":              "\xef\xbb\xbf" + whole,
		"invalid UTF-8":                  first(`"zz": "` + "\xff" + `"`),
		"a name twice in a skipped part": first(`"zz": {"a": 1, "a": 1}`),
		"endless nesting":                first(`"zz": ` + strings.Repeat("[", 1<<20)),
	}
	for _, name := range memberNames(t, one) {
		bodies["a second "+name] = first(name + ": null")
	}
	if s.isBatch() {
		bodies["an object instead of an array"] = one
		bodies["an array of something else"] = "[1]"
	} else {
		bodies["an empty array"] = "[]"
	}
	for name, body := range s.Malformed {
		require.NotContains(t, bodies, name)
		bodies[name] = body
	}
	return bodies
}

// isForm says whether the platform sends forms.
func (s Suite) isForm() bool {
	return s.unsigned().Header.Get("Content-Type") == "application/x-www-form-urlencoded"
}

// isBatch says whether the body is a list of events.
func (s Suite) isBatch() bool {
	return bytes.HasPrefix(bytes.TrimSpace(s.unsigned().Body), []byte("["))
}

func firstElement(t *testing.T, array string) string {
	var elements []jsontext.Value
	require.NoError(t, json.Unmarshal([]byte(array), &elements))
	require.NotEmpty(t, elements)
	return string(elements[0])
}

// memberNames returns the names in an object, quoted.
func memberNames(t *testing.T, object string) []string {
	var members map[string]jsontext.Value
	require.NoError(t, json.Unmarshal([]byte(object), &members))
	require.NotEmpty(t, members)
	var names []string
	for name := range members {
		quoted, err := jsontext.AppendQuote(nil, name)
		require.NoError(t, err)
		names = append(names, string(quoted))
	}
	return names
}

func (s Suite) exerciseProbe(t *testing.T) {
	p, ok := s.Provider.(providers.Prober)
	require.Equal(t, ok, s.Declared || len(s.Probes) > 0, "Suite.Probes must be set if, and only if, the provider is a Prober")
	for name, probe := range s.Probes {
		t.Run(name+" gets the answer the platform wants", func(t *testing.T) {
			r := probe.Request()
			r.ReceivedAt = now()
			answer, ok := p.Probe(r)
			require.True(t, ok)
			require.Equal(t, probe.Want, answer)
		})
	}
	if ok {
		t.Run("a request with an event is no probe", func(t *testing.T) {
			for _, r := range []providers.Request{s.signed(s.Secrets.Live), s.unsigned()} {
				_, ok := p.Probe(r)
				require.False(t, ok)
			}
		})
	}
}

func (s Suite) exerciseHandshake(t *testing.T) {
	h, ok := s.Provider.(providers.Handshaker)
	require.Equal(t, ok, s.Declared || s.Handshake != nil, "Suite.Handshake must be set if, and only if, the provider is a Handshaker")
	if !ok {
		return
	}
	t.Run("a probe gets the answer the platform wants", func(t *testing.T) {
		if s.Handshake == nil {
			t.Skip("none is declared")
		}
		r := s.Handshake.Request()
		r.ReceivedAt = now()
		answer, ok := h.Handshake(r)
		require.True(t, ok)
		require.Equal(t, s.Handshake.Want, answer)
	})
	t.Run("a request with an event is no probe", func(t *testing.T) {
		_, ok := h.Handshake(s.signed(s.Secrets.Live))
		require.False(t, ok)
	})
	t.Run("a malformed request is no probe", func(t *testing.T) {
		for name, body := range s.malformed(t) {
			r := s.unsigned()
			r.Body = []byte(body)
			_, ok := h.Handshake(r)
			require.False(t, ok, name)
		}
	})
}

// OneEvent returns the one event that a request carries.
func OneEvent(t testing.TB, p providers.Provider, r providers.Request) providers.Event {
	t.Helper()
	events, err := p.Events(r)
	require.NoError(t, err)
	require.Len(t, events, 1)
	return events[0]
}
