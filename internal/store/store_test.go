package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/internal/store/storetest"
	"github.com/surehook/surehook/internal/store/storetest/pgtest"
	"github.com/surehook/surehook/providers"
)

// open opens a Store on an empty database and brings it up to date.
func open(t *testing.T, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: url, MaxConns: 8})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() }) // some tests close it themselves
	require.NoError(t, s.Migrate(t.Context()))
	return s
}

func sqliteURL(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "store.db") }

func TestStoreOnSQLite(t *testing.T) {
	storetest.Exercise(t, func(t *testing.T) *store.Store { return open(t, sqliteURL(t)) })
}

func TestStoreOnPostgres(t *testing.T) {
	pgtest.URL(t) // skip once, not once a test
	storetest.Exercise(t, func(t *testing.T) *store.Store { return open(t, pgtest.URL(t)) })
}

func errorIsUnavailable(err error) bool { return errors.Is(err, providers.ErrUnavailable) }

func TestValidateNamesTheVariables(t *testing.T) {
	for name, c := range map[string]struct {
		config store.Config
		want   []string
	}{
		"nothing is set":        {store.Config{}, []string{"DATABASE_URL is not set", "SUREHOOK_DATABASE_MAX_CONNS"}},
		"another database":      {store.Config{URL: "mysql://u:secret@h/db", MaxConns: 20}, []string{"DATABASE_URL: must be"}},
		"no URL":                {store.Config{URL: "secret", MaxConns: 20}, []string{"DATABASE_URL: must be"}},
		"a broken Postgres URL": {store.Config{URL: "postgres://u:secret@h:port/db", MaxConns: 20}, []string{"DATABASE_URL: is not a URL"}},
		"an unknown option":     {store.Config{URL: "postgres://u:secret@h/db?sslmode=perhaps", MaxConns: 20}, []string{"DATABASE_URL", "sslmode"}},
		"no path":               {store.Config{URL: "sqlite:", MaxConns: 20}, []string{"DATABASE_URL: needs the path"}},
		"memory only":           {store.Config{URL: "sqlite::memory:", MaxConns: 20}, []string{"DATABASE_URL: needs the path"}},
		"too few connections":   {store.Config{URL: "sqlite:x", MaxConns: 1}, []string{"SUREHOOK_DATABASE_MAX_CONNS is 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.config.Validate()
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "secret")
			_, err = store.Open(t.Context(), c.config)
			require.Error(t, err)
		})
	}
	for _, good := range []string{"postgres://u@h/db", "postgresql://h/db?sslmode=disable", "sqlite:a b?#%.db"} {
		require.NoError(t, store.Config{URL: good, MaxConns: 20}.Validate(), good)
	}
}

func TestTheSchemaVersionSaysWhetherToMigrate(t *testing.T) {
	for name, url := range databases {
		t.Run(name, func(t *testing.T) {
			s, err := store.Open(t.Context(), store.Config{URL: url(t), MaxConns: 8})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			v, err := s.SchemaVersion(t.Context())
			require.NoError(t, err)
			require.True(t, v.Pending())
			require.NoError(t, s.Migrate(t.Context()))
			require.NoError(t, s.Migrate(t.Context()), "again")
			v, err = s.SchemaVersion(t.Context())
			require.NoError(t, err)
			require.False(t, v.Pending())
			require.Equal(t, v.Wanted, v.Current)
		})
	}
}

// databases are those a test can have on this machine.
var databases = map[string]func(*testing.T) string{
	"sqlite":   sqliteURL,
	"postgres": func(t *testing.T) string { return pgtest.URL(t) },
}

// TestTablesAndColumnsStay: their names are for ever, because reports and other
// programs use them. New ones are added to the golden file; none goes away.
func TestTablesAndColumnsStay(t *testing.T) {
	want, err := os.ReadFile("testdata/columns.golden")
	require.NoError(t, err)
	queries := map[string]string{
		"sqlite": `SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c
			WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY 1`,
		"postgres": `SELECT table_name || '.' || column_name FROM information_schema.columns
			WHERE table_schema = 'public' ORDER BY (table_name || '.' || column_name) COLLATE "C"`,
	}
	for name, url := range databases {
		t.Run(name, func(t *testing.T) {
			u := url(t)
			open(t, u)
			db, err := sqlx.Open(name, strings.TrimPrefix(u, "sqlite:"))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			var columns []string
			require.NoError(t, db.Select(&columns, queries[name]))
			require.Equal(t, string(want), strings.Join(columns, "\n")+"\n")
		})
	}
}

func TestProcessesShareAnSQLiteFile(t *testing.T) {
	u := "sqlite:" + filepath.Join(t.TempDir(), "a b?#%.db")
	stores := []*store.Store{open(t, u), open(t, u), open(t, u)}
	var all sync.WaitGroup
	for n, s := range stores {
		for caller := range 4 {
			all.Go(func() {
				for i := range 25 {
					id := fmt.Sprintf("evt_%d_%d_%d", n, caller, i)
					err := accept(context.Background(), s, id)
					if err == nil {
						_, err = stores[(n+1)%3].Event(context.Background(), "stripe", id) // seen by the others at once
					}
					if err == nil {
						err = saveFetched(s, id)
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	rows, err := stores[0].Events(t.Context(), store.EventFilter{Status: providers.StatusProcessed, Limit: 1000})
	require.NoError(t, err)
	require.Len(t, rows, 300)
}

// saveFetched claims and saves, again when another save came between.
func saveFetched(s *store.Store, id string) error {
	ev := providers.EventRef{Source: "stripe", ID: id, Ref: providers.Ref{Type: "invoice", ID: "in_1"}}
	for {
		c, err := s.Claim(context.Background(), ev)
		if err != nil {
			return err
		}
		_, err = s.Save(context.Background(), providers.Save{Event: ev, Claim: c, Origin: providers.OriginFetch, Finish: true,
			Object: providers.Object{State: []byte(fmt.Sprintf(`{"by":%q}`, id))}})
		if !errors.Is(err, providers.ErrSuperseded) {
			return err
		}
	}
}

func TestAnSQLiteFileThatCannotBeMadeIsAnError(t *testing.T) {
	_, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "absent", "x.db"), MaxConns: 8})
	require.ErrorContains(t, err, "open database")
}

func TestPingSaysThatTheSchemaIsMissing(t *testing.T) {
	s, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "surehook.db"), MaxConns: 8})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	err = s.Ping(t.Context())
	require.ErrorContains(t, err, "surehook migrate")
	require.NotErrorIs(t, err, providers.ErrUnavailable, "it is there, but of no use")
	require.NoError(t, s.Migrate(t.Context()))
	require.NoError(t, s.Ping(t.Context()))
}
