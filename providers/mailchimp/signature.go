package mailchimp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

const (
	signatureHeader = "X-Mailchimp-Signature"

	// tolerance is what Mailchimp's guide recommends against replays. It speaks
	// of old requests only; a time in the future is as suspect.
	tolerance = 300 * time.Second

	// maxSignatures bounds the work that a forged header can cause. Whether
	// Mailchimp ever signs twice is not documented; the form of the header
	// allows it, so all signatures are looked at.
	maxSignatures = 16
)

// Verify accepts a request whose X-Mailchimp-Signature holds, as v1, the
// HMAC-SHA256 of "<t>.<raw body>" under one of the secrets, with a t of at most
// 300 s ago. Authenticity is judged before age, so that ErrStale always speaks
// of a request that Mailchimp did sign once.
//
// Where the settings allow unsigned requests, one without the header is accepted
// when its URL ends with a secret. One with the header never is: otherwise
// whoever learns the URL could take the signature for nothing.
//
// Source: mailchimp.com/developer/marketing/guides/sync-audience-data-webhooks.
func (p *Provider) Verify(r providers.Request, s providers.Secrets) error {
	if p.unsigned && len(r.Header.Values(signatureHeader)) == 0 {
		return verifyToken(r.PathToken, s)
	}
	signed, err := parseSignature(r.Header)
	if err != nil {
		return fmt.Errorf("%s: verify: %w: %w", name, providers.ErrUnauthenticated, err)
	}
	if !signed.by(s, r.Body) {
		return fmt.Errorf("%s: verify: %w: %s", name, providers.ErrUnauthenticated, noneFits(s))
	}
	if age := r.ReceivedAt.Sub(signed.at); age.Abs() > tolerance {
		return fmt.Errorf("%s: verify: %w: signed %s before it came", name, providers.ErrStale, age.Round(time.Second))
	}
	return nil
}

// noneFits tells the operator how many secrets were tried.
func noneFits(s providers.Secrets) string {
	if len(s) == 1 {
		return "the signature does not fit the secret"
	}
	return fmt.Sprintf("the signature fits none of the %d secrets", len(s))
}

// verifyToken compares with every secret, and hashes first, so that the time it
// takes tells nothing about any of them.
func verifyToken(token string, s providers.Secrets) error {
	given, known := sha256.Sum256([]byte(token)), false
	for _, secret := range s {
		want := sha256.Sum256([]byte(secret))
		if hmac.Equal(given[:], want[:]) && secret != "" {
			known = true
		}
	}
	if !known {
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
	if r.Header == nil {
		r.Header = http.Header{}
	}
	t := strconv.FormatInt(r.ReceivedAt.Unix(), 10)
	r.Header.Set(signatureHeader, "t="+t+",v1="+hex.EncodeToString(digest(s[0], t, r.Body)))
	return nil
}

// addToken changes the URL in a copy: the caller's may be shared.
func addToken(r *providers.Request, token string) {
	if r.URL != nil && r.PathToken == "" {
		r.URL = r.URL.JoinPath(token)
	}
	r.PathToken = token
}

// signature is what an X-Mailchimp-Signature header says.
type signature struct {
	t  string // as it stands in the header: these bytes are signed
	at time.Time
	v1 [][]byte
}

func parseSignature(h http.Header) (signature, error) {
	values := h.Values(signatureHeader)
	switch len(values) {
	case 0:
		return signature{}, errors.New("the header " + signatureHeader + " is missing: was the webhook made with signing?")
	case 1:
	default:
		return signature{}, fmt.Errorf("%d %s headers: want one", len(values), signatureHeader)
	}
	var sig signature
	for element := range strings.SplitSeq(values[0], ",") {
		scheme, value, found := strings.Cut(strings.TrimSpace(element), "=")
		if !found {
			return signature{}, errors.New("header is malformed")
		}
		if err := sig.add(scheme, value); err != nil {
			return signature{}, err
		}
	}
	if sig.t == "" {
		return signature{}, errors.New("header has no time")
	}
	return sig, nil
}

// add takes the time and the v1 signatures and ignores every other scheme: to
// accept one that is not documented would be to let a forger choose it.
func (sig *signature) add(scheme, value string) error {
	switch scheme {
	case "t":
		seconds, err := strconv.ParseUint(value, 10, 40)
		if err != nil || sig.t != "" {
			return errors.New("time in the header is malformed or repeated")
		}
		sig.t, sig.at = value, time.Unix(int64(seconds), 0)
	case "v1":
		if len(sig.v1) == maxSignatures {
			return fmt.Errorf("header has more than %d signatures", maxSignatures)
		}
		mac, err := hex.DecodeString(value)
		if err != nil {
			mac = nil // equals no digest
		}
		sig.v1 = append(sig.v1, mac)
	}
	return nil
}

// by reports whether one of the signatures was made with one of the secrets.
func (sig signature) by(s providers.Secrets, body []byte) bool {
	return slices.ContainsFunc(s, func(secret string) bool {
		if secret == "" {
			return false // anyone can sign with it
		}
		want := digest(secret, sig.t, body)
		return slices.ContainsFunc(sig.v1, func(mac []byte) bool { return hmac.Equal(mac, want) })
	})
}

func digest(secret, t string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return mac.Sum(nil)
}
