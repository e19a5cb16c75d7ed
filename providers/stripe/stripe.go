// Package stripe is the Stripe platform: its webhooks in, both as snapshot events
// and as thin events, its REST API (v1 and v2) out.
//
// Stripe signs the raw body and a time, and each attempt anew. An event's ID is
// part of the body, so nothing can be sent again under another one.
package stripe

import "github.com/surehook/surehook/providers"

const (
	name = "stripe"

	// defaultBaseURL is where Stripe's API is for live and test keys alike.
	defaultBaseURL = "https://api.stripe.com"
)

// Provider is Stripe. Create one with New.
type Provider struct {
	client *providers.Client
	key    string
}

var (
	_ providers.Provider = (*Provider)(nil)
	_ providers.Fetcher  = (*Provider)(nil)
	_ providers.Lister   = (*Provider)(nil)
)

// New returns a provider that fetches from cfg.BaseURL, by default Stripe's
// own, with cfg.Key: a secret key or, better, a restricted key that may read
// what the source's events are about.
func New(cfg providers.APIConfig) (*Provider, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = defaultBaseURL
	}
	client, err := providers.NewClient(name, cfg, classify)
	if err != nil {
		return nil, err
	}
	return &Provider{client: client, key: cfg.Key}, nil
}
