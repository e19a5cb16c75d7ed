package mandrill_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/mandrill"
	"github.com/surehook/surehook/providers/providertest"
)

const (
	secret   = "mandrill_webhook_key"
	hookURL  = "https://hooks.example.com/webhooks/mandrill?x=1"
	sentTo   = "00000000000000000000000000000abc"
	sent     = `{"event": "send", "ts": 1767323045, "_id": "` + sentTo + `", "msg": {"_id": "` + sentTo + `", "state": "sent", "email": "ada@example.com"}}`
	opened   = `{"event": "open", "ts": 1767323046, "_id": "` + sentTo + `", "ip": "192.0.2.1", "user_agent": "Mail", "msg": {"state": "sent"}}`
	rejected = `{"type": "blacklist", "action": "add", "ts": 1767323047, "reject": {"email": "Ada@example.com", "reason": "hard-bounce", "subaccount": null}}`
	received = `{"event": "inbound", "ts": 1767323048, "msg": {"email": "in@example.com", "raw_msg": "Subject: x"}}`
)

// open returns a provider for tests that call no API.
func open(t testing.TB, s mandrill.Settings) *mandrill.Provider {
	t.Helper()
	p, err := mandrill.New(providers.APIConfig{}, s)
	require.NoError(t, err)
	return p
}

// batch is the body that carries the events.
func batch(events ...string) string {
	return url.Values{"mandrill_events": {"[" + strings.Join(events, ", ") + "]"}}.Encode()
}

// request is one with the body, as Mandrill sends it but unsigned.
func request(t testing.TB, body string) providers.Request {
	t.Helper()
	at, err := url.Parse(hookURL)
	require.NoError(t, err)
	h := http.Header{}
	h.Set("Content-Type", "application/x-www-form-urlencoded")
	h.Set("User-Agent", "Mandrill-Webhook/1.0")
	return providers.Request{Method: http.MethodPost, URL: at, Header: h, Body: []byte(body)}
}

// signAsDocumented is Mandrill's guide in code, for the URL as it was entered.
func signAsDocumented(r *providers.Request, secret, entered string) {
	form, err := url.ParseQuery(string(r.Body))
	text := entered
	if err != nil {
		text = "no form"
	}
	var fields []string
	for field := range form {
		fields = append(fields, field)
	}
	sort.Strings(fields)
	for _, field := range fields {
		text += field + form.Get(field)
	}
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(text))
	r.Header.Set("X-Mandrill-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// test is what Mandrill sends to a new URL that did not answer its HEAD.
func test(t *testing.T) providers.Request {
	r := request(t, batch())
	signAsDocumented(&r, "test-webhook", hookURL)
	return r
}

func TestConforms(t *testing.T) {
	ok := providers.Response{Status: http.StatusOK}
	providertest.Exercise(t, providertest.Suite{
		Provider:         open(t, mandrill.Settings{}),
		Request:          func() providers.Request { return request(t, batch(sent, opened, rejected, received)) },
		Oracle:           func(r *providers.Request, secret string) { signAsDocumented(r, secret, hookURL) },
		SignatureHeaders: []string{"X-Mandrill-Signature"},
		Malformed: map[string]string{
			"an empty body":                    "",
			"JSON":                             `{"mandrill_events": []}`,
			"a form with bad escapes":          "mandrill_events=%zz",
			"the events twice":                 batch(sent) + "&" + batch(opened),
			"events under another name":        strings.Replace(batch(sent), "mandrill_events", "mandrill_event", 1),
			"an event without an array":        url.Values{"mandrill_events": {sent}}.Encode(),
			"null instead of an array":         "mandrill_events=null",
			"half an array":                    url.Values{"mandrill_events": {"[" + sent}}.Encode(),
			"two arrays":                       url.Values{"mandrill_events": {"[][]"}}.Encode(),
			"an array that breaks out":         url.Values{"mandrill_events": {`[], "x": [` + sent + `]`}}.Encode(),
			"an element that is no object":     batch(sent, `"send"`),
			"a name twice in an element":       batch(`{"event": "send", "event": "open", "ts": 1, "_id": "a"}`),
			"text that is no UTF-8":            batch(`{"event": "send", "ts": 1, "_id": "a", "x": "` + "\xff" + `"}`),
			"an event without a time":          batch(strings.Replace(sent, `"ts"`, `"t"`, 1)),
			"an event in no time":              batch(strings.Replace(sent, "1767323045", "-1", 1)),
			"a time that is text":              batch(strings.Replace(sent, "1767323045", `"now"`, 1)),
			"an event without its message":     batch(strings.Replace(sent, `"_id"`, `"id"`, 1)),
			"a message that leads elsewhere":   batch(strings.Replace(sent, sentTo, "../x", 1)),
			"an event that is no name":         batch(strings.Replace(sent, `"send"`, `"a b"`, 1)),
			"an element that says nothing":     batch(`{"ts": 1767323045}`),
			"a list without what was done":     batch(strings.Replace(rejected, `"action"`, `"x"`, 1)),
			"one bad element among good ones":  batch(sent, `{}`, opened),
			"a list whose action is not plain": batch(strings.Replace(rejected, `"add"`, `"add-it"`, 1)),
		},
		Probes: map[string]providertest.Handshake{
			"the HEAD of a new webhook's URL": {
				Request: func() providers.Request { return providers.Request{Method: http.MethodHead} }, Want: ok,
			},
			"the test of a new webhook's URL": {Request: func() providers.Request { return test(t) }, Want: ok},
		},
		Fetch: fetchSuite(),
	})
}

func TestImports(t *testing.T) {
	providertest.CheckImports(t, deptest.Rule{})
}

// The signature was computed with another tool than this code: openssl.
func TestVerifyAcceptsASignatureMadeElsewhere(t *testing.T) {
	r := request(t, "mandrill_events=%5B%5D")
	r.Header.Set("X-Mandrill-Signature", "FlWRICQLtSydFWE/pmfWDyYieUk=")
	p := open(t, mandrill.Settings{URL: "https://example.com/hooks/mandrill"})
	require.NoError(t, p.Verify(r, providers.Secrets{"test-key"}))
}

func TestNothingIsAcceptedUnderTheKeyThatEverybodyKnows(t *testing.T) {
	p := open(t, mandrill.Settings{})
	known := providers.Secrets{"test-webhook"}
	for _, body := range []string{batch(), batch(sent)} {
		r := request(t, body)
		signAsDocumented(&r, "test-webhook", hookURL)
		require.ErrorIs(t, p.Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated)
		require.ErrorIs(t, p.Verify(r, known), providers.ErrUnauthenticated, "not even if somebody made it a secret")
		require.Error(t, p.Sign(&r, known))
	}
}

func TestOnlyAnEmptyArrayUnderTheTestKeyIsATest(t *testing.T) {
	p := open(t, mandrill.Settings{})
	for name, body := range map[string]string{
		"an event": batch(sent), "another field": "mandrill_event=%5B%5D", "no array": "mandrill_events=", "much space": "mandrill_events=[" + strings.Repeat("+", 300) + "]",
	} {
		t.Run(name+" is none", func(t *testing.T) {
			r := request(t, body)
			signAsDocumented(&r, "test-webhook", hookURL)
			_, ok := p.Probe(r)
			require.False(t, ok)
		})
	}
	t.Run("without the signature it is none", func(t *testing.T) {
		r := request(t, batch())
		_, ok := p.Probe(r)
		require.False(t, ok)
		signAsDocumented(&r, secret, hookURL)
		_, ok = p.Probe(r)
		require.False(t, ok, "under a real key it is verified as any other request")
	})
	t.Run("for another URL it is none", func(t *testing.T) {
		r := request(t, batch())
		signAsDocumented(&r, "test-webhook", "https://evil.example/")
		_, ok := p.Probe(r)
		require.False(t, ok)
	})
	t.Run("as another method it is none", func(t *testing.T) {
		r := test(t)
		r.Method = http.MethodPut
		_, ok := p.Probe(r)
		require.False(t, ok)
	})
}

func TestNoEventsUnderARealKeyAreNoEvents(t *testing.T) {
	p := open(t, mandrill.Settings{})
	r := request(t, batch())
	signAsDocumented(&r, secret, hookURL)
	require.NoError(t, p.Verify(r, providers.Secrets{secret}))
	events, err := p.Events(r)
	require.NoError(t, err)
	require.Empty(t, events)
}

func TestTheURLIsSignedAsItWasEntered(t *testing.T) {
	for _, entered := range []string{
		"https://hooks.example.com/webhooks/mandrill/", "http://hooks.example.com/webhooks/mandrill?x=1",
		"https://HOOKS.example.com:443/webhooks/mandrill?x=1", "https://proxy.example.com/a%2Fb?key=1&key=2",
	} {
		r := request(t, batch(sent))
		signAsDocumented(&r, secret, entered)
		require.NoError(t, open(t, mandrill.Settings{URL: entered}).Verify(r, providers.Secrets{secret}), entered)
		require.ErrorIs(t, open(t, mandrill.Settings{}).Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated, entered)

		ours := request(t, batch(sent))
		require.NoError(t, open(t, mandrill.Settings{URL: entered}).Sign(&ours, providers.Secrets{secret}))
		require.Equal(t, r.Header, ours.Header)
	}
	t.Run("and must be known", func(t *testing.T) {
		r := request(t, batch(sent))
		r.URL = nil
		require.Error(t, open(t, mandrill.Settings{}).Sign(&r, providers.Secrets{secret}))
		require.ErrorIs(t, open(t, mandrill.Settings{}).Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated)
	})
}

func TestFieldsToComeAreSignedInTheOrderOfTheirNames(t *testing.T) {
	r := request(t, "zz=1&"+batch(sent)+"&aa=2")
	signAsDocumented(&r, secret, hookURL)
	p := open(t, mandrill.Settings{})
	require.NoError(t, p.Verify(r, providers.Secrets{secret}))
	r.Body = []byte("aa=2&" + batch(sent) + "&zz=1")
	require.NoError(t, p.Verify(r, providers.Secrets{secret}), "their order in the body is not signed")
	r.Body = []byte(batch(sent) + "&zz=1")
	require.ErrorIs(t, p.Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated)
}

// Names and values are signed without anything between them.
func TestMovingTheEndOfANameYieldsNoEvents(t *testing.T) {
	p := open(t, mandrill.Settings{})
	genuine := request(t, batch(sent))
	signAsDocumented(&genuine, secret, hookURL)
	whole := "mandrill_events" + "[" + sent + "]"
	for end := 1; end < len(whole); end++ {
		if end == len("mandrill_events") {
			continue
		}
		r := genuine
		r.Body = []byte(url.Values{whole[:end]: {whole[end:]}}.Encode())
		require.NoError(t, p.Verify(r, providers.Secrets{secret}), "the test moves nothing")
		_, err := p.Events(r)
		require.ErrorIs(t, err, providers.ErrMalformed)
	}
}

func TestASettingSaysWhatIsWrongWithIt(t *testing.T) {
	for _, wrong := range []string{"hooks.example.com", "/webhooks/mandrill", "ftp://hooks.example.com/", "https://", "https://user:hunter2@%zz/"} {
		_, err := mandrill.New(providers.APIConfig{}, mandrill.Settings{URL: wrong})
		var setting *providers.SettingError
		require.ErrorAs(t, err, &setting, wrong)
		require.Equal(t, "url", setting.Field)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func FuzzVerify(f *testing.F) {
	genuine := request(f, batch(sent))
	signAsDocumented(&genuine, secret, hookURL)
	header := genuine.Header.Get("X-Mandrill-Signature")
	f.Add(header, genuine.Body)
	f.Add(header, []byte("zz=&"+batch(sent)))
	f.Add("", []byte(batch()))
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAA=", []byte("%"))
	p := open(f, mandrill.Settings{})
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		r := request(t, string(body))
		require.Error(t, p.Verify(r, providers.Secrets{secret}), "accepted without a signature")
		r.Header.Set("X-Mandrill-Signature", header)
		if _, test := p.Probe(r); test {
			_, err := p.Events(r)
			require.NoError(t, err, "a test has an array")
		}
		if p.Verify(r, providers.Secrets{secret}) != nil {
			return
		}
		// Nobody but the holder of the secret can make other events verify.
		if events, err := p.Events(r); err == nil && len(events) > 0 {
			want, err := p.Events(genuine)
			require.NoError(t, err)
			require.Equal(t, want, events)
		}
	})
}

func BenchmarkVerifyAndEvents(b *testing.B) {
	var events []string
	for i := range 6 {
		events = append(events, fmt.Sprintf(
			`{"event": "click", "ts": %d, "_id": "%032x", "url": "https://example.com/%d", "ip": "192.0.2.1", "msg": {"state": "sent", "subject": "%s"}}`,
			1767323045+i, i, i, strings.Repeat("words ", 12)))
	}
	r := request(b, batch(events...))
	r.ReceivedAt = time.Now()
	p, secrets := open(b, mandrill.Settings{}), providers.Secrets{secret}
	if err := p.Sign(&r, secrets); err != nil {
		b.Fatal(err)
	}
	providertest.Benchmark(b, p, r, secrets)
}
