package store

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

// What SQLite would have to sort, it would have to read first.
func TestSQLiteListsEventsInTheOrderOfAnIndex(t *testing.T) {
	s, err := Open(t.Context(), Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "store.db"), MaxConns: minConns})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.NoError(t, s.Migrate(t.Context()))

	for _, c := range []struct {
		filter EventFilter
		index  string
	}{
		{EventFilter{Type: "a"}, "events_type"},
		{EventFilter{Source: "s"}, "events_source"},
		{EventFilter{Source: "s", Type: "a"}, "events_type"},
		{EventFilter{Source: "s", Type: "a*"}, "events_source"},
		{EventFilter{Status: providers.StatusIgnored}, "events_status"},
		{EventFilter{Source: "s", Status: providers.StatusReview}, "events_status"},
		{EventFilter{Source: "s", Status: providers.StatusProcessed}, "events_source"},
	} {
		parts := c.filter.parts()
		w, order := s.newest(c.filter, parts[len(parts)-1], span{after: 10, until: 1000})
		var plan []struct {
			ID, Parent, NotUsed int
			Detail              string
		}
		query := "EXPLAIN QUERY PLAN SELECT * FROM events" + w.tail(order, 50)
		require.NoError(t, s.db.SelectContext(t.Context(), &plan, s.sql(query), w.args...))
		require.Len(t, plan, 1, "%+v", c.filter)
		require.Contains(t, plan[0].Detail, "USING INDEX "+c.index+" ", "%+v", c.filter)
	}
}
