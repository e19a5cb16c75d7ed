package activities_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

// world is an inbox, records, a limiter, a receiver of notices and a platform
// in memory, and what was done to them.
type world struct {
	t   *testing.T
	env *testsuite.TestActivityEnvironment
	a   *activities.Activities

	mu    sync.Mutex // for several events at once
	calls []string   // in order: claim, fetch, save, cover, …

	accepted []providers.Received
	settled  []providers.Settlement
	started  []providers.Started
	saves    []providers.Save
	etags    []string        // that were asked for
	failures []int32         // that were counted in the heartbeat
	beat     providers.Tally // the last heartbeat's

	claim    providers.Claim
	stored   providers.StoredEvent
	events   []providers.Event // what the platform reads off the stored body
	object   providers.Object
	covered  bool // what Cover was told to finish
	err      map[string]error
	saveErrs []error
	panics   any
	ended    map[string]bool                        // events that are not pending any more
	fetches  map[string]func(context.Context) error // by object ID, before the fetch
	full     bool                                   // no token is left
}

var invoice = providers.Ref{Type: "invoice", ID: "in_1"}

var event = providers.EventRef{Source: "stripe", ID: "evt_1", Type: "invoice.paid", Ref: invoice}

func newWorld(t *testing.T) *world {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	w := &world{t: t, env: suite.NewTestActivityEnvironment(), err: map[string]error{}}
	w.object = providers.Object{Ref: invoice, State: []byte(`{"status":"paid"}`)}
	w.a = &activities.Activities{
		Inbox:       w,
		Records:     w,
		Sources:     map[string]activities.Source{"stripe": {Provider: fetching{w}, Limiter: w}, "generic": {Provider: platform{w}, Limiter: w}},
		Notifier:    w,
		MaxAttempts: 3,
	}
	w.env.RegisterActivity(w.a)
	w.env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var told struct {
			Failed int32
			Done   providers.Tally
		}
		require.NoError(t, details.Get(&told))
		w.beat = told.Done
		w.failures = append(w.failures, told.Failed)
	})
	return w
}

// earlier is what the attempts before have left in the heartbeat.
func earlier(failed int32, done providers.Tally) any {
	return map[string]any{"failed": failed, "done": done}
}

func (w *world) sync(in activities.SyncInput) (saved providers.Saved, err error) {
	v, err := w.env.ExecuteActivity(w.a.Sync, in)
	if err != nil {
		return saved, err
	}
	require.NoError(w.t, v.Get(&saved))
	return saved, nil
}

func (w *world) syncLocally(in activities.SyncInput) error {
	_, err := w.env.ExecuteLocalActivity(w.a.Sync, in)
	return err
}

// syncMany returns the IDs of what is left.
func (w *world) syncMany(events ...providers.EventRef) (left []string) {
	w.t.Helper()
	for _, l := range w.syncManyResult(events...).Left {
		left = append(left, l.ID)
	}
	return left
}

func (w *world) syncManyResult(events ...providers.EventRef) (result activities.SyncManyResult) {
	w.t.Helper()
	v, err := w.env.ExecuteLocalActivity(w.a.SyncMany, events)
	require.NoError(w.t, err)
	require.NoError(w.t, v.Get(&result))
	return result
}

func (w *world) call(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, name)
	return w.err[name]
}

// The inbox.

func (w *world) Accept(_ context.Context, events []providers.Received) ([]providers.Accepted, error) {
	w.accepted = events
	return []providers.Accepted{{EventRef: event, Status: providers.StatusPending, Duplicate: true}}, w.call("accept")
}

func (w *world) Event(_ context.Context, source, id string) (providers.StoredEvent, error) {
	return w.stored, w.call("event " + source + "/" + id)
}

func (w *world) Pending(_ context.Context, events []providers.EventRef) ([]providers.EventRef, error) {
	var pending []providers.EventRef
	for _, ev := range events {
		if !w.ended[ev.ID] {
			pending = append(pending, ev)
		}
	}
	return pending, w.call("pending")
}

func (w *world) MarkStarted(_ context.Context, started []providers.Started) error {
	w.started = append(w.started, started...)
	return w.call("mark started")
}

func (w *world) Settle(_ context.Context, s providers.Settlement) error {
	w.settled = append(w.settled, s)
	return w.call("settle")
}

// The records.

func (w *world) Claim(context.Context, providers.EventRef) (providers.Claim, error) {
	return w.claim, w.call("claim")
}

// What the SDK's test environment calls its workflow and its run.
const (
	workflowOfTheTest = "default-test-workflow-id"
	runOfTheTest      = "default-test-run-id"
)

func (w *world) Cover(_ context.Context, s providers.Save) (providers.Saved, error) {
	w.covered = s.Finish
	return providers.Saved{Ref: invoice, Covered: true}, w.call("cover")
}

func (w *world) Save(_ context.Context, s providers.Save) (providers.Saved, error) {
	err := w.call("save")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.saves = append(w.saves, s)
	if len(w.saveErrs) > 0 {
		err, w.saveErrs = w.saveErrs[0], w.saveErrs[1:]
	}
	return providers.Saved{Ref: s.Event.Ref, Changed: true}, err
}

// The receiver of notices.

func (w *world) Notify(context.Context, activities.Notice) error { return w.call("notify") }

// The limiter.

func (w *world) Allow() bool {
	_ = w.call("allow")
	return !w.full
}

func (w *world) Wait(ctx context.Context) error {
	err := w.call("wait")
	if w.full {
		err = errors.New("rate: Wait(n=1) would exceed context deadline")
	}
	return errors.Join(err, ctx.Err())
}

// platform has no API.
type platform struct{ w *world }

func (platform) Verify(providers.Request, providers.Secrets) error {
	return providers.ErrUnauthenticated
}
func (platform) Sign(*providers.Request, providers.Secrets) error {
	return providers.ErrUnauthenticated
}

func (p platform) Events(r providers.Request) ([]providers.Event, error) {
	require.Equal(p.w.t, p.w.stored.Body, r.Body)
	require.Equal(p.w.t, p.w.stored.Header, r.Header)
	return p.w.events, p.w.call("events")
}

// fetching is a platform that has one.
type fetching struct{ w *world }

func (f fetching) Verify(r providers.Request, s providers.Secrets) error {
	return platform(f).Verify(r, s)
}
func (f fetching) Sign(r *providers.Request, s providers.Secrets) error {
	return platform(f).Sign(r, s)
}
func (f fetching) Events(r providers.Request) ([]providers.Event, error) {
	return platform(f).Events(r)
}

func (f fetching) Fetch(ctx context.Context, q providers.FetchQuery) (providers.Object, error) {
	if before := f.w.fetches[q.Ref.ID]; before != nil {
		if err := before(ctx); err != nil {
			return providers.Object{}, err
		}
	}
	f.w.mu.Lock()
	f.w.etags = append(f.w.etags, q.ETag)
	f.w.mu.Unlock()
	if f.w.panics != nil {
		panic(f.w.panics)
	}
	return f.w.object, f.w.call("fetch")
}

// sorted takes apart what Temporal is given.
func sorted(t *testing.T, err error) *temporal.ApplicationError {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	return app
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
