// Package jira is the Jira Cloud platform: its webhooks in, the REST API out.
//
// Jira signs the raw body and nothing else: neither the webhook's identifier,
// which stands in a header, nor a time. Whoever has got hold of one signed body
// could send it again under another identifier, so the body's fingerprint joins
// the dedupe.
//
// An identifier is unique within one site (one tenant) only, so a source stands
// for one site: two sites need two sources, whose names keep equal identifiers
// apart. Events that show another site than the source's wait for an operator.
//
// Webhooks that OAuth 2.0 apps register themselves (POST /rest/api/3/webhook)
// are reported to carry no signature, and those of Connect apps carry a token
// that does not cover the body. Neither proves anything about a body, so both are refused.
package jira

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/surehook/surehook/providers"
)

const (
	name = "jira"

	headerSignature  = "X-Hub-Signature"
	headerIdentifier = "X-Atlassian-Webhook-Identifier"
	headerFlow       = "X-Atlassian-Webhook-Flow"

	method = "sha256"
)

// Provider is Jira Cloud. Create one with New.
type Provider struct {
	client *providers.Client // nil while it is not known where the API is
	tenant tenant
	// authorization is the header of that name, empty without a key.
	authorization string
	settings      Settings
}

var (
	_ providers.Provider = (*Provider)(nil)
	_ providers.Fetcher  = (*Provider)(nil)
	_ providers.Labeler  = (*Provider)(nil)
	_ providers.Lister   = (*Provider)(nil)
	_ providers.Keeper   = (*Provider)(nil)
)

// New returns a provider for one site of Jira Cloud. cfg.BaseURL is the site,
// https://SITE.atlassian.net, or Atlassian's gateway to it,
// https://api.atlassian.com/ex/jira/CLOUD-ID; by default it is the site of the
// settings. cfg.Key is "EMAIL:API-TOKEN", sent as basic authentication, or else
// an OAuth 2.0 access token, sent as a bearer credential.
func New(cfg providers.APIConfig, s Settings) (*Provider, error) {
	site, err := s.check()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if cfg.BaseURL == "" && site != "" {
		cfg.BaseURL = "https://" + site
	}
	p := &Provider{authorization: authorization(cfg.Key), tenant: tenant{site: site}, settings: s}
	if cfg.BaseURL == "" {
		return p, nil // it can verify and read, which is all that a signer needs
	}
	if p.client, err = providers.NewClient(name, cfg, classify); err != nil {
		return nil, err
	}
	if p.tenant, err = newTenant(site, cfg.BaseURL); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// authorization tells an API token from an OAuth access token by the e-mail
// address and colon that come before it.
func authorization(key string) string {
	switch {
	case key == "":
		return ""
	case strings.Contains(key, ":"):
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(key))
	default:
		return "Bearer " + key
	}
}

// Verify accepts a request whose X-Hub-Signature is "sha256=" and the
// HMAC-SHA256 of the raw body under one of the secrets. The header has the form
// of WebSub, method=signature; sha256 is the one method that Jira uses, and it
// reserves the right to use others. A webhook has one secret and Jira signs with
// no second one while it changes, so the old one is to be kept in the list for a
// while.
//
// Jira signs no time, so there is nothing to judge freshness by.
//
// Source: developer.atlassian.com/cloud/jira/platform/webhooks, "Secure admin webhooks".
func (p *Provider) Verify(r providers.Request, s providers.Secrets) error {
	signature, err := readSignature(r.Header)
	if err != nil {
		return fmt.Errorf("%s: verify: %w: %w", name, providers.ErrUnauthenticated, err)
	}
	err = s.Accept(func(secret string) bool { return hmac.Equal(signature, sum(secret, r.Body)) })
	if err != nil {
		return fmt.Errorf("%s: verify: %w", name, err)
	}
	return nil
}

// The ways in which a request lacks a signature, in words for the operator.
var (
	errNoSignature  = errors.New("the header " + headerSignature + " is missing: has the webhook a secret?")
	errBadSignature = errors.New(headerSignature + " is not " + method + "= and 64 hex digits")
)

// otherMethods are the methods that WebSub names besides sha256 (W3C
// recommendation, section 7). Only these are repeated to the operator: anybody
// could write anything else before the equals sign.
var otherMethods = []string{"sha1", "sha384", "sha512"}

func readSignature(h http.Header) ([]byte, error) {
	if len(h.Values(headerSignature)) == 0 {
		return nil, errNoSignature
	}
	text, err := providers.HeaderOnce(h, headerSignature)
	if err != nil {
		return nil, err
	}
	by, digits, ok := strings.Cut(text, "=")
	if slices.Contains(otherMethods, by) {
		return nil, fmt.Errorf("signed by the method %s, and only %s is understood", by, method)
	}
	if !ok || by != method || len(digits) != hex.EncodedLen(sha256.Size) {
		return nil, errBadSignature
	}
	signature, err := hex.DecodeString(digits)
	if err != nil {
		return nil, errBadSignature // hex's own error quotes the header
	}
	return signature, nil
}

func sum(secret string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return mac.Sum(nil)
}

// Sign sets X-Hub-Signature. The webhook's identifier is the caller's to set; it
// is not signed.
func (p *Provider) Sign(r *providers.Request, s providers.Secrets) error {
	if len(s) == 0 || s[0] == "" {
		return errors.New(name + ": sign: no secret")
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set(headerSignature, method+"="+hex.EncodeToString(sum(s[0], r.Body)))
	return nil
}

// Label sets the webhook's identifier, and the flow that events of people's own
// doing come by. The event's type is in the body.
func (p *Provider) Label(r *providers.Request, id, _ string) {
	r.Header.Set(headerIdentifier, id)
	r.Header.Set(headerFlow, "Primary")
}
