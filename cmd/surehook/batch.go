package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"github.com/surehook/surehook/internal/sources"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

// batchFlags are those of the commands that do something with many events. Without
// yes they only say what they would do.
type batchFlags struct {
	source, typ, status, since, until string

	by, reason, name, rate string
	yes                    bool
}

func (f *batchFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.source, "source", "", "only events of this source")
	flags.StringVar(&f.typ, "type", "", "only this event type; * stands for any characters")
	addTimeFlags(cmd, &f.since, &f.until)
	flags.StringVar(&f.by, "by", operator(), "who decides")
	flags.StringVar(&f.reason, "reason", "", "why; it is kept")
	flags.StringVar(&f.name, "batch", "", "the name of the batch: to go on with one, or for a new one")
	flags.StringVar(&f.rate, "rate", "50/s", "at most so many events per s, m or h")
	flags.BoolVar(&f.yes, "yes", false, "do it, instead of saying what would be done")
}

// batchName keeps a name fit for workflow IDs and shells.
var batchName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// check reads what the flags have in common. A batch that has no name gets one.
func (f *batchFlags) check(ids []string) (store.BatchFilter, *rate.Limiter, error) {
	filter := store.BatchFilter{Source: f.source, Type: f.typ, IDs: ids}
	var badStatus, badTimes, badRate, badName error
	filter.Status, badStatus = parseStatus(f.status)
	filter.Since, filter.Until, badTimes = parseTimes(f.since, f.until, time.Now())
	pace, err := parsePace(f.rate)
	if err != nil {
		badRate = fmt.Errorf("--rate: %w", err)
	}
	if f.name != "" && !batchName.MatchString(f.name) {
		badName = fmt.Errorf("--batch %q: want a-z, 0-9, dots, - and _, at most 63 characters", f.name)
	}
	if err := errors.Join(badStatus, badTimes, badRate, badName, checkBy(f.by)); err != nil {
		return filter, nil, usageError{err}
	}
	return filter, pace, nil
}

// maxStep is the most that one step takes, so that progress is seen.
const maxStep = 500

// parsePace makes a step as large as what a quarter of a second lets through. A step
// is taken first and waited for afterwards, so there is nothing to begin with.
func parsePace(text string) (*rate.Limiter, error) {
	limit, _, err := sources.ParseRate(text)
	if err != nil {
		return nil, err
	}
	pace := rate.NewLimiter(limit, max(1, min(maxStep, int(limit/4))))
	pace.AllowN(time.Now(), pace.Burst())
	return pace, nil
}

// newBatchName is for a batch that nobody has named.
func newBatchName() string {
	b := make([]byte, 2)
	_, _ = rand.Read(b) // it never fails
	return time.Now().UTC().Format("20060102-150405-") + hex.EncodeToString(b)
}

// batchWork is a command on its way through a batch.
type batchWork struct {
	cmd    *cobra.Command
	store  *store.Store
	flags  *batchFlags
	filter store.BatchFilter
	pace   *rate.Limiter

	what   store.BatchKind
	action string // of resolve
	did    string // in the past tense
	vague  bool   // the flags say too little for a new batch

	// objection says why events are left as they are, or nothing when they are not.
	objection func(store.BatchCount) string
	// plan says what would be done.
	plan func(*batchWork, []store.BatchCount) error
	// step does as much as the rate lets through at once.
	step func(context.Context, store.Batch) (store.Batch, error)
}

// do goes on with the batch that is there, or makes it; without --yes it only says
// what it would do.
func (w *batchWork) do(ctx context.Context, env environment, cfg config) error {
	b, there, err := w.find(ctx)
	switch {
	case err != nil:
		return err
	case there && w.flags.yes:
		return w.run(ctx, b, 0)
	case there:
		return w.planRest(b)
	case w.vague:
		return fmt.Errorf("batch %s: %w: say which events it is to have", w.flags.name, providers.ErrNotFound)
	}
	counts, err := w.store.CountBatch(ctx, w.filter)
	if err == nil {
		err = w.checkCounted(env, cfg, counts)
	}
	if err != nil {
		return err
	}
	if !w.flags.yes {
		return w.plan(w, counts)
	}
	if b, err = w.begin(ctx); err != nil {
		return err
	}
	return w.run(ctx, b, sum(counts, w.objection))
}

// asked is the batch that the flags ask for.
func (w *batchWork) asked() store.Batch {
	return store.Batch{
		Name: w.flags.name, What: w.what, Action: w.action, Filter: w.filter, AskedBy: w.flags.by, Reason: w.flags.reason,
	}
}

// find returns the batch that the flags name, if it is there. Without a filter they
// mean its own.
func (w *batchWork) find(ctx context.Context) (b store.Batch, there bool, err error) {
	if w.flags.name == "" {
		w.flags.name = newBatchName()
		return b, false, nil
	}
	b, err = w.store.Batch(ctx, w.flags.name)
	switch {
	case isNotFound(err):
		return b, false, nil
	case err != nil:
		return b, false, err
	}
	if w.filter.IsZero() && b.What == w.what {
		w.filter = b.Filter
	}
	if !b.Same(w.asked()) {
		return b, true, isAnother(b)
	}
	return b, true, nil
}

// begin makes the batch, or finds it when another process has just done so.
func (w *batchWork) begin(ctx context.Context) (store.Batch, error) {
	if err := checkReason(w.flags.reason); err != nil {
		return store.Batch{}, usageError{err}
	}
	b, err := w.store.BeginBatch(ctx, w.asked())
	if errors.Is(err, store.ErrOtherBatch) {
		return b, isAnother(b)
	}
	return b, err
}

func isAnother(b store.Batch) error {
	return usageError{fmt.Errorf("batch %s is another one: %s of %s, asked for by %s at %s: choose another name, or name no events to go on with that one",
		b.Name, describe(b), filterText(b.Filter), b.AskedBy, clock(b.AskedAt))}
}

// sayPlan ends what would be done with the command that does it.
func (w *batchWork) sayPlan(command []string, n int64, what string) error {
	out := w.cmd.OutOrStdout()
	if n == 0 {
		_, err := fmt.Fprintf(out, "\nNo event would be %s.\n", what)
		return err
	}
	command = append(command, "--batch", w.flags.name, "--rate", w.flags.rate, "--reason", "…", "--yes")
	if w.flags.reason != "" {
		command[len(command)-2] = quote(w.flags.reason)
	}
	_, err := fmt.Fprintf(out, "\n%s would be %s, at %s. Nothing has been changed. To do it:\n  %s%s\n",
		events(n), what, w.flags.rate, strings.Join(command, " "), nextFlags(w.cmd))
	return err
}

// planRest says what is left of a batch that is there.
func (w *batchWork) planRest(b store.Batch) error {
	out := w.cmd.OutOrStdout()
	fmt.Fprintf(out, "batch %s: %s of %s, asked for by %s at %s\n", b.Name, describe(b), filterText(b.Filter), b.AskedBy, clock(b.AskedAt))
	if !b.FinishedAt.IsZero() {
		return w.sayFinished(b)
	}
	_, err := fmt.Fprintf(out, "%s %s so far. To go on:\n  %s\n", events(b.Events), w.did, w.again())
	return err
}

func (w *batchWork) sayFinished(b store.Batch) error {
	_, err := fmt.Fprintf(w.cmd.OutOrStdout(), "batch %s was finished at %s: %s %s; nothing is left to do\n",
		b.Name, clock(b.FinishedAt), events(b.Events), w.did)
	return err
}

// run takes one step after another until the batch is finished, and says how far it
// has come. expected is 0 when that is not known.
func (w *batchWork) run(ctx context.Context, b store.Batch, expected int64) error {
	if !b.FinishedAt.IsZero() {
		return w.sayFinished(b)
	}
	out := w.cmd.OutOrStdout()
	fmt.Fprintf(out, "batch %s\n", b.Name)
	said := time.Now()
	for b.FinishedAt.IsZero() {
		next, err := w.step(ctx, b)
		if err == nil {
			err = w.wait(ctx, b, next)
			b = next
		}
		if err != nil {
			return w.interrupted(ctx, b, err)
		}
		if time.Since(said) >= time.Second {
			said = time.Now()
			w.progress(out, b, expected)
		}
	}
	w.progress(out, b, 0)
	if b.Failed > 0 {
		return fmt.Errorf("%s could not be %s", events(b.Failed), w.did)
	}
	return nil
}

// wait keeps to the rate after a step. Another process may have taken steps of the
// same batch meanwhile.
func (w *batchWork) wait(ctx context.Context, before, after store.Batch) error {
	if !after.FinishedAt.IsZero() {
		return nil
	}
	return w.pace.WaitN(ctx, int(min(max(0, after.Events-before.Events), int64(w.pace.Burst()))))
}

func (w *batchWork) progress(out io.Writer, b store.Batch, expected int64) {
	line := events(b.Events) + " " + w.did
	if expected > 0 {
		line = fmt.Sprintf("%d of %s %s", b.Events, events(expected), w.did)
	}
	if b.Failed > 0 {
		line += fmt.Sprintf(", %d failed", b.Failed)
	}
	fmt.Fprintln(out, line)
}

// interrupted says how to go on.
func (w *batchWork) interrupted(ctx context.Context, b store.Batch, err error) error {
	if ctx.Err() != nil {
		err = errors.New("stopped")
	}
	return fmt.Errorf("%w after %s; go on with: %s", err, events(b.Events), w.again())
}

// again is the command that goes on with the batch.
func (w *batchWork) again() string {
	command := "replay"
	if w.what == store.BatchResolve {
		command = "resolve --all " + w.action
	}
	return fmt.Sprintf("surehook %s --batch %s --yes%s", command, w.flags.name, nextFlags(w.cmd))
}

// events counts them for people.
func events(n int64) string {
	if n == 1 {
		return "1 event"
	}
	return fmt.Sprintf("%d events", n)
}

// describe says in words what a batch does.
func describe(b store.Batch) string {
	return strings.TrimSpace(string(b.What) + " " + b.Action)
}

// filterFlags are the filter as flags for a printed command.
func filterFlags(f store.BatchFilter) []string {
	var flags []string
	add := func(name, value string) {
		if value != "" {
			flags = append(flags, "--"+name, quote(value))
		}
	}
	add("source", f.Source)
	add("type", f.Type)
	add("status", string(f.Status))
	if !f.Since.IsZero() {
		add("since", f.Since.Format(time.RFC3339Nano))
	}
	if !f.Until.IsZero() {
		add("until", f.Until.Format(time.RFC3339Nano))
	}
	return flags
}

// filterText is the filter for people.
func filterText(f store.BatchFilter) string {
	words := filterFlags(f)
	switch n := len(f.IDs); n {
	case 0:
	case 1:
		words = append(words, f.IDs[0])
	default:
		words = append(words, fmt.Sprintf("%d ids", n))
	}
	return cmp.Or(strings.Join(words, " "), "all events")
}

// plainWord needs no quotes in a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// quote makes a word of a printed command one word for a shell too.
func quote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// checkCounted refuses a source that is not declared, and IDs that are not there,
// when there is nothing of them.
func (w *batchWork) checkCounted(env environment, cfg config, counts []store.BatchCount) error {
	if len(counts) > 0 {
		return nil
	}
	if w.filter.Source != "" {
		if err := checkSource(cfg.Sources, env, w.filter.Source); err != nil {
			return err
		}
	}
	if len(w.filter.IDs) > 0 {
		return fmt.Errorf("%s %s: %w", w.what, filterText(w.filter), providers.ErrNotFound)
	}
	return nil
}

// sum is the number of events for which there is no objection.
func sum(counts []store.BatchCount, objection func(store.BatchCount) string) (n int64) {
	for _, c := range counts {
		if objection(c) == "" {
			n += c.Count
		}
	}
	return n
}
