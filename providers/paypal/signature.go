package paypal

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

const (
	headerID        = "Paypal-Transmission-Id"
	headerTime      = "Paypal-Transmission-Time"
	headerSignature = "Paypal-Transmission-Sig"
	headerCertURL   = "Paypal-Cert-Url"
	headerAlgorithm = "Paypal-Auth-Algo"

	// algorithm is the only one that PayPal uses. A sender does not choose it.
	algorithm = "SHA256withRSA"

	// maxHeaderBytes is well above the longest of the headers, the signature.
	maxHeaderBytes = 2048
)

// transmission is what the headers say of a request.
type transmission struct {
	id, time, signature, certURL string
}

// Verify implements providers.Provider.
//
// The time of the transmission is signed, but not judged: PayPal sends a
// notification again for three days, and does not say whether it signs it anew. A
// notification that comes twice is a duplicate, however old it is.
func (p *Provider) Verify(r providers.Request, s providers.Secrets) error {
	if err := p.verify(r, s); err != nil {
		return fail("verify", fmt.Errorf("%w: %w", providers.ErrUnauthenticated, err))
	}
	return nil
}

func (p *Provider) verify(r providers.Request, s providers.Secrets) error {
	t, err := readTransmission(r.Header)
	if err != nil {
		return err
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(t.signature)
	if err != nil {
		return errors.New("the signature is no base64")
	}
	keys, err := p.certificates.keys(t.certURL, r.ReceivedAt)
	if err != nil {
		return err
	}
	for _, webhook := range s {
		if webhook == "" {
			continue // would be any webhook without an ID
		}
		digest := t.digest(webhook, r.Body)
		for _, key := range keys {
			if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, signature) == nil {
				return nil
			}
		}
	}
	return fmt.Errorf("the signature fits none of %d webhook IDs", len(s))
}

func readTransmission(h http.Header) (transmission, error) {
	var t transmission
	var algo string
	for name, into := range map[string]*string{
		headerID: &t.id, headerTime: &t.time, headerSignature: &t.signature, headerCertURL: &t.certURL, headerAlgorithm: &algo,
	} {
		value, err := providers.HeaderOnce(h, name)
		if err != nil {
			return transmission{}, err
		}
		if value == "" || len(value) > maxHeaderBytes {
			return transmission{}, fmt.Errorf("the header %s is empty or too long", name)
		}
		*into = value
	}
	switch {
	case algo != algorithm:
		return transmission{}, errors.New("another algorithm than " + algorithm)
	// The fields are joined with bars: one inside a field could move its border.
	case strings.Contains(t.id, "|") || strings.Contains(t.time, "|"):
		return transmission{}, errors.New("a signed header holds a bar")
	}
	return t, nil
}

// digest is the hash of what PayPal signs.
func (t transmission) digest(webhook string, body []byte) []byte {
	sum := strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10)
	digest := sha256.Sum256([]byte(strings.Join([]string{t.id, t.time, webhook, sum}, "|")))
	return digest[:]
}

// Sign implements providers.Provider. Only PayPal can sign as PayPal, so it needs
// settings with a key and a certificate of one's own.
func (p *Provider) Sign(r *providers.Request, s providers.Secrets) error {
	if len(s) == 0 || s[0] == "" {
		return fail("sign", errors.New("no webhook ID"))
	}
	if p.signingKey == nil {
		return fail("sign", errors.New("PayPal alone has its key: set signing_key and certificates for a pair of your own"))
	}
	sum := sha256.Sum256(r.Body)
	t := transmission{
		id:      fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]),
		time:    r.ReceivedAt.UTC().Format(time.RFC3339),
		certURL: p.certURL,
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, p.signingKey, crypto.SHA256, t.digest(s[0], r.Body))
	if err != nil {
		return fail("sign", err)
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set(headerID, t.id)
	r.Header.Set(headerTime, t.time)
	r.Header.Set(headerSignature, base64.StdEncoding.EncodeToString(signature))
	r.Header.Set(headerCertURL, t.certURL)
	r.Header.Set(headerAlgorithm, algorithm)
	return nil
}
