package providers

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Accept returns nil when fits says of one of the secrets that the platform
// signed with it. It is not asked about an empty one, which anybody can sign
// with. Otherwise the error wraps ErrUnauthenticated and tells the operator how
// many secrets were tried.
func (s Secrets) Accept(fits func(secret string) bool) error {
	return s.AcceptKey(func(secret string) (bool, error) { return fits(secret), nil })
}

// AcceptKey is Accept for secrets that are keys in some notation, so that one of
// them may be of no use. What fits says of it, such as "is not hex", follows its
// place in the list and must not repeat it.
func (s Secrets) AcceptKey(fits func(secret string) (bool, error)) error {
	var unusable []string
	for i, secret := range s {
		if secret == "" {
			continue
		}
		ok, err := fits(secret)
		if ok {
			return nil
		}
		if err != nil {
			unusable = append(unusable, fmt.Sprintf("secret %d %s", i+1, err))
		}
	}
	reason := "the signature does not fit the secret"
	if len(s) != 1 {
		reason = fmt.Sprintf("the signature fits none of the %d secrets", len(s))
	}
	if unusable != nil {
		reason += ": " + strings.Join(unusable, ", ")
	}
	return fmt.Errorf("%w: %s", ErrUnauthenticated, reason)
}

// Contain reports whether a request that holds a secret as it is holds one of
// these. All are compared, and as hashes, so that the time it takes tells
// neither which one nor how much of it is right, nor how long it is.
func (s Secrets) Contain(given string) bool {
	hash, found := sha256.Sum256([]byte(given)), false
	for _, secret := range s {
		want := sha256.Sum256([]byte(secret))
		found = subtle.ConstantTimeCompare(hash[:], want[:]) == 1 && secret != "" || found
	}
	return found
}

// CheckAge returns an error that wraps ErrStale when the request was signed
// longer than the tolerance before it came, or after: a time in the future is as
// suspect as an old one. A provider judges it last, so that ErrStale always
// speaks of a request that the platform did sign once.
func (r Request) CheckAge(signedAt time.Time, tolerance time.Duration) error {
	if age := r.ReceivedAt.Sub(signedAt); age.Abs() > tolerance {
		return fmt.Errorf("%w: signed %s before it came", ErrStale, age.Round(time.Second))
	}
	return nil
}

// HeaderOnce returns the value of a header that must be there once: of two,
// another reader of the request might believe the other.
func HeaderOnce(h http.Header, name string) (string, error) {
	switch values := h.Values(name); len(values) {
	case 0:
		return "", errors.New("the header " + name + " is missing")
	case 1:
		return values[0], nil
	default:
		return "", fmt.Errorf("%d %s headers: want one", len(values), name)
	}
}
