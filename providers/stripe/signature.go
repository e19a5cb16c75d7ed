package stripe

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

// The scheme is documented at https://docs.stripe.com/webhooks#verify-manually.
const (
	signatureHeader = "Stripe-Signature"

	// tolerance is the default of Stripe's libraries. They only refuse what is
	// too old; a time in the future is as suspect, so it is bounded as well.
	tolerance = 300 * time.Second

	// maxSignatures bounds the work that a forged header can cause. Stripe signs
	// once for each active secret of an endpoint, which are two while one of
	// them is being replaced.
	maxSignatures = 16
)

// Verify implements providers.Provider. Authenticity is judged before age, so
// that ErrStale always speaks of a request that Stripe did sign once.
func (p *Provider) Verify(r providers.Request, s providers.Secrets) error {
	signed, err := parseSignature(r.Header)
	if err != nil {
		return fmt.Errorf("stripe: verify: %w: %w", providers.ErrUnauthenticated, err)
	}
	if !signed.by(s, r.Body) {
		return fmt.Errorf("stripe: verify: %w: %s", providers.ErrUnauthenticated, noneFits(s))
	}
	if age := r.ReceivedAt.Sub(signed.at); age.Abs() > tolerance {
		return fmt.Errorf("stripe: verify: %w: signed %s before it came", providers.ErrStale, age.Round(time.Second))
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
		return errors.New("stripe: sign: no secret")
	}
	t := strconv.FormatInt(r.ReceivedAt.Unix(), 10)
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set(signatureHeader, "t="+t+",v1="+hex.EncodeToString(digest(s[0], t, r.Body)))
	return nil
}

// signature is what a Stripe-Signature header says.
type signature struct {
	t  string // as it stands in the header: these bytes are signed
	at time.Time
	v1 [][]byte
}

func parseSignature(h http.Header) (signature, error) {
	values := h.Values(signatureHeader)
	switch len(values) {
	case 0:
		return signature{}, errors.New("the header " + signatureHeader + " is missing")
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

// add takes the time and the v1 signatures and ignores every other scheme.
// Among those is v0, which Stripe sends with test events and which proves
// nothing: to accept it would be to let a forger choose the weaker scheme.
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

// digest signs as Stripe does: the key is the secret as it is shown, with its
// whsec_ and not decoded.
func digest(secret, t string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return mac.Sum(nil)
}
