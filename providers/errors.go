package providers

import (
	"errors"
	"fmt"
	"time"
)

// The reasons for which Verify and Events refuse a request.
var (
	// ErrUnauthenticated means that no live secret proves who sent the request.
	ErrUnauthenticated = errors.New("not authentic")
	// ErrStale means that the request was signed too long ago, or too far in the future.
	ErrStale = errors.New("outside the time tolerance")
	// ErrNoSuchPath means that the URL's path holds no live secret, where that is
	// the only proof. The sender is told that there is no such source.
	ErrNoSuchPath = errors.New("no such path")
	// ErrMalformed means that an authentic body is not what the platform documents.
	ErrMalformed = errors.New("malformed")
	// ErrNotFetchable means that the platform has no API that returns this
	// kind of object; its event's payload is all there is to know.
	ErrNotFetchable = errors.New("not fetchable")
)

// The reasons for which List has no page.
var (
	// ErrNoSuchList means that the source has no list of that name.
	ErrNoSuchList = errors.New("no such list")
	// ErrStaleCursor means that the platform has forgotten where we were: the list
	// has to be read from its beginning.
	ErrStaleCursor = errors.New("the platform no longer takes this cursor")
)

// What the inbox and the records can answer besides success.
var (
	// ErrUnavailable means that the database could not be reached: nothing is
	// known to be stored.
	ErrUnavailable = errors.New("database unavailable")
	// ErrNotFound means that there is no such event or record.
	ErrNotFound = errors.New("not found")
	// ErrSuperseded means that another fetch of the object was saved while this
	// one was under way, so that nobody knows which of them is the newer: claim
	// and fetch again.
	ErrSuperseded = errors.New("another fetch was saved meanwhile")
)

// SettingError says what is wrong with one field of a provider's settings, by
// the name it has in the file that declares the sources.
type SettingError struct {
	Field string
	Err   error
}

// Error puts the field first.
func (e *SettingError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *SettingError) Unwrap() error { return e.Err }

// Retry says whether calling an API again can help.
type Retry int

// The three answers.
const (
	RetryNever Retry = iota // the same call will fail again: permissions, bad request
	RetryLater              // the platform said when: see APIError.After
	RetrySoon               // with back-off: network, timeouts, 5xx
)

// APIError is a failed call of a platform's API. It holds nothing of the
// response's body but the platform's own error code, so that it may be logged
// and stored in Temporal's history.
type APIError struct {
	Provider string        // "stripe"
	Op       string        // "fetch invoice/in_1"
	Status   int           // HTTP status; 0 when no response came
	Code     string        // the platform's code, such as "resource_missing"; may be empty
	Retry    Retry         // whether to call again
	After    time.Duration // with RetryLater: how long to wait, at least
	Err      error         // what went wrong below HTTP, or nil
}

// Error puts the operation first.
func (e *APIError) Error() string {
	s := e.Provider + ": " + e.Op
	if e.Status != 0 {
		s += fmt.Sprintf(": status %d", e.Status)
	}
	if e.Code != "" {
		s += " (" + e.Code + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause below HTTP.
func (e *APIError) Unwrap() error { return e.Err }
