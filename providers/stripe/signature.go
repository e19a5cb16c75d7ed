package stripe

import (
	"fmt"
	"time"

	"github.com/surehook/surehook/providers"
)

// scheme is documented at https://docs.stripe.com/webhooks#verify-manually. Its
// tolerance is the default of Stripe's libraries. They only refuse what is too
// old; we bound a time in the future as well.
var scheme = providers.TimedSignature{Header: "Stripe-Signature", Tolerance: 300 * time.Second}

// Verify implements providers.Provider.
func (p *Provider) Verify(r providers.Request, s providers.Secrets) error {
	if err := scheme.Verify(r, s); err != nil {
		return fmt.Errorf("%s: verify: %w", name, err)
	}
	return nil
}

// Sign implements providers.Provider.
func (p *Provider) Sign(r *providers.Request, s providers.Secrets) error {
	if err := scheme.Sign(r, s); err != nil {
		return fmt.Errorf("%s: sign: %w", name, err)
	}
	return nil
}
