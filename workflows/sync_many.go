package workflows

import (
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

// SyncMany is a joint run: Sync for several events of one source, each about an
// object of its own, while so many wait that a run for each would take far longer.
// It tries what an own run would try first. An event for which that is not enough is
// left to an own run, and so is retried, parked and resolved as any other.
func SyncMany(ctx workflow.Context, events []providers.EventRef) error {
	left := leftOver(ctx, events)
	if len(left) == 0 {
		return nil
	}
	// The end of this run, by whomever, is not the end of its events. So this context
	// is never cancelled either: that would ask the own runs to end.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	marks, err := startOwn(ctx, left)
	if err != nil {
		return err
	}
	// It only tells where to look. Without it, the sweep looks here first.
	err = workflow.ExecuteLocalActivity(firstTry(ctx), a.MarkStarted, marks).Get(ctx, nil)
	if err != nil {
		workflow.GetLogger(ctx).Warn("own runs not marked in the inbox", "count", len(marks), "error", err)
	}
	return nil
}

// leftOver tries all events and returns those that were not finished.
func leftOver(ctx workflow.Context, events []providers.EventRef) []providers.EventRef {
	var result activities.SyncManyResult
	if err := workflow.ExecuteLocalActivity(firstTry(ctx), a.SyncMany, events).Get(ctx, &result); err != nil {
		return events
	}
	var left []providers.EventRef
	for _, ev := range events {
		i := slices.IndexFunc(result.Left, func(l activities.LeftEvent) bool { return l.ID == ev.ID })
		if i < 0 {
			continue
		}
		if after := result.Left[i].AfterSeconds; after > 0 {
			ev.NotBefore = workflow.Now(ctx).Add(time.Duration(after) * time.Second)
		}
		left = append(left, ev)
	}
	return left
}

// startOwn starts the events' own runs, as the relay would have, and leaves them to
// themselves. Those that are there already will do.
func startOwn(ctx workflow.Context, events []providers.EventRef) (marks []providers.Started, err error) {
	var starts []workflow.Future
	for _, ev := range events {
		starts = append(starts, workflow.ExecuteChildWorkflow(asOwn(ctx, ev), Sync, ev).GetChildWorkflowExecution())
	}
	for i, ev := range events {
		var run workflow.Execution
		if err := starts[i].Get(ctx, &run); err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
			return nil, err
		}
		marks = append(marks, providers.Started{
			Source:     ev.Source,
			ID:         ev.ID,
			Replay:     ev.Replay,
			WorkflowID: IDOf(ev),
			RunID:      run.RunID,
			LeftBy:     workflow.GetInfo(ctx).WorkflowExecution.ID,
		})
	}
	return marks, nil
}

// asOwn makes a child the event's own run, which outlives this one.
func asOwn(ctx workflow.Context, ev providers.EventRef) workflow.Context {
	return workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            IDOf(ev),
		TaskQueue:             TaskQueue,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		TypedSearchAttributes: SearchAttributes(ev),
		StaticSummary:         Summary(ev),
	})
}
