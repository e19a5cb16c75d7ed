// Package erasure removes what is held of an object or a person: it finds the
// rows (Find), so that somebody can look at what would go, and then erases them
// (Plan.Erase), with a note of who asked for it and why.
package erasure

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

// Query says what to look for: an object of a source or, wherever it is, a text.
type Query struct {
	Source string // of the object; for a text empty means all
	Object providers.Ref
	Text   string // when there is no Object
}

// The kinds of queries, as they are noted. They are stored, so they are for ever.
const (
	kindObject = "object"
	kindText   = "text"
)

func (q Query) kind() string {
	if q.Object.IsZero() {
		return kindText
	}
	return kindObject
}

// hash stands for what was looked for in the note of the erasure. Who knows the
// text can find the note by it; it is not safe from somebody who guesses.
func (q Query) hash() string {
	what := q.Text
	if what == "" {
		what = q.Source + " " + q.Object.String()
	}
	sum := sha256.Sum256([]byte(what))
	return hex.EncodeToString(sum[:])
}

// Validate says what is wrong with a query, or nil.
func (q Query) Validate() error {
	if !q.Object.IsZero() {
		return nil
	}
	_, err := newText(q.Text)
	return err
}

// Plan is what was found.
type Plan struct {
	Query      Query
	Events     []store.HeldEvent // finished ones, which can be erased
	Unfinished []store.HeldEvent // which still need what they hold
	// Named hold nothing but are named by the text. They cannot be erased: what
	// was sent under that name would be taken for new.
	Named      []store.HeldEvent
	Records    []store.HeldRecord
	Rejections []store.HeldRejection
	Notes      []store.HeldNote
}

// Empty reports whether nothing was found.
func (p *Plan) Empty() bool {
	return len(p.Events)+len(p.Unfinished)+len(p.Named)+len(p.Records)+len(p.Rejections)+len(p.Notes) == 0
}

// Find looks for the query in all that is held. For a text it reads everything,
// and tells progress how far in the inbox it is.
func Find(ctx context.Context, s *store.Store, q Query, progress func(done, all int64)) (*Plan, error) {
	p := &Plan{Query: q}
	if !q.Object.IsZero() {
		return p, p.findObject(ctx, s)
	}
	t, err := newText(q.Text)
	if err != nil {
		return p, err
	}
	return p, p.findText(ctx, s, t, progress)
}

func (p *Plan) findObject(ctx context.Context, s *store.Store) error {
	events, err := s.EventsHolding(ctx, p.Query.Source, p.Query.Object)
	if err != nil {
		return err
	}
	p.sort(events)
	if p.Records, err = s.RecordHolding(ctx, p.Query.Source, p.Query.Object); err != nil {
		return err
	}
	p.Notes, err = s.ScanNotes(ctx, p.Query.Source, func(note []byte) bool {
		return bytes.Contains(note, []byte(p.Query.Object.String()))
	})
	return err
}

func (p *Plan) findText(ctx context.Context, s *store.Store, t text, progress func(done, all int64)) error {
	last, err := s.LastEvent(ctx)
	if err != nil {
		return err
	}
	for place := int64(0); place < last; {
		progress(place, last)
		var events []store.HeldEvent
		if events, place, err = s.ScanEvents(ctx, p.Query.Source, place, t.in); err != nil {
			return err
		}
		p.sort(events)
	}
	progress(last, last)
	if p.Records, err = s.ScanRecords(ctx, p.Query.Source, t.in); err != nil {
		return err
	}
	if p.Rejections, err = s.ScanRejections(ctx, p.Query.Source, t.in); err != nil {
		return err
	}
	p.Notes, err = s.ScanNotes(ctx, p.Query.Source, t.in)
	return err
}

func (p *Plan) sort(events []store.HeldEvent) {
	for _, e := range events {
		switch {
		case !e.InBody && !e.InObject:
			p.Named = append(p.Named, e)
		case e.Unfinished():
			p.Unfinished = append(p.Unfinished, e)
		default:
			p.Events = append(p.Events, e)
		}
	}
}

// Order is what somebody has decided about a plan.
type Order struct {
	By, Reason string
	// Unfinished ends events that are not finished as failed, and erases them too.
	Unfinished bool
}

// Done is what was erased.
type Done struct {
	ID         int64 // of the note
	Events     []store.HeldEvent
	Left       []store.HeldEvent // unfinished
	States     []store.HeldRecord
	Names      []store.HeldRecord // of which nothing is left
	Early      []store.HeldRecord // whose names are left for now
	Rejections []store.HeldRejection
	Notes      []store.HeldNote
}

// Validate says what is wrong with an order, or nil: who asks and why is kept, so
// it must not hold what is to be erased.
func (o Order) Validate(q Query) error {
	t, err := newText(q.Text)
	if q.Text != "" && err == nil && (t.in([]byte(o.Reason)) || t.in([]byte(o.By))) {
		return errors.New("who asks and why is kept, so it must not hold the text that is to be erased")
	}
	return nil
}

// Erase erases what was found. When it breaks off, what it has done is done, and to
// begin again with Find is all there is to do.
func (p *Plan) Erase(ctx context.Context, s *store.Store, o Order) (done Done, err error) {
	done.ID, err = s.BeginErasure(ctx, store.Erasure{
		By: o.By, Reason: o.Reason, Kind: p.Query.kind(), Source: p.Query.Source, SearchHash: p.Query.hash(),
	})
	if err != nil {
		return done, err
	}
	steps := []func(context.Context, *store.Store, Order, *Done) error{
		p.endUnfinished, p.eraseEvents, p.eraseRecords, p.eraseRejections, p.eraseNotes,
	}
	for _, step := range steps {
		if err := step(ctx, s, o, &done); err != nil {
			return done, fmt.Errorf("erasure %d broke off: %w", done.ID, err)
		}
	}
	return done, s.EndErasure(ctx, store.Erasure{
		ID: done.ID, Events: int64(len(done.Events)), Records: int64(len(done.States) + len(done.Names)),
		Rejections: int64(len(done.Rejections)), Unfinished: int64(len(done.Left)),
	})
}

// note is what an erased event shows where its reasons were.
func (o Order) note() string { return "erased: " + o.Reason }

func (p *Plan) endUnfinished(ctx context.Context, s *store.Store, o Order, _ *Done) error {
	if !o.Unfinished {
		return nil
	}
	for _, e := range p.Unfinished {
		err := s.Settle(ctx, providers.Settlement{
			Source: e.Source, ID: e.ID, Replay: e.Replay, Status: providers.StatusFailed, Reason: o.note(),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eraseEvents tries the unfinished ones as well: they may have been finished since
// they were found.
func (p *Plan) eraseEvents(ctx context.Context, s *store.Store, o Order, done *Done) error {
	for _, events := range [][]store.HeldEvent{p.Events, p.Unfinished} {
		for _, e := range events {
			erased, err := s.EraseEvent(ctx, e, o.note())
			switch {
			case err != nil:
				return err
			case erased:
				done.Events = append(done.Events, e)
			default:
				done.Left = append(done.Left, e)
			}
		}
	}
	return nil
}

func (p *Plan) eraseRecords(ctx context.Context, s *store.Store, _ Order, done *Done) error {
	for _, r := range p.Records {
		what, err := s.EraseRecord(ctx, r)
		if err != nil {
			return err
		}
		switch what {
		case store.ErasedState:
			done.States = append(done.States, r)
		case store.ErasedName:
			done.Names = append(done.Names, r)
		case store.ErasedNone:
			done.Early = append(done.Early, r)
		}
	}
	return nil
}

func (p *Plan) eraseRejections(ctx context.Context, s *store.Store, _ Order, done *Done) error {
	for _, r := range p.Rejections {
		if err := s.EraseRejection(ctx, r); err != nil {
			return err
		}
		done.Rejections = append(done.Rejections, r)
	}
	return nil
}

func (p *Plan) eraseNotes(ctx context.Context, s *store.Store, _ Order, done *Done) error {
	for _, n := range p.Notes {
		if err := s.EraseNote(ctx, n); err != nil {
			return err
		}
		done.Notes = append(done.Notes, n)
	}
	return nil
}
