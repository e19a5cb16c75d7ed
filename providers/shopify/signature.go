package shopify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	"github.com/surehook/surehook/providers"
)

// errNoSignature tells the operator what is missing.
var errNoSignature = errors.New("the header X-Shopify-Hmac-Sha256 is missing")

// Verify accepts a request whose X-Shopify-Hmac-Sha256, or the same without its
// X-, is the HMAC-SHA256 of the raw body under one of the secrets, in base64.
// The secrets are client secrets of the app: Shopify may go on signing with the
// old one for an hour after it was rotated, so that one stays in the list.
// Webhooks that were made in a shop's own settings are signed with a key of the
// shop, which is shown there.
//
// The text is compared, and not what it decodes to: base64 has several texts
// for the same bytes. Shopify signs no time, so there is nothing to judge
// freshness by.
//
// Source: shopify.dev/docs/apps/build/webhooks/verify-deliveries.
func (p *Provider) Verify(r providers.Request, s providers.Secrets) error {
	said, err := readLabels(r.Header)
	if err != nil {
		return fmt.Errorf("%s: verify: %w: %w", name, providers.ErrUnauthenticated, err)
	}
	if said[labelHMAC] == "" {
		return fmt.Errorf("%s: verify: %w: %w", name, providers.ErrUnauthenticated, errNoSignature)
	}
	signature := []byte(said[labelHMAC])
	err = s.Accept(func(secret string) bool { return hmac.Equal(signature, sum(secret, r.Body)) })
	if err != nil {
		return fmt.Errorf("%s: verify: %w", name, err)
	}
	return nil
}

func sum(secret string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
}

// Sign sets the signature, in the set of headers that the request has. The
// others are the caller's to set; they are not signed.
func (p *Provider) Sign(r *providers.Request, s providers.Secrets) error {
	if len(s) == 0 || s[0] == "" {
		return errors.New(name + ": sign: no secret")
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	_, ofEvents := r.Header[labelTopic.header(true)]
	_, ofWebhooks := r.Header[labelTopic.header(false)]
	signature := string(sum(s[0], r.Body))
	if ofEvents {
		r.Header.Set(labelHMAC.header(true), signature)
	}
	if ofWebhooks || !ofEvents {
		r.Header.Set(labelHMAC.header(false), signature)
	}
	return nil
}
