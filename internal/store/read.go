package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// EventRow is an event as lists and pages show it. Its JSON names are stable.
// Times that are not known are left out.
type EventRow struct {
	// Seq names the row to EventFilter.Before. It grows in the order of the
	// commits to the inbox, and is no part of the JSON.
	Seq             int64            `json:"-"`
	Source          string           `json:"source"`
	ID              string           `json:"id"`
	Type            string           `json:"type"`
	Status          providers.Status `json:"status"`
	Reason          string           `json:"reason"` // of ignored, review and failed
	Object          providers.Ref    `json:"object"`
	WorkflowID      string           `json:"workflow_id"`
	RunID           string           `json:"run_id"`
	Mode            providers.Mode   `json:"mode"`
	APIVersion      string           `json:"api_version"`
	OccurredAt      time.Time        `json:"occurred_at,omitzero"` // the platform's clock
	ReceivedAt      time.Time        `json:"received_at"`
	StartedAt       time.Time        `json:"started_at,omitzero"`  // when Temporal took it
	FinishedAt      time.Time        `json:"finished_at,omitzero"` // processed, ignored or failed
	Deliveries      int64            `json:"deliveries"`           // how often the platform sent it
	LastDeliveredAt time.Time        `json:"last_delivered_at"`
	Changed         bool             `json:"changed"`         // it changed our record
	CoveredBy       string           `json:"covered_by"`      // the event whose fetch stands, or will stand, for this one
	DueAt           time.Time        `json:"due_at,omitzero"` // when the sweep will look after it
	ResolvedBy      string           `json:"resolved_by"`     // the operator who decided last
	ResolvedReason  string           `json:"resolved_reason"` // and why
	ResolvedAt      time.Time        `json:"resolved_at,omitzero"`
	Replay          string           `json:"replay"`               // the batch that last had it run again
	ReplayedAt      time.Time        `json:"replayed_at,omitzero"` // when that was asked for
	// BodyRemovedAt is when the retention or an erasure removed its body.
	BodyRemovedAt time.Time `json:"body_removed_at,omitzero"`
}

// RecordRow is a record as lists and pages show it. Its JSON names are stable.
type RecordRow struct {
	Source    string           `json:"source"`
	Object    providers.Ref    `json:"object"`
	State     json.RawMessage  `json:"state,omitempty"` // the platform's bytes; not in lists, nor where none was ever seen
	Origin    providers.Origin `json:"origin"`
	ETag      string           `json:"etag"`
	UpdatedAt time.Time        `json:"updated_at,omitzero"` // the platform's own time of the last change
	Deleted   bool             `json:"deleted"`             // the state is the last one before
	DeletedAt time.Time        `json:"deleted_at,omitzero"`
	AsOf      time.Time        `json:"as_of"`            // the state is at least as new as this
	SavedAt   time.Time        `json:"saved_at"`         // when it was last saved or confirmed
	SeenAt    time.Time        `json:"seen_at,omitzero"` // when a list last showed it so, within an hour
	ChangedAt time.Time        `json:"changed_at"`       // when it last changed
	Changes   int64            `json:"changes"`          // how often
	EventID   string           `json:"event_id"`         // of the last change; empty when a reconciliation found it
}

// RejectionRow counts the requests that were refused in one minute for one
// reason. Its JSON names are stable.
type RejectionRow struct {
	Source     string    `json:"source"` // empty when the request named none we have
	Reason     string    `json:"reason"`
	Minute     time.Time `json:"minute"`
	Count      int64     `json:"count"`
	RemoteAddr string    `json:"remote_addr"` // this and the rest: of the first one
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	Detail     string    `json:"detail"`
	Excerpt    string    `json:"excerpt"`
}

// defaultLimit is the length of a list when the filter does not say.
const defaultLimit = 100

// where gathers the conditions of a list.
type where struct {
	conditions []string
	args       []any
}

// add adds a condition unless its value is empty.
func (w *where) add(value, condition string) {
	if value != "" {
		w.always(condition, value)
	}
}

// part adds one of an EventFilter's parts.
func (w *where) part(condition string) {
	if condition != "" {
		w.always(condition)
	}
}

func (w *where) always(condition string, args ...any) {
	w.conditions = append(w.conditions, condition)
	w.args = append(w.args, args...)
}

// tail ends a SELECT.
func (w *where) tail(order string, limit int) string {
	if limit <= 0 {
		limit = defaultLimit
	}
	w.args = append(w.args, limit)
	return w.text() + " ORDER BY " + order + " LIMIT ?"
}

// text is the WHERE of a SELECT.
func (w *where) text() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// EventFilter selects events; what is empty selects all.
type EventFilter struct {
	Source string
	Status providers.Status
	Type   string        // exact, or with * for any run of characters
	Object providers.Ref // by ID and, where given, by Type
	Since  time.Time     // received then or later
	Until  time.Time     // received before that
	IDs    []string      // these alone
	Limit  int           // 0 is 100
	Before int64         // only rows with a smaller Seq: the next page
}

// Events lists events, newest first.
func (s *Store) Events(ctx context.Context, f EventFilter) ([]EventRow, error) {
	if f.Limit <= 0 {
		f.Limit = defaultLimit
	}
	within, err := s.span(ctx, f)
	if err != nil {
		return nil, s.wrap("read events", err)
	}
	var all []EventRow
	for _, part := range f.parts() {
		w, order := s.newest(f, part, within)
		rows, err := s.eventRows(ctx, w.tail(order, f.Limit), w.args)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	// An event that was finished between two parts is in both, last as it is now.
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b EventRow) int { return cmp.Compare(b.Seq, a.Seq) })
	all = slices.CompactFunc(all, func(a, b EventRow) bool { return a.Seq == b.Seq })
	return all[:min(f.Limit, len(all))], nil
}

// What part of the inbox an index holds.
const (
	isAny        = "" // the table's key
	isPending    = "due_at IS NOT NULL AND status = 'pending'"
	isNotPending = "status <> 'pending'"
	isRare       = isNotPending + " AND status IN ('ignored', 'review', 'failed')"
)

// parts are the conditions that let an index help: that of the pending events,
// which are those that are due, or one of the others. An event only goes from one part to the next.
func (f EventFilter) parts() []string {
	switch {
	case f.Status == providers.StatusPending:
		return []string{isPending}
	case f.Status == providers.StatusProcessed && f.Source == "" && f.Type == "" && f.Object.IsZero():
		return []string{isAny} // most are
	case f.Status == providers.StatusProcessed:
		return []string{isNotPending}
	case f.Status != "":
		return []string{isRare}
	case f.Source == "" && f.Type == "" && f.Object.IsZero():
		return []string{isAny}
	default:
		return []string{isPending, isNotPending}
	}
}

// newest are the conditions and the order of one part's list.
func (s *Store) newest(f EventFilter, part string, within span) (w where, order string) {
	column, value := "", ""
	if s.dialect.plansByStatistics {
		column, value = f.takeLeading(part)
	}
	w = s.where(f)
	w.part(part)
	if column == "" {
		within.limit(&w)
		return w, "seq DESC"
	}
	w.always("("+column+", seq) > (?, ?)", value, within.after)
	w.always("("+column+", seq) <= (?, ?)", value, within.until)
	return w, column + " DESC, seq DESC"
}

// takeLeading takes the condition out of the filter whose column leads the index
// of a part's list, to be compared together with seq, which comes next there. Were
// the column said to be equal to a value that is in many rows, a database could as
// well read the newest of all events and leave out the others: through the whole
// inbox when those rows are old. There is no such column where the part is short or
// is everything, and where events are named, or their object is: they are few.
func (f *EventFilter) takeLeading(part string) (column, value string) {
	switch {
	case part == isAny, part == isPending, f.Object.ID != "", len(f.IDs) > 0:
	case part == isRare:
		column, value, f.Status = "status", string(f.Status), ""
	case f.Type != "" && !isPattern(f.Type):
		column, value, f.Type = "type", f.Type, ""
	case f.Source != "":
		column, value, f.Source = "source", f.Source, ""
	}
	return column, value
}

// where are the conditions of the filter but for the part and the span.
func (s *Store) where(f EventFilter) where {
	var w where
	if len(f.IDs) > 0 {
		t := newTable(len(f.IDs), textColumn)
		for _, id := range f.IDs {
			t.add(id)
		}
		from, args := s.dialect.table(t, "named")
		w.always("event_id IN (SELECT column1 FROM "+from+")", args...)
	}
	if !f.Since.IsZero() {
		w.always("received_at >= ?", at(f.Since))
	}
	if !f.Until.IsZero() {
		w.always("received_at < ?", at(f.Until))
	}
	w.add(f.Source, "source = ?")
	w.add(string(f.Status), "status = ?")
	if isPattern(f.Type) {
		w.always(`type LIKE ? ESCAPE '\'`, likePattern(f.Type))
	} else {
		w.add(f.Type, "type = ?")
	}
	w.add(f.Object.Type, "object_type = ?")
	if f.Object.ID != "" {
		w.always("object_id = ? AND object_id <> ''", f.Object.ID) // the index has no empty ones
	}
	return w
}

func isPattern(eventType string) bool { return strings.Contains(eventType, "*") }

// likePattern translates * to SQL.
func likePattern(pattern string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`, `*`, `%`).Replace(pattern)
}

// EventRow returns one event. The error is ErrNotFound when there is none.
func (s *Store) EventRow(ctx context.Context, source, id string) (EventRow, error) {
	rows, err := s.eventRows(ctx, " WHERE event_id = ? AND source = ?", []any{id, source})
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("read event %s of %s: %w", id, source, providers.ErrNotFound)
	}
	if err != nil {
		return EventRow{}, err
	}
	return rows[0], nil
}

// EventsByID returns the events of all sources that have this ID: usually one,
// or none.
func (s *Store) EventsByID(ctx context.Context, id string) ([]EventRow, error) {
	return s.eventRows(ctx, " WHERE event_id = ? ORDER BY source", []any{id})
}

func (s *Store) eventRows(ctx context.Context, tail string, args []any) ([]EventRow, error) {
	var rows []struct {
		storedRow
		Seq             int64          `db:"seq"`
		Reason          string         `db:"reason"`
		WorkflowID      string         `db:"workflow_id"`
		RunID           string         `db:"run_id"`
		Mode            providers.Mode `db:"mode"`
		APIVersion      string         `db:"api_version"`
		OccurredAt      stamp          `db:"occurred_at"`
		StartedAt       stamp          `db:"started_at"`
		FinishedAt      stamp          `db:"finished_at"`
		Deliveries      int64          `db:"deliveries"`
		LastDeliveredAt stamp          `db:"last_delivered_at"`
		Changed         bool           `db:"changed"`
		CoveredBy       string         `db:"covered_by"`
		DueAt           stamp          `db:"due_at"`
		ResolvedBy      string         `db:"resolved_by"`
		ResolvedReason  string         `db:"resolved_reason"`
		ResolvedAt      stamp          `db:"resolved_at"`
		BodyRemovedAt   stamp          `db:"body_removed_at"`
	}
	err := s.read.SelectContext(ctx, &rows, s.sql("SELECT "+storedColumns+`, seq, reason, workflow_id, run_id, mode,
		api_version, occurred_at, started_at, finished_at, deliveries, last_delivered_at, changed, covered_by, due_at,
		resolved_by, resolved_reason, resolved_at, body_removed_at FROM events`+tail), args...)
	if err != nil {
		return nil, s.wrap("read events", err)
	}
	events := make([]EventRow, len(rows))
	for i, r := range rows {
		ref := r.ref()
		events[i] = EventRow{
			Seq: r.Seq, Source: r.Source, ID: r.ID, Type: r.Type, Status: r.Status, Reason: r.Reason, Object: ref.Ref,
			WorkflowID: r.WorkflowID, RunID: r.RunID, Mode: r.Mode, APIVersion: r.APIVersion,
			OccurredAt: r.OccurredAt.Time, ReceivedAt: ref.ReceivedAt, StartedAt: r.StartedAt.Time,
			FinishedAt: r.FinishedAt.Time, Deliveries: r.Deliveries, LastDeliveredAt: r.LastDeliveredAt.Time,
			Changed: r.Changed, CoveredBy: r.CoveredBy, DueAt: r.DueAt.Time,
			ResolvedBy: r.ResolvedBy, ResolvedReason: r.ResolvedReason, ResolvedAt: r.ResolvedAt.Time,
			Replay: r.Replay, ReplayedAt: r.ReplayedAt.Time,
			BodyRemovedAt: r.BodyRemovedAt.Time,
		}
	}
	return events, nil
}

// RecordFilter selects records; what is empty selects all.
type RecordFilter struct {
	Source string
	Type   string
	Limit  int       // 0 is 100
	Before RecordRow // the last row of the page before: only older ones
}

// Records lists records without their states, those that changed last first.
func (s *Store) Records(ctx context.Context, f RecordFilter) ([]RecordRow, error) {
	var w where
	w.always("saved_at IS NOT NULL") // others have been claimed but never saved
	w.add(f.Source, "source = ?")
	w.add(f.Type, "object_type = ?")
	if b := f.Before; !b.ChangedAt.IsZero() {
		w.always("(changed_at, source, object_type, object_id) < (?, ?, ?, ?)",
			at(b.ChangedAt), b.Source, b.Object.Type, b.Object.ID)
	}
	return s.recordRows(ctx, "NULL", w.tail("changed_at DESC, source DESC, object_type DESC, object_id DESC", f.Limit), w.args)
}

// Record returns one record with its state. The error is ErrNotFound when there
// is none.
func (s *Store) Record(ctx context.Context, source, objectType, objectID string) (RecordRow, error) {
	rows, err := s.recordRows(ctx, "state",
		" WHERE saved_at IS NOT NULL AND source = ? AND object_type = ? AND object_id = ?", []any{source, objectType, objectID})
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("read record %s/%s of %s: %w", objectType, objectID, source, providers.ErrNotFound)
	}
	if err != nil {
		return RecordRow{}, err
	}
	return rows[0], nil
}

func (s *Store) recordRows(ctx context.Context, state, tail string, args []any) ([]RecordRow, error) {
	var rows []struct {
		record
		Source    string `db:"source"`
		Type      string `db:"object_type"`
		ID        string `db:"object_id"`
		DeletedAt stamp  `db:"deleted_at"`
		SeenAt    stamp  `db:"seen_at"`
		ChangedAt stamp  `db:"changed_at"`
		EventID   string `db:"event_id"`
	}
	err := s.read.SelectContext(ctx, &rows, s.sql(`SELECT source, object_type, object_id, account, `+state+` AS state,
		origin, etag, updated_at, deleted, deleted_at, as_of, saved_at, seen_at, changed_at, changes, event_id FROM records`+tail), args...)
	if err != nil {
		return nil, s.wrap("read records", err)
	}
	records := make([]RecordRow, len(rows))
	for i, r := range rows {
		records[i] = RecordRow{
			Source: r.Source, Object: providers.Ref{Type: r.Type, ID: r.ID, Account: r.Account},
			Origin: r.Origin, ETag: r.ETag, UpdatedAt: r.UpdatedAt.Time, Deleted: r.Deleted, DeletedAt: r.DeletedAt.Time,
			AsOf: r.AsOf.Time, SavedAt: r.SavedAt.Time, SeenAt: r.SeenAt.Time, ChangedAt: r.ChangedAt.Time, Changes: r.Changes, EventID: r.EventID,
		}
		if r.State.Valid {
			records[i].State = json.RawMessage(r.State.String)
		}
	}
	return records, nil
}

// RejectionFilter selects rejections; what is empty selects all.
type RejectionFilter struct {
	Source string
	Reason string
	Limit  int // 0 is 100
}

// Rejections lists rejections, newest first.
func (s *Store) Rejections(ctx context.Context, f RejectionFilter) ([]RejectionRow, error) {
	var w where
	w.add(f.Source, "source = ?")
	w.add(f.Reason, "reason = ?")
	tail := w.tail("minute DESC, source DESC, reason DESC", f.Limit)
	var rows []struct {
		Source     string `db:"source"`
		Reason     string `db:"reason"`
		Minute     stamp  `db:"minute"`
		Count      int64  `db:"count"`
		RemoteAddr string `db:"remote_addr"`
		Method     string `db:"method"`
		Path       string `db:"path"`
		Detail     string `db:"detail"`
		Excerpt    string `db:"excerpt"`
	}
	err := s.read.SelectContext(ctx, &rows, s.sql(
		"SELECT source, reason, minute, count, remote_addr, method, path, detail, excerpt FROM rejections"+tail), w.args...)
	if err != nil {
		return nil, s.wrap("read rejections", err)
	}
	rejections := make([]RejectionRow, len(rows))
	for i, r := range rows {
		rejections[i] = RejectionRow{Source: r.Source, Reason: r.Reason, Minute: r.Minute.Time, Count: r.Count,
			RemoteAddr: r.RemoteAddr, Method: r.Method, Path: r.Path, Detail: r.Detail, Excerpt: r.Excerpt}
	}
	return rejections, nil
}
