// Package stripe knows Stripe: its signed webhooks, both as snapshot events and
// as thin events, and the API that returns an object by its id.
package stripe

import (
	"github.com/surehook/surehook/providers"
)

// defaultBaseURL is where Stripe's API is for live and test keys alike.
const defaultBaseURL = "https://api.stripe.com"

// Provider is the providers.Provider and providers.Fetcher for Stripe.
type Provider struct {
	client *providers.Client
	key    string
}

// New returns a provider that fetches from cfg.BaseURL, by default Stripe's
// own, with cfg.Key: a secret key or, better, a restricted key that may read
// what the source's events are about.
func New(cfg providers.APIConfig) (*Provider, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = defaultBaseURL
	}
	client, err := providers.NewClient("stripe", cfg, classify)
	if err != nil {
		return nil, err
	}
	return &Provider{client: client, key: cfg.Key}, nil
}
