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
	// workflowID is what the inbox says of a swept event: whose run it is with.
	workflowID string
}

// mayCover reports whether older events may have been left to this one before.
func (j job) mayCover() bool { return j.swept || j.failed > 0 }

type jobKind int

const (
	startJob jobKind = iota // start its workflow
	checkJob                // see what became of the workflow it has
	retryJob                // tell its parked workflow to try again
)

// groupLimit bounds how many events share a run, but for the last group of a joint one,
// and so how long it takes to name their covers.
const groupLimit = 2_000

// group is one job, or the starts of events about one object that can share a
// workflow.
type group []job

// byArrival orders jobs by when their events were received. Of two that came in
// the same microsecond the last one is the same in every process: were each the
// cover of the other, they could wait for each other for ever.
func byArrival(a, b job) int {
	return cmp.Or(a.ev.ReceivedAt.Compare(b.ev.ReceivedAt), cmp.Compare(a.ev.ID, b.ev.ID))
}

// taken is what a starter does at a time: one group, or those of a joint run.
type taken struct {
	groups []group
	joint  bool
}

// sharing names what events must have in common to share a workflow. The newest of
// them stands for all, and must be so in both ways: its fetch begins after each was
// received or, in a replay, asked for; and where the platform has no API its own
// payload is the newest. So the events of a replay share among themselves. And what
// one workflow does for the newest, another one would not do for the others.
type sharing struct {
	ref      providers.Ref
	replay   string
	workflow string
}

func sharingOf(ev providers.EventRef) sharing {
	return sharing{ev.Ref, ev.Replay, workflows.RouteFor(ev.Source, ev.Type)}
}

// backlog holds the jobs that wait for a starter: a bounded number in memory,
// for all sources together. The sources take turns, so that a burst of one does
// not hold up another's single event. Starts that can share a workflow wait in
// one place, that of the first of them; so the longer the wait, the more events
// one workflow serves.
type backlog struct {
	limit         int
	objectsPerRun map[string]int // the Relay's

	mu     sync.Mutex
	held   map[eventKey]bool // waiting, or taken and not done yet
	size   int               // jobs waiting
	sizes  map[string]int    // by source
	joint  int               // joint runs taken and not done yet
	turns  []*line           // those with something waiting, the next one first
	lines  map[lineKey]*line
	wanted chan struct{} // has a token when there may be something to take
}

// line is what waits of one source: either what may be in joint runs, or the rest.
type line struct {
	lineKey
	groups []*group
	shared map[sharing]*group // those in groups that others can still join
}

type lineKey struct {
	source string
	joint  bool
}

// eventKey names what is held: a retry too while the event's start is under way,
// because it is not done by that.
type eventKey struct {
	source, id string
	retry      bool
}

func keyOf(j job) eventKey { return eventKey{j.ev.Source, j.ev.ID, j.kind == retryJob} }

func newBacklog(limit int, objectsPerRun map[string]int) *backlog {
	return &backlog{
		limit:         limit,
		objectsPerRun: objectsPerRun,
		held:          map[eventKey]bool{},
		sizes:         map[string]int{},
		lines:         map[lineKey]*line{},
		wanted:        make(chan struct{}, 1),
	}
}

// add reports whether there was room; an event that is held already needs none.
func (b *backlog) add(j job) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[keyOf(j)] {
		return true
	}
	if !b.hasRoom(j.ev.Source) {
		return false
	}
	b.held[keyOf(j)] = true
	b.size++
	b.sizes[j.ev.Source]++
	key := lineKey{j.ev.Source, b.joins(j)}
	l := b.lines[key]
	if l == nil {
		l = &line{lineKey: key, shared: map[sharing]*group{}}
		b.lines[key] = l
		b.turns = append(b.turns, l)
	}
	l.add(j)
	b.signal()
	return true
}

// hasRoom keeps a tenth of the room for sources of which little waits, so that
// another's burst, which fills the rest, does not send them to the sweep.
func (b *backlog) hasRoom(source string) bool {
	common, share := b.limit-b.limit/10, b.limit/100
	return b.size < common || b.size < b.limit && b.sizes[source] < max(1, share)
}

// joins reports whether the job may be in a joint run. What has failed before is
// done alone, where it holds up nothing else.
func (b *backlog) joins(j job) bool {
	return b.objectsPerRun[j.ev.Source] > 1 && j.failed == 0 && coalesces(j) && workflows.Joins(j.ev.Source, j.ev.Type)
}

func (l *line) add(j job) {
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
	return slices.IndexFunc(b.turns, func(l *line) bool {
		return b.sizes[l.source] <= most && !(b.takesJointly(l) && b.joint >= jointStarters)
	})
}

// takesJointly reports whether a line is worked off in joint runs now.
func (b *backlog) takesJointly(l *line) bool { return l.joint && b.sizes[l.source] > few }

// take returns what is next of a source of which at most so much waits, or nothing.
// Whoever takes something is to hand it to done.
func (b *backlog) take(most int) taken {
	b.mu.Lock()
	defer b.mu.Unlock()
	turn := b.next(most)
	if turn < 0 {
		return taken{}
	}
	l := b.turns[turn]
	t, objects, before := taken{joint: b.takesJointly(l)}, 1, b.size
	if t.joint {
		b.joint++
		objects = b.objectsPerRun[l.source]
	}
	for len(t.groups) < objects && len(l.groups) > 0 && before-b.size < groupLimit {
		t.groups = append(t.groups, b.takeFirst(l))
	}
	b.turns = slices.Delete(b.turns, turn, turn+1)
	if len(l.groups) > 0 {
		b.turns = append(b.turns, l)
	} else {
		delete(b.lines, l.lineKey)
	}
	if len(b.turns) > 0 {
		b.signal() // one token may stand for many additions
	}
	return t
}

// takeFirst takes the first group of a line.
func (b *backlog) takeFirst(l *line) group {
	first := l.groups[0]
	l.groups = l.groups[1:]
	g := *first
	if s := sharingOf(g[0].ev); l.shared[s] == first {
		delete(l.shared, s)
	}
	b.size -= len(g)
	if b.sizes[l.source] -= len(g); b.sizes[l.source] == 0 {
		delete(b.sizes, l.source)
	}
	return g
}

func (b *backlog) signal() {
	select {
	case b.wanted <- struct{}{}:
	default:
	}
}

// done lets the events that were taken be added again.
func (b *backlog) done(t taken) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, g := range t.groups {
		for _, j := range g {
			delete(b.held, keyOf(j))
		}
	}
	if t.joint {
		b.joint--
		b.signal()
	}
}

// holds reports whether the event waits, or was taken and is not done yet.
func (b *backlog) holds(ev providers.EventRef) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held[keyOf(job{ev: ev})]
}

// waiting is the number of jobs that no starter has taken.
func (b *backlog) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size
}
