package workflows

import (
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

// keepCron is often enough for the shortest subscriptions, which last an hour and
// are renewed when half of it is over, and for one that was lost to be soon back.
const keepCron = "*/15 * * * *"

// KeepID is the ID of the schedule that keeps a source's subscriptions.
func KeepID(source string) string { return fit("keep/" + source) }

func keepSchedule(source string) Scheduled {
	return Scheduled{
		ID:               KeepID(source),
		Cron:             keepCron,
		Workflow:         Name(Keep),
		Input:            activities.KeepInput{Source: source},
		Summary:          head("keep the subscriptions of "+source, maxSummary),
		SearchAttributes: temporal.NewSearchAttributes(SourceKey.ValueSet(source)),
	}
}

// Keep makes the platform's subscriptions those that the source's settings want,
// and reconciles what was missed while one was away. A schedule starts it; its
// result, for the Web UI, is what there is now.
func Keep(ctx workflow.Context, in activities.KeepInput) ([]providers.Subscription, error) {
	return keep(ctx, in)
}

// SubscriptionLifecycle is what an event starts by which the platform speaks of
// one of its subscriptions: that it will end, has ended, or has missed something.
// The source's subscriptions are looked after at once, and then our record of
// that one is made true. For a source that keeps none it is what Sync is.
func SubscriptionLifecycle(ctx workflow.Context, ev providers.EventRef) error {
	ev, err := stored(ctx, ev)
	if err == nil {
		err = step(ctx, ev, "keep", func(ctx workflow.Context) error {
			_, err := keep(ctx, activities.KeepInput{Source: ev.Source, EventType: ev.Type, Subscription: ev.Ref.ID})
			return err
		})
	}
	if err == nil {
		_, err = sync(ctx, ev)
	}
	return finish(ctx, ev, err)
}

func keep(ctx workflow.Context, in activities.KeepInput) ([]providers.Subscription, error) {
	kept, err := keepAtPlatform(ctx, in)
	if err != nil {
		return nil, err
	}
	var lists []string
	for _, s := range kept {
		if s.List != "" && !slices.Contains(lists, s.List) {
			lists = append(lists, s.List)
		}
	}
	for _, list := range lists {
		if err := reconcileAlongside(ctx, in.Source, list); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// keepAtPlatform finds out at once, in this worker, whether there is a source that
// keeps subscriptions: for most events of these names there is none. What waits
// for its queue for too long begins again there, as in fetchAndSave.
func keepAtPlatform(ctx workflow.Context, in activities.KeepInput) (kept []providers.Subscription, err error) {
	for {
		err = workflow.ExecuteLocalActivity(firstTry(ctx), a.Keep, in).Get(ctx, &kept)
		if err == nil || isFinal(err) {
			return kept, err
		}
		err = workflow.ExecuteActivity(upkeep(ctx, in.Source), a.Keep, in).Get(ctx, &kept)
		if !isUnclaimed(err) {
			return kept, err
		}
	}
}

// reconcileAlongside starts the reconciliation of a list, and lets it run on by
// itself. One that is running already is left to it: what it has passed by then,
// the next one shows.
func reconcileAlongside(ctx workflow.Context, source, list string) error {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            ReconcileID(source, list),
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
	})
	in := ReconcileInput{ReconcileStart: activities.ReconcileStart{Source: source, List: list}}
	err := workflow.ExecuteChildWorkflow(ctx, Reconcile, in).GetChildWorkflowExecution().Get(ctx, nil)
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return nil
	}
	return err
}
