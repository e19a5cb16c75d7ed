package msgraph_test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/msgraph"
)

const (
	appID     = "8e460676-ae3f-4b1e-8790-ee0fb5d6148f"
	publisher = "0bf30f3b-4a52-48df-9a82-234910c4a086"
)

// newKey makes a key, once for each name: it takes a while.
func newKey(t testing.TB, name string) *rsa.PrivateKey {
	t.Helper()
	made, _ := madeKeys.LoadOrStore(name, sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }))
	key, err := made.(func() (*rsa.PrivateKey, error))()
	require.NoError(t, err)
	return key
}

var madeKeys sync.Map

// microsoft plays the host of the signing keys.
type microsoft struct {
	*httptest.Server
	mu    sync.Mutex
	keys  []map[string]any
	calls atomic.Int32
}

func newMicrosoft(t testing.TB, kids ...string) *microsoft {
	t.Helper()
	m := &microsoft{}
	m.publish(t, kids...)
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		m.calls.Add(1)
		m.mu.Lock()
		defer m.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": m.keys})
	}))
	t.Cleanup(m.Close)
	return m
}

// publish replaces the keys; with them come some that are none of ours.
func (m *microsoft) publish(t testing.TB, kids ...string) {
	t.Helper()
	keys := []map[string]any{
		{"kty": "EC", "kid": "ec", "crv": "P-256", "x": "AA", "y": "AA"},
		{"kty": "new kind", "kid": "x"},
	}
	for _, kid := range kids {
		public := newKey(t, kid).Public().(*rsa.PublicKey)
		use := "sig"
		if strings.HasPrefix(kid, "enc") {
			use = "enc"
		}
		whose := "{tenantid}"
		if _, of, one := strings.Cut(kid, "-of-"); one {
			whose = of
		}
		keys = append(keys, map[string]any{
			"kty": "RSA", "use": use, "kid": kid, "issuer": "https://login.microsoftonline.com/" + whose + "/v2.0",
			"n": base64.RawURLEncoding.EncodeToString(public.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(public.E)).Bytes()),
		})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = keys
}

// token is a validation token, signed by hand as RFC 7515 says.
type token struct {
	header map[string]any
	claims map[string]any
	kid    string
}

func tokenOf(tenant string) token {
	at := request("").ReceivedAt.Unix()
	return token{
		kid:    "k1",
		header: map[string]any{"typ": "JWT", "alg": "RS256", "kid": "k1"},
		claims: map[string]any{
			"aud": appID, "iss": "https://sts.windows.net/" + tenant + "/", "tid": tenant, "appid": publisher,
			"iat": at - 60, "nbf": at - 60, "exp": at + 3600, "ver": "1.0",
		},
	}
}

func (tk token) with(claim string, value any) token {
	claims := map[string]any{}
	for name, v := range tk.claims {
		claims[name] = v
	}
	claims[claim] = value
	if value == nil {
		delete(claims, claim)
	}
	tk.claims = claims
	return tk
}

func (tk token) signed(t testing.TB) string {
	t.Helper()
	part := func(v any) string {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	signing := part(tk.header) + "." + part(tk.claims)
	sum := sha256.Sum256([]byte(signing))
	signature, err := rsa.SignPKCS1v15(nil, newKey(t, tk.kid), crypto.SHA256, sum[:])
	require.NoError(t, err)
	return signing + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// sealed is a resource, encrypted by hand as Graph documents it.
func sealed(t testing.TB, resource, certificate string) map[string]string {
	t.Helper()
	key := slices.Repeat([]byte{7}, 32)
	encrypted, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, newKey(t, certificate).Public().(*rsa.PublicKey), key, nil)
	require.NoError(t, err)
	padding := aes.BlockSize - len(resource)%aes.BlockSize
	data := append([]byte(resource), slices.Repeat([]byte{byte(padding)}, padding)...)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	cipher.NewCBCEncrypter(block, key[:16]).CryptBlocks(data, data)
	return map[string]string{
		"data": base64.StdEncoding.EncodeToString(data), "dataSignature": base64.StdEncoding.EncodeToString(mac(key, data)),
		"dataKey": base64.StdEncoding.EncodeToString(encrypted), "encryptionCertificateId": certificate,
		"encryptionCertificateThumbprint": "07293748CC064953A3052FB978C735FB89E61C3D",
	}
}

func mac(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

func rich(t testing.TB, item string, content map[string]string) string {
	t.Helper()
	raw, err := json.Marshal(content)
	require.NoError(t, err)
	return stated(strings.Replace(item, `"changeType"`, `"encryptedContent": `+string(raw)+`, "changeType"`, 1), secret)
}

func tokened(t testing.TB, tokens []token, items ...string) providers.Request {
	t.Helper()
	signed := make([]string, len(tokens))
	for i, tk := range tokens {
		signed[i] = tk.signed(t)
	}
	raw, err := json.Marshal(signed)
	require.NoError(t, err)
	return request(`{"validationTokens": ` + string(raw) + `, "value": [` + strings.Join(items, ",") + `]}`)
}

func pemOf(t testing.TB, key *rsa.PrivateKey) providers.Secret {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return providers.Secret(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func richSettings(t testing.TB, jwks string) msgraph.Settings {
	t.Helper()
	return msgraph.Settings{AppID: appID, JWKSURL: jwks, Certificates: []msgraph.Certificate{
		{ID: "old", Key: pemOf(t, newKey(t, "old"))},
		{ID: "new", Key: pemOf(t, newKey(t, "new"))},
	}}
}

const chat = `{"id": "1612289765949", "body": {"content": "Hello"}}`

func TestANotificationWithResourceDataIsVerifiedAndDecrypted(t *testing.T) {
	p := open(t, richSettings(t, newMicrosoft(t, "k1").URL+"/keys?x=y"))
	r := tokened(t, []token{tokenOf(tenant)}, rich(t, chatUpdated, sealed(t, chat, "new")))
	require.NoError(t, p.Verify(r, providers.Secrets{secret}))
	events, err := p.Events(r)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Empty(t, events[0].Review)
	require.Equal(t, chat, string(events[0].Payload))
	require.Equal(t, "chatMessage", events[0].Ref.Type)
}

func TestTheOldAndTheNewCertificateBothDecryptDuringARotation(t *testing.T) {
	p := open(t, richSettings(t, ""))
	for _, certificate := range []string{"old", "new"} {
		events, err := p.Events(request(batch(rich(t, chatUpdated, sealed(t, chat, certificate)))))
		require.NoError(t, err)
		require.Equal(t, chat, string(events[0].Payload), certificate)
	}
}

func TestEveryTenantWithResourceDataNeedsAToken(t *testing.T) {
	p := open(t, richSettings(t, newMicrosoft(t, "k1").URL))
	one, two := rich(t, chatUpdated, sealed(t, chat, "new")), rich(t, userDeleted, sealed(t, chat, "new"))
	verify := func(tokens []token, items ...string) error {
		return p.Verify(tokened(t, tokens, items...), providers.Secrets{secret})
	}
	both := []token{tokenOf(tenant), tokenOf(otherTenant)}
	require.NoError(t, verify(both, one, two))
	require.NoError(t, verify(both[:1], one, stated(userDeleted, secret)), "an item without resource data needs none")
	require.NoError(t, verify(both[:1], stated(mailUpdated, secret)))
	for name, err := range map[string]error{
		"none":                 verify(nil, one),
		"one for two tenants":  verify(both[:1], one, two),
		"another tenant's":     verify(both[1:], one),
		"a bad one beside":     verify([]token{both[0], both[1].with("aud", "other")}, one),
		"no clientState":       verify(both, strings.Replace(one, secret, "guess", 1)),
		"more than we look at": verify(slices.Repeat(both[:1], 101), one),
	} {
		require.ErrorIs(t, err, providers.ErrUnauthenticated, name)
	}
}

func TestAStrangersTokenDoesNotCostUsOurItems(t *testing.T) {
	settings := richSettings(t, newMicrosoft(t, "k1").URL)
	settings.Tenants = []string{tenant}
	p := open(t, settings)
	ours := rich(t, chatUpdated, sealed(t, chat, "new"))
	theirs := strings.Replace(rich(t, userDeleted, sealed(t, chat, "new")), secret, "the stranger's", 1)
	good, foreign := tokenOf(tenant), tokenOf(otherTenant).with("aud", "other")
	verify := func(r providers.Request) error { return p.Verify(r, providers.Secrets{secret}) }
	require.NoError(t, verify(tokened(t, []token{foreign, good}, ours, theirs)))
	require.NoError(t, verify(tokened(t, []token{foreign}, stated(mailUpdated, secret), theirs)), "none of ours needs one")
	plain := open(t, msgraph.Settings{Tenants: []string{tenant}})
	require.NoError(t, plain.Verify(tokened(t, []token{foreign}, stated(mailUpdated, secret), theirs), providers.Secrets{secret}), "nor can any be checked")
	for name, r := range map[string]providers.Request{
		"no token for ours":        tokened(t, []token{foreign}, ours, theirs),
		"only another tenant's":    tokened(t, []token{tokenOf(otherTenant)}, ours, theirs),
		"a bad one, and no others": tokened(t, []token{foreign, good}, ours),
	} {
		require.ErrorIs(t, verify(r), providers.ErrUnauthenticated, name)
	}
}

func TestResourceDataIsRefusedWhereNobodySaidWhoItIsFor(t *testing.T) {
	p := open(t, msgraph.Settings{})
	for _, r := range []providers.Request{
		tokened(t, []token{tokenOf(tenant)}, stated(mailUpdated, secret)),
		request(batch(rich(t, chatUpdated, sealed(t, chat, "new")))),
	} {
		err := p.Verify(r, providers.Secrets{secret})
		require.ErrorIs(t, err, providers.ErrUnauthenticated)
		require.ErrorContains(t, err, "settings.app_id")
	}
}

func TestTheClientIDStandsForTheAppID(t *testing.T) {
	p := open(t, msgraph.Settings{Tenant: tenant, ClientID: appID, JWKSURL: newMicrosoft(t, "k1").URL})
	require.NoError(t, p.Verify(tokened(t, []token{tokenOf(tenant)}, stated(mailUpdated, secret)), providers.Secrets{secret}))
}

func TestAValidationTokenMustBeMicrosoftsAndForUs(t *testing.T) {
	p := open(t, richSettings(t, newMicrosoft(t, "k1", "enc1").URL))
	good := tokenOf(tenant)
	verify := func(raw string) error {
		body, err := json.Marshal(raw)
		require.NoError(t, err)
		return p.Verify(request(`{"validationTokens": [`+string(body)+`], "value": [`+stated(mailUpdated, secret)+`]}`), providers.Secrets{secret})
	}
	second := good.with("iss", "https://login.microsoftonline.com/"+tenant+"/v2.0").with("appid", nil).with("azp", publisher)
	require.NoError(t, verify(good.signed(t)))
	require.NoError(t, verify(second.signed(t)), "the second version of Microsoft's tokens")

	headed := func(kid string, header map[string]any) token { tk := good; tk.kid, tk.header = kid, header; return tk }
	whole := good.signed(t)
	parts := strings.Split(whole, ".")
	for name, raw := range map[string]string{
		"another audience":        good.with("aud", "other").signed(t),
		"no audience":             good.with("aud", nil).signed(t),
		"another publisher":       good.with("appid", appID).signed(t),
		"no publisher":            good.with("appid", nil).signed(t),
		"two publishers":          good.with("azp", appID).signed(t),
		"another issuer":          good.with("iss", "https://evil.example/"+tenant+"/").signed(t),
		"another tenant's issuer": good.with("iss", "https://sts.windows.net/"+otherTenant+"/").signed(t),
		"no tenant":               good.with("tid", nil).signed(t),
		"no expiry":               good.with("exp", nil).signed(t),
		"a key nobody published":  headed("stranger", map[string]any{"alg": "RS256", "kid": "stranger"}).signed(t),
		"a published key's name":  headed("stranger", map[string]any{"alg": "RS256", "kid": "k1"}).signed(t),
		"a key for encryption":    headed("enc1", map[string]any{"alg": "RS256", "kid": "enc1"}).signed(t),
		"no key":                  headed("k1", map[string]any{"alg": "RS256"}).signed(t),
		"a key of its own":        headed("stranger", map[string]any{"alg": "RS256", "jwk": map[string]any{"kty": "RSA", "n": "AQAB", "e": "AQAB"}}).signed(t),
		"another algorithm":       headed("k1", map[string]any{"alg": "RS512", "kid": "k1"}).signed(t),
		"no algorithm":            headed("k1", map[string]any{"alg": "none", "kid": "k1"}).signed(t),
		"the public key as a secret": func() string {
			signing := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"k1"}`)) + "." + parts[1]
			return signing + "." + base64.RawURLEncoding.EncodeToString(mac(newKey(t, "k1").N.Bytes(), []byte(signing)))
		}(),
		"no signature":     parts[0] + "." + parts[1] + ".",
		"two parts":        parts[0] + "." + parts[1],
		"no token":         "x",
		"an empty one":     "",
		"a large one":      strings.Repeat("x", 17<<10),
		"a changed claim":  parts[0] + "." + parts[1][:40] + "A" + parts[1][41:] + "." + parts[2],
		"a changed header": "A" + parts[0][1:] + "." + parts[1] + "." + parts[2],
	} {
		err := verify(raw)
		require.ErrorIs(t, err, providers.ErrUnauthenticated, name)
		require.NotErrorIs(t, err, providers.ErrStale, name)
	}
}

// Microsoft publishes the keys of private accounts together with all others.
func TestAKeyOfOneTenantDoesNotSpeakForAnother(t *testing.T) {
	const kid = "k2-of-9188040d-6c67-4c5b-b112-36a304b66dad"
	p := open(t, richSettings(t, newMicrosoft(t, "k1", kid).URL))
	verify := func(of string) error {
		tk := tokenOf(of)
		tk.kid, tk.header = kid, map[string]any{"alg": "RS256", "kid": kid}
		return p.Verify(tokened(t, []token{tk}, stated(mailUpdated, secret)), providers.Secrets{secret})
	}
	require.NoError(t, verify("9188040d-6c67-4c5b-b112-36a304b66dad"))
	err := verify(tenant)
	require.ErrorIs(t, err, providers.ErrUnauthenticated)
	require.ErrorContains(t, err, "a key that Microsoft keeps for another tenant")
}

func TestAnExpiredTokenIsStaleAndNotForged(t *testing.T) {
	p := open(t, richSettings(t, newMicrosoft(t, "k1").URL))
	at := request("").ReceivedAt.Unix()
	for name, c := range map[string]struct {
		claim string
		by    time.Duration
		stale bool
	}{
		"just expired":       {"exp", -4 * time.Minute, false},
		"expired":            {"exp", -6 * time.Minute, true},
		"just not valid yet": {"nbf", 4 * time.Minute, false},
		"not valid yet":      {"nbf", 6 * time.Minute, true},
		"issued too late":    {"iat", 6 * time.Minute, true},
	} {
		tk := tokenOf(tenant).with(c.claim, at+int64(c.by/time.Second))
		err := p.Verify(tokened(t, []token{tk}, stated(mailUpdated, secret)), providers.Secrets{secret})
		if !c.stale {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, providers.ErrStale, name)
		err = p.Verify(tokened(t, []token{tk.with("aud", "other")}, stated(mailUpdated, secret)), providers.Secrets{secret})
		require.NotErrorIs(t, err, providers.ErrStale, name)
	}
}

func TestAHostOfKeysThatHangsDoesNotHoldUpTheAnswer(t *testing.T) {
	release := make(chan struct{})
	genuine := newMicrosoft(t, "k1")
	hanging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-release
		genuine.Config.Handler.ServeHTTP(w, r)
	}))
	defer hanging.Close()
	p := open(t, richSettings(t, hanging.URL))
	r := tokened(t, []token{tokenOf(tenant)}, stated(mailUpdated, secret))
	verify := func() error { return p.Verify(r, providers.Secrets{secret}) }

	began := time.Now()
	err := verify()
	require.ErrorIs(t, err, providers.ErrUnauthenticated, "refused, so that Graph repeats it")
	require.ErrorContains(t, err, "could not be fetched in time")
	require.Less(t, time.Since(began), time.Second)

	close(release)
	require.Eventually(t, func() bool { return verify() == nil }, 10*time.Second, 10*time.Millisecond, "the fetch goes on without the request")
	require.EqualValues(t, 1, genuine.calls.Load())
}

func TestKeysAreFetchedOnceAndNotForEveryUnknownName(t *testing.T) {
	m := newMicrosoft(t, "k1")
	p := open(t, richSettings(t, m.URL))
	require.Zero(t, m.calls.Load(), "nothing is fetched before it is needed")
	verify := func(kid string) error {
		tk := tokenOf(tenant)
		tk.kid, tk.header = kid, map[string]any{"alg": "RS256", "kid": kid}
		return p.Verify(tokened(t, []token{tk}, stated(mailUpdated, secret)), providers.Secrets{secret})
	}
	require.ErrorIs(t, p.Verify(tokened(t, []token{tokenOf(tenant)}, stated(mailUpdated, "guess")), providers.Secrets{secret}), providers.ErrUnauthenticated)
	require.Zero(t, m.calls.Load(), "who knows no clientState makes us fetch nothing")
	for range 5 {
		require.NoError(t, verify("k1"))
		require.ErrorContains(t, verify("stranger"), "does not publish")
	}
	require.EqualValues(t, 1, m.calls.Load())

	m.publish(t, "k1", "k2")
	require.Error(t, verify("k2"), "not so soon after the last fetch")
	msgraph.LetTimePass(p)
	require.NoError(t, verify("k2"))
	require.NoError(t, verify("k1"))
	require.EqualValues(t, 2, m.calls.Load())
}

func TestKeysThatCannotBeFetchedProveNothing(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"an error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"no JSON":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"no keys":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys": []}`) },
		"another host": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://localhost:1/", http.StatusFound)
		},
	} {
		server := httptest.NewServer(handler)
		defer server.Close()
		p := open(t, richSettings(t, server.URL))
		err := p.Verify(tokened(t, []token{tokenOf(tenant)}, stated(mailUpdated, secret)), providers.Secrets{secret})
		require.ErrorIs(t, err, providers.ErrUnauthenticated, name)
		require.ErrorContains(t, err, "could not be fetched", name)
	}
}

func TestContentThatCannotBeReadIsForAnOperator(t *testing.T) {
	p := open(t, richSettings(t, ""))
	with := func(member, value string) map[string]string {
		content := sealed(t, chat, "new")
		content[member] = value
		return content
	}
	shorter := sealed(t, chat, "new")
	data, err := base64.StdEncoding.DecodeString(shorter["data"])
	require.NoError(t, err)
	key := slices.Repeat([]byte{7}, 32)
	resigned := func(data []byte) map[string]string {
		content := with("data", base64.StdEncoding.EncodeToString(data))
		content["dataSignature"] = base64.StdEncoding.EncodeToString(mac(key, data))
		return content
	}
	flipped := slices.Clone(data)
	flipped[len(flipped)-17] ^= 1
	for name, c := range map[string]struct {
		content map[string]string
		why     string
	}{
		"an unknown certificate":       {with("encryptionCertificateId", "lost"), "no key for its encryptionCertificateId"},
		"another certificate's":        {with("encryptionCertificateId", "old"), "dataKey cannot be decrypted"},
		"a key that is no base64":      {with("dataKey", "!"), "unreadable base64"},
		"no key":                       {with("dataKey", ""), "dataKey cannot be decrypted"},
		"another signature":            {with("dataSignature", "AAAA"), "dataSignature does not fit"},
		"changed data":                 {with("data", base64.StdEncoding.EncodeToString(flipped)), "dataSignature does not fit"},
		"no data":                      {resigned(nil), "no encrypted JSON object"},
		"half a block":                 {resigned(data[:24]), "no encrypted JSON object"},
		"a block less":                 {resigned(data[:len(data)-16]), "no encrypted JSON object"},
		"padding that is none":         {resigned(flipped), "no encrypted JSON object"},
		"a resource that is no object": {sealed(t, "[]", "new"), "no encrypted JSON object"},
		"a resource that is no JSON":   {sealed(t, "{", "new"), "no encrypted JSON object"},
	} {
		events, err := p.Events(request(batch(rich(t, chatUpdated, c.content), userDeleted)))
		require.NoError(t, err, name)
		require.Contains(t, events[0].Review, c.why, name)
		require.NotContains(t, string(events[0].Payload), secret)
		require.Empty(t, events[1].Review, "the others are not held up")
	}
}

func TestTwoNotificationsWithResourceDataDifferByTheirKeys(t *testing.T) {
	one := batch(rich(t, chatUpdated, sealed(t, chat, "new")))
	two := batch(rich(t, chatUpdated, sealed(t, chat, "new")))
	require.Equal(t, eventsIn(t, one, 0)[0].ID, eventsIn(t, one, time.Hour)[0].ID)
	require.NotEqual(t, eventsIn(t, one, 0)[0].ID, eventsIn(t, two, 0)[0].ID)
}
