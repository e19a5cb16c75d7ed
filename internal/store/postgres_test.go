package store_test

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/internal/store/storetest/pgtest"
	"github.com/surehook/surehook/providers"
)

func received(id string) providers.Received {
	return providers.Received{Source: "stripe", Status: providers.StatusPending, WorkflowID: "stripe/" + id, Body: []byte("{}"),
		Event: providers.Event{ID: id, Type: "invoice.paid", Ref: providers.Ref{Type: "invoice", ID: "in_1"}}}
}

func accept(ctx context.Context, s *store.Store, id string) error {
	_, err := s.Accept(ctx, []providers.Received{received(id)})
	return err
}

// acceptForever has many callers accept events until stop is called, which
// returns the ids that were acknowledged. Any other answer than success and
// "unavailable" fails the test.
func acceptForever(t *testing.T, s *store.Store, callers int) (acknowledged *atomic.Int64, stop func() []string) {
	t.Helper()
	var mu sync.Mutex
	var ids []string
	var all sync.WaitGroup
	acknowledged = &atomic.Int64{}
	ctx, cancel := context.WithCancel(context.Background())
	for caller := range callers {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id := fmt.Sprintf("evt_%d_%d", caller, n)
				err := accept(context.Background(), s, id)
				if err == nil {
					acknowledged.Add(1)
					mu.Lock()
					ids = append(ids, id)
					mu.Unlock()
					continue
				}
				if !errorIsUnavailable(err) {
					t.Errorf("accept: %v", err)
				}
				time.Sleep(5 * time.Millisecond) // a sender waits before it sends again
			}
		})
	}
	return acknowledged, func() []string {
		cancel()
		all.Wait()
		return ids
	}
}

// waitForMore waits until more events have been acknowledged than now.
func waitForMore(t *testing.T, acknowledged *atomic.Int64) {
	t.Helper()
	before := acknowledged.Load()
	require.Eventually(t, func() bool { return acknowledged.Load() > before+20 }, 30*time.Second, 5*time.Millisecond)
}

func requireStored(t *testing.T, s *store.Store, ids []string) {
	t.Helper()
	require.NotEmpty(t, ids)
	for _, id := range ids {
		_, err := s.Event(t.Context(), "stripe", id)
		require.NoError(t, err, "it was acknowledged")
	}
}

func TestNoAcknowledgedEventIsLostWhenPostgresIsKilled(t *testing.T) {
	server := pgtest.Start(t, pgtest.Options{Durable: true})
	s := open(t, server.Database(t))
	acknowledged, stop := acceptForever(t, s, 16)
	for range 2 {
		waitForMore(t, acknowledged)
		server.Kill(t)
		require.ErrorIs(t, s.Ping(t.Context()), providers.ErrUnavailable)
		server.Restart(t)
	}
	waitForMore(t, acknowledged)
	requireStored(t, s, stop())
}

func TestAStoreOutlivesARestartOfPostgres(t *testing.T) {
	server := pgtest.Start(t, pgtest.Options{})
	s := open(t, server.Database(t))
	acknowledged, stop := acceptForever(t, s, 8)
	waitForMore(t, acknowledged)
	server.Stop(t)
	ev := providers.EventRef{Source: "stripe", ID: "evt_0_0", Ref: providers.Ref{Type: "invoice", ID: "in_1"}}
	for name, call := range map[string]func(context.Context) error{
		"ping":    s.Ping,
		"migrate": s.Migrate,
		"accept":  func(ctx context.Context) error { return accept(ctx, s, "evt_down") },
		"started": func(ctx context.Context) error {
			return s.MarkStarted(ctx, []providers.Started{{Source: "stripe", ID: "evt_0_0", WorkflowID: "stripe/evt_0_0"}})
		},
		"due": func(ctx context.Context) error { _, err := s.ClaimDue(ctx, 1, time.Minute); return err },
		"settle": func(ctx context.Context) error {
			return s.Settle(ctx, providers.Settlement{Source: "stripe", ID: "evt_0_0", Status: providers.StatusFailed})
		},
		"claim": func(ctx context.Context) error { _, err := s.Claim(ctx, ev); return err },
		"cover": func(ctx context.Context) error {
			_, err := s.Cover(ctx, providers.Save{Event: ev, Finish: true})
			return err
		},
		"save": func(ctx context.Context) error {
			_, err := s.Save(ctx, providers.Save{Event: ev, Finish: true, Origin: providers.OriginFetch,
				Claim: providers.Claim{Number: 1}, Object: providers.Object{State: []byte("{}")}})
			return err
		},
		"event":   func(ctx context.Context) error { _, err := s.Event(ctx, "stripe", "evt_0_0"); return err },
		"events":  func(ctx context.Context) error { _, err := s.Events(ctx, store.EventFilter{}); return err },
		"record":  func(ctx context.Context) error { _, err := s.Record(ctx, "stripe", "invoice", "in_1"); return err },
		"version": func(ctx context.Context) error { _, err := s.SchemaVersion(ctx); return err },
		"begin a reconciliation": func(ctx context.Context) error {
			_, err := s.BeginReconciliation(ctx, providers.ReconciliationStart{Source: "stripe", List: "invoice"})
			return err
		},
		"save a page":          func(ctx context.Context) error { return s.SaveReconciledPage(ctx, providers.ReconciledPage{ID: 1}) },
		"end a reconciliation": func(ctx context.Context) error { return s.EndReconciliation(ctx, 1, "") },
		"now":                  func(ctx context.Context) error { _, err := s.Now(ctx); return err },
		"differing": func(ctx context.Context) error {
			_, err := s.Differing(ctx, "stripe", time.Now(), []providers.Listed{{Object: providers.Object{Ref: ev.Ref}}})
			return err
		},
		"missing": func(ctx context.Context) error {
			_, err := s.MissingEvents(ctx, "stripe", []string{"evt_0_0"})
			return err
		},
		"unseen": func(ctx context.Context) error {
			_, err := s.Unseen(ctx, "stripe", time.Now(), providers.Ref{}, 1)
			return err
		},
		"reject": func(ctx context.Context) error {
			return s.AddRejections(ctx, []providers.Rejection{{Reason: "stale", Count: 1}})
		},
	} {
		begin := time.Now()
		require.ErrorIs(t, call(t.Context()), providers.ErrUnavailable, name)
		require.Less(t, time.Since(begin), 3*time.Second, name)
	}
	server.Restart(t)
	waitForMore(t, acknowledged)
	requireStored(t, s, stop())
}

// connect opens a database beside the store.
func connect(t *testing.T, u string) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("postgres", u)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestALostConnectionLosesNoAcknowledgedEvent(t *testing.T) {
	u := pgtest.URL(t)
	s := open(t, u)
	admin := connect(t, u)
	acknowledged, stop := acceptForever(t, s, 16)
	for range 20 {
		waitForMore(t, acknowledged)
		_, err := admin.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		require.NoError(t, err)
	}
	requireStored(t, s, stop())
}

func TestAFrozenPostgresIsUnavailableInTime(t *testing.T) {
	server := pgtest.Start(t, pgtest.Options{})
	s := open(t, server.Database(t))
	require.NoError(t, accept(t.Context(), s, "evt_before"))
	server.Freeze(t)
	var all sync.WaitGroup
	begin := time.Now()
	for n := range 8 { // the first ones take the lanes, the others wait for them
		all.Go(func() {
			if err := accept(context.Background(), s, fmt.Sprintf("evt_%d", n)); !errorIsUnavailable(err) {
				t.Errorf("accept: %v", err)
			}
		})
	}
	all.Wait()
	require.Less(t, time.Since(begin), 10*time.Second)
	server.Thaw(t)
	require.Eventually(t, func() bool { return accept(context.Background(), s, "evt_after") == nil }, 30*time.Second, 50*time.Millisecond)
}

func TestAPostgresThatCannotStoreIsUnavailable(t *testing.T) {
	u := pgtest.URL(t)
	s := open(t, u)
	for name, change := range map[string]func(*url.URL){
		"the database does not exist": func(u *url.URL) { u.Path = "/absent" },
		"the user does not exist":     func(u *url.URL) { u.User = url.User("absent") },
		"nothing listens":             func(u *url.URL) { u.Host = "127.0.0.1:1" },
		"it is a standby": func(u *url.URL) {
			u.RawQuery += "&default_transaction_read_only=on"
		},
		"the statement takes too long": func(u *url.URL) {
			u.RawQuery += "&statement_timeout=50"
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "the statement takes too long" {
				lock(t, u)
			}
			changed, err := url.Parse(u)
			require.NoError(t, err)
			change(changed)
			s, err := store.Open(t.Context(), store.Config{URL: changed.String(), MaxConns: 8})
			require.NoError(t, err, "serve starts while the database is away")
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			require.ErrorIs(t, accept(t.Context(), s, "evt_1"), providers.ErrUnavailable)
		})
	}
	require.NoError(t, accept(t.Context(), s, "evt_1"))
}

// lock holds the inbox against all writers until the test ends.
func lock(t *testing.T, u string) {
	t.Helper()
	db, err := sqlx.Open("postgres", u)
	require.NoError(t, err)
	tx, err := db.Begin()
	require.NoError(t, err)
	_, err = tx.Exec("LOCK TABLE events IN EXCLUSIVE MODE")
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, tx.Rollback())
		require.NoError(t, db.Close())
	})
}

func TestAFlushThatWaitsForALockIsGivenUp(t *testing.T) {
	u := pgtest.URL(t)
	s := open(t, u)
	lock(t, u)
	begin := time.Now()
	require.ErrorIs(t, accept(t.Context(), s, "evt_1"), providers.ErrUnavailable)
	require.Less(t, time.Since(begin), 5*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, accept(ctx, s, "evt_2"), providers.ErrUnavailable, "the caller's own deadline")
}

func TestProcessesMayMigrateAtTheSameTime(t *testing.T) {
	u := pgtest.URL(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			s, err := store.Open(context.Background(), store.Config{URL: u, MaxConns: 8})
			if err == nil {
				err = s.Migrate(context.Background())
				_ = s.Close()
			}
			if err != nil {
				t.Errorf("migrate: %v", err)
			}
		})
	}
	all.Wait()
}

func TestProcessesThatGetTheSameEventsInOppositeOrderDoNotBlockEachOther(t *testing.T) {
	u := pgtest.URL(t)
	one, other := open(t, u), open(t, u)
	for round := range 20 {
		var events, reversed []providers.Received
		for n := range 200 {
			events = append(events, received(fmt.Sprintf("evt_%d_%d", round, n)))
			reversed = append(reversed, received(fmt.Sprintf("evt_%d_%d", round, 199-n)))
		}
		var news atomic.Int64
		var all sync.WaitGroup
		for s, list := range map[*store.Store][]providers.Received{one: events, other: reversed} {
			all.Go(func() {
				accepted, err := s.Accept(context.Background(), list)
				if err != nil {
					t.Error(err)
				}
				for _, a := range accepted {
					if !a.Duplicate {
						news.Add(1)
					}
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 200, news.Load())
	}
	var deadlocks int
	admin, err := sqlx.Open("postgres", u)
	require.NoError(t, err)
	defer admin.Close()
	require.NoError(t, admin.Get(&deadlocks, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
	require.Zero(t, deadlocks)
}

// TestNothingReadsAWholeTable asks Postgres, after everything that is done all
// the time has been done once, how often it read a table from end to end.
func TestNothingReadsAWholeTable(t *testing.T) {
	u := pgtest.URL(t)
	s := open(t, u)
	db := connect(t, u)
	db.MustExec(`INSERT INTO events (source, event_id, type, status, object_type, object_id, received_at, due_at, header, body)
		SELECT 'source_' || n % 5, 'evt_' || n, 'type_' || n % 50, CASE WHEN n % 20 = 0 THEN 'pending' ELSE 'processed' END,
			'invoice', 'in_' || n % 10000, now(), CASE WHEN n % 20 = 0 THEN now() END, '{}', '' FROM generate_series(1, 60000) n`)
	db.MustExec(`INSERT INTO records (source, object_type, object_id, as_of, saved_at, changed_at)
		SELECT 'source_' || n % 5, 'type_' || n % 50, 'in_' || n, now(), now() - interval '2 hours', now() + n * interval '1 ms' FROM generate_series(1, 60000) n`)
	db.MustExec(`INSERT INTO reconciliations (source, list, until, workflow_id, run_id, complete, started_at, finished_at)
		SELECT 'source_' || n % 5, 'list_' || n % 50, now(), 'reconcile/' || n, 'run_' || n, n % 3 > 0, now(), now()
		FROM generate_series(1, 20000) n`)
	db.MustExec("ANALYZE")
	scans := func() (n int) {
		db.MustExec("SELECT pg_stat_clear_snapshot()")
		require.NoError(t, db.Get(&n, "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname IN ('events', 'records', 'reconciliations')"))
		return n
	}
	before := scans()

	ctx := t.Context()
	must := func(_ any, err error) { t.Helper(); require.NoError(t, err) }
	must(s.Accept(ctx, []providers.Received{received("evt_new"), received("evt_new")}))
	must(nil, s.MarkStarted(ctx, []providers.Started{{Source: "stripe", ID: "evt_new", WorkflowID: "stripe/evt_new"}, {Source: "source_1", ID: "evt_1"}}))
	must(s.ClaimDue(ctx, 100, time.Minute))
	ev := providers.EventRef{Source: "stripe", ID: "evt_new", Ref: providers.Ref{Type: "invoice", ID: "in_1"}}
	must(s.Claim(ctx, ev))
	must(s.Cover(ctx, providers.Save{Event: ev}))
	must(s.Save(ctx, providers.Save{Event: ev, Claim: providers.Claim{Number: 1}, Origin: providers.OriginFetch,
		Object: providers.Object{State: []byte("{}")}}))
	must(nil, s.Settle(ctx, providers.Settlement{Source: "stripe", ID: "evt_new", Status: providers.StatusReview}))
	must(s.Event(ctx, "stripe", "evt_new"))
	must(s.EventRow(ctx, "stripe", "evt_new"))
	must(s.EventsByID(ctx, "evt_new"))
	for _, f := range []store.EventFilter{{}, {Source: "stripe"}, {Status: providers.StatusReview}, {Type: "type_7"}, {Type: "type_7*"},
		{Object: providers.Ref{ID: "in_77"}}, {Source: "source_1", Status: providers.StatusPending}, {Before: 5000},
		{Since: time.Now().Add(-time.Hour)}, {Until: time.Now().Add(-time.Hour)}, {IDs: []string{"evt_1", "evt_new"}}} {
		must(s.Events(ctx, f))
	}
	for n, f := range []store.BatchFilter{{Source: "source_1"}, {Type: "type_7"}, {Status: providers.StatusFailed},
		{IDs: []string{"evt_1"}}, {Since: time.Now().Add(-time.Hour)}} {
		b, err := s.BeginBatch(ctx, store.Batch{Name: fmt.Sprint("batch-", n), What: store.BatchReplay, Filter: f})
		must(b, err)
		must(s.Reopen(ctx, b.Name, 10, func(ev providers.EventRef) string { return ev.ID }))
	}
	must(s.Record(ctx, "stripe", "invoice", "in_1"))
	page, err := s.Records(ctx, store.RecordFilter{Source: "source_1"})
	must(page, err)
	must(s.Records(ctx, store.RecordFilter{Source: "source_1", Type: "type_6", Before: page[len(page)-1]}))
	must(s.Records(ctx, store.RecordFilter{Before: page[len(page)-1]}))
	var listed []providers.Listed
	var eventIDs []string
	for n := range 100 {
		ref := providers.Ref{Type: fmt.Sprint("type_", n*5%50), ID: fmt.Sprint("in_", n*5)}
		listed = append(listed, providers.Listed{Object: providers.Object{Ref: ref}})
		eventIDs = append(eventIDs, fmt.Sprint("evt_", n))
	}
	run, err := s.BeginReconciliation(ctx, providers.ReconciliationStart{Source: "source_1", List: "list_1", WorkflowID: "new", RunID: "new"})
	must(run, err)
	must(s.Differing(ctx, "source_0", time.Now(), listed))
	must(s.MissingEvents(ctx, "source_1", eventIDs))
	must(s.Unseen(ctx, "source_1", time.Now().Add(-3*time.Hour), providers.Ref{}, 100))
	must(s.Unseen(ctx, "source_1", time.Now().Add(time.Hour), providers.Ref{Type: "type_21"}, 100))
	must(nil, s.SaveReconciledPage(ctx, providers.ReconciledPage{ID: run.ID, Next: "c"}))
	must(nil, s.EndReconciliation(ctx, run.ID, ""))
	for _, f := range []store.ReconciliationFilter{{}, {Source: "source_1"}, {Source: "source_1", List: "list_1"}, {WorkflowID: "new"}} {
		must(s.Reconciliations(ctx, f))
	}
	must(s.LastReconciliations(ctx))
	require.NoError(t, s.Close()) // a connection that ends has reported its scans

	// A connection that reads the whole table is seen: else this test says nothing.
	db.MustExec("SELECT count(*) FROM events WHERE body <> ''")
	require.NoError(t, db.Close())
	db = connect(t, u)
	require.Eventually(t, func() bool { return scans() >= before+1 }, 10*time.Second, 50*time.Millisecond)
	require.Equal(t, before+1, scans())
}

// Postgres knows how many rows have a value and not that all of them are old: it
// must not look for the newest of them in all that came since.
func TestAListOfWhatCameLongAgoReadsNoMoreThanItShows(t *testing.T) {
	u := pgtest.URL(t)
	s := open(t, u)
	db := connect(t, u)
	db.MustExec(`INSERT INTO events (source, event_id, type, status, object_type, object_id, received_at, header, body)
		SELECT CASE WHEN n < 15000 AND n % 3 = 0 THEN 'former' ELSE 'source_' || n % 5 END, 'evt_' || n,
			CASE WHEN n < 15000 AND n % 2 = 0 THEN 'ended' ELSE 'type_' || n % 50 END,
			CASE WHEN n < 15000 AND n % 5 = 0 THEN 'ignored' ELSE 'processed' END,
			'invoice', 'in_' || n % 10000, now(), '{}', '' FROM generate_series(1, 60000) n`)
	db.MustExec("VACUUM ANALYZE events")
	fetched := func() (n int) {
		db.MustExec("SELECT pg_stat_clear_snapshot()")
		require.NoError(t, db.Get(&n, "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'events'"))
		return n
	}
	before, shown := fetched(), 0
	for _, f := range []store.EventFilter{{Type: "ended"}, {Source: "former"}, {Status: providers.StatusIgnored}, {Source: "former", Type: "ended"},
		{Source: "former", Status: providers.StatusProcessed}} {
		for range 3 {
			page, err := s.Events(t.Context(), f)
			require.NoError(t, err)
			shown += len(page)
			f.Before = page[len(page)-1].Seq
		}
	}
	require.Equal(t, 1500, shown)
	require.NoError(t, s.Close()) // a connection that ends has reported what it read
	require.Eventually(t, func() bool { return fetched() >= before+shown }, 10*time.Second, 50*time.Millisecond)
	require.Less(t, fetched(), before+4*shown) // two conditions at once are not in one index
}

// Statistics that say how much is pending must not be believed long after a backlog:
// the list of the pending events would read the whole inbox.
func TestStatisticsDoNotOutliveABacklog(t *testing.T) {
	u := pgtest.Start(t, pgtest.Options{Settings: []string{"autovacuum_naptime=1s"}}).Database(t)
	open(t, u)
	db := connect(t, u)
	db.MustExec(`INSERT INTO events (source, event_id, type, status, object_type, object_id, received_at, due_at, header, body)
		SELECT 'stripe', 'evt_' || n, 'invoice.paid', CASE WHEN n % 20 = 0 THEN 'pending' ELSE 'processed' END,
			'invoice', 'in_1', now(), CASE WHEN n % 20 = 0 THEN now() END, '{}', '' FROM generate_series(1, 20000) n`)
	pending := func() (share float64) {
		require.NoError(t, db.Get(&share, `SELECT coalesce(sum(share), 0) FROM pg_stats,
			unnest(most_common_vals::text::text[], most_common_freqs) AS common (value, share)
			WHERE tablename = 'events' AND attname = 'status' AND value = 'pending'`))
		return share
	}
	require.Eventually(t, func() bool { return pending() > 0.04 }, 30*time.Second, 100*time.Millisecond)
	db.MustExec("UPDATE events SET status = 'processed', due_at = NULL WHERE status = 'pending'")
	require.Eventually(t, func() bool { return pending() == 0 }, 30*time.Second, 100*time.Millisecond)
}

// A new database has no statistics during its first burst. Whichever index looks
// good to Postgres then, none may make it read what has nothing to do with an event.
func TestABacklogInANewDatabaseSlowsNoEventDown(t *testing.T) {
	u := pgtest.Start(t, pgtest.Options{Settings: []string{"autovacuum=off"}}).Database(t)
	s, err := store.Open(t.Context(), store.Config{URL: u, MaxConns: 3})
	require.NoError(t, err)
	require.NoError(t, s.Migrate(t.Context()))
	ctx := t.Context()
	var events []providers.Received
	for n := range 3000 {
		events = append(events, received(fmt.Sprint("evt_", n)))
	}
	accepted, err := s.Accept(ctx, events)
	require.NoError(t, err)
	db, err := sqlx.Open("postgres", u)
	require.NoError(t, err)
	defer db.Close()
	db.MustExec(`INSERT INTO records (source, object_type, object_id, as_of, saved_at, changed_at, state, origin)
		SELECT 'stripe', 'invoice', 'in_other_' || n, now(), now() - interval '2 hours', now(),
			CASE WHEN n = 3 THEN '{}' ELSE '[]' END::json, 'payload' FROM generate_series(1, 3000) n`)
	newest := accepted[len(accepted)-1]
	const older = 10
	cover := providers.Cover{Source: newest.Source, ID: newest.ID}
	for _, ev := range accepted[:older] {
		cover.Older = append(cover.Older, ev.ID)
	}
	require.NoError(t, s.Coalesce(ctx, []providers.Cover{cover}))
	claim, err := s.Claim(ctx, newest.EventRef)
	require.NoError(t, err)
	_, err = s.Save(ctx, providers.Save{Event: newest.EventRef, Claim: claim, Origin: providers.OriginFetch, Finish: true,
		Object: providers.Object{State: []byte("{}")}})
	require.NoError(t, err)
	_, err = s.Save(ctx, providers.Save{Event: newest.EventRef, Claim: providers.Claim{Number: 100}, Origin: providers.OriginFetch,
		Object: providers.Object{State: []byte("{}")}}) // it looks first
	require.NoError(t, err)
	require.NoError(t, s.MarkStarted(ctx, []providers.Started{{Source: newest.Source, ID: newest.ID, WorkflowID: newest.Source + "/" + newest.ID, RunID: "run"}}))
	require.NoError(t, s.Settle(ctx, providers.Settlement{Source: newest.Source, ID: accepted[20].ID, Status: providers.StatusIgnored}))
	var listed []providers.Listed
	var listedEvents []string
	for n := range 3 { // of more, it may well be quicker to read all of so small a table
		ref := providers.Ref{Type: "invoice", ID: fmt.Sprint("in_other_", n+1)}
		listed = append(listed, providers.Listed{Object: providers.Object{Ref: ref, State: []byte("{}")}})
		listedEvents = append(listedEvents, accepted[n].ID)
	}
	differing, err := s.Differing(ctx, newest.Source, time.Now(), listed) // and notes that the last was seen
	require.NoError(t, err)
	require.Len(t, differing, len(listed)-1)
	missing, err := s.MissingEvents(ctx, newest.Source, listedEvents)
	require.NoError(t, err)
	require.Empty(t, missing)
	require.NoError(t, s.Close()) // a connection that ends has reported what it read

	var seen, processed, read int
	require.NoError(t, db.Get(&processed, "SELECT count(*) FROM events WHERE status = 'processed'"))
	require.Equal(t, older+1, processed)
	require.NoError(t, db.Get(&seen, "SELECT count(*) FROM records WHERE seen_at IS NOT NULL"))
	require.Equal(t, 1, seen)
	require.NoError(t, db.Get(&read, `SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)
		+ (SELECT sum(seq_tup_read) FROM pg_stat_user_tables) - count(*) FROM events`)) // less those of the last query
	require.Less(t, read, 300)
}

// Postgres takes a condition that it knows little about for one that few rows meet,
// and then compares each row of the table with each event that it was asked for.
func TestManyEventsAtOnceAreFoundByTheirKeys(t *testing.T) {
	for name, before := range map[string]func(*testing.T, *store.Store, *sqlx.DB){
		"in a new database": func(*testing.T, *store.Store, *sqlx.DB) {},
		"in one that knows quiet times only": func(t *testing.T, s *store.Store, db *sqlx.DB) {
			_, err := s.Accept(t.Context(), smallEvents("old", 2000))
			require.NoError(t, err)
			db.MustExec("UPDATE events SET status = 'processed', due_at = NULL, started_at = now(), finished_at = now()")
			db.MustExec("ANALYZE events")
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := pgtest.Start(t, pgtest.Options{Settings: []string{"autovacuum=off"}})
			u := server.Database(t)
			db, err := sqlx.Open("postgres", u)
			require.NoError(t, err)
			defer db.Close()
			if _, err := db.Exec("LOAD 'auto_explain'"); err != nil {
				t.Skipf("needs Postgres' contrib modules: %v", err)
			}
			db.MustExec("ALTER SYSTEM SET session_preload_libraries = 'auto_explain'")
			db.MustExec("ALTER SYSTEM SET auto_explain.log_min_duration = 0")
			db.MustExec("ALTER SYSTEM SET auto_explain.log_analyze = on")
			db.MustExec("SELECT pg_reload_conf()")
			s, err := store.Open(t.Context(), store.Config{URL: u, MaxConns: 3})
			require.NoError(t, err)
			defer s.Close()
			require.NoError(t, s.Migrate(t.Context()))
			before(t, s, db)

			const objects, each = 2000, 10
			accepted, err := s.Accept(t.Context(), smallEvents("new", objects*each))
			require.NoError(t, err)
			var covers []providers.Cover
			var started []providers.Started
			for i := range objects {
				cover := providers.Cover{Source: "stripe", ID: accepted[i].ID}
				for n := 1; n < each; n++ {
					cover.Older = append(cover.Older, accepted[i+n*objects].ID)
				}
				cover.HandOn = cover.Older[:1]
				covers = append(covers, cover)
				started = append(started, providers.Started{Source: "stripe", ID: cover.ID, WorkflowID: "stripe/" + cover.ID, RunID: "run"})
			}
			for some := range slices.Chunk(covers, 30) {
				require.NoError(t, s.Coalesce(t.Context(), some))
			}
			require.NoError(t, s.MarkStarted(t.Context(), started))
			var waiting int
			require.NoError(t, db.Get(&waiting, "SELECT count(*) FROM events WHERE covered_by <> ''"))
			require.Equal(t, objects*(each-1), waiting)

			plans := server.Log(t)
			require.Contains(t, plans, "Update on events", "else this test says nothing")
			for _, match := range regexp.MustCompile(`Rows Removed by Join Filter: (\d+)`).FindAllStringSubmatch(plans, -1) {
				removed, err := strconv.Atoi(match[1])
				require.NoError(t, err)
				require.Less(t, removed, objects*each, "rows were compared with each other")
			}
		})
	}
}

func smallEvents(prefix string, n int) []providers.Received {
	events := make([]providers.Received, n)
	for i := range events {
		events[i] = received(fmt.Sprintf("%s_%d", prefix, i))
	}
	return events
}
