package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/surehook/surehook/providers"
)

// The retention removes bodies and headers and keeps the rows: they are what
// tells a duplicate. It goes along the inbox once, in the order of seq, and
// writes down which events it passed while they still needed their bodies, so
// that it neither reads the whole table each day nor forgets them.

// finished says of an event that nothing is going to be done with it by itself.
const finished = "status IN ('processed', 'ignored', 'failed')"

// removeBody needs an empty body as its parameter.
const removeBody = "body = ?, header = '{}', body_removed_at = :now"

// RemoveBodies goes on with the walk: it looks at the next events, at most limit
// of them, that were received longer ago than olderThan, and removes the bodies
// of those that were finished longer ago than that, too. An event that is
// committed with a lower seq than one that was passed is missed, so olderThan
// must be longer than any flush takes.
func (s *Store) RemoveBodies(ctx context.Context, olderThan time.Duration, limit int) (done providers.Removal, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		// The lock makes two walks take turns.
		var passed int64
		if err := tx.GetContext(ctx, &passed, "SELECT passed FROM retention WHERE what = 'bodies'"+s.dialect.lock); err != nil {
			return err
		}
		done, err = s.oldEvents(ctx, tx, passed, olderThan, limit)
		if err != nil || done.Last == passed {
			return err
		}
		done.Removed, err = s.removeBodies(ctx, tx, olderThan, "seq > ? AND seq <= ?", passed, done.Last)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, s.sql(`INSERT INTO retention_left (seq)
			SELECT seq FROM events WHERE seq > ? AND seq <= ? AND body_removed_at IS NULL`), passed, done.Last)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, s.sql("UPDATE retention SET passed = ? WHERE what = 'bodies'"), done.Last)
		return err
	})
	return done, s.wrap("remove bodies", err)
}

// oldEvents finds the last of the next events that are old enough.
func (s *Store) oldEvents(ctx context.Context, q sqlx.QueryerContext, passed int64, olderThan time.Duration, limit int) (providers.Removal, error) {
	var rows []struct {
		Seq int64 `db:"seq"`
		Old bool  `db:"old"`
	}
	err := sqlx.SelectContext(ctx, q, &rows, s.sql("SELECT seq, received_at < "+s.before(olderThan)+` AS old
		FROM events WHERE seq > ? ORDER BY seq LIMIT ?`), passed, limit)
	found := providers.Removal{Last: passed, More: len(rows) == limit}
	for _, r := range rows {
		if !r.Old { // nor are those after it
			found.More = false
			break
		}
		found.Last = r.Seq
	}
	return found, err
}

// RemoveLeftBodies looks again at events that the walk has passed, at most limit
// of them and those after the given one, and removes the bodies of those that have
// been finished for longer than olderThan now.
func (s *Store) RemoveLeftBodies(ctx context.Context, olderThan time.Duration, after int64, limit int) (done providers.Removal, err error) {
	done.Last = after
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		var left []int64
		err := tx.SelectContext(ctx, &left, s.sql("SELECT seq FROM retention_left WHERE seq > ? ORDER BY seq LIMIT ?"), after, limit)
		if err != nil || len(left) == 0 {
			return err
		}
		done.Last, done.More = left[len(left)-1], len(left) == limit
		done.Removed, err = s.removeBodies(ctx, tx, olderThan,
			"seq IN (SELECT seq FROM retention_left WHERE seq > ? AND seq <= ?)", after, done.Last)
		if err != nil {
			return err
		}
		// An erasure may have removed a body as well.
		_, err = tx.ExecContext(ctx, s.sql(`DELETE FROM retention_left WHERE seq > ? AND seq <= ? AND NOT EXISTS (
			SELECT 1 FROM events WHERE events.seq = retention_left.seq AND body_removed_at IS NULL)`), after, done.Last)
		return err
	})
	return done, s.wrap("remove left bodies", err)
}

// removeBodies removes the bodies of some events, as far as these are finished.
// One that somebody else has locked, to count a delivery, is left for later:
// nobody who acknowledges an event may find himself in a deadlock with us.
func (s *Store) removeBodies(ctx context.Context, tx *sqlx.Tx, olderThan time.Duration, which string, args ...any) (int64, error) {
	result, err := tx.ExecContext(ctx, s.sql(`
		WITH old AS MATERIALIZED (
			SELECT seq AS old_seq FROM events WHERE `+which+` AND body_removed_at IS NULL
				AND `+finished+` AND finished_at < `+s.before(olderThan)+` ORDER BY seq`+s.dialect.skipLocked+`)
		UPDATE events SET `+removeBody+` FROM old WHERE seq = old_seq`), append(args, []byte{})...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// RemoveRejections deletes rejections of more than olderThan ago, at most limit of
// them: their excerpts are bytes of bodies, too.
func (s *Store) RemoveRejections(ctx context.Context, olderThan time.Duration, limit int) (done providers.Removal, err error) {
	result, err := s.db.ExecContext(ctx, s.sql(`DELETE FROM rejections WHERE (minute, source, reason) IN (
		SELECT minute, source, reason FROM rejections WHERE minute < `+s.before(olderThan)+`
		ORDER BY minute, source, reason LIMIT ?)`), limit)
	if err == nil {
		done.Removed, err = result.RowsAffected()
	}
	done.More = done.Removed == int64(limit)
	return done, s.wrap("remove rejections", err)
}

// before is an expression for that long before now.
func (s *Store) before(d time.Duration) string { return s.later(-d) }
