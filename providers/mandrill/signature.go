package mandrill

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Mandrill signs with nothing else
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/surehook/surehook/providers"
)

const (
	headerSignature = "X-Mandrill-Signature"

	// testKey signs the test of a URL. It is no secret.
	testKey = "test-webhook"

	// maxTestBytes is far above what the test of a URL sends. Others are told from
	// it by their length alone.
	maxTestBytes = 256
)

// Verify accepts a request whose X-Mandrill-Signature is the HMAC-SHA1, in
// base64, of the URL as it was entered at Mandrill and then each form field's
// name and value, the fields sorted by name. Each webhook has a key of its own,
// and Mandrill signs with no second one while it is being replaced.
//
// Mandrill signs no time, so there is nothing to judge freshness by.
//
// Source: mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks
// and mandrill.zendesk.com "How to Authenticate Webhook Requests".
func (p *Provider) Verify(r providers.Request, s providers.Secrets) error {
	sent, err := readSignature(r.Header)
	if err != nil {
		return fmt.Errorf("%s: verify: %w: %w", name, providers.ErrUnauthenticated, err)
	}
	text, err := p.signedText(r)
	if err != nil {
		return fmt.Errorf("%s: verify: %w: %w", name, providers.ErrUnauthenticated, err)
	}
	err = s.Accept(func(secret string) bool { return isSecret(secret) && hmac.Equal(sent, digest(secret, text)) })
	if err != nil {
		return fmt.Errorf("%s: verify: %w and the URL", name, err)
	}
	return nil
}

// isSecret says whether only Mandrill and its user can know the key.
func isSecret(key string) bool { return key != "" && key != testKey }

// Sign implements providers.Provider.
func (p *Provider) Sign(r *providers.Request, s providers.Secrets) error {
	if len(s) == 0 || !isSecret(s[0]) {
		return errors.New(name + ": sign: no secret")
	}
	text, err := p.signedText(*r)
	if err != nil {
		return fmt.Errorf("%s: sign: %w", name, err)
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set(headerSignature, base64.StdEncoding.EncodeToString(digest(s[0], text)))
	return nil
}

// isTest reports whether the request is Mandrill's test of a URL.
func (p *Provider) isTest(r providers.Request) bool {
	if r.Method != http.MethodPost || len(r.Body) > maxTestBytes {
		return false
	}
	sent, errSignature := readSignature(r.Header)
	form, errForm := providers.ReadForm(r.Body)
	text, errText := p.signedText(r)
	if errSignature != nil || errForm != nil || errText != nil {
		return false
	}
	empty := strings.Join(strings.Fields(form[eventsField]), "") == "[]"
	return empty && hmac.Equal(sent, digest(testKey, text))
}

func readSignature(h http.Header) ([]byte, error) {
	text, err := providers.HeaderOnce(h, headerSignature)
	if err != nil {
		return nil, err
	}
	// The digest's 20 bytes have one form in base64. A lenient decoder would take
	// others too, with line breaks or bits left over.
	mac, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(mac) != sha1.Size || base64.StdEncoding.EncodeToString(mac) != text {
		return nil, errors.New(headerSignature + " is not 20 bytes in base64")
	}
	return mac, nil
}

// signedText is what Mandrill signs.
func (p *Provider) signedText(r providers.Request) (string, error) {
	form, err := providers.ReadForm(r.Body)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	switch {
	case p.url != "":
		text.WriteString(p.url)
	case r.URL != nil:
		text.WriteString(r.URL.String())
	default:
		return "", errors.New("the URL is not known")
	}
	for _, field := range slices.Sorted(maps.Keys(form)) {
		text.WriteString(field)
		text.WriteString(form[field])
	}
	return text.String(), nil
}

func digest(secret, text string) []byte {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
