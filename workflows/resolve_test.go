package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

func TestAPermanentErrorParksAtOnce(t *testing.T) {
	w := newWorld(t)
	w.fetchErrs = []error{wrongKey}
	w.after(time.Minute, func() {
		require.False(t, w.env.IsWorkflowCompleted())
		require.Equal(t, 1, w.count("local Sync"))
		require.Zero(t, w.count("Sync on surehook-fetch-stripe"), "asking again cannot help")
		require.Equal(t, providers.StatusReview, w.rows["stripe/evt_1"])
		require.Equal(t, "sync: stripe: fetch invoice/in_1: status 401", w.settled[0].Reason)
		require.Equal(t, []string{"review"}, w.statuses)
		details := w.details()
		require.Contains(t, details, "stripe: fetch invoice/in_1: status 401")
		require.Contains(t, details, "surehook events show stripe evt_1")
		require.Contains(t, details, "surehook resolve stripe evt_1 retry")
		require.Contains(t, details, `"resolve"`, "the signal, for who sends it from here")
	})
	w.resolveAfter(2*time.Minute, workflows.Skip)
	require.NoError(t, w.run(workflows.Sync, paid))
}

func TestEnoughFailuresPark(t *testing.T) {
	w := newWorld(t)
	w.fetchErrs = []error{flaky, flaky, flaky, flaky}
	w.resolveAfter(time.Hour, workflows.Skip)
	require.NoError(t, w.run(workflows.Sync, paid))
	require.Equal(t, 4, w.fetches, "one local try, and three where it counts")
	require.Equal(t, []providers.Status{providers.StatusReview, providers.StatusIgnored}, w.history())
}

func TestRetryDoesTheStepAgain(t *testing.T) {
	w := newWorld(t)
	w.fetchErrs = []error{wrongKey}
	w.resolveAfter(time.Minute, workflows.Retry)
	require.NoError(t, w.run(workflows.Sync, paid))
	require.Equal(t, 2, w.fetches)
	require.Equal(t, []providers.Status{providers.StatusReview, providers.StatusPending}, w.history())
	require.Equal(t, providers.Settlement{
		Source: "stripe", ID: "evt_1", Status: providers.StatusPending, Reason: "looked at it", ResolvedBy: "ann", WorkflowID: "default-test-workflow-id", RunID: "default-test-run-id",
	}, w.settled[1])
	require.Equal(t, providers.StatusProcessed, w.rows["stripe/evt_1"])
	require.Equal(t, []string{"review", ""}, w.statuses)
}

func TestARetryThatFailsParksAgain(t *testing.T) {
	w := newWorld(t)
	w.fetchErrs = []error{wrongKey, wrongKey}
	w.resolveAfter(time.Minute, workflows.Retry)
	w.resolveAfter(2*time.Minute, workflows.Retry)
	require.NoError(t, w.run(workflows.Sync, paid))
	require.Equal(t, 3, w.fetches)
	require.Equal(t, []string{"review", "", "review", ""}, w.statuses)
	require.Equal(t, providers.StatusProcessed, w.rows["stripe/evt_1"])
}

func TestSkipIgnoresTheEventAndCompletesTheRun(t *testing.T) {
	w := newWorld(t)
	w.fetchErrs = []error{wrongKey}
	w.resolveAfter(time.Minute, workflows.Skip)
	require.NoError(t, w.run(workflows.Sync, paid))
	require.Equal(t, []providers.Status{providers.StatusReview, providers.StatusIgnored}, w.history())
	require.Equal(t, "ann", w.settled[1].ResolvedBy)
	require.Equal(t, "looked at it", w.settled[1].Reason)
	require.Equal(t, 1, w.fetches)
}

func TestFailGivesTheEventUpAndFailsTheRun(t *testing.T) {
	w := newWorld(t)
	w.fetchErrs = []error{wrongKey}
	w.resolveAfter(time.Minute, workflows.Fail)
	var failed *temporal.ApplicationError
	require.ErrorAs(t, w.run(workflows.Sync, paid), &failed)
	require.Equal(t, "GivenUp", failed.Type())
	require.True(t, failed.NonRetryable())
	require.Equal(t, []providers.Status{providers.StatusReview, providers.StatusFailed}, w.history())
	require.Equal(t, "ann", w.settled[1].ResolvedBy)
}

func TestWhatIsNoResolutionDoesNotEndTheWait(t *testing.T) {
	for name, payload := range map[string]any{
		"nothing in it":          workflows.Resolution{},
		"an unknown action":      workflows.Resolution{Action: "explode", By: "ann"},
		"no one who decides":     workflows.Resolution{Action: workflows.Skip, Reason: "because"},
		"a blank as who decides": workflows.Resolution{Action: workflows.Skip, By: " \t"},
		"a number":               42,
		"a wrong type within":    map[string]any{"action": 1, "by": "ann"},
		"null":                   nil,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.fetchErrs = []error{wrongKey}
			w.after(time.Minute, func() { w.env.SignalWorkflow(workflows.SignalResolve, payload) })
			w.after(time.Hour, func() {
				require.False(t, w.env.IsWorkflowCompleted())
				require.Equal(t, providers.StatusReview, w.rows["stripe/evt_1"])
			})
			w.resolveAfter(2*time.Hour, workflows.Retry)
			require.NoError(t, w.run(workflows.Sync, paid))
			require.Equal(t, []providers.Status{providers.StatusReview, providers.StatusPending}, w.history())
		})
		t.Run(name+", and the run can still be cancelled", func(t *testing.T) {
			w := newWorld(t)
			w.fetchErrs = []error{wrongKey}
			w.after(time.Minute, func() { w.env.SignalWorkflow(workflows.SignalResolve, payload) })
			w.after(time.Hour, w.env.CancelWorkflow)
			require.True(t, temporal.IsCanceledError(w.run(workflows.Sync, paid)))
			require.Equal(t, providers.StatusFailed, w.rows["stripe/evt_1"])
		})
	}
}

func TestAResolutionSentBeforeTheFailureIsNotMeantForIt(t *testing.T) {
	w := newWorld(t)
	w.fetchErrs = []error{later(10 * time.Minute), wrongKey}
	w.resolveAfter(time.Minute, workflows.Fail) // while it sleeps, not parked
	w.after(5*time.Minute, func() { w.env.SignalWorkflow(workflows.SignalResolve, 42) })
	w.resolveAfter(time.Hour, workflows.Skip)
	require.NoError(t, w.run(workflows.Sync, paid))
	require.Equal(t, []providers.Status{providers.StatusReview, providers.StatusIgnored}, w.history())
}

func TestTwoResolutionsTheFirstCounts(t *testing.T) {
	w := newWorld(t)
	w.fetchErrs = []error{wrongKey}
	w.resolveAfter(time.Minute, workflows.Skip)
	w.resolveAfter(time.Minute, workflows.Fail)
	require.NoError(t, w.run(workflows.Sync, paid))
	require.Equal(t, []providers.Status{providers.StatusReview, providers.StatusIgnored}, w.history())
}

func TestResolutionValidate(t *testing.T) {
	for _, action := range []workflows.Action{workflows.Retry, workflows.Skip, workflows.Fail} {
		require.NoError(t, workflows.Resolution{Action: action, By: "ann"}.Validate())
	}
	require.ErrorContains(t, workflows.Resolution{Action: "RETRY", By: "ann"}.Validate(), `"RETRY": want retry, skip or fail`)
	require.ErrorContains(t, workflows.Resolution{Action: workflows.Retry}.Validate(), "by is empty")
}

// What a local activity writes down is seen before the history knows of it. A worker
// that was killed in between would be followed by one that drops the decision.
func TestTheHistoryKnowsOfAParkBeforeAnybodySeesIt(t *testing.T) {
	w := newWorld(t)
	w.fetchErrs = []error{wrongKey}
	w.resolveAfter(time.Hour, workflows.Skip)
	require.NoError(t, w.run(workflows.Sync, paid))
	require.Equal(t, []string{"local Sync", "Settle on default-test-taskqueue", "local Settle"}, w.ran)
}
