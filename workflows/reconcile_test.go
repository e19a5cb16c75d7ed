package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// archive plays the activities of a reconciliation over a list with so many pages.
type archive struct {
	t     *testing.T
	env   *testsuite.TestWorkflowEnvironment
	pages int64

	begun    []activities.ReconcileStart
	read     []activities.ReconcilePosition
	ended    []activities.ReconcileEnd
	queues   map[string]string // by activity
	beginErr error
	pageErr  func(at activities.ReconcilePosition) error
	problem  string
	before   activities.ReconcilePosition // where the run already stands when it begins
}

var start = workflows.ReconcileInput{ReconcileStart: activities.ReconcileStart{Source: "stripe", List: "invoice", LookbackSeconds: 3600}}

func newArchive(t *testing.T, pages int64) *archive {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	s := &archive{t: t, env: suite.NewTestWorkflowEnvironment(), pages: pages, queues: map[string]string{}}
	s.before = activities.ReconcilePosition{ID: 7, Source: "stripe", List: "invoice"}
	register := func(name string, f any) {
		s.env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	s.env.RegisterWorkflow(workflows.Reconcile)
	register("BeginReconciliation", func(_ context.Context, start activities.ReconcileStart) (activities.ReconcilePosition, error) {
		s.begun = append(s.begun, start)
		return s.before, s.beginErr
	})
	register("ReconcilePage", func(_ context.Context, at activities.ReconcilePosition) (activities.ReconcilePosition, error) {
		s.read = append(s.read, at)
		if s.pageErr != nil {
			if err := s.pageErr(at); err != nil {
				return at, err
			}
		}
		at.Done = at.Done.Plus(providers.Tally{Pages: 1, Objects: 100, Calls: 1})
		at.Cursor, at.Last, at.Problem = fmt.Sprint("after ", at.Done.Pages), at.Done.Pages == s.pages, s.problem
		return at, nil
	})
	register("EndReconciliation", func(_ context.Context, end activities.ReconcileEnd) error {
		s.ended = append(s.ended, end)
		return nil
	})
	s.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		s.queues[info.ActivityType.Name] = info.TaskQueue
	})
	return s
}

func (s *archive) run(in workflows.ReconcileInput) (done providers.Tally, err error) {
	s.t.Helper()
	s.env.ExecuteWorkflow(workflows.Reconcile, in)
	require.True(s.t, s.env.IsWorkflowCompleted())
	if err := s.env.GetWorkflowError(); err != nil {
		return done, err
	}
	require.NoError(s.t, s.env.GetWorkflowResult(&done))
	return done, nil
}

func never(message string) error {
	return temporal.NewNonRetryableApplicationError(message, "Permanent", nil)
}

func TestReconcileReadsPageAfterPageUntilTheLast(t *testing.T) {
	s := newArchive(t, 3)
	done, err := s.run(start)
	require.NoError(t, err)
	require.Equal(t, providers.Tally{Pages: 3, Objects: 300, Calls: 3}, done)
	require.Equal(t, []activities.ReconcileStart{start.ReconcileStart}, s.begun)
	require.Equal(t, []string{"", "after 1", "after 2"}, []string{s.read[0].Cursor, s.read[1].Cursor, s.read[2].Cursor})
	require.Empty(t, s.ended, "the last page has ended it")
	require.Equal(t, "surehook-fetch-stripe", s.queues["ReconcilePage"])
	require.NotEqual(t, "surehook-fetch-stripe", s.queues["BeginReconciliation"], "it calls no API")
}

func TestReconcileShowsHowItGetsOn(t *testing.T) {
	s := newArchive(t, 2)
	_, err := s.run(start)
	require.NoError(t, err)
	v, err := s.env.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(t, err)
	var meta sdkpb.WorkflowMetadata
	require.NoError(t, v.Get(&meta))
	require.Equal(t, "**stripe invoice**, everything: 2 pages, 200 objects, 0 missed events, 0 repaired records, 0 failed, 2 calls", meta.CurrentDetails)
}

func TestReconcileContinuesAsNewWhereItStands(t *testing.T) {
	s := newArchive(t, 250)
	_, err := s.run(start)
	again := (*workflow.ContinueAsNewError)(nil)
	require.ErrorAs(t, err, &again)
	require.Len(t, s.read, 100)
	require.Empty(t, s.ended)
	var in workflows.ReconcileInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
	require.Equal(t, "after 100", in.At.Cursor)
	require.EqualValues(t, 100, in.At.Done.Pages)

	next := newArchive(t, 150)
	done, err := next.run(in)
	require.NoError(t, err)
	require.EqualValues(t, 150, done.Pages)
	require.Empty(t, next.begun, "it goes on with its row")
	require.Equal(t, "after 100", next.read[0].Cursor)
}

func TestReconcileDoesNothingWhereItsRunHasEndedBefore(t *testing.T) {
	s := newArchive(t, 1)
	s.before.Last, s.before.Done = true, providers.Tally{Pages: 9}
	done, err := s.run(start)
	require.NoError(t, err)
	require.EqualValues(t, 9, done.Pages)
	require.Empty(t, s.read)
}

func TestReconcileEndsItsRowWithWhatEndedIt(t *testing.T) {
	s := newArchive(t, 3)
	s.pageErr = func(at activities.ReconcilePosition) error {
		if at.Done.Pages == 1 {
			return never("stripe: list invoice: status 401")
		}
		return nil
	}
	_, err := s.run(start)
	require.ErrorContains(t, err, "status 401", "the Web UI shows it")
	require.Equal(t, []activities.ReconcileEnd{{
		ID: 7, Source: "stripe", List: "invoice", Problem: "stripe: list invoice: status 401",
	}}, s.ended)
}

func TestReconcileFailsWhenItHadToLeaveSomethingOut(t *testing.T) {
	s := newArchive(t, 1)
	s.problem = "stripe: fetch invoice/in_1: status 500"
	_, err := s.run(start)
	require.ErrorContains(t, err, s.problem)
	require.Empty(t, s.ended, "the last page has noted it")
}

func TestReconcileThatCannotBeginLeavesNoRow(t *testing.T) {
	s := newArchive(t, 1)
	s.beginErr = never("no such source is configured")
	_, err := s.run(start)
	require.ErrorContains(t, err, "no such source")
	require.Empty(t, s.read)
	require.Empty(t, s.ended)
}

func TestACancelledReconciliationEndsItsRow(t *testing.T) {
	s := newArchive(t, 3)
	s.pageErr = func(activities.ReconcilePosition) error {
		s.env.CancelWorkflow()
		return errors.New("to be tried again")
	}
	_, err := s.run(start)
	require.True(t, temporal.IsCanceledError(err), "ended with %v", err)
	require.Len(t, s.ended, 1)
	require.Equal(t, "canceled", s.ended[0].Problem)
}

func TestReconcileWaitsForItsQueueAsLongAsItsSourceIsConfigured(t *testing.T) {
	unclaimed := temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
	waits := 2
	s := newArchive(t, 1)
	s.pageErr = func(activities.ReconcilePosition) error {
		if waits--; waits >= 0 {
			return unclaimed
		}
		return nil
	}
	_, err := s.run(start)
	require.NoError(t, err)
	require.Len(t, s.begun, 3)
	require.Equal(t, s.begun[0], s.begun[2], "the same start, so the same row")

	s = newArchive(t, 1)
	s.pageErr = func(activities.ReconcilePosition) error {
		s.beginErr = never("no such source is configured")
		return unclaimed
	}
	_, err = s.run(start)
	require.ErrorContains(t, err, "no such source")
	require.Len(t, s.ended, 1)
}

func TestSchedulesForASource(t *testing.T) {
	s := workflows.Reconciled{
		Source: "shop", Provider: "stripe", Lists: []string{"unseen", "invoice", "events", "nobody-has-it"},
		Cron: "@hourly", Lookback: time.Hour, Unseen: 48 * time.Hour,
	}
	var ids []string
	var inputs []any
	for _, one := range workflows.SchedulesFor(s) {
		require.Equal(t, "@hourly", one.Cron)
		require.Equal(t, "Reconcile", one.Workflow)
		ids, inputs = append(ids, one.ID), append(inputs, one.Input)
	}
	require.Equal(t, []string{"reconcile/shop/events", "reconcile/shop/invoice", "reconcile/shop/unseen"}, ids, "in the order of the table")
	require.Equal(t, []any{
		workflows.ReconcileInput{ReconcileStart: activities.ReconcileStart{Source: "shop", List: "events", LookbackSeconds: 3600}},
		workflows.ReconcileInput{ReconcileStart: activities.ReconcileStart{Source: "shop", List: "invoice", LookbackSeconds: 3600}},
		workflows.ReconcileInput{ReconcileStart: activities.ReconcileStart{Source: "shop", List: "unseen", LookbackSeconds: 48 * 3600}},
	}, inputs)
	s.Provider = "github"
	require.Len(t, workflows.SchedulesFor(s), 1, "another platform has none of these lists")
}
