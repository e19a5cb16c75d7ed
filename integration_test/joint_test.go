package integration_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/workflows"
)

// gather makes a change to each of so many objects and delivers the events, which
// wait for a worker then.
func (s *system) gather(n int) (events []sandbox.Event) {
	s.t.Helper()
	var requests []providers.Request
	for i := range n {
		ref, err := s.stripe.Create("customer", map[string]any{"name": fmt.Sprint("customer ", i)})
		require.NoError(s.t, err)
		ev := s.trigger(s.stripe, "customer.updated", sandbox.On(ref), sandbox.Undelivered())
		events, requests = append(events, ev), append(requests, s.request(s.stripe, ev.ID))
	}
	s.sendTogether("stripe", requests)
	return events
}

// refuse makes the platform refuse all calls for the object of an event.
func (s *system) refuse(events ...sandbox.Event) {
	s.t.Helper()
	var faults []sandbox.APIFault
	for _, ev := range events {
		object, ok := s.stripe.Object(ev.Object)
		require.True(s.t, ok)
		fault := forbidden
		fault.Path = object.Paths[0]
		faults = append(faults, fault)
	}
	s.fail(s.stripe, faults...)
}

func isJoint(workflowID string) bool { return strings.Contains(workflowID, "/joint/") }

func TestWhatWaitsOfManyObjectsIsWorkedOffInJointRuns(t *testing.T) {
	t.Parallel()
	s := start(t, options{withoutWork: true})
	events := s.gather(500)
	s.work()
	s.untilWorkedOff(len(events))

	runs := map[string]int{}
	joint := ""
	for _, ev := range events {
		e := s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
		runs[e.WorkflowID]++
		if isJoint(e.WorkflowID) {
			joint = e.WorkflowID
		} else {
			require.Equal(t, workflows.ID("stripe", ev.ID), e.WorkflowID)
		}
		d, err := s.client.DescribeWorkflow(t.Context(), e.WorkflowID, e.RunID)
		require.NoError(t, err, "each row names a run that is there")
		require.Equal(t, e.RunID, d.WorkflowExecution.RunID)
		s.requireTrue(s.stripe, "stripe", ev.Object)
	}
	t.Logf("%d events about as many objects: %d runs, %d calls", len(events), len(runs), s.stripe.TotalCalls())
	require.Less(t, len(runs), len(events)/3)
	require.Equal(t, 16, runs[joint])
	require.Equal(t, len(events), s.stripe.TotalCalls(), "each object is asked for once")

	s.untilRunOf(joint, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	require.Len(t, s.historyOf(joint).GetEvents(), 6, "as many as a run for one event has")
}

func TestWhatAJointRunCannotDoIsDoneInRunsOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := start(t, options{withoutWork: true})
	events := s.gather(300)
	refused := events[100:103]
	s.refuse(refused...)
	s.work()
	s.untilWorkedOff(len(events) - len(refused))

	jointly := 0
	for _, ev := range refused {
		e := s.untilStatus("stripe", ev.ID, providers.StatusReview)
		require.Equal(t, workflows.ID("stripe", ev.ID), e.WorkflowID)
		d := s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_RUNNING)
		require.Equal(t, e.RunID, d.WorkflowExecution.RunID)
		summary, err := d.GetStaticSummary()
		require.NoError(t, err)
		require.Equal(t, workflows.Summary(providers.EventRef{Source: "stripe", Type: ev.Type, Ref: ev.Object}), summary)
		if parent := d.ParentWorkflowExecution; parent != nil && isJoint(parent.ID) {
			jointly++
			s.untilRunOf(parent.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
			require.Zero(t, count(s.historyOf(parent.ID), enums.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED))
		}
	}
	require.NotZero(t, jointly, "none of them has been in a joint run")
	s.untilListed(providers.StatusReview, len(refused))

	s.fail(s.stripe)
	for _, ev := range refused {
		s.resolve(ev, workflows.Retry)
		s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
		s.requireTrue(s.stripe, "stripe", ev.Object)
	}
}

func TestATerminatedJointRunLosesNoEvent(t *testing.T) {
	t.Parallel()
	s := start(t, options{withoutWork: true})
	events := s.gather(300)
	var its []store.EventRow
	s.eventually(func() bool {
		rows, err := s.store.Events(t.Context(), store.EventFilter{Limit: len(events)})
		require.NoError(t, err)
		its = nil
		for _, e := range rows {
			if isJoint(e.WorkflowID) && (its == nil || its[0].WorkflowID == e.WorkflowID) {
				its = append(its, e)
			}
		}
		return len(its) == 16
	}, "no joint run has been marked")
	// While it waits for a worker, its events need nobody else.
	s.makeDue("stripe", its[0].ID)
	s.eventually(func() bool { return s.metric(`surehook_relay_calls_total{outcome="checked"}`) == "1" }, "nobody has looked after the event")
	s.requireNoRun("stripe", its[0].ID)

	require.NoError(t, s.client.TerminateWorkflow(t.Context(), its[0].WorkflowID, its[0].RunID, "by mistake"))
	for _, e := range its {
		s.makeDue("stripe", e.ID)
	}
	s.work()
	s.untilWorkedOff(len(events))
	for _, e := range its {
		require.Equal(t, workflows.ID("stripe", e.ID), s.untilStatus("stripe", e.ID, providers.StatusProcessed).WorkflowID)
	}
}
