package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/surehook/surehook/internal/store"
)

func recordsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "records",
		Short: "Look at our copies of the platforms' objects",
		Args:  usage(cobra.NoArgs),
	}
	addDataFlag(cmd)
	cmd.AddCommand(recordsListCommand(), recordsShowCommand())
	return cmd
}

func recordsListCommand() *cobra.Command {
	var filter store.RecordFilter
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List records, the last saved first",
		Example: "  surehook records list --source stripe --type invoice --json",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, func(ctx context.Context, s *store.Store) error {
				rows, err := s.Records(ctx, filter)
				if err != nil {
					return err
				}
				return printRows(newPrinter(cmd), "SOURCE OBJECT STATE AS-OF CHANGES", rows, recordCells)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&filter.Source, "source", "", "only this source")
	f.StringVar(&filter.Type, "type", "", "only this object type")
	f.IntVar(&filter.Limit, "limit", 50, "at most this many")
	addJSONFlag(cmd)
	return cmd
}

func recordCells(r store.RecordRow) []string {
	return []string{r.Source, r.Object.String(), recordState(r), dash(clock(r.AsOf)), strconv.FormatInt(r.Changes, 10)}
}

// recordState says in a word what the record holds.
func recordState(r store.RecordRow) string {
	if r.Deleted {
		return "deleted"
	}
	return dash(string(r.Origin))
}

func recordsShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show <source> <object type> <object id>",
		Short: "Show one record with the state it holds",
		Example: `  surehook records show stripe invoice in_1
  surehook records show github pull_request octocat/hello/pulls/1 --json | jq .state.title`,
		Args: usage(cobra.ExactArgs(3)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, func(ctx context.Context, s *store.Store) error {
				r, err := s.Record(ctx, args[0], args[1], args[2])
				if err != nil {
					return err
				}
				if p := newPrinter(cmd); p.json {
					return printRows(p, "", []store.RecordRow{r}, nil)
				}
				return printRecord(cmd, r)
			})
		},
	}
	addJSONFlag(cmd)
	return cmd
}

func printRecord(cmd *cobra.Command, r store.RecordRow) error {
	err := printFields(cmd.OutOrStdout(), []field{
		{"source", r.Source},
		{"object", r.Object.String()},
		{"state", recordState(r)},
		{"as of", clock(r.AsOf)},
		{"updated at", clock(r.UpdatedAt)},
		{"changed at", clock(r.ChangedAt)},
		{"changed by", r.EventID},
		{"deleted at", clock(r.DeletedAt)},
		{"changes", strconv.FormatInt(r.Changes, 10)},
	})
	if err != nil || len(r.State) == 0 {
		return err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, r.State, "", "  "); err != nil {
		return fmt.Errorf("show state: %w", err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n", &pretty)
	return err
}
