package ingress_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// rows is an inbox in memory, so that a relay can run on synctest's clock.
type rows struct {
	mu      sync.Mutex
	due     []providers.Due // handed out once, as if leased
	claims  atomic.Int64
	started []providers.Started
	marks   int
	settled []providers.Settlement
	covers  []providers.Cover
	err     error
}

func (r *rows) Coalesce(_ context.Context, covers []providers.Cover) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.covers = append(r.covers, covers...)
	return r.err
}

func (r *rows) ClaimDue(_ context.Context, limit int, _ time.Duration) ([]providers.Due, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claims.Add(1)
	if r.err != nil {
		return nil, r.err
	}
	n := min(limit, len(r.due))
	due := r.due[:n]
	r.due = r.due[n:]
	return due, nil
}

func (r *rows) MarkStarted(_ context.Context, started []providers.Started) error {
	time.Sleep(time.Millisecond) // a commit
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks++
	r.started = append(r.started, started...)
	return r.err
}

func (r *rows) Settle(_ context.Context, s providers.Settlement) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled = append(r.settled, s)
	return r.err
}

func (r *rows) Accept(context.Context, []providers.Received) ([]providers.Accepted, error) {
	return nil, nil
}
func (r *rows) AddRejections(context.Context, []providers.Rejection) error { return nil }
func (r *rows) Ping(context.Context) error                                 { return nil }

// hand makes events due, from now on.
func (r *rows) hand(due []providers.Due) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due, r.err = due, nil
}

// relaying runs a relay inside a synctest bubble until stop is called.
type relaying struct {
	*ingress.Relay
	rows     *rows
	temporal *temporal
	logs     *logs
	stop     func() // and wait
}

func relay(t *testing.T, due ...providers.Due) relaying {
	t.Helper()
	return relayWith(t, func(*ingress.Relay) {}, due...)
}

func relayWith(t *testing.T, set func(*ingress.Relay), due ...providers.Due) relaying {
	t.Helper()
	r := relaying{rows: &rows{due: due}, temporal: newTemporal(), logs: &logs{}}
	r.Relay = &ingress.Relay{
		Client: r.temporal, Inbox: r.rows, TaskQueue: "queue", Eager: true,
		Logger: slog.New(slog.NewTextHandler(r.logs, nil)),
	}
	set(r.Relay)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	r.stop = func() { cancel(); <-done }
	t.Cleanup(r.stop)
	run := func() { defer close(done); r.Run(ctx) }
	go run()
	return r
}

func ref(i int) providers.EventRef {
	return providers.EventRef{Source: "s", ID: fmt.Sprint(i), Type: "t"}
}

func accepted(n int) []providers.Accepted {
	events := make([]providers.Accepted, n)
	for i := range events {
		events[i] = providers.Accepted{EventRef: ref(i), Status: providers.StatusPending}
	}
	return events
}

func due(n int, started bool) []providers.Due {
	events := make([]providers.Due, n)
	for i := range events {
		events[i] = providers.Due{EventRef: ref(i), WorkflowID: workflows.IDOf(ref(i)), Started: started}
	}
	return events
}

// pass lets time go by, until all that was due in it has been done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestOfferedEventsAreStartedAndMarkedInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := relay(t)
		r.Offer(accepted(1000))
		pass(time.Second / 2)
		require.Equal(t, 1000, r.temporal.called())
		pass(time.Second)
		require.Len(t, r.rows.started, 1000)
		require.Equal(t, 2, r.rows.marks, "as few as the size of a batch allows")
		require.Contains(t, r.rows.started, providers.Started{Source: "s", ID: "7", WorkflowID: "s/7", RunID: "run-s/7"})
		require.Equal(t, "queue", r.temporal.options[0].TaskQueue)
		require.True(t, r.temporal.options[0].EnableEagerStart)
	})
}

func TestWhatIsOnItsWayIsNotStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := relay(t)
		r.temporal.failing(func(context.Context, string) error { time.Sleep(3 * time.Second); return nil })
		r.Offer(accepted(100))
		r.Offer(accepted(100))
		r.rows.hand(due(100, false))
		pass(time.Minute)
		require.Equal(t, 100, r.temporal.called())
	})
}

func TestTheSameEventCoversTheOthersInEveryProcess(t *testing.T) {
	// Two flushes of the inbox may give their events the same microsecond.
	first, second := ref(1), ref(2)
	for _, ev := range []*providers.EventRef{&first, &second} {
		ev.Ref, ev.ReceivedAt = providers.Ref{Type: "invoice", ID: "in_1"}, time.Unix(1, 0)
	}
	for name, order := range map[string][]providers.EventRef{"one": {first, second}, "another": {second, first}} {
		t.Run(name, func(t *testing.T) {
			inbox := &rows{}
			r := &ingress.Relay{Client: newTemporal(), Inbox: inbox, Logger: slog.New(slog.DiscardHandler)}
			r.Offer([]providers.Accepted{{EventRef: order[0]}, {EventRef: order[1]}})
			stopped, stop := context.WithCancel(t.Context())
			stop()
			r.Run(stopped) // empties the queue
			require.Equal(t, []providers.Cover{{Source: "s", ID: "2", Older: []string{"1"}}}, inbox.covers)
		})
	}
}

func TestOfferNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := relay(t)
		r.temporal.failing(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
		began := time.Now()
		r.Offer(accepted(20_000))
		require.Zero(t, time.Since(began))

		// What found no place is in the inbox, and found there.
		r.temporal.failing(nil)
		r.rows.hand(due(20_000, false))
		pass(time.Minute)
		require.Equal(t, 20_000, r.temporal.count())
	})
}

func TestTheSweepStartsWhatAnEarlierProcessLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := relay(t, due(1750, false)...)
		pass(time.Second)
		require.Equal(t, 1750, r.temporal.count(), "full batches follow each other without a pause")
		claims := r.rows.claims.Load()
		require.EqualValues(t, 5, claims)
		pass(20 * time.Second)
		require.Len(t, r.rows.started, 1750)
		require.InDelta(t, claims+10, r.rows.claims.Load(), 1, "an idle relay asks every two seconds")
	})
}

func TestTheSweepRestsWhileTheMemoryHoldsAllThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := relay(t)
		pass(time.Second)
		r.temporal.failing(func(context.Context, string) error { time.Sleep(time.Second); return nil })
		r.Offer(accepted(1000)) // a minute's work
		claims := r.rows.claims.Load()
		pass(25 * time.Second)
		require.LessOrEqual(t, r.rows.claims.Load(), claims+1)

		// Another process may have died.
		r.rows.hand([]providers.Due{{EventRef: ref(5_000)}})
		pass(10 * time.Second)
		require.Greater(t, r.rows.claims.Load(), claims)
		pass(time.Minute)
		require.True(t, r.temporal.started("s/5000"))
	})
}

func TestTheSweepSurvivesTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := relay(t)
		r.rows.mu.Lock()
		r.rows.err = providers.ErrUnavailable
		r.rows.mu.Unlock()
		pass(time.Minute)
		require.Less(t, r.rows.claims.Load(), int64(35))
		r.rows.hand(due(3, false))
		pass(3 * time.Second)
		require.Equal(t, 3, r.temporal.count())
	})
}

func TestAStartedEventThatWasNotFinishedIsLookedAfter(t *testing.T) {
	for status, want := range map[enumspb.WorkflowExecutionStatus][]providers.Settlement{
		enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:          nil,
		enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW: nil,
		enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED: {
			{Source: "s", ID: "0", Status: providers.StatusReview, Reason: "the run completed without finishing the event"}},
		enumspb.WORKFLOW_EXECUTION_STATUS_FAILED: {
			{Source: "s", ID: "0", Status: providers.StatusFailed, Reason: "the run failed"}},
		enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED: {
			{Source: "s", ID: "0", Status: providers.StatusFailed, Reason: "the run was terminated"}},
		enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED: {
			{Source: "s", ID: "0", Status: providers.StatusFailed, Reason: "the run was canceled"}},
		enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT: {
			{Source: "s", ID: "0", Status: providers.StatusFailed, Reason: "the run timed out"}},
	} {
		t.Run(status.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := relay(t)
				r.temporal.mu.Lock()
				r.temporal.statuses["s/0"] = status
				r.temporal.mu.Unlock()
				r.rows.hand(due(1, true))
				pass(3 * time.Second)
				require.Equal(t, want, r.rows.settled)
				require.Zero(t, r.temporal.count())
			})
		})
	}
	t.Run("one that Temporal has lost is started again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := relay(t, due(1, true)...)
			pass(time.Second)
			require.True(t, r.temporal.started("s/0"))
			require.Empty(t, r.rows.settled)
		})
	})
}

func TestAnOutageOfTemporal(t *testing.T) {
	for name, fail := range map[string]func(context.Context, string) error{
		"that refuses connections": away,
		"that hangs":               func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() },
		"that has no capacity":     func(context.Context, string) error { return serviceerror.NewResourceExhausted(0, "rps limit") },
		"that drops connections":   func(context.Context, string) error { return serviceerror.NewCanceled("shutting down") },
		"that forbids us":          func(context.Context, string) error { return serviceerror.NewPermissionDenied("expired", "") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := relay(t)
				r.temporal.failing(fail)
				r.Offer(accepted(1000))
				pass(10 * time.Minute)
				// The calls under way when it began, and a probe every 15 s and some.
				require.Less(t, r.temporal.called(), 120, "no busy loop")
				require.Greater(t, r.temporal.called(), 35, "but it keeps trying")
				require.Empty(t, r.rows.settled, "an outage is no event's fault")

				r.temporal.failing(nil)
				pass(time.Minute)
				require.Greater(t, r.temporal.count(), 900, "few have given up their place in the queue")
				require.Contains(t, r.logs.String(), "temporal answers again")

				r.rows.hand(due(1000, false))
				pass(5 * time.Second)
				require.Equal(t, 1000, r.temporal.count())
			})
		})
	}
}

func TestAStartThatHappenedAlthoughItLookedFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := relay(t)
		first := true
		r.temporal.failing(func(context.Context, string) error {
			if !first {
				return nil
			}
			first = false
			r.temporal.mu.Lock()
			r.temporal.runs["s/0"] = []providers.EventRef{ref(0)}
			r.temporal.mu.Unlock()
			return context.DeadlineExceeded
		})
		r.Offer(accepted(1))
		pass(time.Minute)
		require.Equal(t, []providers.Started{{Source: "s", ID: "0", WorkflowID: "s/0"}}, r.rows.started)
		require.Equal(t, 2, r.temporal.called())
	})
}

func TestAnEventThatTemporalWillNeverTakeIsParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := relay(t)
		r.temporal.failing(func(_ context.Context, id string) error {
			if id == "s/50" || id == "s/51" {
				return serviceerror.NewInvalidArgument("bad input")
			}
			return nil
		})
		r.Offer(accepted(100))
		pass(time.Minute)
		r.rows.hand([]providers.Due{{EventRef: ref(50)}, {EventRef: ref(51)}}) // should one have been left
		r.Offer([]providers.Accepted{{EventRef: ref(100)}})
		pass(time.Minute)
		require.Equal(t, 99, r.temporal.count())
		parked := map[string]string{}
		for _, s := range r.rows.settled {
			require.Equal(t, providers.StatusReview, s.Status)
			parked[s.ID] = s.Reason
		}
		require.Equal(t, map[string]string{"50": "start: bad input", "51": "start: bad input"}, parked)
	})
}

func TestWhatTemporalRefusesForAllEventsParksNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := relay(t)
		r.temporal.failing(func(context.Context, string) error {
			return serviceerror.NewInvalidArgument("Namespace has no mapping defined for search attribute SurehookSource")
		})
		r.Offer(accepted(1000))
		pass(10 * time.Minute)
		require.Empty(t, r.rows.settled)
		require.Less(t, r.temporal.called(), 120)

		r.temporal.failing(nil)
		pass(time.Minute)
		require.Greater(t, r.temporal.count(), 800)
	})
}

func TestShutdownEmptiesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := relay(t)
		r.temporal.failing(func(context.Context, string) error { time.Sleep(3 * time.Millisecond); return nil })
		r.Offer(accepted(5000))
		r.stop()
		require.Equal(t, 5000, r.temporal.count())
		require.Len(t, r.rows.started, 5000)
	})
}

func TestShutdownIsBounded(t *testing.T) {
	t.Run("while Temporal hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := relay(t, due(600, false)...)
			r.temporal.failing(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
			r.Offer(accepted(5000))
			pass(time.Second)
			began := time.Now()
			r.stop()
			require.LessOrEqual(t, time.Since(began), 6*time.Second)
		})
	})
	t.Run("while Temporal is slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := relay(t)
			r.temporal.failing(func(ctx context.Context, _ string) error {
				select {
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
				return ctx.Err()
			})
			r.Offer(accepted(5000))
			time.Sleep(time.Second)
			began := time.Now()
			r.stop()
			require.InDelta(t, 5, time.Since(began).Seconds(), 1)
			require.Greater(t, r.temporal.count(), 64, "four times as many as start at once")
		})
	})
	t.Run("while Temporal is away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := relay(t, due(600, false)...)
			r.temporal.failing(away)
			r.Offer(accepted(5000))
			pass(time.Minute)
			began := time.Now()
			r.stop()
			require.LessOrEqual(t, time.Since(began), time.Second)
		})
	})
}

func TestEventsThatNobodyOfferedAreFoundInTheRealInbox(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, err := d.inbox.Store.Accept(t.Context(), []providers.Received{{
		Source: "stripe", Event: providers.Event{ID: "evt_left", Type: "invoice.paid"}, Status: providers.StatusPending,
	}})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return d.temporal.started("stripe/evt_left") }, 15*time.Second, 20*time.Millisecond)
}
