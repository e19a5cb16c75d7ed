package slack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
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
		return fmt.Errorf("%s: verify: %w: %w", name, providers.ErrUnauthenticated, err)
	}
	err = s.Accept(func(secret string) bool { return hmac.Equal(signed.mac, digest(secret, signed.t, r.Body)) })
	if err == nil {
		err = r.CheckAge(signed.at, tolerance)
	}
	if err != nil {
		return fmt.Errorf("%s: verify: %w", name, err)
	}
	return nil
}

// Sign implements providers.Provider.
func (p *Provider) Sign(r *providers.Request, s providers.Secrets) error {
	if len(s) == 0 || s[0] == "" {
		return errors.New(name + ": sign: no secret")
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
	t, err := providers.HeaderOnce(h, headerTimestamp)
	if err != nil {
		return signature{}, err
	}
	sent, err := providers.HeaderOnce(h, headerSignature)
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

func digest(secret, t string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:"))
	mac.Write([]byte(t))
	mac.Write([]byte{':'})
	mac.Write(body)
	return mac.Sum(nil)
}
