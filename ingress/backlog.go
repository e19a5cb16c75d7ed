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

// groupLimit bounds how many events one run serves, and so how long it takes to
// name it as their cover.
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

// taken is what a starter does at a time: one group or, in bulk, several in a joint
// run.
type taken struct {
	groups []group
	bulk   bool
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

// joins reports whether what stands for the group may be in a joint run. What has
// failed before is done alone, where it holds up nothing else.
func joins(g group) bool {
	return coalesces(g[0]) && workflows.Joins(g[0].ev.Source, g[0].ev.Type) &&
		!slices.ContainsFunc(g, func(j job) bool { return j.failed > 0 })
}

// backlog holds the jobs that wait for a starter: a bounded number in memory,
// for all sources together. The sources take turns, so that a burst of one does
// not hold up another's single event. Starts that can share a workflow wait in
// one place, that of the first of them; so the longer the wait, the more events
// one workflow serves.
type backlog struct {
	limit int
	joint map[string]int // the most groups of a source in one joint run

	mu     sync.Mutex
	held   map[eventKey]bool // waiting, or taken and not done yet
	size   int               // jobs waiting
	bulks  int               // taken in bulk and not done yet
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

func newBacklog(limit int, joint map[string]int) *backlog {
	return &backlog{
		limit:  limit,
		joint:  joint,
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
	return slices.IndexFunc(b.turns, func(l *line) bool {
		return l.size <= most && !(b.inBulk(l) && b.bulks >= bulkStarters)
	})
}

// inBulk reports whether so much waits of a source that it is worked off in joint
// runs.
func (b *backlog) inBulk(l *line) bool { return l.size > few && b.joint[l.source] > 1 }

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
	t, before := taken{bulk: b.inBulk(l)}, l.size
	if t.bulk {
		b.bulks++
		t.groups = l.takeJoint(b.joint[l.source])
	} else {
		t.groups = []group{l.take()}
	}
	b.turns = slices.Delete(b.turns, turn, turn+1)
	if len(l.groups) > 0 {
		b.turns = append(b.turns, l)
	} else {
		delete(b.lines, l.source)
	}
	b.size -= before - l.size
	if len(b.turns) > 0 {
		b.signal() // one token may stand for many additions
	}
	return t
}

// take takes the first group.
func (l *line) take() group {
	first := l.groups[0]
	l.groups = l.groups[1:]
	g := *first
	l.size -= len(g)
	if s := sharingOf(g[0].ev); l.shared[s] == first {
		delete(l.shared, s)
	}
	return g
}

// takeJoint takes the first group and, up to a limit, those right behind it that can
// be in one joint run with it.
func (l *line) takeJoint(limit int) []group {
	groups := []group{l.take()}
	for joins(groups[0]) && len(groups) < limit && len(l.groups) > 0 && joins(*l.groups[0]) {
		groups = append(groups, l.take())
	}
	return groups
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
			delete(b.held, keyOf(j.ev))
		}
	}
	if t.bulk {
		b.bulks--
		b.signal()
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
