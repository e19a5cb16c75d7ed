//go:build unix

package integration_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/workflows"
)

// facts are what there is to judge by: the platforms' own logs and states, our
// database with the history of its records, Temporal's runs, and what arrived at
// the receiving end.
type facts struct {
	Sent     map[string]sandbox.Event                   `json:"sent"` // by event name
	Objects  map[string]sandbox.Object                  `json:"objects"`
	Rows     []store.EventRow                           `json:"events"`
	Records  map[string]sight                           `json:"records"`
	History  map[string][]sight                         `json:"history"`
	Runs     map[string][]enums.WorkflowExecutionStatus `json:"runs"` // of events, by workflow ID
	Receipts []sandbox.Receipt                          `json:"receipts"`
	Ends     map[string][]int64                         `json:"ends"`
	Changed  map[string]providers.Ref                   `json:"-"`
	Skipped  map[string]bool                            `json:"skipped"`
	rows     map[string]store.EventRow
}

func (w *torture) facts() facts {
	w.t.Helper()
	f := facts{
		Sent: map[string]sandbox.Event{}, Objects: map[string]sandbox.Object{}, Records: map[string]sight{}, History: map[string][]sight{},
		Runs: map[string][]enums.WorkflowExecutionStatus{}, Receipts: w.sandbox.Receiver.Receipts(),
		Ends: w.ends, Changed: w.changed, Skipped: w.skipped, rows: map[string]store.EventRow{},
	}
	for _, source := range tortureSourceNames {
		for _, ev := range w.platform(source).Events() {
			f.Sent[source+"/"+ev.ID] = ev
		}
		for _, o := range w.platform(source).Objects("") {
			f.Objects[objectName(source, o.Ref)] = o
		}
	}
	var err error
	f.Rows, err = w.store.Events(w.t.Context(), store.EventFilter{Limit: 1 << 20})
	require.NoError(w.t, err)
	for _, e := range f.Rows {
		f.rows[e.Source+"/"+e.ID] = e
	}
	for _, r := range w.records() {
		f.Records[r.name()] = r
	}
	for _, s := range w.history() {
		f.History[s.name()] = append(f.History[s.name()], s)
	}
	runs, err := w.allRuns()
	require.NoError(w.t, err)
	for id, is := range runs {
		if strings.HasPrefix(id, "stripe/") || strings.HasPrefix(id, "github/") {
			f.Runs[id] = is
		}
	}
	return f
}

// joint counts the events that joint runs have finished, and those runs.
func (f facts) joint() (events, runs int) {
	of := map[string]bool{}
	for _, row := range f.Rows {
		if isJoint(row.WorkflowID) {
			events++
			of[row.WorkflowID] = true
		}
	}
	return events, len(of)
}

// verdict is what was found about one invariant.
type verdict struct {
	name    string
	checked int
	wrong   []string
}

func (v *verdict) check(ok bool, wrong string, args ...any) {
	v.checked++
	if !ok {
		v.wrong = append(v.wrong, fmt.Sprintf(wrong, args...))
	}
}

// judge checks what must hold at any rest, after a reconciliation or without.
func (f facts) judge() []*verdict {
	return []*verdict{f.acknowledgedAreDone(), f.nothingTookEffectTwice(), f.nothingWentBack()}
}

// acknowledgedAreDone is I1. What is processed must also be in the record: its
// state is that of the event or a newer one.
func (f facts) acknowledgedAreDone() *verdict {
	v := &verdict{name: "I1 what was acknowledged is processed, ignored or in review"}
	for name, ev := range f.Sent {
		row, there := f.rows[name]
		if !ev.Acknowledged && !there {
			continue
		}
		done := row.Status == providers.StatusProcessed || row.Status == providers.StatusIgnored || row.Status == providers.StatusReview
		v.check(there && done, "%s was acknowledged and is %q: %s", name, row.Status, row.Reason)
		if f.Skipped[name] {
			v.check(row.Status == providers.StatusIgnored, "%s was skipped and is %q", name, row.Status)
		} else if done {
			v.check(row.Status == providers.StatusProcessed, "%s should be processed and is %q: %s", name, row.Status, row.Reason)
		}
		if row.Status == providers.StatusProcessed {
			is, err := f.reflected(ev, strings.Split(name, "/")[0])
			v.check(is, "%s is processed, and its object's version %d is not in the record: %v", name, ev.Version, err)
		}
	}
	return v
}

// reflected reports whether the record shows an event's version or a newer one.
func (f facts) reflected(ev sandbox.Event, source string) (bool, error) {
	name := objectName(source, ev.Object)
	record, ok := f.Records[name]
	if !ok {
		return false, fmt.Errorf("there is no record")
	}
	if record.Deleted {
		ends := f.Ends[name]
		return len(ends) > 0 && ends[len(ends)-1] >= ev.Version, nil
	}
	version, err := versionIn(record.State)
	return version >= ev.Version, err
}

// nothingTookEffectTwice is I2: one row, one run and one effect for each event, and
// none for what an operator skipped.
func (f facts) nothingTookEffectTwice() *verdict {
	v := &verdict{name: "I2 no event took effect twice"}
	rows := map[string]int{}
	for _, e := range f.Rows {
		rows[e.Source+"/"+e.ID]++
	}
	for name, n := range rows {
		v.check(n == 1, "%s has %d rows", name, n)
	}
	ofEvent := map[string]bool{}
	for name := range f.Sent {
		source, id, _ := strings.Cut(name, "/")
		ofEvent[workflows.ID(source, id)] = true
	}
	for id, is := range f.Runs {
		if isJoint(id) {
			continue // it makes records true, and has no other effect
		}
		v.check(ofEvent[id] && len(is) == 1, "%s was run %d times, for an event that was sent: %v", id, len(is), ofEvent[id])
	}
	effects := map[string]int{}
	for _, r := range f.Receipts {
		var n activities.Notice
		err := json.Unmarshal(r.Body, &n)
		v.check(err == nil && r.Conflicts == 0, "%s has %d conflicts, %v", r.Key, r.Conflicts, err)
		effects[n.Source+"/"+n.Event] += r.Effects
	}
	for name, ev := range f.Sent {
		want := 0
		if ev.Type == "invoice.paid" && f.rows[name].Status == providers.StatusProcessed {
			want = 1
		}
		v.check(effects[name] == want, "%s is %q and took effect %d times", name, f.rows[name].Status, effects[name])
	}
	return v
}

// nothingWentBack is I4: the versions that a record has shown only grow, and its
// own count of changes is how many they are.
func (f facts) nothingWentBack() *verdict {
	v := &verdict{name: "I4 no record went back to an older state"}
	for name, sights := range f.History {
		last, deleted, shown := int64(0), false, int64(0)
		for _, s := range sights {
			version, err := last, error(nil)
			switch {
			case s.Deleted && !deleted:
				version = endAfter(f.Ends[name], last)
			case !s.Deleted:
				version, err = versionIn(s.State)
			}
			v.check(err == nil && version >= last && (version > last || s.Deleted == deleted),
				"%s went from version %d (deleted: %v) to %d (deleted: %v), %v", name, last, deleted, version, s.Deleted, err)
			if version != last {
				shown++
			}
			last, deleted = version, s.Deleted
		}
		v.check(sights[len(sights)-1].Changes == shown, "%s has shown %d versions and counts %d changes", name, shown, sights[len(sights)-1].Changes)
	}
	return v
}

// endAfter is the first deletion that the version is followed by, 0 for none: then
// a tombstone tells of something that never happened.
func endAfter(ends []int64, version int64) int64 {
	for _, end := range ends {
		if end > version {
			return end
		}
	}
	return 0
}

// refusedHadNoEffect is I5. An event of which no attempt was acknowledged must be
// nowhere if all were refused. One that was left without an answer, or was told
// 503, may be there all the same, and is counted: the answer may have been lost
// after the commit. It says nothing once a reconciliation has looked for what
// was missed.
func (f facts) refusedHadNoEffect() (v *verdict, unsure, unsureKept int) {
	v = &verdict{name: "I5 what was refused left no effect"}
	noticed := map[string]bool{}
	for _, r := range f.Receipts {
		noticed[strings.TrimSuffix(r.Key, "/notify")] = true
	}
	for name, ev := range f.Sent {
		if ev.Acknowledged {
			continue
		}
		_, there := f.rows[name]
		if slices.ContainsFunc(ev.Attempts, isUnsure) {
			unsure++
			if there {
				unsureKept++
			}
			continue
		}
		source, id, _ := strings.Cut(name, "/")
		run := f.Runs[workflows.ID(source, id)]
		v.check(!there && len(run) == 0 && !noticed[name], "%s was refused, and has a row (%v), runs (%v) or an effect (%v)", name, there, run, noticed[name])
	}
	for name := range f.rows {
		_, sent := f.Sent[name]
		v.check(sent, "%s was never sent and has a row", name)
	}
	return v, unsure, unsureKept
}

// isUnsure reports that an attempt was made and may have been committed.
func isUnsure(a sandbox.Attempt) bool {
	made := !strings.Contains(a.Fault, "drop")
	return made && (a.Status == 0 || a.Status >= 500)
}

// drift is I3: every object that the plan has changed, and every other that has a
// record, is in its record as it is at the platform. A deleted one of which we
// never heard needs no record.
func (f facts) drift() *verdict {
	v := &verdict{name: "I3 every record equals the platform's object"}
	names := map[string]bool{}
	for name := range f.Changed {
		names[name] = true
	}
	for name := range f.Records {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		v.check(f.isTrue(name), "%s differs", name)
	}
	return v
}

// unheard counts the objects that differ and of which an event was never acknowledged.
func (f facts) unheard(drift *verdict) int {
	lost := map[string]bool{}
	for name, ev := range f.Sent {
		if !ev.Acknowledged {
			source, _, _ := strings.Cut(name, "/")
			lost[objectName(source, ev.Object)+" differs"] = true
		}
	}
	n := 0
	for _, wrong := range drift.wrong {
		if lost[wrong] {
			n++
		}
	}
	return n
}

func (f facts) isTrue(name string) bool {
	object, known := f.Objects[name]
	record, kept := f.Records[name]
	switch {
	case !known:
		return false
	case object.Deleted:
		return !kept || record.Deleted
	case !kept || record.Deleted:
		return false
	}
	var want, got any
	return json.Unmarshal(object.State, &want) == nil && json.Unmarshal(record.State, &got) == nil && reflect.DeepEqual(want, got)
}
