// Package providers says what Surehook must know of a platform: how its
// requests are verified, which events they carry, how the platform would sign
// them, and how the objects they name are fetched. One folder below this one
// holds one platform; this package holds the contract, the types that travel
// through the whole product, the errors, and the one API client.
package providers

import (
	"context"
	"encoding/json"
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

// Request is one HTTP request as it came in.
type Request struct {
	Method     string
	URL        *url.URL // absolute, as the platform sees it: some platforms sign it
	Header     http.Header
	Body       []byte
	ReceivedAt time.Time // freshness is judged against this
}

// Response answers a handshake.
type Response struct {
	Status      int
	ContentType string
	Body        []byte
}

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
}

// EventRef is what a workflow is given of an event. It is stored in Temporal's
// history, so it stays small and holds no payload, and its JSON names are for ever.
type EventRef struct {
	Source     string    `json:"source"`
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	Ref        Ref       `json:"ref"`
	ReceivedAt time.Time `json:"received_at"` // the database's clock
	// Inline carries the event itself when the database could not be reached
	// to store it; the workflow then stores it first.
	Inline *InlineEvent `json:"inline,omitempty"`
}

// InlineEvent is what the inbox would have stored of an event.
type InlineEvent struct {
	OccurredAt time.Time   `json:"occurred_at,omitzero"`
	Mode       Mode        `json:"mode,omitempty"`
	APIVersion string      `json:"api_version,omitempty"`
	Header     http.Header `json:"header"`
	Body       []byte      `json:"body"`
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
