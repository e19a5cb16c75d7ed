// Package twilio is the Twilio platform: the webhooks of messages and calls in,
// the REST API of 2010-04-01 out.
//
// Twilio has no event id that it signs. The same callback sent again has the same
// parameters, and these are signed, so an event's id is made from them: the SID
// and the status, with a hash where these two do not tell one callback from the
// next.
//
// What Twilio signs are the URL and the parameters, one after the other without
// anything between them. Whoever has got hold of one signed request could thus
// draw the borders between names and values anew; the fingerprint is of the bytes
// without their borders, so that what comes out is a duplicate. No time is signed.
package twilio

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
	name           = "twilio"
	defaultBaseURL = "https://api.twilio.com"
	apiVersion     = "2010-04-01"
)

// Settings are what a source of Twilio has of its own.
type Settings struct {
	// AccountSID is the account whose messages and calls are fetched. It may be
	// left out where the API key begins with it.
	AccountSID string `yaml:"account_sid"`
	// Subaccounts are further accounts whose events are to be expected. Objects
	// of any other are not fetched.
	Subaccounts []string `yaml:"subaccounts"`
}

// Provider is Twilio. Create one with New.
type Provider struct {
	client      *providers.Client
	account     string // empty without a key
	subaccounts []string
	user, token string // of basic authentication
}

var (
	_ providers.Provider   = (*Provider)(nil)
	_ providers.Endpointer = (*Provider)(nil)
	_ providers.Fetcher    = (*Provider)(nil)
	_ providers.Lister     = (*Provider)(nil)
)

// accountSIDs are Twilio's identifiers of accounts.
var accountSIDs = regexp.MustCompile(`^AC[0-9a-f]{32}$`)

// New returns a provider that fetches from the API at cfg.BaseURL, by default
// https://api.twilio.com. cfg.Key is "SK…:secret" for an API key, or "AC…:token"
// or just the token for an account's auth token; all but the second need
// Settings.AccountSID beside them.
func New(cfg providers.APIConfig, s Settings) (*Provider, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = defaultBaseURL
	}
	p := &Provider{subaccounts: slices.Clone(s.Subaccounts)}
	if err := p.signIn(cfg.Key, s); err != nil {
		return nil, err
	}
	var err error
	p.client, err = providers.NewClient(name, cfg, classify)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// The ways in which the settings name no account.
var (
	errNoSID     = errors.New("want AC and 32 lower-case hex digits")
	errNoAccount = errors.New("is missing: the API key does not begin with it")
)

// signIn takes the credential apart and checks the settings.
func (p *Provider) signIn(key string, s Settings) error {
	user, token, pair := strings.Cut(key, ":")
	if !pair {
		user, token = s.AccountSID, key
	}
	p.user, p.token, p.account = user, token, s.AccountSID
	if p.account == "" && accountSIDs.MatchString(user) {
		p.account = user
	}
	var errs []error
	if s.AccountSID != "" && !accountSIDs.MatchString(s.AccountSID) {
		errs = append(errs, &providers.SettingError{Field: "account_sid", Err: errNoSID})
	}
	if key != "" && p.account == "" {
		errs = append(errs, &providers.SettingError{Field: "account_sid", Err: errNoAccount})
	}
	for i, sid := range s.Subaccounts {
		if !accountSIDs.MatchString(sid) {
			errs = append(errs, &providers.SettingError{Field: fmt.Sprintf("subaccounts[%d]", i), Err: errNoSID})
		}
	}
	return errors.Join(errs...)
}

// Endpoint says that Twilio may be set up to send GET, and that it reads the
// answer as TwiML. An empty document tells it to do nothing. It is right for
// every kind of webhook: those of incoming messages and calls must be answered
// with TwiML (twilio.com/docs/api/errors/12300), and for a status callback
// answered with 200 it is what Twilio asks for (twilio.com/docs/api/errors/15003
// and 11750).
func (p *Provider) Endpoint() providers.Endpoint {
	return providers.Endpoint{
		Methods: []string{http.MethodGet},
		Accepted: providers.Response{
			Status:      http.StatusOK,
			ContentType: "text/xml",
			Body:        []byte(`<?xml version="1.0" encoding="UTF-8"?><Response></Response>`),
		},
	}
}
