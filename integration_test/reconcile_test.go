package integration_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/workflows"
)

// seldom is a cron text that starts nothing while a story runs.
const seldom = "0 0 29 2 *"

// reconciled are the schedules of the stripe source for some lists.
func reconciled(cron string, lists ...string) []workflows.Scheduled {
	return workflows.SchedulesFor(workflows.Reconciled{
		Source:   "stripe",
		Provider: "stripe",
		Lists:    lists,
		Cron:     cron,
		Lookback: time.Hour,
		Unseen:   24 * time.Hour,
	})
}

// schedule is the schedule of a list of the stripe source, once it is there.
func (s *system) schedule(list string) (client.ScheduleHandle, *client.ScheduleDescription) {
	s.t.Helper()
	handle := s.client.ScheduleClient().GetHandle(s.t.Context(), workflows.ReconcileID("stripe", list))
	var d *client.ScheduleDescription
	s.eventually(func() bool {
		var err error
		d, err = handle.Describe(s.t.Context())
		return err == nil
	}, "there is no schedule for %s", list)
	return handle, d
}

// reconcile has the schedule of a list start a run now, and waits for its end.
func (s *system) reconcile(list string) store.ReconciliationRow {
	s.t.Helper()
	before := s.reconciliations(list)
	handle, _ := s.schedule(list)
	require.NoError(s.t, handle.Trigger(s.t.Context(), client.ScheduleTriggerOptions{}))
	return s.untilReconciled(list, len(before)+1)
}

func (s *system) reconciliations(list string) []store.ReconciliationRow {
	s.t.Helper()
	rows, err := s.store.Reconciliations(s.t.Context(), store.ReconciliationFilter{Source: "stripe", List: list})
	require.NoError(s.t, err)
	return rows
}

// untilReconciled waits until so many runs over the list have ended, and returns
// the newest.
func (s *system) untilReconciled(list string, runs int) store.ReconciliationRow {
	s.t.Helper()
	var rows []store.ReconciliationRow
	s.eventually(func() bool {
		rows = s.reconciliations(list)
		return len(rows) == runs && !rows[0].FinishedAt.IsZero()
	}, "run %d over %s has not ended", runs, list)
	return rows[0]
}

// untilReconciledAtLeast waits until that many runs over the list have ended.
func (s *system) untilReconciledAtLeast(list string, runs int) {
	s.t.Helper()
	s.eventually(func() bool {
		rows := s.reconciliations(list)
		return len(rows) >= runs && !rows[len(rows)-runs].FinishedAt.IsZero()
	}, "%d runs over %s have not ended", runs, list)
}

// storyRun is the workflow ID of the reconciliations that no schedule starts.
const storyRun = "reconciliation of a story"

// run starts a reconciliation without a schedule and waits for its end.
func (s *system) run(start activities.ReconcileStart) (done providers.Tally, err error) {
	s.t.Helper()
	run, err := s.client.ExecuteWorkflow(s.t.Context(), client.StartWorkflowOptions{
		ID:                    storyRun,
		TaskQueue:             workflows.TaskQueue,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	}, workflows.Reconcile, workflows.ReconcileInput{ReconcileStart: start})
	require.NoError(s.t, err)
	err = run.Get(s.t.Context(), &done)
	return done, err
}

func TestAnEventThatWasNeverDeliveredIsFound(t *testing.T) {
	t.Parallel()
	s := start(t, options{schedules: reconciled(seldom, "events")})
	ev := s.trigger(s.stripe, "invoice.paid", sandbox.Undelivered())
	s.requireNoEvent("stripe", ev.ID)

	row := s.reconcile("events")
	require.True(t, row.Complete)
	require.EqualValues(t, 1, row.Missed)
	require.Empty(t, row.Error)
	s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	s.requireTrue(s.stripe, "stripe", ev.Object)
	s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	s.eventually(func() bool { return s.receiver.Totals().Deliveries == 1 }, "nobody was told of the paid invoice")

	t.Run("and its webhook, when it comes after all, is a duplicate", func(t *testing.T) {
		s := s.in(t)
		got := s.post(s.stripe, "stripe", ev.ID)
		require.Equal(t, http.StatusOK, got.Status)
		require.Contains(t, got.Body, `"duplicate"`)
		s.rest()
		require.Equal(t, 1, s.receiver.Totals().Deliveries)
	})
	t.Run("and the next run finds nothing more", func(t *testing.T) {
		require.Zero(t, s.in(t).reconcile("events").Missed)
	})
	t.Run("and it is counted", func(t *testing.T) {
		s := s.in(t)
		require.Equal(t, "1", s.metric(`surehook_reconcile_missed_events_total{list="events",source="stripe"}`))
		require.Equal(t, "2", s.metric(`surehook_reconcile_runs_total{list="events",outcome="complete",source="stripe"}`))
	})
}

func TestAMissedEventIsJudgedByItsSourceAsAWebhookIs(t *testing.T) {
	t.Parallel()
	s := start(t, options{sources: source(func(one *ingress.Source) { one.Accept = []string{"invoice.*"} })})
	taken := s.trigger(s.stripe, "invoice.created", sandbox.Undelivered())
	other := s.trigger(s.stripe, "customer.created", sandbox.Undelivered())
	done, err := s.run(activities.ReconcileStart{Source: "stripe", List: "events", LookbackSeconds: 3600})
	require.NoError(t, err)
	require.EqualValues(t, 2, done.Missed)
	s.untilStatus("stripe", taken.ID, providers.StatusProcessed)
	row := s.untilStatus("stripe", other.ID, providers.StatusIgnored)
	require.Equal(t, "events.accept: the source does not take this type", row.Reason)
	require.Empty(t, row.WorkflowID)
}

func TestARecordThatNoEventToldOfIsRepaired(t *testing.T) {
	t.Parallel()
	s := start(t, options{schedules: reconciled(seldom, "invoice")})
	fresh, err := s.stripe.Create("invoice", nil)
	require.NoError(t, err)
	ev := s.trigger(s.stripe, "invoice.created")
	s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	_, err = s.stripe.Update(ev.Object, func(o map[string]any) { o["description"] = "changed without a word" })
	require.NoError(t, err)

	row := s.reconcile("invoice")
	require.EqualValues(t, 2, row.Repaired)
	require.EqualValues(t, 3, row.Calls, "one for the list and one for each object")
	s.requireTrue(s.stripe, "stripe", fresh)
	s.requireTrue(s.stripe, "stripe", ev.Object)
	again := s.reconcile("invoice")
	require.Zero(t, again.Repaired)
	require.EqualValues(t, 1, again.Calls)
}

func TestADeletionThatNobodyToldOfIsFoundByAge(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	gone, stays := s.trigger(s.stripe, "customer.created"), s.trigger(s.stripe, "customer.created")
	s.untilStatus("stripe", gone.ID, providers.StatusProcessed)
	s.untilStatus("stripe", stays.ID, providers.StatusProcessed)
	require.NoError(t, s.stripe.Delete(gone.Object))

	young := activities.ReconcileStart{Source: "stripe", List: providers.Unseen, LookbackSeconds: 3600}
	done, err := s.run(young)
	require.NoError(t, err)
	require.Zero(t, done.Objects, "both have been seen within the hour")

	done, err = s.run(activities.ReconcileStart{Source: "stripe", List: providers.Unseen})
	require.NoError(t, err)
	require.Equal(t, providers.Tally{Pages: 1, Objects: 2, Repaired: 1, Calls: 2}, done)
	s.requireTrue(s.stripe, "stripe", gone.Object)
}

func TestAListThatASourceDoesNotHaveFailsAndSaysSo(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	_, err := s.run(activities.ReconcileStart{Source: "stripe", List: "unicorns"})
	require.ErrorContains(t, err, "reconcile stripe/unicorns: no such list")
	_, err = s.run(activities.ReconcileStart{Source: "gone", List: "invoice"})
	require.ErrorContains(t, err, "no such source is configured")
	require.Empty(t, s.reconciliations(""))
}

// listing counts the calls for lists, and leaves one fetch without an answer until
// the caller has gone.
type listing struct {
	platform http.Handler
	calls    atomic.Int64 // for lists
	fetches  atomic.Int64
	holdAt   int64         // the number of the fetch that is held, from 1
	held     chan struct{} // closed when it is
}

func (l *listing) between(platform http.Handler) http.Handler {
	l.platform = platform
	return l
}

func (l *listing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Count(r.URL.Path, "/") == 2 { // /v1/invoices, and no object of it
		l.calls.Add(1)
	} else if l.fetches.Add(1) == l.holdAt {
		close(l.held)
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	l.platform.ServeHTTP(w, r)
}

// drift makes objects at the platform, true records of them, and then changes
// some without a word.
func (s *system) drift(objects, changed int) []providers.Ref {
	s.t.Helper()
	var refs []providers.Ref
	for range objects {
		ref, err := s.stripe.Create("invoice", nil)
		require.NoError(s.t, err)
		refs = append(refs, ref)
	}
	for _, ref := range refs {
		object, ok := s.stripe.Object(ref)
		require.True(s.t, ok)
		ev := providers.EventRef{Source: "stripe", Ref: ref}
		claim, err := s.store.Claim(s.t.Context(), ev)
		require.NoError(s.t, err)
		_, err = s.store.Save(s.t.Context(), providers.Save{
			Event: ev, Claim: claim, Object: providers.Object{Ref: ref, State: object.State}, Origin: providers.OriginFetch,
		})
		require.NoError(s.t, err)
	}
	for i := range changed {
		_, err := s.stripe.Update(refs[i*objects/changed], func(o map[string]any) { o["description"] = fmt.Sprint("changed ", i) })
		require.NoError(s.t, err)
	}
	return refs
}

func TestAWorkerThatStopsHalfwayIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	seen := &listing{holdAt: 11, held: make(chan struct{})}
	o := options{stripeAPI: seen.between, schedules: reconciled(seldom, "invoice"), stopTimeout: time.Millisecond}
	s := start(t, o)
	refs := s.drift(350, 20)
	handle, _ := s.schedule("invoice")
	require.NoError(t, handle.Trigger(t.Context(), client.ScheduleTriggerOptions{}))
	select {
	case <-seen.held:
	case <-time.After(patience):
		t.Fatal("nobody asks for the eleventh object")
	}
	s.halt()
	require.EqualValues(t, 10, s.reconciliations("invoice")[0].Repaired)

	s.serve(o)
	row := s.untilReconciled("invoice", 1)
	require.True(t, row.Complete)
	require.EqualValues(t, 20, row.Repaired)
	require.EqualValues(t, 4, row.Pages)
	require.LessOrEqual(t, seen.calls.Load(), row.Pages+1, "only the page where it stopped is read again")
	require.EqualValues(t, 21, seen.fetches.Load(), "what had been repaired is not fetched again")
	for _, ref := range refs {
		s.requireTrue(s.stripe, "stripe", ref)
	}
}

// It runs alone, so that what it measures is its own.
func TestTenThousandObjectsOfWhichAHundredDiffer(t *testing.T) {
	if testing.Short() {
		t.Skip("needs half a minute: run it without -short")
	}
	seen := &listing{}
	s := start(t, options{stripeAPI: seen.between})
	s.drift(10_000, 100)
	before, most := liveHeap(), atomic.Uint64{}
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(500 * time.Millisecond):
				most.Store(max(most.Load(), liveHeap()))
			}
		}
	})

	tally, err := s.run(activities.ReconcileStart{Source: "stripe", List: "invoice", Backfill: true})
	close(stop)
	watching.Wait()
	require.NoError(t, err)
	require.Equal(t, providers.Tally{Pages: 100, Objects: 10_000, Repaired: 100, Calls: 200}, tally)
	require.EqualValues(t, 100, seen.calls.Load())
	require.Equal(t, 200, s.stripe.TotalCalls(), "a call for each page, and one for each object that differed")
	t.Logf("live heap: %d MiB before, %d MiB at most", before>>20, most.Load()>>20)
	require.Less(t, most.Load(), before+64<<20, "a page at a time, whatever there is in all")
}

// liveHeap is what is in use after a collection, of the platform and of Temporal's
// server as well.
func liveHeap() uint64 {
	runtime.GC()
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	return now.HeapAlloc
}
