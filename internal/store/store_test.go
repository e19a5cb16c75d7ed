package store_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/internal/store/storetest"
	"github.com/surehook/surehook/internal/store/storetest/pgtest"
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
