package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/surehook/surehook/providers"
)

// MarkStarted notes which runs in Temporal work on these events, so that the sweep
// leaves them alone for a while (finishGrace). Events that were marked before stay
// as they are, unless the run that they are marked with leaves them to another.
func (s *Store) MarkStarted(ctx context.Context, started []providers.Started) error {
	if len(started) == 0 {
		return nil
	}
	_, err := s.starting.do(ctx, started)
	return s.wrap("mark events as started", err)
}

// markStarted is one flush of MarkStarted. The mark may come late: a run that is
// noted already has been parked meanwhile, and the event made pending again; or the
// event is being replayed, in another run.
func (s *Store) markStarted(ctx context.Context, started []providers.Started) ([]struct{}, error) {
	started = slices.Clone(started)
	slices.SortFunc(started, func(a, b providers.Started) int {
		return compareKeys(key{a.Source, a.ID}, key{b.Source, b.ID})
	})
	for chunk := range slices.Chunk(started, flushRows) {
		t := newTable(len(chunk), textColumn, textColumn, textColumn, textColumn, textColumn, textColumn)
		for _, e := range chunk {
			t.add(e.Source, e.ID, e.RunID, e.Replay, e.WorkflowID, e.LeftBy)
		}
		from, args := s.dialect.table(t, "run")
		_, err := s.db.ExecContext(ctx, s.sql(`
			UPDATE events SET started_at = :now, workflow_id = run.column5,
				run_id = CASE WHEN run.column3 <> '' OR workflow_id <> run.column5 THEN run.column3 ELSE run_id END,
				due_at = CASE WHEN status = 'pending' THEN `+s.later(finishGrace)+` END
			FROM `+from+`
			WHERE event_id = run.column2 AND source = run.column1
				AND `+opaque(`replay = run.column4 AND (started_at IS NULL AND (run_id = '' OR run_id <> run.column3)
					OR run.column6 <> '' AND workflow_id = run.column6)`)), args...)
		if err != nil {
			return nil, s.wrap("update", err)
		}
	}
	return make([]struct{}, len(started)), nil
}

// Pending returns those of the events that are pending still, and have not been asked
// to be run again since.
func (s *Store) Pending(ctx context.Context, events []providers.EventRef) ([]providers.EventRef, error) {
	t := newTable(len(events), textColumn, textColumn, textColumn, numberColumn)
	for i, ev := range events {
		t.add(ev.Source, ev.ID, ev.Replay, int64(i))
	}
	from, args := s.dialect.table(t, "asked")
	var open []int
	err := s.read.SelectContext(ctx, &open, s.sql(`SELECT asked.column4 FROM `+from+`, events
		WHERE event_id = asked.column2 AND source = asked.column1 AND `+opaque("status = 'pending' AND replay = asked.column3")+`
		ORDER BY asked.column4`), args...)
	if err != nil {
		return nil, s.wrap("look which events are pending", err)
	}
	var pending []providers.EventRef
	for _, i := range open {
		pending = append(pending, events[i])
	}
	return pending, nil
}

// Coalesce leaves pending events that were not started to a newer one of the
// same object, their cover: they become processed with it, and are due again
// when it ends in another way. Nothing happens to those whose cover is not
// pending itself. What waits for one of those in HandOn waits for the newer one
// from then on.
func (s *Store) Coalesce(ctx context.Context, covers []providers.Cover) error {
	var all []covering
	for _, c := range covers {
		for _, id := range c.Older {
			all = append(all, covering{older: key{c.Source, id}, cover: c.ID, handOn: slices.Contains(c.HandOn, id)})
		}
	}
	if len(all) == 0 {
		return nil
	}
	_, err := s.coalescing.do(ctx, all)
	return s.wrap("coalesce events", err)
}

// covering leaves one event to another of its source.
type covering struct {
	older  key
	cover  string
	handOn bool // others may wait for the older one
}

// coalesce is one flush of Coalesce.
func (s *Store) coalesce(ctx context.Context, all []covering) ([]struct{}, error) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b covering) int { return compareKeys(a.older, b.older) })
	for chunk := range slices.Chunk(all, flushRows) {
		t := newTable(len(chunk), textColumn, textColumn, textColumn)
		for _, c := range chunk {
			t.add(c.older.source, c.older.id, c.cover)
		}
		from, args := s.dialect.table(t, "cover")
		_, err := s.db.ExecContext(ctx, s.sql(`
			UPDATE events SET covered_by = cover.column3, due_at = `+s.later(coverGrace)+`
			FROM `+from+`
			WHERE event_id = cover.column2 AND source = cover.column1 AND `+opaque(`status = 'pending' AND started_at IS NULL
				AND EXISTS (SELECT 1 FROM events AS newer
					WHERE newer.event_id = cover.column3 AND newer.source = cover.column1 AND newer.status = 'pending')`)), args...)
		if err != nil {
			return nil, s.wrap("update", err)
		}
	}
	for _, c := range all {
		if c.handOn {
			if err := s.handOn(ctx, c); err != nil {
				return nil, s.wrap("hand on", err)
			}
		}
	}
	return make([]struct{}, len(all)), nil
}

// opaque is a condition of which Postgres cannot tell how many rows meet it, and
// takes half of them. Where it has no statistics, or those of quiet times, it thinks
// that hardly any event is pending, and rather than to find events by their keys it
// compares each row of the table with each of them.
func opaque(condition string) string {
	return "CASE WHEN " + condition + " THEN 1 = 1 ELSE 1 = 0 END"
}

// handOn leaves what waits for an event to that event's own cover: the end of a
// run processes what waits for its event, and not what waits for that in turn.
// Whoever was started together with older ones and swept up again with newer ones,
// after a crash, has come to stand between the two. It is rare enough for a
// statement of its own, which finds its rows by their index whatever is known of them.
func (s *Store) handOn(ctx context.Context, c covering) error {
	_, err := s.db.ExecContext(ctx, s.sql(`
		UPDATE events SET covered_by = ?, due_at = `+s.later(coverGrace)+`
		WHERE covered_by = ? AND source = ? AND covered_by <> '' AND status = 'pending'
			AND EXISTS (SELECT 1 FROM events AS older
				WHERE older.event_id = ? AND older.source = ? AND older.covered_by = ?)`),
		c.cover, c.older.id, c.older.source, c.older.id, c.older.source, c.cover)
	return err
}

// endWait does what the end of an event means for those that wait for it. What
// this cannot do after the settlement is done by the sweep, some minutes later.
func (s *Store) endWait(ctx context.Context, to providers.Settlement) error {
	switch to.Status {
	case providers.StatusProcessed:
		return s.finishCovered(ctx, s.db, providers.EventRef{Source: to.Source, ID: to.ID, Replay: to.Replay})
	case providers.StatusIgnored, providers.StatusFailed:
		return s.release(ctx, to)
	default: // still open
		return nil
	}
}

// release makes the events due that waited for one that ended without a fetch.
func (s *Store) release(ctx context.Context, ended providers.Settlement) error {
	_, err := s.db.ExecContext(ctx, s.sql(`UPDATE events SET covered_by = '', due_at = :now
		WHERE `+waitsFor), ended.ID, ended.Source, ended.Replay)
	return err
}

// ClaimDue returns pending events that nobody looks after: accepted some time
// ago and not started, or started and still not finished. They are in the order
// received, and nobody else gets them until the lease is over. The sources share
// the limit, so that none waits behind another's backlog; each gets at least one.
func (s *Store) ClaimDue(ctx context.Context, limit int, lease time.Duration) ([]providers.Due, error) {
	sources, err := s.pendingSources(ctx)
	if err != nil {
		return nil, s.wrap("find sources with pending events", err)
	}
	var due []providers.Due
	for _, source := range sources {
		some, err := s.claimDueOf(ctx, source, max(1, limit/len(sources)), lease)
		if err != nil {
			return nil, s.wrap("claim due events of "+source, err)
		}
		due = append(due, some...)
	}
	slices.SortStableFunc(due, func(a, b providers.Due) int { return a.ReceivedAt.Compare(b.ReceivedAt) })
	return due, nil
}

// pendingSources jumps through events_due from one source to the next.
func (s *Store) pendingSources(ctx context.Context) ([]string, error) {
	var sources []string
	err := s.read.SelectContext(ctx, &sources, `
		WITH RECURSIVE sources (source) AS (
			SELECT min(source) FROM events WHERE due_at IS NOT NULL
			UNION ALL
			SELECT (SELECT min(source) FROM events WHERE due_at IS NOT NULL AND source > sources.source)
			FROM sources WHERE sources.source IS NOT NULL)
		SELECT source FROM sources WHERE source IS NOT NULL`)
	return sources, err
}

// claimDueOf claims due events of one source, in the order in which they became
// due; for events that were never claimed that is the order received.
func (s *Store) claimDueOf(ctx context.Context, source string, limit int, lease time.Duration) ([]providers.Due, error) {
	var rows []struct {
		storedRow
		WorkflowID string `db:"workflow_id"`
		Started    bool   `db:"started"`
		Waiting    bool   `db:"waiting"` // for a cover that is still open
	}
	err := s.db.SelectContext(ctx, &rows, s.sql(`
		WITH due AS MATERIALIZED (
			SELECT seq AS due_seq FROM events WHERE status = 'pending' AND source = ? AND due_at <= :now
			ORDER BY due_at, seq LIMIT ?`+s.dialect.skipLocked+`)
		UPDATE events SET due_at = CASE WHEN started_at IS NOT NULL OR `+waiting+` THEN `+s.later(finishGrace)+` ELSE `+s.later(lease)+` END
		FROM due WHERE seq = due_seq
		RETURNING `+storedColumns+`, workflow_id, started_at IS NOT NULL AS started, `+waiting+` AS waiting`), source, limit)
	var due []providers.Due
	for _, r := range rows {
		if !r.Waiting {
			due = append(due, providers.Due{EventRef: r.ref(), WorkflowID: r.WorkflowID, Started: r.Started})
		}
	}
	return due, err
}

// waiting says of an event that its cover is still open: parked, or under way.
const waiting = `(covered_by <> '' AND covered_by <> event_id AND EXISTS (SELECT 1 FROM events AS cover
	WHERE cover.event_id = events.covered_by AND cover.source = events.source AND cover.status IN ('pending', 'review')))`

// later is an expression for that long after now.
func (s *Store) later(d time.Duration) string { return s.dialect.after(s.dialect.now, micros(d)) }

// from says which statuses an event may have to take another. What is missing
// is meant to be:
//
//	to \ from   pending   review   failed   ignored   processed
//	pending     again     yes      yes      yes       no: it is done
//	processed   yes       yes      yes      no        –
//	ignored     yes       yes      no       –         no
//	failed      yes       yes      –        no        no
//	review      yes       again    no       no        no: a late duplicate's park
//
// A settlement that comes too late changes nothing and is no error: it may be
// a repetition, and the one who sends it could do nothing about it. Only an
// operator's retry leads out of ignored and failed; but a run that was given up
// and ends well after all has processed its event. A replay (replay.go) goes by
// none of this: it opens the event for a run of its own, and what is left of an
// earlier one has no say any more.
var from = map[providers.Status]string{
	providers.StatusPending:   "'pending', 'review', 'failed', 'ignored'",
	providers.StatusProcessed: "'pending', 'review', 'failed'",
	providers.StatusIgnored:   "'pending', 'review'",
	providers.StatusFailed:    "'pending', 'review'",
	providers.StatusReview:    "'pending', 'review'",
}

// Settle ends an event, parks it, or makes it pending again; the table above
// says when. An event that is made pending again is due at once, as if it had
// just been accepted, unless its own run goes on; it waits for no other. What waits for an event is
// processed with it, or due when it is given up. The error is ErrNotFound when
// there is no such event.
func (s *Store) Settle(ctx context.Context, to providers.Settlement) error {
	operation := fmt.Sprintf("settle event %s of %s", to.ID, to.Source)
	allowed, ok := from[to.Status]
	if !ok {
		return fmt.Errorf("%s: there is no status %q", operation, to.Status)
	}
	if to.Status == providers.StatusPending && to.ResolvedBy == "" {
		// What an operator has ended meanwhile stays so: a webhook that is sent again
		// finds the event parked, and its run gone when it comes to tell it.
		allowed = from[providers.StatusReview]
	}
	set := "finished_at = :now, due_at = NULL"
	switch {
	case to.Status == providers.StatusPending && to.RunID != "":
		set = "finished_at = NULL, due_at = " + s.later(finishGrace) + ", covered_by = ''"
	case to.Status == providers.StatusPending:
		set = "finished_at = NULL, started_at = NULL, due_at = :now, covered_by = ''"
	case to.Status == providers.StatusReview:
		set = "finished_at = NULL, due_at = NULL"
	}
	if to.RunID != "" {
		set += ", started_at = COALESCE(started_at, :now)"
	}
	// A decision leaves what went wrong in its place, until that is done again.
	args := []any{string(to.Status), to.RunID, to.WorkflowID, clean(to.Reason)}
	switch {
	case to.ResolvedBy == "":
		set += ", reason = ?"
	case to.Status == providers.StatusPending:
		set += ", reason = '', resolved_reason = ?, resolved_by = ?, resolved_at = :now"
		args = append(args, clean(to.ResolvedBy))
	default:
		set += ", resolved_reason = ?, resolved_by = ?, resolved_at = :now"
		args = append(args, clean(to.ResolvedBy))
	}
	result, err := s.db.ExecContext(ctx, s.sql("UPDATE events SET status = ?, run_id = COALESCE(NULLIF(?, ''), run_id), workflow_id = COALESCE(NULLIF(?, ''), workflow_id), "+set+
		" WHERE event_id = ? AND source = ? AND replay = ? AND status IN ("+allowed+")"), append(args, to.ID, to.Source, to.Replay)...)
	if err != nil {
		return s.wrap(operation, err)
	}
	n, err := result.RowsAffected()
	if err == nil && n > 0 {
		err = s.endWait(ctx, to)
	}
	if err != nil || n > 0 {
		return s.wrap(operation, err)
	}
	var status string
	return s.wrap(operation, s.read.GetContext(ctx, &status,
		s.sql("SELECT status FROM events WHERE event_id = ? AND source = ?"), to.ID, to.Source))
}
