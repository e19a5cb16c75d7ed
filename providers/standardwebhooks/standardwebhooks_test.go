package standardwebhooks_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	sdk "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	svix "github.com/svix/svix-webhooks/go"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/generic"
	"github.com/surehook/surehook/providers/providertest"
	"github.com/surehook/surehook/providers/standardwebhooks"
)

const contact = `{"type": "contact.created", "timestamp": "2026-01-02T03:04:05.678Z", "data": {"id": "ct_7", "email": "ada@example.com"}}`

func open(t testing.TB, s standardwebhooks.Settings) *standardwebhooks.Provider {
	t.Helper()
	p, err := standardwebhooks.New(providers.APIConfig{}, s)
	require.NoError(t, err)
	return p
}

func request(body string) providers.Request {
	return providers.Request{
		Method: http.MethodPost,
		URL:    &url.URL{Scheme: "https", Host: "hooks.example.com", Path: "/webhooks/crm"},
		Header: http.Header{"Content-Type": {"application/json"}, "Webhook-Id": {"msg_1"}},
		Body:   []byte(body),
	}
}

// shared returns a secret of the kind that both sides have.
func shared(text string) string {
	if text == "" {
		return ""
	}
	key := sha256.Sum256([]byte(text))
	return "whsec_" + base64.StdEncoding.EncodeToString(key[:])
}

// private and public return the halves of a key pair.
func private(text string) string {
	return "whsk_" + base64.StdEncoding.EncodeToString(pair(text))
}

func public(text string) string {
	return "whpk_" + base64.StdEncoding.EncodeToString(pair(text)[ed25519.SeedSize:])
}

func pair(text string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(text))
	return ed25519.NewKeyFromSeed(seed[:])
}

// signAsSDK signs with the official library.
func signAsSDK(r *providers.Request, secret string) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		panic(err)
	}
	wh, err := sdk.NewWebhookRaw(key)
	if err != nil {
		panic(err)
	}
	signature, err := wh.Sign(r.Header.Get("Webhook-Id"), r.ReceivedAt, r.Body)
	if err != nil {
		panic(err)
	}
	r.Header.Set("Webhook-Timestamp", strconv.FormatInt(r.ReceivedAt.Unix(), 10))
	r.Header.Set("Webhook-Signature", signature)
}

// signAsymmetric signs as the specification says of v1a, for which the official
// Go library has no code.
func signAsymmetric(r *providers.Request, key ed25519.PrivateKey) {
	at := strconv.FormatInt(r.ReceivedAt.Unix(), 10)
	signature := ed25519.Sign(key, []byte(r.Header.Get("Webhook-Id")+"."+at+"."+string(r.Body)))
	r.Header.Set("Webhook-Timestamp", at)
	r.Header.Set("Webhook-Signature", "v1a,"+base64.StdEncoding.EncodeToString(signature))
}

// keyed gives the suite's secrets, which are any text, the form of real ones.
type keyed struct {
	*standardwebhooks.Provider
	form func(string) string
}

func (k keyed) keys(s providers.Secrets) providers.Secrets {
	var all providers.Secrets
	for _, secret := range s {
		if secret != "" {
			secret = k.form(secret)
		}
		all = append(all, secret)
	}
	return all
}

func (k keyed) Verify(r providers.Request, s providers.Secrets) error {
	return k.Provider.Verify(r, k.keys(s))
}

func (k keyed) Sign(r *providers.Request, s providers.Secrets) error {
	return k.Provider.Sign(r, k.keys(s))
}

func suite(p providers.Provider, oracle func(r *providers.Request, secret string)) providertest.Suite {
	return providertest.Suite{
		Provider:         p,
		Request:          func() providers.Request { return request(contact) },
		Oracle:           oracle,
		SignatureHeaders: []string{"Webhook-Timestamp", "Webhook-Signature"},
		Tolerance:        300 * time.Second,
		Declared:         true,
		Malformed: map[string]string{
			"an event without a type": strings.Replace(contact, `"type"`, `"x"`, 1),
			"a time that is none":     strings.Replace(contact, `2026-01-02T03:04:05.678Z`, `yesterday`, 1),
			"an object with a bad id": strings.Replace(contact, `ct_7`, `ct 7`, 1),
		},
	}
}

func TestConformsWithSharedSecrets(t *testing.T) {
	providertest.Exercise(t, suite(keyed{open(t, standardwebhooks.Settings{}), shared}, func(r *providers.Request, secret string) {
		signAsSDK(r, shared(secret))
	}))
}

func TestConformsWithKeyPairs(t *testing.T) {
	providertest.Exercise(t, suite(keyed{open(t, standardwebhooks.Settings{}), private}, func(r *providers.Request, secret string) {
		signAsymmetric(r, pair(secret))
	}))
}

// signed is a request that came in now, because the libraries look at the clock.
func signed(t testing.TB, secret string) providers.Request {
	t.Helper()
	r := request(contact)
	r.ReceivedAt = time.Now()
	require.NoError(t, open(t, standardwebhooks.Settings{}).Sign(&r, providers.Secrets{secret}))
	return r
}

func TestTheLibrariesAcceptWhatSignSigns(t *testing.T) {
	r := signed(t, shared("a"))
	official, err := sdk.NewWebhook(shared("a"))
	require.NoError(t, err)
	require.NoError(t, official.Verify(r.Body, r.Header))
	hosted, err := svix.NewWebhook(shared("a"))
	require.NoError(t, err)
	require.NoError(t, hosted.Verify(r.Body, r.Header))
}

// underSvixNames renames the headers to those that Svix has used from the start.
func underSvixNames(r providers.Request) providers.Request {
	h := http.Header{}
	for name, values := range r.Header {
		h[strings.Replace(name, "Webhook-", "Svix-", 1)] = values
	}
	r.Header = h
	return r
}

func TestSvixsNamesOfTheHeadersAreUnderstood(t *testing.T) {
	p := open(t, standardwebhooks.Settings{})
	r := underSvixNames(signed(t, shared("a")))
	hosted, err := svix.NewWebhook(shared("a"))
	require.NoError(t, err)
	require.NoError(t, hosted.Verify(r.Body, r.Header))
	require.NoError(t, p.Verify(r, providers.Secrets{shared("a")}))
	events, err := p.Events(r)
	require.NoError(t, err)
	require.Equal(t, "msg_1", events[0].ID)
}

func TestBothNamesTogetherMustSayTheSame(t *testing.T) {
	p, secrets := open(t, standardwebhooks.Settings{}), providers.Secrets{shared("a")}
	both := func() providers.Request {
		r := signed(t, shared("a"))
		for name, values := range underSvixNames(r).Header {
			r.Header[name] = values
		}
		return r
	}
	require.NoError(t, p.Verify(both(), secrets))
	for _, name := range []string{"Webhook-Id", "Svix-Id", "Webhook-Timestamp", "Svix-Timestamp", "Webhook-Signature", "Svix-Signature"} {
		r := both()
		r.Header = r.Header.Clone()
		r.Header.Set(name, r.Header.Get(name)+"0")
		require.ErrorContains(t, p.Verify(r, secrets), "the webhook- and svix- headers differ", name)
		r.Header.Del(name)
		require.ErrorContains(t, p.Verify(r, secrets), "only some of the headers", name)
		r.Header.Set(name, "")
		require.ErrorIs(t, p.Verify(r, secrets), providers.ErrUnauthenticated, name)
	}
}

func TestTheIDIsSigned(t *testing.T) {
	r := signed(t, shared("a"))
	r.Header.Set("Webhook-Id", "msg_2")
	require.ErrorIs(t, open(t, standardwebhooks.Settings{}).Verify(r, providers.Secrets{shared("a")}), providers.ErrUnauthenticated)
}

func TestASignatureOfOneKindDoesNotFitAKeyOfTheOther(t *testing.T) {
	p := open(t, standardwebhooks.Settings{})
	for _, secret := range []string{shared("a"), private("a")} {
		r := signed(t, secret)
		for _, other := range []string{shared("b"), private("b"), public("b")} {
			require.ErrorIs(t, p.Verify(r, providers.Secrets{other}), providers.ErrUnauthenticated)
		}
		version, signature, _ := strings.Cut(r.Header.Get("Webhook-Signature"), ",")
		r.Header.Set("Webhook-Signature", map[string]string{"v1": "v1a", "v1a": "v1"}[version]+","+signature)
		require.ErrorIs(t, p.Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated, "relabelled")
	}
	// Whoever knows the public key must not be able to use it as a shared one.
	r := request(contact)
	r.ReceivedAt = time.Now()
	signAsSDK(&r, "whsec_"+strings.TrimPrefix(public("a"), "whpk_"))
	require.ErrorIs(t, p.Verify(r, providers.Secrets{public("a")}), providers.ErrUnauthenticated)
}

func TestAPublicKeyVerifiesAndDoesNotSign(t *testing.T) {
	p := open(t, standardwebhooks.Settings{})
	r := signed(t, private("a"))
	require.NoError(t, p.Verify(r, providers.Secrets{public("a")}))
	require.ErrorContains(t, p.Sign(&r, providers.Secrets{public("a")}), "only a private one can sign")
	seedOnly := "whsk_" + base64.StdEncoding.EncodeToString(pair("a").Seed())
	require.NoError(t, p.Verify(r, providers.Secrets{seedOnly}), "a private key may be written as its seed")
}

func TestAnyOfSeveralSignaturesIsEnoughAndUnknownVersionsAreSkipped(t *testing.T) {
	p := open(t, standardwebhooks.Settings{})
	r := signed(t, shared("new"))
	genuine := r.Header.Get("Webhook-Signature")
	other := signed(t, shared("old")).Header.Get("Webhook-Signature")
	for name, header := range map[string]string{
		"while a secret is replaced":      other + " " + genuine,
		"the other way round":             genuine + " " + other,
		"beside a version nobody knows":   "v2,AAAA " + genuine,
		"beside something without commas": "v1 " + genuine + " x",
		"beside a version without value":  "v1, " + genuine,
	} {
		r.Header.Set("Webhook-Signature", header)
		require.NoError(t, p.Verify(r, providers.Secrets{shared("new")}), name)
	}
	for name, header := range map[string]string{
		"only a version nobody knows": strings.Replace(genuine, "v1,", "v2,", 1),
		"too many":                    strings.Repeat("v1,AAAA ", 20) + genuine,
		"divided by commas":           other + "," + genuine,
		"without a version":           strings.TrimPrefix(genuine, "v1,"),
	} {
		r.Header.Set("Webhook-Signature", header)
		require.ErrorIs(t, p.Verify(r, providers.Secrets{shared("new")}), providers.ErrUnauthenticated, name)
	}
}

func TestAnUnusableSecretAuthenticatesNothingAndIsNamedByItsPlace(t *testing.T) {
	p := open(t, standardwebhooks.Settings{})
	b64 := func(bytes int) string { return base64.StdEncoding.EncodeToString(make([]byte, bytes)) }
	for secret, want := range map[string]string{
		"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": "secret 2 begins with none of whsec_, whpk_ and whsk_",
		"whsec_not base64!":                "secret 2 is not base64 behind whsec_",
		"whsec_":                           "secret 2 is a key of 0 bytes, which whsec_ does not allow",
		"whsec_" + b64(23):                 "secret 2 is a key of 23 bytes",
		"whsec_" + b64(65):                 "secret 2 is a key of 65 bytes",
		"whpk_" + b64(31):                  "secret 2 is a key of 31 bytes, which whpk_ does not allow",
		"whsk_" + b64(33):                  "secret 2 is a key of 33 bytes, which whsk_ does not allow",
	} {
		r := signed(t, shared("a"))
		err := p.Verify(r, providers.Secrets{shared("b"), secret})
		require.ErrorIs(t, err, providers.ErrUnauthenticated)
		require.ErrorContains(t, err, want)
		if _, key, _ := strings.Cut(secret, "_"); key != "" {
			require.NotContains(t, err.Error(), key)
		}
		require.NoError(t, p.Verify(r, providers.Secrets{secret, shared("a")}), "the others still work")
		require.ErrorContains(t, p.Sign(&r, providers.Secrets{secret}), "secret 1 ")
	}
}

func TestSignNeedsAnID(t *testing.T) {
	p := open(t, standardwebhooks.Settings{})
	r := request(contact)
	r.Header, r.ReceivedAt = nil, time.Now()
	require.ErrorContains(t, p.Sign(&r, providers.Secrets{shared("a")}), "no Webhook-Id")
	p.Label(&r, "msg_9", "contact.created")
	require.NoError(t, p.Sign(&r, providers.Secrets{shared("a")}))
	require.NoError(t, p.Verify(r, providers.Secrets{shared("a")}))
}

func TestEventsReadsTheRecommendedBody(t *testing.T) {
	events, err := open(t, standardwebhooks.Settings{}).Events(signed(t, shared("a")))
	require.NoError(t, err)
	require.Equal(t, []providers.Event{{
		ID:         "msg_1",
		Type:       "contact.created",
		Ref:        providers.Ref{Type: "contact", ID: "ct_7"},
		OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC),
	}}, events)
}

func TestEventsReadsWhatIsDeclared(t *testing.T) {
	p := open(t, standardwebhooks.Settings{
		Event: generic.Event{
			Type:     generic.Value{"json:event.name"},
			Time:     "json:at",
			TimeUnit: "ms",
			Ref:      generic.Ref{Type: generic.Value{"const:user"}, ID: generic.Value{"json:event.users[0]"}},
			Deleted:  []string{"user.gone"},
		},
		Schemas: []generic.Schema{{Type: "user.*", Schema: map[string]any{"required": []string{"plan"}}}},
	})
	events, err := p.Events(func() providers.Request {
		return request(`{"at": 1767323045678, "event": {"name": "user.gone", "users": [42]}}`)
	}())
	require.NoError(t, err)
	require.Equal(t, []providers.Event{{
		ID:         "msg_1",
		Type:       "user.gone",
		Ref:        providers.Ref{Type: "user", ID: "42"},
		OccurredAt: time.UnixMilli(1767323045678).UTC(),
		Deleted:    true,
		Review:     "schema: / breaks required",
	}}, events)
}

func TestNewReportsAllMistakesTogether(t *testing.T) {
	_, err := standardwebhooks.New(providers.APIConfig{}, standardwebhooks.Settings{
		Event: generic.Event{ID: generic.Value{"json:id"}, Type: generic.Value{"xpath://a"}},
		Fetch: generic.Fetch{Paths: map[string]string{"x": "y"}},
	})
	for _, want := range []string{"event.id: has no effect", "event.type: ", "fetch.paths.x: ", "standard-webhooks: api.base_url: missing"} {
		require.ErrorContains(t, err, want)
	}
	list, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok)
	require.Len(t, list.Unwrap(), 4, "each can be named by its field")
}

func TestImports(t *testing.T) {
	providertest.CheckImports(t, deptest.Rule{
		Ban:   []string{"github.com/standard-webhooks/...", "github.com/svix/..."},
		Allow: []string{"github.com/surehook/surehook/providers/generic"},
	})
}

func FuzzVerify(f *testing.F) {
	secret := shared("a")
	genuine := request(contact)
	genuine.ReceivedAt = time.Unix(1767323045, 0)
	signAsSDK(&genuine, secret)
	f.Add("msg_1", "1767323045", genuine.Header.Get("Webhook-Signature"), []byte(contact))
	f.Add("", "", "v1,", []byte{})
	f.Add("msg_1", "01767323045", "v1a,AAAA v1,AAAA", []byte("{}"))
	p := open(f, standardwebhooks.Settings{})
	f.Fuzz(func(t *testing.T, id, at, signature string, body []byte) {
		r := request(string(body))
		r.ReceivedAt = time.Unix(1767323045, 0)
		r.Header = http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {at}, "Webhook-Signature": {signature}}
		if p.Verify(r, providers.Secrets{secret, public("a")}) != nil {
			return
		}
		wh, err := sdk.NewWebhook(secret)
		require.NoError(t, err)
		require.NoError(t, wh.VerifyIgnoringTimestamp(body, r.Header), "accepted what the library refuses")
	})
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte(contact))
	f.Add([]byte(`{"type": ".", "timestamp": 1, "data": []}`))
	p := open(f, standardwebhooks.Settings{})
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := p.Events(request(string(body)))
		if err != nil {
			require.ErrorIs(t, err, providers.ErrMalformed)
			return
		}
		require.Len(t, events, 1)
		require.NotEmpty(t, events[0].Type)
	})
}

func BenchmarkVerifyAndEvents(b *testing.B) {
	body := strings.Replace(contact, `"ada@`, `"`+strings.Repeat("a", 2000)+`@`, 1)
	r := request(body)
	r.ReceivedAt = time.Now()
	signAsSDK(&r, shared("a"))
	p := open(b, standardwebhooks.Settings{})
	providertest.Benchmark(b, p, r, providers.Secrets{shared("a")})
}
