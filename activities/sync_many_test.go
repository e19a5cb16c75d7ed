package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

// aboutInvoice is an event about an invoice of its own.
func aboutInvoice(id string) providers.EventRef {
	return providers.EventRef{Source: "stripe", ID: "evt_" + id, Type: "invoice.paid", Ref: providers.Ref{Type: "invoice", ID: "in_" + id}}
}

func savedEvents(w *world) (ids []string) {
	for _, s := range w.saves {
		ids = append(ids, s.Event.ID)
	}
	return ids
}

func TestSyncManyFinishesEachOfItsEvents(t *testing.T) {
	w := newWorld(t)
	w.claim = providers.Claim{Number: 7}
	require.Empty(t, w.syncMany(aboutInvoice("1"), aboutInvoice("2"), aboutInvoice("3")))
	require.ElementsMatch(t, []string{"evt_1", "evt_2", "evt_3"}, savedEvents(w))
	for _, s := range w.saves {
		require.True(t, s.Finish)
		require.Equal(t, runOfTheTest, s.RunID)
		require.Equal(t, workflowOfTheTest, s.WorkflowID)
	}
}

func TestWhatFailsInSyncManyHoldsUpNothingElse(t *testing.T) {
	for name, fail := range map[string]func(context.Context) error{
		"for now":      func(context.Context) error { return &providers.APIError{Status: 502, Retry: providers.RetrySoon} },
		"for ever":     func(context.Context) error { return &providers.APIError{Status: 401, Retry: providers.RetryNever} },
		"by a panic":   func(context.Context) error { panic("a provider's fault") },
		"by no answer": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.claim = providers.Claim{Number: 7}
			w.fetches = map[string]func(context.Context) error{"in_2": fail}
			require.Equal(t, []string{"evt_2"}, w.syncMany(aboutInvoice("1"), aboutInvoice("2"), aboutInvoice("3")))
			require.ElementsMatch(t, []string{"evt_1", "evt_3"}, savedEvents(w))
		})
	}
}

// A result that comes after the activity's own deadline is lost, and with it what
// was finished.
func TestSyncManyEndsBeforeItsTime(t *testing.T) {
	w := newWorld(t)
	w.claim = providers.Claim{Number: 7}
	w.fetches = map[string]func(context.Context) error{"in_1": func(ctx context.Context) error {
		until, ok := ctx.Deadline()
		require.True(t, ok)
		require.GreaterOrEqual(t, activity.GetInfo(ctx).Deadline.Sub(until), 100*time.Millisecond)
		return nil
	}}
	require.Empty(t, w.syncMany(aboutInvoice("1")))
}

func TestSyncManyTellsHowLongThePlatformAskedToWait(t *testing.T) {
	w := newWorld(t)
	w.claim = providers.Claim{Number: 7}
	w.fetches = map[string]func(context.Context) error{
		"in_1": func(context.Context) error {
			return &providers.APIError{Status: 429, Retry: providers.RetryLater, After: 41*time.Second + time.Millisecond}
		},
		"in_2": func(context.Context) error { return &providers.APIError{Status: 502, Retry: providers.RetrySoon} },
	}
	require.Equal(t, []activities.LeftEvent{{ID: "evt_1", AfterSeconds: 42}, {ID: "evt_2"}},
		w.syncManyResult(aboutInvoice("1"), aboutInvoice("2"), aboutInvoice("3")).Left)
}

func TestSyncManyDoesNothingForWhatIsNotPendingAnyMore(t *testing.T) {
	w := newWorld(t)
	w.claim = providers.Claim{Number: 7}
	w.ended = map[string]bool{"evt_2": true}
	require.Empty(t, w.syncMany(aboutInvoice("1"), aboutInvoice("2")))
	require.Equal(t, []string{"evt_1"}, savedEvents(w))
}

func TestSyncManyFailsWhereItCannotLookWhatIsPending(t *testing.T) {
	w := newWorld(t)
	w.err["pending"] = providers.ErrUnavailable
	_, err := w.env.ExecuteLocalActivity(w.a.SyncMany, []providers.EventRef{aboutInvoice("1")})
	require.Error(t, err)
	require.Empty(t, w.saves)
}

func TestSyncManyLeavesWhatExceedsTheRate(t *testing.T) {
	w := newWorld(t)
	w.full = true
	require.Equal(t, []string{"evt_1", "evt_2"}, w.syncMany(aboutInvoice("1"), aboutInvoice("2")))
	require.Empty(t, w.saves)
}
