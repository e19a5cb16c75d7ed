package mailchimp

import (
	"errors"
	"fmt"
	"time"

	"github.com/surehook/surehook/providers"
)

// scheme is Stripe's, under another header. Its tolerance is what Mailchimp's
// guide recommends against replays. Whether Mailchimp ever signs twice is not
// documented; the form of the header allows it.
var scheme = providers.TimedSignature{Header: "X-Mailchimp-Signature", Tolerance: 300 * time.Second}

// Verify accepts a request whose X-Mailchimp-Signature holds, as v1, the
// HMAC-SHA256 of "<t>.<raw body>" under one of the secrets, with a t of at most
// 300 s ago.
//
// Where the settings allow unsigned requests, one without the header is accepted
// when its URL ends with a secret. One with the header never is: otherwise
// whoever learns the URL could take the signature for nothing.
//
// Source: mailchimp.com/developer/marketing/guides/sync-audience-data-webhooks.
func (p *Provider) Verify(r providers.Request, s providers.Secrets) error {
	if p.unsigned && len(r.Header.Values(scheme.Header)) == 0 {
		return verifyToken(r.PathToken, s)
	}
	if err := scheme.Verify(r, s); err != nil {
		return fmt.Errorf("%s: verify: %w", name, err)
	}
	return nil
}

// verifyToken accepts a request by what its URL ends with.
func verifyToken(token string, s providers.Secrets) error {
	if !s.Contain(token) {
		return fmt.Errorf("%s: verify: %w: %w: the URL ends with no live secret, and the request is not signed",
			name, providers.ErrUnauthenticated, providers.ErrNoSuchPath)
	}
	return nil
}

// Sign adds a signature or, where the settings allow unsigned requests, what
// proves those: the secret at the end of the URL.
func (p *Provider) Sign(r *providers.Request, s providers.Secrets) error {
	if len(s) == 0 || s[0] == "" {
		return errors.New(name + ": sign: no secret")
	}
	if p.unsigned {
		addToken(r, s[0])
		return nil
	}
	if err := scheme.Sign(r, s); err != nil {
		return fmt.Errorf("%s: sign: %w", name, err)
	}
	return nil
}

// addToken changes the URL in a copy: the caller's may be shared.
func addToken(r *providers.Request, token string) {
	if r.URL != nil && r.PathToken == "" {
		r.URL = r.URL.JoinPath(token)
	}
	r.PathToken = token
}
