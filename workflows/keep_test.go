package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// keeper is a platform that forgets.
type keeper struct {
	platform
	errs  []error                  // what Keep answers first
	kept  []providers.Subscription // and then
	asked []providers.KeepQuery
}

func (*keeper) Keeps() bool { return true }

func (k *keeper) Keep(_ context.Context, q providers.KeepQuery) ([]providers.Subscription, error) {
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	k.asked = append(k.asked, q)
	return k.kept, next(&k.errs)
}

var endpoint = "https://hooks.example.com/webhooks/stripe"

// keeps makes the source's platform one that forgets.
func (w *world) keeps(kept ...providers.Subscription) *keeper {
	k := &keeper{platform: platform{w}, kept: kept}
	w.activities.Sources["stripe"] = activities.Source{Provider: k, Limiter: w, URL: endpoint, Secrets: providers.Secrets{"secret"}}
	return k
}

// reconciles notes the lists that are reconciled, each of which ends as told.
func (w *world) reconciles(end error) *[]string {
	var lists []string
	w.env.RegisterWorkflow(workflows.Reconcile)
	w.env.OnWorkflow(workflows.Reconcile, mock.Anything, mock.Anything).Return(
		func(ctx workflow.Context, in workflows.ReconcileInput) (providers.Tally, error) {
			info := workflow.GetInfo(ctx)
			w.note(func() { lists = append(lists, in.Source+" "+in.List+" as "+info.WorkflowExecution.ID) })
			return providers.Tally{}, end
		})
	return &lists
}

// missed is what a platform says of a subscription.
var missed = providers.EventRef{
	Source: "stripe", ID: "evt_1", Type: "lifecycle.missed", Ref: providers.Ref{Type: "subscription", ID: "sub-1"}, ReceivedAt: received,
}

func TestKeepReconcilesWhatWasMissedOnceForEachList(t *testing.T) {
	w := newWorld(t)
	k := w.keeps(
		providers.Subscription{ID: "1", Did: providers.UpkeepCreated, List: "delta"},
		providers.Subscription{ID: "2", Did: providers.UpkeepCreated, List: "delta"},
		providers.Subscription{ID: "3", Did: providers.UpkeepRenewed},
		providers.Subscription{ID: "4", Did: providers.UpkeepNone, List: "other"},
	)
	lists := w.reconciles(nil)
	w.env.ExecuteWorkflow(workflows.Keep, activities.KeepInput{Source: "stripe"})
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, []string{"stripe delta as reconcile/stripe/delta", "stripe other as reconcile/stripe/other"}, *lists)
	require.Equal(t, []providers.KeepQuery{{URL: endpoint, Secrets: providers.Secrets{"secret"}}}, k.asked)
	require.Equal(t, []string{"local Keep", "Keep on surehook-fetch-stripe"}, w.ran)
	var result []providers.Subscription
	require.NoError(t, w.env.GetWorkflowResult(&result))
	require.Equal(t, k.kept, result)
}

func TestKeepDoesNotAnswerForTheReconciliationBesideIt(t *testing.T) {
	w := newWorld(t)
	w.keeps(providers.Subscription{ID: "1", Did: providers.UpkeepCreated, List: "delta"})
	lists := w.reconciles(temporal.NewNonRetryableApplicationError("no such list", "Permanent", nil))
	w.env.ExecuteWorkflow(workflows.Keep, activities.KeepInput{Source: "stripe"})
	require.NoError(t, w.env.GetWorkflowError())
	require.Len(t, *lists, 1)
}

func TestKeepFailsWhereThePlatformRefuses(t *testing.T) {
	w := newWorld(t)
	w.keeps().errs = []error{wrongKey}
	w.env.ExecuteWorkflow(workflows.Keep, activities.KeepInput{Source: "stripe"})
	require.ErrorContains(t, w.env.GetWorkflowError(), "status 401")
	require.Equal(t, 1, w.count("Keep on surehook-fetch-stripe"))
}

func TestKeepIsTriedAgainAfterAHiccup(t *testing.T) {
	w := newWorld(t)
	k := w.keeps()
	k.errs = []error{flaky, flaky}
	w.env.ExecuteWorkflow(workflows.Keep, activities.KeepInput{Source: "stripe"})
	require.NoError(t, w.env.GetWorkflowError())
	require.Len(t, k.asked, 3)
}

func TestASourceThatKeepsNoSubscriptionsHasNothingToKeep(t *testing.T) {
	w := newWorld(t)
	w.env.ExecuteWorkflow(workflows.Keep, activities.KeepInput{Source: "stripe"})
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, []string{"local Keep"}, w.ran, "and does not wait for the source's queue")
	w = newWorld(t)
	w.env.ExecuteWorkflow(workflows.Keep, activities.KeepInput{Source: "gone"})
	require.ErrorContains(t, w.env.GetWorkflowError(), "no such source")
	require.Equal(t, []string{"local Keep"}, w.ran)
}

func TestALifecycleEventThatWaitedTooLongForItsQueueBeginsAgain(t *testing.T) {
	w := newWorld(t)
	w.keeps()
	waited := false
	w.env.RegisterActivityWithOptions(func(ctx context.Context, in activities.KeepInput) ([]providers.Subscription, error) {
		if !activity.GetInfo(ctx).IsLocalActivity && !waited {
			waited = true
			return nil, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
		}
		return w.activities.Keep(ctx, in)
	}, activity.RegisterOptions{Name: "Keep", DisableAlreadyRegisteredCheck: true})
	require.NoError(t, w.run(workflows.SubscriptionLifecycle, missed))
	require.Equal(t, 2, w.count("local Keep"))
	require.Equal(t, 2, w.count("Keep on surehook-fetch-stripe"))
	require.Equal(t, []providers.Status{providers.StatusProcessed}, w.history(), "it is not parked")
}

func TestWhatAPlatformSaysOfASubscriptionIsPassedOn(t *testing.T) {
	require.Equal(t, "SubscriptionLifecycle", workflows.RouteFor("any", "lifecycle.missed"))
	require.False(t, workflows.Coalesces("any", "lifecycle.missed"), "each of them says something else")
	w := newWorld(t)
	k := w.keeps(providers.Subscription{ID: "SUB-1", Did: providers.UpkeepNone, List: "delta"})
	lists := w.reconciles(nil)
	require.NoError(t, w.run(workflows.SubscriptionLifecycle, missed))
	require.Equal(t, []providers.KeepQuery{{
		URL: endpoint, Secrets: providers.Secrets{"secret"}, EventType: "lifecycle.missed", Subscription: "sub-1",
	}}, k.asked)
	require.Len(t, *lists, 1)
	require.Equal(t, []string{"local Keep", "Keep on surehook-fetch-stripe", "local Sync", "local Settle"}, w.ran, "the record is made true after the renewal")
	require.Equal(t, providers.StatusProcessed, w.rows["stripe/evt_1"])
}

func TestALifecycleEventIsParkedWhenTheSubscriptionsCannotBeKept(t *testing.T) {
	w := newWorld(t)
	k := w.keeps()
	k.errs = []error{wrongKey}
	w.after(time.Minute, func() { require.Contains(t, w.details(), "keep: ") })
	w.resolveAfter(2*time.Minute, workflows.Retry)
	require.NoError(t, w.run(workflows.SubscriptionLifecycle, missed))
	require.Len(t, k.asked, 2)
	require.Equal(t, []providers.Status{providers.StatusReview, providers.StatusPending, providers.StatusProcessed}, w.history())
}

func TestALifecycleEventThatTemporalCarriesIsStoredFirst(t *testing.T) {
	w := newWorld(t)
	w.rows = map[string]providers.Status{}
	w.keeps()
	carried := missed
	carried.Inline = &providers.InlineEvent{Body: []byte(`{}`)}
	require.NoError(t, w.run(workflows.SubscriptionLifecycle, carried))
	require.Contains(t, w.ran[0], "Store on ")
	require.Equal(t, providers.StatusProcessed, w.rows["stripe/evt_1"])

	w = newWorld(t)
	w.rows["stripe/evt_1"] = providers.StatusProcessed
	k := w.keeps()
	require.NoError(t, w.run(workflows.SubscriptionLifecycle, carried))
	require.Empty(t, k.asked, "it was finished before")
}

func TestASourceThatKeepsSubscriptionsHasAScheduleForThem(t *testing.T) {
	wanted := workflows.SchedulesFor(workflows.Reconciled{Source: "graph", Provider: "msgraph", Keeps: true})
	require.Len(t, wanted, 1)
	require.Equal(t, "keep/graph", wanted[0].ID)
	require.Equal(t, "*/15 * * * *", wanted[0].Cron)
	require.Equal(t, "Keep", wanted[0].Workflow)
	require.Equal(t, activities.KeepInput{Source: "graph"}, wanted[0].Input)
	require.Equal(t, "keep the subscriptions of graph", wanted[0].Summary)
	require.Empty(t, workflows.SchedulesFor(workflows.Reconciled{Source: "graph", Provider: "msgraph"}))
}
