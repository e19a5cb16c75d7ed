package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/surehook/surehook/providers"
)

// BatchKind says what is done with the events of a batch.
type BatchKind string

// The kinds of batches. They are stored, so they are for ever.
const (
	BatchReplay  BatchKind = "replay"  // they are run again
	BatchResolve BatchKind = "resolve" // an operator decides about them
)

// BatchFilter selects the events of a batch; what is empty selects all. It is
// stored, so its JSON names are for ever.
type BatchFilter struct {
	Source string           `json:"source,omitempty"`
	Type   string           `json:"type,omitempty"` // exact, or with * for any run of characters
	Status providers.Status `json:"status,omitempty"`
	Since  time.Time        `json:"since,omitzero"` // received then or later
	Until  time.Time        `json:"until,omitzero"` // received before that
	IDs    []string         `json:"ids,omitempty"`
}

// IsZero reports whether the filter selects every event.
func (f BatchFilter) IsZero() bool { return f.equal(BatchFilter{}) }

func (f BatchFilter) equal(o BatchFilter) bool {
	return f.Source == o.Source && f.Type == o.Type && f.Status == o.Status &&
		f.Since.Equal(o.Since) && f.Until.Equal(o.Until) && slices.Equal(f.IDs, o.IDs)
}

func (f BatchFilter) events() EventFilter {
	return EventFilter{Source: f.Source, Type: f.Type, Status: f.Status, Since: f.Since, Until: f.Until, IDs: f.IDs}
}

// Batch is what an operator asked for of many events at once: what, of which, who
// and why, and how far it has come. Its JSON names are stable.
type Batch struct {
	Name       string      `json:"name"`
	What       BatchKind   `json:"what"`
	Action     string      `json:"action,omitempty"` // of resolve: retry, skip or fail
	Filter     BatchFilter `json:"filter"`
	AskedBy    string      `json:"asked_by"`
	Reason     string      `json:"reason"`
	AskedAt    time.Time   `json:"asked_at"` // the database's clock
	Events     int64       `json:"events"`   // reopened or resolved so far
	Failed     int64       `json:"failed"`   // that could not be
	FinishedAt time.Time   `json:"finished_at,omitzero"`

	at span // what is left of the inbox
}

// Same reports whether two batches of one name ask for the same.
func (b Batch) Same(o Batch) bool {
	return b.What == o.What && b.Action == o.Action && b.Filter.equal(o.Filter)
}

// ErrOtherBatch says that a batch of this name is there, and is another one.
var ErrOtherBatch = errors.New("there is another batch of this name")

// BeginBatch returns the batch of this name to go on with. A new one ends with the
// event that was received last: it never grows. The error is ErrOtherBatch when the
// one that is there does something else, or with other events.
func (s *Store) BeginBatch(ctx context.Context, b Batch) (Batch, error) {
	operation := "begin batch " + b.Name
	filter, err := json.Marshal(b.Filter)
	if err != nil {
		return Batch{}, fmt.Errorf("%s: %w", operation, err)
	}
	within, err := s.span(ctx, b.Filter.events())
	if err != nil {
		return Batch{}, s.wrap(operation, err)
	}
	_, err = s.db.ExecContext(ctx, s.sql(`
		INSERT INTO batches (name, what, action, filter, asked_by, reason, asked_at, at_seq, until_seq)
		VALUES (?, ?, ?, ?, ?, ?, :now, ?, ?) ON CONFLICT (name) DO NOTHING`),
		b.Name, string(b.What), b.Action, string(filter), clean(b.AskedBy), clean(b.Reason), within.after, within.until)
	if err != nil {
		return Batch{}, s.wrap(operation, err)
	}
	there, err := s.batch(ctx, s.db, b.Name, "")
	if err == nil && !there.Same(b) {
		err = ErrOtherBatch
	}
	return there, s.wrap(operation, err)
}

// Batch returns one batch. The error is ErrNotFound when there is none.
func (s *Store) Batch(ctx context.Context, name string) (Batch, error) {
	b, err := s.batch(ctx, s.read, name, "")
	return b, s.wrap("read batch "+name, err)
}

// Batches lists the batches of a kind, or of all when it is empty, newest first.
func (s *Store) Batches(ctx context.Context, what BatchKind, limit int) ([]Batch, error) {
	var w where
	w.add(string(what), "what = ?")
	batches, err := s.batches(ctx, s.read, w.tail("asked_at DESC, name DESC", limit), w.args)
	return batches, s.wrap("read batches", err)
}

// batch reads one batch; lock may end the SELECT.
func (s *Store) batch(ctx context.Context, q sqlx.QueryerContext, name, lock string) (Batch, error) {
	all, err := s.batches(ctx, q, " WHERE name = ?"+lock, []any{name})
	if err == nil && len(all) == 0 {
		err = providers.ErrNotFound
	}
	if err != nil {
		return Batch{}, err
	}
	return all[0], nil
}

func (s *Store) batches(ctx context.Context, q sqlx.QueryerContext, tail string, args []any) ([]Batch, error) {
	var rows []struct {
		Name       string    `db:"name"`
		What       BatchKind `db:"what"`
		Action     string    `db:"action"`
		Filter     []byte    `db:"filter"`
		AskedBy    string    `db:"asked_by"`
		Reason     string    `db:"reason"`
		AskedAt    stamp     `db:"asked_at"`
		At         int64     `db:"at_seq"`
		Until      int64     `db:"until_seq"`
		Events     int64     `db:"events"`
		Failed     int64     `db:"failed"`
		FinishedAt stamp     `db:"finished_at"`
	}
	err := sqlx.SelectContext(ctx, q, &rows, s.sql(`SELECT name, what, action, filter, asked_by, reason, asked_at,
		at_seq, until_seq, events, failed, finished_at FROM batches`+tail), args...)
	if err != nil {
		return nil, err
	}
	batches := make([]Batch, len(rows))
	for i, r := range rows {
		batches[i] = Batch{
			Name: r.Name, What: r.What, Action: r.Action, AskedBy: r.AskedBy, Reason: r.Reason, AskedAt: r.AskedAt.Time,
			Events: r.Events, Failed: r.Failed, FinishedAt: r.FinishedAt.Time, at: span{after: r.At, until: r.Until},
		}
		if err := json.Unmarshal(r.Filter, &batches[i].Filter); err != nil {
			return nil, fmt.Errorf("filter of %s: %w", r.Name, err)
		}
	}
	return batches, nil
}

// BatchCount is how many events a filter selects of one kind.
type BatchCount struct {
	Source string           `db:"source"`
	Type   string           `db:"type"`
	Status providers.Status `db:"status"`
	// Unreadable says that no workflow is about them: their requests could not be read.
	Unreadable bool  `db:"unreadable"`
	Count      int64 `db:"count"`
}

// stretch is how much of the inbox one statement looks through: little enough that
// it answers within the time a connection may be silent, however large bodies are.
const stretch = 20_000

// CountBatch counts the events that a batch of this filter would have, and those
// beside it whose status keeps them out.
func (s *Store) CountBatch(ctx context.Context, f BatchFilter) ([]BatchCount, error) {
	within, err := s.span(ctx, f.events())
	if err != nil {
		return nil, s.wrap("count events", err)
	}
	sums := map[BatchCount]int64{}
	for part := range within.stretches(f) {
		counts, err := s.countWithin(ctx, f.events(), part)
		if err != nil {
			return nil, s.wrap("count events", err)
		}
		for _, c := range counts {
			n := c.Count
			c.Count = 0
			sums[c] += n
		}
	}
	var all []BatchCount
	for c, n := range sums {
		c.Count = n
		all = append(all, c)
	}
	slices.SortFunc(all, BatchCount.compare)
	return all, nil
}

func (c BatchCount) compare(o BatchCount) int {
	return cmp.Or(cmp.Compare(c.Source, o.Source), cmp.Compare(c.Type, o.Type), cmp.Compare(c.Status, o.Status), cmp.Compare(c.Count, o.Count))
}

func (s *Store) countWithin(ctx context.Context, f EventFilter, within span) ([]BatchCount, error) {
	var all []BatchCount
	for _, part := range f.parts() {
		w := s.where(f)
		w.part(part)
		within.limit(&w)
		var counts []BatchCount
		err := s.read.SelectContext(ctx, &counts, s.sql("SELECT source, type, status, "+unreadable+` AS unreadable, count(*) AS count
			FROM events`+w.text()+" GROUP BY source, type, status, "+unreadable), w.args...)
		if err != nil {
			return nil, err
		}
		all = append(all, counts...)
	}
	return all, nil
}

// first is the part of the span that one statement looks through. Events that are
// named are found by an index, wherever they are.
func (s span) first(f BatchFilter) span {
	if len(f.IDs) > 0 {
		return s
	}
	return span{after: s.after, until: min(s.until, s.after+stretch)}
}

// stretches are the parts of the span.
func (s span) stretches(f BatchFilter) iter.Seq[span] {
	return func(yield func(span) bool) {
		for s.after < s.until {
			part := s.first(f)
			if !yield(part) {
				return
			}
			s.after = part.until
		}
	}
}

// unreadable says of an event that no workflow is about it.
const unreadable = "(type = '" + providers.UnreadableType + "' AND workflow_id = '')"

// next ends a SELECT of the next events of a batch, in the order received.
func (s *Store) next(b Batch, which string, limit int) (tail string, args []any) {
	f := b.Filter.events()
	w := s.where(f)
	parts := f.parts()
	w.part(parts[len(parts)-1]) // the one without pending events
	w.always(which)
	b.at.first(b.Filter).limit(&w)
	return w.tail("seq", limit), w.args
}

// after is how far a batch has come when so many of its next events were found, the
// last of them there.
func (b Batch) after(found, limit int, last int64) int64 {
	if found == limit {
		return last
	}
	return max(b.at.after, b.at.first(b.Filter).until)
}

// parked says which events of a batch an operator can decide about.
const parked = "status = 'review'"

// NextParked returns the next event in review of a batch, in the order received, if
// there is one in the next part of the inbox, and the batch as it is when that has
// been done, for Advance.
func (s *Store) NextParked(ctx context.Context, b Batch) (e EventRow, found bool, done Batch, err error) {
	tail, args := s.next(b, parked, 1)
	rows, err := s.eventRows(ctx, tail, args)
	if err != nil {
		return EventRow{}, false, b, err
	}
	done = b
	if len(rows) > 0 {
		e, found = rows[0], true
	}
	done.at.after = b.after(len(rows), 1, e.Seq)
	return e, found, done, nil
}

// Advance notes how far a batch has come and how much of it was done, and returns
// it as it is now. When somebody else has done so meanwhile, this changes nothing.
func (s *Store) Advance(ctx context.Context, from, to Batch) (Batch, error) {
	b, err := s.advance(ctx, s.db, from, to)
	return b, s.wrap("note progress of batch "+from.Name, err)
}

func (s *Store) advance(ctx context.Context, q sqlx.ExtContext, from, to Batch) (Batch, error) {
	_, err := q.ExecContext(ctx, s.sql(`UPDATE batches SET at_seq = ?, events = events + ?, failed = failed + ?,
			finished_at = CASE WHEN ? >= until_seq THEN :now END
		WHERE name = ? AND at_seq = ? AND finished_at IS NULL`),
		to.at.after, to.Events-from.Events, to.Failed-from.Failed, to.at.after, from.Name, from.at.after)
	if err != nil {
		return from, err
	}
	return s.batch(ctx, q, from.Name, "")
}
