package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// span is a range of the inbox, in the order of its commits: what is after one Seq,
// up to another, that included.
type span struct{ after, until int64 }

// limit adds the span to the conditions of a list.
func (s span) limit(w *where) {
	if s.after > 0 {
		w.always("seq > ?", s.after)
	}
	w.always("seq <= ?", s.until)
}

// drift is how far the order of the commits may differ from the times that events
// were received at: the clocks of a database and of its successor after a failover.
const drift = 10 * time.Minute

// span finds where in the inbox the times and the page of a filter are. No index holds the times
// that events were received at, because an event that comes in would pay for it; but
// they grow with the keys of the table. The exact times are a condition of the filter.
func (s *Store) span(ctx context.Context, f EventFilter) (span, error) {
	last, err := s.LastEvent(ctx)
	if err != nil {
		return span{}, err
	}
	within := span{until: last}
	if f.Before > 0 {
		within.until = min(last, f.Before-1)
	}
	if !f.Since.IsZero() {
		within.after, err = s.receivedBefore(ctx, f.Since.Add(-drift), last)
	}
	if err == nil && !f.Until.IsZero() {
		within.until, err = s.receivedBefore(ctx, f.Until.Add(drift), within.until)
	}
	return within, err
}

// receivedBefore is the last Seq, up to a known one, of what was received before a
// time, or one in the gap after it. It halves the inbox until that is found.
func (s *Store) receivedBefore(ctx context.Context, t time.Time, last int64) (int64, error) {
	low, high := int64(0), last // what is up to low was received before, what is after high was not
	for low < high {
		middle := low + (high-low+1)/2
		var received stamp
		err := s.read.GetContext(ctx, &received,
			s.sql("SELECT received_at FROM events WHERE seq <= ? ORDER BY seq DESC LIMIT 1"), middle)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			low = middle // nothing is left there
		case err != nil:
			return 0, err
		case received.Before(t):
			low = middle
		default:
			high = middle - 1
		}
	}
	return low, nil
}
