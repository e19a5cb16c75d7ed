package workflows_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// world is everything around one run of a workflow: the real activities over
// an inbox, records and a platform that live in memory, and Temporal's test
// environment, whose clock jumps.
type world struct {
	t          *testing.T
	env        *testsuite.TestWorkflowEnvironment
	activities *activities.Activities

	mu       sync.Mutex
	rows     map[string]providers.Status // the inbox, by source/id
	settled  []providers.Settlement
	started  []providers.Started
	saved    []providers.Save
	notices  []activities.Notice
	fetches  int
	ran      []string // "local Sync", "Sync on surehook-fetch-stripe"
	timers   []time.Duration
	statuses []string // what the search attribute was set to; "" for unset

	// What the platform, the limiter, the database and the receiver of notices
	// answer: the first entry to the first call; after the last, success.
	fetchErrs  []error
	busy       []bool
	notifyErrs []error
	markErrs   []error

	pendingErrs []error
	deleted     bool
}

var received = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// paid is an event for which every route and default has something to do.
var paid = providers.EventRef{
	Source:     "stripe",
	ID:         "evt_1",
	Type:       "invoice.paid",
	Ref:        providers.Ref{Type: "invoice", ID: "in_1"},
	ReceivedAt: received,
}

// wrongKey is for ever, until an operator renews the key.
var wrongKey = &providers.APIError{Provider: "stripe", Op: "fetch invoice/in_1", Status: 401, Retry: providers.RetryNever}

// flaky is over with the next attempt.
var flaky = &providers.APIError{Provider: "stripe", Op: "fetch invoice/in_1", Status: 502, Retry: providers.RetrySoon}

func newWorld(t *testing.T) *world {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	w := &world{
		t:    t,
		env:  suite.NewTestWorkflowEnvironment(),
		rows: map[string]providers.Status{"stripe/evt_1": providers.StatusPending},
	}
	w.activities = &activities.Activities{
		Inbox:       w,
		Records:     w,
		Sources:     map[string]activities.Source{"stripe": {Provider: platform{w}, Limiter: w}},
		Notifier:    w,
		MaxAttempts: 3,
	}
	w.env.RegisterActivity(w.activities)
	w.env.SetOnLocalActivityStartedListener(func(info *activity.Info, _ context.Context, _ []any) {
		w.note(func() { w.ran = append(w.ran, "local "+info.ActivityType.Name) })
	})
	w.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		w.note(func() { w.ran = append(w.ran, info.ActivityType.Name+" on "+info.TaskQueue) })
	})
	w.env.SetOnTimerScheduledListener(func(_ string, d time.Duration) {
		w.note(func() { w.timers = append(w.timers, d) })
	})
	w.env.OnUpsertTypedSearchAttributes(mock.MatchedBy(func(sa temporal.SearchAttributes) bool {
		status, _ := sa.GetKeyword(workflows.StatusKey)
		w.note(func() { w.statuses = append(w.statuses, status) })
		return true
	})).Return(nil).Maybe()
	return w
}

// run runs the workflow of the definition to its end.
func (w *world) run(d workflows.Definition, ev providers.EventRef) error {
	w.t.Helper()
	w.env.ExecuteWorkflow(d, ev)
	require.True(w.t, w.env.IsWorkflowCompleted())
	return w.env.GetWorkflowError()
}

// after does something once the run has rested for d of its own time.
func (w *world) after(d time.Duration, do func()) { w.env.RegisterDelayedCallback(do, d) }

// resolveAfter sends a resolution by ann.
func (w *world) resolveAfter(d time.Duration, action workflows.Action) {
	w.after(d, func() {
		w.env.SignalWorkflow(workflows.SignalResolve, workflows.Resolution{Action: action, By: "ann", Reason: "looked at it"})
	})
}

// history is the statuses that the event took, in order.
func (w *world) history() []providers.Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []providers.Status
	for _, s := range w.settled {
		all = append(all, s.Status)
	}
	return all
}

// details is what the Web UI shows as the run's current details.
func (w *world) details() string {
	w.t.Helper()
	v, err := w.env.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(w.t, err)
	var meta sdkpb.WorkflowMetadata
	require.NoError(w.t, v.Get(&meta))
	return meta.CurrentDetails
}

// count is how often an activity has been started, in either way.
func (w *world) count(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, ran := range w.ran {
		if ran == what {
			n++
		}
	}
	return n
}

func (w *world) note(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// next takes the first of the scripted answers.
func next[T any](script *[]T) (first T) {
	if len(*script) > 0 {
		first = (*script)[0]
		*script = (*script)[1:]
	}
	return first
}

// The inbox.

func (w *world) Accept(_ context.Context, events []providers.Received) (rows []providers.Accepted, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range events {
		key := e.Source + "/" + e.Event.ID
		status, known := w.rows[key]
		if !known {
			status = e.Status
			w.rows[key] = status
		}
		rows = append(rows, providers.Accepted{
			EventRef:  providers.EventRef{Source: e.Source, ID: e.Event.ID, Type: e.Event.Type, Ref: e.Event.Ref, ReceivedAt: received},
			Status:    status,
			Duplicate: known,
		})
	}
	return rows, nil
}

func (w *world) Event(context.Context, string, string) (providers.StoredEvent, error) {
	return providers.StoredEvent{}, providers.ErrNotFound
}

func (w *world) Pending(_ context.Context, events []providers.EventRef) ([]providers.EventRef, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(events), func(ev providers.EventRef) bool {
		return w.rows[ev.Source+"/"+ev.ID] != providers.StatusPending
	}), next(&w.pendingErrs)
}

func (w *world) MarkStarted(_ context.Context, started []providers.Started) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started = append(w.started, started...)
	return next(&w.markErrs)
}

func (w *world) Settle(_ context.Context, s providers.Settlement) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.rows[s.Source+"/"+s.ID]; !known {
		return fmt.Errorf("settle %s/%s: %w", s.Source, s.ID, providers.ErrNotFound)
	}
	w.rows[s.Source+"/"+s.ID] = s.Status
	w.settled = append(w.settled, s)
	return nil
}

// The records.

func (w *world) Claim(context.Context, providers.EventRef) (providers.Claim, error) {
	return providers.Claim{Number: 1}, nil
}

func (w *world) Cover(context.Context, providers.Save) (providers.Saved, error) {
	return providers.Saved{}, nil
}

func (w *world) Save(_ context.Context, s providers.Save) (providers.Saved, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.saved = append(w.saved, s)
	if s.Finish {
		w.rows[s.Event.Source+"/"+s.Event.ID] = providers.StatusProcessed
	}
	return providers.Saved{Ref: s.Event.Ref, Changed: true, Deleted: s.Object.Deleted}, nil
}

// The receiver of notices.

func (w *world) Notify(_ context.Context, n activities.Notice) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notices = append(w.notices, n)
	return next(&w.notifyErrs)
}

// The limiter.

func (w *world) Allow() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !next(&w.busy)
}

func (w *world) Wait(context.Context) error { return nil }

// platform is the provider. Its methods are apart from the world's because it
// must not be asked to verify anything here.
type platform struct{ w *world }

func (platform) Verify(providers.Request, providers.Secrets) error {
	return providers.ErrUnauthenticated
}
func (platform) Sign(*providers.Request, providers.Secrets) error {
	return providers.ErrUnauthenticated
}
func (platform) Events(providers.Request) ([]providers.Event, error) { return nil, nil }

func (p platform) Fetch(_ context.Context, q providers.FetchQuery) (providers.Object, error) {
	w := p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetches++
	if err := next(&w.fetchErrs); err != nil {
		return providers.Object{}, err
	}
	if w.deleted {
		return providers.Object{Ref: q.Ref, Deleted: true}, nil
	}
	return providers.Object{Ref: q.Ref, State: []byte(`{"status":"paid"}`)}, nil
}

// quiet drops the SDK's log: refused signals and failed attempts are the point here.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

// names are those of all workflows.
func names() []string {
	var all []string
	for _, d := range workflows.All() {
		all = append(all, workflows.Name(d))
	}
	slices.Sort(all)
	return all
}
