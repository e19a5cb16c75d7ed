package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

// again is what a replay calls its runs here.
func again(ev providers.EventRef) string { return ev.Source + "/" + ev.ID + "/replay/" + ev.Replay }

func beginBatch(t *testing.T, s *store.Store, name string, f store.BatchFilter) store.Batch {
	t.Helper()
	b, err := s.BeginBatch(t.Context(), store.Batch{Name: name, What: store.BatchReplay, Filter: f, AskedBy: "ann", Reason: "why not"})
	require.NoError(t, err)
	return b
}

// reopenAll takes steps until the batch is finished.
func reopenAll(ctx context.Context, s *store.Store, name string, limit int) (store.Batch, error) {
	for {
		b, err := s.Reopen(ctx, name, limit, again)
		if err != nil || !b.FinishedAt.IsZero() {
			return b, err
		}
	}
}

// replay has the events of a filter run again.
func replay(t *testing.T, s *store.Store, name string, f store.BatchFilter) store.Batch {
	t.Helper()
	beginBatch(t, s, name, f)
	b, err := reopenAll(t.Context(), s, name, 100)
	require.NoError(t, err)
	return b
}

// finished accepts so many events and processes them.
func finished(t *testing.T, s *store.Store, n int) (names []string) {
	t.Helper()
	for i := range n {
		id := fmt.Sprintf("evt_%d", i)
		acceptOne(t, s, id)
		settle(t, s, id, providers.StatusProcessed)
		names = append(names, id)
	}
	return names
}

// replayed is the event as its replay's run is given it.
func replayed(t *testing.T, s *store.Store, id string) providers.EventRef {
	t.Helper()
	for _, d := range claimDue(t, s, 100, time.Minute) {
		if d.ID == id {
			require.NotEmpty(t, d.Replay)
			require.False(t, d.Started)
			return d.EventRef
		}
	}
	require.Fail(t, "not due", id)
	return providers.EventRef{}
}

var replayTests = map[string]func(*testing.T, *store.Store){
	"what comes late of before a replay leaves the event due": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		fetchAndSave(t, s, ev, `{"v":1}`)
		replay(t, s, "again", store.BatchFilter{})
		before := row(t, s, "evt_1")
		_, err := s.Cover(t.Context(), providers.Save{Event: ev, Finish: true, WorkflowID: "stripe/joint/1", RunID: "run_late"})
		require.NoError(t, err)
		late := fetched(ev, claim(t, s, ev), `{"v":2}`)
		late.WorkflowID, late.RunID = "stripe/joint/1", "run_late"
		save(t, s, late)
		after := row(t, s, "evt_1")
		after.Changed = before.Changed
		require.Equal(t, before, after)
		require.Equal(t, []string{"evt_1"}, dueIDs(claimDue(t, s, 10, time.Minute)))
	},
	"what asks whether it is still to be done is told": func(t *testing.T, s *store.Store) {
		finished(t, s, 1)
		replay(t, s, "again", store.BatchFilter{})
		open := replayed(t, s, "evt_0")
		stale, absent := open, open
		stale.Replay, absent.ID = "", "evt_absent"
		fresh, ended := acceptOne(t, s, "evt_1"), acceptOne(t, s, "evt_2")
		settle(t, s, "evt_2", providers.StatusFailed)
		pending, err := s.Pending(t.Context(), []providers.EventRef{stale, open, ended, absent, fresh})
		require.NoError(t, err)
		require.Equal(t, []providers.EventRef{open, fresh}, pending)
	},
	"a replayed event is pending, due, and has a run of its own to come": func(t *testing.T, s *store.Store) {
		ref := acceptOne(t, s, "evt_1")
		require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: "evt_1", WorkflowID: "stripe/evt_1", RunID: "run_1"}}))
		fetchAndSave(t, s, ref, `{"v":1}`)
		b := replay(t, s, "again", store.BatchFilter{IDs: []string{"evt_1"}})
		require.EqualValues(t, 1, b.Events)

		e := row(t, s, "evt_1")
		require.Equal(t, providers.StatusPending, e.Status)
		require.Equal(t, "stripe/evt_1/replay/again", e.WorkflowID)
		require.Equal(t, []any{"again", b.AskedAt}, []any{e.Replay, e.ReplayedAt})
		require.Equal(t, ref.ReceivedAt, e.ReceivedAt)
		require.Empty(t, e.RunID)
		require.True(t, e.StartedAt.IsZero() && e.FinishedAt.IsZero())
		due := replayed(t, s, "evt_1")
		require.Equal(t, b.AskedAt, due.Since())
	},
	"the events of a batch are reopened in the order received, each once": func(t *testing.T, s *store.Store) {
		names := finished(t, s, 5)
		beginBatch(t, s, "again", store.BatchFilter{Source: "stripe"})
		b, err := s.Reopen(t.Context(), "again", 2, again)
		require.NoError(t, err)
		require.EqualValues(t, 2, b.Events)
		require.True(t, b.FinishedAt.IsZero())
		require.Equal(t, names[:2], dueIDs(claimDue(t, s, 10, time.Minute)))
		settle2 := func(id string) {
			require.NoError(t, s.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: id, Status: providers.StatusProcessed, Replay: "again"}))
		}
		settle2("evt_0") // it has run already, and is not run a third time
		for range 3 {
			b, err = reopenAll(t.Context(), s, "again", 2)
			require.NoError(t, err)
			require.EqualValues(t, 5, b.Events)
		}
		require.Equal(t, names[2:], dueIDs(claimDue(t, s, 10, time.Minute)))
		require.Equal(t, providers.StatusProcessed, row(t, s, "evt_0").Status)
	},
	"two processes with the same batch reopen each event once": func(t *testing.T, s *store.Store) {
		names := finished(t, s, 60)
		beginBatch(t, s, "again", store.BatchFilter{Source: "stripe"})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if _, err := reopenAll(context.Background(), s, "again", 7); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		b, err := s.Batch(t.Context(), "again")
		require.NoError(t, err)
		require.EqualValues(t, len(names), b.Events)
		require.ElementsMatch(t, names, dueIDs(claimDue(t, s, 100, time.Minute)))
	},
	"a step that is cut off reopens nothing, and the next one goes on": func(t *testing.T, s *store.Store) {
		names := finished(t, s, 4)
		beginBatch(t, s, "again", store.BatchFilter{Source: "stripe"})
		_, err := s.Reopen(t.Context(), "again", 2, again)
		require.NoError(t, err)
		ctx, cut := context.WithCancel(t.Context())
		_, err = s.Reopen(ctx, "again", 2, func(ev providers.EventRef) string {
			cut()
			return again(ev)
		})
		require.Error(t, err)
		require.Equal(t, names[:2], dueIDs(claimDue(t, s, 10, time.Minute)))
		b, err := reopenAll(t.Context(), s, "again", 2)
		require.NoError(t, err)
		require.EqualValues(t, 4, b.Events)
		require.Equal(t, names[2:], dueIDs(claimDue(t, s, 10, time.Minute)))
	},
	"a batch does not grow": func(t *testing.T, s *store.Store) {
		finished(t, s, 2)
		beginBatch(t, s, "again", store.BatchFilter{Source: "stripe"})
		acceptOne(t, s, "late")
		settle(t, s, "late", providers.StatusProcessed)
		b, err := reopenAll(t.Context(), s, "again", 10)
		require.NoError(t, err)
		require.EqualValues(t, 2, b.Events)
		require.Equal(t, providers.StatusProcessed, row(t, s, "late").Status)
	},
	"a batch keeps who asked for it, why and of what, and is found again by its name": func(t *testing.T, s *store.Store) {
		f := store.BatchFilter{Source: "stripe", Type: "invoice.*", Status: providers.StatusFailed,
			Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Until: time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC), IDs: []string{"evt_1", "evt_2"}}
		b := beginBatch(t, s, "again", f)
		require.Equal(t, []any{"again", store.BatchReplay, f, "ann", "why not"}, []any{b.Name, b.What, b.Filter, b.AskedBy, b.Reason})
		require.WithinDuration(t, time.Now(), b.AskedAt, time.Minute)
		require.Equal(t, b, beginBatch(t, s, "again", f), "to begin it again changes nothing")

		for name, other := range map[string]store.Batch{
			"another filter": {What: store.BatchReplay, Filter: store.BatchFilter{Source: "stripe"}},
			"another kind":   {What: store.BatchResolve, Action: "skip", Filter: f},
		} {
			other.Name = "again"
			_, err := s.BeginBatch(t.Context(), other)
			require.ErrorIs(t, err, store.ErrOtherBatch, name)
		}
		beginBatch(t, s, "later", store.BatchFilter{Source: "stripe"})
		all, err := s.Batches(t.Context(), store.BatchReplay, 10)
		require.NoError(t, err)
		require.Equal(t, []string{"later", "again"}, ids(func(b store.Batch) string { return b.Name }, all))
		_, err = s.Batch(t.Context(), "absent")
		require.ErrorIs(t, err, providers.ErrNotFound)
	},
	"only what is finished is replayed, and the counts say so before": func(t *testing.T, s *store.Store) {
		for id, status := range map[string]providers.Status{"evt_p": providers.StatusProcessed, "evt_i": providers.StatusIgnored,
			"evt_f": providers.StatusFailed, "evt_r": providers.StatusReview} {
			acceptOne(t, s, id)
			settle(t, s, id, status)
		}
		acceptOne(t, s, "evt_pending")
		unreadable := event("unreadable-1")
		unreadable.Status, unreadable.WorkflowID = providers.StatusReview, ""
		unreadable.Event.Type, unreadable.Event.Ref = providers.UnreadableType, providers.Ref{}
		accept(t, s, unreadable)
		settle(t, s, "unreadable-1", providers.StatusIgnored)

		counts, err := s.CountBatch(t.Context(), store.BatchFilter{Source: "stripe"})
		require.NoError(t, err)
		got := map[string]int64{}
		for _, c := range counts {
			require.Equal(t, "stripe", c.Source)
			got[fmt.Sprint(c.Type, " ", c.Status, " ", c.Unreadable)] = c.Count
		}
		require.Equal(t, map[string]int64{"invoice.paid processed false": 1, "invoice.paid ignored false": 1, "invoice.paid failed false": 1,
			"invoice.paid review false": 1, "invoice.paid pending false": 1, "unreadable ignored true": 1}, got)
		require.EqualValues(t, 3, replay(t, s, "again", store.BatchFilter{Source: "stripe"}).Events)
		require.ElementsMatch(t, []string{"evt_p", "evt_i", "evt_f"}, dueIDs(claimDue(t, s, 10, time.Minute)))
	},
	"a batch has the events of its filter": func(t *testing.T, s *store.Store) {
		accepted := func(id, typ string, status providers.Status) {
			e := event(id)
			e.Event.Type = typ
			accept(t, s, e)
			settle(t, s, id, status)
		}
		accepted("evt_1", "invoice.paid", providers.StatusProcessed)
		accepted("evt_2", "invoice.voided", providers.StatusFailed)
		accepted("evt_3", "charge.failed", providers.StatusIgnored)
		other := event("evt_1")
		other.Source, other.Status = "billing", providers.StatusIgnored
		accept(t, s, other)
		hour := time.Hour
		for name, c := range map[string]struct {
			filter store.BatchFilter
			want   int64
		}{
			"of a source":           {store.BatchFilter{Source: "billing"}, 1},
			"of a type":             {store.BatchFilter{Type: "invoice.*", Source: "stripe"}, 2},
			"processed":             {store.BatchFilter{Status: providers.StatusProcessed}, 1},
			"failed":                {store.BatchFilter{Status: providers.StatusFailed}, 1},
			"ignored":               {store.BatchFilter{Status: providers.StatusIgnored}, 2},
			"by their ids":          {store.BatchFilter{IDs: []string{"evt_1", "evt_3", "absent"}}, 3},
			"by id, of a source":    {store.BatchFilter{IDs: []string{"evt_1"}, Source: "stripe"}, 1},
			"received since":        {store.BatchFilter{Since: time.Now().Add(-hour)}, 4},
			"received since later":  {store.BatchFilter{Since: time.Now().Add(hour)}, 0},
			"received until":        {store.BatchFilter{Until: time.Now().Add(hour)}, 4},
			"received until before": {store.BatchFilter{Until: time.Now().Add(-hour)}, 0},
		} {
			counts, err := s.CountBatch(t.Context(), c.filter)
			require.NoError(t, err)
			n := int64(0)
			for _, count := range counts {
				n += count.Count
			}
			require.Equal(t, c.want, n, name)
		}
		require.EqualValues(t, 2, replay(t, s, "again", store.BatchFilter{Type: "invoice.*", Source: "stripe"}).Events)
		require.Equal(t, providers.StatusIgnored, row(t, s, "evt_3").Status)
	},
	"a replayed event is fetched after it was asked for, and once for all of its batch": func(t *testing.T, s *store.Store) {
		first, second := acceptOne(t, s, "evt_1"), acceptOne(t, s, "evt_2")
		fetchAndSave(t, s, first, `{"v":1}`)
		fetchAndSave(t, s, laterTick(t, s, "tick"), `{"v":2}`)
		settle(t, s, second.ID, providers.StatusProcessed)
		require.True(t, claim(t, s, first).Covered)
		laterTick(t, s, "asked")
		replay(t, s, "again", store.BatchFilter{IDs: []string{"evt_1", "evt_2"}})
		due := claimDue(t, s, 10, time.Minute)
		require.Equal(t, []string{"evt_1", "evt_2"}, dueIDs(due))
		require.False(t, claim(t, s, due[0].EventRef).Covered)
		laterTick(t, s, "fetched")
		require.True(t, fetchAndSave(t, s, due[0].EventRef, `{"v":3}`).Changed)
		require.True(t, claim(t, s, due[1].EventRef).Covered)
		require.Equal(t, providers.StatusProcessed, row(t, s, "evt_1").Status)
	},
	"the payload of a replayed event is as old as its receipt": func(t *testing.T, s *store.Store) {
		older := acceptOne(t, s, "evt_1")
		save(t, s, payload(older, `{"v":1}`))
		newer := laterTick(t, s, "evt_2")
		save(t, s, payload(newer, `{"v":2}`))
		laterTick(t, s, "asked")
		replay(t, s, "again", store.BatchFilter{IDs: []string{"evt_1"}})
		ev := replayed(t, s, "evt_1")
		require.False(t, claim(t, s, ev).Covered)
		before := record(t, s)
		require.True(t, save(t, s, payload(ev, `{"v":1}`)).Changed, "as its first run did: what follows is done again")
		require.Equal(t, before, record(t, s))
		require.Equal(t, newer.ReceivedAt, before.AsOf)
		require.Equal(t, providers.StatusProcessed, row(t, s, "evt_1").Status, "it is done all the same")
	},
	"what is left of an earlier run neither ends a replayed event nor marks it": func(t *testing.T, s *store.Store) {
		ref := acceptOne(t, s, "evt_1")
		fetchAndSave(t, s, ref, `{"v":1}`)
		replay(t, s, "again", store.BatchFilter{IDs: []string{"evt_1"}})
		require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: "evt_1", WorkflowID: "stripe/evt_1", RunID: "run_1"}}))
		require.True(t, row(t, s, "evt_1").StartedAt.IsZero())
		for _, status := range []providers.Status{providers.StatusProcessed, providers.StatusFailed, providers.StatusReview, providers.StatusIgnored} {
			settle(t, s, "evt_1", status)
		}
		fetchAndSave(t, s, ref, `{"v":2}`)
		_, err := s.Cover(t.Context(), providers.Save{Event: ref, Finish: true})
		require.NoError(t, err)
		e := row(t, s, "evt_1")
		require.Equal(t, providers.StatusPending, e.Status)
		require.JSONEq(t, `{"v":2}`, string(record(t, s).State), "the record is as true as it gets")

		ev := ref
		ev.Replay, ev.ReplayedAt = e.Replay, e.ReplayedAt
		_, err = s.Cover(t.Context(), providers.Save{Event: ev, Finish: true})
		require.NoError(t, err)
		require.Equal(t, providers.StatusProcessed, row(t, s, "evt_1").Status)
	},
	"the events of a replay are covered by one of them": func(t *testing.T, s *store.Store) {
		finished(t, s, 3)
		replay(t, s, "again", store.BatchFilter{Source: "stripe"})
		due := claimDue(t, s, 10, time.Minute)
		leave(t, s, "evt_2", "evt_0", "evt_1")
		fetchAndSave(t, s, due[2].EventRef, `{"v":1}`)
		for _, id := range []string{"evt_0", "evt_1"} {
			e := row(t, s, id)
			require.Equal(t, providers.StatusProcessed, e.Status)
			require.Equal(t, "stripe/evt_2/replay/again", e.WorkflowID)
		}
	},
	"a duplicate of a replayed event tells of its replay": func(t *testing.T, s *store.Store) {
		finished(t, s, 1)
		replay(t, s, "again", store.BatchFilter{Source: "stripe"})
		require.Equal(t, "again", accept(t, s, event("evt_0"))[0].Replay)
	},
	"an event can be replayed by one batch after another": func(t *testing.T, s *store.Store) {
		finished(t, s, 1)
		replay(t, s, "first", store.BatchFilter{Source: "stripe"})
		require.Zero(t, replay(t, s, "too-early", store.BatchFilter{Source: "stripe"}).Events, "it is under way")
		require.NoError(t, s.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: "evt_0", Status: providers.StatusFailed, Replay: "first"}))
		require.EqualValues(t, 1, replay(t, s, "second", store.BatchFilter{Source: "stripe"}).Events)
		require.Equal(t, "stripe/evt_0/replay/second", row(t, s, "evt_0").WorkflowID)
	},
	"parked events are gone through in the order received, and progress is noted once": func(t *testing.T, s *store.Store) {
		for n := range 3 {
			id := fmt.Sprintf("evt_%d", n)
			acceptOne(t, s, id)
			settle(t, s, id, providers.StatusReview)
		}
		acceptOne(t, s, "evt_pending")
		b, err := s.BeginBatch(t.Context(), store.Batch{Name: "skip-all", What: store.BatchResolve, Action: "skip",
			Filter: store.BatchFilter{Source: "stripe", Status: providers.StatusReview}, AskedBy: "ann", Reason: "tests"})
		require.NoError(t, err)
		_, err = s.Reopen(t.Context(), "skip-all", 1, again)
		require.ErrorIs(t, err, store.ErrOtherBatch)
		var got []string
		for b.FinishedAt.IsZero() {
			e, found, done, err := s.NextParked(t.Context(), b)
			require.NoError(t, err)
			if found {
				got = append(got, e.ID)
				done.Events++
			}
			before := b
			b, err = s.Advance(t.Context(), before, done)
			require.NoError(t, err)
			same, err := s.Advance(t.Context(), before, done)
			require.NoError(t, err)
			require.Equal(t, b, same)
		}
		require.Equal(t, []string{"evt_0", "evt_1", "evt_2"}, got)
		require.EqualValues(t, 3, b.Events)
	},
}
