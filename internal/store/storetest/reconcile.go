package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

// scheduled is the start of a run over Stripe's invoices that a schedule makes.
func scheduled(run string) providers.ReconciliationStart {
	return providers.ReconciliationStart{Source: "stripe", List: "invoice", Lookback: time.Hour, WorkflowID: "reconcile/" + run, RunID: run}
}

// backfill is the start of a run that somebody asks for.
func backfill(run string, since time.Time) providers.ReconciliationStart {
	b := scheduled(run)
	b.Backfill, b.Since, b.By, b.Reason = true, since, "ann", "moved in"
	return b
}

func begin(t *testing.T, s *store.Store, start providers.ReconciliationStart) providers.Reconciliation {
	t.Helper()
	r, err := s.BeginReconciliation(t.Context(), start)
	require.NoError(t, err)
	return r
}

func savePage(t *testing.T, s *store.Store, p providers.ReconciledPage) {
	t.Helper()
	require.NoError(t, s.SaveReconciledPage(t.Context(), p))
}

func end(t *testing.T, s *store.Store, id int64, problem string) {
	t.Helper()
	require.NoError(t, s.EndReconciliation(t.Context(), id, problem))
}

// completed is a run of one page, which came to the mark.
func completed(t *testing.T, s *store.Store, start providers.ReconciliationStart, mark string) providers.Reconciliation {
	t.Helper()
	r := begin(t, s, start)
	savePage(t, s, providers.ReconciledPage{ID: r.ID, Mark: mark})
	end(t, s, r.ID, "")
	return r
}

// reconciliationRow is the row of a run.
func reconciliationRow(t *testing.T, s *store.Store, id int64) store.ReconciliationRow {
	t.Helper()
	rows, err := s.Reconciliations(t.Context(), store.ReconciliationFilter{})
	require.NoError(t, err)
	for _, r := range rows {
		if r.ID == id {
			return r
		}
	}
	require.Fail(t, "there is no such run", "%d", id)
	return store.ReconciliationRow{}
}

var reconciliationTests = map[string]func(*testing.T, *store.Store){
	"the first run looks back from now, the next one from the end of the last complete one": func(t *testing.T, s *store.Store) {
		before := now(t, s)
		first := begin(t, s, scheduled("run_1"))
		require.Equal(t, providers.Reconciliation{ID: first.ID, Source: "stripe", List: "invoice", Since: first.Until.Add(-time.Hour),
			Until: first.Until, WorkflowID: "reconcile/run_1", RunID: "run_1", StartedAt: first.Until}, first)
		require.False(t, first.Until.Before(before))
		savePage(t, s, providers.ReconciledPage{ID: first.ID, Next: "c1", Mark: "not yet"})
		savePage(t, s, providers.ReconciledPage{ID: first.ID, After: 1, Mark: "m1"})
		end(t, s, first.ID, "")
		later := scheduled("run_2")
		later.Lookback = time.Minute
		next := begin(t, s, later)
		require.NotEqual(t, first.ID, next.ID)
		require.Equal(t, first.Until.Add(-time.Minute), next.Since)
		require.False(t, next.Until.Before(first.Until))
		require.Equal(t, "m1", next.Mark)
		require.Empty(t, next.Cursor)
	},
	"a run that ended with an error is begun again where it began": func(t *testing.T, s *store.Store) {
		complete := completed(t, s, scheduled("run_1"), "m1")
		for n := range 2 {
			r := begin(t, s, scheduled(fmt.Sprint("run_bad_", n)))
			require.Equal(t, complete.Until.Add(-time.Hour), r.Since)
			require.Equal(t, "m1", r.Mark)
			require.Empty(t, r.Cursor)
			require.Zero(t, r.Tally)
			savePage(t, s, providers.ReconciledPage{ID: r.ID, Next: "c1"})
			end(t, s, r.ID, "401 Unauthorized")
			row := reconciliationRow(t, s, r.ID)
			require.False(t, row.Complete)
			require.Equal(t, "401 Unauthorized", row.Error)
		}
	},
	"a run whose pages were all read is complete, even if objects failed": func(t *testing.T, s *store.Store) {
		r := begin(t, s, scheduled("run_1"))
		savePage(t, s, providers.ReconciledPage{ID: r.ID, Next: "c1", Done: providers.Tally{Failed: 1}, Error: "in_1: 403"})
		savePage(t, s, providers.ReconciledPage{ID: r.ID, After: 1, Mark: "m1", Done: providers.Tally{Failed: 1}, Error: "in_2: 500"})
		ended := reconciliationRow(t, s, r.ID)
		require.False(t, ended.FinishedAt.IsZero(), "the last page ends it, so that a crash cannot come between")
		end(t, s, r.ID, "cancelled")
		row := reconciliationRow(t, s, r.ID)
		require.Equal(t, ended, row, "it had ended")
		require.True(t, row.Complete)
		require.Equal(t, "in_1: 403", row.Error, "the first")
		require.EqualValues(t, 2, row.Failed)
		require.Equal(t, "m1", begin(t, s, scheduled("run_2")).Mark)
	},
	"a run that was left half-way is taken over as it is": func(t *testing.T, s *store.Store) {
		complete := completed(t, s, scheduled("run_1"), "m1")
		left := begin(t, s, scheduled("run_2"))
		savePage(t, s, providers.ReconciledPage{ID: left.ID, Next: "c1", Done: providers.Tally{Objects: 100, Calls: 3}, Error: "in_1: 403"})
		over := scheduled("run_3")
		over.Lookback, over.By, over.Reason = 48*time.Hour, "bob", "hurry"
		taken := begin(t, s, over)
		require.Equal(t, providers.Reconciliation{ID: left.ID, Source: "stripe", List: "invoice", Since: complete.Until.Add(-time.Hour),
			Until: left.Until, Cursor: "c1", Mark: "m1", Tally: providers.Tally{Pages: 1, Objects: 100, Calls: 3},
			WorkflowID: "reconcile/run_3", RunID: "run_3", By: "bob", Reason: "hurry", Error: "in_1: 403", StartedAt: left.StartedAt}, taken)
		again := begin(t, s, scheduled("run_4"))
		require.Equal(t, []string{"bob", "hurry"}, []string{again.By, again.Reason}, "a schedule has no reason of its own")
	},
	"what a page left out keeps its run from being complete, whoever reads the last one": func(t *testing.T, s *store.Store) {
		complete := completed(t, s, scheduled("run_1"), "m1")
		left := begin(t, s, scheduled("run_2"))
		savePage(t, s, providers.ReconciledPage{ID: left.ID, Next: "c1", Error: "in_1: 500", Incomplete: true})
		require.True(t, begin(t, s, scheduled("run_3")).Incomplete)
		savePage(t, s, providers.ReconciledPage{ID: left.ID, After: 1, Next: "c2"})
		savePage(t, s, providers.ReconciledPage{ID: left.ID, After: 2, Mark: "m2"})
		row := reconciliationRow(t, s, left.ID)
		require.False(t, row.FinishedAt.IsZero())
		require.False(t, row.Complete)
		next := begin(t, s, scheduled("run_4"))
		require.Equal(t, complete.Until.Add(-time.Hour), next.Since, "the same window")
		require.Equal(t, "m1", next.Mark)
		require.False(t, next.Incomplete)
	},
	"a run that ends before its last page keeps no cursor": func(t *testing.T, s *store.Store) {
		r := begin(t, s, scheduled("run_1"))
		savePage(t, s, providers.ReconciledPage{ID: r.ID, Next: "contact/ann@example.org"})
		end(t, s, r.ID, "status 401")
		require.Empty(t, begin(t, s, scheduled("run_1")).Cursor)
	},
	"a start that is repeated finds its run, even when that has ended": func(t *testing.T, s *store.Store) {
		for _, start := range []providers.ReconciliationStart{scheduled("run_1"), backfill("run_2", time.Time{})} {
			r := begin(t, s, start)
			require.Equal(t, r, begin(t, s, start))
			end(t, s, r.ID, "cancelled")
			again := begin(t, s, start)
			require.Equal(t, r.ID, again.ID)
			require.False(t, again.FinishedAt.IsZero())
			require.Equal(t, "cancelled", again.Error)
		}
	},
	"runs of a list that begin at the same time are one, and so are the starts of a backfill": func(t *testing.T, s *store.Store) {
		for _, start := range []func(n int) providers.ReconciliationStart{
			func(n int) providers.ReconciliationStart { return scheduled(fmt.Sprint("run_", n)) },
			func(int) providers.ReconciliationStart { return backfill("run_backfill", time.Time{}) },
		} {
			var mu sync.Mutex
			numbers := map[int64]bool{}
			var all sync.WaitGroup
			for n := range 8 {
				all.Go(func() {
					r, err := s.BeginReconciliation(context.Background(), start(n))
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					numbers[r.ID] = true
				})
			}
			all.Wait()
			require.Len(t, numbers, 1)
		}
	},
	"a backfill has its own window and moves nobody else's": func(t *testing.T, s *store.Store) {
		complete := completed(t, s, scheduled("run_1"), "m1")
		since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		everything, some := begin(t, s, backfill("run_2", time.Time{})), begin(t, s, backfill("run_3", since))
		require.NotEqual(t, everything.ID, some.ID)
		require.True(t, everything.Since.IsZero())
		require.True(t, everything.Backfill)
		require.Equal(t, []string{"ann", "moved in"}, []string{everything.By, everything.Reason})
		require.Empty(t, everything.Mark)
		require.Equal(t, since, some.Since)
		savePage(t, s, providers.ReconciledPage{ID: some.ID, Mark: "of the backfill"})
		next := begin(t, s, scheduled("run_4"))
		require.NotContains(t, []int64{everything.ID, some.ID}, next.ID)
		require.Equal(t, "m1", next.Mark)
		require.Equal(t, complete.Until.Add(-time.Hour), next.Since)
		require.NotEqual(t, everything.ID, begin(t, s, backfill("run_5", time.Time{})).ID, "an unfinished backfill is left alone")
	},
	"sources and lists do not know of each other": func(t *testing.T, s *store.Store) {
		completed(t, s, scheduled("run_1"), "m1")
		for n, start := range []providers.ReconciliationStart{{Source: "stripe", List: "charge"}, {Source: "billing", List: "invoice"}} {
			start.WorkflowID, start.RunID = "reconcile/other", fmt.Sprint("run_other_", n)
			r := begin(t, s, start)
			require.Empty(t, r.Mark)
			require.Equal(t, r.Until, r.Since)
			require.NotEqual(t, r.ID, begin(t, s, scheduled(fmt.Sprint("run_", n+2))).ID)
		}
	},
	"a page counts once, and a finished run takes none": func(t *testing.T, s *store.Store) {
		r := begin(t, s, scheduled("run_1"))
		first := providers.ReconciledPage{ID: r.ID, Next: "c1", Done: providers.Tally{Pages: 1, Objects: 100, Missed: 2, Repaired: 9, Failed: 3, Calls: 4}}
		savePage(t, s, first)
		savePage(t, s, first)
		savePage(t, s, providers.ReconciledPage{ID: r.ID, After: 1, Next: "c2", Done: providers.Tally{Pages: 1, Objects: 50, Missed: 1, Calls: 1}})
		savePage(t, s, first)
		r = begin(t, s, scheduled("run_1"))
		require.Equal(t, "c2", r.Cursor)
		require.Equal(t, providers.Tally{Pages: 2, Objects: 150, Missed: 3, Failed: 3, Calls: 5}, r.Tally, "the saves count what they repaired")
		end(t, s, r.ID, "terminated")
		ended := reconciliationRow(t, s, r.ID)
		savePage(t, s, providers.ReconciledPage{ID: r.ID, After: 2})
		require.Equal(t, ended, reconciliationRow(t, s, r.ID), "nobody takes part in it any more")
	},
	"a run that is not there is not found": func(t *testing.T, s *store.Store) {
		require.ErrorIs(t, s.SaveReconciledPage(t.Context(), providers.ReconciledPage{ID: 7}), providers.ErrNotFound)
		require.ErrorIs(t, s.EndReconciliation(t.Context(), 7, ""), providers.ErrNotFound)
	},
	"a record that a save changes is counted as repaired, once": func(t *testing.T, s *store.Store) {
		r := begin(t, s, scheduled("run_1"))
		repaired := func(want int, why string) {
			t.Helper()
			require.EqualValues(t, want, reconciliationRow(t, s, r.ID).Repaired, why)
		}
		ref := providers.EventRef{Source: "stripe", Ref: providers.Ref{Type: "invoice", ID: "in_1"}}
		repair := func(ev providers.EventRef, c providers.Claim, state string) providers.Save {
			sv := fetched(ev, c, state)
			sv.Reconciliation = r.ID
			return sv
		}
		sv := repair(ref, claim(t, s, ref), `{"v":1}`)
		require.True(t, save(t, s, sv).Changed)
		repaired(1, "a record that was missing")
		refuseSave(t, s, sv)
		repaired(1, "a repeated save is superseded")
		require.False(t, save(t, s, repair(ref, claim(t, s, ref), `{"v":1}`)).Changed)
		repaired(1, "the same state changes nothing")
		early := claim(t, s, ref)
		require.True(t, fetchAndSave(t, s, acceptOne(t, s, "evt_1"), `{"v":2}`).Changed)
		refuseSave(t, s, repair(ref, early, `{"v":3}`))
		repaired(1, "an event was faster")
		gone := repair(ref, claim(t, s, ref), "")
		gone.Object = providers.Object{Ref: ref.Ref, Deleted: true}
		require.True(t, save(t, s, gone).Changed)
		repaired(2, "a tombstone")
		ev := acceptOne(t, s, "evt_2")
		require.True(t, save(t, s, repair(ev, claim(t, s, ev), `{"v":4}`)).Changed)
		repaired(3, "an event's save that a reconciliation led to")
		require.True(t, save(t, s, repair(ev, claim(t, s, ev), `{"v":4}`)).Changed, "the event has")
		repaired(3, "but not this time")
	},
	"runs are listed newest first, selected by source, list and workflow": func(t *testing.T, s *store.Store) {
		one := completed(t, s, scheduled("run_1"), "")
		two := begin(t, s, backfill("run_2", time.Time{}))
		other := scheduled("run_3")
		other.Source, other.List = "github", "issues"
		three := begin(t, s, other)
		for _, c := range []struct {
			filter store.ReconciliationFilter
			want   []int64
		}{
			{store.ReconciliationFilter{}, []int64{three.ID, two.ID, one.ID}},
			{store.ReconciliationFilter{Limit: 1}, []int64{three.ID}},
			{store.ReconciliationFilter{Source: "stripe"}, []int64{two.ID, one.ID}},
			{store.ReconciliationFilter{List: "issues"}, []int64{three.ID}},
			{store.ReconciliationFilter{Source: "stripe", List: "issues"}, nil},
			{store.ReconciliationFilter{WorkflowID: "reconcile/run_2"}, []int64{two.ID}},
		} {
			rows, err := s.Reconciliations(t.Context(), c.filter)
			require.NoError(t, err)
			var got []int64
			for _, r := range rows {
				got = append(got, r.ID)
			}
			require.Equal(t, c.want, got, "%+v", c.filter)
		}
	},
	"a run's JSON has stable names": func(t *testing.T, s *store.Store) {
		r := begin(t, s, backfill("run_1", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)))
		savePage(t, s, providers.ReconciledPage{ID: r.ID, Next: "a secret", Done: providers.Tally{Objects: 100, Missed: 2, Failed: 1, Calls: 103}, Error: "in_1: 403"})
		row := reconciliationRow(t, s, r.ID)
		moment := time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)
		row.ID, row.Until, row.StartedAt, row.FinishedAt = 1, moment, moment, moment
		text, err := json.Marshal(row)
		require.NoError(t, err)
		require.Equal(t, `{"id":1,"source":"stripe","list":"invoice","backfill":true,"since":"2026-01-02T03:04:05Z","until":"2026-01-03T00:00:00Z",`+
			`"pages":1,"objects":100,"missed":2,"repaired":0,"failed":1,"calls":103,"complete":false,"error":"in_1: 403",`+
			`"workflow_id":"reconcile/run_1","run_id":"run_1","requested_by":"ann","requested_reason":"moved in",`+
			`"started_at":"2026-01-03T00:00:00Z","finished_at":"2026-01-03T00:00:00Z"}`, string(text))
	},
	"the last complete run of each list is known": func(t *testing.T, s *store.Store) {
		last, err := s.LastReconciliations(t.Context())
		require.NoError(t, err)
		require.Empty(t, last)
		completed(t, s, scheduled("run_1"), "")
		want := []int64{completed(t, s, scheduled("run_2"), "").ID}
		end(t, s, begin(t, s, scheduled("run_3")).ID, "401")
		completed(t, s, backfill("run_4", time.Time{}), "")
		for n, list := range []providers.ReconciliationStart{{Source: "billing", List: "charge"}, {Source: "github", List: "issues"}, {Source: "stripe", List: "charge"}} {
			list.WorkflowID, list.RunID = "reconcile/other", fmt.Sprint("run_other_", n)
			if list.Source != "github" {
				want = append(want, completed(t, s, list, "").ID)
			} else {
				begin(t, s, list) // never complete
			}
		}
		last, err = s.LastReconciliations(t.Context())
		require.NoError(t, err)
		var got []int64
		for _, r := range last {
			require.False(t, r.FinishedAt.IsZero())
			got = append(got, r.ID)
		}
		require.Equal(t, []int64{want[1], want[2], want[0]}, got)
	},
}

func now(t *testing.T, s *store.Store) time.Time {
	t.Helper()
	at, err := s.Now(t.Context())
	require.NoError(t, err)
	return at
}

// untilAfter waits until the database's clock shows a later time, and returns it.
func untilAfter(t *testing.T, s *store.Store, at time.Time) time.Time {
	t.Helper()
	for {
		if n := now(t, s); n.After(at) {
			return n
		}
	}
}
