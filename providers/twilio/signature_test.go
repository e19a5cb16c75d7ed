package twilio_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	sdk "github.com/twilio/twilio-go/client"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
)

func verify(t testing.TB, r providers.Request, secrets ...string) error {
	t.Helper()
	return open(t).Verify(r, secrets)
}

// signed signs as the documentation says.
func signed(r providers.Request) providers.Request {
	r.Header = r.Header.Clone()
	signAsDocumented(&r, secret)
	return r
}

// sdkAccepts asks Twilio's library.
func sdkAccepts(r providers.Request, secret string) bool {
	validator := sdk.NewRequestValidator(secret)
	signature := r.Header.Get("X-Twilio-Signature")
	if r.Method == http.MethodGet {
		return validator.Validate(r.URL.String(), nil, signature)
	}
	return validator.ValidateBody(r.URL.String(), r.Body, signature)
}

// genuine are requests of all forms.
func genuine() map[string]providers.Request {
	return map[string]providers.Request{
		"a form":                        request(delivered),
		"a form at a URL with a query":  at(endpoint+"?order=5&x=a%20b+c&y", request(completed)),
		"a form with blanks and empty":  request("B=+x+&A=&C=%F0%9F%98%80%26%3D&b=lower"),
		"a path with escapes":           at("https://hooks.example.com/we%2Fb/%C3%BC/twilio", request(delivered)),
		"a URL with a port of its own":  at("https://hooks.example.com:8443/webhooks/twilio", request(delivered)),
		"a URL with the port of https":  at("https://hooks.example.com:443/webhooks/twilio", request(delivered)),
		"plain HTTP":                    at("http://hooks.example.com/webhooks/twilio", request(delivered)),
		"JSON":                          jsonRequest(document),
		"JSON at a URL with a query":    at(endpoint+"?order=5", jsonRequest(document)),
		"a GET":                         getRequest(delivered),
		"a GET with parameters of ours": getRequest("order=5&" + completed),
		"a GET without parameters":      at(endpoint, getRequest("")),
	}
}

func TestTwiliosLibraryAcceptsWhatSignSigns(t *testing.T) {
	for name, r := range genuine() {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, open(t).Sign(&r, providers.Secrets{secret}))
			require.True(t, sdkAccepts(r, secret))
			require.False(t, sdkAccepts(r, secret+"x"))
			require.NoError(t, verify(t, r, secret))
		})
	}
}

func TestVerifyAgreesWithTwiliosLibrary(t *testing.T) {
	for name, r := range genuine() {
		r := signed(r)
		for change, alter := range map[string]func(*providers.Request){
			"as it is":            func(*providers.Request) {},
			"another value":       func(r *providers.Request) { r.Body = append(r.Body, 'x') },
			"a further parameter": func(r *providers.Request) { r.Body = append(r.Body, "&Z=1"...) },
			"another query":       func(r *providers.Request) { r.URL.RawQuery += "&a=1" },
			"another path":        func(r *providers.Request) { r.URL = r.URL.JoinPath("x") },
			"another host":        func(r *providers.Request) { r.URL.Host = "evil.example" },
			"a slash at the end":  func(r *providers.Request) { r.URL = r.URL.JoinPath("/") },
			"another scheme": func(r *providers.Request) {
				r.URL.Scheme = map[string]string{"http": "https", "https": "http"}[r.URL.Scheme]
			},
			"the path in capitals": func(r *providers.Request) { r.URL.Path, r.URL.RawPath = strings.ToUpper(r.URL.Path), "" },
			"a port":               func(r *providers.Request) { r.URL.Host = r.URL.Hostname() + ":443" },
			"an odd port":          func(r *providers.Request) { r.URL.Host = r.URL.Hostname() + ":8443" },
			"no port":              func(r *providers.Request) { r.URL.Host = r.URL.Hostname() },
		} {
			t.Run(name+", "+change, func(t *testing.T) {
				copied, address := r, *r.URL
				copied.URL, copied.Body = &address, append([]byte(nil), r.Body...)
				alter(&copied)
				if copied.Method == http.MethodGet && len(copied.Body) > 0 {
					t.Skip("the library is not asked about the body of a GET")
				}
				require.Equal(t, sdkAccepts(copied, secret), verify(t, copied, secret) == nil)
			})
		}
	}
}

// Twilio's libraries for other languages sign every distinct value; the one for Go
// takes the first alone. The signatures are those of npm twilio 6.2.0.
func TestVerifyReadsRepeatedParametersAsTwiliosLibrariesDo(t *testing.T) {
	const (
		body = "Tag=b&AccountSid=AC00000000000000000000000000000001&Tag=a&Tag=b&MessageStatus=sent&Tag=Z&Tag=&Empty=" +
			"&MessageSid=SM00000000000000000000000000000002&Note=+a%2Bb%2F%C3%BC%F0%9F%98%80+"
		signature = "UIGMQ/5AcdIx/dY+6UandaREunI="
		withPort  = "Rgqt/54Xn65H79gxmQ8BrAffMRs="
	)
	r := at(endpoint+"?order=5", request(body))
	for _, s := range []string{signature, withPort} {
		r.Header.Set("X-Twilio-Signature", s)
		require.NoError(t, verify(t, r, "12345"))
	}
	require.False(t, sdkAccepts(r, "12345"), "the library for Go has learned it: let it be the oracle")

	r.Body = []byte(strings.Replace(body, "Tag=Z&", "", 1))
	require.ErrorIs(t, verify(t, r, "12345"), providers.ErrUnauthenticated)

	r.Body = []byte(body)
	require.NoError(t, open(t).Sign(&r, providers.Secrets{"12345"}))
	require.Equal(t, signature, r.Header.Get("X-Twilio-Signature"))
}

func TestVerifyTriesTheURLWithAndWithoutItsPort(t *testing.T) {
	for name, c := range map[string]struct {
		ours, signed string
		accepted     bool
	}{
		"the port of https is added":       {"https://a.example/w", "https://a.example:443/w", true},
		"the port of http is added":        {"http://a.example/w", "http://a.example:80/w", true},
		"the port of the other is not":     {"https://a.example/w", "https://a.example:80/w", false},
		"the port of https is removed":     {"https://a.example:443/w", "https://a.example/w", true},
		"an odd port is removed":           {"https://a.example:8443/w", "https://a.example/w", true},
		"an odd port is kept":              {"https://a.example:8443/w", "https://a.example:8443/w", true},
		"an odd port is not made up":       {"https://a.example/w", "https://a.example:8443/w", false},
		"an odd port is no other":          {"https://a.example:8443/w", "https://a.example:443/w", false},
		"the port of an IPv6 address":      {"https://[2001:db8::1]:8443/w", "https://[2001:db8::1]/w", true},
		"an IPv6 address has no port":      {"https://[2001:db8::1]/w", "https://[2001:db8::1]:443/w", true},
		"userinfo is not signed":           {"https://me:pw@a.example/w", "https://a.example/w", true},
		"a fragment is not signed":         {"https://a.example/w#rc=2", "https://a.example/w", true},
		"the query is signed as it stands": {"https://a.example/w?b=2&a=%7E1", "https://a.example/w?b=2&a=%7E1", true},
		"and not in another spelling":      {"https://a.example/w?b=2&a=%7E1", "https://a.example/w?b=2&a=~1", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := at(c.ours, request(delivered))
			signAs(&r, c.signed, secret)
			err := verify(t, r, secret)
			if c.accepted {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, providers.ErrUnauthenticated)
			}
		})
	}
}

func TestVerifyBindsABodyThatIsNoFormToTheURL(t *testing.T) {
	r := signed(jsonRequest(document))
	require.NoError(t, verify(t, r, secret))

	t.Run("another body is refused", func(t *testing.T) {
		other := r
		other.Body = []byte(strings.Replace(document, "delivered", "failed", 1))
		require.ErrorIs(t, verify(t, other, secret), providers.ErrUnauthenticated)
	})
	t.Run("another hash is refused", func(t *testing.T) {
		body := []byte(strings.Replace(document, "delivered", "failed", 1))
		forged := signed(jsonRequest(string(body)))
		forged.Header = r.Header
		require.ErrorIs(t, verify(t, forged, secret), providers.ErrUnauthenticated)
	})
	t.Run("a body without a hash is refused", func(t *testing.T) {
		bare := jsonRequest(document)
		signAs(&bare, endpoint, secret)
		require.ErrorContains(t, verify(t, bare, secret), "no bodySHA256 in the URL")
	})
	t.Run("a body of an unknown type is refused", func(t *testing.T) {
		bare := request(delivered)
		bare.Header.Del("Content-Type")
		signAs(&bare, endpoint, secret)
		require.ErrorIs(t, verify(t, bare, secret), providers.ErrUnauthenticated)
	})
	t.Run("two hashes are refused", func(t *testing.T) {
		twice := r
		u := *r.URL
		u.RawQuery += "&bodySHA256=00"
		twice.URL, twice.Header = &u, r.Header.Clone()
		signAs(&twice, u.String(), secret)
		require.ErrorIs(t, verify(t, twice, secret), providers.ErrUnauthenticated)
	})
	t.Run("an empty hash is none", func(t *testing.T) {
		empty := at(endpoint+"?bodySHA256=", jsonRequest(document))
		signAs(&empty, empty.URL.String(), secret)
		require.ErrorIs(t, verify(t, empty, secret), providers.ErrUnauthenticated)
	})
	t.Run("a form with a hash is judged by it", func(t *testing.T) {
		form := signed(at(r.URL.String(), request(document)))
		form.Header.Set("X-Twilio-Signature", r.Header.Get("X-Twilio-Signature"))
		require.NoError(t, verify(t, form, secret))
		form.Body = []byte(delivered)
		require.ErrorIs(t, verify(t, form, secret), providers.ErrUnauthenticated)
	})
	t.Run("Sign puts the hash in the place of an old one", func(t *testing.T) {
		again := at(endpoint+"?a=1&bodySHA256=00&b=2", jsonRequest(document))
		require.NoError(t, open(t).Sign(&again, providers.Secrets{secret}))
		require.Equal(t, "a=1&b=2&bodySHA256="+r.URL.Query().Get("bodySHA256"), again.URL.RawQuery)
		require.NoError(t, verify(t, again, secret))
	})
}

// Nothing is signed of a GET but its URL, and nothing may be in its body.
func TestVerifyRefusesAGETWithAnUnsignedBody(t *testing.T) {
	r := signed(getRequest(delivered))
	require.NoError(t, verify(t, r, secret))
	r.Body = []byte(completed)
	require.ErrorIs(t, verify(t, r, secret), providers.ErrUnauthenticated)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	require.ErrorIs(t, verify(t, r, secret), providers.ErrUnauthenticated)
}

func TestVerifyTellsTheOperatorWhyNothingFits(t *testing.T) {
	forged := request(delivered)
	signAsDocumented(&forged, "another secret")
	withoutURL := signed(request(delivered))
	withoutURL.URL = nil
	unreadable := signed(request(delivered + "&x=%zz"))
	for _, c := range []struct {
		request providers.Request
		secrets providers.Secrets
		want    string
	}{
		{request(delivered), providers.Secrets{secret}, "the header X-Twilio-Signature is missing"},
		{forged, providers.Secrets{secret}, "the signature does not fit the secret and our URL"},
		{forged, providers.Secrets{secret, "old"}, "the signature fits none of the 2 secrets and our URL"},
		{withoutURL, providers.Secrets{secret}, "the request has no URL"},
		{unreadable, providers.Secrets{secret}, "unreadable form"},
	} {
		err := open(t).Verify(c.request, c.secrets)
		require.ErrorIs(t, err, providers.ErrUnauthenticated)
		require.ErrorContains(t, err, c.want)
	}
	require.Error(t, open(t).Sign(&withoutURL, providers.Secrets{secret}))
	require.Error(t, open(t).Sign(&unreadable, providers.Secrets{secret}))
}

func FuzzVerify(f *testing.F) {
	for _, r := range genuine() {
		r = signed(r)
		f.Add(r.Header.Get("Content-Type"), r.URL.RawQuery, r.Body, r.Header.Get("X-Twilio-Signature"))
	}
	f.Add("", "bodySHA256=", []byte("x"), "=")
	known := map[string]bool{}
	for _, r := range genuine() {
		r = signed(r)
		known[r.Header.Get("X-Twilio-Signature")] = true
	}
	p := open(f)
	f.Fuzz(func(t *testing.T, media, query string, body []byte, signature string) {
		r := request(string(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", media)
		r.Header.Set("X-Twilio-Signature", signature)
		if err := p.Verify(r, providers.Secrets{secret}); err != nil {
			require.ErrorIs(t, err, providers.ErrUnauthenticated)
			return
		}
		// Nobody but the holder of the secret can make a signature: it is one of ours.
		require.True(t, known[signature])
	})
}

// FuzzSign checks that what Sign signs is accepted, and by Twilio's library too
// where no parameter has two values.
func FuzzSign(f *testing.F) {
	for _, r := range genuine() {
		f.Add(r.Header.Get("Content-Type"), r.URL.RawQuery, r.Body)
	}
	p := open(f)
	f.Fuzz(func(t *testing.T, media, query string, body []byte) {
		r := request(string(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", media)
		if p.Sign(&r, providers.Secrets{secret}) != nil {
			return // a form that cannot be read, or a hash in the URL that is not the body's
		}
		require.NoError(t, p.Verify(r, providers.Secrets{secret}))
		require.ErrorIs(t, p.Verify(r, providers.Secrets{secret + "x"}), providers.ErrUnauthenticated)
		form, _ := url.ParseQuery(string(body))
		for _, values := range form {
			if len(values) > 1 {
				return
			}
		}
		// A query with a # in it comes with no request: written down, it is a fragment,
		// and that is what the library reads.
		if again, err := url.Parse(r.URL.String()); err == nil && again.RawQuery == r.URL.RawQuery {
			require.True(t, sdkAccepts(r, secret))
		}
	})
}

func BenchmarkVerifyAndEvents(b *testing.B) {
	body := delivered + "&Body=" + strings.Repeat("lorem+ipsum%2C+", 120)
	r := signed(request(body))
	p := open(b)
	providertest.Benchmark(b, p, r, providers.Secrets{secret})
}
