package store

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store/storetest/pgtest"
	"github.com/surehook/surehook/providers"
)

// onEachDatabase runs a test that must reach behind the Store's methods, such as
// to let time go by.
func onEachDatabase(t *testing.T, test func(t *testing.T, s *Store)) {
	for name, url := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "store.db") },
		"postgres": func(t *testing.T) string { return pgtest.URL(t) },
	} {
		t.Run(name, func(t *testing.T) { test(t, openMigrated(t, url(t))) })
	}
}

func openMigrated(t *testing.T, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{URL: url, MaxConns: minConns})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	require.NoError(t, s.Migrate(t.Context()))
	return s
}

// age lets so much time go by for a time of all records.
func age(t *testing.T, s *Store, column string, by time.Duration) {
	t.Helper()
	_, err := s.db.ExecContext(t.Context(), "UPDATE records SET "+column+" = "+s.dialect.after(column, micros(-by)))
	require.NoError(t, err)
}

func TestRunsAreForgottenWhenTheyAreOldAndALaterOneIsComplete(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		run := func(id string, list string, backfill bool, last providers.ReconciledPage) {
			t.Helper()
			r, err := s.BeginReconciliation(ctx, providers.ReconciliationStart{
				Source: "stripe", List: list, Backfill: backfill, WorkflowID: id, RunID: id})
			require.NoError(t, err)
			last.ID = r.ID
			require.NoError(t, s.SaveReconciledPage(ctx, last))
		}
		grow := func(by time.Duration) {
			t.Helper()
			_, err := s.db.ExecContext(ctx, "UPDATE reconciliations SET finished_at = "+s.dialect.after("finished_at", micros(-by)))
			require.NoError(t, err)
		}
		kept := func() (ids []string) {
			t.Helper()
			rows, err := s.Reconciliations(ctx, ReconciliationFilter{})
			require.NoError(t, err)
			for _, r := range rows {
				ids = append(ids, r.WorkflowID)
			}
			return ids
		}
		run("old", "invoice", false, providers.ReconciledPage{})
		run("another list", "customer", false, providers.ReconciledPage{})
		run("asked for", "invoice", true, providers.ReconciledPage{})
		grow(2 * 24 * time.Hour)
		run("younger", "invoice", false, providers.ReconciledPage{})
		grow(runsKept - 24*time.Hour)
		run("not complete", "invoice", false, providers.ReconciledPage{Incomplete: true})
		run("a window", "invoice", true, providers.ReconciledPage{})
		require.Contains(t, kept(), "old", "nothing else tells the next run where to begin")
		run("complete", "invoice", false, providers.ReconciledPage{})
		require.Equal(t, []string{"complete", "a window", "not complete", "younger", "asked for", "another list"}, kept())
	})
}

func TestASightIsNotedOnceAnHour(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		keep := func(id string, o providers.Object) providers.Listed {
			t.Helper()
			o.Ref = providers.Ref{Type: "invoice", ID: id}
			ev := providers.EventRef{Source: "stripe", Ref: o.Ref}
			c, err := s.Claim(ctx, ev)
			require.NoError(t, err)
			_, err = s.Save(ctx, providers.Save{Event: ev, Claim: c, Object: o, Origin: providers.OriginFetch})
			require.NoError(t, err)
			return providers.Listed{Object: o}
		}
		same, other, gone := keep("in_same", providers.Object{State: []byte(`{"v":1}`)}),
			keep("in_other", providers.Object{State: []byte(`{"v":1}`)}), keep("in_gone", providers.Object{Deleted: true})
		other.State = []byte(`{"v":2}`)
		seenAt := func(l providers.Listed) time.Time {
			t.Helper()
			r, err := s.Record(ctx, "stripe", l.Ref.Type, l.Ref.ID)
			require.NoError(t, err)
			return r.SeenAt
		}
		look := func() {
			t.Helper()
			now, err := s.Now(ctx)
			require.NoError(t, err)
			differing, err := s.Differing(ctx, "stripe", now.Add(time.Hour), []providers.Listed{same, other, gone})
			require.NoError(t, err)
			require.Equal(t, []providers.Ref{other.Ref}, differing)
		}
		unseenForAnHour := func() (ids []string) {
			t.Helper()
			now, err := s.Now(ctx)
			require.NoError(t, err)
			refs, err := s.Unseen(ctx, "stripe", now.Add(-time.Hour), providers.Ref{}, 10)
			require.NoError(t, err)
			for _, ref := range refs {
				ids = append(ids, ref.ID)
			}
			return ids
		}

		look()
		require.True(t, seenAt(same).IsZero(), "it has just been fetched")
		age(t, s, "saved_at", 59*time.Minute)
		look()
		require.True(t, seenAt(same).IsZero())
		require.Empty(t, unseenForAnHour())
		age(t, s, "saved_at", 2*time.Minute)
		require.Equal(t, []string{"in_other", "in_same"}, unseenForAnHour())
		look()
		first := seenAt(same)
		require.False(t, first.IsZero())
		require.True(t, seenAt(other).IsZero(), "the list shows another state")
		require.True(t, seenAt(gone).IsZero(), "nobody looks for what is gone")
		require.Equal(t, []string{"in_other"}, unseenForAnHour())

		age(t, s, "seen_at", 59*time.Minute)
		look()
		require.Equal(t, first.Add(-59*time.Minute), seenAt(same), "noted within the hour")
		age(t, s, "seen_at", 2*time.Minute)
		require.Equal(t, []string{"in_other", "in_same"}, unseenForAnHour())
		look()
		require.True(t, seenAt(same).After(first.Add(-time.Minute)))
		require.Equal(t, []string{"in_other"}, unseenForAnHour())
	})
}

func TestARecordThatIsBeingSavedHoldsUpNoList(t *testing.T) {
	s := openMigrated(t, pgtest.URL(t))
	ctx := t.Context()
	s.db.MustExec(`INSERT INTO records (source, object_type, object_id, state, origin, as_of, saved_at, changed_at)
		SELECT 'stripe', 'invoice', 'in_' || n, '{}', 'fetch', now(), now() - interval '2 hours', now() FROM generate_series(1, 2) n`)
	saving, err := s.db.BeginTxx(ctx, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, saving.Rollback()) }()
	saving.MustExec("UPDATE records SET claim = claim + 1 WHERE object_id = 'in_1'")
	var listed []providers.Listed
	for _, id := range []string{"in_1", "in_2"} {
		listed = append(listed, providers.Listed{Object: providers.Object{Ref: providers.Ref{Type: "invoice", ID: id}, State: []byte("{}")}})
	}
	now, err := s.Now(ctx)
	require.NoError(t, err)
	within, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	differing, err := s.Differing(within, "stripe", now, listed)
	require.NoError(t, err)
	require.Empty(t, differing)
	var seen []string
	require.NoError(t, s.db.Select(&seen, "SELECT object_id FROM records WHERE seen_at IS NOT NULL"))
	require.Equal(t, []string{"in_2"}, seen)
}

// listedState is as long as what platforms have.
func listedState(n int) string {
	return fmt.Sprintf(`{"id":"in_%d","text":"%s"}`, n, strings.Repeat("0123456789abcdef", 125))
}

// listedPage is one page of a list of invoices, of which the first is not as our
// record is.
func listedPage(page, size int) []providers.Listed {
	listed := make([]providers.Listed, size)
	for i := range listed {
		n := page*size + i
		listed[i].Object = providers.Object{Ref: providers.Ref{Type: "invoice", ID: fmt.Sprint("in_", n)}, State: []byte(listedState(n))}
	}
	listed[0].State = []byte(`{}`)
	return listed
}

// insertListed makes the records of what listedPage shows, seen two hours ago.
func insertListed(s *Store, pages, size int) {
	s.db.MustExec(`INSERT INTO records (source, object_type, object_id, state, origin, as_of, saved_at, changed_at)
		SELECT 'stripe', 'invoice', 'in_' || n, replace($1, '"in_0"', '"in_' || n || '"')::json, 'fetch',
			now() - interval '2 hours', now() - interval '2 hours', now() FROM generate_series(0, $2::int - 1) n`, listedState(0), pages*size)
}

func TestComparingAPageCostsAStatementAndItsSightOneMore(t *testing.T) {
	server := pgtest.Start(t, pgtest.Options{Settings: []string{"log_statement=all"}})
	s := openMigrated(t, server.Database(t))
	ctx := t.Context()
	const pages, size = 100, 100
	insertListed(s, pages, size)
	statements := func() int { return len(statementLogged.FindAllString(server.Log(t), -1)) }
	now, err := s.Now(ctx)
	require.NoError(t, err)
	compareAll := func() (differing int, heap [2]uint64) {
		for page := range pages {
			refs, err := s.Differing(ctx, "stripe", now, listedPage(page, size))
			require.NoError(t, err)
			differing += len(refs)
			switch page {
			case pages / 10:
				heap[0] = heapInUse()
			case pages - 1:
				heap[1] = heapInUse()
			}
		}
		return differing, heap
	}
	before := statements()
	differing, heap := compareAll()
	require.Equal(t, pages, differing)
	require.Equal(t, 2*pages, statements()-before, "a SELECT for each page, and an UPDATE that notes what was seen")
	require.Less(t, heap[1], heap[0]+pages*size*uint64(len(listedState(0)))/10, "nothing is kept of the pages before")
	before = statements()
	differing, _ = compareAll()
	require.Equal(t, pages, differing)
	require.Equal(t, pages, statements()-before, "it has been noted")

	cost := func(what string, want int, do func() error) {
		t.Helper()
		before := statements()
		require.NoError(t, do(), what)
		require.Equal(t, want, statements()-before, what)
	}
	var ids []string
	for n := range size {
		ids = append(ids, fmt.Sprint("evt_", n))
	}
	cost("the missing events of a page", 1, func() error {
		_, err := s.MissingEvents(ctx, "stripe", ids)
		return err
	})
	var run providers.Reconciliation
	start := providers.ReconciliationStart{Source: "stripe", List: "invoice", WorkflowID: "w", RunID: "r"}
	cost("a run's beginning", 2, func() error {
		run, err = s.BeginReconciliation(ctx, start)
		return err
	})
	cost("a page's end", 1, func() error {
		return s.SaveReconciledPage(ctx, providers.ReconciledPage{ID: run.ID, Next: "c"})
	})
	cost("a page of unseen records", 1, func() error {
		_, err := s.Unseen(ctx, "stripe", now.Add(time.Hour), providers.Ref{}, size)
		return err
	})
}

// heapInUse is what is left after a collection.
func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestASightIsWrittenToTheRecordsPageAndToNoIndex(t *testing.T) {
	u := pgtest.URL(t)
	s := openMigrated(t, u)
	const size = 10 // so few that their page has room
	s.db.MustExec(`INSERT INTO records (source, object_type, object_id, state, origin, as_of, saved_at, changed_at)
		SELECT 'stripe', 'invoice', 'in_' || n, '{}', 'fetch', now(), now() - interval '2 hours', now() FROM generate_series(1, $1::int) n`, size)
	var listed []providers.Listed
	for n := range size {
		listed = append(listed, providers.Listed{Object: providers.Object{
			Ref: providers.Ref{Type: "invoice", ID: fmt.Sprint("in_", n+1)}, State: []byte(`{}`)}})
	}
	now, err := s.Now(t.Context())
	require.NoError(t, err)
	_, err = s.Differing(t.Context(), "stripe", now, listed)
	require.NoError(t, err)
	require.NoError(t, s.Close()) // a connection that ends has reported what it wrote
	s = openMigrated(t, u)
	var updates struct {
		All int `db:"n_tup_upd"`
		Hot int `db:"n_tup_hot_upd"`
	}
	require.Eventually(t, func() bool {
		s.db.MustExec("SELECT pg_stat_clear_snapshot()")
		err := s.db.Get(&updates, "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'records'")
		return err == nil && updates.All > 0
	}, 10*time.Second, 50*time.Millisecond)
	require.Equal(t, size, updates.All)
	require.Equal(t, size, updates.Hot)
}

func TestAPageOfUnseenRecordsReadsNoMoreThanIsAskedFor(t *testing.T) {
	u := pgtest.URL(t)
	s := openMigrated(t, u)
	insertListed(s, 100, 100)
	s.db.MustExec("ANALYZE records")
	unseen, err := s.Unseen(t.Context(), "stripe", time.Now().Add(time.Hour), providers.Ref{Type: "invoice", ID: "in_5"}, 100)
	require.NoError(t, err)
	require.Len(t, unseen, 100)
	require.NoError(t, s.Close()) // a connection that ends has reported what it read
	s = openMigrated(t, u)
	var read int
	require.Eventually(t, func() bool {
		s.db.MustExec("SELECT pg_stat_clear_snapshot()")
		err := s.db.Get(&read, `SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'records')
			+ (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'records')`)
		return err == nil && read >= len(unseen)
	}, 10*time.Second, 50*time.Millisecond)
	require.Less(t, read, 3*len(unseen))
}
