package activities_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

func TestSyncClaimsFetchesAndSaves(t *testing.T) {
	w := newWorld(t)
	w.claim = providers.Claim{Number: 7, ETag: `"v1"`}
	saved, err := w.sync(activities.SyncInput{Event: event, Finish: true})
	require.NoError(t, err)
	require.True(t, saved.Changed)
	require.Equal(t, []string{"claim", "wait", "fetch", "save"}, w.calls, "the claim comes before the fetch")
	require.Equal(t, []string{`"v1"`}, w.etags)
	require.Equal(t, []providers.Save{{
		Event: event, Claim: w.claim, Object: w.object, Origin: providers.OriginFetch, Finish: true, WorkflowID: workflowOfTheTest, RunID: runOfTheTest,
	}}, w.saves)
}

func TestSyncMakesNoCallForACoveredEvent(t *testing.T) {
	w := newWorld(t)
	w.claim = providers.Claim{Covered: true}
	saved, err := w.sync(activities.SyncInput{Event: event, Finish: true})
	require.NoError(t, err)
	require.True(t, saved.Covered)
	require.True(t, w.covered, "finish is handed on")
	require.Equal(t, []string{"claim", "cover"}, w.calls)
}

func TestSyncOfAnEventAboutNothingOnlySetsItsStatus(t *testing.T) {
	w := newWorld(t)
	ping := providers.EventRef{Source: "stripe", ID: "evt_2", Type: "ping"}
	_, err := w.sync(activities.SyncInput{Event: ping, Finish: true})
	require.NoError(t, err)
	require.Equal(t, []string{"save"}, w.calls)
	require.Equal(t, []providers.Save{{Event: ping, Finish: true, WorkflowID: workflowOfTheTest, RunID: runOfTheTest}}, w.saves)
}

func TestSyncClaimsAndFetchesAgainWhenAnotherFetchWasSavedMeanwhile(t *testing.T) {
	t.Run("once", func(t *testing.T) {
		w := newWorld(t)
		w.saveErrs = []error{providers.ErrSuperseded}
		_, err := w.sync(activities.SyncInput{Event: event})
		require.NoError(t, err)
		require.Equal(t, []string{"claim", "wait", "fetch", "save", "claim", "wait", "fetch", "save"}, w.calls)
	})
	t.Run("and leaves it to the next attempt after the third time", func(t *testing.T) {
		w := newWorld(t)
		w.saveErrs = []error{providers.ErrSuperseded, providers.ErrSuperseded, providers.ErrSuperseded}
		_, err := w.sync(activities.SyncInput{Event: event})
		require.False(t, sorted(t, err).NonRetryable())
		require.Len(t, w.saves, 3)
	})
}

func TestSyncTakesThePayloadWhereThereIsNoAPI(t *testing.T) {
	stored := providers.StoredEvent{Header: http.Header{"X-Id": {"evt_1"}}, Body: []byte(`{"whole":"body"}`)}
	for name, c := range map[string]struct {
		event providers.Event
		want  providers.Object
	}{
		"the whole body":        {providers.Event{ID: "evt_1"}, providers.Object{Ref: invoice, State: stored.Body}},
		"its part of a batch":   {providers.Event{ID: "evt_1", Payload: []byte(`{"part":1}`)}, providers.Object{Ref: invoice, State: []byte(`{"part":1}`)}},
		"the end of the object": {providers.Event{ID: "evt_1", Deleted: true, Payload: []byte(`{}`)}, providers.Object{Ref: invoice, Deleted: true}},
	} {
		for _, source := range []string{"generic", "stripe"} {
			t.Run(name+" from "+source, func(t *testing.T) {
				w := newWorld(t)
				w.err["fetch"] = providers.ErrNotFetchable // only stripe is asked
				w.stored = stored
				w.events = []providers.Event{{ID: "evt_0", Payload: []byte(`{"part":0}`)}, c.event}
				ev := event
				ev.Source = source
				_, err := w.sync(activities.SyncInput{Event: ev})
				require.NoError(t, err)
				require.Contains(t, w.calls, "event "+source+"/evt_1")
				require.Equal(t, c.want, w.saves[0].Object)
				require.Equal(t, providers.OriginPayload, w.saves[0].Origin)
			})
		}
	}
}

func TestSyncTakesAPartThatIsKeptAloneAsItIs(t *testing.T) {
	for part, want := range map[string]providers.Object{
		providers.PartPresent: {Ref: event.Ref, State: []byte(`{"part":1}`)},
		providers.PartDeleted: {Ref: event.Ref, Deleted: true},
	} {
		w := newWorld(t)
		w.err["fetch"] = providers.ErrNotFetchable
		w.err["events"] = providers.ErrMalformed // it is no request that could be read again
		w.stored = providers.StoredEvent{Header: http.Header{providers.Part: {part}}, Body: []byte(`{"part":1}`)}
		_, err := w.sync(activities.SyncInput{Event: event})
		require.NoError(t, err)
		require.Equal(t, want, w.saves[0].Object, part)
		require.Equal(t, providers.OriginPayload, w.saves[0].Origin)
	}
}

func TestSyncParksAnEventWhosePayloadCannotBeReadAgain(t *testing.T) {
	for name, spoil := range map[string]func(*world){
		"it is not in its body":    func(w *world) { w.events = []providers.Event{{ID: "evt_other"}} },
		"its body is malformed":    func(w *world) { w.err["events"] = providers.ErrMalformed },
		"it is not in the inbox":   func(w *world) { w.err["event generic/evt_1"] = providers.ErrNotFound },
		"its body carries nothing": func(*world) {},
		"its body was removed": func(w *world) {
			w.events = []providers.Event{{ID: "evt_1"}}
			w.stored = providers.StoredEvent{BodyRemovedAt: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.stored.Body = []byte(`{"card":"4242"}`)
			spoil(w)
			ev := event
			ev.Source = "generic"
			_, err := w.sync(activities.SyncInput{Event: ev})
			app := sorted(t, err)
			require.Equal(t, "Permanent", app.Type())
			require.True(t, app.NonRetryable())
			require.NotContains(t, app.Error(), "4242")
			require.Empty(t, w.saves)
		})
	}
}

func TestSyncSaysWhenThePayloadWasRemoved(t *testing.T) {
	w := newWorld(t)
	w.stored.BodyRemovedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ev := event
	ev.Source = "generic"
	_, err := w.sync(activities.SyncInput{Event: ev})
	require.Equal(t, "read generic/evt_1 again: its body was removed on 2026-03-01", sorted(t, err).Message())
}

func TestSyncTakesItsTurnOfTheAPIRate(t *testing.T) {
	t.Run("a local activity does not wait for it", func(t *testing.T) {
		w := newWorld(t)
		w.full = true
		app := sorted(t, w.syncLocally(activities.SyncInput{Event: event}))
		require.Equal(t, "RateLimited", app.Type())
		require.Equal(t, temporal.ApplicationErrorCategoryBenign, app.Category(), "no one is woken for it")
		require.False(t, app.NonRetryable())
		require.Zero(t, app.NextRetryDelay(), "the queue may have it at once")
		require.Equal(t, []string{"claim", "allow"}, w.calls, "no fetch")
	})
	t.Run("a local activity uses what is left", func(t *testing.T) {
		w := newWorld(t)
		require.NoError(t, w.syncLocally(activities.SyncInput{Event: event}))
		require.Equal(t, []string{"claim", "allow", "fetch", "save"}, w.calls)
	})
	t.Run("a regular one that would wait too long comes again", func(t *testing.T) {
		w := newWorld(t)
		w.full = true
		_, err := w.sync(activities.SyncInput{Event: event})
		require.Equal(t, "RateLimited", sorted(t, err).Type())
		require.Empty(t, w.failures, "the platform did not fail")
	})
	t.Run("the payload costs none", func(t *testing.T) {
		w := newWorld(t)
		w.full = true
		w.events = []providers.Event{{ID: "evt_1"}}
		ev := event
		ev.Source = "generic"
		require.NoError(t, w.syncLocally(activities.SyncInput{Event: ev}))
	})
}
