package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/surehook/surehook/providers"
)

// An erasure removes somebody's data and leaves the rows: an event's, because
// its name is what tells a duplicate, a record's, because its claim number is
// what refuses a fetch that was under way. The finders here say which rows hold
// something; nothing is decided here about whose it is.

// HeldEvent is an event that holds what is to be erased. Its JSON names are stable.
type HeldEvent struct {
	Seq        int64            `json:"-"`
	Source     string           `json:"source"`
	ID         string           `json:"id"`
	Type       string           `json:"type"`
	Status     providers.Status `json:"status"`
	WorkflowID string           `json:"workflow_id"`
	Replay     string           `json:"replay,omitempty"` // the batch that last had it run again
	// InName says that the text is in what names the event, which stays.
	InName bool `json:"in_name,omitempty"`
	// InObject says that the name of its object goes, too.
	InObject bool `json:"in_object,omitempty"`
	// InBody says that body, headers or reasons hold it.
	InBody bool `json:"in_body,omitempty"`
}

// Unfinished says that something is still to be done with the event, for which
// its body may be needed.
func (e HeldEvent) Unfinished() bool {
	return e.Status == providers.StatusPending || e.Status == providers.StatusReview
}

// heldRow is a HeldEvent as the table has it, with what a text may be in.
type heldRow struct {
	Seq            int64            `db:"seq"`
	Source         string           `db:"source"`
	ID             string           `db:"event_id"`
	Type           string           `db:"type"`
	Status         providers.Status `db:"status"`
	WorkflowID     string           `db:"workflow_id"`
	Replay         string           `db:"replay"`
	ObjectType     string           `db:"object_type"`
	ObjectID       string           `db:"object_id"`
	Account        string           `db:"account"`
	Reason         string           `db:"reason"`
	ResolvedReason string           `db:"resolved_reason"`
	Header         string           `db:"header"`
	Body           []byte           `db:"body"`
}

const heldColumns = "seq, source, event_id, type, status, workflow_id, replay"

const searchedColumns = heldColumns + ", object_type, object_id, account, reason, resolved_reason, header, body"

func (r heldRow) event() HeldEvent {
	return HeldEvent{Seq: r.Seq, Source: r.Source, ID: r.ID, Type: r.Type, Status: r.Status, WorkflowID: r.WorkflowID, Replay: r.Replay}
}

// sameRequest is how far apart in seq the events of one request may be: it is
// committed in one flush, beside at most a few others.
const sameRequest = 4 * flushRows

// EventsHolding returns the events about an object, and those about others that
// came in the same requests: each is kept with the request's whole body.
func (s *Store) EventsHolding(ctx context.Context, source string, ref providers.Ref) ([]HeldEvent, error) {
	operation := fmt.Sprintf("find events about %s of %s", ref, source)
	var found []HeldEvent
	// In two parts, as in Events: there is an index for each.
	for _, part := range []string{"due_at IS NOT NULL AND status = 'pending'", "status <> 'pending'"} {
		var rows []heldRow
		err := s.read.SelectContext(ctx, &rows, s.sql("SELECT "+heldColumns+" FROM events WHERE "+part+
			" AND source = ? AND object_type = ? AND object_id = ? AND object_id <> '' ORDER BY seq"), source, ref.Type, ref.ID)
		if err != nil {
			return nil, s.wrap(operation, err)
		}
		for _, r := range rows {
			e := r.event()
			e.InObject, e.InBody = true, true
			found = append(found, e)
		}
	}
	seen := map[int64]bool{}
	for _, e := range found {
		seen[e.Seq] = true
	}
	for _, e := range slices.Clone(found) {
		var rows []heldRow
		err := s.read.SelectContext(ctx, &rows, s.sql("SELECT "+heldColumns+` FROM events WHERE seq BETWEEN ? AND ? AND source = ?
			AND body_removed_at IS NULL AND length(body) > 0 AND body = (SELECT body FROM events AS first WHERE first.seq = ?)`),
			e.Seq-sameRequest, e.Seq+sameRequest, source, e.Seq)
		if err != nil {
			return nil, s.wrap(operation, err)
		}
		for _, r := range rows {
			if !seen[r.Seq] {
				seen[r.Seq] = true
				sibling := r.event()
				sibling.InBody = true
				found = append(found, sibling)
			}
		}
	}
	return found, nil
}

// scanEvents is how many places of the inbox a scan reads at a time.
const scanEvents = 1000

// LastEvent is the place of the newest event in the inbox, or 0.
func (s *Store) LastEvent(ctx context.Context) (last int64, err error) {
	err = s.read.GetContext(ctx, &last, "SELECT COALESCE(max(seq), 0) FROM events")
	return last, s.wrap("find the newest event", err)
}

// ScanEvents reads some events after the given place and returns those that hold
// a text, and the place it has come to. No index helps: all bodies are read, one
// at a time. Source may be empty.
func (s *Store) ScanEvents(ctx context.Context, source string, after int64, matches func([]byte) bool) (found []HeldEvent, last int64, err error) {
	last = after + scanEvents
	var w where
	w.always("seq > ? AND seq <= ?", after, last)
	w.add(source, "source = ?")
	err = eachRow(ctx, s, "SELECT "+searchedColumns+" FROM events"+w.text()+" ORDER BY seq", w.args,
		func(r heldRow) {
			e := r.event()
			e.InName = matches([]byte(r.ID + "\n" + r.Type + "\n" + r.WorkflowID + "\n" + r.Replay))
			e.InObject = matches([]byte(r.ObjectType + "\n" + r.ObjectID + "\n" + r.Account))
			e.InBody = matches(r.Body) || matches([]byte(r.Header)) || matches([]byte(r.Reason+"\n"+r.ResolvedReason))
			if e.InName || e.InObject || e.InBody {
				found = append(found, e)
			}
		})
	return found, last, s.wrap("search events", err)
}

// eachRow hands rows on one at a time, because together their bodies may be more
// than there is memory.
func eachRow[R any](ctx context.Context, s *Store, query string, args []any, do func(R)) error {
	rows, err := s.read.QueryxContext(ctx, s.sql(query), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r R
		if err := rows.StructScan(&r); err != nil {
			return err
		}
		do(r)
	}
	return rows.Err()
}

// EraseEvent removes what an event holds: body, headers, what its reasons may
// quote, and with InObject the name of its object. It reports whether it did: an
// event that is not finished is left as it is. What it is named by stays, with
// its type, status and times, and its fingerprint, which is a hash.
func (s *Store) EraseEvent(ctx context.Context, e HeldEvent, reason string) (bool, error) {
	set := removeBody + `, reason = CASE WHEN reason = '' THEN '' ELSE ? END,
		resolved_reason = CASE WHEN resolved_reason = '' THEN '' ELSE ? END`
	if e.InObject {
		set += ", object_type = '', object_id = '', account = ''"
	}
	result, err := s.db.ExecContext(ctx, s.sql("UPDATE events SET "+set+" WHERE event_id = ? AND source = ? AND "+finished),
		[]byte{}, clean(reason), clean(reason), e.ID, e.Source)
	return s.changed(result, err, fmt.Sprintf("erase event %s of %s", e.ID, e.Source))
}

// changed says whether a statement has changed a row.
func (s *Store) changed(result sql.Result, err error, operation string) (bool, error) {
	if err != nil {
		return false, s.wrap(operation, err)
	}
	n, err := result.RowsAffected()
	return n > 0, s.wrap(operation, err)
}

// HeldRecord is a record that holds what is to be erased. Its JSON names are stable.
type HeldRecord struct {
	Source string        `json:"source"`
	Object providers.Ref `json:"object"`
	// InName says that the text is in the object's ID.
	InName bool `json:"in_name,omitempty"`
	// ErasedAt is when its state was erased before, or zero: then only its name is left.
	ErasedAt time.Time `json:"erased_at,omitzero"`
	// Early says that its name cannot be removed yet.
	Early bool `json:"-"`
}

// heldRecordRow is a HeldRecord as the table has it.
type heldRecordRow struct {
	Source   string  `db:"source"`
	Type     string  `db:"object_type"`
	ID       string  `db:"object_id"`
	Account  string  `db:"account"`
	ETag     string  `db:"etag"`
	State    *string `db:"state"`
	ErasedAt stamp   `db:"erased_at"`
	Early    bool    `db:"early"`
}

// isErased says of a record that it was erased and not saved since: of a record
// that has only been claimed nobody knows a time.
const isErased = "saved_at IS NULL AND as_of IS NOT NULL"

// heldRecords selects records as heldRecordRows.
func (s *Store) heldRecords(w where) string {
	return "SELECT source, object_type, object_id, account, etag, state, CASE WHEN " + isErased + " THEN as_of END AS erased_at, " +
		"COALESCE(" + isErased + " AND as_of >= " + s.before(fetchesEnd) + ", 1 = 0) AS early FROM records" + w.text()
}

func (r heldRecordRow) record() HeldRecord {
	return HeldRecord{Source: r.Source, Object: providers.Ref{Type: r.Type, ID: r.ID}, ErasedAt: r.ErasedAt.Time, Early: r.Early}
}

// RecordHolding returns the record of an object, if there is one.
func (s *Store) RecordHolding(ctx context.Context, source string, ref providers.Ref) (found []HeldRecord, err error) {
	var w where
	w.always("source = ? AND object_type = ? AND object_id = ?", source, ref.Type, ref.ID)
	err = eachRow(ctx, s, s.heldRecords(w), w.args, func(r heldRecordRow) {
		record := r.record()
		record.InName = true
		found = append(found, record)
	})
	return found, s.wrap(fmt.Sprintf("find record %s of %s", ref, source), err)
}

// ScanRecords returns the records that hold a text. It reads all states, one at a
// time. Source may be empty.
func (s *Store) ScanRecords(ctx context.Context, source string, matches func([]byte) bool) (found []HeldRecord, err error) {
	var w where
	w.add(source, "source = ?")
	err = eachRow(ctx, s, s.heldRecords(w), w.args, func(r heldRecordRow) {
		record := r.record()
		record.InName = matches([]byte(r.Type + "\n" + r.ID))
		inState := r.State != nil && matches([]byte(*r.State)) || matches([]byte(r.Account+"\n"+r.ETag))
		if record.InName || inState {
			found = append(found, record)
		}
	})
	return found, s.wrap("search records", err)
}

// Erasing says what EraseRecord did.
type Erasing string

// What EraseRecord can do.
const (
	ErasedState Erasing = "state" // its name stays, until it is erased again
	ErasedName  Erasing = "name"  // nothing is left
	ErasedNone  Erasing = ""      // its state was gone already, and it is too early for its name
)

// fetchesEnd is longer than any fetch takes that had its claim before.
const fetchesEnd = time.Hour

// EraseRecord removes what a record holds. Its name and its claim number stay, so
// that what was fetched or sent before cannot bring the state back: its claims
// are used up, and it covers all events that were received until now. A later
// event about the object makes it a record again. An hour later, and when no
// unfinished event is about it, to erase it once more removes the name, too.
func (s *Store) EraseRecord(ctx context.Context, r HeldRecord) (Erasing, error) {
	operation := fmt.Sprintf("erase record %s of %s", r.Object, r.Source)
	name := []any{r.Source, r.Object.Type, r.Object.ID}
	result, err := s.db.ExecContext(ctx, s.sql(`UPDATE records SET account = '', state = NULL, origin = '', etag = '',
			updated_at = NULL, deleted = (1 = 0), deleted_at = NULL, saved_claim = claim, as_of = :now, saved_at = NULL,
			saved_event_id = '', changed_at = NULL, changes = 0, event_id = '',
			seen_at = NULL
		WHERE source = ? AND object_type = ? AND object_id = ? AND NOT (`+isErased+`)`), name...)
	if done, err := s.changed(result, err, operation); err != nil || done {
		return ErasedState, err
	}
	about := "events.source = records.source AND events.object_type = records.object_type AND events.object_id = records.object_id"
	result, err = s.db.ExecContext(ctx, s.sql(`DELETE FROM records
		WHERE source = ? AND object_type = ? AND object_id = ? AND `+isErased+` AND as_of < `+s.before(fetchesEnd)+`
			AND NOT EXISTS (SELECT 1 FROM events WHERE due_at IS NOT NULL AND status = 'pending' AND `+about+`)
			AND NOT EXISTS (SELECT 1 FROM events WHERE status = 'review' AND status <> 'pending' AND events.object_id <> '' AND `+about+")"),
		name...)
	if done, err := s.changed(result, err, operation); err != nil || done {
		return ErasedName, err
	}
	return ErasedNone, nil
}

// HeldRejection is a row of rejections whose sample holds what is to be erased.
// Its JSON names are stable.
type HeldRejection struct {
	Minute time.Time `json:"minute"`
	Source string    `json:"source"`
	Reason string    `json:"reason"`
}

// ScanRejections returns the rejections whose samples hold a text. Source may be
// empty.
func (s *Store) ScanRejections(ctx context.Context, source string, matches func([]byte) bool) (found []HeldRejection, err error) {
	type sample struct {
		Minute     stamp  `db:"minute"`
		Source     string `db:"source"`
		Reason     string `db:"reason"`
		RemoteAddr string `db:"remote_addr"`
		Path       string `db:"path"`
		Detail     string `db:"detail"`
		Excerpt    string `db:"excerpt"`
	}
	var w where
	w.add(source, "source = ?")
	err = eachRow(ctx, s, "SELECT minute, source, reason, remote_addr, path, detail, excerpt FROM rejections"+w.text(), w.args, func(r sample) {
		if matches([]byte(r.Excerpt)) || matches([]byte(r.RemoteAddr+"\n"+r.Path+"\n"+r.Detail)) {
			found = append(found, HeldRejection{Minute: r.Minute.Time, Source: r.Source, Reason: r.Reason})
		}
	})
	return found, s.wrap("search rejections", err)
}

// EraseRejection removes a rejection's sample; that so many were refused, when and
// why, stays.
func (s *Store) EraseRejection(ctx context.Context, r HeldRejection) error {
	_, err := s.db.ExecContext(ctx, s.sql(`UPDATE rejections SET remote_addr = '', path = '', excerpt = '',
			detail = CASE WHEN detail = '' THEN '' ELSE 'erased' END
		WHERE minute = ? AND source = ? AND reason = ?`), at(r.Minute), r.Source, r.Reason)
	return s.wrap("erase rejection", err)
}

// HeldNote is a row with a text for people that holds what is to be erased: the
// error of a reconciliation, or the reason that an operator gave.
// Its JSON names are stable.
type HeldNote struct {
	Kind string `json:"kind" db:"-"` // reconciliation, batch or erasure
	Name string `json:"name" db:"name"`
}

// noteTable says where the notes of a kind are.
type noteTable struct {
	kind  string
	find  string // name, source and text of all
	erase string // the one with that name
}

// noteTables are all of them. What is of no source is found only when none is
// asked for. A batch may list events by their IDs, which stay, as they do there.
func noteTables() []noteTable {
	return []noteTable{
		{
			kind:  "reconciliation",
			find:  "SELECT CAST(id AS text) AS name, source, error || requested_reason AS text FROM reconciliations",
			erase: "UPDATE reconciliations SET error = " + unlessEmpty("error") + ", requested_reason = " + unlessEmpty("requested_reason") + " WHERE CAST(id AS text) = ?",
		},
		{
			kind:  "batch",
			find:  "SELECT name, '' AS source, reason AS text FROM batches",
			erase: "UPDATE batches SET reason = 'erased' WHERE name = ?",
		},
		{
			kind:  "erasure",
			find:  "SELECT CAST(id AS text) AS name, '' AS source, reason AS text FROM erasures",
			erase: "UPDATE erasures SET reason = 'erased' WHERE CAST(id AS text) = ?",
		},
	}
}

// unlessEmpty is a column's text once it is erased.
func unlessEmpty(column string) string {
	return "CASE WHEN " + column + " = '' THEN '' ELSE 'erased' END"
}

// ScanNotes returns the notes that hold a text. Source may be empty.
func (s *Store) ScanNotes(ctx context.Context, source string, matches func([]byte) bool) (found []HeldNote, err error) {
	type note struct {
		HeldNote
		Source string `db:"source"`
		Text   string `db:"text"`
	}
	for _, table := range noteTables() {
		err := eachRow(ctx, s, table.find, nil, func(r note) {
			if (source == "" || r.Source == source) && matches([]byte(r.Text)) {
				found = append(found, HeldNote{Kind: table.kind, Name: r.Name})
			}
		})
		if err != nil {
			return nil, s.wrap("search notes", err)
		}
	}
	return found, nil
}

// EraseNote removes the texts of a note, not what else it says.
func (s *Store) EraseNote(ctx context.Context, n HeldNote) error {
	operation := "erase " + n.Kind + " " + n.Name
	for _, table := range noteTables() {
		if table.kind == n.Kind {
			_, err := s.db.ExecContext(ctx, s.sql(table.erase), n.Name)
			return s.wrap(operation, err)
		}
	}
	return fmt.Errorf("%s: there is no such kind", operation)
}

// Erasure is the note of who had data erased, and why. Its JSON names are stable.
type Erasure struct {
	ID         int64     `json:"id" db:"id"`
	BegunAt    time.Time `json:"begun_at" db:"-"`
	FinishedAt time.Time `json:"finished_at,omitzero" db:"-"` // zero when it broke off
	By         string    `json:"by" db:"asked_by"`
	Reason     string    `json:"reason" db:"reason"`
	Kind       string    `json:"kind" db:"kind"` // object or text
	Source     string    `json:"source" db:"source"`
	// SearchHash is the SHA-256 of what was looked for, in hexadecimal.
	SearchHash string `json:"search_hash" db:"search_hash"`
	Events     int64  `json:"events" db:"events"`
	Records    int64  `json:"records" db:"records"`
	Rejections int64  `json:"rejections" db:"rejections"`
	Unfinished int64  `json:"unfinished" db:"unfinished"` // events that were left
}

// BeginErasure notes who has asked, before anything is erased, and returns the
// note's number.
func (s *Store) BeginErasure(ctx context.Context, e Erasure) (id int64, err error) {
	err = s.db.GetContext(ctx, &id, s.sql(`INSERT INTO erasures (begun_at, asked_by, reason, kind, source, search_hash)
		VALUES (:now, ?, ?, ?, ?, ?) RETURNING id`), clean(e.By), clean(e.Reason), e.Kind, clean(e.Source), e.SearchHash)
	return id, s.wrap("note erasure", err)
}

// EndErasure notes how much was erased.
func (s *Store) EndErasure(ctx context.Context, e Erasure) error {
	_, err := s.db.ExecContext(ctx, s.sql(`UPDATE erasures SET finished_at = :now, events = ?, records = ?, rejections = ?, unfinished = ?
		WHERE id = ?`), e.Events, e.Records, e.Rejections, e.Unfinished, e.ID)
	return s.wrap("note the end of the erasure", err)
}

// Erasures lists the erasures, newest first. A limit of 0 is 100.
func (s *Store) Erasures(ctx context.Context, limit int) ([]Erasure, error) {
	var w where
	var rows []struct {
		Erasure
		Begun    stamp `db:"begun_at"`
		Finished stamp `db:"finished_at"`
	}
	err := s.read.SelectContext(ctx, &rows, s.sql(`SELECT id, begun_at, finished_at, asked_by, reason, kind, source, search_hash,
		events, records, rejections, unfinished FROM erasures`+w.tail("id DESC", limit)), w.args...)
	erasures := make([]Erasure, len(rows))
	for i, r := range rows {
		erasures[i] = r.Erasure
		erasures[i].BegunAt, erasures[i].FinishedAt = r.Begun.Time, r.Finished.Time
	}
	return erasures, s.wrap("read erasures", err)
}
