package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/surehook/surehook/internal/erasure"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// histories says what Temporal holds of erased events.
type histories struct {
	holding []string // workflow IDs of runs that were started while the database was away, and carry their event
	unseen  []string // those that could not be looked at
}

// inTemporal cancels the runs of events that were erased before they were
// finished, and finds those whose histories hold an erased event. The rows do not
// tell any more which they are, so whatever it has not seen is named, too.
func inTemporal(cmd *cobra.Command, env environment, cfg config, done erasure.Done) (found histories, err error) {
	var ended []string
	named := map[string]bool{}
	for _, e := range done.Events {
		if e.WorkflowID == "" {
			continue
		}
		if e.Unfinished() {
			// Not the joint run that it may be with, which is others' too.
			ended = append(ended, workflows.IDOf(providers.EventRef{Source: e.Source, ID: e.ID, Replay: e.Replay}))
		}
		// A replay, and the end of an event that it waited for, name another run than
		// the one that carried it here.
		for _, id := range []string{e.WorkflowID, workflows.ID(e.Source, e.ID)} {
			if !named[id] {
				named[id] = true
				found.unseen = append(found.unseen, id)
			}
		}
	}
	if len(found.unseen) == 0 {
		return found, nil
	}
	c, namespace, err := env.temporal(cmd, cfg)
	if err != nil {
		return found, err
	}
	defer c.Close()
	for _, id := range ended {
		if err := cancelRun(cmd.Context(), c, id); err != nil {
			return found, env.whenDevIsAway(err)
		}
	}
	for len(found.unseen) > 0 {
		id := found.unseen[0]
		carries, err := carriesEvent(cmd.Context(), c, namespace, id)
		if err != nil {
			return found, env.whenDevIsAway(err)
		}
		found.unseen = found.unseen[1:]
		if carries {
			found.holding = append(found.holding, id)
		}
	}
	return found, nil
}

// temporalPatience bounds a call: without it the client tries for a minute.
const temporalPatience = 10 * time.Second

// cancelRun ends the run of an event that has been given up; it may have none.
func cancelRun(ctx context.Context, c client.Client, workflowID string) error {
	ctx, cancel := context.WithTimeout(ctx, temporalPatience)
	defer cancel()
	return unlessGone(c.CancelWorkflow(ctx, workflowID, ""))
}

// carriesEvent reports whether a run's history holds its event itself, as long as
// Temporal retains it.
func carriesEvent(ctx context.Context, c client.Client, namespace, workflowID string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, temporalPatience)
	defer cancel()
	history, err := c.WorkflowService().GetWorkflowExecutionHistory(ctx, &workflowservice.GetWorkflowExecutionHistoryRequest{
		Namespace:       namespace,
		Execution:       &commonpb.WorkflowExecution{WorkflowId: workflowID},
		MaximumPageSize: 1,
	})
	if err != nil {
		return false, unlessGone(err)
	}
	var ev providers.EventRef
	for _, first := range history.GetHistory().GetEvents() {
		started := first.GetWorkflowExecutionStartedEventAttributes()
		if started.GetWorkflowType().GetName() == workflows.Name(workflows.SyncMany) {
			return false, nil // it takes events out of the inbox only
		}
		if err := converter.GetDefaultDataConverter().FromPayloads(started.GetInput(), &ev); err != nil {
			return false, err
		}
	}
	return ev.Inline != nil, nil
}

// unlessGone drops the error of a run that is over, or was never there.
func unlessGone(err error) error {
	if isUnknownToTemporal(err) {
		return nil
	}
	return err
}
