package main

import (
	"context"
	"fmt"
	"os/user"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

const resolveHelp = `A parked event waits for a person. retry does the step that failed again, skip ends the event as
ignored, fail ends it as failed. The decision goes to the parked run as the signal "resolve"; an event
that was parked without a run is decided in the inbox. One that could not be read cannot be retried: no
workflow is about it.

retry also works on a failed event: one that was given up, or whose run was terminated, is run again.

With --all it decides about all parked events of a source, or those of a type or time. Without --yes it
says which and changes nothing. A decision for many needs a --reason; ` + "`surehook replay list`" + ` shows them.`

func resolveCommand() *cobra.Command {
	var flags batchFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "resolve [source] <event id> retry|skip|fail",
		Short: "Say how a parked event goes on",
		Long:  resolveHelp,
		Example: `  surehook resolve stripe evt_1 retry --reason "the API key has been renewed"
  surehook resolve evt_1 skip --reason "a test"   # where only one source has it
  surehook resolve github 72d3162e skip --reason "test repository"
  surehook resolve --all --source stripe retry    # what it would do`,
		Args: func(cmd *cobra.Command, args []string) error {
			if all {
				return arguments(0, "retry|skip|fail")(cmd, args)
			}
			return arguments(1, "event id", "retry|skip|fail")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			decided := workflows.Resolution{Action: workflows.Action(args[len(args)-1]), By: flags.by, Reason: flags.reason}
			if err := decided.Validate(); err != nil {
				return usageError{fmt.Errorf("%w: %s", err, cmd.UseLine())}
			}
			if all {
				return resolveAll(cmd, decided, &flags)
			}
			for _, name := range []string{"source", "type", "since", "until", "batch", "rate", "yes"} {
				if cmd.Flags().Changed(name) {
					return usageError{fmt.Errorf("--%s goes with --all: %s", name, cmd.UseLine())}
				}
			}
			return resolveOne(cmd, args[:len(args)-1], decided)
		},
	}
	addDataFlag(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "decide about all parked events of --source")
	flags.add(cmd)
	return cmd
}

// resolveOne decides about one event.
func resolveOne(cmd *cobra.Command, name []string, decided workflows.Resolution) error {
	return withTemporal(cmd, func(ctx context.Context, env environment, _ config, s *store.Store, c client.Client) error {
		e, err := findEvent(ctx, s, name)
		if err != nil {
			return err
		}
		how, err := resolve(ctx, s, c, e, decided)
		if err != nil {
			return env.whenDevIsAway(err)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s/%s: %s, %s\n", e.Source, e.ID, decided.Action, how)
		return err
	})
}

// resolve signals the parked run or, when there is none, decides in the inbox.
func resolve(ctx context.Context, s *store.Store, c client.Client, e store.EventRow, decided workflows.Resolution) (string, error) {
	if !mayResolve(e.Status, decided.Action) {
		return "", fmt.Errorf("resolve %s/%s: its status is %s: only an event in review waits for a decision, and a failed one can be retried", e.Source, e.ID, e.Status)
	}
	if !mayRun(e, decided.Action) {
		// Its run would find nothing to do and call it processed.
		return "", fmt.Errorf("resolve %s/%s: there is no workflow for it: have the platform send it again once it can be read, and skip this one", e.Source, e.ID)
	}
	if e.Status == providers.StatusReview && e.WorkflowID != "" {
		err := c.SignalWorkflow(ctx, e.WorkflowID, "", workflows.SignalResolve, decided)
		if err == nil {
			return "signalled its run", nil
		}
		if !isUnknownToTemporal(err) {
			return "", fmt.Errorf("resolve %s/%s: signal run: %w", e.Source, e.ID, err)
		}
		// The run was terminated or is past its retention: decide here.
	}
	err := s.Settle(ctx, providers.Settlement{
		Source:     e.Source,
		ID:         e.ID,
		Status:     statusAfter(decided.Action),
		Reason:     decided.Reason,
		ResolvedBy: decided.By,
		Replay:     e.Replay,
	})
	if err != nil {
		return "", err
	}
	return "now " + string(statusAfter(decided.Action)), nil
}

// mayResolve lets a failed event be tried again: whoever gave it up may change
// their mind, and a run that was terminated by mistake is no lost event.
func mayResolve(now providers.Status, action workflows.Action) bool {
	return now == providers.StatusReview || now == providers.StatusFailed && action == workflows.Retry
}

// mayRun is false for a retry of an event that could not be read: no workflow is
// about it.
func mayRun(e store.EventRow, action workflows.Action) bool {
	return e.WorkflowID != "" || action != workflows.Retry
}

// statusAfter is what becomes of an event without a run. Pending ones are
// started by the relay's next sweep.
func statusAfter(action workflows.Action) providers.Status {
	switch action {
	case workflows.Skip:
		return providers.StatusIgnored
	case workflows.Fail:
		return providers.StatusFailed
	default:
		return providers.StatusPending
	}
}

// operator is the name of whoever runs the command.
func operator() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}
