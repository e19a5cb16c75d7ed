package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/surehook/surehook/providers"
)

// BeginReconciliation returns the run to go on with:
//
//   - that of the same workflow run when its start is repeated. One that has
//     FinishedAt is over: there is nothing to go on with.
//   - of a list's scheduled runs, the one that is not finished, because whoever had
//     begun it is gone: with its window, cursor, mark and counts, under the new
//     workflow's name.
//   - else a new one. A scheduled one goes back to Lookback before the end of the
//     last complete one (before now, when there is none) and starts from its mark. A
//     run that ended before its last page does not count, so that the next one begins
//     again where that one began.
//
// Backfills are apart: they neither move what the scheduled runs go by, nor are
// they taken over.
func (s *Store) BeginReconciliation(ctx context.Context, start providers.ReconciliationStart) (providers.Reconciliation, error) {
	var r reconciliation
	err := s.read.GetContext(ctx, &r, s.sql("SELECT "+reconciliationColumns+` FROM reconciliations
		WHERE workflow_id = ? AND run_id = ? ORDER BY id DESC LIMIT 1`), start.WorkflowID, start.RunID)
	if errors.Is(err, sql.ErrNoRows) {
		statement, args := s.insertReconciliation(start)
		err = s.db.GetContext(ctx, &r, s.sql(statement), args...)
	}
	if err != nil {
		return providers.Reconciliation{}, s.wrap(fmt.Sprintf("begin to reconcile %s of %s", start.List, start.Source), err)
	}
	return r.reconciliation(), nil
}

// insertReconciliation makes a run, or takes over the one that is in its place:
// the unique indexes decide, whoever else begins one at the same time.
func (s *Store) insertReconciliation(start providers.ReconciliationStart) (statement string, args []any) {
	since, mark := "?", "''"
	place := "(workflow_id, run_id) WHERE backfill"
	args = []any{start.Source, start.List, start.Backfill, at(start.Since)}
	if !start.Backfill {
		const last = " FROM reconciliations WHERE source = ? AND list = ? AND complete AND NOT backfill ORDER BY id DESC LIMIT 1)"
		since = s.dialect.after("COALESCE((SELECT until"+last+", :now)", micros(-start.Lookback))
		mark = "COALESCE((SELECT next_mark" + last + ", '')"
		place = "(source, list) WHERE finished_at IS NULL AND NOT backfill"
		args = append(args[:3], start.Source, start.List, start.Source, start.List)
	}
	return `INSERT INTO reconciliations (source, list, backfill, since, mark, until, started_at,
			workflow_id, run_id, requested_by, requested_reason)
		VALUES (?, ?, ?, ` + since + ", " + mark + `, :now, :now, ?, ?, ?, ?)
		ON CONFLICT ` + place + ` DO UPDATE SET workflow_id = excluded.workflow_id, run_id = excluded.run_id,
			requested_by = CASE WHEN excluded.requested_by <> '' THEN excluded.requested_by ELSE reconciliations.requested_by END,
			requested_reason = CASE WHEN excluded.requested_by <> '' THEN excluded.requested_reason ELSE reconciliations.requested_reason END
		RETURNING ` + reconciliationColumns,
		append(args, start.WorkflowID, start.RunID, clean(start.By), clean(start.Reason))
}

// SaveReconciledPage adds a page to its run and moves the cursor, unless it was
// saved before. The page whose Next is empty is the last: it completes the run,
// unless it or one before said Incomplete, and ends it, all at once, so that no
// crash can come between. A run is complete even if some of its objects failed: the
// next one looks at them again only if the platform still lists them; the row keeps
// the first error and how many there were.
//
// Done.Pages is not asked for, because a page is one, and Done.Repaired neither,
// because the saves count it. The error is ErrNotFound when there is no such run.
//
// A complete scheduled run makes the old ones of its list go.
func (s *Store) SaveReconciledPage(ctx context.Context, page providers.ReconciledPage) error {
	last := ""
	args := []any{page.Done.Objects, page.Done.Missed, page.Done.Failed, page.Done.Calls, page.Next, clean(page.Error), page.Incomplete}
	if page.Next == "" {
		last = ", complete = NOT (incomplete OR ?), finished_at = :now, next_mark = ?"
		args = append(args, page.Incomplete, page.Mark)
	}
	err := s.updateReconciliation(ctx, "save a page of", page.ID, `pages = pages + 1, objects = objects + ?, missed = missed + ?,
		failed = failed + ?, calls = calls + ?, cursor = ?, error = CASE WHEN error = '' THEN ? ELSE error END, incomplete = incomplete OR ?`+last,
		" AND pages = ?", append(args, page.ID, page.After)...)
	if err != nil || page.Next != "" {
		return err
	}
	return s.forgetReconciliations(ctx, page.ID)
}

// runsKept is how long the rows of scheduled runs are kept: a list that is read
// every few minutes makes some ten thousand of them in that time. Backfills, which
// somebody asked for, stay.
const runsKept = 90 * 24 * time.Hour

// forgetReconciliations removes the old runs of a list when one is complete that
// the next can go by instead.
func (s *Store) forgetReconciliations(ctx context.Context, complete int64) error {
	_, err := s.db.ExecContext(ctx, s.sql(`DELETE FROM reconciliations
		WHERE (source, list) = (SELECT source, list FROM reconciliations WHERE id = ? AND complete AND NOT backfill)
			AND id < ? AND NOT backfill AND finished_at < `+s.later(-runsKept)), complete, complete)
	return s.wrap("remove old reconciliations", err)
}

// EndReconciliation ends a run before its last page, with the problem that made
// it end, if there was one: it is not complete. Its cursor goes, which nobody needs
// any more and which may name an object. A run that has ended stays as it is. The
// error is ErrNotFound when there is no such run.
func (s *Store) EndReconciliation(ctx context.Context, id int64, problem string) error {
	// Why a run ended matters more than which of its objects failed.
	return s.updateReconciliation(ctx, "end", id, "finished_at = :now, cursor = '', error = COALESCE(NULLIF(?, ''), error)", "", clean(problem), id)
}

// updateReconciliation changes a run that is under way and meets the condition.
// The last arguments are the run's number and those of the condition.
func (s *Store) updateReconciliation(ctx context.Context, what string, id int64, set, condition string, args ...any) error {
	operation := fmt.Sprintf("%s reconciliation %d", what, id)
	result, err := s.db.ExecContext(ctx, s.sql("UPDATE reconciliations SET "+set+" WHERE id = ? AND finished_at IS NULL"+condition), args...)
	if err != nil {
		return s.wrap(operation, err)
	}
	n, err := result.RowsAffected()
	if err != nil || n > 0 {
		return s.wrap(operation, err)
	}
	var found int64
	return s.wrap(operation, s.read.GetContext(ctx, &found, s.sql("SELECT id FROM reconciliations WHERE id = ?"), id))
}

// countRepair counts a record that a reconciliation has put right.
func (s *Store) countRepair(ctx context.Context, q sqlx.ExecerContext, id int64) error {
	_, err := q.ExecContext(ctx, s.sql("UPDATE reconciliations SET repaired = repaired + 1 WHERE id = ?"), id)
	return err
}

// Now is the database's clock.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var now stamp
	err := s.read.GetContext(ctx, &now, s.sql("SELECT :now"))
	return now.Time, s.wrap("read the clock", err)
}

// sightEvery is how often it is noted that a list has shown a record. Lists are
// read every few minutes, and nearly all they show is as it was.
const sightEvery = time.Hour

// lastSight is when a fetch or a list last showed a record; NULL when it was
// never saved.
const lastSight = "CASE WHEN seen_at > saved_at THEN seen_at ELSE saved_at END"

// Differing returns those of the listed objects that our records do not show,
// each once, and notes that the others were seen: not each time, but when a record
// has not been shown for an hour. How the two are compared stands at differs.
//
// One statement for 500 objects, and a second one where there is something to note.
func (s *Store) Differing(ctx context.Context, source string, asOf time.Time, listed []providers.Listed) ([]providers.Ref, error) {
	operation := "compare what is listed of " + source
	records, err := s.listedRecords(ctx, source, listed)
	if err != nil {
		return nil, s.wrap(operation, err)
	}
	var differing, seen []providers.Ref
	differs := map[providers.Ref]bool{}
	for _, l := range listed {
		if name := nameOf(l.Ref); !differs[name] && records[name].differs(l, asOf) {
			differs[name] = true
			differing = append(differing, l.Ref)
		}
	}
	for _, l := range listed {
		if name := nameOf(l.Ref); !differs[name] && records[name].SightDue {
			seen = append(seen, name)
		}
	}
	return differing, s.wrap(operation, s.noteSeen(ctx, source, seen))
}

// nameOf is what a record is found by: an account is no part of it.
func nameOf(ref providers.Ref) providers.Ref { return providers.Ref{Type: ref.Type, ID: ref.ID} }

// listedRecord is a record as far as it is compared with a list.
type listedRecord struct {
	record
	SightDue bool `db:"sight_due"` // it is time to note that a list has shown it
}

// isListed finds the record that a row of a table names.
const isListed = "source = column1 AND object_type = column2 AND object_id = column3"

// listedRecords finds the records of what a list shows, with their states where
// the list shows states.
func (s *Store) listedRecords(ctx context.Context, source string, listed []providers.Listed) (map[providers.Ref]listedRecord, error) {
	withState := make(map[providers.Ref]int64, len(listed))
	var names []providers.Ref
	for _, l := range listed {
		name := nameOf(l.Ref)
		if _, ok := withState[name]; !ok && storable(l.Ref.Type) && storable(l.Ref.ID) {
			withState[name] = 0
			names = append(names, name)
		}
		if !l.Partial && !l.Deleted {
			withState[name] = 1
		}
	}
	records := make(map[providers.Ref]listedRecord, len(names))
	for chunk := range slices.Chunk(names, flushRows) {
		t := newTable(len(chunk), textColumn, textColumn, textColumn, numberColumn)
		for _, name := range chunk {
			t.add(source, name.Type, name.ID, withState[name])
		}
		from, args := s.dialect.table(t, "listed")
		var rows []struct {
			listedRecord
			Type string `db:"object_type"`
			ID   string `db:"object_id"`
		}
		// Postgres without statistics takes a source for one of few records, and would
		// read them all, were it not a column of the table; likewise with "saved_at IS
		// NOT NULL" and the indexes of the lists of records.
		err := s.read.SelectContext(ctx, &rows, s.sql(`
			SELECT object_type, object_id, CASE WHEN column4 = 1 THEN state END AS state, origin, etag, updated_at, deleted,
				as_of, saved_at, COALESCE(NOT deleted AND `+lastSight+" < "+s.later(-sightEvery)+`, 1 = 0) AS sight_due
			FROM `+from+` JOIN records ON `+isListed), args...)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			records[providers.Ref{Type: r.Type, ID: r.ID}] = r.listedRecord
		}
	}
	return records, nil
}

// secondIsOver is how long after the beginning of a second of the platform's clock
// ours shows that nothing can happen in it any more, if the two differ by less than
// one.
const secondIsOver = 2 * time.Second

// differs says whether the platform has to be asked for an object, because what
// a list shows of it is not what the record holds. asOf is a time after the list
// has answered: a state fetched after that is newer than the list. The time of a
// payload says when it came, not when it was true.
//
// Where both sides know when the object changed last, the newer one counts; at the
// same time, which may be a whole second, whole states are compared as Save
// compares them, and validators of what the list shows only in part. Where it shows
// neither, a state of the same whole second counts as the same once it was fetched
// when that second was over: there may have been two changes in it.
func (r record) differs(l providers.Listed, asOf time.Time) bool {
	listedAt := l.UpdatedAt.Truncate(time.Microsecond) // as ours is
	timed := !listedAt.IsZero() && !r.UpdatedAt.IsZero()
	switch {
	case r.SavedAt.IsZero(): // there is none, or it was only claimed
		return !l.Deleted
	case r.Origin == providers.OriginFetch && r.AsOf.After(asOf):
		return false
	case r.Deleted || l.Deleted:
		return r.Deleted != l.Deleted
	case timed && !listedAt.Equal(r.UpdatedAt.Time):
		return listedAt.After(r.UpdatedAt.Time)
	case !l.Partial:
		return !sameJSON(r.State.String, string(l.State))
	case r.ETag != "" && l.ETag != "":
		return r.ETag != l.ETag
	default:
		return !timed || listedAt.Nanosecond() == 0 && r.AsOf.Before(listedAt.Add(secondIsOver))
	}
}

// noteSeen notes that a list has shown these records. Those that somebody else is
// writing to at this moment are left out: it is not worth to wait for, nor to make
// two lists that show the same objects wait for each other.
func (s *Store) noteSeen(ctx context.Context, source string, seen []providers.Ref) error {
	for chunk := range slices.Chunk(seen, flushRows) {
		t := newTable(len(chunk), textColumn, textColumn, textColumn)
		for _, name := range chunk {
			t.add(source, name.Type, name.ID)
		}
		from, args := s.dialect.table(t, "listed")
		_, err := s.db.ExecContext(ctx, s.sql(`
			WITH seen AS MATERIALIZED (
				SELECT column1, column2, column3 FROM `+from+` JOIN records ON `+isListed+s.dialect.skipLocked+`)
			UPDATE records SET seen_at = :now FROM seen WHERE `+isListed), args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// MissingEvents returns those of the IDs that the inbox does not have, each once,
// in their order. One statement for 500 of them.
func (s *Store) MissingEvents(ctx context.Context, source string, ids []string) ([]string, error) {
	known := make(map[string]bool, len(ids))
	for chunk := range slices.Chunk(ids, flushRows) {
		t := newTable(len(chunk), textColumn, textColumn)
		for _, id := range chunk {
			if storable(id) {
				t.add(source, id)
			}
		}
		if len(t.rows) == 0 {
			continue
		}
		from, args := s.dialect.table(t, "listed")
		var found []string
		err := s.read.SelectContext(ctx, &found, s.sql(`
			SELECT event_id FROM `+from+` JOIN events ON event_id = column2 AND source = column1`), args...)
		if err != nil {
			return nil, s.wrap("find missing events of "+source, err)
		}
		for _, id := range found {
			known[id] = true
		}
	}
	var missing []string
	for _, id := range ids {
		if !known[id] {
			known[id] = true
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// maxStride is the most records that one statement of Unseen reads.
const maxStride = 1000

// Unseen returns up to limit fetched records that are no tombstones and that
// neither a fetch nor a list has shown since that time, by type and ID, beginning
// after the given one. Fewer than limit are the last.
//
// There is no index for it, which every save would pay for: it walks through the
// source's records by their key, in strides that grow while they find little, so
// that no statement takes long however many records were seen. The walk itself may:
// some 30,000 to 50,000 records a second on a busy machine of two cores.
func (s *Store) Unseen(ctx context.Context, source string, since time.Time, after providers.Ref, limit int) ([]providers.Ref, error) {
	var unseen []providers.Ref
	for stride := limit; ; stride = min(2*stride, maxStride) {
		var rows []struct {
			Type    string `db:"object_type"`
			ID      string `db:"object_id"`
			Account string `db:"account"`
			Unseen  bool   `db:"unseen"`
		}
		// The last row of the stride comes in any case, to go on from there.
		err := s.read.SelectContext(ctx, &rows, s.sql(`
			WITH stride AS MATERIALIZED (
				SELECT object_type, object_id, account,
					COALESCE(origin = 'fetch' AND NOT deleted AND `+lastSight+` < ?, 1 = 0) AS unseen
				FROM records WHERE source = ? AND (object_type, object_id) > (?, ?)
				ORDER BY object_type, object_id LIMIT ?)
			SELECT object_type, object_id, account, unseen FROM stride
			WHERE unseen OR (object_type, object_id) = (
				SELECT object_type, object_id FROM stride ORDER BY object_type DESC, object_id DESC LIMIT 1)
			ORDER BY object_type, object_id`), at(since), source, after.Type, after.ID, stride)
		if err != nil {
			return nil, s.wrap("find unseen records of "+source, err)
		}
		if len(rows) == 0 {
			return unseen, nil
		}
		for _, r := range rows {
			after = providers.Ref{Type: r.Type, ID: r.ID, Account: r.Account}
			if !r.Unseen {
				continue
			}
			if unseen = append(unseen, after); len(unseen) == limit {
				return unseen, nil
			}
		}
	}
}
