// Package github is the GitHub platform: repository, organization and app
// webhooks in, the REST API out. It works with github.com and, with another
// base URL, with GitHub Enterprise Server.
//
// GitHub signs the raw body and nothing else: neither the delivery's id nor
// the event's name, which stand in headers, nor a time. Whoever has got hold of
// one signed body could send it again under another id or name, so the body's
// fingerprint joins the dedupe. Two deliveries with the same body (of two hooks
// that report the same to one source) count as one.
package github

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/surehook/surehook/providers"
)

const (
	name           = "github"
	defaultBaseURL = "https://api.github.com"

	headerSignature = "X-Hub-Signature-256"
	headerSHA1      = "X-Hub-Signature"
	headerDelivery  = "X-GitHub-Delivery"
	headerEvent     = "X-GitHub-Event"

	signaturePrefix = "sha256="
	pingEvent       = "ping"
)

// Provider is GitHub. Create one with New.
type Provider struct {
	client *providers.Client
	plans  map[string]plan
	// authorization is the header of that name, empty without a key.
	authorization string
	settings      Settings
	hookPaths     providers.Places // of settings.Hooks
}

var (
	_ providers.Provider   = (*Provider)(nil)
	_ providers.Handshaker = (*Provider)(nil)
	_ providers.Fetcher    = (*Provider)(nil)
	_ providers.Labeler    = (*Provider)(nil)
	_ providers.Lister     = (*Provider)(nil)
)

// New returns a provider that fetches from the API at cfg.BaseURL, by default
// https://api.github.com. (On GitHub Enterprise Server it is
// https://HOST/api/v3.) cfg.Key is a token, sent as a bearer credential;
// without one, only public objects can be fetched, 60 an hour. The settings say
// what can be listed.
func New(cfg providers.APIConfig, s Settings) (*Provider, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = defaultBaseURL
	}
	p := &Provider{plans: plans(), settings: s, hookPaths: s.hookPaths()}
	if cfg.Key != "" {
		p.authorization = "Bearer " + cfg.Key
	}
	var err error
	p.client, err = providers.NewClient(name, cfg, classify)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Verify accepts a request whose X-Hub-Signature-256 is the HMAC-SHA256 of the
// raw body under one of the secrets. A hook has one secret and GitHub signs
// with no second one while it changes, so the old one is to be kept in the
// list for a while. GitHub also sends a SHA-1 signature; it proves nothing here.
//
// GitHub signs no time, so there is nothing to judge freshness by.
//
// Source: docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries.
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
	errNoSignature  = errors.New("the header " + headerSignature + " is missing: has the hook a secret?")
	errOnlySHA1     = errors.New("only a SHA-1 signature")
	errBadSignature = errors.New(headerSignature + " is not sha256= and 64 hex digits")
)

func readSignature(h http.Header) ([]byte, error) {
	switch missing := len(h.Values(headerSignature)) == 0; {
	case missing && len(h.Values(headerSHA1)) > 0:
		return nil, errOnlySHA1
	case missing:
		return nil, errNoSignature
	}
	text, err := providers.HeaderOnce(h, headerSignature)
	if err != nil {
		return nil, err
	}
	digits, ok := strings.CutPrefix(text, signaturePrefix)
	if !ok || len(digits) != hex.EncodedLen(sha256.Size) {
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

// Sign sets X-Hub-Signature-256. The delivery's id and the event's name are
// the caller's to set; they are not signed.
func (p *Provider) Sign(r *providers.Request, s providers.Secrets) error {
	if len(s) == 0 || s[0] == "" {
		return errors.New(name + ": sign: no secret")
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set(headerSignature, signaturePrefix+hex.EncodeToString(sum(s[0], r.Body)))
	return nil
}

// Label sets the delivery's id and the event's name, which is the type without
// its action: that is in the body.
func (p *Provider) Label(r *providers.Request, id, eventType string) {
	event, _, _ := strings.Cut(eventType, ".")
	r.Header.Set(headerEvent, event)
	r.Header.Set(headerDelivery, id)
}

// Handshake answers the ping that GitHub sends when a hook is created, and
// when somebody presses its button. It carries no event.
func (p *Provider) Handshake(r providers.Request) (providers.Response, bool) {
	if event, err := header(r.Header, headerEvent, eventNames); err != nil || event != pingEvent {
		return providers.Response{}, false
	}
	return providers.Response{
		Status:      http.StatusOK,
		ContentType: "application/json",
		Body:        []byte(`{"status":"pong"}`),
	}, true
}
