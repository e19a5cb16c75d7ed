package ingress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

const (
	// queueSize bounds the jobs in memory, at some 300 bytes each. It is as large
	// as a burst is likely to be, because events about one object can share a
	// workflow only while they wait together.
	queueSize = 50_000
	// few is how much of a source may wait for it to have no part in a crowd, and for
	// each object to have a run of its own.
	few = 100
	// starters is how many calls of Temporal run at once. A Temporal on Postgres
	// reaches its limit with half as many; with more, each only waits longer, and with
	// them the single event of a source that nothing else waits of.
	starters = 16
	// callTimeout ends a call that Temporal does not answer; without one the
	// client repeats it for a minute.
	callTimeout = 5 * time.Second
	// attempts bounds how long an event whose calls fail keeps its place in
	// memory. It stays in the inbox, so the sweep brings it back.
	attempts = 3

	drainTimeout = 5 * time.Second
)

// Temporal is what the relay needs of Temporal's client.
type Temporal interface {
	ExecuteWorkflow(ctx context.Context, options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error)
	SignalWorkflow(ctx context.Context, workflowID, runID, signalName string, arg any) error
	DescribeWorkflowExecution(ctx context.Context, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error)
	CheckHealth(ctx context.Context, request *client.CheckHealthRequest) (*client.CheckHealthResponse, error)
}

// Relay hands accepted events to Temporal. There are two ways: what has just
// been committed goes through a bounded queue in memory, and whatever that way
// loses is found by a sweep of the inbox. Starting is idempotent, so both may
// meet. Set the fields, then call Run once; the other methods may be called
// before.
type Relay struct {
	Client    Temporal
	Inbox     Inbox
	TaskQueue string // of the workflows; workflows.TaskQueue when empty
	// Eager asks Temporal to hand the first task to a worker in this process
	// that uses the same client. Without one it has no effect.
	Eager bool
	// ObjectsPerRun is, by source, the most objects in one joint run. With less than 2,
	// or none, a source has no joint runs.
	ObjectsPerRun map[string]int
	Logger        *slog.Logger
	Registry      *prometheus.Registry

	once    sync.Once
	breaker *breaker
	metrics *relayMetrics
	backlog *backlog
	marks   chan providers.Started // started, to be marked in the inbox
	inline  chan struct{}          // holds one for each StartNow under way
	crowd   crowd
	left    atomic.Bool // something was left to the sweep
	sweptAt time.Time   // last; the sweep's own
	// proven is set by a start and cleared by a refusal: only while other
	// events get through, a refusal is the event's own fault.
	proven atomic.Bool
}

func (r *Relay) setup() {
	r.once.Do(func() {
		r.Logger = cmp.Or(r.Logger, slog.Default())
		r.TaskQueue = cmp.Or(r.TaskQueue, workflows.TaskQueue)
		r.metrics = newRelayMetrics(r.Registry)
		r.backlog = newBacklog(queueSize, r.ObjectsPerRun)
		r.marks = make(chan providers.Started, markLimit)
		r.inline = make(chan struct{}, starters)
		r.breaker = newBreaker()
		r.breaker.onOpen = func() {
			r.metrics.breakerOpen.Set(1)
			r.Logger.Warn("temporal does not answer, accepted events wait in the inbox")
		}
		r.breaker.onClose = func(after time.Duration) {
			r.metrics.breakerOpen.Set(0)
			r.Logger.Info("temporal answers again", "after", after)
		}
	})
}

// Offer takes events that have just been committed. It never waits: what finds
// no place is left to the sweep.
func (r *Relay) Offer(events []providers.Accepted) {
	r.setup()
	for _, ev := range events {
		r.offer(job{ev: ev.EventRef, kind: startJob})
	}
}

// Redelivered takes a parked event that its platform, or an engineer at the
// platform's "redeliver" button, has sent again: its workflow is told to retry.
func (r *Relay) Redelivered(ev providers.Accepted) {
	r.setup()
	r.offer(job{ev: ev.EventRef, kind: retryJob})
}

func (r *Relay) offer(j job) {
	if !r.backlog.add(j) {
		r.leave(1)
	}
	r.metrics.queued.Set(float64(r.backlog.waiting()))
}

// Run works until ctx ends, then empties the queue for a bounded time. What is
// left is found by the sweep of the next process.
func (r *Relay) Run(ctx context.Context) {
	r.setup()
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	context.AfterFunc(ctx, func() { time.AfterFunc(drainTimeout, stopWork) })

	var marking, working sync.WaitGroup
	marking.Go(func() { r.mark(context.WithoutCancel(ctx)) })
	working.Go(func() { r.sweep(ctx) })
	for range starters {
		working.Go(func() { r.work(ctx, work) })
	}
	working.Wait()
	close(r.marks)
	marking.Wait()
}

// work does jobs until stop ends, and then those that wait already. While
// Temporal is away it takes none: what waits together can share a workflow. While
// there is a crowd at the door it takes only those of sources that have no part
// in it.
func (r *Relay) work(stop, ctx context.Context) {
	for ctx.Err() == nil {
		most := queueSize
		if stop.Err() == nil && r.crowd.holdsBack() {
			most = few
		}
		if !r.backlog.has(most) {
			if stop.Err() != nil {
				return
			}
			r.await(stop, most)
			continue
		}
		p, err := r.breaker.enter(stop)
		if err != nil {
			return // what waits is found by the sweep of the next process
		}
		t := r.backlog.take(most)
		if t.groups == nil {
			r.breaker.abandoned(p)
			continue
		}
		r.metrics.queued.Set(float64(r.backlog.waiting()))
		r.doTaken(ctx, p, t)
	}
}

// await returns when there may be something to take.
func (r *Relay) await(stop context.Context, most int) {
	wanted, again := r.backlog.wanted, (<-chan time.Time)(nil)
	if most == few {
		wanted, again = nil, time.After(crowdLinger)
	}
	select {
	case <-wanted:
	case <-again:
	case <-stop.Done():
	}
}

// doTaken leaves all events of each group but the newest to that one, and does
// what is to do for the newest.
func (r *Relay) doTaken(ctx context.Context, p pass, t taken) {
	newest, err := r.coalesce(ctx, t.groups)
	if err != nil {
		r.breaker.abandoned(p)
		r.backlog.done(t)
		return
	}
	again := !r.do(ctx, p, newest)
	r.backlog.done(t)
	if again {
		for _, j := range newest {
			r.again(j)
		}
	}
}

// again lets a job wait for its next attempt, or leaves it to the sweep.
func (r *Relay) again(j job) {
	j.failed++
	if j.failed == attempts || !r.backlog.add(j) {
		r.leave(1)
	}
}

// leave leaves so many events to the sweep.
func (r *Relay) leave(events int) {
	r.metrics.left.Add(float64(events))
	r.left.Store(true)
}

// coalesce names the newest event of each group as the cover of its older ones,
// and returns the newest. If that fails all of them are left to the sweep.
func (r *Relay) coalesce(ctx context.Context, groups []group) (newest []job, err error) {
	var covers []providers.Cover
	events, covered := 0, 0
	for _, g := range groups {
		slices.SortFunc(g, byArrival)
		last := len(g) - 1
		newest = append(newest, g[last])
		events += len(g)
		if last > 0 {
			covers = append(covers, coverOf(g[last], g[:last]))
			covered += last
		}
	}
	if len(covers) == 0 {
		return newest, nil
	}
	ctx, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	if err := r.Inbox.Coalesce(ctx, covers); err != nil {
		r.Logger.Warn("events not coalesced, the sweep will bring them back", "source", covers[0].Source, "count", events, "error", err)
		r.leave(events)
		return nil, err
	}
	r.metrics.coalesced.Add(float64(covered))
	return newest, nil
}

func coverOf(newest job, older group) providers.Cover {
	cover := providers.Cover{Source: newest.ev.Source, ID: newest.ev.ID}
	for _, j := range older {
		cover.Older = append(cover.Older, j.ev.ID)
		if j.mayCover() {
			cover.HandOn = append(cover.HandOn, j.ev.ID)
		}
	}
	return cover
}

// do does one job, or starts the joint run of several, and reports whether they are
// done with: done, or parked.
func (r *Relay) do(ctx context.Context, p pass, jobs []job) bool {
	if len(jobs) > 1 {
		return r.doJoint(ctx, p, jobs)
	}
	j := jobs[0]
	err := r.call(ctx, p, j.ev, func(ctx context.Context) error { return r.step(ctx, j) })
	if err != nil && r.isEventsFault(err) {
		r.park(ctx, j.ev, err)
		return true
	}
	return err == nil
}

func (r *Relay) step(ctx context.Context, j job) error {
	switch j.kind {
	case checkJob:
		return r.check(ctx, j)
	case retryJob:
		return r.retry(ctx, j.ev)
	default:
		return r.start(ctx, j.ev)
	}
}

// call does one call of Temporal and tells the breaker how it went.
func (r *Relay) call(ctx context.Context, p pass, ev providers.EventRef, do func(context.Context) error) error {
	began := time.Now()
	callCtx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := do(callCtx)
	r.metrics.seconds.Observe(time.Since(began).Seconds())
	switch {
	case err == nil:
		r.breaker.succeeded(p)
	case errors.Is(ctx.Err(), context.Canceled), isInbox(err):
		r.breaker.abandoned(p)
	case isRefusal(err) && r.proven.Load():
		r.breaker.succeeded(p) // it answers
	default:
		r.metrics.starts.WithLabelValues("failed").Inc()
		r.Logger.Warn("call of temporal failed", "source", ev.Source, "event_id", ev.ID, "after", time.Since(began), "error", err)
		r.breaker.failed(p)
	}
	return err
}

// isRefusal tells Temporal's verdict on a request from its being away.
func isRefusal(err error) bool {
	_, refused := errors.AsType[*serviceerror.InvalidArgument](err)
	return refused
}

// isEventsFault reports whether Temporal refuses this event and no other. The
// same error comes for every event when, say, a search attribute is missing;
// then all of them wait, as in an outage, until that is put right.
func (r *Relay) isEventsFault(err error) bool {
	return isRefusal(err) && r.proven.Swap(false)
}

// park takes an event out of the way that Temporal will never accept.
func (r *Relay) park(ctx context.Context, ev providers.EventRef, cause error) {
	r.metrics.starts.WithLabelValues("refused").Inc()
	r.Logger.Error("temporal refuses an event", "source", ev.Source, "event_id", ev.ID, "error", cause)
	err := r.settle(ctx, ev, providers.StatusReview, "start: "+cause.Error())
	if err != nil {
		r.Logger.Error("event not parked", "source", ev.Source, "event_id", ev.ID, "error", err)
	}
}

func (r *Relay) settle(ctx context.Context, ev providers.EventRef, status providers.Status, why string) error {
	err := r.Inbox.Settle(ctx, providers.Settlement{Source: ev.Source, ID: ev.ID, Status: status, Reason: why, Replay: ev.Replay})
	if err != nil {
		return &inboxError{err}
	}
	return nil
}

// inboxError is an error that says nothing about Temporal.
type inboxError struct{ error }

func (e *inboxError) Unwrap() error { return e.error }

func isInbox(err error) bool {
	_, ok := errors.AsType[*inboxError](err)
	return ok
}

// start starts the event's workflow and has that marked in the inbox.
func (r *Relay) start(ctx context.Context, ev providers.EventRef) error {
	run, err := r.execute(ctx, r.options(ev), workflows.RouteFor(ev.Source, ev.Type), ev)
	if err != nil {
		return err
	}
	select {
	case r.marks <- markOf(ev, workflows.IDOf(ev), run):
	case <-ctx.Done(): // unmarked, it will be swept and found started
	}
	return nil
}

// StartNow starts the workflow of an event that is not in the inbox, and
// reports whether it was new to Temporal. While Temporal is known to be away
// it fails at once.
func (r *Relay) StartNow(ctx context.Context, ev providers.EventRef) (started bool, err error) {
	r.setup()
	// A crowd would only make all of them too late.
	select {
	case r.inline <- struct{}{}:
		defer func() { <-r.inline }()
	case <-ctx.Done():
		return false, fmt.Errorf("wait for a start: %w", ctx.Err())
	}
	p, ok, _, _ := r.breaker.try()
	if !ok {
		return false, errors.New("temporal does not answer")
	}
	err = r.call(ctx, p, ev, func(ctx context.Context) error {
		run, err := r.execute(ctx, r.options(ev), workflows.RouteFor(ev.Source, ev.Type), ev)
		started = run != nil
		return err
	})
	return started, err
}

// execute starts a workflow and returns its run, which is nil when Temporal has, or
// had, one under the same workflow ID.
func (r *Relay) execute(ctx context.Context, options client.StartWorkflowOptions, name string, input any) (client.WorkflowRun, error) {
	run, err := r.Client.ExecuteWorkflow(ctx, options, name, input)
	if _, there := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); there {
		r.proven.Store(true)
		r.metrics.starts.WithLabelValues("already_started").Inc()
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r.proven.Store(true)
	r.metrics.starts.WithLabelValues("started").Inc()
	return run, nil
}

func (r *Relay) options(ev providers.EventRef) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:        workflows.IDOf(ev),
		TaskQueue: r.TaskQueue,
		// A failed run may be started again; one that is open or has completed
		// answers for the event.
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		// Otherwise the client hides that it was started before.
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		EnableEagerStart:                         r.Eager,
		TypedSearchAttributes:                    workflows.SearchAttributes(ev),
		StaticSummary:                            workflows.Summary(ev),
	}
}

// retry tells a parked workflow to try again. An event that was parked
// without a workflow, or whose workflow has gone, is made pending, so that the
// sweep starts one.
func (r *Relay) retry(ctx context.Context, ev providers.EventRef) error {
	err := r.Client.SignalWorkflow(ctx, workflows.IDOf(ev), "", workflows.SignalResolve, workflows.Resolution{
		Action: workflows.Retry,
		By:     "redelivery",
		Reason: "the platform sent the event again",
	})
	if isNotFound(err) {
		return r.settle(ctx, ev, providers.StatusPending, "")
	}
	if err == nil {
		r.metrics.starts.WithLabelValues("signaled").Inc()
	}
	return err
}

func isNotFound(err error) bool {
	_, notFound := errors.AsType[*serviceerror.NotFound](err)
	return notFound
}

// reachable asks Temporal whether it serves.
func (r *Relay) reachable(ctx context.Context) bool {
	_, err := r.Client.CheckHealth(ctx, &client.CheckHealthRequest{})
	return err == nil
}
