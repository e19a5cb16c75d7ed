package mailchimp_test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/mailchimp"
	"github.com/surehook/surehook/providers/providertest"
)

const (
	secret = "mc_test_signing_secret"
	list   = "a6b5da1054"
)

// open returns a provider for tests that call no API.
func open(t testing.TB, unsigned bool) *mailchimp.Provider {
	t.Helper()
	p, err := mailchimp.New(providers.APIConfig{}, mailchimp.Settings{Unsigned: unsigned})
	require.NoError(t, err)
	return p
}

// subscribe is the documented form of a new member.
func subscribe() url.Values {
	return url.Values{
		"type":                {"subscribe"},
		"fired_at":            {"2026-01-02 03:04:05"},
		"data[id]":            {"8a25ff1d98"},
		"data[list_id]":       {list},
		"data[email]":         {"Ada@Example.com"},
		"data[email_type]":    {"html"},
		"data[merges][EMAIL]": {"Ada@Example.com"},
		"data[merges][FNAME]": {"Ada"},
		"data[merges][ADDRESS][city]": {
			"Zürich",
		},
	}
}

// with returns the form with one field changed, or without it.
func with(form url.Values, field string, values ...string) url.Values {
	form.Del(field)
	if len(values) > 0 {
		form[field] = values
	}
	return form
}

// hashOf names a member as Mailchimp does, within the tests' audience.
func hashOf(email string) string {
	return fmt.Sprintf("%s/%x", list, md5.Sum([]byte(email)))
}

// request is one with the form, as Mailchimp sends it but unsigned.
func request(body string) providers.Request {
	h := http.Header{}
	h.Set("Content-Type", "application/x-www-form-urlencoded")
	h.Set("User-Agent", "MailChimp")
	return providers.Request{
		Method:     http.MethodPost,
		URL:        &url.URL{Scheme: "https", Host: "hooks.example.com", Path: "/webhooks/mailchimp"},
		Header:     h,
		Body:       []byte(body),
		ReceivedAt: time.Unix(1767323046, 0),
	}
}

// signAsDocumented is Mailchimp's guide in code.
func signAsDocumented(r *providers.Request, secret string) {
	t := fmt.Sprint(r.ReceivedAt.Unix())
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "." + string(r.Body)))
	r.Header.Set("X-Mailchimp-Signature", fmt.Sprintf("t=%s,v1=%x", t, mac.Sum(nil)))
}

func check(method string) func() providers.Request {
	return func() providers.Request {
		return providers.Request{Method: method, Header: http.Header{"User-Agent": {"MailChimp.com WebHook Validator"}}}
	}
}

func TestConforms(t *testing.T) {
	ok := providers.Response{Status: http.StatusOK}
	providertest.Exercise(t, providertest.Suite{
		Provider:         open(t, false),
		Request:          func() providers.Request { return request(subscribe().Encode()) },
		Oracle:           signAsDocumented,
		SignatureHeaders: []string{"X-Mailchimp-Signature"},
		Tolerance:        300 * time.Second,
		Malformed: map[string]string{
			"an empty body":                      "",
			"JSON":                               `{"type": "subscribe"}`,
			"a form with bad escapes":            "type=subscribe&fired_at=%zz",
			"a form with semicolons":             "type=subscribe;fired_at=2026-01-02+03:04:05",
			"a form without a type":              with(subscribe(), "type").Encode(),
			"a type that is no name":             with(subscribe(), "type", "sub scribe").Encode(),
			"two types":                          with(subscribe(), "type", "subscribe", "unsubscribe").Encode(),
			"an address twice":                   with(subscribe(), "data[email]", "a@example.com", "b@example.com").Encode(),
			"a member without an address":        with(subscribe(), "data[email]").Encode(),
			"a member without an audience":       with(subscribe(), "data[list_id]").Encode(),
			"an audience that leads elsewhere":   with(subscribe(), "data[list_id]", "../x").Encode(),
			"an id that is none":                 with(subscribe(), "data[id]", "a b").Encode(),
			"no time":                            with(subscribe(), "fired_at").Encode(),
			"a time in another form":             with(subscribe(), "fired_at", "2026-01-02T03:04:05Z").Encode(),
			"a name that is text and object":     with(subscribe(), "data[merges]", "x").Encode(),
			"a name without an end":              with(subscribe(), "data[merges", "x").Encode(),
			"names that nest too deep":           with(subscribe(), "data"+strings.Repeat("[x]", 9), "x").Encode(),
			"text that is no UTF-8":              with(subscribe(), "data[merges][FNAME]", "\xff").Encode(),
			"a campaign without an id":           with(with(subscribe(), "type", "campaign"), "data[id]").Encode(),
			"a change without the new address":   with(upemail("a@example.com", "b@example.com"), "data[new_email]").Encode(),
			"a change without the former one":    with(upemail("a@example.com", "b@example.com"), "data[old_email]").Encode(),
			"a change whose new id leads abroad": with(upemail("a@example.com", "b@example.com"), "data[new_id]", "x/y").Encode(),
		},
		Handshake: &providertest.Handshake{Request: check(http.MethodGet), Want: ok},
		Probes: map[string]providertest.Handshake{
			"the check of a new webhook's URL": {Request: check(http.MethodGet), Want: ok},
			"a HEAD":                           {Request: check(http.MethodHead), Want: ok},
		},
		Fetch: fetchSuite(),
		List:  listSuite(),
	})
}

func TestImports(t *testing.T) {
	providertest.CheckImports(t, deptest.Rule{})
}

// The signature was computed with another tool than this code: openssl.
func TestVerifyAcceptsASignatureMadeElsewhere(t *testing.T) {
	r := request("type=unsubscribe&fired_at=2026-01-02+03%3A04%3A05&data%5Bid%5D=8a25ff1d98&data%5Blist_id%5D=a6b5da1054&data%5Bemail%5D=ada%40example.com")
	r.Header.Set("X-Mailchimp-Signature", "t=1718000000,v1=8ca779f72dec17326a16eb3b6e7650b235c171b221d96ad159fe1b5b92c2a915")
	r.ReceivedAt = time.Unix(1718000000, 0)
	require.NoError(t, open(t, false).Verify(r, providers.Secrets{secret}))
}

// signed returns a signed request and its signature in hex.
func signed(t *testing.T) (r providers.Request, right string) {
	t.Helper()
	r = request(subscribe().Encode())
	signAsDocumented(&r, secret)
	_, right, found := strings.Cut(r.Header.Get("X-Mailchimp-Signature"), "v1=")
	require.True(t, found)
	return r, right
}

func TestVerifyReadsTheHeaderAsDocumented(t *testing.T) {
	r, right := signed(t)
	wrong := strings.Repeat("0", 64)
	verify := func(header string) error {
		r.Header.Set("X-Mailchimp-Signature", header)
		return open(t, false).Verify(r, providers.Secrets{secret})
	}
	for name, header := range map[string]string{
		"the right one first":                 "t=1767323046,v1=" + right + ",v1=" + wrong,
		"the right one last":                  "t=1767323046,v1=" + wrong + ",v1=" + right,
		"a scheme to come":                    "t=1767323046,v2=abc=def,v1=" + right,
		"blanks after the commas":             "t=1767323046, v1=" + right,
		"the time last":                       "v1=" + right + ",t=1767323046",
		"as many signatures as are looked at": "t=1767323046" + strings.Repeat(",v1="+wrong, 15) + ",v1=" + right,
	} {
		t.Run(name+" is accepted", func(t *testing.T) { require.NoError(t, verify(header)) })
	}
	for name, header := range map[string]string{
		"the right signature as v2":       "t=1767323046,v2=" + right,
		"a time twice":                    "t=1767323046,t=1767323046,v1=" + right,
		"no time":                         "v1=" + right,
		"a time with a sign":              "t=+1767323046,v1=" + right,
		"a time with a leading zero":      "t=01767323046,v1=" + right,
		"a comma too many":                "t=1767323046,v1=" + right + ",",
		"more signatures than we look at": "t=1767323046" + strings.Repeat(",v1="+wrong, 16) + ",v1=" + right,
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			require.ErrorIs(t, verify(header), providers.ErrUnauthenticated)
		})
	}
}

const token = "9b1c4f2e7a6d4b0c8e3f5a7192d6c0e4"

func TestASourceTakesUnsignedRequestsOnlyWhenItSaysSo(t *testing.T) {
	r := request(subscribe().Encode())
	r.PathToken = token
	require.NoError(t, open(t, true).Verify(r, providers.Secrets{token}))
	err := open(t, false).Verify(r, providers.Secrets{token})
	require.ErrorIs(t, err, providers.ErrUnauthenticated)
	require.NotErrorIs(t, err, providers.ErrNoSuchPath, "the sender is told 401: the path has nothing to do with it")
}

func TestAnUnsignedRequestNeedsOneOfTheSecretsInItsPath(t *testing.T) {
	p := open(t, true)
	r := request(subscribe().Encode())
	for _, right := range []providers.Secrets{{token}, {secret, token}, {token, secret}} {
		r.PathToken = token
		require.NoError(t, p.Verify(r, right))
	}
	for name, wrong := range map[string]string{
		"missing": "", "half": token[:16], "longer": token + "0", "in capitals": strings.ToUpper(token), "another": secret + "x",
	} {
		t.Run(name+" is refused as no such path", func(t *testing.T) {
			r.PathToken = wrong
			err := p.Verify(r, providers.Secrets{secret, token, ""})
			require.ErrorIs(t, err, providers.ErrNoSuchPath)
			require.ErrorIs(t, err, providers.ErrUnauthenticated)
			require.NotContains(t, err.Error(), token)
		})
	}
	t.Run("no secret at all lets nobody in", func(t *testing.T) {
		r.PathToken = ""
		require.ErrorIs(t, p.Verify(r, nil), providers.ErrNoSuchPath)
		require.ErrorIs(t, p.Verify(r, providers.Secrets{""}), providers.ErrNoSuchPath)
	})
}

func TestARequestWithASignatureIsNotSavedByItsPath(t *testing.T) {
	p := open(t, true)
	for _, header := range []string{"", "t=1767323046,v1=00", "nonsense"} {
		r := request(subscribe().Encode())
		r.PathToken = token
		r.Header.Set("X-Mailchimp-Signature", header)
		err := p.Verify(r, providers.Secrets{token})
		require.ErrorIs(t, err, providers.ErrUnauthenticated)
		require.NotErrorIs(t, err, providers.ErrNoSuchPath)
	}
	t.Run("nor when it is stale", func(t *testing.T) {
		r, _ := signed(t)
		r.PathToken = token
		r.ReceivedAt = r.ReceivedAt.Add(301 * time.Second)
		require.ErrorIs(t, p.Verify(r, providers.Secrets{secret, token}), providers.ErrStale)
	})
	t.Run("and a right signature needs no path", func(t *testing.T) {
		r, _ := signed(t)
		require.NoError(t, p.Verify(r, providers.Secrets{token, secret}))
	})
}

func TestSignPutsTheSecretIntoTheURLWhereThatIsTheProof(t *testing.T) {
	p := open(t, true)
	r := request(subscribe().Encode())
	target := r.URL
	for range 2 { // signing again adds nothing
		require.NoError(t, p.Sign(&r, providers.Secrets{token, secret}))
		require.Equal(t, "https://hooks.example.com/webhooks/mailchimp/"+token, r.URL.String())
		require.Empty(t, r.Header.Values("X-Mailchimp-Signature"))
		require.NoError(t, p.Verify(r, providers.Secrets{token}))
	}
	require.Equal(t, "/webhooks/mailchimp", target.Path, "the caller's URL is not changed")
	require.Error(t, p.Sign(&r, nil))
}

func TestTheCheckOfAnUnsignedWebhooksURLNeedsItsSecret(t *testing.T) {
	p := open(t, true)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r := check(method)()
		_, probe := p.Probe(r)
		require.False(t, probe, "anybody could learn that the source exists")
		require.ErrorIs(t, p.Verify(r, providers.Secrets{token}), providers.ErrNoSuchPath)

		r.PathToken = token
		require.NoError(t, p.Verify(r, providers.Secrets{token}))
		answer, ok := p.Handshake(r)
		require.True(t, ok)
		require.Equal(t, providers.Response{Status: http.StatusOK}, answer)
	}
}

func TestTheURLMayKeepItsSecretWhenSigningBegins(t *testing.T) {
	for _, unsigned := range []bool{false, true} {
		p := open(t, unsigned)
		require.Equal(t, providers.Endpoint{Methods: []string{"GET", "HEAD"}, PathToken: true}, p.Endpoint())
		r, _ := signed(t)
		r.PathToken = token
		require.NoError(t, p.Verify(r, providers.Secrets{secret}))
	}
}

func FuzzVerify(f *testing.F) {
	genuine := request(subscribe().Encode())
	signAsDocumented(&genuine, secret)
	header := genuine.Header.Get("X-Mailchimp-Signature")
	for _, h := range []string{header, "", "t=1,v1=00", "t=,v1=", "v1=,t=", ",,,", strings.Replace(header, "v1", "v2", 1)} {
		f.Add(h, genuine.Body, "")
		f.Add(h, []byte("type=profile"), token)
	}
	strict, lenient := open(f, false), open(f, true)
	f.Fuzz(func(t *testing.T, header string, body []byte, path string) {
		r := request(string(body))
		r.PathToken = path
		if strict.Verify(r, providers.Secrets{secret, token}) == nil {
			t.Fatal("accepted without a signature")
		}
		require.Equal(t, path == token || path == secret, lenient.Verify(r, providers.Secrets{secret, token}) == nil)

		r.Header.Set("X-Mailchimp-Signature", header)
		for _, p := range []*mailchimp.Provider{strict, lenient} {
			if p.Verify(r, providers.Secrets{secret, token}) == nil {
				// Nobody but the holder of the secret can make a header that verifies.
				require.Equal(t, string(genuine.Body), string(body))
			}
		}
	})
}

func BenchmarkVerifyAndEvents(b *testing.B) {
	form := subscribe()
	for i := range 20 {
		form.Set(fmt.Sprintf("data[merges][FIELD%d]", i), strings.Repeat("some text ", 6))
	}
	r := request(form.Encode())
	p, secrets := open(b, false), providers.Secrets{secret}
	if err := p.Sign(&r, secrets); err != nil {
		b.Fatal(err)
	}
	providertest.Benchmark(b, p, r, secrets)
}
