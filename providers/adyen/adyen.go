// Package adyen is the Adyen platform: its standard (payment) webhooks in.
//
// Adyen puts the signature into the body, one for each notification, and signs
// eight of its fields rather than its bytes. So a body has to be read before it
// can be verified, and whatever is not among those fields (the reason, the event's
// date, all additional data, whether it is live) proves nothing: do not decide on
// it without asking Adyen. What names an event is among them.
//
// Source: docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures.
package adyen

import (
	"fmt"
	"net/http"

	"github.com/surehook/surehook/providers"
)

const name = "adyen"

// Provider is Adyen. Create one with New.
type Provider struct{}

var (
	_ providers.Provider   = (*Provider)(nil)
	_ providers.Endpointer = (*Provider)(nil)
)

// New returns the provider. Nothing is fetched: Adyen tells the state of a payment
// by webhooks only. So the address in cfg is checked, and not used.
func New(cfg providers.APIConfig) (*Provider, error) {
	if cfg.BaseURL != "" {
		if _, err := providers.NewClient(name, cfg, nil); err != nil {
			return nil, err
		}
	}
	return &Provider{}, nil
}

// Endpoint implements providers.Endpointer. Adyen takes any 2xx today, and for years
// took nothing but this body, as the tests in its Customer Area still do.
//
// Source: docs.adyen.com/development-resources/webhooks/handle-webhook-events.
func (*Provider) Endpoint() providers.Endpoint {
	return providers.Endpoint{Accepted: providers.Response{
		Status: http.StatusOK, ContentType: "text/plain; charset=utf-8", Body: []byte("[accepted]"),
	}}
}

// fail starts an error as all of this package's errors start.
func fail(op string, err error) error { return fmt.Errorf("%s: %s: %w", name, op, err) }
