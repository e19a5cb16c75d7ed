package providers

import (
	"net/http"
	"time"
)

// Status is where an accepted event stands.
type Status string

// The statuses of an event. They are stored, so they are for ever.
const (
	StatusPending   Status = "pending"   // accepted, not finished
	StatusProcessed Status = "processed" // the work is done
	StatusIgnored   Status = "ignored"   // by a named rule, or skipped by an operator
	StatusReview    Status = "review"    // parked, waits for an operator
	StatusFailed    Status = "failed"    // given up by an operator, or the run was terminated
)

// UnreadableType stands for the type of an event whose request is authentic but
// could not be read. Such an event waits for an operator, and has no workflow.
const UnreadableType = "unreadable"

// Received is an event that ingress wants made durable.
type Received struct {
	Source     string
	Event      Event
	Status     Status // pending, or at once ignored or review
	Reason     string // the rule that made it ignored or review
	WorkflowID string // of its own run, empty when none will be started
	Header     http.Header
	Body       []byte
}

// Accepted is the inbox's answer for one Received event: it is committed. It
// may be stored in Temporal's history, so its JSON names are for ever.
type Accepted struct {
	EventRef
	Status    Status `json:"status"`    // of the row: for a duplicate, as it stands now
	Duplicate bool   `json:"duplicate"` // the row was there before
}

// Started tells the inbox which run in Temporal works on an event. It is stored in
// Temporal's history, so its JSON names are for ever.
type Started struct {
	Source     string `json:"source"`
	ID         string `json:"id"`
	Replay     string `json:"replay,omitempty"` // the EventRef's: a mark for an earlier run comes too late
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id,omitempty"` // empty when the workflow was already there
	// LeftBy is the workflow ID of the joint run that leaves the event to this one,
	// or empty.
	LeftBy string `json:"left_by,omitempty"`
}

// Due is a pending event that the relay's sweep has to look after.
type Due struct {
	EventRef
	WorkflowID string // of the run that it is with: its own, or a joint one
	Started    bool   // a workflow was started for it before, and has not finished it
}

// Cover is an event that stands for older ones about the same object, because
// one fetch shows what all of them led to.
type Cover struct {
	Source, ID string
	Older      []string // their IDs
	// HandOn names those of Older that may be covers themselves; what was left to
	// them is left to this event then.
	HandOn []string
}

// StoredEvent is an event as the inbox holds it, with what it was parsed from.
type StoredEvent struct {
	Source     string
	ID         string
	ReceivedAt time.Time
	Status     Status
	Header     http.Header
	Body       []byte
	// BodyRemovedAt is when the retention or an erasure removed header and body, or
	// zero.
	BodyRemovedAt time.Time
}

// Part is the name beside the platform's headers under which the inbox notes that
// an event's body is its own part of a request with many, already read, and which
// of the two it tells: PartPresent or PartDeleted. No header can have this name.
const (
	Part        = ":part"
	PartPresent = "present"
	PartDeleted = "deleted"
)

// Settlement ends an event or parks it: the status it takes, and why. It is
// stored in Temporal's history, so its JSON names are for ever.
type Settlement struct {
	Source     string `json:"source"`
	ID         string `json:"id"`
	Status     Status `json:"status"`
	Reason     string `json:"reason,omitempty"`      // what went wrong or, with ResolvedBy, why it was decided so
	ResolvedBy string `json:"resolved_by,omitempty"` // the operator, when one decided
	// Replay is the EventRef's. A run of before the event's latest replay has no
	// say in it any more: its settlement changes nothing.
	Replay string `json:"replay,omitempty"`
	// WorkflowID and RunID are the workflow run that settles, or empty.
	WorkflowID string `json:"-"`
	RunID      string `json:"-"`
}

// Rejection counts requests that were refused for one reason, with a sample of one.
type Rejection struct {
	Source     string    // empty when the request named no source we have
	Reason     string    // a short constant, such as "bad_signature"
	Minute     time.Time // the minute the requests came in
	Count      int64
	RemoteAddr string // the sample's sender
	Method     string
	Path       string // without its query
	Detail     string // what was wrong, for the operator; no secret, no expected signature
	Excerpt    string // the first printable bytes of the sample's body
}
