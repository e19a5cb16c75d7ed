package generic_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/generic"
	"github.com/surehook/surehook/providers/providertest"
)

// signing is a scheme for declarations whose scheme does not matter.
func signing(signed string) generic.Verify {
	return generic.Verify{Scheme: "hmac-sha256", Signed: signed, Signature: generic.Signature{Header: "X-S"}}
}

// reading opens a platform whose bodies are signed.
func reading(t testing.TB, s generic.Settings) *generic.Provider {
	t.Helper()
	s.Verify = signing("")
	return open(t, s)
}

func read(t *testing.T, p *generic.Provider, r providers.Request) []providers.Event {
	t.Helper()
	events, err := p.Events(r)
	require.NoError(t, err)
	return events
}

func TestAnEventIsReadAsDeclared(t *testing.T) {
	require.Equal(t, []providers.Event{{
		ID:         "evt_1",
		Type:       "order.paid",
		Ref:        providers.Ref{Type: "order", ID: "ord-7", Account: "s1"},
		OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Mode:       providers.ModeLive,
		APIVersion: "v2",
	}}, read(t, open(t, shop()), request(orderPaid)))
}

func TestValuesAreFoundWhereTheyAreDeclared(t *testing.T) {
	body := `{"a": {"b": [{"c": "x"}, {"c": 12345678901234567890, "d.e": true, "f/g": "y", "h": null, "i": ""}]}, "name": "order.line.added", "one": "word"}`
	for value, want := range map[string]string{
		"json:a.b[0].c":             "x",
		"json:/a/b/0/c":             "x",
		"json:a.b[1].c":             "12345678901234567890", // as it stands there, and not as a float
		"json:/a/b/1/d.e":           "true",
		"json:/a/b/1/f~1g":          "y",
		"json:a.b[1].h ?? json:one": "word",
		"json:a.b[1].i ?? json:one": "word",
		"json:a ?? json:one":        "word", // an object is no value
		"header:X-Kind":             "k",
		"header:X-None ?? const:c":  "c",
		"const:a:b":                 "a:b",
		"stem:name":                 "order.line",
		"stem:one":                  "word",
	} {
		p := reading(t, generic.Settings{Event: generic.Event{ID: generic.Value{"const:i"}, Type: generic.Value{value}}})
		require.Equal(t, want, read(t, p, request(body, "X-Kind", "k"))[0].Type, value)
	}
	for _, missing := range []string{"json:a.b[2].c", "json:a.b.c", "json:one.x", "json:a.b[1].h", "json:a", "header:X-None", "stem:none"} {
		p := reading(t, generic.Settings{Event: generic.Event{ID: generic.Value{"const:i"}, Type: generic.Value{missing}}})
		_, err := p.Events(request(body))
		require.ErrorIs(t, err, providers.ErrMalformed, missing)
	}
}

func TestComposedNames(t *testing.T) {
	p := reading(t, generic.Settings{Event: generic.Event{
		ID:   generic.Value{"json:account", "json:seq"},
		Type: generic.Value{"header:X-Event", "json:action"},
		Ref:  generic.Ref{Type: generic.Value{"json:kind", "json:sub"}, ID: generic.Value{"json:account", "json:number"}},
	}})
	ev := read(t, p, request(`{"account": "a", "seq": 7, "action": "opened", "kind": "issue", "number": 3}`, "X-Event", "issues"))[0]
	require.Equal(t, "a:7", ev.ID)
	require.Equal(t, "issues.opened", ev.Type)
	require.Equal(t, providers.Ref{Type: "issue", ID: "a:3"}, ev.Ref)

	ev = read(t, p, request(`{"account": "a", "seq": 7, "kind": "issue"}`, "X-Event", "issues"))[0]
	require.Equal(t, "issues", ev.Type, "what is missing of a type is left out")
	require.Zero(t, ev.Ref, "half an id names no object")
	_, err := p.Events(request(`{"account": "a", "action": "opened"}`, "X-Event", "issues"))
	require.ErrorIs(t, err, providers.ErrMalformed, "half an ID would be the ID of many")
	r := request(`{"account": "a", "seq": 7}`, "X-Event", "issues")
	r.Header.Add("X-Event", "push")
	_, err = p.Events(r)
	require.ErrorIs(t, err, providers.ErrMalformed)
}

func TestAnIDMadeOfWhatTheEventIs(t *testing.T) {
	p := reading(t, generic.Settings{Event: generic.Event{IDHash: generic.Value{"json:event", "json:at", "json:note"}, Type: generic.Value{"json:event"}}})
	id := func(body string) string { return read(t, p, request(body))[0].ID }
	first := id(`{"event": "a", "at": "1"}`)
	require.Regexp(t, "^[0-9a-f]{40}$", first)
	require.Equal(t, first, id(`{"at": "1", "event": "a", "other": 1}`))
	require.NotEqual(t, first, id(`{"event": "a", "at": "2"}`))
	require.NotEqual(t, id(`{"event": "ab", "at": "c"}`), id(`{"event": "a", "at": "bc"}`))

	whole := reading(t, generic.Settings{Event: generic.Event{IDHash: generic.Value{"body"}, Type: generic.Value{"const:x"}}})
	require.NotEqual(t, read(t, whole, request(`{"a":1}`))[0].ID, read(t, whole, request(`{"a":2}`))[0].ID)
	nothing := reading(t, generic.Settings{Event: generic.Event{IDHash: generic.Value{"json:a"}, Type: generic.Value{"const:x"}}})
	_, err := nothing.Events(request(`{}`))
	require.ErrorIs(t, err, providers.ErrMalformed)
}

func TestModesTimesAndEnds(t *testing.T) {
	p := reading(t, generic.Settings{Event: generic.Event{
		ID: generic.Value{"const:i"}, Type: generic.Value{"json:type"}, Time: "json:at", TimeUnit: "s", Deleted: []string{"*.gone"},
		Mode: generic.Mode{From: "json:env", Live: []string{"prod"}, Test: []string{"dev", "qa"}},
	}})
	ev := read(t, p, request(`{"type": "a.gone", "env": "qa", "at": 1767323045.25}`))[0]
	require.Equal(t, providers.ModeTest, ev.Mode)
	require.True(t, ev.Deleted)
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 250e6, time.UTC), ev.OccurredAt)
	ev = read(t, p, request(`{"type": "a.made", "env": "staging"}`))[0]
	require.Equal(t, providers.ModeUnknown, ev.Mode)
	require.False(t, ev.Deleted)
	require.Zero(t, ev.OccurredAt)
	for _, at := range []string{`"now"`, `-1`, `1e9`, `1.x`, `99999999999999`} {
		_, err := p.Events(request(`{"type": "a", "at": ` + at + `}`))
		require.ErrorIs(t, err, providers.ErrMalformed, at)
	}
}

func TestABatchIsSplit(t *testing.T) {
	p := reading(t, generic.Settings{Batch: "data.events", Event: generic.Event{
		ID:   generic.Value{"envelope:tenant", "json:id"},
		Type: generic.Value{"json:type"},
		Ref:  generic.Ref{Type: generic.Value{"const:o"}, ID: generic.Value{"json:o"}, Account: "envelope:tenant"},
	}})
	body := `{"tenant": "t1", "data": {"events": [{"id": 1, "type": "a", "o": 5}, {"id": 2, "type": "b"}]}}`
	require.Equal(t, []providers.Event{
		{ID: "t1:1", Type: "a", Ref: providers.Ref{Type: "o", ID: "5", Account: "t1"}, Payload: []byte(`{"id": 1, "type": "a", "o": 5}`)},
		{ID: "t1:2", Type: "b", Payload: []byte(`{"id": 2, "type": "b"}`)},
	}, read(t, p, request(body)))
	for _, bad := range []string{
		`[]`, `{"tenant": "t1"}`, `{"tenant": "t1", "data": {"events": {}}}`, `{"tenant": "t1", "data": {"events": [1]}}`,
		`{"tenant": "t1", "data": {"events": [{"id": 1, "id": 2, "type": "a"}]}}`, `{"tenant": "t1", "data": {"events": null}}`,
	} {
		_, err := p.Events(request(bad))
		require.ErrorIs(t, err, providers.ErrMalformed, bad)
	}
	require.Empty(t, read(t, p, request(`{"tenant": "t1", "data": {"events": []}}`)))
}

func TestABodyThatIsABatch(t *testing.T) {
	p := reading(t, generic.Settings{Batch: ".", Event: generic.Event{ID: generic.Value{"json:id"}, Type: generic.Value{"json:type"}}})
	events := read(t, p, request("[{\"id\": 1, \"type\": \"a\"},\n {\"id\": 2, \"type\": \"b\"}]\r\n"))
	require.Equal(t, []string{"1", "2"}, []string{events[0].ID, events[1].ID})
	for _, bad := range []string{`{}`, `[{"id": 1, "type": "a"}]]`, `[{"id": 1, "type": "a"}]}`, `[{"id": 1, "type": "a"`, `[1], "x": {}`} {
		_, err := p.Events(request(bad))
		require.ErrorIs(t, err, providers.ErrMalformed, bad)
	}
}

func TestPartsOfABatchWithoutIDsAreNumbered(t *testing.T) {
	p := open(t, generic.Settings{Verify: signing(""), Batch: ".", Event: generic.Event{ID: generic.Value{"header:X-Id"}, Type: generic.Value{"json:type"}}})
	events := read(t, p, request(`[{"type": "a"}, {"type": "a"}]`, "X-Id", "d"))
	require.Equal(t, []string{"d-0", "d-1"}, []string{events[0].ID, events[1].ID})
	require.NotEqual(t, events[0].Fingerprint, events[1].Fingerprint)
}

func TestAnEventWhoseIDIsNotSignedIsKnownByWhatIs(t *testing.T) {
	inHeader := generic.Event{ID: generic.Value{"header:X-Id"}, Type: generic.Value{"const:x"}}
	inBody := generic.Event{ID: generic.Value{"json:id"}, Type: generic.Value{"const:x"}}
	timed := signing("{timestamp}.{body}")
	timed.Timestamp = generic.Timestamp{Header: "X-T"}
	for name, c := range map[string]struct {
		settings generic.Settings
		want     string
	}{
		"a header that is not signed":   {generic.Settings{Verify: signing(""), Event: inHeader}, providers.Fingerprint([]byte(`{"id":1}`), []byte("0"))},
		"with a time":                   {generic.Settings{Verify: timed, Event: inHeader}, providers.Fingerprint([]byte(`99.{"id":1}`), []byte("0"))},
		"a header that is":              {generic.Settings{Verify: signing("{header:x-id}.{body}"), Event: inHeader}, ""},
		"the body":                      {generic.Settings{Verify: signing("{body}"), Event: inBody}, ""},
		"a member that is signed":       {generic.Settings{Verify: signing("{json:id}"), Event: inBody}, ""},
		"one that is not":               {generic.Settings{Verify: signing("{json:x}"), Event: inBody}, providers.Fingerprint([]byte(`y`), []byte("0"))},
		"two that are not set apart":    {generic.Settings{Verify: signing("{json:id}{json:x}"), Event: inBody}, providers.Fingerprint([]byte(`1y`), []byte("0"))},
		"two with text between them":    {generic.Settings{Verify: signing("{json:id}.{json:x}"), Event: inBody}, providers.Fingerprint([]byte(`1.y`), []byte("0"))},
		"one beside the body":           {generic.Settings{Verify: signing("{header:x-id}{body}"), Event: inHeader}, providers.Fingerprint([]byte(`i{"id":1,"x":"y"}`), []byte("0"))},
		"a member of all, not of parts": {generic.Settings{Verify: signing("{json:id}"), Batch: "x", Event: inBody}, providers.Fingerprint([]byte(`1`), []byte("0"))},
		"a token, which covers nothing": {generic.Settings{Verify: hook().Verify, Event: inHeader}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"id":1}`
			switch name {
			case "one that is not", "two that are not set apart", "two with text between them", "one beside the body":
				body = `{"id":1,"x":"y"}`
			case "a member of all, not of parts":
				body = `{"id":1,"x":[{"id":2}]}`
			}
			r := request(body, "X-Id", "i", "X-T", "99")
			require.Equal(t, c.want, read(t, open(t, c.settings), r)[0].Fingerprint)
		})
	}
}

func form(body string) providers.Request {
	return request(body, "Content-Type", "application/x-www-form-urlencoded")
}

func TestAFormIsReadAndKeptAsJSON(t *testing.T) {
	s := generic.Settings{Body: "form", Event: generic.Event{
		ID: generic.Value{"form:id"}, Type: generic.Value{"form:event"}, Ref: generic.Ref{Type: generic.Value{"const:call"}, ID: generic.Value{"form:call[id]"}},
	}}
	p := reading(t, s)
	require.Equal(t, []providers.Event{{
		ID: "7", Type: "call.ended", Ref: providers.Ref{Type: "call", ID: "c1"},
		Payload: []byte(`{"call[id]":"c1","event":"call.ended","id":"7","tag":["x","y"]}`),
	}}, read(t, p, form("id=7&event=call.ended&call%5Bid%5D=c1&tag=x&tag=y")))
	for _, bad := range []string{"", "event=a", "id=1&id=2&event=a", "id=1&event=a&x=%zz", "id=1&event=a&x=%ff"} {
		_, err := p.Events(form(bad))
		require.ErrorIs(t, err, providers.ErrMalformed, bad)
	}
}

func TestTheQueryOfAGETIsAnEventOnlyWhereThatIsDeclared(t *testing.T) {
	s := generic.Settings{
		Verify: signing("{url}{body}"), Body: "form", Methods: []string{"GET"},
		Event: generic.Event{ID: generic.Value{"form:id"}, Type: generic.Value{"const:x"}},
	}
	r := form("")
	r.Method, r.URL = http.MethodGet, &url.URL{Scheme: "https", Host: "h.example.com", RawQuery: "id=7"}
	require.Equal(t, "7", read(t, open(t, s), r)[0].ID)
	s.Methods = nil
	_, err := open(t, s).Events(r)
	require.ErrorIs(t, err, providers.ErrMalformed)
	again := providers.Request{Header: r.Header, Body: []byte("id=7"), ReceivedAt: received}
	require.Equal(t, "7", read(t, open(t, s), again)[0].ID, "as the inbox keeps it")
}

func TestAQueryThatIsTakenForABodyIsTheSameEvent(t *testing.T) {
	p := open(t, generic.Settings{
		Verify: signing("{url}{body}"), Body: "form", Methods: []string{"GET"},
		Event: generic.Event{ID: generic.Value{"form:id"}, Type: generic.Value{"const:x"}},
	})
	genuine, moved := form(""), form("id=9")
	genuine.Method, genuine.URL = http.MethodGet, &url.URL{Scheme: "https", Host: "h.example.com", RawQuery: "id=7&note=id=9"}
	moved.Method, moved.URL = http.MethodGet, &url.URL{Scheme: "https", Host: "h.example.com", RawQuery: "id=7&note="}
	require.NoError(t, p.Sign(&genuine, providers.Secrets{secret}))
	moved.Header.Set("X-S", genuine.Header.Get("X-S"))
	require.NoError(t, p.Verify(moved, providers.Secrets{secret}), "this test is to show that it can be done")
	first, second := read(t, p, genuine)[0], read(t, p, moved)[0]
	require.NotEqual(t, first.ID, second.ID)
	require.NotEmpty(t, first.Fingerprint)
	require.Equal(t, first.Fingerprint, second.Fingerprint)
}

const orderXML = `<?xml version="1.0" encoding="UTF-8"?>
<!-- made up -->
<notes xmlns="urn:x"><note id="n1"><type>paid</type><order nr="7">A &amp; B</order></note>
<note id="n2"><type>gone</type><line>1</line><line>2</line><empty/></note></notes>`

func xmlSettings() generic.Settings {
	return generic.Settings{Body: "xml", Batch: "/notes/note", Event: generic.Event{
		ID:   generic.Value{"xpath:@id"},
		Type: generic.Value{"const:order", "xpath:string(type)"},
		Ref:  generic.Ref{Type: generic.Value{"const:order"}, ID: generic.Value{"xpath:number(order/@nr)"}},
		Mode: generic.Mode{From: "xpath:count(line) > 1", Test: []string{"true"}},
	}}
}

func TestANumberThatWouldTakeLongToCompareIsForAnOperator(t *testing.T) {
	total := map[string]any{"properties": map[string]any{"total": map[string]any{"minimum": 1, "multipleOf": 0.01}}}
	p := reading(t, generic.Settings{Event: named, Schemas: []generic.Schema{{Type: "*", Schema: total}}})
	review := func(total string) string {
		return read(t, p, request(`{"id": 1, "total": 5, "lines": [{"total": `+total+`}]}`))[0].Review
	}
	for _, ordinary := range []string{"5", "-0.01", "1e20", "1E-7", "123456789012345678901234567890", `"1e999999"`} {
		require.Empty(t, review(ordinary), ordinary)
	}
	for _, vast := range []string{"1e401", "1E-401", "1e999999", "-1e+9999999", "1e99999999999999999999", strings.Repeat("9", 401)} {
		require.Equal(t, "schema: a number of the payload is too large to be compared", review(vast))
	}
}

func TestXMLIsReadAndKeptAsJSON(t *testing.T) {
	require.Equal(t, []providers.Event{
		{
			ID: "n1", Type: "order.paid", Ref: providers.Ref{Type: "order", ID: "7"},
			Payload: []byte(`{"@id":"n1","order":{"#text":"A & B","@nr":"7"},"type":"paid"}`),
		},
		{
			ID: "n2", Type: "order.gone", Mode: providers.ModeTest,
			Payload: []byte(`{"@id":"n2","empty":"","line":["1","2"],"type":"gone"}`),
		},
	}, read(t, reading(t, xmlSettings()), request(orderXML)))

	s := xmlSettings()
	s.Batch, s.Event.ID, s.Event.Ref = "", generic.Value{"xpath://note[2]/@id"}, generic.Ref{}
	s.Event.Type = generic.Value{"xpath:local-name(/*)"}
	ev := read(t, reading(t, s), request(`<notes><note id="a"/><note id="b"/></notes>`))[0]
	require.Equal(t, "b", ev.ID)
	require.Equal(t, "notes", ev.Type)
	require.JSONEq(t, `{"notes": {"note": [{"@id": "a"}, {"@id": "b"}]}}`, string(ev.Payload))
}

func TestXMLThatIsNotOneHarmlessDocumentIsMalformed(t *testing.T) {
	p := reading(t, xmlSettings())
	note := `<note id="n1"><type>paid</type></note>`
	for name, body := range map[string]string{
		"nothing":           "",
		"text":              "hello",
		"JSON":              `{"a": 1}`,
		"an open element":   `<notes>` + note,
		"two documents":     `<notes>` + note + `</notes><notes/>`,
		"text behind it":    `<notes>` + note + `</notes>x`,
		"a document type":   `<!DOCTYPE notes [<!ENTITY a "b">]><notes>` + note + `</notes>`,
		"an unknown entity": `<notes>&a;` + note + `</notes>`,
		"endless nesting":   strings.Repeat("<a>", 100_000) + strings.Repeat("</a>", 100_000),
		"no event":          `<notes/>`,
		"an unknown set":    `<?xml version="1.0" encoding="x-none"?><notes>` + note + `</notes>`,
		"crossed elements":  `<notes><note id="n1"><type>paid</note></type></notes>`,
	} {
		_, err := p.Events(request(body))
		require.ErrorIs(t, err, providers.ErrMalformed, name)
	}
	ev := read(t, p, request("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><notes><note id=\"n1\"><type>paid</type><x>\xe9</x></note></notes>"))[0]
	require.JSONEq(t, `{"@id": "n1", "type": "paid", "x": "é"}`, string(ev.Payload))
}

func TestAnXPathThatFindsSomethingElseIsNoEvent(t *testing.T) {
	for _, batch := range []string{"count(/notes/note)", "/notes/note/@id", "string(/notes)", "true()"} {
		s := xmlSettings()
		s.Batch = batch
		events, err := reading(t, s).Events(request(orderXML))
		require.ErrorIs(t, err, providers.ErrMalformed, batch)
		require.Empty(t, events)
	}
	for _, id := range []string{"round('x')", "substring('abc', 'x')", "/notes/none", "number('x')"} {
		s := xmlSettings()
		s.Event.ID = generic.Value{"xpath:" + id}
		_, err := reading(t, s).Events(request(orderXML))
		require.ErrorIs(t, err, providers.ErrMalformed, id)
	}
}

func TestLabelWritesTheHeadersThatNameAnEvent(t *testing.T) {
	p := open(t, hook())
	r := providers.Request{Body: []byte(`{"action": "paid", "order": 7}`)}
	p.Label(&r, "h-9", "order.paid")
	require.Equal(t, http.Header{"X-Hook-Id": {"h-9"}, "X-Hook-Event": {"order"}}, r.Header)
	require.Equal(t, "order.paid", read(t, p, r)[0].Type)

	s := generic.Settings{Verify: signing(""), Event: generic.Event{ID: generic.Value{"json:id"}, Type: generic.Value{"header:X-Type"}}}
	r = providers.Request{}
	open(t, s).Label(&r, "h-9", "order.paid")
	require.Equal(t, http.Header{"X-Type": {"order.paid"}}, r.Header, "an ID in the body is the body's")
}

func TestAPayloadThatBreaksItsContractWaitsForAnOperator(t *testing.T) {
	file := filepath.Join(t.TempDir(), "order.json")
	require.NoError(t, os.WriteFile(file, []byte(`{
		"$defs": {"money": {"type": "integer", "minimum": 0}},
		"type": "object", "required": ["id"], "properties": {"total": {"$ref": "#/$defs/money"}, "lines": {"items": {"required": ["sku"]}}}
	}`), 0o600))
	p := reading(t, generic.Settings{
		Event: generic.Event{ID: generic.Value{"const:i"}, Type: generic.Value{"json:type"}},
		Schemas: []generic.Schema{
			{Type: "order.free", Schema: map[string]any{"properties": map[string]any{"total": map[string]any{"const": 0}}}},
			{Type: "order.*", File: file},
		},
	})
	for body, want := range map[string]string{
		`{"type": "order.paid", "id": 1, "total": 5, "lines": [{"sku": "a"}]}`: "",
		`{"type": "order.paid", "total": 5}`:                                   "schema: / breaks required",
		`{"type": "order.paid", "id": 1, "total": -5}`:                         "schema: /total breaks minimum",
		`{"type": "order.paid", "id": 1, "total": "ada@example.com"}`:          "schema: /total breaks type",
		`{"type": "order.paid", "id": 1, "lines": [{"sku": 1}, {}]}`:           "schema: /lines/1 breaks required",
		`{"type": "order.free", "total": 0}`:                                   "",
		`{"type": "order.free", "total": 1}`:                                   "schema: /total breaks const",
		`{"type": "shop.closed"}`:                                              "",
	} {
		require.Equal(t, want, read(t, p, request(body))[0].Review, body)
	}
}

func TestTheContractOfAPartOfABatchIsForThatPart(t *testing.T) {
	s := xmlSettings()
	s.Schemas = []generic.Schema{{Type: "*", Schema: map[string]any{"required": []any{"order"}}}}
	events := read(t, reading(t, s), request(orderXML))
	require.Empty(t, events[0].Review)
	require.Equal(t, "schema: / breaks required", events[1].Review)
}

func FuzzEvents(f *testing.F) {
	json := open(f, shop())
	batch := reading(f, generic.Settings{Batch: "a.b", Event: generic.Event{ID: generic.Value{"json:id"}, Type: generic.Value{"stem:type"}}})
	forms := reading(f, generic.Settings{Body: "form", Event: generic.Event{ID: generic.Value{"form:id"}, Type: generic.Value{"form:type"}}})
	xml := reading(f, xmlSettings())
	f.Add([]byte(orderPaid))
	f.Add([]byte(`{"a": {"b": [{"id": 1, "type": "x.y"}]}}`))
	f.Add([]byte("id=1&type=a"))
	f.Add([]byte(orderXML))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, p := range []*generic.Provider{json, batch, forms, xml} {
			events, err := p.Events(request(string(body)))
			if err != nil {
				require.ErrorIs(t, err, providers.ErrMalformed)
				require.Empty(t, events)
			}
			for _, e := range events {
				require.NotEmpty(t, e.ID)
				require.NotEmpty(t, e.Type)
			}
		}
	})
}

func BenchmarkVerifyAndEvents(b *testing.B) {
	body := strings.Replace(orderPaid, `"a.b"`, `"`+strings.Repeat("s", 1800)+`"`, 1)
	p := open(b, shop())
	r := request(body)
	r.ReceivedAt = received
	require.NoError(b, p.Sign(&r, providers.Secrets{secret}))
	providertest.Benchmark(b, p, r, providers.Secrets{secret})
}
