//go:build unix

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	deployed "github.com/surehook/surehook/deploy/temporal"
)

// settings are what a run can be told.
type settings struct {
	cases    []string
	repeats  int
	out      string // of the report, without extension
	profiles string // folder
	binary   string // the product's, built by somebody else
	serveEnv []string
	postgres []string       // further settings of it
	temporal map[string]any // its dynamic configuration
	shards   int

	temporalText string // its dynamic configuration, where it is not as deployed
	temporalEnv  []string
	ownIndexes   bool // its visibility has the indexes of its own schema

	profileSeconds int

	ackLetters     int   // for each number of connections but 1, where it is a tenth
	connections    []int // of case A
	ackBacklog     int   // events that the worker is busy with
	events         int   // case B, and the reference in D
	singles        int   // case B, sent one at a time
	limitStarts    int   // case B, StartWorkflow only
	costEvents     int   // case C
	burst          int   // case D
	outage         time.Duration
	outageRate     int // events per second under load while Temporal is down
	fairRounds     int // of ten events of the other source
	rows           []int
	growthLetters  int
	coalesceEvents int // case F, over a tenth as many objects
}

// full is what the report is made of; it takes hours. quick takes minutes and
// only shows that everything works: its figures are not for comparison.
var (
	full = settings{
		repeats: 3, ackLetters: 40_000, connections: []int{1, 16, 64, 256}, ackBacklog: 20_000,
		events: 3_000, singles: 300, limitStarts: 5_000, costEvents: 2_000, burst: 100_000,
		outage: time.Minute, outageRate: 100, fairRounds: 20, rows: []int{1_000, 1_000_000, 5_000_000}, growthLetters: 10_000,
		coalesceEvents: 20_000,
	}
	quick = settings{
		repeats: 1, ackLetters: 3_000, connections: []int{1, 64}, ackBacklog: 1_000,
		events: 300, singles: 50, limitStarts: 500, costEvents: 200, burst: 2_000,
		outage: 10 * time.Second, outageRate: 50, fairRounds: 2, rows: []int{1_000, 50_000}, growthLetters: 1_000,
		coalesceEvents: 2_000,
	}
)

// caseNames are all cases in the order in which they run: those without
// Temporal first.
var caseNames = []string{"A", "E", "B", "C", "F", "D"}

func parse(args []string, errors io.Writer) (*settings, error) {
	// The preset decides what the other flags' defaults are.
	small := slices.Contains(args, "-quick") || slices.Contains(args, "--quick")
	preset := full
	if small {
		preset = quick
	}
	s := &preset
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errors)
	flags.Usage = func() {
		fmt.Fprint(errors, usageText)
		flags.PrintDefaults()
	}
	flags.Bool("quick", small, "sizes for a few minutes, to see that everything works")
	cases := flags.String("case", strings.Join(caseNames, ","), "which cases to run, such as A,B")
	flags.StringVar(&s.out, "out", "", "write the report to this path with .md, and what was measured with .json; cases\nthat are not run keep what the .json says (default docs/benchmarks, with -quick only printed)")
	flags.StringVar(&s.profiles, "profiles", "", "a folder for pprof profiles of surehook during each case")
	flags.IntVar(&s.profileSeconds, "profile-seconds", 5, "how long the processor is profiled")
	flags.StringVar(&s.binary, "surehook", "", "measure this binary instead of building one from these sources, for a comparison")
	env := flags.String("env", "", "further variables for surehook, such as SUREHOOK_DATABASE_MAX_CONNS=40,GOGC=200")
	postgres := flags.String("postgres", "", "further settings of Postgres, such as wal_compression=lz4,checkpoint_timeout=30min")
	temporal := flags.String("temporal", "", "further dynamic configuration of Temporal besides that of deploy/temporal")
	temporalEnv := flags.String("temporal-env", "", "further variables for Temporal, such as GOGC=100")
	flags.BoolVar(&s.ownIndexes, "temporal-indexes", false, "leave Temporal's visibility the indexes of its own schema, without deploy/temporal/visibility.sql")
	flags.IntVar(&s.shards, "shards", 16, "history shards of Temporal")
	flags.IntVar(&s.repeats, "repeats", s.repeats, "how often each measurement is made")
	flags.IntVar(&s.ackLetters, "ack-events", s.ackLetters, "A: events for each number of connections (a tenth with one connection)")
	flags.IntVar(&s.ackBacklog, "ack-backlog", s.ackBacklog, "A: events the worker is busy with")
	flags.IntVar(&s.events, "events", s.events, "B: events of one run")
	flags.IntVar(&s.singles, "singles", s.singles, "B: single events on the idle system")
	flags.IntVar(&s.limitStarts, "starts", s.limitStarts, "B: workflows that are only started")
	flags.IntVar(&s.costEvents, "cost-events", s.costEvents, "C: events")
	flags.IntVar(&s.burst, "burst", s.burst, "D: events of the burst")
	flags.DurationVar(&s.outage, "outage", s.outage, "D: how long Temporal is down")
	flags.IntVar(&s.outageRate, "outage-rate", s.outageRate, "D: events per second before, during and after that")
	flags.IntVar(&s.fairRounds, "fair-rounds", s.fairRounds, "D: how often ten events of another source come during the drain")
	flags.IntVar(&s.growthLetters, "growth-events", s.growthLetters, "E: events sent at each size")
	flags.IntVar(&s.coalesceEvents, "coalesce-events", s.coalesceEvents, "F: events, over a tenth as many objects")
	rows := flags.String("rows", joined(s.rows), "E: sizes of the inbox")
	connections := flags.String("connections", joined(s.connections), "A: numbers of connections")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	s.cases = strings.Split(strings.ToUpper(*cases), ",")
	for _, name := range s.cases {
		if !slices.Contains(caseNames, name) {
			return nil, fmt.Errorf("there is no case %q, only %s", name, strings.Join(caseNames, ", "))
		}
	}
	if *temporalEnv != "" {
		s.temporalEnv = strings.Split(*temporalEnv, ",")
	}
	if *env != "" {
		s.serveEnv = strings.Split(*env, ",")
	}
	if *postgres != "" {
		s.postgres = strings.Split(*postgres, ",")
	}
	s.temporalText = *temporal
	further, err := dynamicConfig(*temporal)
	if err != nil {
		return nil, fmt.Errorf("-temporal: %w", err)
	}
	if s.temporal, err = deployed.DynamicConfig(); err != nil {
		return nil, err
	}
	maps.Copy(s.temporal, further)
	if s.rows, err = numbers(*rows); err != nil {
		return nil, fmt.Errorf("-rows: %w", err)
	}
	if s.connections, err = numbers(*connections); err != nil {
		return nil, fmt.Errorf("-connections: %w", err)
	}
	if s.out == "" && !small {
		s.out = "docs/benchmarks"
	}
	return s, nil
}

// dynamicConfig reads key=value, separated by commas; the values are numbers,
// booleans or else text.
func dynamicConfig(text string) (map[string]any, error) {
	values := map[string]any{}
	for part := range strings.SplitSeq(text, ",") {
		if part == "" {
			continue
		}
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not key=value", part)
		}
		if json.Unmarshal([]byte(value), new(any)) == nil {
			values[key] = json.RawMessage(value)
		} else {
			values[key] = value
		}
	}
	return values, nil
}

const usageText = `Bench measures Surehook against its yardsticks on this machine and writes a report. It needs Go, and Postgres
15 or later installed with its contrib modules. It starts everything it needs on loopback and removes it at the end.

  go run ./bench -quick               see that everything works
  go run ./bench                      everything; leave the machine alone for some hours
  go run ./bench -case A -repeats 5   one case again; the report keeps the others

`

func joined(numbers []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ","), "[]")
}

func numbers(text string) ([]int, error) {
	var all []int
	for part := range strings.SplitSeq(text, ",") {
		var n int
		if _, err := fmt.Sscan(part, &n); err != nil || n <= 0 {
			return nil, fmt.Errorf("%q is no positive number", part)
		}
		all = append(all, n)
	}
	return all, nil
}

// sizes says of the report's figures how much they were measured with.
func (s *settings) sizes(name string) map[string]string {
	sizes := map[string]string{"repeats": strconv.Itoa(s.repeats)}
	switch name {
	case "A":
		sizes["events"] = fmt.Sprintf("%d, with 1 connection %d", s.ackLetters, s.ackLetters/10)
		sizes["backlog"] = strconv.Itoa(s.ackBacklog)
	case "B":
		sizes["events"], sizes["singles"], sizes["starts"] = strconv.Itoa(s.events), strconv.Itoa(s.singles), strconv.Itoa(s.limitStarts)
	case "C":
		sizes["events"] = strconv.Itoa(s.costEvents)
	case "D":
		sizes["burst"], sizes["outage"] = strconv.Itoa(s.burst), fmt.Sprintf("%s at %d events/s", s.outage, s.outageRate)
	case "E":
		sizes["rows"], sizes["events"] = joined(s.rows), strconv.Itoa(s.growthLetters)
	case "F":
		sizes["events"], sizes["objects"] = strconv.Itoa(s.coalesceEvents), strconv.Itoa(s.coalesceEvents/10)
	}
	if s.binary != "" {
		sizes["surehook"] = "another build"
	}
	if s.temporalText != "" {
		sizes["Temporal's further configuration"] = s.temporalText
	}
	if len(s.temporalEnv) > 0 {
		sizes["Temporal's environment"] = strings.Join(s.temporalEnv, " ")
	}
	if s.ownIndexes {
		sizes["Temporal's visibility"] = "with its own indexes"
	}
	if len(s.serveEnv) > 0 {
		sizes["surehook's environment"] = strings.Join(s.serveEnv, " ")
	}
	return sizes
}
