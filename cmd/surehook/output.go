package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// printer writes rows: a table for people or, with --json, one JSON object a
// line for scripts.
type printer struct {
	out  io.Writer
	json bool
}

func newPrinter(cmd *cobra.Command) printer {
	asJSON, _ := cmd.Flags().GetBool("json")
	return printer{out: cmd.OutOrStdout(), json: asJSON}
}

func addJSONFlag(cmd *cobra.Command) {
	cmd.Flags().Bool("json", false, "print one JSON object a line")
}

// printRows prints rows of any kind; cells makes the columns of one.
func printRows[T any](p printer, header string, rows []T, cells func(T) []string) error {
	if p.json {
		enc := json.NewEncoder(p.out)
		for _, r := range rows {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(header, " ", "\t"))
	for _, r := range rows {
		row := cells(r)
		for i, cell := range row {
			row[i] = plain(cell)
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// field is one line of a single thing's description.
type field struct{ name, value string }

// printFields prints what is known of one thing, leaving out what is empty.
func printFields(out io.Writer, fields []field) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range fields {
		if f.value != "" {
			fmt.Fprintf(w, "%s\t%s\n", f.name, plain(f.value))
		}
	}
	return w.Flush()
}

// plain is a text fit for a terminal. What came from outside, such as names that a
// platform lists and its own words for a failure, could else move the cursor, colour
// what follows or turn its direction around.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return '.'
		}
		return r
	}, s)
}

// dash stands for an empty cell, so that columns stay columns for awk too.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// seconds is a time for a table that has little room.
func seconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// oneLine keeps a reason in its cell.
func oneLine(s string, width int) string {
	s = strings.Join(strings.Fields(s), " ")
	r := []rune(s)
	if len(r) <= width {
		return s
	}
	return string(r[:width-1]) + "…"
}
