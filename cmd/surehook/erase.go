package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/surehook/surehook/internal/erasure"
	"github.com/surehook/surehook/internal/store"
)

const eraseHelp = `Erase removes what is held of an object or a person, everywhere: the bodies and headers of events, the
states of records, the samples of rejections. Without --yes it only says what it would remove.

It goes after an object, by the name that lists print: its record, the events about it, and others that
came in the same requests. Or after a text, such as an address or a phone number, with --matching: for
that it reads everything that is stored, which takes its time. An e-mail address is found in any case,
and by the hash that Mailchimp makes of it; nothing is found that is encrypted or in base64.

Erase at the platform first: what it still has comes back with the next event or reconciliation.

Events that are not finished still need what they hold. They are left and named, and the exit code is 1;
--unfinished ends them as failed and erases them, too. Rows stay, without what they held: an event's
because its ID is what tells a duplicate, a record's because it keeps fetches that were under way from
bringing the state back. An hour later the same command removes the record's name as well.`

func eraseCommand() *cobra.Command {
	var query erasure.Query
	var order erasure.Order
	var yes bool
	cmd := &cobra.Command{
		Use:   "erase <source> <object type>/<object id> | --matching <text>",
		Short: "Remove one object's or person's data everywhere it is held",
		Long:  eraseHelp,
		Example: `  surehook erase stripe customer/cus_1
  surehook erase stripe customer/cus_1 --reason "ticket 4711" --yes
  echo ann@example.org | surehook erase --matching - --reason "ticket 4711" --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := readQuery(cmd, args, &query); err != nil {
				return usageError{fmt.Errorf("%w: %s", err, cmd.UseLine())}
			}
			if yes {
				if err := errors.Join(checkBy(order.By), checkReason(order.Reason), order.Validate(query)); err != nil {
					return usageError{err}
				}
			}
			env, cfg, err := operatorConfig(cmd)
			if err != nil {
				return err
			}
			return env.withStore(cmd.Context(), cfg, func(ctx context.Context, s *store.Store) error {
				plan, err := erasure.Find(ctx, s, query, progressTo(cmd.ErrOrStderr()))
				switch {
				case err != nil:
					return err
				case plan.Empty():
					return nothingHeld(env, cfg, query)
				case !yes:
					return printPlan(cmd, plan)
				}
				return erase(cmd, env, cfg, s, plan, order)
			})
		},
	}
	addDataFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&query.Text, "matching", "", "erase what holds this text; - reads it from standard input, out of the shell's history")
	f.StringVar(&query.Source, "source", "", "with --matching: only this source")
	f.StringVar(&order.By, "by", operator(), "who asks for it")
	f.StringVar(&order.Reason, "reason", "", "why; it is kept")
	f.BoolVar(&order.Unfinished, "unfinished", false, "end events that are not finished as failed, and erase them too")
	f.BoolVar(&yes, "yes", false, "erase; without it nothing is changed")
	addJSONFlag(cmd)
	return cmd
}

// readQuery makes a query of the arguments or of --matching.
func readQuery(cmd *cobra.Command, args []string, q *erasure.Query) error {
	if !cmd.Flags().Changed("matching") {
		if len(args) < 2 || cmd.Flags().Changed("source") {
			return errors.New("want a source and an object, or --matching")
		}
		object, err := parseObject(strings.Join(args[1:], "/"))
		q.Source, q.Object = args[0], object
		return err
	}
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q beside --matching", args[0])
	}
	if q.Text == "-" {
		text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 1<<10))
		if err != nil {
			return fmt.Errorf("read --matching from standard input: %w", err)
		}
		q.Text = strings.TrimSpace(string(text))
	}
	if err := q.Validate(); err != nil {
		return fmt.Errorf("--matching: %w", err)
	}
	return nil
}

// nothingHeld is the error for what is not here. It does not repeat a text.
func nothingHeld(env environment, cfg config, q erasure.Query) error {
	if q.Source != "" {
		if err := checkSource(cfg.Sources, env, q.Source); err != nil {
			return err
		}
	}
	if q.Object.IsZero() {
		return notFoundError{errors.New("erase: nothing holds this text")}
	}
	return notFoundError{fmt.Errorf("erase: nothing is held of %s %s", q.Source, q.Object)}
}

// progressTo writes one line a tenth of the way.
func progressTo(out io.Writer) func(done, all int64) {
	const steps = 10
	next := int64(0)
	return func(done, all int64) {
		if done*steps < next*all {
			return
		}
		next = done*steps/max(all, 1) + 1
		fmt.Fprintf(out, "reading all events: %d of %d\n", min(done, all), all)
	}
}

// eraseReport is the JSON of an erasure. Its names are stable.
type eraseReport struct {
	Erased     bool                  `json:"erased"` // false: it only says what would be
	ID         int64                 `json:"id,omitempty"`
	Events     []store.HeldEvent     `json:"events"`
	Unfinished []store.HeldEvent     `json:"unfinished"`    // left
	Named      []store.HeldEvent     `json:"named"`         // left: the text is in their IDs
	Records    []store.HeldRecord    `json:"records"`       // their states
	Names      []store.HeldRecord    `json:"record_names"`  // removed as a whole
	Early      []store.HeldRecord    `json:"records_early"` // left for now: their names
	Rejections []store.HeldRejection `json:"rejections"`
	Notes      []store.HeldNote      `json:"notes"`            // their texts
	Workflows  []string              `json:"workflows"`        // whose histories hold an event
	Unseen     []string              `json:"workflows_unseen"` // which may
}

func printPlan(cmd *cobra.Command, plan *erasure.Plan) error {
	report := eraseReport{Events: plan.Events, Unfinished: plan.Unfinished, Named: plan.Named, Rejections: plan.Rejections, Notes: plan.Notes}
	for _, r := range plan.Records {
		switch {
		case r.ErasedAt.IsZero():
			report.Records = append(report.Records, r)
		case r.Early:
			report.Early = append(report.Early, r)
		default:
			report.Names = append(report.Names, r)
		}
	}
	if p := newPrinter(cmd); p.json {
		return printRows(p, "", []eraseReport{report}, nil)
	}
	out := cmd.OutOrStdout()
	fmt.Fprintln(out, "This would be erased:")
	if err := printFields(out, report.fields()); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "\nNothing has been changed. --yes erases; it needs a --reason. Erase at the platform first.")
	return err
}

// erase erases what was found, and says what it has removed and what it has not.
func erase(cmd *cobra.Command, env environment, cfg config, s *store.Store, plan *erasure.Plan, order erasure.Order) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	done, err := plan.Erase(ctx, s, order)
	if err != nil {
		return err
	}
	temporal, badTemporal := inTemporal(cmd, env, cfg, done)
	report := eraseReport{
		Erased: true, ID: done.ID, Events: done.Events, Unfinished: done.Left, Named: plan.Named,
		Records: done.States, Names: done.Names, Early: done.Early, Rejections: done.Rejections,
		Notes: done.Notes, Workflows: temporal.holding, Unseen: temporal.unseen,
	}
	if p := newPrinter(cmd); p.json {
		err = printRows(p, "", []eraseReport{report}, nil)
	} else {
		fmt.Fprintf(out, "Erased, by %s because of %q (erasure %d):\n", order.By, order.Reason, done.ID)
		err = printFields(out, report.fields())
	}
	if badTemporal != nil {
		err = errors.Join(err, fmt.Errorf("erase: look at what Temporal holds: %w", badTemporal))
	}
	if len(done.Left) > 0 {
		err = errors.Join(err, fmt.Errorf("erase: %d events are not finished and still hold it: resolve them and erase again, or add --unfinished", len(done.Left)))
	}
	return err
}

// fields are the lines of a report, with the first few names of each kind.
func (r eraseReport) fields() []field {
	left := "left, still needed"
	fields := []field{
		{"events", counted(r.Events, heldEventName)},
		{"records", counted(r.Records, heldRecordName)},
		{"names of records", counted(r.Names, heldRecordName)},
		{"samples of rejections", counted(r.Rejections, func(x store.HeldRejection) string { return dash(x.Source) + "/" + x.Reason })},
		{"notes", counted(r.Notes, func(n store.HeldNote) string { return n.Kind + " " + n.Name })},
		{left, counted(r.Unfinished, func(e store.HeldEvent) string { return heldEventName(e) + " (" + string(e.Status) + ")" })},
		{"left, an hour too early", counted(r.Early, heldRecordName)},
		{"left, named by it", counted(r.Named, heldEventName)},
		{"left in Temporal", strings.Join(r.Workflows, ", ")},
	}
	if len(r.Unseen) > 0 {
		fields = append(fields, field{"not seen in Temporal", strings.Join(r.Unseen, ", ")})
	}
	if len(r.Workflows) > 0 {
		fields = append(fields, field{"remove with", "temporal workflow delete --workflow-id <id>"})
	}
	return fields
}

func heldEventName(e store.HeldEvent) string { return e.Source + "/" + e.ID }

func heldRecordName(r store.HeldRecord) string { return r.Source + " " + r.Object.String() }

// counted is how many there are, and the first few of them; nothing for none.
func counted[T any](list []T, name func(T) string) string {
	const few = 5
	if len(list) == 0 {
		return ""
	}
	var names []string
	for _, one := range list[:min(few, len(list))] {
		names = append(names, name(one))
	}
	if len(list) > few {
		names = append(names, "…")
	}
	return strconv.Itoa(len(list)) + ": " + strings.Join(names, ", ")
}

func erasuresCommand() *cobra.Command {
	var limit int
	list := &cobra.Command{
		Use:   "list",
		Short: "List erasures, the newest first",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(limit); err != nil {
				return usageError{err}
			}
			return withStore(cmd, func(ctx context.Context, s *store.Store) error {
				rows, err := s.Erasures(ctx, limit)
				if err != nil {
					return err
				}
				return printRows(newPrinter(cmd), "ID BEGUN BY KIND SOURCE EVENTS RECORDS REJECTIONS UNFINISHED REASON", rows, erasureCells)
			})
		},
	}
	list.Flags().IntVar(&limit, "limit", 50, "at most this many")
	addJSONFlag(list)
	cmd := group(&cobra.Command{
		Use:   "erasures",
		Short: "Look at who had data erased, and why",
	}, list)
	addDataFlag(cmd)
	return cmd
}

func erasureCells(e store.Erasure) []string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{
		number(e.ID), seconds(e.BegunAt), e.By, e.Kind, dash(e.Source),
		number(e.Events), number(e.Records), number(e.Rejections), number(e.Unfinished), oneLine(e.Reason, 60),
	}
}
