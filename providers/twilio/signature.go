package twilio

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Twilio signs with it, and an HMAC does not need it to resist collisions
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/surehook/surehook/providers"
)

// The scheme is documented at twilio.com/docs/usage/webhooks/webhooks-security;
// what that page leaves open is as in Twilio's libraries (npm twilio 6.2.0,
// lib/webhooks/webhooks.js; twilio-go 1.31.0, client/request_validator.go).
const (
	headerSignature = "X-Twilio-Signature"
	// queryBodyHash is added to the URL for a body that is no form. As part of the
	// URL it is signed.
	queryBodyHash = "bodySHA256"
)

// Verify accepts a request whose X-Twilio-Signature is the HMAC-SHA1, in base64
// and under one of the secrets, of the URL followed by the parameters of a form:
// each name and its distinct values, all sorted. A GET has its parameters in the
// URL. A body that is no form is bound to the URL by its hash.
//
// A secret is an account's auth token. Twilio signs with the primary one only, so
// the secondary is to be in the list before it is promoted.
//
// Twilio signs no time, so there is nothing to judge freshness by.
func (p *Provider) Verify(r providers.Request, s providers.Secrets) error {
	sent, err := providers.HeaderOnce(r.Header, headerSignature)
	if err != nil {
		return fmt.Errorf("%s: verify: %w: %w", name, providers.ErrUnauthenticated, err)
	}
	tail, err := signedTail(r)
	if err != nil {
		return fmt.Errorf("%s: verify: %w: %w", name, providers.ErrUnauthenticated, err)
	}
	urls := signedURLs(r.URL)
	err = s.Accept(func(secret string) bool {
		return slices.ContainsFunc(urls[:], func(signedURL string) bool {
			// Compared as text: base64 has a second way to write the same digest.
			return hmac.Equal([]byte(sent), sum(secret, signedURL, tail))
		})
	})
	if err != nil {
		return fmt.Errorf("%s: verify: %w and our URL", name, err)
	}
	return nil
}

// The ways in which a request cannot have been signed, in words for the operator.
var (
	errNoURL        = errors.New("the request has no URL")
	errBodyHash     = errors.New("the body is not the one that " + queryBodyHash + " stands for")
	errManyBodyHash = errors.New("more than one " + queryBodyHash + " in the URL")
	errUnsignedBody = errors.New("a body that is no form, and no " + queryBodyHash + " in the URL")
)

// signedTail returns what Twilio signs after the URL.
func signedTail(r providers.Request) (string, error) {
	if r.URL == nil {
		return "", errNoURL
	}
	hashes := r.URL.Query()[queryBodyHash]
	switch {
	case len(hashes) > 1:
		return "", errManyBodyHash
	case len(hashes) == 1:
		if !hmac.Equal([]byte(hashes[0]), []byte(bodyHash(r.Body))) {
			return "", errBodyHash
		}
		return "", nil
	case len(r.Body) == 0:
		return "", nil
	case !r.IsForm():
		return "", errUnsignedBody
	}
	form, err := parseForm(string(r.Body))
	if err != nil {
		return "", err
	}
	return form.joined(), nil
}

func bodyHash(body []byte) string {
	hash := sha256.Sum256(body)
	return hex.EncodeToString(hash[:])
}

// signedURLs returns the URLs that Twilio may have signed: it keeps the port for
// some products and drops it for others, so its libraries try the URL with a port
// and without one. Userinfo and fragment are never signed.
func signedURLs(u *url.URL) [2]string {
	with, without := *u, *u
	for _, v := range []*url.URL{&with, &without} {
		v.User, v.Fragment, v.RawFragment = nil, "", ""
	}
	without.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
	if u.Port() == "" {
		port := "80"
		if u.Scheme == "https" {
			port = "443"
		}
		with.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return [2]string{without.String(), with.String()}
}

// sum signs as Twilio does.
func sum(secret, signedURL, tail string) []byte {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(signedURL))
	mac.Write([]byte(tail))
	return base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
}

// Sign sets X-Twilio-Signature, and for a body that is no form its hash in the
// URL. Of the two ways with the port it takes that of the URL as it stands.
func (p *Provider) Sign(r *providers.Request, s providers.Secrets) error {
	if len(s) == 0 || s[0] == "" {
		return errors.New(name + ": sign: no secret")
	}
	if r.URL == nil {
		return fmt.Errorf("%s: sign: %w", name, errNoURL)
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if len(r.Body) > 0 && !r.IsForm() {
		r.URL = withBodyHash(r.URL, r.Body)
	}
	tail, err := signedTail(*r)
	if err != nil {
		return fmt.Errorf("%s: sign: %w", name, err)
	}
	signedURL := *r.URL
	signedURL.User, signedURL.Fragment, signedURL.RawFragment = nil, "", ""
	r.Header.Set(headerSignature, string(sum(s[0], signedURL.String(), tail)))
	return nil
}

// withBodyHash returns the URL with the body's hash in its query, as Twilio adds
// it: after what is there already.
func withBodyHash(u *url.URL, body []byte) *url.URL {
	var kept []string
	for part := range strings.SplitSeq(u.RawQuery, "&") {
		if part != "" && !strings.HasPrefix(part, queryBodyHash+"=") {
			kept = append(kept, part)
		}
	}
	hashed := *u
	hashed.RawQuery = strings.Join(append(kept, queryBodyHash+"="+bodyHash(body)), "&")
	return &hashed
}
