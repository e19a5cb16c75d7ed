package integration_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// retain runs the retention as its schedule does, for whatever is finished by now.
func (s *system) retain() activities.Retained {
	s.t.Helper()
	run, err := s.client.ExecuteWorkflow(s.t.Context(), client.StartWorkflowOptions{TaskQueue: workflows.TaskQueue},
		workflows.Retain, activities.RetainInput{})
	require.NoError(s.t, err)
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var done activities.Retained
	require.NoError(s.t, run.Get(ctx, &done))
	return done
}

func (s *system) body(source, id string) string {
	s.t.Helper()
	e, err := s.store.Event(s.t.Context(), source, id)
	require.NoError(s.t, err)
	return string(e.Body)
}

func TestTheRetentionRemovesBodiesOfFinishedEventsAndTheyStayDuplicates(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	done := s.trigger(s.stripe, "customer.created")
	s.untilStatus("stripe", done.ID, providers.StatusProcessed)
	parked := s.park("customer.created")
	s.fail(s.stripe)

	require.EqualValues(t, 1, s.retain().Bodies)
	require.Empty(t, s.body("stripe", done.ID))
	require.NotEmpty(t, s.body("stripe", parked.ID), "somebody has to look at it")

	runs := s.untilRun("stripe", done.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED).WorkflowExecution.RunID
	again := s.post(s.stripe, "stripe", done.ID)
	require.Equal(t, http.StatusOK, again.Status)
	require.Contains(t, again.Body, "duplicate")
	s.rest()
	require.Empty(t, s.body("stripe", done.ID), "it does not bring the body back")
	require.Equal(t, runs, s.untilRun("stripe", done.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED).WorkflowExecution.RunID)

	s.resolve(parked, workflows.Retry)
	s.untilStatus("stripe", parked.ID, providers.StatusProcessed)
	require.EqualValues(t, 2, s.retain().Bodies, "it comes back to what it has left; the other one is that of rest")
	require.Empty(t, s.body("stripe", parked.ID))
}

func TestAnEventThatIsRunAgainWithoutItsBodyIsParkedAndSaysWhy(t *testing.T) {
	t.Parallel()
	s := start(t, options{sources: map[string]func(*ingress.Source){"github": func(source *ingress.Source) {
		source.Accept, source.Other = []string{"issues"}, providers.StatusReview
	}}})
	ev := s.trigger(s.github, "discussion") // there is no API that shows it
	s.untilStatus("github", ev.ID, providers.StatusReview)
	decide := func(status providers.Status) {
		require.NoError(t, s.store.Settle(t.Context(), providers.Settlement{Source: "github", ID: ev.ID, Status: status, ResolvedBy: "ann"}))
	}
	decide(providers.StatusFailed)
	require.EqualValues(t, 1, s.retain().Bodies)
	decide(providers.StatusPending)
	parked := s.until("github", ev.ID, "parked by its run", func(e store.EventRow) bool {
		return e.Status == providers.StatusReview && e.RunID != ""
	})
	require.Contains(t, parked.Reason, "its body was removed on "+parked.BodyRemovedAt.Format(time.DateOnly))
}

func TestTheRetentionRunsOnASchedule(t *testing.T) {
	t.Parallel()
	s := start(t, options{schedules: []workflows.Scheduled{workflows.RetentionSchedule(720 * time.Hour)}})
	ev := s.trigger(s.stripe, "customer.created")
	s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	schedule := s.client.ScheduleClient().GetHandle(t.Context(), "retention")
	s.eventually(func() bool {
		_, err := schedule.Describe(t.Context())
		return err == nil
	}, "there is no schedule")
	require.NoError(t, schedule.Trigger(t.Context(), client.ScheduleTriggerOptions{}))
	var id string
	s.eventually(func() bool {
		d, err := schedule.Describe(t.Context())
		if err != nil || len(d.Info.RecentActions) == 0 {
			return false
		}
		id = d.Info.RecentActions[0].StartWorkflowResult.WorkflowID
		return true
	}, "it has started nothing")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var done activities.Retained
	require.NoError(t, s.client.GetWorkflow(ctx, id, "").Get(ctx, &done))
	require.Equal(t, activities.Retained{}, done)
	require.NotEmpty(t, s.body("stripe", ev.ID), "it is young")
}
