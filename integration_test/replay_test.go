package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/workflows"
)

// replay does what the command does: it has events run again.
func (s *system) replay(name string, f store.BatchFilter) store.Batch {
	s.t.Helper()
	b, err := s.store.BeginBatch(s.t.Context(), store.Batch{Name: name, What: store.BatchReplay, Filter: f, AskedBy: "ann", Reason: "a story"})
	require.NoError(s.t, err)
	for b.FinishedAt.IsZero() {
		b, err = s.store.Reopen(s.t.Context(), name, 10, workflows.IDOf)
		require.NoError(s.t, err)
	}
	return b
}

// only selects one event.
func only(ev sandbox.Event) store.BatchFilter { return store.BatchFilter{IDs: []string{ev.ID}} }

// untilReplayed waits until the replay's own run has completed, and the event is
// processed by it.
func (s *system) untilReplayed(ev sandbox.Event, name string) store.EventRow {
	s.t.Helper()
	e := s.until("stripe", ev.ID, "processed again", func(e store.EventRow) bool {
		return e.Status == providers.StatusProcessed && e.Replay == name
	})
	require.Equal(s.t, "stripe/"+ev.ID+"/replay/"+name, e.WorkflowID)
	run := s.untilRunOf(e.WorkflowID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	require.Equal(s.t, run.WorkflowExecution.RunID, e.RunID)
	return e
}

// countRuns is how many runs Temporal knows.
func (s *system) countRuns() int64 {
	s.t.Helper()
	all, err := s.client.CountWorkflow(s.t.Context(), &workflowservice.CountWorkflowExecutionsRequest{})
	require.NoError(s.t, err)
	return all.Count
}

func TestAReplayedEventRunsAgainUnderANameOfItsOwnAndFetchesAgain(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.trigger(s.stripe, "customer.created")
	first := s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	require.Equal(t, 1, s.stripe.Fetches(ev.Object))

	// What no webhook told.
	_, err := s.stripe.Update(ev.Object, func(customer map[string]any) { customer["description"] = "newer" })
	require.NoError(t, err)
	require.EqualValues(t, 1, s.replay("again", only(ev)).Events)
	e := s.untilReplayed(ev, "again")
	require.Equal(t, 2, s.stripe.Fetches(ev.Object))
	require.NotEqual(t, first.RunID, e.RunID)
	require.Equal(t, first.ReceivedAt, e.ReceivedAt)
	s.requireTrue(s.stripe, "stripe", ev.Object)

	// A duplicate that comes now is one of the replay's.
	require.Contains(t, s.post(s.stripe, "stripe", ev.ID).Body, `"workflow_id":"`+e.WorkflowID+`"`)
}

func TestTheSameReplayTwiceRunsAnEventOnce(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.trigger(s.stripe, "customer.created")
	s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	for range 2 {
		s.replay("again", only(ev))
		s.untilReplayed(ev, "again")
	}
	s.rest()
	require.Equal(t, 2, s.stripe.Fetches(ev.Object))
	s.eventually(func() bool { return s.countRuns() == 3 }, "there are more or fewer runs than the event's, its replay's and that of rest")

	require.EqualValues(t, 1, s.replay("once-more", only(ev)).Events)
	s.untilReplayed(ev, "once-more")
	require.Equal(t, 3, s.stripe.Fetches(ev.Object))
}

// The receiver of a notice knows it again by its key, which a replay does not change.
func TestAReplaySendsTheSameNoticeAgain(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.trigger(s.stripe, "invoice.paid")
	s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	s.replay("again", only(ev))
	s.untilReplayed(ev, "again")
	require.Equal(t, 2, s.receiver.Totals().Deliveries)
	require.Equal(t, 1, s.receiver.Totals().Effects)
}

func TestAnIgnoredEventIsReplayedWhenItsRuleHasChanged(t *testing.T) {
	t.Parallel()
	s := start(t, options{sources: source(func(s *ingress.Source) { s.Accept = []string{"invoice.*"} })})
	ev := s.trigger(s.stripe, "customer.created")
	s.untilStatus("stripe", ev.ID, providers.StatusIgnored)
	s.requireNoRun("stripe", ev.ID)

	s.halt()
	s.serve(options{}) // accepts every type
	s.replay("again", store.BatchFilter{Source: "stripe", Status: providers.StatusIgnored})
	e := s.untilReplayed(ev, "again")
	require.Empty(t, e.Reason)
	s.requireTrue(s.stripe, "stripe", ev.Object)
}

func TestAReplayThatFailsIsParkedAndResolvedLikeAnyOther(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	for name, goOn := range map[string]func(store.EventRow){
		"by an operator": func(e store.EventRow) {
			require.NoError(t, s.client.SignalWorkflow(t.Context(), e.WorkflowID, "", workflows.SignalResolve,
				workflows.Resolution{Action: workflows.Retry, By: "ann", Reason: "looked at it"}))
		},
		"by a redelivery": func(e store.EventRow) {
			require.Contains(t, s.post(s.stripe, "stripe", e.ID).Body, `"status":"duplicate"`)
		},
	} {
		ev := s.trigger(s.stripe, "customer.created")
		s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
		s.fail(s.stripe, forbidden)
		s.replay("again-"+ev.ID[:8], only(ev))
		e := s.untilStatus("stripe", ev.ID, providers.StatusReview)
		require.Contains(t, e.Reason, "status 403", name)
		s.untilListed(providers.StatusReview, 1)

		s.fail(s.stripe)
		goOn(e)
		s.untilReplayed(ev, e.Replay)
		s.untilListed(providers.StatusReview, 0)
	}
}

// Each of a batch's events runs, but an object is fetched once for all of them.
func TestAReplayOfManyEventsFetchesEachObjectOnce(t *testing.T) {
	t.Parallel()
	const events = 20
	s := start(t, options{})
	ref, err := s.stripe.Create("customer", nil)
	require.NoError(t, err)
	for range events {
		require.True(t, s.trigger(s.stripe, "customer.updated", sandbox.On(ref)).Acknowledged)
	}
	s.untilAll(events, providers.StatusProcessed)
	before := s.stripe.Fetches(ref)
	require.EqualValues(t, events, s.replay("again", store.BatchFilter{Source: "stripe"}).Events)
	s.until("stripe", s.untilAll(events, providers.StatusProcessed)[0].ID, "replayed", func(e store.EventRow) bool { return e.Replay == "again" })
	t.Logf("%d events, %d calls", events, s.stripe.Fetches(ref)-before)
	require.GreaterOrEqual(t, s.stripe.Fetches(ref)-before, 1)
	require.LessOrEqual(t, s.stripe.Fetches(ref)-before, events/4)
}

// A discussion cannot be fetched, and what its event says gets no newer by being
// read again.
func TestAReplayedPayloadDoesNotOverwriteANewerOne(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	older := s.trigger(s.github, "discussion.created")
	s.untilStatus("github", older.ID, providers.StatusProcessed)
	newer := s.trigger(s.github, "discussion.edited", sandbox.On(older.Object))
	s.untilStatus("github", newer.ID, providers.StatusProcessed)
	before, err := s.store.Record(t.Context(), "github", newer.Object.Type, newer.Object.ID)
	require.NoError(t, err)

	s.replay("again", only(older))
	s.until("github", older.ID, "processed again", func(e store.EventRow) bool {
		return e.Status == providers.StatusProcessed && e.Replay == "again"
	})
	after, err := s.store.Record(t.Context(), "github", newer.Object.Type, newer.Object.ID)
	require.NoError(t, err)
	require.Equal(t, before, after)
}
