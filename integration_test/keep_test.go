package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/jira"
	"github.com/surehook/surehook/providers/msgraph"
	"github.com/surehook/surehook/providers/slack"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/workflows"
)

// graphSubscriptions are settings of a source that keeps a subscription to users.
var graphSubscriptions = msgraph.Settings{Subscribe: []msgraph.Subscribe{{Resource: "users", Delta: []string{"users/delta"}}}}

// startKept runs a system with a source of Graph that keeps its subscriptions, at
// a Graph whose clock is ahead of ours by what the story says.
func startKept(t *testing.T) (s *system, graph *sandbox.Platform, ahead *atomic.Int64) {
	t.Helper()
	ahead = &atomic.Int64{}
	s = start(t, options{
		platforms: map[string]platform{"msgraph": {
			secret: graphState, settings: &graphSubscriptions,
			now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
		}},
		schedules: workflows.SchedulesFor(workflows.Reconciled{Source: "msgraph", Provider: "msgraph", Keeps: true}),
	})
	return s, s.platforms["msgraph"], ahead
}

// storyKeep is the workflow ID of a story's own look at the subscriptions.
const storyKeep = "story/keep"

// keep has the source's subscriptions looked after now.
func (s *system) keep() []providers.Subscription {
	s.t.Helper()
	run, err := s.client.ExecuteWorkflow(s.t.Context(), client.StartWorkflowOptions{ID: storyKeep, TaskQueue: workflows.TaskQueue}, workflows.Keep, activities.KeepInput{Source: "msgraph"})
	require.NoError(s.t, err)
	var kept []providers.Subscription
	require.NoError(s.t, run.Get(s.t.Context(), &kept))
	return kept
}

// untilDeltas waits until so many deltas have been read to their end.
func (s *system) untilDeltas(n int64) {
	s.t.Helper()
	s.eventually(func() bool {
		found, err := s.client.CountWorkflow(s.t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: client.DefaultNamespace,
			Query:     fmt.Sprintf("WorkflowId = %q AND ExecutionStatus = 'Completed'", workflows.ReconcileID("msgraph", "delta")),
		})
		return err == nil && found.Count == n
	}, "%d deltas have not been read", n)
}

// untilTrue waits until our record equals the platform's object.
func (s *system) untilTrue(p *sandbox.Platform, source string, ref providers.Ref) {
	s.t.Helper()
	object, ok := p.Object(ref)
	require.True(s.t, ok)
	s.eventually(func() bool {
		r, err := s.store.Record(s.t.Context(), source, ref.Type, ref.ID)
		return err == nil && r.Deleted == object.Deleted && (object.Deleted || assert.ObjectsAreEqual(parsed(object.State), parsed(r.State)))
	}, "the record of %s is not true", ref)
}

// parsed is what a JSON text says.
func parsed(text []byte) (v any) {
	_ = json.Unmarshal(text, &v)
	return v
}

func TestAGraphSubscriptionIsMadeByTheScheduleAndRenewed(t *testing.T) {
	t.Parallel()
	s, graph, ahead := startKept(t)
	schedule := s.client.ScheduleClient().GetHandle(t.Context(), workflows.KeepID("msgraph"))
	s.eventually(func() bool { return schedule.Trigger(t.Context(), client.ScheduleTriggerOptions{}) == nil }, "there is no schedule to keep subscriptions")
	s.eventually(func() bool { return len(graph.Objects("subscription")) == 1 }, "nobody has subscribed")
	sent := s.trigger(graph, "user.updated")
	s.untilStatus("msgraph", sent.ID, providers.StatusProcessed)
	s.requireTrue(graph, "msgraph", sent.Object)

	made := s.keep()
	require.Equal(t, providers.UpkeepNone, made[0].Did)
	ahead.Store(int64(15 * 24 * time.Hour)) // of 29 days
	renewed := s.keep()
	require.Equal(t, providers.UpkeepRenewed, renewed[0].Did)
	require.Equal(t, made[0].ID, renewed[0].ID)
	require.True(t, renewed[0].Expires.After(made[0].Expires))
	ahead.Store(int64(30 * 24 * time.Hour)) // when the first term would have been over
	later := s.trigger(graph, "user.updated", sandbox.On(sent.Object))
	s.untilStatus("msgraph", later.ID, providers.StatusProcessed)
}

func TestAGraphSubscriptionThatWasRemovedIsMadeAnewAndWhatItMissedIsRepaired(t *testing.T) {
	t.Parallel()
	s, graph, _ := startKept(t)
	made := s.keep()
	require.Equal(t, providers.UpkeepCreated, made[0].Did)
	s.untilDeltas(1)
	changed, removed := s.trigger(graph, "user.updated"), s.trigger(graph, "user.updated")
	for _, ev := range []sandbox.Event{changed, removed} {
		s.untilStatus("msgraph", ev.ID, providers.StatusProcessed)
	}

	notice := s.trigger(graph, "lifecycle.subscriptionRemoved", sandbox.On(providers.Ref{Type: "subscription", ID: made[0].ID}), sandbox.Undelivered())
	for typ, ref := range map[string]providers.Ref{"user.updated": changed.Object, "user.deleted": removed.Object} {
		_, err := graph.Trigger(t.Context(), typ, sandbox.On(ref))
		require.ErrorContains(t, err, "nobody is subscribed")
	}
	created, err := graph.Create("user", nil)
	require.NoError(t, err)

	require.Equal(t, http.StatusAccepted, s.post(graph, "msgraph", notice.ID).Status)
	s.untilRun("msgraph", notice.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	s.untilStatus("msgraph", notice.ID, providers.StatusProcessed)
	for _, ref := range []providers.Ref{changed.Object, removed.Object, created} {
		s.untilTrue(graph, "msgraph", ref)
	}
	s.untilDeltas(2)

	next := s.trigger(graph, "user.updated", sandbox.On(changed.Object))
	s.untilStatus("msgraph", next.ID, providers.StatusProcessed)
	require.NotEqual(t, made[0].ID, s.keep()[0].ID)
}

func TestWhatAGraphSubscriptionSaysItHasMissedIsRepaired(t *testing.T) {
	t.Parallel()
	s, graph, _ := startKept(t)
	made := s.keep()
	s.untilDeltas(1)
	lost := s.trigger(graph, "user.updated", sandbox.Undelivered())
	notice := s.trigger(graph, "lifecycle.missed", sandbox.On(providers.Ref{Type: "subscription", ID: made[0].ID}))
	s.untilStatus("msgraph", notice.ID, providers.StatusProcessed)
	s.untilTrue(graph, "msgraph", lost.Object)
	s.untilDeltas(2)
	require.Equal(t, providers.UpkeepNone, s.keep()[0].Did)
}

func TestAReconciliationThatIsRunningIsLeftToItself(t *testing.T) {
	t.Parallel()
	s, _, _ := startKept(t)
	running := s.occupyDelta()
	require.Equal(t, providers.UpkeepCreated, s.keep()[0].Did)
	d, err := s.client.DescribeWorkflow(t.Context(), running.GetID(), "")
	require.NoError(t, err)
	require.Equal(t, running.GetRunID(), d.WorkflowExecution.RunID)
}

// occupyDelta starts a reconciliation that nobody goes on with.
func (s *system) occupyDelta() client.WorkflowRun {
	s.t.Helper()
	run, err := s.client.ExecuteWorkflow(s.t.Context(), client.StartWorkflowOptions{
		ID: workflows.ReconcileID("msgraph", "delta"), TaskQueue: "nobody",
	}, workflows.Reconcile, workflows.ReconcileInput{})
	require.NoError(s.t, err)
	return run
}

func TestALifecycleEventIsParkedWhileTheSubscriptionCannotBeKept(t *testing.T) {
	t.Parallel()
	s, graph, _ := startKept(t)
	made := s.keep()
	s.untilDeltas(1)
	s.fail(graph, sandbox.APIFault{Path: "/v1.0/subscriptions", Kind: sandbox.FaultError, Status: http.StatusForbidden, Probability: 1})
	notice := s.trigger(graph, "lifecycle.reauthorizationRequired", sandbox.On(providers.Ref{Type: "subscription", ID: made[0].ID}))
	parked := s.untilStatus("msgraph", notice.ID, providers.StatusReview)
	require.Contains(t, parked.Reason, "keep: msgraph: list subscriptions: status 403")
	require.NotContains(t, parked.Reason, graphState)

	s.fail(graph)
	resolution := workflows.Resolution{Action: workflows.Retry, By: "ann", Reason: "the consent has been renewed"}
	require.NoError(t, s.client.SignalWorkflow(t.Context(), workflows.ID("msgraph", notice.ID), "", workflows.SignalResolve, resolution))
	s.untilStatus("msgraph", notice.ID, providers.StatusProcessed)
	record, err := s.store.Record(t.Context(), "msgraph", "subscription", made[0].ID)
	require.NoError(t, err)
	require.Equal(t, float64(2), parsed(record.State).(map[string]any)["sandbox_version"], "it was renewed before it was recorded")
}

func TestWhatNoWebhookToldOfJiraAndSlackIsListed(t *testing.T) {
	t.Parallel()
	s := start(t, options{platforms: map[string]platform{
		"jira":  {secret: "jira", settings: &jira.Settings{Site: "sandbox.atlassian.net"}},
		"slack": {secret: "slack", settings: &slack.Settings{Channels: []string{"C0LISTED"}}},
	}})
	issues, chat := s.platforms["jira"], s.platforms["slack"]
	_, err := chat.Create("channel", map[string]any{"id": "C0LISTED"})
	require.NoError(t, err)
	told := s.trigger(issues, "jira:issue_created")
	s.untilStatus("jira", told.ID, providers.StatusProcessed)
	untold := s.trigger(issues, "jira:issue_updated", sandbox.On(told.Object), sandbox.Undelivered())
	written, err := chat.Create("message", map[string]any{"channel": "C0LISTED"})
	require.NoError(t, err)

	for source, list := range map[string]string{"jira": "issue", "slack": "message"} {
		for want := range 2 { // the second run finds nothing to do
			tally, err := s.run(activities.ReconcileStart{Source: source, List: list, LookbackSeconds: 3600})
			require.NoError(t, err)
			require.EqualValues(t, 1-want, tally.Repaired, "%s, run %d", source, want+1)
			require.Zero(t, tally.Failed)
		}
	}
	s.requireTrue(issues, "jira", untold.Object)
	s.requireTrue(chat, "slack", written)
}
