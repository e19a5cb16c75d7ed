package paypal

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/surehook/surehook/providers"
)

const (
	certPath = "/v1/notifications/certs/"

	fetchTimeout = 10 * time.Second       // the most a fetch may take
	fetchWait    = 500 * time.Millisecond // the most a request waits for one
	maxCerts     = 32
)

// certificates answers with the keys that may have signed a request that names
// the certificate at certURL.
type certificates interface {
	keys(certURL string, at time.Time) ([]*rsa.PublicKey, error)
}

// given are certificates from the settings. What a request names is not read.
type given []*x509.Certificate

func (g given) keys(_ string, at time.Time) ([]*rsa.PublicKey, error) {
	var keys []*rsa.PublicKey
	for _, cert := range g {
		if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && !at.Before(cert.NotBefore) && !at.After(cert.NotAfter) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no certificate is valid now")
	}
	return keys, nil
}

func readGiven(texts []providers.Secret) (given, error) {
	var certs given
	var errs []error
	for i, text := range texts {
		cert, err := readCertificate(text)
		if err != nil {
			errs = append(errs, &providers.SettingError{Field: fmt.Sprintf("certificates[%d]", i), Err: err})
			continue
		}
		certs = append(certs, cert)
	}
	return certs, errors.Join(errs...)
}

func readCertificate(text providers.Secret) (*x509.Certificate, error) {
	block, err := onlyBlock(text)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errors.New("no certificate")
	}
	if _, ok := cert.PublicKey.(*rsa.PublicKey); !ok {
		return nil, errors.New("not the certificate of an RSA key")
	}
	return cert, nil
}

func onlyBlock(text providers.Secret) (*pem.Block, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("want one block of PEM")
	}
	return block, nil
}

// fetched are certificates from PayPal, fetched when a request first names them.
//
// A request chooses no more than a name: the host is the configured one, the path is
// fixed, and what comes back counts only if it was issued to PayPal by an authority
// that the machine trusts. Requests that nobody signed can make us fetch, too, so
// fetches are few; one that names a certificate we hold needs none. All that name
// the same one wait for one fetch, and not for long: PayPal repeats what was
// refused, and by then the fetch, which goes on without them, may have ended.
type fetched struct {
	client  *providers.Client
	origins []string       // the scheme and host that a request may name
	issued  *regexp.Regexp // to whom the certificates are issued
	roots   *x509.CertPool // nil stands for the machine's
	calls   *rate.Limiter

	mu      sync.Mutex
	known   map[string]*x509.Certificate // those that are PayPal's, by name
	pending map[string]*fetch
}

// fetch is one that is under way, or what came of it once done is closed.
type fetch struct {
	done chan struct{}
	cert *x509.Certificate
	err  error
}

// The certificates are issued to these names. PayPal's sandbox has another, and
// anybody can have it sign something.
var (
	issuedLive    = regexp.MustCompile(`^messageverificationcerts\.paypal\.com$`)
	issuedSandbox = regexp.MustCompile(`^messageverificationcerts\.sandbox\.paypal\.com$`)

	certName = regexp.MustCompile(`^CERT-[0-9A-Za-z-]{1,100}$`)
)

func newFetched(cfg providers.APIConfig) (*fetched, error) {
	if cfg.Timeout == 0 || cfg.Timeout > fetchTimeout {
		cfg.Timeout = fetchTimeout
	}
	client, err := providers.NewClient(name, cfg, func(providers.APIResponse) (providers.Retry, time.Duration, string) {
		return providers.RetryNever, 0, ""
	})
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(cfg.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("%s: base URL: %w", name, err)
	}
	if err := checkHost(base); err != nil {
		return nil, fmt.Errorf("%s: base URL %q: %w", name, cfg.BaseURL, err)
	}
	f := &fetched{
		client:  client,
		origins: []string{base.Scheme + "://" + base.Host, base.Scheme + "://" + alias(base.Host)},
		issued:  issuedLive,
		calls:   rate.NewLimiter(rate.Every(time.Second), 10),
		known:   map[string]*x509.Certificate{},
		pending: map[string]*fetch{},
	}
	if strings.Contains(base.Host, ".sandbox.") {
		f.issued = issuedSandbox
	}
	return f, nil
}

// checkHost keeps the certificates' host at PayPal. This machine is allowed as
// well, for a fake of PayPal; it would need a trusted authority's certificate in
// PayPal's name to be believed.
func checkHost(base *url.URL) error {
	host := base.Hostname()
	if ip := net.ParseIP(host); host == "localhost" || (ip != nil && ip.IsLoopback()) {
		return nil
	}
	if host != "paypal.com" && !strings.HasSuffix(host, ".paypal.com") {
		return errors.New("want a host of paypal.com")
	}
	if base.Scheme != "https" {
		return errors.New("want https")
	}
	return nil
}

// alias is the API's other name: PayPal calls it api and api-m.
func alias(host string) string {
	if rest, ok := strings.CutPrefix(host, "api-m."); ok {
		return "api." + rest
	}
	if rest, ok := strings.CutPrefix(host, "api."); ok {
		return "api-m." + rest
	}
	return host
}

func (f *fetched) keys(certURL string, at time.Time) ([]*rsa.PublicKey, error) {
	id, err := f.name(certURL)
	if err != nil {
		return nil, err
	}
	cert, err := f.certificate(id, at)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", id, err)
	}
	return given{cert}.keys(certURL, at)
}

// name takes the certificate's name from its address, which must be PayPal's.
func (f *fetched) name(certURL string) (string, error) {
	u, err := url.Parse(certURL)
	if err != nil {
		return "", errors.New("the certificate's address is no URL")
	}
	id, found := strings.CutPrefix(u.Path, certPath)
	plain := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if !found || !certName.MatchString(id) || plain.String() != certURL || !slices.Contains(f.origins, u.Scheme+"://"+u.Host) {
		return "", errors.New("the certificate's address is not that of the configured PayPal")
	}
	return id, nil
}

var (
	errTooMany = errors.New("not fetched: too many unknown ones were asked for")
	errTooSlow = errors.New("could not be fetched in time")
)

// certificate returns the named certificate if it is PayPal's.
func (f *fetched) certificate(id string, at time.Time) (*x509.Certificate, error) {
	cert, under := f.look(id, at)
	switch {
	case cert != nil:
		return cert, nil
	case under == nil:
		return nil, errTooMany
	}
	patience := time.NewTimer(fetchWait)
	defer patience.Stop()
	select {
	case <-under.done:
		return under.cert, under.err
	case <-patience.C:
		return nil, errTooSlow
	}
}

// look returns the named certificate, or the fetch that may bring it, or neither.
func (f *fetched) look(id string, at time.Time) (*x509.Certificate, *fetch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	cert, under := f.known[id], f.pending[id]
	if cert == nil && under == nil && f.calls.Allow() {
		under = &fetch{done: make(chan struct{})}
		f.pending[id] = under
		go f.run(under, id, at)
	}
	return cert, under
}

// run keeps the certificate when it is PayPal's.
func (f *fetched) run(under *fetch, id string, at time.Time) {
	defer close(under.done)
	under.cert, under.err = f.get(id, at)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.pending, id)
	if under.err != nil {
		return
	}
	if len(f.known) >= maxCerts {
		clear(f.known) // PayPal has a few; whatever these are, they can be fetched again
	}
	f.known[id] = under.cert
}

func (f *fetched) get(id string, at time.Time) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	r, err := f.client.Get(ctx, "fetch it", certPath+id, nil)
	if err != nil {
		return nil, err
	}
	chain, err := parseChain(r.Body)
	if err != nil {
		return nil, err
	}
	if err := f.trust(chain, at); err != nil {
		return nil, err
	}
	return chain[0], nil
}

func parseChain(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("PayPal's answer holds no certificate")
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		return nil, errors.New("PayPal's answer holds no certificate")
	}
	return chain, nil
}

// trust says whether an authority of this machine vouches for the first
// certificate, and that it is PayPal's for signing messages.
func (f *fetched) trust(chain []*x509.Certificate, at time.Time) error {
	vouching := x509.NewCertPool()
	for _, cert := range chain[1:] {
		vouching.AddCert(cert)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{
		Roots: f.roots, Intermediates: vouching, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err != nil {
		return err
	}
	if _, ok := chain[0].PublicKey.(*rsa.PublicKey); !ok {
		return errors.New("not the certificate of an RSA key")
	}
	names := append([]string{chain[0].Subject.CommonName}, chain[0].DNSNames...)
	if !slices.ContainsFunc(names, f.issued.MatchString) {
		return errors.New("not issued to PayPal for signing messages")
	}
	return nil
}
