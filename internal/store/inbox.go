package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/jmoiron/sqlx"

	"github.com/surehook/surehook/providers"
)

// The times the sweep leaves to others before it looks after a pending event.
const (
	startGrace  = 5 * time.Second  // after it was accepted: to the relay's fast path
	finishGrace = 10 * time.Minute // after its workflow was started: to the workflow
	coverGrace  = time.Minute      // after it was left to a newer event: to that
)

// row is an event on its way into the inbox.
type row struct {
	received providers.Received
	header   string // as JSON
}

func newRow(r providers.Received) (row, error) {
	for name, text := range map[string]string{
		"source": r.Source, "id": r.Event.ID, "type": r.Event.Type, "object type": r.Event.Ref.Type,
		"object id": r.Event.Ref.ID, "account": r.Event.Ref.Account, "mode": string(r.Event.Mode),
		"api version": r.Event.APIVersion, "reason": r.Reason, "workflow id": r.WorkflowID, "fingerprint": r.Event.Fingerprint,
	} {
		if !storable(text) {
			return row{}, fmt.Errorf("event %q: its %s is not text: it holds a NUL or is not UTF-8", r.Event.ID, name)
		}
	}
	if r.Source == "" || r.Event.ID == "" {
		return row{}, errors.New("an event needs a source and an id")
	}
	return row{received: r, header: headerJSON(r.Header)}, nil
}

// headerJSON is what encoding/json makes of a header but for the order of its
// names, which says nothing. Its reflection and sorting would be a tenth of what
// an accepted request costs the processor.
func headerJSON(h map[string][]string) string {
	b := make([]byte, 1, 1024)
	b[0] = '{'
	for name, values := range h {
		b = append(appendQuoted(b, name), ':', '[')
		for _, value := range values {
			b = append(appendQuoted(b, value), ',')
		}
		b = append(bytes.TrimSuffix(b, []byte(",")), ']', ',')
	}
	return string(append(bytes.TrimSuffix(b, []byte(",")), '}'))
}

// appendQuoted replaces what is not UTF-8, as encoding/json does. The error tells
// of nothing else.
func appendQuoted(b []byte, text string) []byte {
	b, _ = jsontext.AppendQuote(b, text)
	return b
}

// storable says whether Postgres can keep the text.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func (r row) bytes() int { return len(r.received.Body) + len(r.header) }

func (r row) key() key { return key{r.received.Source, r.received.Event.ID} }

// fingerprint is NULL where the event's ID is all that names it.
func (r row) fingerprint() any {
	if r.received.Event.Fingerprint == "" {
		return nil
	}
	return r.received.Event.Fingerprint
}

// key names an event.
type key struct{ source, id string }

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.id, b.id))
}

// Accept makes events durable and answers them in the same order. They are
// committed together, and with the events of other callers. An event that is
// there already is not changed, but its delivery is counted. One that is there
// under another ID, by its fingerprint, is answered as that.
//
// The error wraps providers.ErrUnavailable when the database cannot be reached.
// A caller whose context ends stops waiting; its events may be committed all
// the same. That is harmless: they are pending, so the sweep starts them, and a
// sender that was told 503 sends them again as duplicates. For the same reason
// an event whose commit was repeated by the driver, after a lost connection, may
// be answered as a duplicate.
func (s *Store) Accept(ctx context.Context, events []providers.Received) ([]providers.Accepted, error) {
	if len(events) == 0 {
		return nil, nil
	}
	rows := make([]row, len(events))
	for i, e := range events {
		var err error
		if rows[i], err = newRow(e); err != nil {
			return nil, fmt.Errorf("accept events: %w", err)
		}
	}
	accepted, err := s.accepting.do(ctx, rows)
	return accepted, s.wrap("accept events", err)
}

// insert is one flush of the inbox.
func (s *Store) insert(ctx context.Context, rows []row) ([]providers.Accepted, error) {
	f := newFlush(rows)
	var err error
	if len(f.events) <= flushRows && s.dialect.lanes > 1 {
		// The INSERT commits by itself, which saves two round trips. Should the
		// count of the duplicates fail after it, the sender sends again.
		err = s.runFlush(ctx, s.db, f)
	} else {
		err = s.inTx(ctx, func(tx *sqlx.Tx) error { return s.runFlush(ctx, tx, f) })
	}
	if err != nil {
		return nil, s.wrap("insert", err)
	}
	return f.answers(rows)
}

// flush is the work of one flush: each event once, in the order received.
type flush struct {
	events []*delivered
	byKey  map[key]*delivered
}

// delivered is an event of a flush and what became of it.
type delivered struct {
	row
	n        int64 // its place in the flush, and how many microseconds after the first it was received
	times    int64 // how often it came
	inserted bool  // it is new
	stored   providers.Accepted
	found    bool // stored is known
}

func newFlush(rows []row) flush {
	f := flush{byKey: make(map[key]*delivered, len(rows))}
	for _, r := range rows {
		e := f.byKey[r.key()]
		if e == nil {
			e = &delivered{row: r, n: int64(len(f.events))}
			f.byKey[r.key()] = e
			f.events = append(f.events, e)
		}
		e.times++
	}
	return f
}

// then is how many microseconds after the flush the event is finished, and when
// it is due; NULL is never.
func (e *delivered) then() (finished, due any) {
	switch e.received.Status {
	case providers.StatusPending:
		return nil, e.n + startGrace.Microseconds()
	case providers.StatusIgnored, providers.StatusProcessed, providers.StatusFailed:
		return e.n, nil
	case providers.StatusReview:
	}
	return nil, nil
}

// answers says of each row what became of it. Of an event that is in the flush
// several times, only the first can be new.
func (f flush) answers(rows []row) ([]providers.Accepted, error) {
	answers := make([]providers.Accepted, len(rows))
	for i, r := range rows {
		e := f.byKey[r.key()]
		if !e.found {
			return nil, fmt.Errorf("event %q was deleted while it was delivered again", r.key().id)
		}
		answers[i] = e.stored
		answers[i].Duplicate = !e.inserted
		e.inserted = false
	}
	return answers, nil
}

func (s *Store) runFlush(ctx context.Context, q sqlx.ExtContext, f flush) error {
	received, err := s.dialect.flushClock(ctx, q)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(f.events, flushRows) {
		if err := s.insertRows(ctx, q, chunk, f, received); err != nil {
			return err
		}
	}
	var again []*delivered
	for _, e := range f.events {
		if !e.inserted || e.times > 1 {
			again = append(again, e)
		}
	}
	for chunk := range slices.Chunk(again, flushRows) {
		if err := s.countDeliveries(ctx, q, chunk, f); err != nil {
			return err
		}
	}
	return s.countAliases(ctx, q, again)
}

// insertRows inserts the events that are not there yet.
func (s *Store) insertRows(ctx context.Context, q sqlx.ExtContext, events []*delivered, f flush, received string) error {
	if s.dialect.lanes > 1 {
		// Two flushes that insert the same events in opposite order would wait
		// for each other. SQLite has one writer, and relies on the order.
		events = slices.SortedFunc(slices.Values(events), func(a, b *delivered) int { return compareKeys(a.key(), b.key()) })
	}
	t := newTable(len(events), textColumn, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn,
		textColumn, textColumn, timeColumn, textColumn, textColumn, jsonColumn, bytesColumn, numberColumn, numberColumn, numberColumn)
	for _, r := range events {
		e := r.received.Event
		finished, due := r.then()
		t.add(r.received.Source, e.ID, e.Type, string(r.received.Status), r.received.Reason,
			e.Ref.Type, e.Ref.ID, e.Ref.Account, string(e.Mode), e.APIVersion, at(e.OccurredAt),
			r.received.WorkflowID, r.fingerprint(), r.header, body(r.received.Body), r.n, finished, due)
	}
	values, args := s.valuesToInsert(t, received)
	var inserted []insertedRow
	err := s.selectInserted(ctx, q, len(events), &inserted, s.sql(`
		INSERT INTO events (source, event_id, type, status, reason, object_type, object_id, account, mode, api_version,
			occurred_at, workflow_id, fingerprint, header, body, received_at, last_delivered_at, finished_at, due_at) `+values+`
		ON CONFLICT DO NOTHING RETURNING source, event_id, received_at`), args...)
	if err != nil {
		return err
	}
	for _, i := range inserted {
		e := f.byKey[key{i.Source, i.ID}]
		e.inserted, e.found = true, true
		e.stored = providers.Accepted{
			EventRef: providers.EventRef{
				Source: i.Source, ID: i.ID, Type: e.received.Event.Type, Ref: e.received.Event.Ref, ReceivedAt: i.ReceivedAt.Time,
			},
			Status: e.received.Status,
		}
	}
	return nil
}

// insertedRow is what an INSERT of events returns.
type insertedRow struct {
	Source     string `db:"source"`
	ID         string `db:"event_id"`
	ReceivedAt stamp  `db:"received_at"`
}

// selectInserted runs an INSERT of so many events.
func (s *Store) selectInserted(ctx context.Context, q sqlx.ExtContext, events int, inserted *[]insertedRow, statement string, args ...any) error {
	if events == 1 && q == sqlx.ExtContext(s.db) {
		if done, err := s.single.run(ctx, s.db, inserted, statement, args); done {
			return err
		}
	}
	return sqlx.SelectContext(ctx, q, inserted, statement, args...)
}

// valuesToInsert is what an INSERT takes from the table, whose last three columns
// say how many microseconds after the flush an event is received, finished and
// due. A row by itself, as most are while little comes in, costs Postgres less as
// it is.
func (s *Store) valuesToInsert(t *table, received string) (values string, args []any) {
	if len(t.rows) > 1 {
		after := func(column string) string { return s.dialect.after(received, column) }
		from, args := s.dialect.table(t, "new")
		// Without a WHERE, SQLite takes ON CONFLICT for the ON of a join.
		return `SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9, column10, column11,
			column12, column13, column14, column15, ` + after("column16") + ", " + after("column16") + ", " + after("column17") + ", " +
			after("column18") + " FROM " + from + " WHERE 1 = 1", args
	}
	row := t.rows[0]
	after := s.dialect.after(received, "CAST(? AS bigint)")
	values = "VALUES (" + strings.Repeat("?, ", 15) + after + ", " + after + ", " + after + ", " + after + ")"
	return values, slices.Concat(row[:15], []any{row[15], row[15], row[16], row[17]})
}

// countDeliveries counts the repeated deliveries of events that were there
// before, or that came more than once in this flush.
func (s *Store) countDeliveries(ctx context.Context, q sqlx.ExtContext, events []*delivered, f flush) error {
	t := newTable(len(events), textColumn, textColumn, numberColumn)
	for _, e := range slices.SortedFunc(slices.Values(events), func(a, b *delivered) int { return compareKeys(a.key(), b.key()) }) {
		times := e.times
		if e.inserted {
			times--
		}
		t.add(e.key().source, e.key().id, times)
	}
	from, args := s.dialect.table(t, "again")
	var rows []storedRow
	err := sqlx.SelectContext(ctx, q, &rows, s.sql(`
		UPDATE events SET deliveries = deliveries + again.column3, last_delivered_at = :now
		FROM `+from+`
		WHERE event_id = again.column2 AND source = again.column1
		RETURNING `+storedColumns), args...)
	for _, r := range rows {
		e := f.byKey[key{r.Source, r.ID}]
		e.stored, e.found = providers.Accepted{EventRef: r.ref(), Status: r.Status}, true
	}
	return err
}

// countAliases is countDeliveries for events that are there under another ID:
// what was signed of them is the same.
func (s *Store) countAliases(ctx context.Context, q sqlx.ExtContext, events []*delivered) error {
	aliases := map[key][]*delivered{} // by source and fingerprint
	var order []key
	for _, e := range events {
		if e.found || e.fingerprint() == nil {
			continue
		}
		name := key{e.received.Source, e.received.Event.Fingerprint}
		if aliases[name] == nil {
			order = append(order, name)
		}
		aliases[name] = append(aliases[name], e)
	}
	slices.SortFunc(order, compareKeys)
	for chunk := range slices.Chunk(order, flushRows) {
		t := newTable(len(chunk), textColumn, textColumn, numberColumn)
		for _, name := range chunk {
			times := int64(0)
			for _, e := range aliases[name] {
				times += e.times
			}
			t.add(name.source, name.id, times)
		}
		from, args := s.dialect.table(t, "again")
		var rows []struct {
			storedRow
			Fingerprint string `db:"fingerprint"`
		}
		err := sqlx.SelectContext(ctx, q, &rows, s.sql(`
			UPDATE events SET deliveries = deliveries + again.column3, last_delivered_at = :now
			FROM `+from+`
			WHERE fingerprint = again.column2 AND source = again.column1
			RETURNING fingerprint, `+storedColumns), args...)
		if err != nil {
			return err
		}
		for _, r := range rows {
			for _, e := range aliases[key{r.Source, r.Fingerprint}] {
				e.stored, e.found = providers.Accepted{EventRef: r.ref(), Status: r.Status}, true
			}
		}
	}
	return nil
}

// storedRow is what names an event to others, and its status.
type storedRow struct {
	Source     string           `db:"source"`
	ID         string           `db:"event_id"`
	Type       string           `db:"type"`
	ObjectType string           `db:"object_type"`
	ObjectID   string           `db:"object_id"`
	Account    string           `db:"account"`
	ReceivedAt stamp            `db:"received_at"`
	Replay     string           `db:"replay"`
	ReplayedAt stamp            `db:"replayed_at"`
	Status     providers.Status `db:"status"`
}

const storedColumns = "source, event_id, type, object_type, object_id, account, received_at, replay, replayed_at, status"

func (r storedRow) ref() providers.EventRef {
	return providers.EventRef{
		Source: r.Source, ID: r.ID, Type: r.Type, ReceivedAt: r.ReceivedAt.Time,
		Replay: r.Replay, ReplayedAt: r.ReplayedAt.Time,
		Ref: providers.Ref{Type: r.ObjectType, ID: r.ObjectID, Account: r.Account},
	}
}

// body makes sure that an empty body is not NULL.
func body(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Event returns an event with the request it was parsed from.
func (s *Store) Event(ctx context.Context, source, id string) (providers.StoredEvent, error) {
	var r struct {
		ReceivedAt stamp            `db:"received_at"`
		Status     providers.Status `db:"status"`
		Header     string           `db:"header"`
		Body       []byte           `db:"body"`
	}
	operation := fmt.Sprintf("read event %s of %s", id, source)
	err := s.read.GetContext(ctx, &r, s.sql(`SELECT received_at, status, header, body FROM events
		WHERE event_id = ? AND source = ?`), id, source)
	if err != nil {
		return providers.StoredEvent{}, s.wrap(operation, err)
	}
	e := providers.StoredEvent{Source: source, ID: id, ReceivedAt: r.ReceivedAt.Time, Status: r.Status, Body: r.Body}
	if err := json.Unmarshal([]byte(r.Header), &e.Header); err != nil {
		return providers.StoredEvent{}, fmt.Errorf("%s: header: %w", operation, err)
	}
	return e, nil
}
