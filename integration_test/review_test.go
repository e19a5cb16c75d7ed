package integration_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/workflows"
)

// forbidden is what trying again cannot mend: the key may not read this.
var forbidden = sandbox.APIFault{Kind: sandbox.FaultError, Status: http.StatusForbidden, Probability: 1}

// down is a platform that is out of order.
var down = sandbox.APIFault{Kind: sandbox.FaultError, Status: http.StatusInternalServerError, Probability: 1}

// park makes an event that ends in review.
func (s *system) park(typ string) sandbox.Event {
	s.t.Helper()
	s.fail(s.stripe, forbidden)
	ev := s.trigger(s.stripe, typ)
	s.untilStatus("stripe", ev.ID, providers.StatusReview)
	return ev
}

// resolve does what the Web UI does with a signal, or the command with an event
// that has a run.
func (s *system) resolve(ev sandbox.Event, action workflows.Action) {
	s.t.Helper()
	err := s.client.SignalWorkflow(s.t.Context(), workflows.ID("stripe", ev.ID), "", workflows.SignalResolve,
		workflows.Resolution{Action: action, By: "ann", Reason: "looked at it"})
	require.NoError(s.t, err)
}

// untilListed waits until so many runs have the status in their search attribute.
func (s *system) untilListed(status providers.Status, want int) {
	s.t.Helper()
	query := &workflowservice.ListWorkflowExecutionsRequest{Query: `SurehookStatus = "` + string(status) + `"`}
	s.eventually(func() bool {
		list, err := s.client.ListWorkflow(s.t.Context(), query)
		return err == nil && len(list.Executions) == want
	}, "not %d runs are listed as %s", want, status)
}

// details is what the Web UI shows as a run's current details.
func (s *system) details(ev sandbox.Event) string {
	s.t.Helper()
	value, err := s.client.QueryWorkflow(s.t.Context(), workflows.ID("stripe", ev.ID), "", "__temporal_workflow_metadata")
	require.NoError(s.t, err)
	var meta sdkpb.WorkflowMetadata
	require.NoError(s.t, value.Get(&meta))
	return meta.CurrentDetails
}

func TestAnEventThatCannotBeDoneIsParkedWhereEverybodySeesIt(t *testing.T) {
	t.Parallel()
	s := start(t, options{maxAttempts: 2})
	s.fail(s.stripe, down)
	ev := s.trigger(s.stripe, "customer.created")

	reason := "sync: stripe: fetch " + ev.Object.String() + ": status 500 (api_error)"
	e := s.untilStatus("stripe", ev.ID, providers.StatusReview)
	require.Equal(t, reason, e.Reason)
	require.Equal(t, 3, s.stripe.Fetches(ev.Object), "once at once, then as often as configured")
	s.untilListed(providers.StatusReview, 1)
	require.Contains(t, s.details(ev), "**Parked for review**: "+reason)
	require.Contains(t, s.details(ev), "surehook resolve stripe "+ev.ID+" retry")
	s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_RUNNING)

	s.fail(s.stripe)
	s.resolve(ev, workflows.Retry)
	e = s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	require.Equal(t, "ann", e.ResolvedBy)
	require.Empty(t, e.Reason)
	s.requireTrue(s.stripe, "stripe", ev.Object)
	s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	s.untilListed(providers.StatusReview, 0)
	require.Equal(t, "Resolved: **retry** by ann. looked at it", s.details(ev))
}

func TestAPermanentErrorParksTheEventAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.park("customer.created")
	require.Equal(t, 1, s.stripe.Fetches(ev.Object))
	require.Contains(t, s.untilStatus("stripe", ev.ID, providers.StatusReview).Reason, "status 403")
}

func TestAParkedEventThatThePlatformSendsAgainIsRetried(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.park("invoice.paid")
	s.fail(s.stripe)
	attempt, err := s.stripe.Redeliver(t.Context(), ev.ID)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, attempt.Status)
	e := s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	require.Equal(t, "redelivery", e.ResolvedBy)
	s.requireTrue(s.stripe, "stripe", ev.Object)
	require.Equal(t, 1, s.receiver.Totals().Effects)
}

func TestAParkedEventThatIsSkippedIsIgnored(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.park("invoice.paid")
	s.resolve(ev, workflows.Skip)
	e := s.untilStatus("stripe", ev.ID, providers.StatusIgnored)
	require.Equal(t, "ann", e.ResolvedBy)
	require.Equal(t, "looked at it", e.ResolvedReason)
	require.Contains(t, e.Reason, "status 403", "what went wrong stays")
	s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)

	// The run completed, so even a duplicate that comes now starts nothing.
	s.fail(s.stripe)
	require.Contains(t, s.post(s.stripe, "stripe", ev.ID).Body, `"status":"duplicate"`)
	s.rest()
	require.Equal(t, providers.StatusIgnored, s.untilStatus("stripe", ev.ID, providers.StatusIgnored).Status)
	require.Equal(t, 1, s.stripe.Fetches(ev.Object))
	require.Zero(t, s.receiver.Totals().Deliveries)
}

func TestAParkedEventThatIsGivenUpHasFailed(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.park("customer.created")
	s.resolve(ev, workflows.Fail)
	e := s.untilStatus("stripe", ev.ID, providers.StatusFailed)
	require.Equal(t, "ann", e.ResolvedBy)
	require.Equal(t, "looked at it", e.ResolvedReason)
	require.Contains(t, e.Reason, "status 403", "what went wrong stays")
	s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_FAILED)
}

func TestAParkedRunStillDedupes(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.park("customer.created")
	run := s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_RUNNING)
	require.Contains(t, s.post(s.stripe, "stripe", ev.ID).Body, `"status":"duplicate"`)
	// To send it again counts as retry, which fails as before.
	s.until("stripe", ev.ID, "parked again", func(e store.EventRow) bool {
		return e.Status == providers.StatusReview && s.stripe.Fetches(ev.Object) == 2
	})
	same := s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_RUNNING)
	require.Equal(t, run.WorkflowExecution.RunID, same.WorkflowExecution.RunID)
	all, err := s.client.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{})
	require.NoError(t, err)
	require.EqualValues(t, 1, all.Count)
}

func TestASignalThatSaysNothingLeavesTheEventParked(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.park("customer.created")
	id := workflows.ID("stripe", ev.ID)
	s.fail(s.stripe) // a retry would now succeed
	for _, nonsense := range []any{
		"retry", 42, nil, []byte{0xff},
		map[string]any{"action": "explode", "by": "ann"},
		workflows.Resolution{Action: workflows.Retry}, // by nobody
	} {
		require.NoError(t, s.client.SignalWorkflow(t.Context(), id, "", workflows.SignalResolve, nonsense))
	}
	require.NoError(t, s.client.SignalWorkflow(t.Context(), id, "", "resolved", "another signal"))
	require.Contains(t, s.details(ev), "**Parked for review**", "a query is answered after all signals before it")
	require.Equal(t, providers.StatusReview, s.untilStatus("stripe", ev.ID, providers.StatusReview).Status)
	require.Equal(t, 1, s.stripe.Fetches(ev.Object))

	s.resolve(ev, workflows.Skip)
	s.untilStatus("stripe", ev.ID, providers.StatusIgnored)
}

// A run that somebody terminates in the Web UI cannot write down that it ended,
// so the relay's sweep finds out.
func TestATerminatedRunEndsItsEventAndCanBeRunAgain(t *testing.T) {
	t.Parallel()
	s := start(t, options{maxAttempts: 100})
	s.fail(s.stripe, down)
	ev := s.trigger(s.stripe, "customer.created")
	s.until("stripe", ev.ID, "marked as started", func(e store.EventRow) bool { return !e.StartedAt.IsZero() })
	require.NoError(t, s.client.TerminateWorkflow(t.Context(), workflows.ID("stripe", ev.ID), "", "looked stuck"))
	s.makeDue("stripe", ev.ID)
	e := s.untilStatus("stripe", ev.ID, providers.StatusFailed)
	require.Equal(t, "the run was terminated", e.Reason)

	// What `surehook resolve … retry` does with an event that has no run.
	s.fail(s.stripe)
	require.NoError(t, s.store.Settle(t.Context(), providers.Settlement{
		Source: "stripe", ID: ev.ID, Status: providers.StatusPending, Reason: "by mistake", ResolvedBy: "ann",
	}))
	e = s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	require.Equal(t, "ann", e.ResolvedBy)
	s.requireTrue(s.stripe, "stripe", ev.Object)
	s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
}

func TestAParkedEventWhoseRunWasTerminatedIsStartedAgainWhenItIsSentAgain(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.park("customer.created")
	require.NoError(t, s.client.TerminateWorkflow(t.Context(), workflows.ID("stripe", ev.ID), "", "looked stuck"))
	s.fail(s.stripe)
	require.Contains(t, s.post(s.stripe, "stripe", ev.ID).Body, `"status":"duplicate"`)
	s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	s.requireTrue(s.stripe, "stripe", ev.Object)
}
