package store

import (
	"context"
	"time"

	"github.com/surehook/surehook/providers"
)

// ReconciliationRow is a run over a list as lists and pages show it. Its JSON
// names are stable. Times that are not known are left out.
type ReconciliationRow struct {
	ID       int64     `json:"id"`
	Source   string    `json:"source"`
	List     string    `json:"list"`
	Backfill bool      `json:"backfill"`       // somebody asked for this window
	Since    time.Time `json:"since,omitzero"` // without it, everything was looked at
	Until    time.Time `json:"until"`
	providers.Tally
	Complete        bool      `json:"complete"` // its last page was read
	Error           string    `json:"error"`    // why it ended, or the first that made something fail
	WorkflowID      string    `json:"workflow_id"`
	RunID           string    `json:"run_id"`
	RequestedBy     string    `json:"requested_by"` // empty when the schedule did
	RequestedReason string    `json:"requested_reason"`
	StartedAt       time.Time `json:"started_at"`
	FinishedAt      time.Time `json:"finished_at,omitzero"`
}

const reconciliationColumns = `id, source, list, backfill, since, until, cursor, mark, pages, objects, missed, repaired, failed, calls,
	incomplete, complete, error, workflow_id, run_id, requested_by, requested_reason, started_at, finished_at`

// reconciliation is a row of reconciliations.
type reconciliation struct {
	ID              int64  `db:"id"`
	Source          string `db:"source"`
	List            string `db:"list"`
	Backfill        bool   `db:"backfill"`
	Since           stamp  `db:"since"`
	Until           stamp  `db:"until"`
	Cursor          string `db:"cursor"`
	Mark            string `db:"mark"`
	Pages           int64  `db:"pages"`
	Objects         int64  `db:"objects"`
	Missed          int64  `db:"missed"`
	Repaired        int64  `db:"repaired"`
	Failed          int64  `db:"failed"`
	Calls           int64  `db:"calls"`
	Incomplete      bool   `db:"incomplete"`
	Complete        bool   `db:"complete"`
	Error           string `db:"error"`
	WorkflowID      string `db:"workflow_id"`
	RunID           string `db:"run_id"`
	RequestedBy     string `db:"requested_by"`
	RequestedReason string `db:"requested_reason"`
	StartedAt       stamp  `db:"started_at"`
	FinishedAt      stamp  `db:"finished_at"`
}

func (r reconciliation) tally() providers.Tally {
	return providers.Tally{Pages: r.Pages, Objects: r.Objects, Missed: r.Missed, Repaired: r.Repaired, Failed: r.Failed, Calls: r.Calls}
}

// reconciliation is the run as those who carry it out know it.
func (r reconciliation) reconciliation() providers.Reconciliation {
	return providers.Reconciliation{
		ID: r.ID, Source: r.Source, List: r.List, Backfill: r.Backfill, Since: r.Since.Time, Until: r.Until.Time,
		Cursor: r.Cursor, Mark: r.Mark, Tally: r.tally(), Incomplete: r.Incomplete, WorkflowID: r.WorkflowID, RunID: r.RunID,
		By: r.RequestedBy, Reason: r.RequestedReason, Error: r.Error, StartedAt: r.StartedAt.Time, FinishedAt: r.FinishedAt.Time,
	}
}

// row is the run as lists show it: without cursor and mark, which can be as good
// as a key to what they point at.
func (r reconciliation) row() ReconciliationRow {
	return ReconciliationRow{
		ID: r.ID, Source: r.Source, List: r.List, Backfill: r.Backfill, Since: r.Since.Time, Until: r.Until.Time,
		Tally: r.tally(), Complete: r.Complete, Error: r.Error, WorkflowID: r.WorkflowID, RunID: r.RunID,
		RequestedBy: r.RequestedBy, RequestedReason: r.RequestedReason, StartedAt: r.StartedAt.Time, FinishedAt: r.FinishedAt.Time,
	}
}

// ReconciliationFilter selects runs; what is empty selects all.
type ReconciliationFilter struct {
	Source     string
	List       string
	WorkflowID string // of the last that carried the run out
	Limit      int    // 0 is 100
}

// Reconciliations lists runs, newest first.
func (s *Store) Reconciliations(ctx context.Context, f ReconciliationFilter) ([]ReconciliationRow, error) {
	var w where
	w.add(f.Source, "source = ?")
	w.add(f.List, "list = ?")
	w.add(f.WorkflowID, "workflow_id = ?")
	return s.reconciliationRows(ctx, w.tail("id DESC", f.Limit), w.args)
}

// LastReconciliations returns the last complete scheduled run of each source and
// list, ordered by these, also of those that are no longer configured. It reads a
// few index entries for each of them, however many runs there were.
func (s *Store) LastReconciliations(ctx context.Context) ([]ReconciliationRow, error) {
	return s.reconciliationRows(ctx, ` WHERE id IN (
		WITH RECURSIVE firsts (id) AS (
			SELECT (SELECT id FROM reconciliations ORDER BY source, list, id LIMIT 1)
			UNION ALL
			SELECT (SELECT later.id FROM reconciliations AS later WHERE (later.source, later.list) > (first.source, first.list)
				ORDER BY later.source, later.list, later.id LIMIT 1)
			FROM firsts JOIN reconciliations AS first ON first.id = firsts.id)
		SELECT (SELECT last.id FROM reconciliations AS last
			WHERE last.source = first.source AND last.list = first.list AND last.complete AND NOT last.backfill
			ORDER BY last.id DESC LIMIT 1)
		FROM firsts JOIN reconciliations AS first ON first.id = firsts.id) ORDER BY source, list`, nil)
}

func (s *Store) reconciliationRows(ctx context.Context, tail string, args []any) ([]ReconciliationRow, error) {
	var stored []reconciliation
	err := s.read.SelectContext(ctx, &stored, s.sql("SELECT "+reconciliationColumns+" FROM reconciliations"+tail), args...)
	if err != nil {
		return nil, s.wrap("read reconciliations", err)
	}
	rows := make([]ReconciliationRow, len(stored))
	for i, r := range stored {
		rows[i] = r.row()
	}
	return rows, nil
}
