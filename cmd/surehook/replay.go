package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

const replayHelp = `Replay runs events again that were processed, ignored or given up: each in a run of its own, named
<source>/<event id>/replay/<batch>, or where many wait in joint runs, as any others. The run fetches the
object if that has not been fetched since the replay was asked for, and does the other steps of its workflow
once more. A notice has the key it had, by which its receiver knows it again.

Without --yes it says what it would do and changes nothing. With --yes it makes a batch, whose events are
those that are there by then, and opens them in the order received, no faster than --rate. The same batch
again goes on where it was stopped, and opens no event twice, not even in two processes at once.

Events that are pending are under way, and those in review wait for ` + "`surehook resolve`" + `. Neither is replayed.`

// maxIDs bounds the events that one replay can name.
const maxIDs = 10_000

func replayCommand() *cobra.Command {
	var flags batchFlags
	cmd := &cobra.Command{
		Use:   "replay [event id…]",
		Short: "Run events again",
		Long:  replayHelp,
		Example: `  surehook replay evt_1                                            # what it would do
  surehook replay evt_1 --reason "the receiver lost it" --yes
  surehook replay --source stripe --type 'invoice.*' --since 2h --status failed
  surehook events list --status ignored --json | jq -r .id | surehook replay - --reason "the rule was wrong" --yes
  surehook replay --batch 20261121-140000-3fa9 --yes               # go on with one that was stopped`,
		RunE: func(cmd *cobra.Command, args []string) error { return runReplay(cmd, args, &flags) },
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&flags.status, "status", "", "only this status: "+join(store.Replayable(), ", "))
	cmd.Args = cobra.ArbitraryArgs
	addDataFlag(cmd)
	cmd.AddCommand(replayListCommand())
	return cmd
}

func join(statuses []providers.Status, separator string) string {
	var names []string
	for _, s := range statuses {
		names = append(names, string(s))
	}
	return strings.Join(names, separator)
}

func runReplay(cmd *cobra.Command, args []string, flags *batchFlags) error {
	ids, err := readIDs(cmd.InOrStdin(), args)
	if err != nil {
		return err
	}
	filter, pace, err := flags.check(ids)
	if err != nil {
		return err
	}
	if filter.Status != "" && !slices.Contains(store.Replayable(), filter.Status) {
		return usageError{fmt.Errorf("--status %s: %s: want one of %s", filter.Status,
			notReplayed(store.BatchCount{Status: filter.Status}), join(store.Replayable(), ", "))}
	}
	if filter.IsZero() && flags.name == "" {
		return usageError{fmt.Errorf("say which events: by id, --source, --type, --status, --since or --until: %s", cmd.UseLine())}
	}
	env, cfg, err := operatorConfig(cmd)
	if err != nil {
		return err
	}
	return env.withStore(cmd.Context(), cfg, func(ctx context.Context, s *store.Store) error {
		w := &batchWork{
			cmd: cmd, store: s, flags: flags, filter: filter, pace: pace,
			what: store.BatchReplay, did: "reopened",
			vague:     filter.IsZero(),
			objection: notReplayed,
			plan: func(w *batchWork, counts []store.BatchCount) error {
				return planReplay(w, args, counts)
			},
			step: func(ctx context.Context, b store.Batch) (store.Batch, error) {
				return s.Reopen(ctx, b.Name, pace.Burst(), workflows.IDOf)
			},
		}
		return w.do(ctx, env, cfg)
	})
}

// readIDs returns the IDs among the arguments, each once; - stands for those on the
// lines of the standard input.
func readIDs(in io.Reader, args []string) ([]string, error) {
	var ids []string
	for _, arg := range args {
		if arg != "-" {
			ids = append(ids, arg)
			continue
		}
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			if id := strings.TrimSpace(lines.Text()); id != "" {
				ids = append(ids, id)
			}
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("read ids: %w", err)
		}
		if len(ids) == 0 {
			return nil, usageError{errors.New("there is no id on the standard input")}
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) > maxIDs {
		return nil, usageError{fmt.Errorf("%d ids are too many for one replay: at most %d", len(ids), maxIDs)}
	}
	return ids, nil
}

// notReplayed says why events are not run again, or nothing when they are.
func notReplayed(c store.BatchCount) string {
	switch {
	case c.Status == providers.StatusPending:
		return "they are under way"
	case c.Status == providers.StatusReview:
		return "they wait for `surehook resolve`"
	case c.Unreadable:
		return "their requests could not be read"
	default:
		return ""
	}
}

// planReplay says what a replay would do, and how to have it done.
func planReplay(w *batchWork, args []string, counts []store.BatchCount) error {
	out := w.cmd.OutOrStdout()
	err := printRows(printer{out: out}, "SOURCE TYPE STATUS EVENTS REPLAYED", counts, func(c store.BatchCount) []string {
		replayed := "yes"
		if why := w.objection(c); why != "" {
			replayed = "no: " + why
		}
		return []string{c.Source, dash(c.Type), string(c.Status), strconv.FormatInt(c.Count, 10), replayed}
	})
	if err != nil {
		return err
	}
	found := sum(counts, func(store.BatchCount) string { return "" })
	if missing := int64(len(w.filter.IDs)) - found; missing > 0 {
		fmt.Fprintf(out, "\nNot in the inbox: %s.\n", events(missing))
	}
	command := []string{"surehook", "replay"}
	if slices.Contains(args, "-") {
		command[0] = "… | surehook"
	}
	for _, arg := range args {
		command = append(command, quote(arg))
	}
	return w.sayPlan(append(command, filterFlags(w.filter)...), sum(counts, w.objection), "run again")
}

func replayListCommand() *cobra.Command {
	limit := 50
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what was asked for of many events at once: replays and resolutions, the newest first",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(limit); err != nil {
				return usageError{err}
			}
			return withStore(cmd, func(ctx context.Context, s *store.Store) error {
				batches, err := s.Batches(ctx, "", limit)
				if err != nil {
					return err
				}
				return printRows(newPrinter(cmd), "BATCH WHAT EVENTS FAILED STATE ASKED-AT BY REASON FILTER", batches, batchCells)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", limit, "at most this many")
	addJSONFlag(cmd)
	return cmd
}

func batchCells(b store.Batch) []string {
	state := "unfinished"
	if !b.FinishedAt.IsZero() {
		state = "finished"
	}
	return []string{
		b.Name, describe(b), strconv.FormatInt(b.Events, 10), strconv.FormatInt(b.Failed, 10), state,
		clock(b.AskedAt), b.AskedBy, dash(oneLine(b.Reason, 40)), filterText(b.Filter),
	}
}
