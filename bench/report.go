//go:build unix

package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// bar is what a case must reach. The median of its repeats decides.
type bar struct {
	text   string
	values func(all results) []float64
	atMost bool // otherwise at least
	limit  float64
}

func (b bar) reached(median float64) bool {
	if b.atMost {
		return median <= b.limit
	}
	return median >= b.limit
}

// within picks a series of one case, and nothing when it was not run.
func within(name string, s series) func(results) []float64 {
	return func(all results) []float64 {
		if r := all[name]; r != nil {
			return r.values(s)
		}
		return nil
	}
}

// between divides two series of one case.
func between(name string, of, by series) func(results) []float64 {
	return func(all results) []float64 {
		if r := all[name]; r != nil {
			return r.ratios(of, by)
		}
		return nil
	}
}

// page is how a case is shown.
type page struct {
	title string
	text  string
	bars  []bar
}

// pages are the cases in the order of the report.
var pages = []struct {
	name string
	page
}{
	{"A", page{
		title: "A. Acknowledgement",
		text: `Signed Stripe events of 2 kB over connections that stay open; each connection sends its next event when the last one has been answered. The yardsticks check the same signature:

- *bare* reads the body, checks the HMAC and answers; nothing is durable.
- *insert-one* parses the event too and stores the same row with one INSERT of its own (lib/pq, a prepared statement, 20 connections).
- *group* does the same with one INSERT for all requests that came in while the last one was committed. Its table has the one index that dedupes.
- *indexed* is *group* on a table with the indexes of Surehook's inbox: what they cost.

Surehook has its whole way to the inbox: limits, metrics, strict parsing, sorting, counting duplicates, offering to the relay. Temporal is away, as in an outage, so that the machine has for all of them the same to do besides. In the last setting it is there, Surehook works off a backlog, and the yardstick is measured beside that.`,
		bars: []bar{
			{"acked/s at 64 connections, of *group*", between("A",
				series{"64 connections", surehook, "acked/s"}, series{"64 connections", group, "acked/s"}), false, 0.9},
			{"p99 at 64 connections, of *group*", between("A",
				series{"64 connections", surehook, "p99 ms"}, series{"64 connections", group, "p99 ms"}), true, 1.2},
			{"p50 at 1 connection, of *insert-one*", between("A",
				series{"1 connection", surehook, "p50 ms"}, series{"1 connection", insertOne, "p50 ms"}), true, 1.3},
			{"for information: acked/s at 64 connections, of *indexed*", between("A",
				series{"64 connections", surehook, "acked/s"}, series{"64 connections", indexed, "acked/s"}), false, 0},
			{"for information: acked/s while draining, of *group* beside the same drain", between("A",
				series{whileDraining, surehook, "acked/s"}, series{whileDraining, group, "acked/s"}), false, 0},
		},
	}},
	{"B", page{
		title: "B. End to end",
		text:  `From the first event accepted to the last record saved, by the database's clock; each event about an object of its own, so that no fetch can stand for two events. While more than a hundred wait, a joint run of Surehook takes up to 16 of them; in *Surehook, a run each* none does (SUREHOOK_OBJECTS_PER_RUN=1). *textbook* is a handler that starts a workflow with the event in it, and the workflow's three activities store the event, fetch the object and update the record, all with the SDK's defaults. *StartWorkflow only* starts workflows, 32 calls at once, that nobody runs: what Temporal can take on this machine. *empty workflow* starts them as Surehook does, eagerly, and a worker ends each at once without doing anything: what Temporal leaves to whoever runs a workflow to its end. Single events are sent to the idle system one after the other, and timed from the request's first byte until a query, repeated every millisecond, finds the event processed.`,
		bars: []bar{
			{"events/s, of *textbook*", between("B", series{instantFetch, surehook, rateMetric}, series{instantFetch, textbookName, rateMetric}), false, 4},
			{"events/s, of *StartWorkflow only*", between("B", series{instantFetch, surehook, rateMetric}, series{instantFetch, startOnly, rateMetric}), false, 0.6},
			{"for information: events/s with a run each, of *StartWorkflow only*", between("B", series{instantFetch, aloneName, rateMetric}, series{instantFetch, startOnly, rateMetric}), false, 0},
			{"for information: events/s with a run each, of *textbook*", between("B", series{instantFetch, aloneName, rateMetric}, series{instantFetch, textbookName, rateMetric}), false, 0},
			{"for information: events/s with a run each, of *empty workflow*", between("B", series{instantFetch, aloneName, rateMetric}, series{instantFetch, emptyRuns, rateMetric}), false, 0},
			{"for information: *empty workflow*, of *StartWorkflow only*", between("B", series{instantFetch, emptyRuns, rateMetric}, series{instantFetch, startOnly, rateMetric}), false, 0},
			{"single events p50, ms", within("B", series{idle, surehook, "p50 ms"}), true, 25},
			{"for information: events/s with a fetch of 20 ms, of *textbook*", between("B", series{slowFetch, surehook, rateMetric}, series{slowFetch, textbookName, rateMetric}), false, 0},
			{"for information: events/s (a further aim: 300)", within("B", series{instantFetch, surehook, rateMetric}), false, 0},
		},
	}},
	{"C", page{
		title: "C. Cost of an event",
		text:  `Counted, not timed: noise changes nothing here. All figures are for one event of an object of its own. *statements* are those of Surehook on its database, without BEGIN and COMMIT, as pg_stat_statements counts them; those that a burst shares are divided among its events, and what a run costs Temporal among those that it finished. WAL is what the statements wrote ahead, *all WAL* what the whole server did, with full pages after the checkpoint before each run. *Cloud actions* are counted from the histories by Temporal's rules.`,
		bars: []bar{
			{"Cloud actions", within("C", series{inBurst, surehook, cloudActions}), true, 2},
			{"history events", within("C", series{inBurst, surehook, historyEvents}), true, 6},
			{"statements, in a burst", within("C", series{inBurst, surehook, ourStatements}), true, 3},
			{"for information: statements, one at a time", within("C", series{oneByOne, surehook, ourStatements}), true, math.Inf(1)},
		},
	}},
	{"D", page{
		title: "D. Burst and backlog",
		text:  `The burst comes over 64 connections as fast as it is acknowledged, each event about an object of its own. While it is worked off, ten events of another source come at once, several times; they are timed from the first request to the last record. Then, with a fresh database, events come at a steady pace and Temporal is killed (SIGKILL) among them and started again later. *lost* counts acknowledged events that are not in the inbox, *not processed* those that are in it unfinished after the drain, *oldest* is the highest age of a pending event. Memory is the resident set, for Postgres the sum of its processes' proportional sets.`,
		bars: []bar{
			{"lost in the burst", within("D", series{allAtOnce, surehook, "lost"}), true, 0},
			{"not processed after the burst", within("D", series{allAtOnce, surehook, "not processed"}), true, 0},
			{"lost in the outage", within("D", series{temporalOut, surehook, "lost"}), true, 0},
			{"not processed after the outage", within("D", series{temporalOut, surehook, "not processed"}), true, 0},
			{"drained/s, of B's rate in the same run", between("D", series{allAtOnce, surehook, drainRate}, series{reference, surehook, rateMetric}), false, 0.8},
			{"the other source's p99, ms", within("D", series{neighbour, surehook, "p99 ms"}), true, 1000},
			{"Surehook's memory in the burst, MiB", within("D", series{allAtOnce, surehook, peakOurs}), true, 300},
			{"Surehook's memory in the outage, MiB", within("D", series{temporalOut, surehook, peakOurs}), true, 300},
		},
	}},
	{"E", page{
		title: "E. Growth",
		text:  `Inboxes of several sizes beside each other, measured in turns: nearly all rows processed, 2 % ignored, up to 0.1 % in review and of a rare source, but enough to fill a list, five events for each object, bodies of 512 bytes. *ack* and *duplicate* are sent over 16 connections; the duplicates are events from all over the table. A sweep looks for 500 due events, where none is due and where 1,000 are. The lists are those of a console, 50 rows each, read through the store.`,
	}},
	{"F", page{
		title: "F. Coalescing",
		text:  `A burst in which ten events, in random order, are about each object, which changes at the platform just before its event is sent. *wrong records* counts records that differ from the platform's state in the end.`,
		bars: []bar{
			{"events/s end to end", within("F", series{coalescing, surehook, rateMetric}), false, 1000},
			{"wrong records", within("F", series{coalescing, surehook, "wrong records"}), true, 0},
			{"lost", within("F", series{coalescing, surehook, "lost"}), true, 0},
			{"not processed", within("F", series{coalescing, surehook, "not processed"}), true, 0},
		},
	}},
}

// growthFactor is how much more any figure of case E may be for the largest
// inbox than for the smallest.
const growthFactor = 1.5

// growthBars are made of what was measured: one for each metric.
func growthBars(r *caseResult) []bar {
	settings, metrics := r.settings(), r.metrics("")
	if len(settings) < 2 {
		return nil
	}
	rows := func(setting string) int {
		n, _ := strconv.Atoi(strings.ReplaceAll(strings.TrimSuffix(setting, " rows"), ",", ""))
		return n
	}
	slices.SortFunc(settings, func(a, b string) int { return rows(a) - rows(b) })
	small, large := settings[0], settings[len(settings)-1]
	var bars []bar
	for _, metric := range metrics {
		bars = append(bars, bar{
			fmt.Sprintf("%s, %s of %s", metric, large, small),
			between("E", series{large, surehook, metric}, series{small, surehook, metric}), true, growthFactor,
		})
	}
	return bars
}

// settings are those of the measurements, in the order in which they came.
func (c *caseResult) settings() []string {
	var all []string
	for _, m := range c.Measurements {
		if !slices.Contains(all, m.Setting) {
			all = append(all, m.Setting)
		}
	}
	return all
}

// metrics are those of a setting, or of all when it is empty.
func (c *caseResult) metrics(setting string) []string {
	var all []string
	for _, m := range c.Measurements {
		if (setting == "" || m.Setting == setting) && !slices.Contains(all, m.Metric) {
			all = append(all, m.Metric)
		}
	}
	return all
}

// subjects are those of a setting, by name, Surehook first.
func (c *caseResult) subjects(setting string) []string {
	found := map[string]bool{}
	for _, m := range c.Measurements {
		if m.Setting == setting {
			found[m.Subject] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b string) int {
		if (a == surehook) != (b == surehook) {
			if a == surehook {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
}

const reportHead = `# Benchmarks

Written by ` + "`make bench`" + ` (bench/), raw figures in benchmarks.json beside it. Each figure is the median of its repeats, with the lowest and the highest in parentheses; each ratio is taken within a repeat, in which Surehook and its yardstick were measured in turns. Absolute figures are those of this machine, which runs the load, the platform, Surehook, Temporal and Postgres at once, and may share its processors and its disk with strangers: only the ratios say something about another one.

`

// report is the page.
func report(all results) string {
	var b strings.Builder
	b.WriteString(reportHead)
	b.WriteString("## What must be reached\n\n| case | what | bar | measured | |\n|---|---|---|---|---|\n")
	for _, p := range pages {
		for _, line := range p.bars {
			writeBar(&b, p.name, line, all)
		}
		if r := all["E"]; p.name == "E" && r != nil {
			for _, line := range growthBars(r) {
				writeBar(&b, "E", line, all)
			}
		}
	}
	for _, p := range pages {
		if r := all[p.name]; r != nil {
			writeCase(&b, p.page, r)
		}
	}
	return b.String()
}

func writeBar(b *strings.Builder, name string, line bar, all results) {
	values := line.values(all)
	if len(values) == 0 {
		return
	}
	sum := summarize(values)
	verdict, sign := "missed", "≥"
	if line.reached(sum.median) {
		verdict = "reached"
	}
	if line.atMost {
		sign = "≤"
	}
	limit := sign + " " + figure(line.limit)
	if strings.HasPrefix(line.text, "for information") {
		verdict, limit = "", ""
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", name, line.text, limit, cell(values), verdict)
}

func writeCase(b *strings.Builder, p page, r *caseResult) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n", p.title, p.text)
	for _, setting := range r.settings() {
		writeSetting(b, r, setting)
	}
	for _, l := range r.Listings {
		fmt.Fprintf(b, "\n%s:\n\n", l.Title)
		writeRow(b, l.Header)
		writeRow(b, slices.Repeat([]string{"---"}, len(l.Header)))
		for _, row := range l.Rows {
			writeRow(b, row)
		}
	}
	for _, note := range r.Notes {
		fmt.Fprintf(b, "\n> %s\n", note)
	}
	e := r.Environment
	var sizes []string
	for _, name := range slices.Sorted(maps.Keys(r.Sizes)) {
		sizes = append(sizes, name+" "+r.Sizes[name])
	}
	fmt.Fprintf(b, "\nMeasured %s in %s with `go run ./bench -case %s` (%s), at commit %s.\n", r.Began.Format("2006-01-02 15:04 MST"), r.Took, r.Case, strings.Join(sizes, "; "), e.Commit)
	fmt.Fprintf(b, "Machine: %s, %d cores, %d GiB, %s; a write that waits for the disk takes %d µs; load before the case %s.\n",
		e.CPU, e.Cores, e.MemoryGiB, e.Kernel, e.SyncMicros, e.Load)
	fmt.Fprintf(b, "%s, Postgres %s (%s), Temporal server %s with %d history shards, its Go SDK %s, %s.\n",
		e.Go, e.Postgres, e.Settings, e.Temporal, e.Shards, e.SDK, e.Driver)
}

// writeSetting is a table with a line for each subject, or with one for each
// metric where there is only one subject and many metrics.
func writeSetting(b *strings.Builder, r *caseResult, setting string) {
	subjects, metrics := r.subjects(setting), r.metrics(setting)
	fmt.Fprintf(b, "\n**%s**\n\n", setting)
	if len(subjects) == 1 && len(metrics) > 6 {
		writeRow(b, []string{"", subjects[0]})
		writeRow(b, []string{"---", "---"})
		for _, metric := range metrics {
			writeRow(b, []string{metric, cell(r.values(series{setting, subjects[0], metric}))})
		}
		return
	}
	writeRow(b, append([]string{""}, metrics...))
	writeRow(b, slices.Repeat([]string{"---"}, len(metrics)+1))
	for _, subject := range subjects {
		row := []string{subject}
		for _, metric := range metrics {
			row = append(row, cell(r.values(series{setting, subject, metric})))
		}
		writeRow(b, row)
	}
}

func writeRow(b *strings.Builder, cells []string) {
	for _, c := range cells {
		b.WriteString("| " + strings.ReplaceAll(c, "|", `\|`) + " ")
	}
	b.WriteString("|\n")
}

// cell shows the median and the spread.
func cell(values []float64) string {
	sum := summarize(values)
	switch {
	case len(values) == 0:
		return ""
	case sum.low == sum.high:
		return figure(sum.median)
	}
	return fmt.Sprintf("%s (%s–%s)", figure(sum.median), figure(sum.low), figure(sum.high))
}

// figure shows three digits that matter.
func figure(v float64) string {
	switch abs := math.Abs(v); {
	case v == math.Trunc(v) || abs >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case abs >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}
