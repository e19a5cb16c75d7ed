// Package storetest is the conformance suite of internal/store: what a Store
// must do whichever database it speaks to.
package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

// Exercise runs the suite. open returns a migrated Store on a database that is
// empty and belongs to the test alone; it closes it when the test ends.
func Exercise(t *testing.T, open func(t *testing.T) *store.Store) {
	for _, group := range []map[string]func(*testing.T, *store.Store){inboxTests, sweepTests, settleTests, coalesceTests, recordTests, listTests,
		replayTests, reconciliationTests, differingTests, missingTests, unseenTests, retentionTests, eraseTests} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, open(t))
			})
		}
	}
}

// event is an event about the invoice in_1 as ingress hands it over.
func event(id string) providers.Received {
	return providers.Received{
		Source: "stripe", Status: providers.StatusPending, WorkflowID: "stripe/" + id,
		Header: map[string][]string{"Content-Type": {"application/json"}, "X-Twice": {"a", "b"}},
		Body:   []byte(`{"id":"` + id + `"}`),
		Event: providers.Event{
			ID: id, Type: "invoice.paid", Ref: providers.Ref{Type: "invoice", ID: "in_1", Account: "acct_1"},
			OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC), Mode: providers.ModeLive, APIVersion: "2026-01-01",
		},
	}
}

// about makes the event one about another object.
func about(r providers.Received, objectID string) providers.Received {
	r.Event.Ref.ID = objectID
	return r
}

func accept(t *testing.T, s *store.Store, events ...providers.Received) []providers.Accepted {
	t.Helper()
	accepted, err := s.Accept(t.Context(), events)
	require.NoError(t, err)
	require.Len(t, accepted, len(events))
	return accepted
}

// acceptOne returns the ref of a new event.
func acceptOne(t *testing.T, s *store.Store, id string) providers.EventRef {
	t.Helper()
	return accept(t, s, event(id))[0].EventRef
}

func claim(t *testing.T, s *store.Store, ev providers.EventRef) providers.Claim {
	t.Helper()
	c, err := s.Claim(t.Context(), ev)
	require.NoError(t, err)
	return c
}

// fetched is the save of a state that was fetched under the claim.
func fetched(ev providers.EventRef, c providers.Claim, state string) providers.Save {
	return providers.Save{Event: ev, Claim: c, Origin: providers.OriginFetch, Finish: true,
		Object: providers.Object{Ref: ev.Ref, State: []byte(state)}}
}

// payload is the save of what the event itself said.
func payload(ev providers.EventRef, state string) providers.Save {
	return providers.Save{Event: ev, Origin: providers.OriginPayload, Finish: true,
		Object: providers.Object{Ref: ev.Ref, State: []byte(state)}}
}

func save(t *testing.T, s *store.Store, sv providers.Save) providers.Saved {
	t.Helper()
	saved, err := s.Save(t.Context(), sv)
	require.NoError(t, err)
	return saved
}

// refuseSave is a save that must not be taken, because another one was since
// its claim.
func refuseSave(t *testing.T, s *store.Store, sv providers.Save) {
	t.Helper()
	_, err := s.Save(t.Context(), sv)
	require.ErrorIs(t, err, providers.ErrSuperseded)
}

// fetchAndSave is a claim, a fetch that finds the state, and its save.
func fetchAndSave(t *testing.T, s *store.Store, ev providers.EventRef, state string) providers.Saved {
	t.Helper()
	return save(t, s, fetched(ev, claim(t, s, ev), state))
}

func settle(t *testing.T, s *store.Store, id string, status providers.Status) {
	t.Helper()
	require.NoError(t, s.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: id, Status: status, Reason: "why " + string(status)}))
}

// retry is an operator's.
func retry(t *testing.T, s *store.Store, id string) {
	t.Helper()
	require.NoError(t, s.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: id, Status: providers.StatusPending, ResolvedBy: "ada"}))
}

func row(t *testing.T, s *store.Store, id string) store.EventRow {
	t.Helper()
	r, err := s.EventRow(t.Context(), "stripe", id)
	require.NoError(t, err)
	return r
}

func record(t *testing.T, s *store.Store) store.RecordRow {
	t.Helper()
	r, err := s.Record(t.Context(), "stripe", "invoice", "in_1")
	require.NoError(t, err)
	return r
}

// laterTick returns an event received at a later tick of the database's clock
// than everything before it. SQLite's ticks are milliseconds.
func laterTick(t *testing.T, s *store.Store, id string) providers.EventRef {
	t.Helper()
	before := claim(t, s, providers.EventRef{Source: "clock", Ref: providers.Ref{Type: "tick", ID: id}}).AsOf
	for n := 0; ; n++ {
		ev := acceptOne(t, s, fmt.Sprintf("%s_%d", id, n))
		if ev.ReceivedAt.After(before) {
			return ev
		}
	}
}

func ids[E any](id func(E) string, list []E) []string {
	out := []string{}
	for _, e := range list {
		out = append(out, id(e))
	}
	return out
}
