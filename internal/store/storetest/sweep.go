package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

func claimDue(t *testing.T, s *store.Store, limit int, lease time.Duration) []providers.Due {
	t.Helper()
	due, err := s.ClaimDue(t.Context(), limit, lease)
	require.NoError(t, err)
	return due
}

func dueIDs(due []providers.Due) []string {
	return ids(func(d providers.Due) string { return d.ID }, due)
}

var sweepTests = map[string]func(*testing.T, *store.Store){
	"a pending event becomes due some seconds after it was accepted": func(t *testing.T, s *store.Store) {
		ref := acceptOne(t, s, "evt_1")
		require.Empty(t, claimDue(t, s, 10, time.Minute), "the fast path goes first")
		require.Eventually(t, func() bool {
			due, err := s.ClaimDue(context.Background(), 10, time.Minute)
			return err == nil && len(due) == 1 && due[0].EventRef == ref && due[0].WorkflowID == "stripe/evt_1" && !due[0].Started
		}, 20*time.Second, 100*time.Millisecond)
	},
	"due events come in the order received, up to the limit, once": func(t *testing.T, s *store.Store) {
		for n := range 5 {
			acceptOne(t, s, fmt.Sprintf("evt_%d", n))
		}
		for n := range 5 {
			settle(t, s, fmt.Sprintf("evt_%d", n), providers.StatusPending)
		}
		require.Equal(t, []string{"evt_0", "evt_1", "evt_2"}, dueIDs(claimDue(t, s, 3, time.Minute)))
		require.Equal(t, []string{"evt_3", "evt_4"}, dueIDs(claimDue(t, s, 3, time.Minute)))
		require.Empty(t, claimDue(t, s, 3, time.Minute))
	},
	"a mark that comes after its run was parked does not count for the next run": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		require.NoError(t, s.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: "evt_1", Status: providers.StatusReview, RunID: "run_1"}))
		require.False(t, row(t, s, "evt_1").StartedAt.IsZero())
		settle(t, s, "evt_1", providers.StatusPending)
		require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: "evt_1", WorkflowID: "stripe/evt_1", RunID: "run_1"}}))
		require.True(t, row(t, s, "evt_1").StartedAt.IsZero())
		require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: "evt_1", WorkflowID: "stripe/evt_1", RunID: "run_2"}}))
		require.False(t, row(t, s, "evt_1").StartedAt.IsZero())
		require.Equal(t, "run_2", row(t, s, "evt_1").RunID)
	},
	"an event names the joint run that it is with until that leaves it to another": func(t *testing.T, s *store.Store) {
		const joint, own = "stripe/joint/1", "stripe/evt"
		jointMark := providers.Started{Source: "stripe", WorkflowID: joint, RunID: "run_joint"}
		ownMark := providers.Started{Source: "stripe", WorkflowID: own, RunID: "run_own", LeftBy: joint}
		type step struct {
			mark          providers.Started
			workflow, run string // that the event names then
		}
		for id, steps := range map[string][]step{
			"evt_1": {{jointMark, joint, "run_joint"}, {ownMark, own, "run_own"}, {jointMark, own, "run_own"}},
			"evt_2": {{ownMark, own, "run_own"}, {jointMark, own, "run_own"}}, // the joint run's mark is late
		} {
			acceptOne(t, s, id)
			for _, step := range steps {
				step.mark.ID = id
				require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{step.mark}))
				e := row(t, s, id)
				require.False(t, e.StartedAt.IsZero())
				require.Equal(t, step.workflow, e.WorkflowID)
				require.Equal(t, step.run, e.RunID)
			}
		}
	},
	"an event whose own run was there before the joint one does not name the joint one's run": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: "evt_1", WorkflowID: "stripe/joint/1", RunID: "run_joint"}}))
		require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: "evt_1", WorkflowID: "stripe/evt_1", LeftBy: "stripe/joint/1"}}))
		e := row(t, s, "evt_1")
		require.Equal(t, "stripe/evt_1", e.WorkflowID)
		require.Empty(t, e.RunID)
	},
	"what an own run has parked stays so when the joint run leaves it to that": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: "evt_1", WorkflowID: "stripe/joint/1", RunID: "run_joint"}}))
		require.NoError(t, s.Settle(t.Context(), providers.Settlement{
			Source: "stripe", ID: "evt_1", Status: providers.StatusReview, Reason: "status 401", WorkflowID: "stripe/evt_1", RunID: "run_own",
		}))
		require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: "evt_1", WorkflowID: "stripe/evt_1", RunID: "run_own", LeftBy: "stripe/joint/1"}}))
		e := row(t, s, "evt_1")
		require.Equal(t, providers.StatusReview, e.Status)
		require.Equal(t, "stripe/evt_1", e.WorkflowID)
		require.Equal(t, "run_own", e.RunID)
		require.True(t, e.DueAt.IsZero())
	},
	"a decision leaves what went wrong in its place": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		to := func(status providers.Status, by, reason string) store.EventRow {
			t.Helper()
			require.NoError(t, s.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: "evt_1", Status: status, ResolvedBy: by, Reason: reason}))
			return row(t, s, "evt_1")
		}
		to(providers.StatusReview, "", "401")
		e := to(providers.StatusPending, "ann", "the key is mended")
		require.Equal(t, []string{"", "ann", "the key is mended"}, []string{e.Reason, e.ResolvedBy, e.ResolvedReason})
		to(providers.StatusReview, "", "403")
		e = to(providers.StatusIgnored, "bob", "a test")
		require.Equal(t, []string{"403", "bob", "a test"}, []string{e.Reason, e.ResolvedBy, e.ResolvedReason})
		require.False(t, e.ResolvedAt.IsZero())
	},
	"an event whose own run goes on is not due": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		for _, status := range []providers.Status{providers.StatusReview, providers.StatusPending} {
			require.NoError(t, s.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: "evt_1", Status: status, RunID: "run_1"}))
		}
		require.Empty(t, claimDue(t, s, 10, time.Minute))
		settle(t, s, "evt_1", providers.StatusReview)
		settle(t, s, "evt_1", providers.StatusPending)
		require.Len(t, claimDue(t, s, 10, time.Minute), 1, "nobody goes on")
	},
	"a source does not wait behind another's backlog": func(t *testing.T, s *store.Store) {
		for n := range 20 {
			acceptOne(t, s, fmt.Sprintf("evt_%02d", n))
			settle(t, s, fmt.Sprintf("evt_%02d", n), providers.StatusPending)
		}
		late := event("late")
		late.Source = "github"
		accept(t, s, late)
		require.NoError(t, s.Settle(t.Context(), providers.Settlement{Source: "github", ID: "late", Status: providers.StatusPending}))
		require.Equal(t, []string{"evt_00", "evt_01", "evt_02", "late"}, dueIDs(claimDue(t, s, 6, time.Minute)))
		require.Len(t, claimDue(t, s, 6, time.Minute), 3, "the other's share is not used up in the same call")
	},
	"an event is due again when the lease is over": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		settle(t, s, "evt_1", providers.StatusPending)
		require.Len(t, claimDue(t, s, 1, time.Millisecond), 1)
		require.Eventually(t, func() bool {
			due, err := s.ClaimDue(context.Background(), 1, time.Minute)
			return err == nil && len(due) == 1
		}, 10*time.Second, 5*time.Millisecond)
	},
	"two sweepers never get the same event": func(t *testing.T, s *store.Store) {
		var events []providers.Received
		for n := range 120 {
			events = append(events, event(fmt.Sprintf("evt_%03d", n)))
		}
		accept(t, s, events...)
		for _, e := range events {
			settle(t, s, e.Event.ID, providers.StatusPending)
		}
		var mu sync.Mutex
		var got []string
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for {
					due, err := s.ClaimDue(context.Background(), 7, time.Minute)
					if err != nil {
						t.Error(err)
					}
					if len(due) == 0 {
						return
					}
					mu.Lock()
					got = append(got, dueIDs(due)...)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		// A sweeper may find everything that is left locked by another and stop
		// early; what must not happen is that two get the same.
		got = append(got, dueIDs(claimDue(t, s, 200, time.Minute))...)
		slices.Sort(got)
		require.Len(t, got, 120)
		require.Len(t, slices.Compact(got), 120)
	},
	"a started event is left alone for minutes": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		settle(t, s, "evt_1", providers.StatusPending)
		require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: "evt_1", WorkflowID: "stripe/evt_1", RunID: "run"}}))
		require.Empty(t, claimDue(t, s, 1, time.Minute))
		r := row(t, s, "evt_1")
		require.Equal(t, "run", r.RunID)
		require.WithinDuration(t, r.StartedAt.Add(10*time.Minute), r.DueAt, time.Second)
	},
	"many events are marked as started at once, absent ones are passed over": func(t *testing.T, s *store.Store) {
		var started []providers.Started
		for n := range 20 {
			id := fmt.Sprintf("evt_%d", n)
			acceptOne(t, s, id)
			started = append(started, providers.Started{Source: "stripe", ID: id, WorkflowID: "stripe/" + id, RunID: "run_" + id})
		}
		started = append(started, providers.Started{Source: "stripe", ID: "absent", WorkflowID: "stripe/absent", RunID: "run"})
		require.NoError(t, s.MarkStarted(t.Context(), started))
		for _, e := range started[:20] {
			require.Equal(t, e.RunID, row(t, s, e.ID).RunID)
		}
		require.NoError(t, s.MarkStarted(t.Context(), nil))
	},
	"an event that was started is not marked again": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		for _, run := range []string{"run_1", "run_2", ""} {
			require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: "evt_1", WorkflowID: "stripe/evt_1", RunID: run}}))
		}
		require.Equal(t, "run_1", row(t, s, "evt_1").RunID)
	},
	"an event that is finished before it is marked stays finished and names its run": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		settle(t, s, "evt_1", providers.StatusProcessed)
		require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: "evt_1", WorkflowID: "stripe/evt_1", RunID: "run"}}))
		r := row(t, s, "evt_1")
		require.Equal(t, providers.StatusProcessed, r.Status)
		require.Equal(t, "run", r.RunID)
		require.True(t, r.DueAt.IsZero())
	},
	"a retried event is due at once and counts as not started": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: "evt_1", WorkflowID: "stripe/evt_1", RunID: "run_1"}}))
		settle(t, s, "evt_1", providers.StatusFailed)
		retry(t, s, "evt_1")
		due := claimDue(t, s, 1, time.Minute)
		require.Len(t, due, 1)
		require.False(t, due[0].Started)
		require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: "evt_1", WorkflowID: "stripe/evt_1", RunID: "run_2"}}))
		require.Equal(t, "run_2", row(t, s, "evt_1").RunID)
	},
}

var settleTests = map[string]func(*testing.T, *store.Store){
	"an event changes its status only as the table allows": func(t *testing.T, s *store.Store) {
		const pending, processed, ignored, review, failed = providers.StatusPending, providers.StatusProcessed,
			providers.StatusIgnored, providers.StatusReview, providers.StatusFailed
		allowed := map[providers.Status][]providers.Status{
			pending:   {pending, processed, ignored, review, failed},
			review:    {pending, processed, ignored, review, failed},
			failed:    {processed}, // pending by an operator only
			ignored:   {},          // likewise
			processed: {},
		}
		n := 0
		for before, after := range allowed {
			for to := range allowed {
				n++
				id := fmt.Sprintf("evt_%d", n)
				acceptOne(t, s, id)
				settle(t, s, id, before)
				old := row(t, s, id)
				settle(t, s, id, to)
				r := row(t, s, id)
				if !slices.Contains(after, to) {
					require.Equal(t, old, r, "%s must not become %s", before, to)
					continue
				}
				require.Equal(t, to, r.Status, "%s may become %s", before, to)
				require.Equal(t, "why "+string(to), r.Reason)
				finished := to == processed || to == ignored || to == failed
				require.Equal(t, finished, !r.FinishedAt.IsZero())
				require.Equal(t, to == pending, !r.DueAt.IsZero())
			}
		}
	},
	"only an operator opens again what was given up or skipped": func(t *testing.T, s *store.Store) {
		for end, want := range map[providers.Status]providers.Status{
			providers.StatusFailed:    providers.StatusPending,
			providers.StatusIgnored:   providers.StatusPending,
			providers.StatusProcessed: providers.StatusProcessed,
		} {
			id := "evt_" + string(end)
			acceptOne(t, s, id)
			settle(t, s, id, end)
			settle(t, s, id, providers.StatusPending) // a webhook that is sent again
			require.Equal(t, end, row(t, s, id).Status)
			retry(t, s, id)
			require.Equal(t, want, row(t, s, id).Status)
		}
	},
	"an operator's decision names the operator, and what follows keeps the name": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		settle(t, s, "evt_1", providers.StatusReview)
		require.Empty(t, row(t, s, "evt_1").ResolvedBy)
		require.NoError(t, s.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: "evt_1",
			Status: providers.StatusPending, Reason: "fixed", ResolvedBy: "ada"}))
		settle(t, s, "evt_1", providers.StatusProcessed)
		r := row(t, s, "evt_1")
		require.Equal(t, "ada", r.ResolvedBy)
		require.False(t, r.ResolvedAt.IsZero())
	},
	"an event that is not there cannot be settled": func(t *testing.T, s *store.Store) {
		require.ErrorIs(t, s.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: "evt_1", Status: providers.StatusFailed}),
			providers.ErrNotFound)
	},
	"there is no other status": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		require.ErrorContains(t, s.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: "evt_1", Status: "done"}),
			`there is no status "done"`)
	},
	"a reason of any bytes is kept": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		require.NoError(t, s.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: "evt_1",
			Status: providers.StatusReview, Reason: "a\x00b\xff"}))
		require.Equal(t, "ab\uFFFD", row(t, s, "evt_1").Reason)
	},
}
