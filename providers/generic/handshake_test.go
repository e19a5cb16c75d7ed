package generic_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/generic"
)

// answering opens a platform with handshakes.
func answering(t *testing.T, h ...generic.Handshake) *generic.Provider {
	t.Helper()
	return open(t, generic.Settings{Verify: signing(""), Event: named, Handshakes: h})
}

func probe(method, query, body string, headers ...string) providers.Request {
	r := request(body, headers...)
	r.Method, r.URL.RawQuery = method, query
	return r
}

func TestHandshakes(t *testing.T) {
	text := "text/plain; charset=utf-8"
	for name, c := range map[string]struct {
		rule    generic.Handshake
		request providers.Request
		want    providers.Response
	}{
		"a HEAD that asks whether we are there": {
			generic.Handshake{Method: "HEAD"}, probe("HEAD", "", ""), providers.Response{Status: 200},
		},
		"a query parameter": {
			generic.Handshake{Method: "GET", When: "query:hub.mode", Is: "subscribe", Echo: "query:hub.challenge"},
			probe("GET", "hub.mode=subscribe&hub.challenge=a%3Cb%3E", ""),
			providers.Response{Status: 200, ContentType: text, Body: []byte("a<b>")},
		},
		"a member of the body as text": {
			generic.Handshake{When: "json:type", Is: "url_verification", Echo: "json:challenge"},
			probe("POST", "", `{"type": "url_verification", "challenge": "3eZ"}`),
			providers.Response{Status: 200, ContentType: text, Body: []byte("3eZ")},
		},
		"as JSON": {
			generic.Handshake{When: "json:challenge", Echo: "json:challenge", Member: "challenge"},
			probe("POST", "", `{"challenge": "a\"b"}`),
			providers.Response{Status: 200, ContentType: "application/json", Body: []byte(`{"challenge":"a\"b"}`)},
		},
		"a header, answered with another status": {
			generic.Handshake{When: "header:X-Hook-Secret", Echo: "header:X-Hook-Secret", Answer: generic.Answer{Status: 201, ContentType: "text/x"}},
			probe("POST", "", "", "X-Hook-Secret", "s"),
			providers.Response{Status: 201, ContentType: "text/x", Body: []byte("s")},
		},
		"a fixed answer": {
			generic.Handshake{When: "form:event", Is: "ping", Answer: generic.Answer{Body: "pong"}},
			probe("POST", "", "event=ping&x=1"),
			providers.Response{Status: 200, ContentType: text, Body: []byte("pong")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			open := answering(t, c.rule)
			got, ok := open.Probe(c.request)
			require.True(t, ok)
			require.Equal(t, c.want, got)
			_, ok = open.Handshake(c.request)
			require.False(t, ok, "it is not signed")

			c.rule.Signed = true
			signed := answering(t, c.rule)
			got, ok = signed.Handshake(c.request)
			require.True(t, ok)
			require.Equal(t, c.want, got)
			_, ok = signed.Probe(c.request)
			require.False(t, ok, "an answer for signed requests is not given to anybody")
		})
	}
}

func TestWhatDoesNotFitIsNoHandshake(t *testing.T) {
	p := answering(t,
		generic.Handshake{Method: "GET", When: "query:mode", Is: "subscribe", Echo: "query:challenge"},
		generic.Handshake{When: "json:type", Is: "1", Answer: generic.Answer{Body: `{"type":1}`}},
	)
	for name, r := range map[string]providers.Request{
		"another method":       probe("POST", "mode=subscribe&challenge=x", "{}"),
		"another value":        probe("GET", "mode=unsubscribe&challenge=x", ""),
		"nothing to echo":      probe("GET", "mode=subscribe", ""),
		"two things to echo":   probe("GET", "mode=subscribe&challenge=a&challenge=b", ""),
		"too much to echo":     probe("GET", "mode=subscribe&challenge="+strings.Repeat("x", 1025), ""),
		"no text to echo":      probe("GET", "mode=subscribe&challenge=%ff", ""),
		"control characters":   probe("GET", "mode=subscribe&challenge=a%0d%0ab", ""),
		"an event":             probe("POST", "", `{"type": 2}`),
		"a body that is none":  probe("POST", "", `{"type": 1`),
		"a name twice":         probe("POST", "", `{"type": 2, "type": 1}`),
		"a type of its member": probe("POST", "", `{"data": {"type": 1}}`),
	} {
		_, ok := p.Probe(r)
		require.False(t, ok, name)
	}
	_, ok := p.Probe(probe("POST", "", `{"type": 1}`))
	require.True(t, ok)
}

// The query would be stored as the event, and the secret with it.
func TestAMethodOfHandshakesBringsNoEvents(t *testing.T) {
	p := open(t, generic.Settings{
		Verify: generic.Verify{Scheme: "token", Token: generic.Token{In: "query", Name: "key"}}, Event: named,
		Handshakes: []generic.Handshake{{Signed: true, Method: "GET", When: "query:challenge", Echo: "query:challenge"}},
	})
	secrets := providers.Secrets{"s3cret"}
	require.NoError(t, p.Verify(probe("GET", "key=s3cret&challenge=x", ""), secrets))
	require.NoError(t, p.Verify(probe("POST", "key=s3cret", `{"id": 1}`), secrets))
	err := p.Verify(probe("GET", "key=s3cret", ""), secrets)
	require.ErrorIs(t, err, providers.ErrUnauthenticated)
	require.EqualError(t, err, "generic: verify: not authentic: a GET that is none of the handshakes")
}

func TestTheFirstHandshakeThatFitsAnswers(t *testing.T) {
	p := answering(t,
		generic.Handshake{Method: "GET", When: "query:a", Answer: generic.Answer{Body: "first"}},
		generic.Handshake{Method: "GET", Answer: generic.Answer{Body: "second"}},
	)
	for query, want := range map[string]string{"a=1": "first", "b=1": "second"} {
		got, ok := p.Probe(probe(http.MethodGet, query, ""))
		require.True(t, ok)
		require.Equal(t, want, string(got.Body))
	}
	require.Equal(t, []string{"GET"}, p.Endpoint().Methods)
}
