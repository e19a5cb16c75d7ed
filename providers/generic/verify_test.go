package generic_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"hash"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/generic"
)

// named is the least that an event needs.
var named = generic.Event{ID: generic.Value{"json:id"}, Type: generic.Value{"const:x"}}

// declaring opens a platform that only verifies.
func declaring(t testing.TB, v generic.Verify) *generic.Provider {
	t.Helper()
	return open(t, generic.Settings{Verify: v, Event: named})
}

// published declares platforms whose signed requests were published.
var published = map[string]generic.Verify{
	"stripe": {
		Scheme:    "hmac-sha256",
		Signed:    "{timestamp}.{body}",
		Signature: generic.Signature{Header: "Stripe-Signature", Prefix: "v1=", Separator: ","},
		Timestamp: generic.Timestamp{Prefix: "t="},
	},
	"github": {Scheme: "hmac-sha256", Signature: generic.Signature{Header: "X-Hub-Signature-256", Prefix: "sha256="}},
	"jira":   {Scheme: "hmac-sha256", Signature: generic.Signature{Header: "X-Hub-Signature", Prefix: "sha256="}},
	"shopify": {
		Scheme:    "hmac-sha256",
		Signature: generic.Signature{Header: "X-Shopify-Hmac-Sha256", Encoding: "base64"},
	},
	"slack": {
		Scheme:    "hmac-sha256",
		Signed:    "v0:{timestamp}:{body}",
		Signature: generic.Signature{Header: "X-Slack-Signature", Prefix: "v0="},
		Timestamp: generic.Timestamp{Header: "X-Slack-Request-Timestamp"},
	},
	"pagerduty": {
		Scheme:    "hmac-sha256",
		Signature: generic.Signature{Header: "X-PagerDuty-Signature", Prefix: "v1=", Separator: ","},
	},
	"standard-webhooks": {
		Scheme:    "hmac-sha256",
		Key:       "whsec",
		Signed:    "{header:webhook-id}.{timestamp}.{body}",
		Signature: generic.Signature{Header: "webhook-signature", Encoding: "base64", Prefix: "v1,", Separator: " "},
		Timestamp: generic.Timestamp{Header: "webhook-timestamp"},
	},
	"sendgrid": {
		Scheme:    "ecdsa-sha256",
		Signed:    "{timestamp}{body}",
		Signature: generic.Signature{Header: "X-Twilio-Email-Event-Webhook-Signature", Encoding: "base64"},
		Timestamp: generic.Timestamp{Header: "X-Twilio-Email-Event-Webhook-Timestamp"},
	},
}

func TestWhereOnlyTheURLIsSignedThereIsNoBody(t *testing.T) {
	p := open(t, generic.Settings{
		Verify: signing("{uri}"), Body: "form", Methods: []string{http.MethodGet},
		Event: generic.Event{ID: generic.Value{"form:id"}, Type: generic.Value{"form:type"}},
	})
	genuine := form("")
	genuine.Method, genuine.URL = http.MethodGet, &url.URL{Scheme: "https", Host: "h.example.com", Path: "/webhooks/x", RawQuery: "id=7&type=paid"}
	require.NoError(t, p.Sign(&genuine, providers.Secrets{secret}))
	require.NoError(t, p.Verify(genuine, providers.Secrets{secret}))
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		forged := genuine
		forged.Method, forged.Body = method, []byte("id=8&type=refunded")
		require.ErrorIs(t, p.Verify(forged, providers.Secrets{secret}), providers.ErrUnauthenticated, method)
	}
}

func TestDeclarationsAcceptWhatPlatformsPublished(t *testing.T) {
	data, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var vectors map[string]struct {
		Secret    string            `json:"secret"`
		Timestamp string            `json:"timestamp"`
		Body      []byte            `json:"body_b64"`
		Headers   map[string]string `json:"headers"`
		Source    string            `json:"source"`
	}
	require.NoError(t, json.Unmarshal(data, &vectors))
	require.Len(t, vectors, len(published))
	for name, declared := range published {
		t.Run(name, func(t *testing.T) {
			v := vectors[name]
			r := request(string(v.Body))
			for header, value := range v.Headers {
				r.Header.Set(header, value)
			}
			if v.Timestamp != "" {
				seconds, err := strconv.ParseInt(v.Timestamp, 10, 64)
				require.NoError(t, err)
				r.ReceivedAt = time.Unix(seconds, 0)
			}
			p := declaring(t, declared)
			require.NoError(t, p.Verify(r, providers.Secrets{v.Secret}), v.Source)
			r.Body = append(r.Body, ' ')
			require.ErrorIs(t, p.Verify(r, providers.Secrets{v.Secret}), providers.ErrUnauthenticated)
		})
	}
}

var received = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

// signedWith signs a request and checks that the signature is the wanted one.
func signedWith(t *testing.T, p providers.Provider, r providers.Request, secret string) providers.Request {
	t.Helper()
	r.ReceivedAt = received
	require.NoError(t, p.Sign(&r, providers.Secrets{secret}))
	require.NoError(t, p.Verify(r, providers.Secrets{secret}))
	require.ErrorIs(t, p.Verify(r, nil), providers.ErrUnauthenticated)
	return r
}

func macWith(h func() hash.Hash, key, message string) []byte {
	m := hmac.New(h, []byte(key))
	m.Write([]byte(message))
	return m.Sum(nil)
}

func TestSchemesKeysAndEncodingsOfAnHMAC(t *testing.T) {
	for name, c := range map[string]struct {
		verify generic.Verify
		secret string
		want   string
	}{
		"SHA-1": {
			generic.Verify{Scheme: "hmac-sha1", Signature: generic.Signature{Header: "X-S", Prefix: "sha1="}},
			secret, "sha1=" + hex.EncodeToString(macWith(sha1.New, secret, "{}")),
		},
		"SHA-512 in base64": {
			generic.Verify{Scheme: "hmac-sha512", Signature: generic.Signature{Header: "X-S", Encoding: "base64"}},
			secret, base64.StdEncoding.EncodeToString(macWith(sha512.New, secret, "{}")),
		},
		"base64 for URLs": {
			generic.Verify{Scheme: "hmac-sha512", Signature: generic.Signature{Header: "X-S", Encoding: "base64url"}},
			secret, base64.RawURLEncoding.EncodeToString(macWith(sha512.New, secret, "{}")),
		},
		"a key in hex": {
			generic.Verify{Scheme: "hmac-sha1", Key: "hex", Signature: generic.Signature{Header: "X-S"}},
			hex.EncodeToString([]byte(secret)), hex.EncodeToString(macWith(sha1.New, secret, "{}")),
		},
		"a key in base64": {
			generic.Verify{Scheme: "hmac-sha1", Key: "base64", Signature: generic.Signature{Header: "X-S"}},
			base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString(macWith(sha1.New, secret, "{}")),
		},
		"all of the request": {
			generic.Verify{
				Scheme: "hmac-sha1", Signed: "{method}|{url}|{uri}|{header:X-Topic}|{id}|{json:a.b}|{body}", Signature: generic.Signature{Header: "X-S"},
			},
			secret,
			hex.EncodeToString(macWith(sha1.New, secret,
				`POST|https://hooks.example.com/webhooks/shop?a=b%20c|/webhooks/shop?a=b%20c|orders|i-1|7|{"a":{"b":7}}`)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := "{}"
			if name == "all of the request" {
				body = `{"a":{"b":7}}`
			}
			p := open(t, generic.Settings{Verify: c.verify, Event: generic.Event{ID: generic.Value{"header:X-Id"}, Type: generic.Value{"const:x"}}})
			r := request(body, "X-Topic", "orders", "X-Id", "i-1")
			r.URL.RawQuery = "a=b%20c"
			r = signedWith(t, p, r, c.secret)
			require.Equal(t, c.want, r.Header.Get("X-S"))
		})
	}
}

func TestWhatIsSignedMustBeThereOnce(t *testing.T) {
	p := declaring(t, generic.Verify{
		Scheme: "hmac-sha256", Signed: "{header:X-Topic}{json:id}{body}", Signature: generic.Signature{Header: "X-S"},
	})
	r := signedWith(t, p, request(`{"id": 1}`, "X-Topic", "a"), secret)
	r.Header.Add("X-Topic", "a")
	require.ErrorIs(t, p.Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated)
	r.Header.Del("X-Topic")
	require.ErrorContains(t, p.Verify(r, providers.Secrets{secret}), "header:X-Topic, which is signed, is missing")
	require.ErrorContains(t, p.Sign(&r, providers.Secrets{secret}), "header:X-Topic, which is signed, is missing")
}

func TestPublicKeysInAllTheirForms(t *testing.T) {
	edPublic, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for scheme, c := range map[string]struct {
		public  crypto.PublicKey
		private crypto.PrivateKey
	}{
		"ed25519":      {edPublic, edPrivate},
		"ecdsa-sha256": {ec.Public(), ec},
		"rsa-sha256":   {rsaKey.Public(), rsaKey},
	} {
		t.Run(scheme, func(t *testing.T) {
			spki, err := x509.MarshalPKIXPublicKey(c.public)
			require.NoError(t, err)
			pkcs8, err := x509.MarshalPKCS8PrivateKey(c.private)
			require.NoError(t, err)
			p := declaring(t, generic.Verify{Scheme: scheme, Signature: generic.Signature{Header: "X-S", Encoding: "base64"}})
			r := signedWith(t, p, request("{}"), base64.StdEncoding.EncodeToString(pkcs8))
			for _, key := range []string{
				base64.StdEncoding.EncodeToString(spki),
				hex.EncodeToString(spki),
				string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})),
				string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
			} {
				require.NoError(t, p.Verify(r, providers.Secrets{key}))
			}
			require.ErrorContains(t, p.Sign(&r, providers.Secrets{hex.EncodeToString(spki)}), "secret 1 is a public key, and only a private one can sign")
			changed := r
			changed.Body = []byte("[]")
			require.ErrorIs(t, p.Verify(changed, providers.Secrets{hex.EncodeToString(spki)}), providers.ErrUnauthenticated)
		})
	}
	t.Run("the bare bytes of Ed25519", func(t *testing.T) {
		p := declaring(t, generic.Verify{Scheme: "ed25519", Signature: generic.Signature{Header: "X-S"}})
		r := signedWith(t, p, request("{}"), hex.EncodeToString(edPrivate))
		require.NoError(t, p.Verify(r, providers.Secrets{hex.EncodeToString(edPublic)}))
		require.NoError(t, p.Verify(r, providers.Secrets{base64.StdEncoding.EncodeToString(edPublic)}))
	})
	t.Run("a key of another scheme is of no use, and named by its place", func(t *testing.T) {
		spki, err := x509.MarshalPKIXPublicKey(ec.Public())
		require.NoError(t, err)
		p := declaring(t, generic.Verify{Scheme: "ed25519", Signature: generic.Signature{Header: "X-S"}})
		r := signedWith(t, p, request("{}"), hex.EncodeToString(edPrivate))
		err = p.Verify(r, providers.Secrets{hex.EncodeToString(spki), "no key!"})
		require.EqualError(t, err, "generic: verify: not authentic: the signature fits none of the 2 secrets: "+
			"secret 1 is no key for ed25519, secret 2 is no key in PEM, base64 or hex")
	})
}

func TestAnUnusableSecretIsNamedByItsPlace(t *testing.T) {
	for written, want := range map[string]string{
		"hex":    "secret 2 is not hex",
		"base64": "secret 2 is not base64",
		"whsec":  "secret 2 is not whsec_ and base64",
	} {
		p := declaring(t, generic.Verify{Scheme: "hmac-sha256", Key: written, Signature: generic.Signature{Header: "X-S"}})
		r := request("{}", "X-S", strings.Repeat("0", 64))
		other := map[string]string{"hex": "ab", "base64": "abcd", "whsec": "whsec_abcd"}[written]
		err := p.Verify(r, providers.Secrets{other, "?not a key?"})
		require.ErrorIs(t, err, providers.ErrUnauthenticated)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "?not a key?")
	}
	p := declaring(t, generic.Verify{Scheme: "hmac-sha256", Key: "whsec", Signature: generic.Signature{Header: "X-S"}})
	r := request("{}", "X-S", mac("", "{}"))
	require.ErrorContains(t, p.Verify(r, providers.Secrets{"whsec_"}), "is empty", "anyone can sign with an empty key")
}

func TestOfSeveralSignaturesOneMustFit(t *testing.T) {
	p := declaring(t, published["pagerduty"])
	genuine := "v1=" + mac(secret, "{}")
	for header, ok := range map[string]bool{
		"v1=00," + genuine:                     true,
		genuine + ", v1=00":                    true,
		"v0=zz, " + genuine:                    true,
		"v0=" + genuine[3:]:                    false, // a scheme that nobody declared
		strings.Repeat("v1=00,", 16) + genuine: false, // more work than a platform causes
		genuine + genuine:                      false,
		"v1=":                                  false,
	} {
		err := p.Verify(request("{}", "X-PagerDuty-Signature", header), providers.Secrets{secret})
		require.Equal(t, ok, err == nil, "%s: %v", header, err)
	}
}

func TestTimesOfSigning(t *testing.T) {
	for name, c := range map[string]struct {
		at   generic.Timestamp
		want string
	}{
		"seconds":      {generic.Timestamp{Header: "X-T"}, "1767323045"},
		"milliseconds": {generic.Timestamp{Header: "X-T", Unit: "ms"}, "1767323045678"},
		"RFC 3339":     {generic.Timestamp{Header: "X-T", Unit: "rfc3339"}, "2026-01-02T03:04:05Z"},
		"a prefix":     {generic.Timestamp{Header: "X-T", Prefix: "at="}, "at=1767323045"},
	} {
		t.Run(name, func(t *testing.T) {
			c.at.Tolerance = time.Minute
			p := declaring(t, generic.Verify{
				Scheme: "hmac-sha256", Signed: "{timestamp}.{body}", Signature: generic.Signature{Header: "X-S"}, Timestamp: c.at,
			})
			r := signedWith(t, p, request("{}"), secret)
			require.Equal(t, c.want, r.Header.Get("X-T"))
			require.Equal(t, mac(secret, strings.TrimPrefix(c.want, "at="), ".{}"), r.Header.Get("X-S"))
			for _, later := range []time.Duration{62 * time.Second, -62 * time.Second} {
				r.ReceivedAt = received.Add(later)
				require.ErrorIs(t, p.Verify(r, providers.Secrets{secret}), providers.ErrStale)
			}
			r.ReceivedAt = received.Add(59 * time.Second)
			require.NoError(t, p.Verify(r, providers.Secrets{secret}))
		})
	}
}

func TestATimeInTheBodyIsJudgedToo(t *testing.T) {
	p := declaring(t, generic.Verify{
		Scheme:    "hmac-sha256",
		Signature: generic.Signature{Header: "X-S"},
		Timestamp: generic.Timestamp{Field: "json:webhookTimestamp", Unit: "ms", Tolerance: time.Minute},
	})
	r := signedWith(t, p, request(`{"webhookTimestamp": 1767323045000}`), secret)
	r.ReceivedAt = received.Add(2 * time.Minute)
	require.ErrorIs(t, p.Verify(r, providers.Secrets{secret}), providers.ErrStale)
	for _, body := range []string{`{}`, `{"webhookTimestamp": "soon"}`, `{"webhookTimestamp": null}`, `[]`, `{"webhookTimestamp": -1}`} {
		r := request(body, "X-S", mac(secret, body))
		r.ReceivedAt = received
		err := p.Verify(r, providers.Secrets{secret})
		require.ErrorIs(t, err, providers.ErrUnauthenticated, body)
	}
}

func TestTokens(t *testing.T) {
	for name, c := range map[string]struct {
		at    generic.Token
		token string
		check func(t *testing.T, r providers.Request)
	}{
		"in a header": {generic.Token{In: "header", Name: "X-Gitlab-Token"}, secret, func(t *testing.T, r providers.Request) {
			require.Equal(t, secret, r.Header.Get("X-Gitlab-Token"))
		}},
		"behind a prefix": {generic.Token{In: "header", Name: "Authorization", Prefix: "Token "}, secret, func(t *testing.T, r providers.Request) {
			require.Equal(t, "Token "+secret, r.Header.Get("Authorization"))
		}},
		"as a bearer": {generic.Token{In: "bearer"}, secret, func(t *testing.T, r providers.Request) {
			require.Equal(t, "Bearer "+secret, r.Header.Get("Authorization"))
		}},
		"as a password": {generic.Token{In: "basic", Name: "hooks"}, secret, func(t *testing.T, r providers.Request) {
			user, password, _ := (&http.Request{Header: r.Header}).BasicAuth()
			require.Equal(t, []string{"hooks", secret}, []string{user, password})
		}},
		"as a user and a password": {generic.Token{In: "basic"}, "u:" + secret, func(t *testing.T, r providers.Request) {
			user, password, _ := (&http.Request{Header: r.Header}).BasicAuth()
			require.Equal(t, []string{"u", secret}, []string{user, password})
		}},
		"in the query": {generic.Token{In: "query", Name: "key"}, "a&b", func(t *testing.T, r providers.Request) {
			require.Equal(t, "a=1&key=a%26b", r.URL.RawQuery)
		}},
		"in the path": {generic.Token{In: "path"}, "tok/en", func(t *testing.T, r providers.Request) {
			require.Equal(t, "/webhooks/shop/tok%2Fen", r.URL.EscapedPath())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := declaring(t, generic.Verify{Scheme: "token", Token: c.at})
			bare := request("{}")
			bare.URL.RawQuery = "a=1"
			untouched := *bare.URL
			r := bare
			r.ReceivedAt = received
			require.NoError(t, p.Sign(&r, providers.Secrets{c.token}))
			c.check(t, r)
			require.Equal(t, untouched, *bare.URL, "the URL may be somebody else's, too")
			require.NoError(t, p.Verify(r, providers.Secrets{"old", c.token}))
			want := providers.ErrUnauthenticated
			if c.at.In == "path" {
				want = providers.ErrNoSuchPath
			}
			for _, secrets := range []providers.Secrets{nil, {""}, {"other"}, {c.token + "x"}} {
				require.ErrorIs(t, p.Verify(r, secrets), want)
			}
			require.ErrorIs(t, p.Verify(request("{}"), providers.Secrets{c.token, ""}), want, "without any")
			require.Error(t, p.Sign(&r, providers.Secrets{""}))
		})
	}
}

func TestATokenIsTakenFromItsPlaceOnly(t *testing.T) {
	basic := declaring(t, generic.Verify{Scheme: "token", Token: generic.Token{In: "basic", Name: "hooks"}})
	r := request("{}")
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("other:"+secret)))
	require.ErrorContains(t, basic.Verify(r, providers.Secrets{secret}), "another user")

	bearer := declaring(t, generic.Verify{Scheme: "token", Token: generic.Token{In: "bearer"}})
	r.Header.Set("Authorization", "bearer "+secret)
	require.NoError(t, bearer.Verify(r, providers.Secrets{secret}), "the case of a scheme's name does not matter")
	r.Header.Add("Authorization", "Bearer "+secret)
	require.ErrorIs(t, bearer.Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated)

	query := declaring(t, generic.Verify{Scheme: "token", Token: generic.Token{In: "query", Name: "key"}})
	r.URL.RawQuery = "key=" + "x" + "&key=" + secret
	require.ErrorIs(t, query.Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated)
}

func TestEndpointSaysWhatIsUnusual(t *testing.T) {
	s := hook()
	s.Methods = []string{"PUT"}
	s.Accepted = generic.Answer{Status: 204}
	require.Equal(t, providers.Endpoint{
		Methods:       []string{"PUT", "GET"},
		SecretHeaders: []string{"X-Hook-Token"},
		Accepted:      providers.Response{Status: 204},
	}, open(t, s).Endpoint())
	s = generic.Settings{Verify: generic.Verify{Scheme: "token", Token: generic.Token{In: "path"}}, Event: named}
	require.Equal(t, providers.Endpoint{PathToken: true}, open(t, s).Endpoint())
}

func FuzzVerify(f *testing.F) {
	p := declaring(f, shop().Verify)
	f.Add("t=1767323045,v1="+mac(secret, "1767323045.{}"), []byte("{}"))
	f.Add("v1=,t=", []byte{})
	f.Add("t=1,t=2,v1=00", []byte("x"))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		r := request(string(body), "X-Shop-Signature", header)
		r.ReceivedAt = received
		if p.Verify(r, providers.Secrets{secret}) != nil {
			return
		}
		at := ""
		signatures := map[string]bool{}
		for element := range strings.SplitSeq(header, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(element), "=")
			if name == "t" {
				at = value
			}
			signatures[name+"="+strings.ToLower(value)] = true
		}
		require.True(t, signatures["v1="+mac(secret, at, ".", string(body))], "accepted %q", header)
	})
}
