package workflows_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// aboutInvoice is an event about an invoice of its own.
func aboutInvoice(id string) providers.EventRef {
	return providers.EventRef{Source: "stripe", ID: "evt_" + id, Type: "invoice.updated", Ref: providers.Ref{Type: "invoice", ID: "in_" + id}, ReceivedAt: received}
}

func many(ids string) (events []providers.EventRef) {
	for id := range strings.SplitSeq(ids, "") {
		events = append(events, aboutInvoice(id))
	}
	return events
}

// runMany runs a joint run, and notes the own runs that it starts.
func (w *world) runMany(events []providers.EventRef) (started []string, err error) {
	w.t.Helper()
	for _, ev := range events {
		w.rows["stripe/"+ev.ID] = providers.StatusPending
	}
	w.env.RegisterWorkflow(workflows.Sync)
	w.env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, args converter.EncodedValues) {
		var ev providers.EventRef
		require.NoError(w.t, args.Get(&ev))
		require.Equal(w.t, "Sync", info.WorkflowType.Name)
		require.Equal(w.t, workflows.IDOf(ev), info.WorkflowExecution.ID)
		w.note(func() { started = append(started, ev.ID) })
	})
	w.env.ExecuteWorkflow(workflows.SyncMany, events)
	require.True(w.t, w.env.IsWorkflowCompleted())
	return started, w.env.GetWorkflowError()
}

func TestAJointRunIsOneLocalActivityAndNothingElse(t *testing.T) {
	w := newWorld(t)
	started, err := w.runMany(many("123"))
	require.NoError(t, err)
	require.Empty(t, started)
	require.Equal(t, []string{"local SyncMany"}, w.ran)
	require.Equal(t, providers.StatusProcessed, w.rows["stripe/evt_2"])
}

func TestWhatAJointRunCannotFinishGetsARunOfItsOwn(t *testing.T) {
	w := newWorld(t)
	w.fetchErrs = []error{flaky} // whichever comes first
	started, err := w.runMany(many("123"))
	require.NoError(t, err)
	require.Len(t, started, 1)
	require.Len(t, w.started, 1)
	own := w.started[0]
	require.Equal(t, started[0], own.ID)
	require.Equal(t, "stripe/"+own.ID, own.WorkflowID)
	require.NotEmpty(t, own.RunID)
	require.Equal(t, "default-test-workflow-id", own.LeftBy)
}

func TestAnOwnRunWaitsAsThePlatformAskedTheJointOne(t *testing.T) {
	w := newWorld(t)
	w.fetchErrs = []error{&providers.APIError{Provider: "stripe", Op: "fetch", Status: 429, Retry: providers.RetryLater, After: 42 * time.Second}}
	started, err := w.runMany(many("123"))
	require.NoError(t, err)
	require.Len(t, started, 1)
	require.Equal(t, []time.Duration{42 * time.Second}, w.timers)
	require.Equal(t, 4, w.fetches)
}

func TestAJointRunLeavesAllWhereTheDatabaseIsAway(t *testing.T) {
	w := newWorld(t)
	w.pendingErrs = []error{providers.ErrUnavailable}
	started, err := w.runMany(many("123"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"evt_1", "evt_2", "evt_3"}, started)
}

func TestAJointRunIsDoneWhereItCouldNotMarkItsOwnRuns(t *testing.T) {
	w := newWorld(t)
	w.fetchErrs, w.markErrs = []error{flaky}, []error{errors.New("the database is away")}
	started, err := w.runMany(many("123"))
	require.NoError(t, err)
	require.Len(t, started, 1)
}

func TestTheEndOfAJointRunIsNotTheEndOfItsEvents(t *testing.T) {
	for name, end := range map[string]func(*world){
		"by itself":       func(w *world) { w.fetchErrs = []error{flaky} },
		"by cancellation": func(w *world) { w.env.RegisterDelayedCallback(w.env.CancelWorkflow, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			end(w)
			started, err := w.runMany(many("123"))
			require.NoError(t, err)
			require.NotEmpty(t, started)
			require.Empty(t, w.settled, "an own run was told to end")
			for id, status := range w.rows {
				require.Equal(t, providers.StatusProcessed, status, id)
			}
		})
	}
}

func TestAnOwnRunThatIsThereWillDo(t *testing.T) {
	w := newWorld(t)
	w.fetchErrs = []error{flaky, flaky}
	started, err := w.runMany(many("11"))
	require.NoError(t, err)
	require.Equal(t, []string{"evt_1"}, started)
	require.Len(t, w.started, 2)
	require.Equal(t, "stripe/evt_1", w.started[1].WorkflowID)
	require.Empty(t, w.started[1].RunID, "its run is not this one's")
}

func TestTheSameEventsHaveTheSameJointID(t *testing.T) {
	id := workflows.JointID(many("123"))
	require.Equal(t, id, workflows.JointID(many("123")))
	require.NotEqual(t, id, workflows.JointID(many("124")))
	require.NotEqual(t, id, workflows.JointID(many("12")))
	again := many("123")
	again[2].Replay = "again"
	require.NotEqual(t, id, workflows.JointID(again), "a replay is another run")
	require.Regexp(t, `^stripe/joint/[0-9a-f]{32}$`, id)
	long := []providers.EventRef{{Source: strings.Repeat("s", 300), ID: "1"}, {Source: strings.Repeat("s", 300), ID: "2"}}
	require.LessOrEqual(t, len(workflows.JointID(long)), 255)
	require.LessOrEqual(t, len(workflows.JointSummary(long)), 200)
}

func TestAJointRunIsFoundByItsSourceAndNamesItsEvents(t *testing.T) {
	source, ok := workflows.JointSearchAttributes(many("12")).GetKeyword(workflows.SourceKey)
	require.True(t, ok)
	require.Equal(t, "stripe", source)
	require.Equal(t, "stripe · 2 events", workflows.JointSummary(many("12")))
	require.Equal(t, "- `evt_1` invoice.updated · invoice/in_1\n- `evt_2` invoice.updated · invoice/in_2\n", workflows.JointDetails(many("12")))
	require.LessOrEqual(t, len(workflows.JointDetails(many(strings.Repeat("1", 1000)))), 20_000)
}
