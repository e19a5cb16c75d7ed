// Package providers says what Surehook must know of a platform: how its
// requests are verified, which events they carry, how the platform would sign
// them, and how the objects they name are fetched. One folder below this one
// holds one platform; this package holds the contract, the types that travel
// through the whole product, the errors, the one API client, and what several
// platforms do alike: trying secrets, judging age, reading headers, JSON and forms.
package providers

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// Provider knows one platform. All methods work on raw bytes, hold no state
// between calls, and are safe for concurrent use.
type Provider interface {
	// Verify returns nil when one of the secrets proves that the platform sent
	// this request, and recently if its scheme has a time. Otherwise the error
	// wraps ErrUnauthenticated or ErrStale, says why for the operator, and
	// holds nothing that helps to forge: no expected signature, no secret.
	Verify(r Request, s Secrets) error

	// Events returns the events a verified request carries. A request may
	// carry several, or none. The error wraps ErrMalformed when the body
	// cannot be read as the platform's events.
	Events(r Request) ([]Event, error)

	// Sign adds to the request what the platform would have added, with the
	// first of the secrets and at r.ReceivedAt, so that Verify accepts it.
	Sign(r *Request, s Secrets) error
}

// Handshaker is a Provider whose platform probes an endpoint with requests
// that carry no event. Handshake is called for verified requests; ok is false
// when the request is not a probe.
type Handshaker interface {
	Handshake(r Request) (answer Response, ok bool)
}

// Prober is a Provider whose platform probes an endpoint with requests that
// prove nothing, because they carry no event: a subscription's validation, a
// certificate check. Probe is called before Verify, so its answer must be one
// that anybody may have; ok is false when the request is not a probe.
type Prober interface {
	Probe(r Request) (answer Response, ok bool)
}

// Endpointer is a Provider whose requests, or the answers it wants, differ from
// a POST that is answered with 200.
type Endpointer interface {
	Endpoint() Endpoint
}

// Endpoint says what is unusual about a platform's requests and answers.
type Endpoint struct {
	// Methods are the request methods the platform uses besides POST.
	Methods []string
	// Media are the types of the bodies besides JSON, forms and plain text.
	Media []string
	// PathToken says that a secret may follow the source's name in the URL, in
	// Request.PathToken, because the platform can prove itself in no other way.
	PathToken bool
	// SecretHeaders are headers that hold a secret as it is. They are not kept
	// with the event.
	SecretHeaders []string
	// SecretBody says that bodies hold a secret as it is, so that no sample of a
	// refused one may be kept. (That of an event is kept as a whole.)
	SecretBody bool
	// Accepted answers a request whose events are durable. Zero stands for our
	// usual answer, which says what became of each event.
	Accepted Response
}

// EndpointOf is the provider's Endpoint, or the zero one where nothing is unusual.
func EndpointOf(p Provider) Endpoint {
	if e, ok := p.(Endpointer); ok {
		return e.Endpoint()
	}
	return Endpoint{}
}

// Labeler is a Provider whose platform names an event's ID and type outside of
// the body, where the signature need not cover them. Label writes both there,
// for a request that somebody composes by hand.
type Labeler interface {
	Label(r *Request, id, eventType string)
}

// Fetcher is a Provider that can ask the platform for an object's present state.
type Fetcher interface {
	// Fetch returns the object as the platform has it now. An object that the
	// platform no longer has is no error: it comes back with Deleted set. The
	// error is ErrNotFetchable when the platform has no API for this kind of
	// object, else an *APIError that says whether trying again can help.
	Fetch(ctx context.Context, q FetchQuery) (Object, error)
}

// FetchQuery names the object to fetch.
type FetchQuery struct {
	Ref Ref
	// ETag is the validator of the state we hold, or empty. A platform that
	// rewards conditional requests may then answer with Object.NotModified.
	ETag string
}

// Request is one HTTP request as it came in. When an event is read again from
// the inbox, Header, Body and ReceivedAt are all there is. (The inbox keeps the
// query of a request without a body as the body of a form.)
type Request struct {
	Method     string
	URL        *url.URL // absolute, as the platform sees it: some platforms sign it
	Header     http.Header
	Body       []byte
	ReceivedAt time.Time // freshness is judged against this
	// PathToken is what follows the source's name in the URL's path, for a
	// provider that says so in its Endpoint; empty otherwise.
	PathToken string
}

// Response answers a handshake, a probe, or a request whose events are durable.
type Response struct {
	Status      int
	ContentType string // none when empty
	Body        []byte
}

// IsZero reports whether the response says nothing.
func (r Response) IsZero() bool { return r.Status == 0 }

// Secret is one credential among a provider's settings. In the file that
// declares the sources it is a reference, like all secrets.
type Secret string

// String hides the secret from fmt.
func (s Secret) String() string { return "[redacted]" }

// GoString hides the secret from fmt's %#v.
func (s Secret) GoString() string { return "providers.Secret(redacted)" }

// Format hides the secret from every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Secrets are the live secrets of a source, in order of preference. Empty ones
// have been dropped: a list without entries authenticates nothing.
type Secrets []string

// String hides the secrets from fmt.
func (s Secrets) String() string { return "[redacted]" }

// GoString hides the secrets from fmt's %#v.
func (s Secrets) GoString() string { return "providers.Secrets{redacted}" }

// LogValue hides the secrets from slog.
func (s Secrets) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalJSON hides the secrets from encoding/json, and so from JSON logs.
func (s Secrets) MarshalJSON() ([]byte, error) { return []byte(`"[redacted]"`), nil }

// Mode tells real traffic from trial traffic, where a platform marks it.
type Mode string

// The modes. A platform that does not mark its events leaves it ModeUnknown.
const (
	ModeUnknown Mode = ""
	ModeLive    Mode = "live"
	ModeTest    Mode = "test"
)

// Ref names an object of a provider.
type Ref struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	// Account is the tenant of the platform that the object lives in, where one
	// source carries several (a Stripe Connect account), else empty. It steers
	// the fetch and is no part of the object's name.
	Account string `json:"account,omitempty"`
}

// IsZero reports whether the ref names nothing.
func (r Ref) IsZero() bool { return r.Type == "" && r.ID == "" }

// String is the form used in search attributes, logs and pages.
func (r Ref) String() string {
	if r.IsZero() {
		return ""
	}
	return r.Type + "/" + r.ID
}

// Event is one notification, named by its source and ID.
type Event struct {
	ID         string
	Type       string
	Ref        Ref       // what it is about; zero when it names no object
	OccurredAt time.Time // zero when the platform does not say
	Mode       Mode
	APIVersion string // empty when the platform does not say
	// Payload is the event as JSON where the body as a whole is not just that:
	// one of several in a batch, or a form field. It is nil otherwise.
	Payload []byte
	// Deleted says that the event tells the end of its object. It matters only
	// for objects that cannot be fetched: otherwise the platform is asked.
	Deleted bool
	// Review says why an operator has to look at the event before anything is done
	// with it: its payload breaks the contract that was declared for it. Empty when
	// nothing is wrong.
	Review string
	// Fingerprint stands for what the platform signed of the event, where its ID
	// is not part of that; see [Fingerprint]. Events of a source with the same
	// one are the same event, whatever they call themselves, so that a captured
	// request cannot be sent again under another ID. Empty where the ID is signed.
	Fingerprint string
}

// Fingerprint names signed bytes, for Event.Fingerprint. Of a request with
// several events, each adds what tells it from the others.
func Fingerprint(parts ...[]byte) string {
	h := sha256.New()
	for _, part := range parts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:]) // or "ab","c" would be "a","bc"
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil)[:20])
}

// EventRef is what a workflow is given of an event. It is stored in Temporal's
// history, so it stays small and holds no payload, and its JSON names are for ever.
type EventRef struct {
	Source     string    `json:"source"`
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	Ref        Ref       `json:"ref"`
	ReceivedAt time.Time `json:"received_at"` // the database's clock
	// Replay is the batch that last had the event run again, and ReplayedAt when
	// that was asked for; both are zero when nobody did.
	Replay     string    `json:"replay,omitempty"`
	ReplayedAt time.Time `json:"replayed_at,omitzero"` // the database's clock
	// NotBefore is when the platform may be called for the event, as it asked for in
	// an earlier answer, or zero.
	NotBefore time.Time `json:"not_before,omitzero"`
	// Inline carries the event itself when the database could not be reached
	// to store it; the workflow then stores it first.
	Inline *InlineEvent `json:"inline,omitempty"`
}

// Since is the time after which a fetch must have begun to stand for the event:
// when it was received or, if somebody had it run again, when that was asked for.
// A state that is read off the event itself is as old as its receipt all the same.
func (ev EventRef) Since() time.Time {
	if ev.ReplayedAt.After(ev.ReceivedAt) {
		return ev.ReplayedAt
	}
	return ev.ReceivedAt
}

// InlineEvent is what the inbox would have stored of an event.
type InlineEvent struct {
	OccurredAt time.Time   `json:"occurred_at,omitzero"`
	Mode       Mode        `json:"mode,omitempty"`
	APIVersion string      `json:"api_version,omitempty"`
	Header     http.Header `json:"header"`
	Body       []byte      `json:"body"`

	Fingerprint string `json:"fingerprint,omitempty"`
}

// Object is the state of a provider's resource.
type Object struct {
	Ref   Ref
	State json.RawMessage // as the platform gave it; nil when Deleted or NotModified
	// UpdatedAt is the platform's own time of the last change, where it has
	// one. A state with an older one never overwrites a newer one.
	UpdatedAt   time.Time
	ETag        string // validator for the next conditional request, or empty
	Deleted     bool   // the platform no longer has it
	NotModified bool   // the state is the one FetchQuery.ETag stands for
}
