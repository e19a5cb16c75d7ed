// Package providertest holds the conformance suite that every provider must
// pass: what the product relies on, whatever the platform. A provider's own
// tests add what is special to its platform.
package providertest

import (
	"net/http"
	"testing"
	"time"

	"github.com/surehook/surehook/providers"
)

// Suite describes a provider to Exercise.
type Suite struct {
	Provider providers.Provider

	// Request returns a request with a genuine body and all headers the
	// platform sends, but unsigned. Its body is one JSON object, an array of them
	// or, by its Content-Type, a form. Exercise sets ReceivedAt.
	Request func() providers.Request

	// Secrets must be set if not any text can be a secret of the platform: its
	// secrets are keys.
	Secrets Secrets

	// Oracle signs r at r.ReceivedAt with any secret, even an empty one, as the
	// platform's documentation says and without the provider's help: with the
	// official SDK, or with code written apart from it.
	Oracle func(r *providers.Request, secret string)

	// SignatureHeaders are the headers that Sign sets. A request in which one of
	// them is missing, repeated, empty or changed is not authentic.
	SignatureHeaders []string

	// BodyUnsigned says that the scheme proves who sent a request and not what was
	// sent: a token and no signature.
	BodyUnsigned bool

	// Declared says that the provider has the methods of every capability, because
	// its settings decide which it has: those without a part below do nothing.
	Declared bool
	// InBody says that nothing is signed: the scheme's proof is the secret itself,
	// which the oracle writes into the body as it is. Then bytes of the body that
	// are not the secret's may change.
	InBody bool

	// Covered must be set if the platform signs a part of the body only: it
	// reports whether the signature covers a byte of a signed body.
	Covered func(body []byte, i int) bool

	// Tolerance is how far the signed time may lie from ReceivedAt, either way.
	// 0 says that the scheme signs no time.
	Tolerance time.Duration

	// Malformed are bodies that the platform would never send, by what is wrong
	// with them. Exercise derives those that no JSON platform would send; for a
	// form they are all there is.
	Malformed map[string]string

	// Handshake must be set if, and only if, the provider is a Handshaker.
	Handshake *Handshake

	// Probes must be set if, and only if, the provider is a Prober: its probes, by
	// what they are.
	Probes map[string]Handshake

	// Fetch must be set if, and only if, the provider is a Fetcher.
	Fetch *Fetch

	// List must be set if, and only if, the provider is a Lister.
	List *List
}

// Secrets are three different secrets.
type Secrets struct {
	Live, Next string // those of the source
	Wrong      string // one that is not
}

// Handshake is a platform's probe and the answer it wants.
type Handshake struct {
	Request func() providers.Request
	Want    providers.Response
}

// Fetch describes a provider's API.
type Fetch struct {
	// New returns the provider for an API at cfg.BaseURL.
	New func(cfg providers.APIConfig) (providers.Fetcher, error)

	Ref   providers.Ref // an object that can be fetched
	Path  string        // where the API serves it, with its query
	State string        // what the API serves: JSON
	// Method is how the API is asked, GET when empty; Wrap is what it puts around
	// the state in its answer, with %s for it, when that is not all of the answer.
	Method string
	Wrap   string
	ETag   string // set if the platform rewards conditional requests

	Unfetchable providers.Ref // an object of a kind that has no API

	// Gone are the answers that say that the platform no longer has the object.
	// 410 is always one of them.
	Gone []Answer

	// Failures are the answers by which the platform says that a call failed,
	// and what it wants done. Exercise adds those that mean the same everywhere.
	Failures []Failure
}

// Answer is what a platform's API answers a request.
type Answer struct {
	Name   string // a few words, as part of a test's name
	Status int
	Header map[string]string
	Body   string
}

// Failure is an Answer and what it must be understood as.
type Failure struct {
	Answer
	Retry providers.Retry
	After time.Duration // at least
	Code  string
}

// Exercise runs the suite.
func Exercise(t *testing.T, s Suite) {
	if s.Secrets == (Secrets{}) {
		s.Secrets = Secrets{Live: liveSecret, Next: nextSecret, Wrong: wrongSecret}
	}
	t.Run("verify", s.exerciseVerify)
	t.Run("events", s.exerciseEvents)
	t.Run("handshake", s.exerciseHandshake)
	t.Run("probe", s.exerciseProbe)
	t.Run("fetch", s.exerciseFetch)
	t.Run("list", s.exerciseList)
}

// The secrets are long and unlike anything else, so that finding one in an
// error can only be a leak.
const (
	liveSecret  = "whsec_live-8Zx1vQpLr0Tn5YbKd3We"
	nextSecret  = "whsec_next-Hc6Mu2JgSa9Fq4Xo7Vi1"
	wrongSecret = "whsec_evil-Pt8Ny3RkBw5Ed0Gl6Cz2"
)

// now is when the suite's requests come in. Its whole second is what schemes
// with a time in seconds can express.
func now() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// unsigned returns the suite's request as it comes in now.
func (s Suite) unsigned() providers.Request {
	r := s.Request()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.ReceivedAt = now()
	return r
}

// signed returns the suite's request, signed by the oracle.
func (s Suite) signed(with string) providers.Request {
	r := s.unsigned()
	s.Oracle(&r, with)
	return r
}
