package store

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store/storetest/pgtest"
	"github.com/surehook/surehook/providers"
)

func TestAConnectionThatDoesNotKeepAPreparedStatementIsNoError(t *testing.T) {
	server := pgtest.Start(t, pgtest.Options{})
	s, err := Open(t.Context(), Config{URL: server.Database(t), MaxConns: 3})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Migrate(t.Context()))
	accept := func(id string) {
		t.Helper()
		accepted, err := s.Accept(t.Context(), []providers.Received{benchmarkEvent([]byte(id))})
		require.NoError(t, err)
		require.False(t, accepted[0].Duplicate)
	}
	accept("evt_1")
	require.NotNil(t, s.single.statement)
	accept("evt_2")
	_, err = s.db.ExecContext(t.Context(), "DEALLOCATE ALL") // the pool has had no need of a second connection
	require.NoError(t, err)
	accept("evt_3")
	require.True(t, s.single.givenUp)
	accept("evt_4")
}
