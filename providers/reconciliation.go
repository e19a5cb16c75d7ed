package providers

import (
	"fmt"
	"strings"
	"time"
)

// ReconciliationStart asks for a run over a list.
type ReconciliationStart struct {
	Source string
	List   string
	// Backfill says that somebody asked for this window: the run leaves those that
	// follow the schedule as they are.
	Backfill bool
	Since    time.Time // of a backfill; zero is everything
	// Lookback is how far a scheduled run goes back before the end of the last
	// complete one, or before now when it is the first.
	Lookback   time.Duration
	WorkflowID string
	RunID      string // the first of its chain, so that a repeated start finds its row
	By, Reason string // who asked for it, and why; empty when the schedule did
}

// Reconciliation is one run over a list: what it is to look at, where it is, and
// what it has found so far.
type Reconciliation struct {
	ID       int64
	Source   string
	List     string
	Backfill bool
	Since    time.Time
	Until    time.Time // the database's clock when it began; the next one goes back to before this
	Cursor   string    // of the page to read next
	Mark     string    // of the last complete run
	Tally
	Incomplete bool // a page has said so
	WorkflowID string
	RunID      string
	By, Reason string
	Error      string
	StartedAt  time.Time
	FinishedAt time.Time // zero while it is under way
}

// Tally is what a reconciliation has done. It is stored in Temporal's history, so
// its JSON names are for ever.
type Tally struct {
	Pages    int64 `json:"pages"`
	Objects  int64 `json:"objects"`  // that the list showed, events among them
	Missed   int64 `json:"missed"`   // events that the inbox did not have
	Repaired int64 `json:"repaired"` // records that a fetch changed: the drift
	Failed   int64 `json:"failed"`   // objects and events that could not be asked for
	Calls    int64 `json:"calls"`    // of the platform's API
}

// Plus is both together.
func (t Tally) Plus(more Tally) Tally {
	return Tally{
		Pages:    t.Pages + more.Pages,
		Objects:  t.Objects + more.Objects,
		Missed:   t.Missed + more.Missed,
		Repaired: t.Repaired + more.Repaired,
		Failed:   t.Failed + more.Failed,
		Calls:    t.Calls + more.Calls,
	}
}

// InWords is the tally for people.
func (t Tally) InWords() string {
	count := func(n int64, one string) string {
		if n != 1 {
			one += "s"
		}
		return fmt.Sprintf("%d %s", n, one)
	}
	return strings.Join([]string{
		count(t.Pages, "page"), count(t.Objects, "object"), count(t.Missed, "missed event"), count(t.Repaired, "repaired record"),
		fmt.Sprintf("%d failed", t.Failed), count(t.Calls, "call"),
	}, ", ")
}

// ReconciledPage ends a page of a reconciliation: what it found, and where to go on.
type ReconciledPage struct {
	ID    int64 // of the reconciliation
	After int64 // how many pages had been saved before; another number means that this one was saved before
	Next  string
	Mark  string // kept when Next is empty
	Done  Tally  // of this page alone; Repaired is counted by the saves
	Error string // the first that made something fail, or empty
	// Incomplete says that something was left out which the next run is to look at
	// again, in the same window: this one will not be complete when it has read all.
	Incomplete bool
}
