// Package paypal is the PayPal platform: webhooks in.
//
// PayPal signs with a private key of its own, so no secret is shared. What it
// signs names the webhook that a notification is for; without that, anybody with a
// PayPal account could send us their own notifications, signed by PayPal. So the
// source's secrets are the webhook's ID, as the developer dashboard shows it.
//
// Of the body PayPal signs the CRC-32 only. It finds accidents, not intent: whoever
// holds one signed notification can make another body with the same checksum. What
// cannot be made is another transmission, so the transmission names the event beside
// the ID in its body, and what a payload says should be confirmed with PayPal before
// money depends on it.
//
// Source: developer.paypal.com/api/rest/webhooks/rest, and PayPal's SDKs.
package paypal

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/surehook/surehook/providers"
)

const (
	name           = "paypal"
	defaultBaseURL = "https://api.paypal.com"
)

// Settings are those of a PayPal source.
type Settings struct {
	// Certificates are PayPal's signing certificates in PEM, for a network that
	// must not call PayPal: then nothing is fetched, and these are trusted as they
	// are. They have to be replaced when PayPal replaces its own.
	Certificates []providers.Secret `yaml:"certificates"`
	// SigningKey is the private RSA key, in PEM, of the first certificate. PayPal
	// keeps its own, so this is for tests and `surehook send`.
	SigningKey providers.Secret `yaml:"signing_key"`
}

// Provider is PayPal. Create one with New.
type Provider struct {
	certificates certificates
	certURL      string // what Sign names as the certificate's address
	signingKey   *rsa.PrivateKey
}

var _ providers.Provider = (*Provider)(nil)

// New returns a provider that fetches PayPal's certificates from the host of
// cfg.BaseURL, by default https://api.paypal.com; for PayPal's sandbox it is
// https://api.sandbox.paypal.com. No other host than one of paypal.com's can be
// configured.
func New(cfg providers.APIConfig, s Settings) (*Provider, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = defaultBaseURL
	}
	p := &Provider{certURL: strings.TrimSuffix(cfg.BaseURL, "/") + certPath + "CERT-surehook"}
	var errs []error
	fetched, err := newFetched(cfg)
	if err != nil {
		errs = append(errs, err)
	}
	p.certificates = fetched
	if len(s.Certificates) > 0 {
		given, err := readGiven(s.Certificates)
		errs = append(errs, err)
		p.certificates = given
		if p.signingKey, err = readKey(s.SigningKey, given); err != nil {
			errs = append(errs, &providers.SettingError{Field: "signing_key", Err: err})
		}
	} else if s.SigningKey != "" {
		errs = append(errs, &providers.SettingError{Field: "signing_key", Err: errors.New("needs its certificate in certificates")})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

// readKey reads the private key of the first certificate. There need not be one.
func readKey(text providers.Secret, given given) (*rsa.PrivateKey, error) {
	if text == "" {
		return nil, nil
	}
	block, err := onlyBlock(text)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("no private key in PKCS #8")
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("not an RSA key")
	}
	if len(given) > 0 && !key.PublicKey.Equal(given[0].PublicKey) {
		return nil, errors.New("not the key of the first certificate")
	}
	return key, nil
}

// fail starts an error as all of this package's errors start.
func fail(op string, err error) error { return fmt.Errorf("%s: %s: %w", name, op, err) }
