package store

import (
	"context"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/surehook/surehook/providers"
)

// Replayable lists the statuses of the events that can be run again. A pending one
// is under way, and one in review waits for an operator's decision.
func Replayable() []providers.Status {
	return []providers.Status{providers.StatusProcessed, providers.StatusIgnored, providers.StatusFailed}
}

// replayable says the same of an event, and that there is something to run.
const replayable = finished + " AND NOT " + unreadable

// Reopen makes the next events of a replay pending, at most so many, in the order
// received, and returns the batch as it is then; it has finished when its FinishedAt
// is set. What follows is the ordinary way of an event that was accepted just now:
// the sweep starts its run, whose workflow ID is what workflowID makes of it.
//
// It takes one step in one transaction, with the batch locked: however often it is
// called, by however many processes, and wherever one of them is killed, each event
// is reopened once.
func (s *Store) Reopen(ctx context.Context, name string, limit int, workflowID func(providers.EventRef) string) (Batch, error) {
	var b Batch
	err := s.inTx(ctx, func(tx *sqlx.Tx) (err error) {
		b, err = s.batch(ctx, tx, name, s.dialect.lock)
		if err != nil || !b.FinishedAt.IsZero() {
			return err
		}
		if b.What != BatchReplay {
			return ErrOtherBatch
		}
		b, err = s.reopenNext(ctx, tx, b, max(1, min(limit, flushRows)), workflowID)
		return err
	})
	return b, s.wrap("reopen events of batch "+name, err)
}

func (s *Store) reopenNext(ctx context.Context, tx *sqlx.Tx, b Batch, limit int, workflowID func(providers.EventRef) string) (Batch, error) {
	var rows []reopening
	tail, args := s.next(b, replayable, limit)
	if err := tx.SelectContext(ctx, &rows, s.sql("SELECT "+storedColumns+", seq FROM events"+tail), args...); err != nil {
		return b, err
	}
	done := b
	last := int64(0)
	if len(rows) > 0 {
		last = rows[len(rows)-1].Seq
	}
	done.at.after = b.after(len(rows), limit, last)
	n, err := s.reopen(ctx, tx, b, rows, workflowID)
	if err != nil {
		return b, err
	}
	done.Events += n
	return s.advance(ctx, tx, b, done)
}

// reopening is an event that a replay reopens.
type reopening struct {
	storedRow
	Seq int64 `db:"seq"`
}

// reopen returns how many of the events were reopened: not those whose status has
// changed meanwhile. The operator who decided last stays named.
func (s *Store) reopen(ctx context.Context, tx *sqlx.Tx, b Batch, rows []reopening, workflowID func(providers.EventRef) string) (int64, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	// In the order of all others that write to many events at once.
	slices.SortFunc(rows, func(x, y reopening) int { return compareKeys(key{x.Source, x.ID}, key{y.Source, y.ID}) })
	t := newTable(len(rows), numberColumn, textColumn)
	for _, r := range rows {
		ev := r.ref()
		ev.Replay = b.Name
		t.add(r.Seq, workflowID(ev))
	}
	from, args := s.dialect.table(t, "again")
	result, err := tx.ExecContext(ctx, s.sql(`
		UPDATE events SET status = 'pending', reason = '', due_at = :now, started_at = NULL, finished_at = NULL,
			covered_by = '', run_id = '', workflow_id = again.column2, replay = ?, replayed_at = ?
		FROM `+from+`
		WHERE seq = again.column1 AND `+replayable+` AND replay <> ?`),
		slices.Concat([]any{b.Name, at(b.AskedAt)}, args, []any{b.Name})...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
