//go:build unix

package integration_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// plan is everything that is done in one run, in its order. It comes from the
// seed alone, so that a run can be done again; what only time decides, such as
// which request is under way when a process is killed, differs each time.
type plan struct {
	seed  uint64
	slots int // how many places for objects there are
	steps []step
	// aftermath is one change to each object, in bad weather, when all before has
	// been worked off: whatever is lost of it, no later event makes up for.
	aftermath []change
}

// step is a change at a platform or, with a kind of trouble, one thing that is
// done to us.
type step struct {
	change  change
	trouble trouble
}

// breed is a kind of object that changes.
type breed struct {
	source  string
	kind    string
	created string // types of events
	changed []string
	deleted string // empty: such objects are never deleted
	named   bool   // a deleted one comes back under its old name
}

// breeds have different rules: Stripe sends a refused webhook again, GitHub never
// does; Stripe's objects have no version, GitHub's issues have the second of their
// last change; of Stripe's deleted customers something is left, of others nothing.
// A paid invoice has an effect, and is never deleted, so that it has exactly one.
var breeds = []breed{
	{source: "stripe", kind: "invoice", created: "invoice.created", changed: []string{"invoice.updated", "invoice.paid", "invoice.paid"}},
	{source: "stripe", kind: "customer", created: "customer.created", changed: []string{"customer.updated"}, deleted: "customer.deleted"},
	{source: "stripe", kind: "product", created: "product.created", changed: []string{"product.updated"}, deleted: "product.deleted"},
	{source: "github", kind: "issue", created: "issues.opened", changed: []string{"issues.edited", "issues.closed", "issues.reopened"}, deleted: "issues.deleted"},
	{source: "github", kind: "label", created: "label.created", changed: []string{"label.edited"}, deleted: "label.deleted", named: true},
}

// crowdType is the event of each object of a crowd.
func crowdType(source string) string {
	if source == "github" {
		return "issues.opened"
	}
	return "product.created"
}

func (p plan) breed(slot int) breed { return breeds[slot%len(breeds)] }

// change is one at a platform: to the object in a slot, or to a new one when the
// slot is empty.
type change struct {
	slot   int
	typ    string // of the event
	silent bool   // the platform sends none, and never will
}

// trouble is one thing that is done to us.
type trouble struct {
	kind   troubleKind
	part   part   // what goes down or comes up
	slot   int    // the object of which a fetch is slow
	source string // whose secret is rotated, or whose objects come in a crowd
	count  int    // of answers that are lost or refused, or of the crowd
}

type troubleKind string

const (
	goesDown       troubleKind = "goes down"
	comesUp        troubleKind = "comes up"
	losesStarts    troubleKind = "the answers to the next starts of workflows are lost"
	refusesNotices troubleKind = "the receiver refuses the next notices"
	losesNotices   troubleKind = "the receiver's next answers are lost"
	slowsFetch     troubleKind = "the next fetch takes long"
	changesObject  troubleKind = "the object changes" // which newPlan makes a change
	endsSlowFetch  troubleKind = "the slow fetch is answered with what was true when it came"
	rotatesSecret  troubleKind = "the platform signs with its new secret"
	poisons        troubleKind = "an invoice is paid that nobody may read"
	crowds         troubleKind = "many objects come into being at once, while Temporal is away"
	skips          troubleKind = "an operator skips what is parked of these"
)

// part is one that can be killed.
type part string

const (
	ingressPart  part = "ingress"
	workerPart   part = "worker"
	temporalPart part = "Temporal"
	postgresPart part = "Postgres"
)

// newPlan decides everything about a run with so many changes.
func newPlan(seed uint64, changes int, parts []part) plan {
	const versions = 12 // that an object sees, about
	rnd := rand.New(rand.NewPCG(seed, 0))
	p := plan{seed: seed, slots: max(4*len(breeds), changes/versions)}
	troubles := newTroubles(rnd, changes, parts)
	taken := make([]bool, p.slots)
	for i := range changes {
		for len(troubles) > 0 && troubles[0].at <= i {
			if t := troubles[0].trouble; t.kind != changesObject {
				p.steps = append(p.steps, step{trouble: t})
			} else if taken[t.slot] {
				p.steps = append(p.steps, step{change: change{slot: t.slot, typ: p.breed(t.slot).changed[0]}})
			}
			troubles = troubles[1:]
		}
		slot := rnd.IntN(p.slots)
		if rnd.Float64() < 0.3 {
			slot = rnd.IntN(len(breeds)) // one of each breed is in great demand
		}
		c := newChange(rnd, p.breed(slot), taken[slot])
		c.slot = slot
		taken[slot] = c.typ != p.breed(slot).deleted
		p.steps = append(p.steps, step{change: c})
	}
	p.aftermath = newAftermath(rnd, p, taken)
	return p
}

// newAftermath begins with a change that surely nobody hears of.
func newAftermath(rnd *rand.Rand, p plan, taken []bool) []change {
	slots := rnd.Perm(p.slots)
	if i := slices.IndexFunc(slots, func(slot int) bool { return taken[slot] }); i > 0 {
		slots[0], slots[i] = slots[i], slots[0]
	}
	var changes []change
	for i, slot := range slots {
		c := newChange(rnd, p.breed(slot), taken[slot])
		c.slot = slot
		c.silent = c.silent || i == 0 && taken[slot]
		changes = append(changes, c)
	}
	return changes
}

// newChange lets one in ten deletable objects end, and one change in twenty-five
// go unheard. A new object is always told of: nothing would look for it.
func newChange(rnd *rand.Rand, b breed, exists bool) change {
	roll, silent, which := rnd.Float64(), rnd.Float64() < 0.04, rnd.IntN(len(b.changed))
	switch {
	case !exists:
		return change{typ: b.created}
	case roll < 0.1 && b.deleted != "":
		return change{typ: b.deleted, silent: silent}
	default:
		return change{typ: b.changed[which], silent: silent}
	}
}

// timed is a trouble before the change of that number.
type timed struct {
	at int
	trouble
}

// newTroubles deals each kind of trouble at least once, and more of them the
// longer the run is, over its first nine tenths. What goes down comes up some
// time later, often when something else is down already; so does Temporal after a
// crowd. What is fetched slowly changes meanwhile, and is fetched again.
func newTroubles(rnd *rand.Rand, changes int, parts []part) []timed {
	var deck []trouble
	for range 1 + changes/400 {
		for _, p := range parts {
			deck = append(deck, trouble{kind: goesDown, part: p})
		}
		deck = append(deck,
			trouble{kind: losesStarts, count: 1 + rnd.IntN(5)}, trouble{kind: losesStarts, count: 1 + rnd.IntN(5)},
			trouble{kind: refusesNotices, count: 1 + rnd.IntN(3)}, trouble{kind: losesNotices, count: 1 + rnd.IntN(3)},
			trouble{kind: poisons}, trouble{kind: poisons}, trouble{kind: skips})
		for _, source := range tortureSourceNames {
			deck = append(deck, trouble{kind: crowds, source: source, count: 180 + rnd.IntN(60)})
		}
		for range 6 {
			deck = append(deck, trouble{kind: slowsFetch, slot: rnd.IntN(len(breeds))})
		}
	}
	deck = append(deck, trouble{kind: rotatesSecret, source: "stripe"}, trouble{kind: rotatesSecret, source: "github"})
	rnd.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })

	apart := changes * 9 / 10 / len(deck)
	var all []timed
	for i, t := range deck {
		at := i*apart + rnd.IntN(max(1, apart))
		all = append(all, timed{at, t})
		switch t.kind {
		case goesDown:
			all = append(all, timed{at + 1 + rnd.IntN(2*apart+1), trouble{kind: comesUp, part: t.part}})
		case crowds:
			all = append(all, timed{at + 1 + rnd.IntN(2*apart+1), trouble{kind: comesUp, part: temporalPart}})
		case slowsFetch:
			all = append(all,
				timed{at, trouble{kind: changesObject, slot: t.slot}}, timed{at + 20 + rnd.IntN(10), trouble{kind: changesObject, slot: t.slot}},
				timed{at + 40 + rnd.IntN(30), trouble{kind: endsSlowFetch, slot: t.slot}})
		default: // is over by itself
		}
	}
	slices.SortStableFunc(all, func(a, b timed) int { return a.at - b.at })
	return all
}

// String is the timeline: the troubles by the number of the change they come
// before, and the changes between them.
func (p plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %d objects at a time\n", p.seed, p.slots)
	n := 0
	tell := func(c change) {
		n++
		note := ""
		if c.silent {
			note = " (no webhook)"
		}
		fmt.Fprintf(&b, "%6d  %s: %s of object %d%s\n", n, p.breed(c.slot).source, c.typ, c.slot, note)
	}
	for _, s := range p.steps {
		if s.trouble.kind != "" {
			fmt.Fprintf(&b, "%6d  %s\n", n, s.trouble)
		} else {
			tell(s.change)
		}
	}
	fmt.Fprintf(&b, "%6d  all that came before is worked off\n", n)
	for _, c := range p.aftermath {
		tell(c)
	}
	return b.String()
}

// changes is how many the plan has.
func (p plan) changes() int {
	n := len(p.aftermath)
	for _, s := range p.steps {
		switch s.trouble.kind {
		case "":
			n++
		case crowds:
			n += s.trouble.count
		default: // changes nothing
		}
	}
	return n
}

func (t trouble) String() string {
	switch {
	case t.part != "":
		return fmt.Sprintf("%s %s", t.part, t.kind)
	case t.source != "" && t.count > 0:
		return fmt.Sprintf("%s: %s: %d", t.source, t.kind, t.count)
	case t.source != "":
		return fmt.Sprintf("%s: %s", t.source, t.kind)
	case t.kind == slowsFetch, t.kind == endsSlowFetch:
		return fmt.Sprintf("object %d: %s", t.slot, t.kind)
	case t.count > 0:
		return fmt.Sprintf("%s: %d", t.kind, t.count)
	}
	return string(t.kind)
}
