package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

func reconcileCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "reconcile",
		Short: "Find what the webhooks missed, and see what was found",
		Long: `A reconciliation reads a list of a platform and repairs what differs: missed events enter the inbox, and
records are made equal to the platform's objects. A source's declaration says which lists it reads and
when (reconcile: in surehook.yaml); docs/reconciliation.md says what they find.`,
	}, reconcileListCommand(), reconcileRunCommand(), reconcileBackfillCommand())
	addDataFlag(cmd)
	return cmd
}

func reconcileListCommand() *cobra.Command {
	var filter store.ReconciliationFilter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List reconciliations, the newest first",
		Long:  "MISSED is how many events the inbox did not have, REPAIRED how many records differed: the drift.",
		Example: `  surehook reconcile list --source stripe
  surehook reconcile list --list invoice --json | jq .repaired`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(filter.Limit); err != nil {
				return usageError{err}
			}
			return withRows(cmd, filter.Source, func(ctx context.Context, s *store.Store) ([]store.ReconciliationRow, error) {
				return s.Reconciliations(ctx, filter)
			}, func(rows []store.ReconciliationRow) error {
				const header = "SOURCE LIST SINCE UNTIL PAGES OBJECTS MISSED REPAIRED FAILED CALLS TOOK STATE ERROR"
				return printRows(newPrinter(cmd), header, rows, reconciliationCells)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&filter.Source, "source", "", "only this source")
	f.StringVar(&filter.List, "list", "", "only this list")
	f.IntVar(&filter.Limit, "limit", 50, "at most this many")
	addJSONFlag(cmd)
	return cmd
}

func reconciliationCells(r store.ReconciliationRow) []string {
	since := "all"
	if !r.Since.IsZero() {
		since = seconds(r.Since)
	}
	cells := []string{r.Source, r.List, since, seconds(r.Until)}
	for _, n := range []int64{r.Pages, r.Objects, r.Missed, r.Repaired, r.Failed, r.Calls} {
		cells = append(cells, strconv.FormatInt(n, 10))
	}
	return append(cells, dash(took(r)), reconciliationState(r), dash(oneLine(r.Error, 60)))
}

func reconciliationState(r store.ReconciliationRow) string {
	switch {
	case r.FinishedAt.IsZero():
		return "running"
	case r.Complete:
		return "complete"
	default:
		return "failed"
	}
}

func took(r store.ReconciliationRow) string {
	if r.FinishedAt.IsZero() {
		return ""
	}
	return r.FinishedAt.Sub(r.StartedAt).Round(time.Millisecond).String()
}

func reconcileRunCommand() *cobra.Command {
	var list string
	cmd := &cobra.Command{
		Use:   "run <source>",
		Short: "Reconcile a source now, as its schedule would",
		Long: `Run has the source's schedules start now, and shows how they get on. Where a list has no schedule, its
reconciliation is started without one. What is running already is followed instead. Ctrl-C stops the
watching; the reconciliation goes on.`,
		Example: `  surehook reconcile run stripe
  surehook reconcile run stripe --list invoice`,
		Args: arguments(0, "source"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withReconciler(cmd, args[0], list, func(ctx context.Context, r *reconciler, list string) (string, error) {
				return r.run(ctx, list)
			})
		},
	}
	cmd.Flags().StringVar(&list, "list", "", "only this list; by default all that the source's schedules read")
	return cmd
}

func reconcileBackfillCommand() *cobra.Command {
	var list, since, by, reason string
	cmd := &cobra.Command{
		Use:   "backfill <source>",
		Short: "Reconcile a source from a time on that you choose, or from the beginning",
		Long: `Backfill reads the source's lists from --since on and repairs what differs. What the schedules do is not
changed by it. The same backfill is not run twice at once: called again while it runs, it is followed.`,
		Example: `  surehook reconcile backfill stripe --since 72h --reason "the endpoint was switched off"
  surehook reconcile backfill stripe --list invoice --since 2026-01-01 --reason "a new list"
  surehook reconcile backfill github --since all --reason "first start"`,
		Args: arguments(0, "source"),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, badSince := parseSince(since, time.Now())
			if err := errors.Join(badSince, checkBy(by), checkReason(reason)); err != nil {
				return usageError{err}
			}
			return withReconciler(cmd, args[0], list, func(ctx context.Context, r *reconciler, list string) (string, error) {
				id := workflows.BackfillID(r.source.Name, list, from)
				return id, r.start(ctx, id, activities.ReconcileStart{
					Source: r.source.Name, List: list, Backfill: true, Since: from, By: by, Reason: reason,
				})
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&list, "list", "", "only this list; by default all that the source's schedules read")
	f.StringVar(&since, "since", "", "how far back: 2026-11-21, 2026-11-21T14:00:00Z, an age such as 72h or 7d, or all")
	f.StringVar(&by, "by", operator(), "who asks")
	f.StringVar(&reason, "reason", "", "why; it is kept with the reconciliation")
	return cmd
}

// parseSince reads how far a backfill goes back; zero is everything. An age is cut
// to the minute, so that the same command a moment later means the same backfill.
func parseSince(text string, now time.Time) (time.Time, error) {
	switch text {
	case "":
		return time.Time{}, errors.New("--since is missing: say how far back, or all")
	case "all":
		return time.Time{}, nil
	}
	return parseTime("--since", text, now.Truncate(time.Minute))
}

// reconciler starts reconciliations of one source and watches them.
type reconciler struct {
	source   source
	store    *store.Store
	temporal client.Client
	out      io.Writer
}

// withReconciler starts a reconciliation of each of the lists, which returns its
// workflow ID, and then watches them to their ends.
func withReconciler(cmd *cobra.Command, name, list string, start func(context.Context, *reconciler, string) (workflowID string, err error)) error {
	return withTemporal(cmd, func(ctx context.Context, env environment, cfg config, s *store.Store, c client.Client) error {
		src, err := findSource(cfg.Sources, env, name)
		if err != nil {
			return err
		}
		lists, err := src.listsToRun(list)
		if err != nil {
			return err
		}
		r := &reconciler{source: src, store: s, temporal: c, out: cmd.OutOrStdout()}
		ids := make([]string, len(lists))
		for i, list := range lists {
			ids[i], err = start(ctx, r, list)
			if err != nil {
				return env.whenDevIsAway(fmt.Errorf("reconcile %s %s: %w", name, list, err))
			}
		}
		var errs []error
		for i, list := range lists {
			errs = append(errs, r.watch(ctx, list, ids[i]))
		}
		if ctx.Err() != nil {
			return fmt.Errorf("no longer watched; it goes on, and `surehook reconcile list --source %s%s` shows how", name, nextFlags(cmd))
		}
		return errors.Join(errs...)
	})
}

// listsToRun are the lists that a command is about.
func (s source) listsToRun(list string) ([]string, error) {
	all := s.allLists()
	names := dash(strings.Join(all, ", "))
	switch {
	case list == "" && len(s.lists) > 0:
		return s.lists, nil
	case list == "":
		return nil, usageError{fmt.Errorf("source %s declares no reconcile: name a list with --list, of %s", s.Name, names)}
	case !slices.Contains(all, list):
		return nil, usageError{fmt.Errorf("--list %q: source %s has %s", list, s.Name, names)}
	}
	return []string{list}, nil
}

// allLists are those that could be read, declared or not.
func (s source) allLists() []string {
	var names []string
	if lister, ok := s.provider.(providers.Lister); ok {
		for _, l := range lister.Lists() {
			names = append(names, l.Name)
		}
	}
	if _, ok := s.provider.(providers.Fetcher); ok {
		names = append(names, providers.Unseen)
	}
	return names
}

// run has the schedule of the list start now, also when it is paused, because
// somebody asks for it.
func (r *reconciler) run(ctx context.Context, list string) (workflowID string, err error) {
	if list == providers.Unseen && r.source.Reconcile.Unseen == 0 {
		return "", usageError{errors.New("the source declares no reconcile.unseen: say with `backfill --list unseen --since 24h` what is old")}
	}
	id := workflows.ReconcileID(r.source.Name, list)
	schedule := r.temporal.ScheduleClient().GetHandle(ctx, id)
	before, err := schedule.Describe(ctx)
	if isUnknownToTemporal(err) {
		return id, r.start(ctx, id, r.source.reconciled().Start(list))
	}
	if err != nil {
		return "", err
	}
	if running := before.Info.RunningWorkflows; len(running) > 0 {
		return running[0].WorkflowID, nil
	}
	if err := schedule.Trigger(ctx, client.ScheduleTriggerOptions{}); err != nil {
		return "", err
	}
	for {
		now, err := schedule.Describe(ctx)
		if err != nil {
			return "", err
		}
		if actions := now.Info.RecentActions; now.Info.NumActions > before.Info.NumActions && len(actions) > 0 {
			return actions[len(actions)-1].StartWorkflowResult.WorkflowID, nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// start starts a reconciliation without a schedule, or finds it running.
func (r *reconciler) start(ctx context.Context, id string, start activities.ReconcileStart) error {
	_, err := r.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       id,
		TaskQueue:                workflows.TaskQueue,
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		TypedSearchAttributes:    workflows.ReconcileAttributes(start),
		StaticSummary:            workflows.ReconcileSummary(start),
	}, workflows.Reconcile, workflows.ReconcileInput{ReconcileStart: start})
	return err
}

// watch prints how a reconciliation gets on until it has ended. The error is why it
// is not complete.
func (r *reconciler) watch(ctx context.Context, list, workflowID string) error {
	ended := make(chan error, 1)
	go func() { ended <- r.temporal.GetWorkflow(ctx, workflowID, "").Get(ctx, nil) }()
	var last providers.Tally
	for {
		select {
		case err := <-ended:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errors.Join(r.printEnd(ctx, list, workflowID), failedRun(r.source.Name, list, err))
		case <-time.After(time.Second):
		}
		row, err := r.row(ctx, workflowID)
		if err == nil && row.Tally != last {
			last = row.Tally
			fmt.Fprintf(r.out, "%s %s: %s\n", r.source.Name, list, last.InWords())
		}
	}
}

func (r *reconciler) printEnd(ctx context.Context, list, workflowID string) error {
	row, err := r.row(ctx, workflowID)
	if err != nil || row.ID == 0 {
		return err
	}
	_, err = fmt.Fprintf(r.out, "%s %s: %s in %s: %s\n", r.source.Name, list, reconciliationState(row), dash(took(row)), row.Tally.InWords())
	if row.Complete && row.Error != "" {
		fmt.Fprintf(r.out, "%s %s: the first that failed: %s\n", r.source.Name, list, plain(row.Error))
	}
	return err
}

// row is that of the run, and zero while it has none.
func (r *reconciler) row(ctx context.Context, workflowID string) (store.ReconciliationRow, error) {
	rows, err := r.store.Reconciliations(ctx, store.ReconciliationFilter{WorkflowID: workflowID, Limit: 1})
	if err != nil || len(rows) == 0 {
		return store.ReconciliationRow{}, err
	}
	return rows[0], nil
}

// failedRun is the error of a run without the layers that Temporal puts around it.
func failedRun(source, list string, err error) error {
	if err == nil {
		return nil
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		err = errors.New(app.Message())
	}
	return fmt.Errorf("reconcile %s %s: %w", source, list, err)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
