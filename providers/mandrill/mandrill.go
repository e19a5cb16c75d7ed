// Package mandrill is the Mailchimp Transactional platform, which was and at its
// interfaces still is called Mandrill: webhooks in (about messages, the lists of
// addresses that it will not send to, and inbound mail), its API out. Mailchimp's
// audiences are package mailchimp.
//
// A request holds up to a thousand events in one form field. It is signed
// together with the URL it was meant for, exactly as that was entered, and
// without a time: an old request stays authentic, and is known by its events' IDs.
package mandrill

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/surehook/surehook/providers"
)

const (
	name = "mandrill"

	// defaultBaseURL is where the API is for all accounts.
	defaultBaseURL = "https://mandrillapp.com/api"

	// eventsField is the only field that Mandrill documents.
	eventsField = "mandrill_events"
)

// Settings are what a source of Mandrill may say besides its secrets.
type Settings struct {
	// URL is the webhook's URL as it was entered at Mandrill, to the letter. It
	// is needed where the one that requests come in by may differ, if only by a
	// slash at the end. By default that one is taken.
	URL string `yaml:"url"`
}

// Provider is Mandrill. Create one with New.
type Provider struct {
	client *providers.Client
	key    string
	url    string // as entered at Mandrill, or empty
}

var (
	_ providers.Provider   = (*Provider)(nil)
	_ providers.Endpointer = (*Provider)(nil)
	_ providers.Prober     = (*Provider)(nil)
	_ providers.Fetcher    = (*Provider)(nil)
)

// New returns a provider that fetches from cfg.BaseURL, by default
// https://mandrillapp.com/api, with cfg.Key.
func New(cfg providers.APIConfig, s Settings) (*Provider, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = defaultBaseURL
	}
	client, errClient := providers.NewClient(name, cfg, classify)
	if err := errors.Join(errClient, checkURL(s.URL)); err != nil {
		return nil, err
	}
	return &Provider{client: client, key: cfg.Key, url: s.URL}, nil
}

// checkURL does not quote the URL: it may hold a password.
func checkURL(entered string) error {
	if entered == "" {
		return nil
	}
	u, err := url.Parse(entered)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return &providers.SettingError{Field: "url", Err: fmt.Errorf("%s: want http(s)://host/path, as it was entered at Mandrill", name)}
	}
	return nil
}

// Endpoint implements providers.Endpointer.
func (p *Provider) Endpoint() providers.Endpoint {
	return providers.Endpoint{Methods: []string{http.MethodHead}}
}

// Probe answers the checks of a URL that is being entered: first a HEAD and,
// where that is not answered with 200, a POST with no events that is signed with
// a key everybody knows. Neither carries an event, and nothing else is ever
// accepted under that key.
//
// Source: mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks
// and mandrill.zendesk.com "Why can't my webhook or inbound route URL be verified?".
func (p *Provider) Probe(r providers.Request) (providers.Response, bool) {
	if r.Method != http.MethodHead && !p.isTest(r) {
		return providers.Response{}, false
	}
	return providers.Response{Status: http.StatusOK}, true
}
