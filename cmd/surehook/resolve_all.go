package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// resolveAll decides about the parked events of a source, one after the other.
func resolveAll(cmd *cobra.Command, decided workflows.Resolution, flags *batchFlags) error {
	filter, pace, err := flags.check(nil)
	if err != nil {
		return err
	}
	if flags.source == "" && flags.name == "" {
		return usageError{fmt.Errorf("--source is missing: a decision for all is about one source: %s", cmd.UseLine())}
	}
	if flags.source != "" {
		filter.Status = providers.StatusReview
	}
	return withTemporal(cmd, func(ctx context.Context, env environment, cfg config, s *store.Store, c client.Client) error {
		w := &batchWork{
			cmd: cmd, store: s, flags: flags, filter: filter, pace: pace,
			what: store.BatchResolve, action: string(decided.Action), did: "resolved",
			vague:     filter.Source == "",
			objection: notResolved(decided.Action),
			plan:      planResolve,
		}
		w.step = func(ctx context.Context, b store.Batch) (store.Batch, error) {
			next, err := resolveNext(ctx, w, c, b)
			return next, env.whenDevIsAway(err)
		}
		return w.do(ctx, env, cfg)
	})
}

// notResolved says why an action cannot be done for events, or nothing when it can.
func notResolved(action workflows.Action) func(store.BatchCount) string {
	return func(c store.BatchCount) string {
		if c.Unreadable && action == workflows.Retry {
			return "their requests could not be read: skip or fail them"
		}
		return ""
	}
}

// planResolve says what would be decided, and how to have it done.
func planResolve(w *batchWork, counts []store.BatchCount) error {
	err := printRows(printer{out: w.cmd.OutOrStdout()}, "SOURCE TYPE EVENTS RESOLVED", counts, func(c store.BatchCount) []string {
		resolved := w.action
		if why := w.objection(c); why != "" {
			resolved = "no: " + why
		}
		return []string{c.Source, dash(c.Type), strconv.FormatInt(c.Count, 10), resolved}
	})
	if err != nil {
		return err
	}
	filter := w.filter
	filter.Status = "" // there is only one
	command := append([]string{"surehook", "resolve", "--all"}, filterFlags(filter)...)
	return w.sayPlan(append(command, w.action), sum(counts, w.objection), "resolved")
}

// resolveNext decides about the next parked event. One that cannot be decided about
// is named and left; when Temporal or the database is away, nothing goes on.
func resolveNext(ctx context.Context, w *batchWork, c client.Client, b store.Batch) (store.Batch, error) {
	decided := workflows.Resolution{Action: workflows.Action(b.Action), By: b.AskedBy, Reason: b.Reason}
	e, found, done, err := w.store.NextParked(ctx, b)
	if err != nil {
		return b, err
	}
	if found && mayRun(e, decided.Action) {
		_, err := resolve(ctx, w.store, c, e, decided)
		switch {
		case err == nil:
			done.Events++
		case isAway(err):
			return b, err
		default:
			fmt.Fprintf(w.cmd.ErrOrStderr(), "%v\n", err)
			done.Failed++
		}
	}
	// What was decided is noted even when the operator has just stopped the command.
	return w.store.Advance(context.WithoutCancel(ctx), b, done)
}

// isAway tells an error that every event would meet.
func isAway(err error) bool {
	return isTemporalAway(err) || errors.Is(err, providers.ErrUnavailable) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
