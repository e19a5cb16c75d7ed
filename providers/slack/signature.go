package slack

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

// The scheme is documented at
// https://docs.slack.dev/authentication/verifying-requests-from-slack.
const (
	headerSignature = "X-Slack-Signature"
	headerTimestamp = "X-Slack-Request-Timestamp"
	signaturePrefix = "v0="

	// tolerance is the five minutes of Slack's documentation. Some of its
	// libraries only refuse what is too old; a time in the future is as suspect.
	tolerance = 300 * time.Second
)

// Verify implements providers.Provider. Authenticity is judged before age, so
// that ErrStale always speaks of a request that Slack did sign once.
func (p *Provider) Verify(r providers.Request, s providers.Secrets) error {
	signed, err := parseSignature(r.Header)
	if err != nil {
		return fmt.Errorf("slack: verify: %w: %w", providers.ErrUnauthenticated, err)
	}
	if !signed.by(s, r.Body) {
		return fmt.Errorf("slack: verify: %w: %s", providers.ErrUnauthenticated, noneFits(s))
	}
	if age := r.ReceivedAt.Sub(signed.at); age.Abs() > tolerance {
		return fmt.Errorf("slack: verify: %w: signed %s before it came", providers.ErrStale, age.Round(time.Second))
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

// Sign implements providers.Provider.
func (p *Provider) Sign(r *providers.Request, s providers.Secrets) error {
	if len(s) == 0 || s[0] == "" {
		return errors.New("slack: sign: no secret")
	}
	t := strconv.FormatInt(r.ReceivedAt.Unix(), 10)
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set(headerTimestamp, t)
	r.Header.Set(headerSignature, signaturePrefix+hex.EncodeToString(digest(s[0], t, r.Body)))
	return nil
}

// signature is what the two headers say.
type signature struct {
	t   string // as it stands in the header: these bytes are signed
	at  time.Time
	mac []byte
}

func parseSignature(h http.Header) (signature, error) {
	t, err := only(h, headerTimestamp)
	if err != nil {
		return signature{}, err
	}
	sent, err := only(h, headerSignature)
	if err != nil {
		return signature{}, err
	}
	seconds, err := strconv.ParseUint(t, 10, 40)
	if err != nil {
		return signature{}, errors.New("the header " + headerTimestamp + " is no time")
	}
	digits, known := strings.CutPrefix(sent, signaturePrefix)
	mac, err := hex.DecodeString(digits)
	if !known || err != nil {
		return signature{}, errors.New("the header " + headerSignature + " is malformed")
	}
	return signature{t: t, at: time.Unix(int64(seconds), 0), mac: mac}, nil
}

// only returns the value of a header that must be there once: of two, another
// reader of the request might believe the other.
func only(h http.Header, name string) (string, error) {
	switch values := h.Values(name); len(values) {
	case 0:
		return "", errors.New("the header " + name + " is missing")
	case 1:
		return values[0], nil
	default:
		return "", fmt.Errorf("%d %s headers: want one", len(values), name)
	}
}

// by reports whether the signature was made with one of the secrets.
func (sig signature) by(s providers.Secrets, body []byte) bool {
	return slices.ContainsFunc(s, func(secret string) bool {
		// Anyone can sign with an empty secret.
		return secret != "" && hmac.Equal(sig.mac, digest(secret, sig.t, body))
	})
}

func digest(secret, t string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:"))
	mac.Write([]byte(t))
	mac.Write([]byte{':'})
	mac.Write(body)
	return mac.Sum(nil)
}
