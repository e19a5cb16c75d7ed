package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

// leave makes a newer event the cover of older ones.
func leave(t *testing.T, s *store.Store, cover string, older ...string) {
	t.Helper()
	require.NoError(t, s.Coalesce(t.Context(), []providers.Cover{{Source: "stripe", ID: cover, Older: older, HandOn: older}}))
}

var coalesceTests = map[string]func(*testing.T, *store.Store){
	"what a newer event covers is processed with it": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		acceptOne(t, s, "evt_2")
		other := acceptOne(t, s, "evt_other")
		newest := acceptOne(t, s, "evt_3")
		leave(t, s, "evt_3", "evt_1", "evt_2")
		fetchAndSave(t, s, newest, `{"v":1}`)
		for _, id := range []string{"evt_1", "evt_2"} {
			e := row(t, s, id)
			require.Equal(t, providers.StatusProcessed, e.Status)
			require.Equal(t, "evt_3", e.CoveredBy)
			require.Equal(t, "stripe/evt_3", e.WorkflowID, "the run that did it")
			require.False(t, e.Changed)
			require.False(t, e.FinishedAt.IsZero())
			require.True(t, e.DueAt.IsZero())
		}
		require.Equal(t, "stripe/evt_3", row(t, s, "evt_3").WorkflowID)
		require.Equal(t, providers.StatusPending, row(t, s, other.ID).Status)
	},
	"what an event of a joint run covers names that run": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		newest := acceptOne(t, s, "evt_2")
		leave(t, s, "evt_2", "evt_1")
		sv := fetched(newest, claim(t, s, newest), `{"v":1}`)
		sv.WorkflowID, sv.RunID = "stripe/joint/1", "run_1"
		save(t, s, sv)
		require.Equal(t, "stripe/joint/1", row(t, s, "evt_1").WorkflowID)
	},
	"a cover that is covered itself takes the others along": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		newest := acceptOne(t, s, "evt_2")
		leave(t, s, "evt_2", "evt_1")
		later := laterTick(t, s, "evt_3")
		fetchAndSave(t, s, later, `{"v":1}`)
		_, err := s.Cover(t.Context(), providers.Save{Event: newest, Finish: true})
		require.NoError(t, err)
		require.Equal(t, later.ID, row(t, s, "evt_2").CoveredBy)
		require.Equal(t, providers.StatusProcessed, row(t, s, "evt_1").Status)
		require.Equal(t, "evt_2", row(t, s, "evt_1").CoveredBy)
	},
	"what waits for an event that is left to a newer one waits for that one": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		acceptOne(t, s, "evt_2")
		leave(t, s, "evt_2", "evt_1")
		newest := acceptOne(t, s, "evt_3")
		leave(t, s, "evt_3", "evt_2")
		require.Equal(t, "evt_3", row(t, s, "evt_1").CoveredBy)
		fetchAndSave(t, s, newest, `{"v":1}`)
		for _, id := range []string{"evt_1", "evt_2"} {
			require.Equal(t, providers.StatusProcessed, row(t, s, id).Status, id)
			require.Equal(t, "evt_3", row(t, s, id).CoveredBy)
		}
	},
	"what waits for an event that is not left to another goes on waiting for it": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		second := acceptOne(t, s, "evt_2")
		leave(t, s, "evt_2", "evt_1")
		require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: "evt_2", WorkflowID: "stripe/evt_2", RunID: "run"}}))
		acceptOne(t, s, "evt_3")
		leave(t, s, "evt_3", "evt_2")
		require.Equal(t, "evt_2", row(t, s, "evt_1").CoveredBy)
		fetchAndSave(t, s, second, `{"v":1}`)
		require.Equal(t, providers.StatusProcessed, row(t, s, "evt_1").Status)
	},
	"what waits for a parked event stays pending behind it": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		newest := acceptOne(t, s, "evt_2")
		leave(t, s, "evt_2", "evt_1")
		settle(t, s, "evt_2", providers.StatusReview)
		e := row(t, s, "evt_1")
		require.Equal(t, providers.StatusPending, e.Status)
		require.Greater(t, e.DueAt.Sub(e.ReceivedAt), 30*time.Second, "it is left alone")
		settle(t, s, "evt_2", providers.StatusPending) // an operator's retry
		fetchAndSave(t, s, newest, `{"v":1}`)
		require.Equal(t, providers.StatusProcessed, row(t, s, "evt_1").Status)
	},
	"what waited for an event that was given up is due at once": func(t *testing.T, s *store.Store) {
		for end, id := range map[providers.Status]string{providers.StatusIgnored: "evt_skipped", providers.StatusFailed: "evt_failed"} {
			acceptOne(t, s, id+"_older")
			acceptOne(t, s, id)
			leave(t, s, id, id+"_older")
			settle(t, s, id, end)
			require.Equal(t, []string{id + "_older"}, dueIDs(claimDue(t, s, 10, time.Minute)))
			require.Empty(t, row(t, s, id+"_older").CoveredBy)
		}
	},
	"only pending events that were not started are left to a pending one": func(t *testing.T, s *store.Store) {
		for _, id := range []string{"evt_started", "evt_done", "evt_over", "evt_waits", "evt_cover"} {
			acceptOne(t, s, id)
		}
		require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: "evt_started", WorkflowID: "stripe/evt_started", RunID: "run"}}))
		settle(t, s, "evt_done", providers.StatusProcessed)
		settle(t, s, "evt_over", providers.StatusProcessed)
		leave(t, s, "evt_cover", "evt_started", "evt_done", "evt_absent")
		leave(t, s, "evt_over", "evt_waits")
		for _, id := range []string{"evt_started", "evt_done", "evt_waits"} {
			require.Empty(t, row(t, s, id).CoveredBy, id)
		}
	},
	"an event without a finish leaves what it covers pending": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		newest := acceptOne(t, s, "evt_2")
		leave(t, s, "evt_2", "evt_1")
		sv := fetched(newest, claim(t, s, newest), `{"v":1}`)
		sv.Finish = false
		save(t, s, sv)
		require.Equal(t, providers.StatusPending, row(t, s, "evt_1").Status)
	},
	"what waits for an event that takes several steps is processed with the last": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		newest := acceptOne(t, s, "evt_2")
		leave(t, s, "evt_2", "evt_1")
		first := fetched(newest, claim(t, s, newest), `{"v":1}`)
		first.Finish = false
		save(t, s, first)
		settle(t, s, "evt_2", providers.StatusProcessed)
		require.Equal(t, providers.StatusProcessed, row(t, s, "evt_1").Status)
		require.Equal(t, "stripe/evt_2", row(t, s, "evt_1").WorkflowID)
	},
	"an event that goes on after its fetch does not wait for the one that covers it": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		later := laterTick(t, s, "evt_2")
		fetchAndSave(t, s, later, `{"v":1}`)
		_, err := s.Cover(t.Context(), providers.Save{Event: ev})
		require.NoError(t, err)
		_, err = s.Cover(t.Context(), providers.Save{Event: later, Finish: true}) // its activity is repeated
		require.NoError(t, err)
		require.Equal(t, providers.StatusPending, row(t, s, "evt_1").Status)
	},
	"an event that its own fetch covers does not wait for itself": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		first := fetched(ev, claim(t, s, ev), `{"v":1}`)
		first.Finish = false
		save(t, s, first)
		_, err := s.Cover(t.Context(), providers.Save{Event: ev}) // the activity is repeated
		require.NoError(t, err)
		require.Empty(t, row(t, s, "evt_1").CoveredBy)
	},
	"an event that is to be tried again waits for no other": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1")
		acceptOne(t, s, "evt_2")
		leave(t, s, "evt_2", "evt_1")
		settle(t, s, "evt_1", providers.StatusReview)
		settle(t, s, "evt_1", providers.StatusPending)
		require.Equal(t, []string{"evt_1"}, dueIDs(claimDue(t, s, 10, time.Minute)))
	},
}
