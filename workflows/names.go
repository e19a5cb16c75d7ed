// Package workflows holds Surehook's decisions: which workflow an event
// starts (routes.go), what each one does (one file each), and what happens
// when a step cannot be done (resolve.go). A definition is a top-level function;
// its side effects are activities, named through a nil pointer.
//
// Read in the order of an event: routes.go, sync.go, sync_many.go, resolve.go; and of
// what finds the events and changes that nobody told of: schedules.go, reconcile.go.
package workflows

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.temporal.io/sdk/temporal"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

// The names below are stored in Temporal: changing one orphans what runs under
// it. A golden test keeps them (testdata/names.golden).
const (
	// TaskQueue carries every workflow and the activities that only touch our
	// own database.
	TaskQueue = "surehook"
	// JointQueue carries the joint runs, of which a worker takes few at a time.
	JointQueue = "surehook-joint"
	// fetchQueuePrefix and a source's name make the queue for the activities that call
	// the source's API, so that each has a rate limit of its own.
	fetchQueuePrefix = "surehook-fetch-"
	// SignalResolve carries a Resolution to a parked run.
	SignalResolve = "resolve"
)

// Search attributes, all keywords. Status is set while a run is parked.
var (
	SourceKey = temporal.NewSearchAttributeKeyKeyword("SurehookSource")
	TypeKey   = temporal.NewSearchAttributeKeyKeyword("SurehookType")
	ObjectKey = temporal.NewSearchAttributeKeyKeyword("SurehookObject")
	StatusKey = temporal.NewSearchAttributeKeyKeyword("SurehookStatus")
)

// SearchAttributeKeys lists the search attributes a namespace must have.
var SearchAttributeKeys = []temporal.SearchAttributeKeyKeyword{SourceKey, TypeKey, ObjectKey, StatusKey}

// a names activities without holding any: only its method values are used.
var a *activities.Activities

// maxName is the longest workflow ID or keyword that Temporal can store on
// Postgres, in bytes: the columns are varchar(255), whatever the server's own
// limit says.
const maxName = 255

// ID is the workflow ID of an event: "<source>/<event id>". One event has one
// ID, so Temporal refuses to run it twice. Longer ones end in a hash.
func ID(source, eventID string) string { return fit(source + "/" + eventID) }

// IDOf is the workflow ID of the event's own run: each replay has another one, so
// that Temporal, which refuses to run an event twice, runs it again.
func IDOf(ev providers.EventRef) string {
	if ev.Replay == "" {
		return ID(ev.Source, ev.ID)
	}
	return ID(ev.Source, ev.ID+"/replay/"+ev.Replay)
}

// FetchQueue is the task queue of the activities that call a source's API.
func FetchQueue(source string) string { return fetchQueuePrefix + source }

// fit makes a name that Temporal cannot store, too long or not UTF-8, into one
// that is as unique: its head, and the SHA-256 of the whole.
func fit(name string) string {
	if len(name) <= maxName && utf8.ValidString(name) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	hash := "#" + hex.EncodeToString(sum[:])
	return head(name, maxName-len(hash)) + hash
}

// head is the beginning of s in at most limit bytes of valid UTF-8: gRPC
// refuses a string that ends within a character.
func head(s string, limit int) string {
	return strings.ToValidUTF8(s[:min(len(s), limit)], "")
}

// SearchAttributes are what a run of the event can be found by in the Web UI.
func SearchAttributes(ev providers.EventRef) temporal.SearchAttributes {
	set := []temporal.SearchAttributeUpdate{
		SourceKey.ValueSet(ev.Source),
		TypeKey.ValueSet(fit(ev.Type)),
	}
	if !ev.Ref.IsZero() {
		set = append(set, ObjectKey.ValueSet(fit(ev.Ref.String())))
	}
	return temporal.NewSearchAttributes(set...)
}

// maxSummary keeps a summary below Temporal's limit of 400 bytes.
const maxSummary = 200

// Summary is the line the Web UI shows for a run of the event.
func Summary(ev providers.EventRef) string {
	s := ev.Source + " " + ev.Type
	if !ev.Ref.IsZero() {
		s += " · " + ev.Ref.String()
	}
	return head(s, maxSummary)
}

// JointID is the workflow ID of the joint run of these events, of which there is at
// least one: "<source>/joint/" and a hash of their own workflow IDs.
func JointID(events []providers.EventRef) string {
	hash := sha256.New()
	for _, ev := range events {
		fmt.Fprintln(hash, IDOf(ev))
	}
	return fit(events[0].Source + "/joint/" + hex.EncodeToString(hash.Sum(nil)[:16]))
}

// JointSearchAttributes are what the joint run of these events can be found by in
// the Web UI: what they have in common.
func JointSearchAttributes(events []providers.EventRef) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(SourceKey.ValueSet(events[0].Source))
}

// JointSummary is the line the Web UI shows for the joint run of these events.
func JointSummary(events []providers.EventRef) string {
	return head(fmt.Sprintf("%s · %d events", events[0].Source, len(events)), maxSummary)
}

// maxDetails keeps the details of a run below Temporal's limit of 20,000 bytes.
const maxDetails = 16_000

// JointDetails lists these events where the Web UI shows their joint run.
func JointDetails(events []providers.EventRef) string {
	var list strings.Builder
	for _, ev := range events {
		fmt.Fprintf(&list, "- `%s` %s · %s\n", ev.ID, ev.Type, ev.Ref)
	}
	return head(list.String(), maxDetails)
}
