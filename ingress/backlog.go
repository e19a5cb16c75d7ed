package ingress

import (
	"cmp"
	"slices"
	"sync"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// job is one event and what to do for it in Temporal.
type job struct {
	ev     providers.EventRef
	kind   jobKind
	failed int  // attempts
	swept  bool // and not just accepted
}

// mayCover reports whether older events may have been left to this one before.
func (j job) mayCover() bool { return j.swept || j.failed > 0 }

type jobKind int

const (
	startJob jobKind = iota // start its workflow
	checkJob                // see what became of the workflow it has
	retryJob                // tell its parked workflow to try again
)

// groupLimit bounds how many events one run serves, and so how long it takes to
// name it as their cover.
const groupLimit = 2_000

// group is what a worker takes at a time: one job, or the starts of events
// about one object that can share a workflow.
type group []job

// byArrival orders jobs by when their events were received. Of two that came in
// the same microsecond the last one is the same in every process: were each the
// cover of the other, they could wait for each other for ever.
func byArrival(a, b job) int {
	return cmp.Or(a.ev.ReceivedAt.Compare(b.ev.ReceivedAt), cmp.Compare(a.ev.ID, b.ev.ID))
}

// sharing names what events must have in common to share a workflow. The newest of
// them stands for all, and must be so in both ways: its fetch begins after each was
// received or, in a replay, asked for; and where the platform has no API its own
// payload is the newest. So the events of a replay share among themselves.
type sharing struct {
	ref    providers.Ref
	replay string
}

func sharingOf(ev providers.EventRef) sharing { return sharing{ev.Ref, ev.Replay} }

// backlog holds the jobs that wait for a worker: a bounded number in memory,
// for all sources together. The sources take turns, so that a burst of one does
// not hold up another's single event. Starts that can share a workflow wait in
// one place, that of the first of them; so the longer the wait, the more events
// one workflow serves.
type backlog struct {
	limit int

	mu     sync.Mutex
	held   map[eventKey]bool // waiting, or taken and not done yet
	size   int               // jobs waiting
	turns  []*line           // sources with something waiting, the next one first
	lines  map[string]*line
	wanted chan struct{} // has a token when there may be something to take
}

// line is what waits of one source.
type line struct {
	source string
	size   int // jobs
	groups []*group
	shared map[sharing]*group // those in groups that others can still join
}

type eventKey struct{ source, id string }

func keyOf(ev providers.EventRef) eventKey { return eventKey{ev.Source, ev.ID} }

func newBacklog(limit int) *backlog {
	return &backlog{
		limit:  limit,
		held:   map[eventKey]bool{},
		lines:  map[string]*line{},
		wanted: make(chan struct{}, 1),
	}
}

// add reports whether there was room; an event that is held already needs none.
func (b *backlog) add(j job) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[keyOf(j.ev)] {
		return true
	}
	l := b.lines[j.ev.Source]
	if !b.hasRoom(l) {
		return false
	}
	b.held[keyOf(j.ev)] = true
	b.size++
	if l == nil {
		l = &line{source: j.ev.Source, shared: map[sharing]*group{}}
		b.lines[j.ev.Source] = l
		b.turns = append(b.turns, l)
	}
	l.add(j)
	b.signal()
	return true
}

// hasRoom keeps a tenth of the room for sources of which little waits, so that
// another's burst, which fills the rest, does not send them to the sweep.
func (b *backlog) hasRoom(l *line) bool {
	common, share := b.limit-b.limit/10, b.limit/100
	return b.size < common || b.size < b.limit && (l == nil || l.size < share)
}

func (l *line) add(j job) {
	l.size++
	if !coalesces(j) {
		l.groups = append(l.groups, &group{j})
		return
	}
	if g := l.shared[sharingOf(j.ev)]; g != nil && len(*g) < groupLimit {
		*g = append(*g, j)
		return
	}
	g := &group{j}
	l.shared[sharingOf(j.ev)] = g
	l.groups = append(l.groups, g)
}

// coalesces reports whether the job may share a workflow with others about the
// same object.
func coalesces(j job) bool {
	return j.kind == startJob && !j.ev.Ref.IsZero() && workflows.Coalesces(j.ev.Source, j.ev.Type)
}

// has reports whether there is something to take.
func (b *backlog) has(most int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next(most) >= 0
}

// next is whose turn it is among the sources of which at most so much waits.
func (b *backlog) next(most int) int {
	return slices.IndexFunc(b.turns, func(l *line) bool { return l.size <= most })
}

// take returns the next group of a source of which at most so much waits, or nil.
func (b *backlog) take(most int) group {
	b.mu.Lock()
	defer b.mu.Unlock()
	turn := b.next(most)
	if turn < 0 {
		return nil
	}
	l := b.turns[turn]
	first := l.groups[0]
	l.groups = l.groups[1:]
	g := *first
	if s := sharingOf(g[0].ev); l.shared[s] == first {
		delete(l.shared, s)
	}
	b.turns = slices.Delete(b.turns, turn, turn+1)
	if len(l.groups) > 0 {
		b.turns = append(b.turns, l)
	} else {
		delete(b.lines, l.source)
	}
	b.size -= len(g)
	l.size -= len(g)
	if len(b.turns) > 0 {
		b.signal() // one token may stand for many additions
	}
	return g
}

func (b *backlog) signal() {
	select {
	case b.wanted <- struct{}{}:
	default:
	}
}

// done lets the events of the jobs be added again.
func (b *backlog) done(jobs ...job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, j := range jobs {
		delete(b.held, keyOf(j.ev))
	}
}

// holds reports whether the event waits, or was taken and is not done yet.
func (b *backlog) holds(ev providers.EventRef) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held[keyOf(ev)]
}

// waiting is the number of jobs that no worker has taken.
func (b *backlog) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size
}
