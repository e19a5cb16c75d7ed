// Package mailchimp is the Mailchimp platform: the webhooks of its audiences in
// (members who subscribe, leave, change or are cleaned, and campaigns that are
// sent), the Marketing API out. Mailchimp Transactional, once Mandrill, is
// package mandrill.
//
// A webhook that was made with signing signs the raw form and the time. Older
// ones sign nothing; what proves them is a secret in the URL that they call. A
// source takes such requests only when its settings say so, and a request that
// has a signature is judged by it alone.
package mailchimp

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/surehook/surehook/providers"
)

const (
	name = "mailchimp"

	// defaultDataCenter serves a provider that was given no key, and so may call
	// nothing anyway.
	defaultDataCenter = "us1"
)

// Settings are what a source of Mailchimp may say besides its secrets.
type Settings struct {
	// Unsigned takes requests without a signature, whose URL ends with one of
	// the source's secrets: those of webhooks that were made without signing.
	Unsigned bool `yaml:"unsigned"`
	// Audiences are the IDs of those whose members a reconciliation lists. Those of
	// the account that are not named are none of the source's business: their
	// members would become records although no webhook ever tells of them.
	Audiences []string `yaml:"audiences"`
}

var (
	errAudience = errors.New("want the ID of an audience, such as a6b5da1054")
	errTwice    = errors.New("is named twice")
)

func (s Settings) check() error {
	var errs []error
	for i, id := range s.Audiences {
		field := fmt.Sprintf("audiences[%d]", i)
		switch {
		case !objectName.MatchString(id):
			errs = append(errs, &providers.SettingError{Field: field, Err: errAudience})
		case slices.Contains(s.Audiences[:i], id):
			errs = append(errs, &providers.SettingError{Field: field, Err: errTwice})
		}
	}
	return errors.Join(errs...)
}

// Provider is Mailchimp. Create one with New.
type Provider struct {
	client    *providers.Client
	key       string
	unsigned  bool
	audiences []string
}

var (
	_ providers.Provider   = (*Provider)(nil)
	_ providers.Endpointer = (*Provider)(nil)
	_ providers.Prober     = (*Provider)(nil)
	_ providers.Handshaker = (*Provider)(nil)
	_ providers.Fetcher    = (*Provider)(nil)
	_ providers.Lister     = (*Provider)(nil)
)

// New returns a provider that fetches from cfg.BaseURL with cfg.Key. By default
// the base URL is that of the data center which ends the key, as in
// "0123456789abcdef0123456789abcdef-us6".
func New(cfg providers.APIConfig, s Settings) (*Provider, error) {
	if cfg.BaseURL == "" {
		center, err := dataCenter(cfg.Key)
		if err != nil {
			return nil, fmt.Errorf("%s: api.key: %w", name, err)
		}
		cfg.BaseURL = "https://" + center + ".api.mailchimp.com"
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	client, err := providers.NewClient(name, cfg, classify)
	if err != nil {
		return nil, err
	}
	return &Provider{client: client, key: cfg.Key, unsigned: s.Unsigned, audiences: slices.Clone(s.Audiences)}, nil
}

var dataCenterName = regexp.MustCompile(`^[a-z]{2,8}[0-9]{1,3}$`)

// dataCenter reads the data center off a key. An OAuth token names none: then
// the base URL has to be given.
//
// Source: mailchimp.com/developer/marketing/docs/fundamentals.
func dataCenter(key string) (string, error) {
	if key == "" {
		return defaultDataCenter, nil
	}
	center := key[strings.LastIndexByte(key, '-')+1:]
	if center == key || !dataCenterName.MatchString(center) {
		return "", fmt.Errorf("names no data center, as in -us6, and there is no api.base_url")
	}
	return center, nil
}

// Endpoint implements providers.Endpointer. The URL may end with a secret also
// where signatures are required, so that a webhook need not change its URL when
// it is replaced by one that signs.
func (p *Provider) Endpoint() providers.Endpoint {
	return providers.Endpoint{Methods: []string{http.MethodGet, http.MethodHead}, PathToken: true}
}

// Probe answers Mailchimp's check of the URL: a GET, which it makes when a
// webhook is saved, and so before anybody can know the secret it will sign with.
// It carries no event. (A HEAD is answered alike; nothing says that it is sent.)
//
// Where the URL's own secret is the proof, the check has to have it too: see
// Handshake.
//
// Source: mailchimp.com/developer/marketing/guides/sync-audience-data-webhooks.
func (p *Provider) Probe(r providers.Request) (providers.Response, bool) {
	if p.unsigned {
		return providers.Response{}, false
	}
	return p.Handshake(r)
}

// Handshake answers the check of a URL that Verify has found to hold a secret.
func (p *Provider) Handshake(r providers.Request) (providers.Response, bool) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return providers.Response{}, false
	}
	return providers.Response{Status: http.StatusOK}, true
}
