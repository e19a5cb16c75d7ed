package store

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

// A list by time must not read the whole inbox.
func TestTimesAreFoundInTheInboxWithoutAnIndex(t *testing.T) {
	ctx := t.Context()
	s, err := Open(ctx, Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "store.db"), MaxConns: minConns})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.NoError(t, s.Migrate(ctx))

	// An event an hour, from 1 to 100; of some, nothing is left.
	const events = 100
	var all []providers.Received
	for n := range events {
		all = append(all, providers.Received{Source: "stripe", Status: providers.StatusPending, Event: providers.Event{ID: fmt.Sprint(n + 1)}})
	}
	_, err = s.Accept(ctx, all)
	require.NoError(t, err)
	midnight := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	hour := func(n int) time.Time { return midnight.Add(time.Duration(n) * time.Hour) }
	_, err = s.db.ExecContext(ctx, "UPDATE events SET received_at = ? + seq * 3600000000", midnight.UnixMicro())
	require.NoError(t, err)
	_, err = s.db.ExecContext(ctx, "DELETE FROM events WHERE seq BETWEEN 40 AND 60 OR seq = 1")
	require.NoError(t, err)

	for _, c := range []struct {
		filter EventFilter
		want   span // what has to be looked at, and no more
		count  int
	}{
		{EventFilter{}, span{0, 100}, 78},
		{EventFilter{Since: hour(90)}, span{89, 100}, 11},
		{EventFilter{Since: hour(90), Until: hour(95)}, span{89, 95}, 5},
		{EventFilter{Until: hour(3)}, span{0, 3}, 1},
		{EventFilter{Since: hour(0)}, span{1, 100}, 78},
		{EventFilter{Since: hour(200)}, span{100, 100}, 0},
		{EventFilter{Since: hour(50)}, span{60, 100}, 40},
		{EventFilter{Until: hour(50)}, span{0, 60}, 38},
	} {
		got, err := s.span(ctx, c.filter)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%v to %v", c.filter.Since, c.filter.Until)
		rows, err := s.Events(ctx, c.filter)
		require.NoError(t, err)
		require.Len(t, rows, c.count, "%v to %v", c.filter.Since, c.filter.Until)
	}
}
