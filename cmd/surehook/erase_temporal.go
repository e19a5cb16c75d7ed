package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/surehook/surehook/internal/erasure"
	"github.com/surehook/surehook/providers"
)

// inTemporal cancels the runs of events that were erased before they were
// finished, and names the runs whose histories hold an erased event: those that
// were started while the database was away.
func inTemporal(cmd *cobra.Command, done erasure.Done) ([]string, error) {
	if len(done.Events) == 0 {
		return nil, nil
	}
	env, cfg, err := operatorConfig(cmd)
	if err != nil {
		return nil, err
	}
	opts, err := env.temporalOptions()
	if err != nil {
		return nil, err
	}
	c, err := temporalClient(opts, cfg.Log.logger(cmd.ErrOrStderr()))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var holding []string
	for _, e := range done.Events {
		if e.WorkflowID == "" {
			continue
		}
		if e.Unfinished() {
			if err := cancelRun(cmd.Context(), c, e.WorkflowID); err != nil {
				return holding, env.whenDevIsAway(err)
			}
		}
		inline, err := carriesEvent(cmd.Context(), c, opts.Namespace, e.WorkflowID)
		if err != nil {
			return holding, env.whenDevIsAway(err)
		}
		if inline {
			holding = append(holding, e.WorkflowID)
		}
	}
	return holding, nil
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
		input := first.GetWorkflowExecutionStartedEventAttributes().GetInput()
		if err := converter.GetDefaultDataConverter().FromPayloads(input, &ev); err != nil {
			return false, err
		}
	}
	return ev.Inline != nil, nil
}

// unlessGone drops the error that there is no such run (any more), or that it has
// ended.
func unlessGone(err error) error {
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return nil
	}
	return err
}
