//go:build unix

package integration_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/sandbox"
)

// What steers the torture, beside the variables in process_harness_test.go:
//
//	SUREHOOK_TORTURE_SEEDS     how many runs on each ground, 1 by default
//	SUREHOOK_TORTURE_SEED      the seed of the first, to do it again; random by default
//	SUREHOOK_TORTURE_CHANGES   how many changes a run makes at the platforms, 250 by default
//	SUREHOOK_TORTURE_DURATION  over which time, 25 ms for each by default
//	SUREHOOK_TORTURE_DIR       where a run that failed leaves what it knows; a temporary folder by default
const (
	envTortureSeeds    = "SUREHOOK_TORTURE_SEEDS"
	envTortureSeed     = "SUREHOOK_TORTURE_SEED"
	envTortureChanges  = "SUREHOOK_TORTURE_CHANGES"
	envTortureDuration = "SUREHOOK_TORTURE_DURATION"
	envTortureDir      = "SUREHOOK_TORTURE_DIR"
)

// tortureGround is what a run stands on.
type tortureGround struct {
	name     string
	postgres bool // else SQLite
	temporal temporalKind
}

// TestTorture lets everything go wrong at once that is known to go wrong, and then
// asks of the platforms' own logs and states whether we have kept the contract.
// docs/convergence.md says what is done and what is checked.
func TestTorture(t *testing.T) {
	if testing.Short() {
		t.Skip("needs minutes: run it without -short")
	}
	seeds, changes := number(t, envTortureSeeds, 1), number(t, envTortureChanges, 250)
	first := number(t, envTortureSeed, rand.Uint64()>>1)
	duration := time.Duration(changes) * 25 * time.Millisecond
	if text := os.Getenv(envTortureDuration); text != "" {
		var err error
		duration, err = time.ParseDuration(text)
		require.NoError(t, err, envTortureDuration)
	}
	for _, on := range []tortureGround{
		{"SQLite", false, embedded},
		{"Postgres", true, embedded},
		{"Postgres with Temporal on Postgres", true, onPostgres},
	} {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			if on.temporal == onPostgres {
				needTemporalOnPostgres(t)
			}
			for i := range seeds {
				t.Run(fmt.Sprint("seed ", first+i), func(t *testing.T) {
					t.Parallel()
					newTorture(t, on, first+i, int(changes)).run(duration)
				})
			}
		})
	}
}

func number(t *testing.T, variable string, byDefault uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return byDefault
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, variable)
	return n
}

// run does the whole of it. Before the reconciliation the records must differ from
// the platforms, and joint runs must have been made: otherwise nothing would have
// been lost or shared, and nothing proven.
func (w *torture) run(duration time.Duration) {
	t := w.t
	t.Logf("again: %s=%d %s=%d %s=%s go test -v -run '%s' ./integration_test",
		envTortureSeed, w.seed, envTortureChanges, w.planned, envTortureDuration, duration, t.Name())
	r := &tortureReport{w: w}
	began := time.Now()
	w.storm(duration)
	r.note("storm", began)
	began = time.Now()
	w.calm()
	w.rest()
	w.aftermath()
	w.calm()
	w.rest()
	r.note("rest and aftermath", began)

	f := w.facts()
	verdicts := f.judge()
	refused, unsure, kept := f.refusedHadNoEffect()
	r.unsure, r.kept, r.before = unsure, kept, f.drift()
	r.lost = f.unheard(r.before)
	r.print("without reconciliation", f, append(verdicts, refused))
	require.NotEmpty(t, r.before.wrong, "no webhook was missed: nothing has been proven")
	events, _ := f.joint()
	require.NotZero(t, events, "no crowd was worked off in joint runs: nothing has been proven of them")

	began = time.Now()
	w.reconcile()
	w.rest()
	r.note("reconciliation", began)
	for _, name := range []part{ingressPart, workerPart} { // which tells whether it was still there
		if w.parts[name] != nil {
			w.goDown(name)
		}
	}
	f = w.facts()
	r.print("after the reconciliation", f, append(f.judge(), f.drift(), &verdict{name: "no process of ours ended by itself", checked: w.starts, wrong: w.died}))
}

// tortureReport is what a run prints.
type tortureReport struct {
	w            *torture
	phases       []string
	unsure, kept int      // events that were never acknowledged nor surely refused; those of them that are there
	before       *verdict // drift without a reconciliation
	lost         int      // objects among them that had an event which was never acknowledged
}

func (r *tortureReport) note(phase string, began time.Time) {
	r.phases = append(r.phases, fmt.Sprintf("%s %s", phase, time.Since(began).Round(100*time.Millisecond)))
	r.w.t.Log(r.phases[len(r.phases)-1])
}

// print shows what was done and what came of it. When something is wrong it leaves
// what is needed to look into it, and ends the test.
func (r *tortureReport) print(when string, f facts, verdicts []*verdict) {
	t := r.w.t
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s; seed %d, %d changes: %s\n", when, r.w.seed, r.w.plan.changes(), strings.Join(r.phases, ", "))
	fmt.Fprintf(&b, "  webhooks: %s\n", attempts(f.Sent))
	fmt.Fprintf(&b, "  us: killed or stopped %v, %d answers to starts lost, %d stale answers to fetches, %d events skipped by an operator\n",
		r.w.kills, r.w.proxy.stop(), r.w.held, len(f.Skipped))
	events, runs := f.joint()
	fmt.Fprintf(&b, "  joint runs: %d with %d events\n", runs, events)
	totals := r.w.sandbox.Receiver.Totals()
	fmt.Fprintf(&b, "  receiver: %d effects of %d requests, %d refused\n", totals.Effects, totals.Deliveries, totals.Refused)
	fmt.Fprintf(&b, "  never acknowledged nor surely refused: %d, of which we have %d\n", r.unsure, r.kept)
	fmt.Fprintf(&b, "  drift before the reconciliation: %d of %d objects, %d of which had events that were never acknowledged\n",
		len(r.before.wrong), r.before.checked, r.lost)
	if done := r.w.reconciled(); done.Pages > 0 {
		fmt.Fprintf(&b, "  reconciled: %d objects and events on %d pages, %d missed events, %d repaired records, %d failed, %d calls\n",
			done.Objects, done.Pages, done.Missed, done.Repaired, done.Failed, done.Calls)
	}
	failed := false
	for _, v := range verdicts {
		fmt.Fprintf(&b, "  %-62s %6d checked %4d violations\n", v.name, v.checked, len(v.wrong))
		failed = failed || len(v.wrong) > 0
	}
	t.Log(b.String())
	if !failed {
		return
	}
	t.Logf("what is known of it is in %s", r.leave(f, verdicts))
	const enough = 10
	for _, v := range verdicts {
		for _, wrong := range v.wrong[:min(len(v.wrong), enough)] {
			t.Errorf("%s: %s", v.name, wrong)
		}
	}
	t.FailNow()
}

// attempts counts the tries to deliver events by what became of them.
func attempts(sent map[string]sandbox.Event) string {
	var made, dropped, acknowledged, refused, unanswered, events int
	for _, ev := range sent {
		if ev.Acknowledged {
			events++
		}
		for _, a := range ev.Attempts {
			switch made++; {
			case a.Status/100 == 2:
				acknowledged++
			case a.Status/100 == 4:
				refused++
			case strings.Contains(a.Fault, "drop"):
				dropped++
			default:
				unanswered++
			}
		}
	}
	return fmt.Sprintf("%d of %d events acknowledged; of %d attempts %d acknowledged, %d refused, %d dropped, %d answered 503 or not at all",
		events, len(sent), made, acknowledged, refused, dropped, unanswered)
}

// leave writes the timeline and all facts to a folder that stays.
func (r *tortureReport) leave(f facts, verdicts []*verdict) string {
	t := r.w.t
	dir, err := os.MkdirTemp(os.Getenv(envTortureDir), fmt.Sprintf("surehook-torture-%d-", r.w.seed))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "timeline.txt"), []byte(r.w.plan.String()), 0o600))
	var wrong strings.Builder
	for _, v := range verdicts {
		for _, w := range v.wrong {
			fmt.Fprintf(&wrong, "%s: %s\n", v.name, w)
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "violations.txt"), []byte(wrong.String()), 0o600))
	raw, err := json.MarshalIndent(f, "", " ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "facts.json"), raw, 0o600))
	require.NoError(t, os.CopyFS(filepath.Join(dir, "process"), os.DirFS(r.w.dir)))
	return dir
}
