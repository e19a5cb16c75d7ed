package providers

import "time"

// Claim is the permission to save one fetch of an object. Numbers only grow,
// and a save ends every claim that was taken before it: of two fetches that were
// under way at the same time the one that is saved first counts, because nobody
// can say which of them saw the newer state.
type Claim struct {
	Number int64
	// AsOf is the database's time before the fetch begins. What the fetch
	// finds is at least as new as that.
	AsOf time.Time
	// ETag is the validator of the state the record holds, or empty.
	ETag string
	// Covered says that a state at least as new as the event has been saved
	// already: there is nothing to fetch.
	Covered bool
	// Seen is the record as it was, in the store's own form: as long as nothing
	// else has been saved, a Save that brings it back need not look again.
	Seen any
}

// Origin says where a record's state came from.
type Origin string

// The origins of a record's state. They are stored, so they are for ever.
const (
	OriginFetch   Origin = "fetch"   // the platform's API
	OriginPayload Origin = "payload" // an event's payload, where there is no API to ask
)

// Save is a state to make our record equal to, in one transaction with the
// status of the event that led to it.
type Save struct {
	Event  EventRef
	Claim  Claim
	Object Object
	Origin Origin
	Finish bool // the event has nothing else to wait for: mark it processed
	// WorkflowID and RunID are the workflow run that saves, to be noted with the event.
	WorkflowID, RunID string
	// Reconciliation is the number of the one that found the object to differ, or 0:
	// a record that the save changes is counted there in the same transaction.
	Reconciliation int64
}

// Saved is what became of a Save.
type Saved struct {
	Ref Ref `json:"ref"`
	// Changed says that this event's fetch changed the record. It stays true
	// when the same event is saved again, by a replay too, which so does again what
	// followed from the change.
	Changed bool `json:"changed"`
	Deleted bool `json:"deleted"`
	// Covered says that a fetch which began after the event was received had
	// been saved already, so that none was made.
	Covered bool `json:"covered"`
}
