package paypal_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/paypal"
	"github.com/surehook/surehook/providers/providertest"
)

const (
	webhook      = "4JH86294D6297924G"
	transmission = "dfb3be50-fd74-11e4-8bf3-77339302725b"
	certPath     = "/v1/notifications/certs/"
	certName     = "CERT-360caa42-fca2a594-a5cafa77"

	authorization = `{"id":"8PT597110X687430LKGECATA","create_time":"2013-06-25T21:41:28Z","resource_type":"authorization",` +
		`"event_type":"PAYMENT.AUTHORIZATION.CREATED","resource_version":"1.0","summary":"A payment authorization was created",` +
		`"resource":{"id":"2DC87612EK520411B","state":"authorized"}}`
)

func now() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// authority issues certificates, as those that machines trust do.
type authority struct {
	cert *x509.Certificate
	key  *rsa.PrivateKey
	pool *x509.CertPool
}

// identity is a key with its certificate.
type identity struct {
	key *rsa.PrivateKey
	pem string
}

// Keys are slow to make, so all tests share a few.
var keys = sync.OnceValue(func() (made [3]*rsa.PrivateKey) {
	for i := range made {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		made[i] = key
	}
	return made
})

func newAuthority(t testing.TB) authority { return authorityWith(t, keys()[0]) }

func authorityWith(t testing.TB, key *rsa.PrivateKey) authority {
	t.Helper()
	a := authority{key: key, pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Authority"},
		NotBefore: now().AddDate(-1, 0, 0), NotAfter: now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	require.NoError(t, err)
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.pool.AddCert(a.cert)
	return a
}

// issue makes a certificate for a name, valid from a day before now.
func (a authority) issue(t testing.TB, to string, days int) identity {
	t.Helper()
	key := keys()[1]
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: to}, DNSNames: []string{to},
		NotBefore: now().AddDate(0, 0, -1), NotAfter: now().AddDate(0, 0, days),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	return identity{key: key, pem: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

func (i identity) private(t testing.TB) providers.Secret {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	require.NoError(t, err)
	return providers.Secret(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

const (
	live    = "messageverificationcerts.paypal.com"
	sandbox = "messageverificationcerts.sandbox.paypal.com"
)

// fake is PayPal's API as far as certificates go.
type fake struct {
	*httptest.Server
	served atomic.Int32
}

func serve(t testing.TB, certificate string) *fake {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.served.Add(1)
		if r.URL.Path != certPath+certName {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(certificate))
	}))
	t.Cleanup(f.Close)
	return f
}

// open returns a provider that asks the fake and trusts the authority.
func open(t testing.TB, f *fake, a authority) *paypal.Provider {
	t.Helper()
	p, err := paypal.New(providers.APIConfig{BaseURL: f.URL}, paypal.Settings{})
	require.NoError(t, err)
	p.TrustOnly(a.pool)
	return p
}

func request(body string) providers.Request {
	return providers.Request{
		Method: http.MethodPost, Body: []byte(body), ReceivedAt: now(),
		Header: http.Header{"Content-Type": {"application/json"}},
	}
}

// signAsDocumented is PayPal's documentation in code:
// id|time|webhook id|CRC-32 of the body, in decimals.
func signAsDocumented(key *rsa.PrivateKey, certURL string) func(*providers.Request, string) {
	return func(r *providers.Request, webhook string) {
		at := r.ReceivedAt.UTC().Format("2006-01-02T15:04:05Z")
		text := fmt.Sprintf("%s|%s|%s|%d", transmission, at, webhook, crc32.ChecksumIEEE(r.Body))
		r.Header.Set("Paypal-Transmission-Id", transmission)
		r.Header.Set("Paypal-Transmission-Time", at)
		r.Header.Set("Paypal-Transmission-Sig", sign(key, text))
		r.Header.Set("Paypal-Cert-Url", certURL)
		r.Header.Set("Paypal-Auth-Algo", "SHA256withRSA")
	}
}

// signatures are those made already: the same text has the same one, and RSA is slow.
var signatures sync.Map

func sign(key *rsa.PrivateKey, text string) string {
	type made struct {
		key  *rsa.PrivateKey
		text string
	}
	if known, ok := signatures.Load(made{key, text}); ok {
		return known.(string)
	}
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	encoded := base64.StdEncoding.EncodeToString(signature)
	signatures.Store(made{key, text}, encoded)
	return encoded
}

// signed is a request as PayPal sends it, signed with the identity.
func signed(i identity, f *fake) providers.Request {
	r := request(authorization)
	signAsDocumented(i.key, f.URL+certPath+certName)(&r, webhook)
	return r
}

func TestConforms(t *testing.T) {
	a := newAuthority(t)
	us := a.issue(t, live, 200)
	p, err := paypal.New(providers.APIConfig{}, paypal.Settings{
		Certificates: []providers.Secret{providers.Secret(us.pem)}, SigningKey: us.private(t),
	})
	require.NoError(t, err)
	unsigned := request(authorization)
	require.NoError(t, p.Sign(&unsigned, providers.Secrets{webhook}))
	id := unsigned.Header.Get("Paypal-Transmission-Id")
	oracle := signAsDocumented(us.key, "https://api.paypal.com"+certPath+"CERT-surehook")
	providertest.Exercise(t, providertest.Suite{
		Provider: p,
		Request:  func() providers.Request { return request(authorization) },
		Oracle: func(r *providers.Request, webhook string) {
			oracle(r, webhook)
			// The one header that Sign has to make up.
			at := r.Header.Get("Paypal-Transmission-Time")
			text := fmt.Sprintf("%s|%s|%s|%d", id, at, webhook, crc32.ChecksumIEEE(r.Body))
			r.Header.Set("Paypal-Transmission-Id", id)
			r.Header.Set("Paypal-Transmission-Sig", sign(us.key, text))
		},
		SignatureHeaders: []string{"Paypal-Transmission-Sig", "Paypal-Transmission-Id", "Paypal-Transmission-Time", "Paypal-Auth-Algo"},
		Malformed: map[string]string{
			"an event without an id":   strings.Replace(authorization, `"id":"8PT`, `"x":"8PT`, 1),
			"an event without a type":  strings.Replace(authorization, `"event_type"`, `"x"`, 1),
			"an event with a blank id": strings.Replace(authorization, "8PT597", "8PT 97", 1),
		},
	})
}

// PayPal's libraries for Python and Ruby test themselves with this request, and the
// one for Ruby (spec/webhooks_spec.rb) says what of it is signed. The certificate is
// no longer served, so it is signed with one of ours here.
func TestWhatIsSignedIsWhatPayPalsLibrariesSign(t *testing.T) {
	body, err := os.ReadFile("testdata/sale_completed.json")
	require.NoError(t, err)
	a := newAuthority(t)
	us := a.issue(t, live, 1)
	f := serve(t, us.pem)

	const expected = transmission + "|2015-05-18T15:45:13Z|" + webhook + "|2771810304"
	r := signed(us, f)
	r.Body = body
	r.Header.Set("Paypal-Transmission-Time", "2015-05-18T15:45:13Z")
	r.Header.Set("Paypal-Transmission-Sig", sign(us.key, expected))
	p := open(t, f, a)
	require.NoError(t, p.Verify(r, providers.Secrets{webhook}))

	events, err := p.Events(r)
	require.NoError(t, err)
	require.Equal(t, "WH-0G2756385H040842W-5Y612302CV158622M", events[0].ID)
	require.Equal(t, "PAYMENT.SALE.COMPLETED", events[0].Type)
	require.Equal(t, "sale/4EU7004268015634R", events[0].Ref.String())
}

func TestACertificateIsFetchedOnceAndKept(t *testing.T) {
	a := newAuthority(t)
	us := a.issue(t, live, 1)
	f := serve(t, us.pem)
	p := open(t, f, a)
	for range 3 {
		require.NoError(t, p.Verify(signed(us, f), providers.Secrets{"another", webhook}))
	}
	require.EqualValues(t, 1, f.served.Load())

	later := signed(us, f)
	later.ReceivedAt = now().AddDate(0, 0, 2)
	err := p.Verify(later, providers.Secrets{webhook})
	require.ErrorIs(t, err, providers.ErrUnauthenticated)
	require.ErrorContains(t, err, "no certificate is valid now")
}

func TestANotificationForAnotherWebhookIsRefused(t *testing.T) {
	a := newAuthority(t)
	us := a.issue(t, live, 1)
	f := serve(t, us.pem)
	r := request(authorization)
	signAsDocumented(us.key, f.URL+certPath+certName)(&r, "WEBHOOKOFSOMEBODYELSE")
	require.ErrorIs(t, open(t, f, a).Verify(r, providers.Secrets{webhook}), providers.ErrUnauthenticated)
}

func TestOnlyPayPalsCertificatesAreTrusted(t *testing.T) {
	a := newAuthority(t)
	stranger := authorityWith(t, keys()[2])
	for name, us := range map[string]identity{
		"issued to somebody else":            a.issue(t, "evil.example.com", 1),
		"issued to a name that ends alike":   a.issue(t, "messageverificationcerts.paypal.com.evil.example", 1),
		"issued to a name that begins alike": a.issue(t, "evilmessageverificationcerts.paypal.com", 1),
		"issued to another part of PayPal":   a.issue(t, "www.paypal.com", 1),
		"issued to the sandbox":              a.issue(t, sandbox, 1),
		"expired":                            a.issue(t, live, -1),
		"issued by a stranger":               stranger.issue(t, live, 1),
		"none":                               {key: keys()[1], pem: "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, us.pem)
			require.ErrorIs(t, open(t, f, a).Verify(signed(us, f), providers.Secrets{webhook}), providers.ErrUnauthenticated)
			require.EqualValues(t, 1, f.served.Load())
		})
	}
}

func TestARequestChoosesNoMoreThanACertificatesName(t *testing.T) {
	a := newAuthority(t)
	us := a.issue(t, live, 1)
	f := serve(t, us.pem)
	elsewhere := serve(t, us.pem)
	p := open(t, f, a)
	for _, certURL := range []string{
		elsewhere.URL + certPath + certName,
		"https://api.paypal.com" + certPath + certName,
		"https://evil.example/" + certPath + certName,
		strings.Replace(f.URL, "http://", "http://user@", 1) + certPath + certName,
		strings.Replace(f.URL, "http://", "ftp://", 1) + certPath + certName,
		strings.Replace(f.URL, "http://", "https://", 1) + certPath + certName,
		f.URL + certPath + "../certs/" + certName,
		f.URL + certPath + "%2e%2e/" + certName,
		f.URL + certPath + certName + "?a=b",
		f.URL + certPath + certName + "#a",
		f.URL + certPath + certName + "/x",
		f.URL + "/v2/notifications/certs/" + certName,
		f.URL + certPath,
		f.URL + certPath + "CERT-" + strings.Repeat("a", 101),
		"//" + strings.TrimPrefix(f.URL, "http://") + certPath + certName,
		"::", "CERT-1", " ",
	} {
		r := signed(us, f)
		r.Header.Set("Paypal-Cert-Url", certURL)
		require.ErrorIs(t, p.Verify(r, providers.Secrets{webhook}), providers.ErrUnauthenticated, certURL)
	}
	require.Zero(t, f.served.Load())
	require.Zero(t, elsewhere.served.Load())
}

func TestStrangersCannotMakeUsFetchWithoutEnd(t *testing.T) {
	a := newAuthority(t)
	us := a.issue(t, live, 1)
	f := serve(t, us.pem)
	p := open(t, f, a)
	require.NoError(t, p.Verify(signed(us, f), providers.Secrets{webhook}))
	for i := range 100 {
		r := signed(us, f)
		r.Header.Set("Paypal-Cert-Url", fmt.Sprintf("%s%sCERT-%d", f.URL, certPath, i))
		require.ErrorIs(t, p.Verify(r, providers.Secrets{webhook}), providers.ErrUnauthenticated)
	}
	require.Less(t, f.served.Load(), int32(30)) // ten at once, and one a second
	require.NoError(t, p.Verify(signed(us, f), providers.Secrets{webhook}))
}

func TestAPayPalThatHangsDoesNotHoldUpTheAnswers(t *testing.T) {
	a := newAuthority(t)
	us := a.issue(t, live, 1)
	release := make(chan struct{})
	f := serve(t, us.pem)
	hanging := &fake{Server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-release
		f.Config.Handler.ServeHTTP(w, r)
	}))}
	t.Cleanup(hanging.Close)
	letGo := sync.OnceFunc(func() { close(release) })
	t.Cleanup(letGo)
	p := open(t, hanging, a)
	r := signed(us, hanging)
	verify := func() error { return p.Verify(r, providers.Secrets{webhook}) }

	began := time.Now()
	var senders sync.WaitGroup
	for range 20 {
		senders.Go(func() {
			err := verify()
			assert.ErrorIs(t, err, providers.ErrUnauthenticated, "refused, so that PayPal repeats it")
			assert.ErrorContains(t, err, "could not be fetched in time")
		})
	}
	senders.Wait()
	require.Less(t, time.Since(began), 2*time.Second)

	letGo()
	require.Eventually(t, func() bool { return verify() == nil }, 10*time.Second, 10*time.Millisecond, "the fetch goes on without the requests")
	require.EqualValues(t, 1, f.served.Load(), "all waited for the same one")
}

func TestWithCertificatesInTheSettingsNothingIsFetched(t *testing.T) {
	a := newAuthority(t)
	us := a.issue(t, "our own PayPal", 1)
	f := serve(t, us.pem)
	p, err := paypal.New(providers.APIConfig{BaseURL: f.URL}, paypal.Settings{Certificates: []providers.Secret{providers.Secret(us.pem)}})
	require.NoError(t, err)
	require.NoError(t, p.Verify(signed(us, f), providers.Secrets{webhook}))
	require.Zero(t, f.served.Load())

	r := request(authorization)
	require.ErrorContains(t, p.Sign(&r, providers.Secrets{webhook}), "PayPal alone has its key")
}

// Whoever holds a signed notification can make another body with its checksum. The
// events of both are one, whatever ID the second has.
func TestAForgedBodyWithTheSameChecksumIsNoOtherEvent(t *testing.T) {
	a := newAuthority(t)
	us := a.issue(t, live, 1)
	f := serve(t, us.pem)
	p := open(t, f, a)
	genuine := signed(us, f)
	forged := signed(us, f)
	forged.Body = withChecksum(t, strings.Replace(authorization, "8PT597110X687430LKGECATA", "FORGED", 1), crc32.ChecksumIEEE(genuine.Body))
	require.NoError(t, p.Verify(forged, providers.Secrets{webhook}), "this test is to show that it can be done")

	first, err := p.Events(genuine)
	require.NoError(t, err)
	second, err := p.Events(forged)
	require.NoError(t, err)
	require.NotEqual(t, first[0].ID, second[0].ID)
	require.NotEmpty(t, first[0].Fingerprint)
	require.Equal(t, first[0].Fingerprint, second[0].Fingerprint)
}

// withChecksum puts a member before the object's end that gives the document the
// checksum. CRC-32 is linear, so among 32 bits that may be chosen freely there is one
// choice; letters differ in their sixth bit, so that 32 of them are 32 bits.
func withChecksum(t *testing.T, document string, want uint32) []byte {
	t.Helper()
	padding := []byte(strings.Repeat("a", 40))
	at := len(document) - 1 + len(`,"x":"`)
	body := []byte(document[:len(document)-1] + `,"x":"` + string(padding) + `"}`)
	base := crc32.ChecksumIEEE(body)
	type row struct{ effect, letters uint64 }
	var basis []row
	for i := range padding {
		body[at+i] ^= 0x20
		basis = append(basis, row{effect: uint64(crc32.ChecksumIEEE(body) ^ base), letters: 1 << i})
		body[at+i] ^= 0x20
	}
	need, chosen := uint64(base^want), uint64(0)
	for bit := range 32 {
		mask := uint64(1) << bit
		pivot := -1
		for i, r := range basis {
			if r.effect&mask != 0 {
				pivot = i
				break
			}
		}
		if pivot < 0 {
			continue
		}
		with := basis[pivot]
		basis = append(basis[:pivot], basis[pivot+1:]...)
		for i := range basis {
			if basis[i].effect&mask != 0 {
				basis[i].effect ^= with.effect
				basis[i].letters ^= with.letters
			}
		}
		if need&mask != 0 {
			need ^= with.effect
			chosen ^= with.letters
		}
	}
	for i := range padding {
		if chosen&(1<<i) != 0 {
			body[at+i] ^= 0x20
		}
	}
	require.Equal(t, want, crc32.ChecksumIEEE(body))
	return body
}

func TestADisputeIsNamedByItsOwnID(t *testing.T) {
	p, err := paypal.New(providers.APIConfig{}, paypal.Settings{})
	require.NoError(t, err)
	events, err := p.Events(request(`{"id":"WH-1","event_type":"CUSTOMER.DISPUTE.CREATED","resource_type":"dispute","resource":{"dispute_id":"PP-D-4012"}}`))
	require.NoError(t, err)
	require.Equal(t, "dispute/PP-D-4012", events[0].Ref.String())
	events, err = p.Events(request(`{"id":"WH-1","event_type":"VAULT.PAYMENT-TOKEN.DELETED","resource_type":"payment_token","resource":{"id":"4z"}}`))
	require.NoError(t, err)
	require.True(t, events[0].Deleted)
	events, err = p.Events(request(`{"id":"WH-1","event_type":"X","resource_type":"x y","resource":{"id":"4z"}}`))
	require.NoError(t, err)
	require.True(t, events[0].Ref.IsZero())
}

func TestMistakesInTheSettingsAreNamed(t *testing.T) {
	a := newAuthority(t)
	us := a.issue(t, live, 1)
	other := identity{key: keys()[2]}
	for name, c := range map[string]struct {
		base     string
		settings paypal.Settings
		want     string
	}{
		"another host":             {"https://paypal.com.evil.example", paypal.Settings{}, "want a host of paypal.com"},
		"a host that ends alike":   {"https://evilpaypal.com", paypal.Settings{}, "want a host of paypal.com"},
		"no TLS":                   {"http://api.paypal.com", paypal.Settings{}, "want https"},
		"no certificate":           {"", paypal.Settings{Certificates: []providers.Secret{"x"}}, "certificates[0]: want one block of PEM"},
		"a key for a certificate":  {"", paypal.Settings{Certificates: []providers.Secret{us.private(t)}}, "certificates[0]: no certificate"},
		"a key without one":        {"", paypal.Settings{SigningKey: us.private(t)}, "signing_key: needs its certificate"},
		"a certificate for a key":  {"", paypal.Settings{Certificates: []providers.Secret{providers.Secret(us.pem)}, SigningKey: providers.Secret(us.pem)}, "signing_key: no private key"},
		"the key of another":       {"", paypal.Settings{Certificates: []providers.Secret{providers.Secret(us.pem)}, SigningKey: other.private(t)}, "signing_key: not the key"},
		"a key that is not in PEM": {"", paypal.Settings{Certificates: []providers.Secret{providers.Secret(us.pem)}, SigningKey: "x"}, "signing_key: want one block of PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := paypal.New(providers.APIConfig{BaseURL: c.base}, c.settings)
			require.ErrorContains(t, err, c.want)
		})
	}
	for _, good := range []string{"", "https://api.paypal.com", "https://api-m.sandbox.paypal.com/", "http://127.0.0.1:1", "http://localhost:1"} {
		_, err := paypal.New(providers.APIConfig{BaseURL: good}, paypal.Settings{})
		require.NoError(t, err, good)
	}
}

func TestImports(t *testing.T) {
	providertest.CheckImports(t, deptest.Rule{})
}

func FuzzVerify(f *testing.F) {
	a := newAuthority(f)
	us := a.issue(f, live, 1)
	p, err := paypal.New(providers.APIConfig{}, paypal.Settings{Certificates: []providers.Secret{providers.Secret(us.pem)}})
	require.NoError(f, err)
	genuine := request(authorization)
	signAsDocumented(us.key, "https://api.paypal.com"+certPath+certName)(&genuine, webhook)
	h := genuine.Header
	f.Add(genuine.Body, h.Get("Paypal-Transmission-Id"), h.Get("Paypal-Transmission-Time"), h.Get("Paypal-Transmission-Sig"), h.Get("Paypal-Auth-Algo"))
	f.Fuzz(func(t *testing.T, body []byte, id, at, signature, algo string) {
		r := request(string(body))
		r.Header.Set("Paypal-Transmission-Id", id)
		r.Header.Set("Paypal-Transmission-Time", at)
		r.Header.Set("Paypal-Transmission-Sig", signature)
		r.Header.Set("Paypal-Auth-Algo", algo)
		r.Header.Set("Paypal-Cert-Url", h.Get("Paypal-Cert-Url"))
		if p.Verify(r, providers.Secrets{webhook}) == nil {
			require.Equal(t, transmission, id)
			require.Equal(t, crc32.ChecksumIEEE(genuine.Body), crc32.ChecksumIEEE(body))
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte(authorization))
	p, err := paypal.New(providers.APIConfig{}, paypal.Settings{})
	require.NoError(f, err)
	f.Fuzz(func(_ *testing.T, body []byte) {
		_, _ = p.Events(request(string(body)))
	})
}

func BenchmarkVerifyAndEvents(b *testing.B) {
	a := newAuthority(b)
	us := a.issue(b, live, 1)
	f := serve(b, us.pem)
	p := open(b, f, a)
	r := request(strings.Replace(authorization, "{", `{"padding":"`+strings.Repeat("x", 1600)+`",`, 1))
	signAsDocumented(us.key, f.URL+certPath+certName)(&r, webhook)
	providertest.Benchmark(b, p, r, providers.Secrets{webhook})
}
