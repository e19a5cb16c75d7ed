//go:build unix

package main

import (
	"context"
	"crypto/md5" // names rows, protects nothing
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

// growth is case E: what depends on how much the inbox holds. Each size has a
// database of its own, so that they are measured in turns.
func (st *stack) growth(ctx context.Context, r *caseResult) error {
	if err := st.stopTemporal(); err != nil {
		return err
	}
	var sizes []*sized
	defer func() {
		for _, s := range sizes {
			s.close(st)
		}
	}()
	for _, rows := range st.settings.rows {
		s, err := st.newSized(ctx, rows)
		if err != nil {
			return fmt.Errorf("fill %d rows: %w", rows, err)
		}
		sizes = append(sizes, s)
	}
	for repeat := range st.settings.repeats {
		for i := range sizes {
			s := sizes[(i+repeat)%len(sizes)]
			a := r.of(sizeName(s.rows), surehook, repeat)
			if err := errors.Join(st.settle(ctx), s.measure(ctx, a)); err != nil {
				return fmt.Errorf("%d rows: %w", s.rows, err)
			}
		}
	}
	return nil
}

func sizeName(rows int) string { return humanize.Comma(int64(rows)) + " rows" }

// sized is an installation whose inbox holds that many rows.
type sized struct {
	*stage
	rows  int
	store *store.Store
}

func (st *stack) newSized(ctx context.Context, rows int) (*sized, error) {
	g, err := st.newStage(ctx, false)
	if err != nil {
		return nil, err
	}
	s := &sized{stage: g, rows: rows}
	if s.store, err = g.openStore(ctx); err == nil {
		err = s.fill(ctx)
	}
	if err != nil {
		s.close(st)
		return nil, err
	}
	return s, nil
}

func (s *sized) close(st *stack) {
	if s.store != nil {
		_ = s.store.Close() // its database goes with the rest
	}
	if err := s.stage.close(); err != nil {
		st.log.Warn("close", "error", err)
	}
}

// What the rows are spread over.
const (
	eventsPerObject = 5
	rareSource      = "rare" // a few rows; the others are of "stripe"
	listLimit       = 50     // rows of a list
)

// rareEvery is the distance between rows of the rare source, and between those
// in review: far enough to be rare, near enough to fill a list.
func rareEvery(rows int) int { return max(10, min(1000, rows/listLimit)) }

// fillEvents makes rows as a year of use leaves them: nearly all processed, some
// ignored, few in review, all under IDs in no order, and a lot in the first half of
// a type that then came no more.
//
//nolint:dupword // several columns have the same value
const fillEvents = `INSERT INTO events (source, event_id, type, status, reason, object_type, object_id, mode, api_version,
	occurred_at, received_at, started_at, finished_at, workflow_id, run_id, last_delivered_at, changed, header, body)
	SELECT source, id, CASE WHEN i < $3 / 2 AND i % 4 = 1 THEN 'customer.former' ELSE 'customer.type' || i % 20 END, status, '', 'customer', 'cus_' || md5((i / 5)::text), 'live', '2026-08-26.dahlia',
	at, at, at, CASE WHEN status <> 'review' THEN at END, source || '/' || id, md5(id), at, true,
	'{"Content-Type":["application/json"],"User-Agent":["Stripe/1.0"]}', convert_to(repeat(md5(id), 16), 'UTF8')
	FROM (SELECT i, 'evt_' || md5(i::text) AS id, CASE WHEN i % $4 = 7 THEN 'rare' ELSE 'stripe' END AS source,
		CASE WHEN i % $4 = 3 THEN 'review' WHEN i % 50 = 1 THEN 'ignored' ELSE 'processed' END AS status,
		now() - interval '1 day' - ($3 - i) * interval '5 seconds' AS at
		FROM generate_series($1::bigint, $2::bigint) AS i) AS made`

//nolint:dupword // as above
const fillRecords = `INSERT INTO records (source, object_type, object_id, state, origin, claim, saved_claim, as_of, saved_at, changed_at, changes)
	SELECT 'stripe', 'customer', 'cus_' || md5(i::text), '{"id":"cus","object":"customer"}', 'fetch', 1, 1, at, at, at, 1
	FROM (SELECT i, now() - interval '1 day' - ($3 - i) * interval '25 seconds' AS at FROM generate_series($1::bigint, $2::bigint) AS i) AS made`

func (s *sized) fill(ctx context.Context) error {
	began := time.Now()
	for _, part := range []struct {
		statement string
		rows      int
		more      []any
	}{{fillEvents, s.rows, []any{rareEvery(s.rows)}}, {fillRecords, s.rows / eventsPerObject, nil}} {
		const chunk = 100_000
		for from := 0; from < part.rows; from += chunk {
			to := min(from+chunk, part.rows) - 1
			if _, err := s.db.ExecContext(ctx, part.statement, append([]any{from, to, part.rows}, part.more...)...); err != nil {
				return err
			}
		}
	}
	if _, err := s.db.ExecContext(ctx, "VACUUM ANALYZE"); err != nil {
		return err
	}
	s.stack.log.Info("filled", "rows", s.rows, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// filled is the ID and the object of a row that fill has made.
func filled(i int) (event, object string) {
	hash := func(n int) string { return fmt.Sprintf("%x", md5.Sum(fmt.Append(nil, n))) }
	return "evt_" + hash(i), "cus_" + hash(i/eventsPerObject)
}

const growthConnections = 16

func (s *sized) measure(ctx context.Context, a adder) error {
	if err := s.ingress(ctx); err != nil {
		return err
	}
	defer s.stop()
	err := s.profiled(ctx, fmt.Sprintf("growth-%d", s.rows), func() error {
		return errors.Join(s.acks(ctx, a), s.duplicates(ctx, a))
	})
	if err != nil {
		return err
	}
	s.stop() // its sweeps would take what ours shall find
	if err := s.sweeps(ctx, a); err != nil {
		return err
	}
	return s.lists(ctx, a)
}

// acks sends new events.
func (s *sized) acks(ctx context.Context, a adder) error {
	n := s.stack.settings.growthLetters
	letters, err := s.stack.letters(n + warmUp)
	if err != nil {
		return err
	}
	if _, err := s.send(ctx, growthConnections, letters[n:]); err != nil {
		return err
	}
	o, err := s.send(ctx, growthConnections, letters[:n])
	if err != nil {
		return err
	}
	s.stack.log.Info("acknowledged", "rows", s.rows, "per_second", int(o.rate()))
	a.add("ack p50 ms", milliseconds(quantile(o.latencies, 0.5)))
	a.add("ack p99 ms", milliseconds(quantile(o.latencies, 0.99)))
	return nil
}

// duplicates sends events again that were accepted long ago, spread over the
// whole table.
func (s *sized) duplicates(ctx context.Context, a adder) error {
	n := min(s.rows, s.stack.settings.growthLetters)
	letters := make([]letter, 0, n)
	for i := range n {
		row := i * (s.rows / n)
		if row%rareEvery(s.rows) == 7 {
			row-- // that one is the rare source's
		}
		id, object := filled(row)
		l, err := s.stack.writer.letter("stripe", id, object)
		if err != nil {
			return err
		}
		letters = append(letters, l)
	}
	var before, after int
	count := "SELECT count(*) FROM events WHERE received_at > now() - interval '12 hours'"
	if err := s.db.QueryRowContext(ctx, count).Scan(&before); err != nil {
		return err
	}
	o, err := s.send(ctx, growthConnections, letters)
	if err != nil {
		return err
	}
	if err := s.db.QueryRowContext(ctx, count).Scan(&after); err != nil {
		return err
	}
	if before != after {
		return fmt.Errorf("%d of %d duplicates were taken for new", after-before, n)
	}
	a.add("duplicate p50 ms", milliseconds(quantile(o.latencies, 0.5)))
	a.add("duplicate p99 ms", milliseconds(quantile(o.latencies, 0.99)))
	return nil
}

const (
	sweepLimit  = 500 // as the relay's
	sweepRounds = 20
)

// sweeps measures ClaimDue when nothing is due and when much is.
func (s *sized) sweeps(ctx context.Context, a adder) error {
	if _, err := s.db.ExecContext(ctx, "UPDATE events SET status = 'processed', due_at = NULL WHERE status = 'pending'"); err != nil {
		return err
	}
	sweep := func(want int) ([]time.Duration, error) {
		return timed(sweepRounds, func(int) error {
			due, err := s.store.ClaimDue(ctx, sweepLimit, 0)
			if err == nil && len(due) != want {
				err = fmt.Errorf("swept %d events, not %d", len(due), want)
			}
			return err
		})
	}
	none, err := sweep(0)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, `UPDATE events SET status = 'pending', started_at = NULL, finished_at = NULL, due_at = now() - interval '1 minute'
		WHERE seq IN (SELECT seq FROM events ORDER BY seq DESC LIMIT 1000)`)
	if err != nil {
		return err
	}
	many, err := sweep(min(sweepLimit, s.rows))
	if err != nil {
		return err
	}
	a.add("empty sweep p50 ms", milliseconds(quantile(none, 0.5)))
	a.add("sweep p50 ms", milliseconds(quantile(many, 0.5)))
	return nil
}

// timed calls what is measured some times and returns how long it took, sorted.
func timed(rounds int, what func(round int) error) ([]time.Duration, error) {
	took := make([]time.Duration, rounds)
	for round := range took {
		began := time.Now()
		if err := what(round); err != nil {
			return nil, err
		}
		took[round] = time.Since(began)
	}
	slices.Sort(took)
	return took, nil
}

// lists asks what a console asks.
func (s *sized) lists(ctx context.Context, a adder) error {
	const rounds = 50
	events := func(f store.EventFilter) func(int) error {
		f.Limit = listLimit
		return func(int) error { _, err := s.store.Events(ctx, f); return err }
	}
	for _, list := range []struct {
		name string
		read func(round int) error
	}{
		{"latest", events(store.EventFilter{})},
		{"by source", events(store.EventFilter{Source: "stripe"})},
		{"by rare source", events(store.EventFilter{Source: rareSource})},
		{"by status", events(store.EventFilter{Status: providers.StatusReview})},
		{"by type", events(store.EventFilter{Type: "customer.type3"})},
		{"by former type", events(store.EventFilter{Type: "customer.former"})},
		{"by source and status", events(store.EventFilter{Source: "stripe", Status: providers.StatusReview})},
		{"by object", func(round int) error {
			_, object := filled(round * (s.rows / rounds))
			_, err := s.store.Events(ctx, store.EventFilter{Object: providers.Ref{ID: object}, Limit: listLimit})
			return err
		}},
		{"by id", func(round int) error {
			id, _ := filled(round * (s.rows / rounds))
			_, err := s.store.EventsByID(ctx, id)
			return err
		}},
		{"records", func(int) error {
			_, err := s.store.Records(ctx, store.RecordFilter{Source: "stripe", Limit: listLimit})
			return err
		}},
	} {
		took, err := timed(rounds, list.read)
		if err != nil {
			return fmt.Errorf("list %s: %w", list.name, err)
		}
		a.add(list.name+" p50 ms", milliseconds(quantile(took, 0.5)))
	}
	return nil
}
