package providers

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
)

// maxSignatures bounds the work that a forged header can cause. A platform signs
// twice while a secret is being replaced.
const maxSignatures = 16

// TimedSignature is the scheme of Stripe and of those who took it over: one
// header, such as t=1767323045,v1=5257a8…, holds a time and, in hex, the
// HMAC-SHA256 of that time, a dot and the body. There is one v1 for each secret
// that the platform signs with.
type TimedSignature struct {
	Header    string
	Tolerance time.Duration // how far the time may lie from the request's receipt
}

// Verify returns nil when one of the secrets made one of the signatures. The
// error wraps ErrUnauthenticated or ErrStale.
func (scheme TimedSignature) Verify(r Request, s Secrets) error {
	signed, err := scheme.read(r.Header)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnauthenticated, err)
	}
	err = s.Accept(func(secret string) bool {
		want := timedDigest(secret, signed.t, r.Body)
		return slices.ContainsFunc(signed.v1, func(mac []byte) bool { return hmac.Equal(mac, want) })
	})
	if err != nil {
		return err
	}
	return r.CheckAge(signed.at, scheme.Tolerance)
}

// Sign adds the header, with the first of the secrets and at r.ReceivedAt.
func (scheme TimedSignature) Sign(r *Request, s Secrets) error {
	if len(s) == 0 || s[0] == "" {
		return errors.New("no secret")
	}
	t := strconv.FormatInt(r.ReceivedAt.Unix(), 10)
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set(scheme.Header, "t="+t+",v1="+hex.EncodeToString(timedDigest(s[0], t, r.Body)))
	return nil
}

// timedSignature is what the header of a TimedSignature says.
type timedSignature struct {
	t  string // as it stands in the header: these bytes are signed
	at time.Time
	v1 [][]byte
}

func (scheme TimedSignature) read(h http.Header) (timedSignature, error) {
	header, err := HeaderOnce(h, scheme.Header)
	if err != nil {
		return timedSignature{}, err
	}
	var sig timedSignature
	for element := range strings.SplitSeq(header, ",") {
		part, value, found := strings.Cut(strings.TrimSpace(element), "=")
		if !found {
			return timedSignature{}, errors.New("header is malformed")
		}
		if err := sig.add(part, value); err != nil {
			return timedSignature{}, err
		}
	}
	if sig.t == "" {
		return timedSignature{}, errors.New("header has no time")
	}
	return sig, nil
}

// add takes the time and the v1 signatures and ignores every other part. Among
// those is v0, which Stripe sends with test events and which proves nothing: to
// accept it would be to let a forger choose the weaker scheme.
func (sig *timedSignature) add(part, value string) error {
	switch part {
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

// timedDigest takes the secret as it is shown: with a whsec_, and not decoded.
func timedDigest(secret, t string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return mac.Sum(nil)
}
