package workflows

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

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
	// The end of this run, by whomever, is not meant to be the end of its events.
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	var marks []providers.Started
	for _, ev := range left {
		own, err := startOwn(ctx, ev)
		if err != nil {
			return err
		}
		marks = append(marks, own)
	}
	// It only tells where to look. Without it, the sweep looks here first.
	err := workflow.ExecuteLocalActivity(firstTry(ctx), a.MarkStarted, marks).Get(ctx, nil)
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
		if slices.Contains(result.Left, ev.ID) {
			left = append(left, ev)
		}
	}
	return left
}

// startOwn starts an event's own run, as the relay would have, and leaves it to
// itself. One that is there already will do.
func startOwn(ctx workflow.Context, ev providers.EventRef) (providers.Started, error) {
	started := providers.Started{
		Source:     ev.Source,
		ID:         ev.ID,
		Replay:     ev.Replay,
		WorkflowID: IDOf(ev),
		LeftBy:     workflow.GetInfo(ctx).WorkflowExecution.ID,
	}
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            started.WorkflowID,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		TypedSearchAttributes: SearchAttributes(ev),
		StaticSummary:         Summary(ev),
	})
	var run workflow.Execution
	err := workflow.ExecuteChildWorkflow(ctx, Sync, ev).GetChildWorkflowExecution().Get(ctx, &run)
	started.RunID = run.RunID
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return started, nil
	}
	return started, err
}

// JointID is the workflow ID of the joint run of these events, of which there is at
// least one: "<source>/joint/" and a hash of their own workflow IDs.
func JointID(events []providers.EventRef) string {
	hash := sha256.New()
	for _, ev := range events {
		fmt.Fprintln(hash, IDOf(ev))
	}
	return fit(events[0].Source + "/joint/" + hex.EncodeToString(hash.Sum(nil)[:16]))
}

// JointSearchAttributes are what the joint run of these events can be found by in
// the Web UI: what they have in common.
func JointSearchAttributes(events []providers.EventRef) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(SourceKey.ValueSet(events[0].Source))
}

// JointSummary is the line the Web UI shows for the joint run of these events.
func JointSummary(events []providers.EventRef) string {
	return head(fmt.Sprintf("%s · %d events", events[0].Source, len(events)), maxSummary)
}
