package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

func eventsCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "events",
		Short: "Look at accepted events",
		Long:  "An event is one notification that was acknowledged. Its status is pending, processed, ignored,\nreview (parked, waits for `surehook resolve`) or failed.",
	}, eventsListCommand(), eventsShowCommand())
	addDataFlag(cmd)
	return cmd
}

func eventsListCommand() *cobra.Command {
	var filter store.EventFilter
	var status, object, since, until string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List events, the newest first",
		Example: `  surehook events list --status review
  surehook events list --source stripe --type 'invoice.*' --since 2h --limit 100
  surehook events list --object invoice/in_1 --json | jq -r .workflow_id`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var badStatus, badObject, badTimes error
			filter.Status, badStatus = parseStatus(status)
			filter.Object, badObject = parseObject(object)
			filter.Since, filter.Until, badTimes = parseTimes(since, until, time.Now())
			if err := errors.Join(badStatus, badObject, badTimes, checkLimit(filter.Limit)); err != nil {
				return usageError{err}
			}
			return withRows(cmd, filter.Source, func(ctx context.Context, s *store.Store) ([]store.EventRow, error) {
				return s.Events(ctx, filter)
			}, func(rows []store.EventRow) error {
				return printRows(newPrinter(cmd), "SOURCE ID TYPE STATUS OBJECT RECEIVED REASON", rows, eventCells)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&filter.Source, "source", "", "only this source")
	f.StringVar(&status, "status", "", "only this status: "+statusNames())
	f.StringVar(&filter.Type, "type", "", "only this event type; * stands for any characters")
	f.StringVar(&object, "object", "", "only events about this object: <type>/<id>")
	addTimeFlags(cmd, &since, &until)
	f.IntVar(&filter.Limit, "limit", 50, "at most this many")
	addJSONFlag(cmd)
	return cmd
}

func eventCells(e store.EventRow) []string {
	return []string{
		e.Source, e.ID, dash(e.Type), string(e.Status), dash(e.Object.String()),
		seconds(e.ReceivedAt), dash(oneLine(e.Reason, 60)),
	}
}

func eventsShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [source] <event id>",
		Short: "Show one event: where it stands and where to look further",
		Example: `  surehook events show evt_1
  surehook events show stripe evt_1 --json`,
		Args: arguments(1, "event id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			env, cfg, err := operatorConfig(cmd)
			if err != nil {
				return err
			}
			return env.withStore(cmd.Context(), cfg, func(ctx context.Context, s *store.Store) error {
				e, err := findEvent(ctx, s, args)
				if err != nil {
					return err
				}
				if p := newPrinter(cmd); p.json {
					return printRows(p, "", []store.EventRow{e}, nil)
				}
				return printFields(cmd.OutOrStdout(), eventFields(e, env.runURL(cfg, e.WorkflowID, e.RunID), nextFlags(cmd)))
			})
		},
	}
	addJSONFlag(cmd)
	return cmd
}

// findEvent finds an event by source and ID, or by its ID alone when only one
// source has it.
func findEvent(ctx context.Context, s *store.Store, args []string) (store.EventRow, error) {
	if len(args) == 2 {
		return s.EventRow(ctx, args[0], args[1])
	}
	rows, err := s.EventsByID(ctx, args[0])
	switch {
	case err != nil:
		return store.EventRow{}, err
	case len(rows) == 0:
		return store.EventRow{}, fmt.Errorf("event %s: %w", args[0], providers.ErrNotFound)
	case len(rows) > 1:
		return store.EventRow{}, usageError{fmt.Errorf("event %s: %d sources have it: name one", args[0], len(rows))}
	}
	return rows[0], nil
}

func eventFields(e store.EventRow, webUI, flags string) []field {
	fields := []field{
		{"source", e.Source},
		{"id", e.ID},
		{"type", e.Type},
		{"status", string(e.Status)},
		{"reason", e.Reason},
		{"object", e.Object.String()},
		{"mode", string(e.Mode)},
		{"api version", e.APIVersion},
		{"occurred at", clock(e.OccurredAt)},
		{"received at", clock(e.ReceivedAt)},
		{"finished at", clock(e.FinishedAt)},
		{"body removed at", clock(e.BodyRemovedAt)},
		{"deliveries", strconv.FormatInt(e.Deliveries, 10)},
		{"covered by", e.CoveredBy},
		{"last decided by", e.ResolvedBy},
		{"because", e.ResolvedReason},
		{"replayed by", e.Replay}, // see surehook replay list
		{"replay asked at", clock(e.ReplayedAt)},
		{"workflow id", e.WorkflowID},
		{"run id", e.RunID},
		{"web ui", webUI},
	}
	if e.Status == providers.StatusReview {
		actions := "retry|skip|fail"
		if e.WorkflowID == "" {
			actions = "skip|fail" // see resolve
		}
		fields = append(fields, field{"go on", fmt.Sprintf("surehook resolve %s %s %s --reason …%s", e.Source, e.ID, actions, flags)})
	}
	return fields
}
