package storetest

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

var theInvoice = providers.Ref{Type: "invoice", ID: "in_1"}

// holding is what an erasure of the invoice finds in the inbox.
func holding(t *testing.T, s *store.Store) []store.HeldEvent {
	t.Helper()
	events, err := s.EventsHolding(t.Context(), "stripe", theInvoice)
	require.NoError(t, err)
	return events
}

func eraseEvent(t *testing.T, s *store.Store, e store.HeldEvent) bool {
	t.Helper()
	erased, err := s.EraseEvent(t.Context(), e, "erased: ticket 1")
	require.NoError(t, err)
	return erased
}

func eraseRecord(t *testing.T, s *store.Store) store.Erasing {
	t.Helper()
	did, err := s.EraseRecord(t.Context(), store.HeldRecord{Source: "stripe", Object: theInvoice})
	require.NoError(t, err)
	return did
}

func requireNoRecord(t *testing.T, s *store.Store) {
	t.Helper()
	_, err := s.Record(t.Context(), "stripe", theInvoice.Type, theInvoice.ID)
	require.ErrorIs(t, err, providers.ErrNotFound)
}

// holds finds a text as it is.
func holds(text string) func([]byte) bool {
	return func(b []byte) bool { return bytes.Contains(b, []byte(text)) }
}

func heldID(e store.HeldEvent) string { return e.ID }

var eraseTests = map[string]func(*testing.T, *store.Store){
	"an erased event keeps its name and is still a duplicate": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		settle(t, s, "evt_1", providers.StatusFailed)
		events := holding(t, s)
		require.Equal(t, []string{"evt_1"}, ids(heldID, events))
		require.True(t, eraseEvent(t, s, events[0]))
		requireNoBody(t, s, "evt_1")
		e := row(t, s, "evt_1")
		require.Equal(t, providers.StatusFailed, e.Status)
		require.Equal(t, "erased: ticket 1", e.Reason)
		require.Equal(t, providers.Ref{}, e.Object)
		require.Equal(t, "invoice.paid", e.Type)
		require.Empty(t, holding(t, s))
		require.True(t, accept(t, s, event("evt_1"))[0].Duplicate)
		requireNoBody(t, s, "evt_1")
	},
	"an operator's words about an event are erased, too": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		require.NoError(t, s.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: "evt_1", Status: providers.StatusReview, Reason: "bad"}))
		require.NoError(t, s.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: "evt_1", Status: providers.StatusIgnored,
			Reason: "Ann Example said so", ResolvedBy: "bob"}))
		eraseEvent(t, s, holding(t, s)[0])
		e := row(t, s, "evt_1")
		require.Equal(t, "erased: ticket 1", e.ResolvedReason)
		require.Equal(t, "bob", e.ResolvedBy)
	},
	"an event that is not finished is found, but not erased": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		acceptOne(t, s, "evt_2")
		settle(t, s, "evt_2", providers.StatusReview)
		events := holding(t, s)
		require.ElementsMatch(t, []string{"evt_1", "evt_2"}, ids(heldID, events))
		for _, e := range events {
			require.True(t, e.Unfinished())
			require.False(t, eraseEvent(t, s, e))
			requireBody(t, s, e.ID)
		}
	},
	"events that came in the same request are found with those about the object": func(t *testing.T, s *store.Store) {
		first, second, other := event("evt_1"), about(event("evt_2"), "in_2"), about(event("evt_3"), "in_3")
		second.Body = first.Body
		elsewhere := second
		elsewhere.Source = "billing"
		accept(t, s, first, second, other, elsewhere)
		for _, id := range []string{"evt_1", "evt_2", "evt_3"} {
			settle(t, s, id, providers.StatusProcessed)
		}
		events := holding(t, s)
		require.Equal(t, []string{"evt_1", "evt_2"}, ids(heldID, events))
		for _, e := range events {
			require.True(t, eraseEvent(t, s, e))
		}
		requireNoBody(t, s, "evt_2")
		require.Equal(t, "in_2", row(t, s, "evt_2").Object.ID, "it is about another object")
		requireBody(t, s, "evt_3")
	},
	"a text is found in bodies, headers, reasons, objects and names": func(t *testing.T, s *store.Store) {
		inBody, inHeader, inObject, inName := event("evt_1"), event("evt_2"), about(event("evt_3"), "ann@example.org"), event("evt_ann@example.org")
		inBody.Body = []byte(`{"to":"ann@example.org"}`)
		inHeader.Header = map[string][]string{"X-To": {"ann@example.org"}}
		inName.Body = []byte(`{}`)
		accept(t, s, inBody, inHeader, inObject, inName, event("evt_4"), event("evt_5"))
		require.NoError(t, s.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: "evt_5", Status: providers.StatusReview, Reason: "about ann@example.org"}))
		found, last, err := s.ScanEvents(t.Context(), "stripe", 0, holds("ann@example.org"))
		require.NoError(t, err)
		newest, err := s.LastEvent(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, last, newest)
		where := map[string][3]bool{}
		for _, e := range found {
			where[e.ID] = [3]bool{e.InBody, e.InObject, e.InName}
		}
		require.Equal(t, map[string][3]bool{
			"evt_1": {true, false, false}, "evt_2": {true, false, false}, "evt_3": {false, true, false},
			"evt_ann@example.org": {false, false, true}, "evt_5": {true, false, false},
		}, where)
		found, _, err = s.ScanEvents(t.Context(), "billing", 0, holds("ann@example.org"))
		require.NoError(t, err)
		require.Empty(t, found, "of this source alone")
		found, _, err = s.ScanEvents(t.Context(), "", last, holds("ann@example.org"))
		require.NoError(t, err)
		require.Empty(t, found)
	},
	"an erased record is gone": func(t *testing.T, s *store.Store) {
		fetchAndSave(t, s, acceptOne(t, s, "evt_1"), `{"v":1}`)
		found, err := s.RecordHolding(t.Context(), "stripe", theInvoice)
		require.NoError(t, err)
		require.Equal(t, []store.HeldRecord{{Source: "stripe", Object: theInvoice, InName: true}}, found)
		require.Equal(t, store.ErasedState, eraseRecord(t, s))
		requireNoRecord(t, s)
		rows, err := s.Records(t.Context(), store.RecordFilter{})
		require.NoError(t, err)
		require.Empty(t, rows)
		found, err = s.RecordHolding(t.Context(), "stripe", theInvoice)
		require.NoError(t, err)
		require.False(t, found[0].ErasedAt.IsZero())
		require.Equal(t, store.ErasedNone, eraseRecord(t, s), "what was under way may still come")
		none, err := s.RecordHolding(t.Context(), "stripe", providers.Ref{Type: "invoice", ID: "in_9"})
		require.NoError(t, err)
		require.Empty(t, none)
	},
	"what was under way cannot bring an erased record back": func(t *testing.T, s *store.Store) {
		first := acceptOne(t, s, "evt_1")
		sv := fetched(first, claim(t, s, first), `{"v":1}`)
		sv.Object.ETag = "e1"
		save(t, s, sv)
		second, third := laterTick(t, s, "evt_2"), laterTick(t, s, "evt_3") // not covered by that
		fetch, confirm := claim(t, s, second), claim(t, s, third)
		laterTick(t, s, "tick") // the erasure is later than all of them
		require.Equal(t, store.ErasedState, eraseRecord(t, s))

		refuseSave(t, s, fetched(second, fetch, `{"v":2}`))
		unmodified := fetched(third, confirm, "")
		unmodified.Object = providers.Object{Ref: third.Ref, NotModified: true}
		refuseSave(t, s, unmodified)
		require.False(t, save(t, s, payload(third, `{"v":3}`)).Changed)
		require.True(t, claim(t, s, second).Covered, "nor is it fetched for an event that came before")
		requireNoRecord(t, s)
	},
	"a first fetch that was under way cannot bring a record about": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		c := claim(t, s, ev)
		require.Equal(t, store.ErasedState, eraseRecord(t, s))
		refuseSave(t, s, fetched(ev, c, `{"v":1}`))
		requireNoRecord(t, s)
	},
	"a later event makes an erased object a record again": func(t *testing.T, s *store.Store) {
		first := acceptOne(t, s, "evt_1")
		sv := fetched(first, claim(t, s, first), `{"v":1}`)
		sv.Object.ETag = "e1"
		save(t, s, sv)
		eraseRecord(t, s)
		ev := laterTick(t, s, "evt_2")
		c := claim(t, s, ev)
		require.False(t, c.Covered)
		require.Empty(t, c.ETag)
		require.Equal(t, providers.Saved{Ref: ev.Ref, Changed: true}, save(t, s, fetched(ev, c, `{"v":1}`)))
		r := record(t, s)
		require.JSONEq(t, `{"v":1}`, string(r.State))
		require.EqualValues(t, 1, r.Changes)
		require.Equal(t, store.ErasedState, eraseRecord(t, s))
	},
	"a text is found in the states and names of records": func(t *testing.T, s *store.Store) {
		fetchAndSave(t, s, acceptOne(t, s, "evt_1"), `{"to":"ann@example.org"}`)
		fetchAndSave(t, s, accept(t, s, about(event("evt_2"), "ann@example.org"))[0].EventRef, `{}`)
		fetchAndSave(t, s, accept(t, s, about(event("evt_3"), "in_3"))[0].EventRef, `{}`)
		found, err := s.ScanRecords(t.Context(), "", holds("ann@example.org"))
		require.NoError(t, err)
		require.ElementsMatch(t, []store.HeldRecord{
			{Source: "stripe", Object: theInvoice},
			{Source: "stripe", Object: providers.Ref{Type: "invoice", ID: "ann@example.org"}, InName: true},
		}, found)
		found, err = s.ScanRecords(t.Context(), "billing", holds("ann@example.org"))
		require.NoError(t, err)
		require.Empty(t, found)
	},
	"the sample of a rejection is erased, its count stays": func(t *testing.T, s *store.Store) {
		minute := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
		sample := providers.Rejection{Source: "stripe", Reason: "stale", Minute: minute, Count: 2, RemoteAddr: "192.0.2.1",
			Method: "POST", Path: "/webhooks/stripe", Detail: "old", Excerpt: `{"to":"ann@example.org"}`}
		other := sample
		other.Reason, other.Excerpt = "bad_signature", "{}"
		require.NoError(t, s.AddRejections(t.Context(), []providers.Rejection{sample, other}))
		found, err := s.ScanRejections(t.Context(), "", holds("ann@example.org"))
		require.NoError(t, err)
		require.Equal(t, []store.HeldRejection{{Minute: minute, Source: "stripe", Reason: "stale"}}, found)
		require.NoError(t, s.EraseRejection(t.Context(), found[0]))
		rows, err := s.Rejections(t.Context(), store.RejectionFilter{Reason: "stale"})
		require.NoError(t, err)
		require.Equal(t, []store.RejectionRow{{Source: "stripe", Reason: "stale", Minute: minute, Count: 2, Method: "POST", Detail: "erased"}}, rows)
	},
	"the texts of notes are erased": func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		for source, problem := range map[string]string{"stripe": "fetch contact/ann@example.org: status 500", "billing": "status 500"} {
			r, err := s.BeginReconciliation(ctx, providers.ReconciliationStart{Source: source, List: "contact", WorkflowID: source, RunID: "run"})
			require.NoError(t, err)
			require.NoError(t, s.EndReconciliation(ctx, r.ID, problem))
		}
		_, err := s.BeginErasure(ctx, store.Erasure{By: "bob", Reason: "ann@example.org asked", Kind: "text", SearchHash: "abc"})
		require.NoError(t, err)
		_, err = s.BeginBatch(ctx, store.Batch{Name: "again", What: store.BatchReplay, AskedBy: "bob", Reason: "ann@example.org asked"})
		require.NoError(t, err)
		found, err := s.ScanNotes(ctx, "", holds("ann@example.org"))
		require.NoError(t, err)
		require.Equal(t, []string{"reconciliation", "batch", "erasure"}, ids(func(n store.HeldNote) string { return n.Kind }, found))
		ofSource, err := s.ScanNotes(ctx, "stripe", holds("ann@example.org"))
		require.NoError(t, err)
		require.Equal(t, found[:1], ofSource)
		ofSource, err = s.ScanNotes(ctx, "billing", holds("ann@example.org"))
		require.NoError(t, err)
		require.Empty(t, ofSource)
		for _, n := range found {
			require.NoError(t, s.EraseNote(ctx, n))
		}
		left, err := s.ScanNotes(ctx, "", holds("ann@example.org"))
		require.NoError(t, err)
		require.Empty(t, left)
		left, err = s.ScanNotes(ctx, "", holds("erased"))
		require.NoError(t, err)
		require.Equal(t, found, left, "that there was something stays")
	},
	"who had something erased is noted": func(t *testing.T, s *store.Store) {
		id, err := s.BeginErasure(t.Context(), store.Erasure{By: "bob", Reason: "ticket 1", Kind: "text", SearchHash: "abc"})
		require.NoError(t, err)
		rows, err := s.Erasures(t.Context(), 0)
		require.NoError(t, err)
		require.True(t, rows[0].FinishedAt.IsZero(), "it may break off")
		require.NoError(t, s.EndErasure(t.Context(), store.Erasure{ID: id, Events: 1, Records: 2, Rejections: 3, Unfinished: 4}))
		rows, err = s.Erasures(t.Context(), 10)
		require.NoError(t, err)
		require.False(t, rows[0].FinishedAt.IsZero())
		require.Equal(t, []store.Erasure{{ID: id, BegunAt: rows[0].BegunAt, FinishedAt: rows[0].FinishedAt, By: "bob", Reason: "ticket 1",
			Kind: "text", SearchHash: "abc", Events: 1, Records: 2, Rejections: 3, Unfinished: 4}}, rows)
	},
}
