package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/surehook/surehook/internal/store"
)

func rejectionsCommand() *cobra.Command {
	var filter store.RejectionFilter
	list := &cobra.Command{
		Use:   "list",
		Short: "List rejections, the newest first: one line per minute, source and reason",
		Long:  "A sender is told nothing about why it was refused; this is where the reason is. Requests are counted\nper minute, source and reason, with one sample, so that a flood does not fill the database.",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(filter.Limit); err != nil {
				return usageError{err}
			}
			return withRows(cmd, filter.Source, func(ctx context.Context, s *store.Store) ([]store.RejectionRow, error) {
				return s.Rejections(ctx, filter)
			}, func(rows []store.RejectionRow) error {
				return printRows(newPrinter(cmd), "MINUTE SOURCE REASON COUNT SENDER DETAIL", rows, rejectionCells)
			})
		},
	}
	f := list.Flags()
	f.StringVar(&filter.Source, "source", "", "only this source")
	f.IntVar(&filter.Limit, "limit", 50, "at most this many")
	addJSONFlag(list)
	cmd := group(&cobra.Command{
		Use:   "rejections",
		Short: "Look at requests that were refused, and why",
	}, list)
	addDataFlag(cmd)
	return cmd
}

func rejectionCells(r store.RejectionRow) []string {
	return []string{
		r.Minute.UTC().Format("2006-01-02T15:04Z"), dash(r.Source), r.Reason,
		strconv.FormatInt(r.Count, 10), dash(r.RemoteAddr), dash(oneLine(r.Detail, 80)),
	}
}
