package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

// anyAge makes everything old enough, whatever the database's clock ticks in.
const anyAge = -time.Hour

// retain is a batch of the walk.
func retain(t *testing.T, s *store.Store, limit int) providers.Removal {
	t.Helper()
	done, err := s.RemoveBodies(t.Context(), anyAge, limit)
	require.NoError(t, err)
	return done
}

// retainLeft looks at all that the walk has left.
func retainLeft(t *testing.T, s *store.Store) int64 {
	t.Helper()
	done, err := s.RemoveLeftBodies(t.Context(), anyAge, 0, 100)
	require.NoError(t, err)
	return done.Removed
}

func stored(t *testing.T, s *store.Store, id string) providers.StoredEvent {
	t.Helper()
	e, err := s.Event(t.Context(), "stripe", id)
	require.NoError(t, err)
	return e
}

func requireBody(t *testing.T, s *store.Store, id string) {
	t.Helper()
	e := stored(t, s, id)
	require.Equal(t, event(id).Body, e.Body)
	require.NotEmpty(t, e.Header)
	require.True(t, e.BodyRemovedAt.IsZero())
	require.True(t, row(t, s, id).BodyRemovedAt.IsZero())
}

func requireNoBody(t *testing.T, s *store.Store, id string) {
	t.Helper()
	e := stored(t, s, id)
	require.Empty(t, e.Body)
	require.Empty(t, e.Header)
	require.False(t, e.BodyRemovedAt.IsZero())
	require.Equal(t, e.BodyRemovedAt, row(t, s, id).BodyRemovedAt)
}

var retentionTests = map[string]func(*testing.T, *store.Store){
	"the retention removes the bodies of finished events alone": func(t *testing.T, s *store.Store) {
		for _, status := range []providers.Status{providers.StatusProcessed, providers.StatusIgnored, providers.StatusFailed, providers.StatusReview} {
			acceptOne(t, s, "evt_"+string(status))
			settle(t, s, "evt_"+string(status), status)
		}
		acceptOne(t, s, "evt_pending")
		require.EqualValues(t, 3, retain(t, s, 100).Removed)
		for _, id := range []string{"evt_processed", "evt_ignored", "evt_failed"} {
			requireNoBody(t, s, id)
		}
		requireBody(t, s, "evt_review")
		requireBody(t, s, "evt_pending")
		require.Equal(t, "why failed", row(t, s, "evt_failed").Reason, "the row is as it was")
		require.Zero(t, retain(t, s, 100).Removed, "again")
	},
	"the retention comes back to events that were not finished when it passed": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		acceptOne(t, s, "evt_2")
		settle(t, s, "evt_2", providers.StatusReview)
		require.Zero(t, retain(t, s, 100).Removed)
		require.Zero(t, retainLeft(t, s))
		settle(t, s, "evt_2", providers.StatusIgnored)
		require.EqualValues(t, 1, retainLeft(t, s))
		requireNoBody(t, s, "evt_2")
		requireBody(t, s, "evt_1")
		settle(t, s, "evt_1", providers.StatusProcessed)
		require.EqualValues(t, 1, retainLeft(t, s))
		done, err := s.RemoveLeftBodies(t.Context(), anyAge, 0, 100)
		require.NoError(t, err)
		require.Equal(t, providers.Removal{}, done, "none is left to look at")
	},
	"the retention looks at left events a batch at a time": func(t *testing.T, s *store.Store) {
		for n := range 3 {
			acceptOne(t, s, fmt.Sprintf("evt_%d", n))
		}
		retain(t, s, 100)
		for n := range 3 {
			settle(t, s, fmt.Sprintf("evt_%d", n), providers.StatusProcessed)
		}
		first, err := s.RemoveLeftBodies(t.Context(), anyAge, 0, 2)
		require.NoError(t, err)
		require.EqualValues(t, 2, first.Removed)
		require.True(t, first.More)
		rest, err := s.RemoveLeftBodies(t.Context(), anyAge, first.Last, 2)
		require.NoError(t, err)
		require.EqualValues(t, 1, rest.Removed)
		require.False(t, rest.More)
	},
	"what was received or finished a short while ago keeps its body": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		settle(t, s, "evt_1", providers.StatusProcessed)
		done, err := s.RemoveBodies(t.Context(), time.Hour, 100)
		require.NoError(t, err)
		require.Equal(t, providers.Removal{}, done, "the walk has not passed it")
		requireBody(t, s, "evt_1")

		acceptOne(t, s, "evt_2")
		require.EqualValues(t, 1, retain(t, s, 100).Removed)
		settle(t, s, "evt_2", providers.StatusProcessed)
		left, err := s.RemoveLeftBodies(t.Context(), time.Hour, 0, 100)
		require.NoError(t, err)
		require.Zero(t, left.Removed, "old, but only just finished")
		requireBody(t, s, "evt_2")
		require.EqualValues(t, 1, retainLeft(t, s))
	},
	"the retention goes on where it was, a batch at a time": func(t *testing.T, s *store.Store) {
		for n := range 5 {
			acceptOne(t, s, fmt.Sprintf("evt_%d", n))
			settle(t, s, fmt.Sprintf("evt_%d", n), providers.StatusProcessed)
		}
		for _, want := range []struct {
			removed int64
			more    bool
		}{{2, true}, {2, true}, {1, false}} {
			done := retain(t, s, 2)
			require.Equal(t, want.removed, done.Removed)
			require.Equal(t, want.more, done.More)
		}
	},
	"an event without a body is still a duplicate, and gets none back": func(t *testing.T, s *store.Store) {
		signed := event("evt_1")
		signed.Event.Fingerprint = "what was signed"
		accept(t, s, signed)
		settle(t, s, "evt_1", providers.StatusProcessed)
		retain(t, s, 100)
		again := accept(t, s, signed)[0]
		require.True(t, again.Duplicate)
		require.Equal(t, providers.StatusProcessed, again.Status)
		captured := signed
		captured.Event.ID = "evt_another"
		alias := accept(t, s, captured)[0]
		require.True(t, alias.Duplicate)
		require.Equal(t, "evt_1", alias.ID)
		require.EqualValues(t, 3, row(t, s, "evt_1").Deliveries)
		requireNoBody(t, s, "evt_1")
	},
	"old rejections are deleted, a batch at a time": func(t *testing.T, s *store.Store) {
		now := time.Now()
		for n := range 3 {
			require.NoError(t, s.AddRejections(t.Context(), []providers.Rejection{
				{Source: "stripe", Reason: "stale", Minute: now.Add(-time.Duration(n+2) * time.Hour), Count: 1, Excerpt: "{"}}))
		}
		require.NoError(t, s.AddRejections(t.Context(), []providers.Rejection{{Source: "stripe", Reason: "stale", Minute: now, Count: 1}}))
		first, err := s.RemoveRejections(t.Context(), time.Hour, 2)
		require.NoError(t, err)
		require.Equal(t, providers.Removal{Removed: 2, More: true}, first)
		rest, err := s.RemoveRejections(t.Context(), time.Hour, 2)
		require.NoError(t, err)
		require.Equal(t, providers.Removal{Removed: 1}, rest)
		rows, err := s.Rejections(t.Context(), store.RejectionFilter{})
		require.NoError(t, err)
		require.Len(t, rows, 1, "the young one stays")
	},
}
