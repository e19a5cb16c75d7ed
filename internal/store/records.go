package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"

	"github.com/surehook/surehook/providers"
)

// Claim takes the next claim number of the event's object, and says whether the
// event is covered: a state that was fetched after the event was received has
// been saved already. One statement.
//
// Covered asks for strictly later, because both times are cut to the database's
// tick: of two equal ones the fetch may have begun before the event came. One that
// is replayed counts as received when that was asked for. An event without a
// ReceivedAt, as a reconciliation makes it, is never covered.
func (s *Store) Claim(ctx context.Context, ev providers.EventRef) (providers.Claim, error) {
	operation := "claim " + ev.Ref.String()
	if ev.Ref.IsZero() {
		return providers.Claim{}, fmt.Errorf("%s: event %q names no object", operation, ev.ID)
	}
	var r struct {
		record
		Now     stamp `db:"claimed_at"`
		Covered bool  `db:"covered"`
	}
	err := s.db.GetContext(ctx, &r, s.sql(`
		INSERT INTO records (source, object_type, object_id, account, claim) VALUES (?, ?, ?, ?, 1)
		ON CONFLICT (source, object_type, object_id) DO UPDATE SET claim = records.claim + 1
		RETURNING `+recordColumns+`, `+s.dialect.wallClock+` AS claimed_at, COALESCE(as_of > ?, 1 = 0) AS covered`),
		ev.Source, ev.Ref.Type, ev.Ref.ID, ev.Ref.Account, at(ev.Since()))
	return providers.Claim{Number: r.Claim, AsOf: r.Now.Time, ETag: r.ETag, Covered: r.Covered, Seen: r.record}, s.wrap(operation, err)
}

// Cover notes that an event needs no fetch of its own; with Finish the event is
// processed, and with it those that it covers itself, and the row names the event
// whose fetch stands for it. Without Finish it names none: of a pending event
// covered_by means that it waits for that one, and this one's run goes on.
//
// Of the save only what names and ends the event matters. The error is
// ErrNotFound when there is no such event; an event without an ID, as a
// reconciliation makes it, has no row and needs none.
func (s *Store) Cover(ctx context.Context, save providers.Save) (providers.Saved, error) {
	ev := save.Event
	saved := providers.Saved{Ref: ev.Ref, Covered: true}
	if ev.ID == "" {
		return saved, nil
	}
	coveredBy, args := "''", []any(nil)
	if save.Finish {
		coveredBy = `COALESCE((SELECT saved_event_id FROM records
			WHERE records.source = ? AND object_type = ? AND object_id = ?), '')`
		args = []any{ev.Source, ev.Ref.Type, ev.Ref.ID}
	}
	err := s.finishEvents(ctx, s.db, save, &saved.Changed, coveredBy, args...)
	return saved, s.wrap(fmt.Sprintf("cover event %s of %s", ev.ID, ev.Source), err)
}

// finishEvents sets what a saved state says of its event and, when that
// finishes it, processes the pending events that it covers. changed is OR-ed
// into the event's own mark and returns it.
func (s *Store) finishEvents(ctx context.Context, q sqlx.ExtContext, save providers.Save, changed *bool, coveredBy string, args ...any) error {
	own, args := finishOwn(save, *changed, "1 = 1", coveredBy, args...)
	if s.dialect.writesInWith {
		with, others := withFinish(own, save)
		return sqlx.GetContext(ctx, q, changed, s.sql("WITH "+with+" SELECT changed FROM own"), append(args, others...)...)
	}
	var workflowID string
	err := q.QueryRowxContext(ctx, s.sql(own), args...).Scan(changed, &workflowID)
	if err != nil || !save.Finish {
		return err
	}
	return s.finishCovered(ctx, q, save.Event)
}

// finishOwn finishes the event that led to a save, under a condition, and names the
// run that did it. A run of before the event's latest replay does neither, nor one
// that comes to finish what has been ended.
func finishOwn(save providers.Save, changed bool, condition, coveredBy string, coveredArgs ...any) (statement string, args []any) {
	mine, set := "replay = ?", ""
	if save.Finish {
		set = processed(mine) + ", "
		args = slices.Repeat([]any{save.Event.Replay}, processedColumns)
		mine += " AND status IN (" + from[providers.StatusProcessed] + ")"
	}
	name := func(column, value string, values ...any) {
		set += column + " = CASE WHEN " + mine + " THEN " + value + " ELSE " + column + " END, "
		args = append(append(args, save.Event.Replay), values...)
	}
	name("started_at", "COALESCE(started_at, :now)")
	name("run_id", "COALESCE(NULLIF(?, ''), run_id)", save.RunID)
	name("workflow_id", "COALESCE(NULLIF(?, ''), workflow_id)", save.WorkflowID)
	name("covered_by", coveredBy, coveredArgs...)
	return "UPDATE events SET " + set + "changed = changed OR ? WHERE event_id = ? AND source = ? AND " + condition + " RETURNING changed, workflow_id",
		append(args, changed, save.Event.ID, save.Event.Source)
}

// withFinish is a WITH that runs the update of an event and, when that finishes
// it, of those that it covers; these need the further arguments.
func withFinish(own string, save providers.Save) (with string, args []any) {
	with = "own AS (" + own + ")"
	if !save.Finish {
		return with, nil
	}
	return with + ", others AS (UPDATE events SET " + processed("1 = 1") + `, workflow_id = own.workflow_id FROM own
		WHERE ` + waitsFor + ")", []any{save.Event.ID, save.Event.Source, save.Event.Replay}
}

// waitsFor finds the pending events that were left to another, given its id,
// source and replay, by the index events_covered. Those of a replay are left only
// to one of the same.
const waitsFor = "covered_by = ? AND source = ? AND replay = ? AND covered_by <> '' AND status = 'pending'"

// finishCovered processes the events that wait for one which has been processed,
// and names the run that did it.
func (s *Store) finishCovered(ctx context.Context, q sqlx.ExecerContext, ev providers.EventRef) error {
	_, err := q.ExecContext(ctx, s.sql(`UPDATE events SET `+processed("1 = 1")+`,
			workflow_id = COALESCE((SELECT workflow_id FROM events AS cover WHERE cover.event_id = ? AND cover.source = ?), workflow_id)
		WHERE `+waitsFor), ev.ID, ev.Source, ev.ID, ev.Source, ev.Replay)
	return err
}

// processedColumns is how often the condition stands in what processed returns.
const processedColumns = 4

// processed sets an event processed where the table at Settle and the condition
// allow it.
func processed(condition string) string {
	may := "status IN (" + from[providers.StatusProcessed] + ") AND " + condition
	return `status = CASE WHEN ` + may + ` THEN 'processed' ELSE status END,
		finished_at = CASE WHEN ` + may + ` THEN :now ELSE finished_at END,
		reason = CASE WHEN ` + may + ` THEN '' ELSE reason END,
		due_at = CASE WHEN ` + may + ` THEN NULL ELSE due_at END`
}

// Save makes our record equal to an object and sets the event's status, in one
// transaction. What the record holds already may be newer; then it stays, and
// the event is done all the same: its change is in the newer state.
//
//   - A fetched state needs a claim that was taken after the last save; otherwise
//     the error is ErrSuperseded, and nothing is saved. It is dropped when the
//     record holds an event's payload that came after this fetch began.
//   - A payload is as old as its event: it is dropped when the record's state is
//     newer than that.
//   - Either is dropped when the platform itself says that it is older
//     (Object.UpdatedAt), unless our record is a tombstone: an object that was
//     restored comes back as it was.
//   - Deleted makes the record a tombstone, which keeps its last state. A later
//     fetch that finds the object revives it.
//   - NotModified confirms the state that Claim.ETag stands for. The error is
//     ErrSuperseded when the record no longer holds it.
//
// Saved.Changed compares the states without their insignificant white space, and
// stays true when the same event is saved again. An event with a zero Ref has
// nothing to save: only its status is set. An event without an ID has no row; for
// any other without one the error is ErrNotFound, and nothing is saved. A record
// that changes for a reconciliation is counted there.
//
// On Postgres that is one statement while nothing else has been saved since the
// claim; otherwise a transaction that looks first.
func (s *Store) Save(ctx context.Context, save providers.Save) (providers.Saved, error) {
	operation := fmt.Sprintf("save %s for event %q of %s", save.Event.Ref, save.Event.ID, save.Event.Source)
	if err := checkSave(save); err != nil {
		return providers.Saved{}, fmt.Errorf("%s: %w", operation, err)
	}
	saved, done, err := s.saveAtOnce(ctx, save)
	if !done && err == nil {
		saved, err = s.saveLocked(ctx, save)
	}
	if err != nil {
		return providers.Saved{}, s.wrap(operation, err)
	}
	return saved, nil
}

// saveAtOnce saves in one statement, and reports whether it could: it needs the
// record as it was at the claim, and that it still is so.
func (s *Store) saveAtOnce(ctx context.Context, save providers.Save) (saved providers.Saved, done bool, err error) {
	old, ok := save.Claim.Seen.(record)
	if !ok || !s.dialect.writesInWith || save.Event.ID == "" || save.Reconciliation != 0 {
		return saved, false, nil
	}
	next, changed, err := old.apply(save)
	if err != nil || next == old {
		return saved, false, err
	}
	saved = providers.Saved{Ref: save.Event.Ref, Changed: changed, Deleted: next.Deleted}
	update, args := next.update(save, changed)
	own, ownArgs := finishOwn(save, changed, "EXISTS (SELECT 1 FROM saved)", "''")
	with, others := withFinish(own, save)
	// The first three change with every save that would matter.
	args = append(args, old.SavedClaim, old.Changes, at(old.AsOf.Time), save.Event.ID, save.Event.Source)
	args = append(args, ownArgs...)
	err = s.db.GetContext(ctx, &saved.Changed, s.sql("WITH saved AS ("+update+`
			AND saved_claim = ? AND changes = ? AND as_of IS NOT DISTINCT FROM CAST(? AS timestamptz)
			AND EXISTS (SELECT 1 FROM events WHERE event_id = ? AND events.source = ?) RETURNING 1),
		`+with+" SELECT changed FROM own"), append(args, others...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return saved, false, nil
	}
	return saved, err == nil, err
}

// saveLocked saves in a transaction that first locks the record.
func (s *Store) saveLocked(ctx context.Context, save providers.Save) (saved providers.Saved, err error) {
	saved = providers.Saved{Ref: save.Event.Ref, Deleted: save.Object.Deleted}
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		var err error
		if !save.Event.Ref.IsZero() {
			if saved, err = s.saveRecord(ctx, tx, save); err != nil {
				return err
			}
		}
		if saved.Changed && save.Reconciliation != 0 {
			if err = s.countRepair(ctx, tx, save.Reconciliation); err != nil {
				return err
			}
		}
		if save.Event.ID == "" {
			return nil
		}
		return s.finishEvents(ctx, tx, save, &saved.Changed, "''")
	})
	return saved, err
}

func checkSave(save providers.Save) error {
	o := save.Object
	switch {
	case save.Event.Ref.IsZero():
		return nil
	case save.Origin != providers.OriginFetch && save.Origin != providers.OriginPayload:
		return fmt.Errorf("there is no origin %q", save.Origin)
	case save.Origin == providers.OriginFetch && save.Claim.Number == 0:
		return errors.New("a fetched object needs a claim")
	case save.Origin == providers.OriginPayload && save.Event.ReceivedAt.IsZero():
		return errors.New("a payload needs the time its event was received")
	case o.Deleted || o.NotModified:
		return nil
	case !json.Valid(o.State) || !utf8.Valid(o.State):
		return errors.New("the state is not JSON")
	}
	return nil
}

const recordColumns = "account, claim, state, origin, etag, updated_at, deleted, saved_claim, as_of, saved_at, saved_event_id, changes"

// record is a row of records, as far as Save needs it.
type record struct {
	Account      string           `db:"account"`
	Claim        int64            `db:"claim"` // the last one taken
	State        sql.NullString   `db:"state"`
	Origin       providers.Origin `db:"origin"`
	ETag         string           `db:"etag"`
	UpdatedAt    stamp            `db:"updated_at"`
	Deleted      bool             `db:"deleted"`
	SavedClaim   int64            `db:"saved_claim"`
	AsOf         stamp            `db:"as_of"`
	SavedAt      stamp            `db:"saved_at"`
	SavedEventID string           `db:"saved_event_id"`
	Changes      int64            `db:"changes"`
}

// saveRecord applies the save to the record, which it locks.
func (s *Store) saveRecord(ctx context.Context, tx *sqlx.Tx, save providers.Save) (providers.Saved, error) {
	ref := save.Event.Ref
	name := []any{save.Event.Source, ref.Type, ref.ID}
	read := s.sql(`SELECT ` + recordColumns + ` FROM records WHERE source = ? AND object_type = ? AND object_id = ?` + s.dialect.lock)
	var old record
	err := tx.GetContext(ctx, &old, read, name...)
	if errors.Is(err, sql.ErrNoRows) { // a payload need not be claimed
		_, err = tx.ExecContext(ctx, s.sql(`INSERT INTO records (source, object_type, object_id) VALUES (?, ?, ?)
			ON CONFLICT DO NOTHING`), name...)
		if err == nil {
			err = tx.GetContext(ctx, &old, read, name...)
		}
	}
	if err != nil {
		return providers.Saved{}, err
	}
	next, changed, err := old.apply(save)
	if err != nil {
		return providers.Saved{}, err
	}
	saved := providers.Saved{Ref: ref, Changed: changed, Deleted: next.Deleted}
	if next == old {
		return saved, nil
	}
	set, args := next.update(save, changed)
	_, err = tx.ExecContext(ctx, s.sql(set), args...)
	return saved, err
}

// update is the statement that writes the record as it is after a save.
func (r record) update(save providers.Save, changed bool) (statement string, args []any) {
	change := ""
	args = []any{r.Account, r.State, string(r.Origin), r.ETag, at(r.UpdatedAt.Time), r.Deleted, at(r.AsOf.Time), r.SavedEventID, r.Deleted}
	if save.Origin == providers.OriginFetch {
		change += ", saved_claim = claim"
	}
	if changed {
		change += ", changed_at = :now, changes = changes + 1, event_id = ?"
		args = append(args, save.Event.ID)
	}
	ref := save.Event.Ref
	return `UPDATE records SET account = ?, state = ?, origin = ?, etag = ?, updated_at = ?,
			deleted = ?, as_of = ?, saved_event_id = ?, saved_at = :now,
			deleted_at = CASE WHEN NOT ? THEN NULL WHEN deleted THEN deleted_at ELSE :now END` + change + `
		WHERE source = ? AND object_type = ? AND object_id = ?`, append(args, save.Event.Source, ref.Type, ref.ID)
}

// apply returns the record as it is after the save, and whether the object has
// changed by it.
func (r record) apply(save providers.Save) (next record, changed bool, err error) {
	o := save.Object
	if save.Origin == providers.OriginFetch && save.Claim.Number <= r.SavedClaim {
		return r, false, providers.ErrSuperseded
	}
	if o.NotModified && (save.Claim.ETag == "" || r.ETag != save.Claim.ETag) {
		return r, false, providers.ErrSuperseded
	}
	if r.newerThan(save) {
		return r, false, nil
	}
	next = r
	next.Origin, next.SavedEventID = save.Origin, save.Event.ID
	next.AsOf.Time = save.Claim.AsOf
	if save.Origin == providers.OriginPayload {
		next.AsOf.Time = save.Event.ReceivedAt
	} else {
		// Whoever holds one of these claims may have seen an older state.
		next.SavedClaim = r.Claim
	}
	if o.NotModified {
		return next, false, nil
	}
	if save.Event.Ref.Account != "" {
		next.Account = save.Event.Ref.Account
	}
	// A tombstone has no validator: it would let the platform confirm a state
	// that we no longer show.
	next.ETag, next.Deleted = o.ETag, o.Deleted
	first := r.SavedAt.IsZero()
	if o.Deleted {
		next.ETag = ""
		return next, first || !r.Deleted, nil
	}
	next.State, next.UpdatedAt.Time = sql.NullString{String: string(o.State), Valid: true}, o.UpdatedAt
	return next, first || r.Deleted || !sameJSON(r.State.String, string(o.State)), nil
}

// newerThan says that the record's state must not be overwritten by the save's.
// A payload has no claim: were it to take a number, it could shut out a fetch
// that began after its event but was claimed before it.
func (r record) newerThan(save providers.Save) bool {
	switch {
	case save.Origin == providers.OriginPayload && save.Event.ReceivedAt.Before(r.AsOf.Time):
		return true
	case save.Origin == providers.OriginFetch && r.Origin == providers.OriginPayload && save.Claim.AsOf.Before(r.AsOf.Time):
		return true
	}
	return !r.Deleted && !save.Object.UpdatedAt.IsZero() && save.Object.UpdatedAt.Before(r.UpdatedAt.Time)
}

// sameJSON compares two JSON texts but for white space.
func sameJSON(a, b string) bool {
	if a == b {
		return true
	}
	var ca, cb bytes.Buffer
	if json.Compact(&ca, []byte(a)) != nil || json.Compact(&cb, []byte(b)) != nil {
		return false
	}
	return bytes.Equal(ca.Bytes(), cb.Bytes())
}
