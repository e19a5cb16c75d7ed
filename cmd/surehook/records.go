package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/surehook/surehook/internal/store"
)

func recordsCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "records",
		Short: "Look at our copies of the platforms' objects",
	}, recordsListCommand(), recordsShowCommand())
	addDataFlag(cmd)
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
			if err := checkLimit(filter.Limit); err != nil {
				return usageError{err}
			}
			return withRows(cmd, filter.Source, func(ctx context.Context, s *store.Store) ([]store.RecordRow, error) {
				return s.Records(ctx, filter)
			}, func(rows []store.RecordRow) error {
				return printRows(newPrinter(cmd), "SOURCE OBJECT ORIGIN AS-OF CHANGES", rows, recordCells)
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
	return []string{r.Source, r.Object.String(), recordOrigin(r), dash(clock(r.AsOf)), strconv.FormatInt(r.Changes, 10)}
}

// recordOrigin says in a word where what the record holds is from.
func recordOrigin(r store.RecordRow) string {
	if r.Deleted {
		return "deleted"
	}
	return dash(string(r.Origin))
}

func recordsShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show <source> <object type>/<object id>",
		Short: "Show one record with the state it holds",
		Long:  "Show takes the object as the lists print it, or its type and its id apart.",
		Example: `  surehook records show stripe invoice/in_1
  surehook records show github pull_request/octocat/hello/pulls/1 --json | jq .state.title`,
		Args: arguments(1, "source", "object type>/<object id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			object, err := parseObject(strings.Join(args[1:], "/"))
			if err != nil {
				return usageError{err}
			}
			return withStore(cmd, func(ctx context.Context, s *store.Store) error {
				r, err := s.Record(ctx, args[0], object.Type, object.ID)
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
		{"origin", recordOrigin(r)},
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
