package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

func TestSyncRunsOneLocalActivityAndNothingElse(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.run(workflows.Sync, paid))
	require.Equal(t, []string{"local Sync"}, w.ran)
	require.Empty(t, w.timers)
	require.Len(t, w.saved, 1)
	require.True(t, w.saved[0].Finish, "the save finishes the event too")
	require.Equal(t, providers.StatusProcessed, w.rows["stripe/evt_1"])
}

func TestSyncGoesToTheSourcesOwnQueue(t *testing.T) {
	t.Run("at once after a passing error", func(t *testing.T) {
		w := newWorld(t)
		w.fetchErrs = []error{flaky}
		require.NoError(t, w.run(workflows.Sync, paid))
		require.Equal(t, []string{"local Sync", "Sync on surehook-fetch-stripe"}, w.ran)
		require.Empty(t, w.timers)
	})
	t.Run("at once when this process's share of the rate is used up", func(t *testing.T) {
		w := newWorld(t)
		w.busy = []bool{true}
		require.NoError(t, w.run(workflows.Sync, paid))
		require.Equal(t, []string{"local Sync", "Sync on surehook-fetch-stripe"}, w.ran)
		require.Empty(t, w.timers)
		require.Equal(t, 1, w.fetches, "the local try made no call")
	})
	t.Run("after the pause that the platform asked for", func(t *testing.T) {
		w := newWorld(t)
		w.fetchErrs = []error{&providers.APIError{Provider: "stripe", Op: "fetch", Status: 429, Retry: providers.RetryLater, After: 42 * time.Second}}
		require.NoError(t, w.run(workflows.Sync, paid))
		require.Equal(t, []string{"local Sync", "Sync on surehook-fetch-stripe"}, w.ran)
		require.Equal(t, []time.Duration{42 * time.Second}, w.timers)
	})
	t.Run("and keeps to a longer pause there than a policy would make", func(t *testing.T) {
		w := newWorld(t)
		later := &providers.APIError{Provider: "stripe", Op: "fetch", Status: 429, Retry: providers.RetryLater, After: 50 * time.Minute}
		w.fetchErrs = []error{flaky, later}
		began := w.env.Now()
		require.NoError(t, w.run(workflows.Sync, paid))
		require.Equal(t, 3, w.fetches)
		require.GreaterOrEqual(t, w.env.Now().Sub(began), 50*time.Minute)
	})
}

func TestAnEventWhoseQueueNobodyPolls(t *testing.T) {
	unclaimed := func(w *world, meanwhile func()) {
		waited := false
		w.env.RegisterActivityWithOptions(func(ctx context.Context, in activities.SyncInput) (providers.Saved, error) {
			if !activity.GetInfo(ctx).IsLocalActivity && !waited {
				waited = true
				meanwhile()
				return providers.Saved{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
			}
			return w.activities.Sync(ctx, in)
		}, activity.RegisterOptions{Name: "Sync", DisableAlreadyRegisteredCheck: true})
	}
	t.Run("is parked when its source has left the configuration", func(t *testing.T) {
		w := newWorld(t)
		w.fetchErrs = []error{flaky}
		unclaimed(w, func() { delete(w.activities.Sources, "stripe") })
		w.resolveAfter(2*time.Hour, workflows.Skip)
		require.NoError(t, w.run(workflows.Sync, paid))
		require.Equal(t, []providers.Status{providers.StatusReview, providers.StatusIgnored}, w.history())
		require.Contains(t, w.settled[0].Reason, "no such source is configured")
	})
	t.Run("goes on when the queue was only long", func(t *testing.T) {
		w := newWorld(t)
		w.fetchErrs = []error{flaky}
		unclaimed(w, func() {})
		require.NoError(t, w.run(workflows.Sync, paid))
		require.Equal(t, []string{"local Sync", "Sync on surehook-fetch-stripe", "local Sync"}, w.ran)
		require.Equal(t, providers.StatusProcessed, w.rows["stripe/evt_1"])
	})
}

func TestAnEventThatCameWhileTheDatabaseWasAway(t *testing.T) {
	inline := paid
	inline.ReceivedAt = received.Add(-time.Hour) // the receiving process's clock
	inline.Inline = &providers.InlineEvent{Body: []byte(`{"id":"evt_1"}`)}

	t.Run("is stored before anything else, and goes on as its row", func(t *testing.T) {
		w := newWorld(t)
		w.rows = map[string]providers.Status{}
		require.NoError(t, w.run(workflows.Sync, inline))
		require.Len(t, w.ran, 2)
		require.Contains(t, w.ran[0], "Store on ")
		require.Equal(t, "local Sync", w.ran[1])
		require.Equal(t, received, w.saved[0].Event.ReceivedAt, "the database's clock decides what is covered")
		require.Nil(t, w.saved[0].Event.Inline, "the body is in the history often enough")
		require.Equal(t, providers.StatusProcessed, w.rows["stripe/evt_1"])
	})
	for _, d := range workflows.Definitions() {
		t.Run("does nothing when it had been finished before: "+workflows.Name(d), func(t *testing.T) {
			w := newWorld(t)
			w.rows["stripe/evt_1"] = providers.StatusIgnored
			require.NoError(t, w.run(d, inline))
			require.Len(t, w.ran, 1)
			require.Contains(t, w.ran[0], "Store on ")
			require.Empty(t, w.notices)
			require.Equal(t, providers.StatusIgnored, w.rows["stripe/evt_1"])
		})
	}
	t.Run("is in the inbox even when its run is cancelled meanwhile", func(t *testing.T) {
		w := newWorld(t)
		w.rows = map[string]providers.Status{}
		w.after(0, w.env.CancelWorkflow)
		err := w.run(workflows.Sync, inline)
		require.Equal(t, providers.StatusFailed, w.rows["stripe/evt_1"], "run ended with %v", err)
	})
}

func TestACancelledRunLeavesNoOpenEvent(t *testing.T) {
	for name, during := range map[string]func(*world){
		"while it is parked":   func(w *world) { w.fetchErrs = []error{wrongKey} },
		"while it waits":       func(w *world) { w.fetchErrs = []error{flaky, flaky} },
		"while it shall sleep": func(w *world) { w.fetchErrs = []error{later(10 * time.Minute)} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			during(w)
			w.after(500*time.Millisecond, w.env.CancelWorkflow)
			err := w.run(workflows.Sync, paid)
			require.True(t, temporal.IsCanceledError(err), "run ended with %v", err)
			require.Equal(t, providers.StatusFailed, w.rows["stripe/evt_1"])
			require.Contains(t, w.settled[len(w.settled)-1].Reason, "run ended: ")
		})
	}
}

func TestACancelledRunIsFoundNoLongerAmongTheParkedOnes(t *testing.T) {
	w := newWorld(t)
	w.fetchErrs = []error{wrongKey}
	w.after(time.Minute, w.env.CancelWorkflow)
	require.Error(t, w.run(workflows.Sync, paid))
	require.Equal(t, []string{"review", ""}, w.statuses)
}

func TestAStoppingWorkerIsNoCancelledRun(t *testing.T) {
	w := newWorld(t)
	w.env.RegisterActivityWithOptions(func(ctx context.Context, in activities.SyncInput) (providers.Saved, error) {
		if activity.GetInfo(ctx).IsLocalActivity {
			// What the SDK makes of a local activity when its worker stops.
			return providers.Saved{}, temporal.NewCanceledError()
		}
		return w.activities.Sync(ctx, in)
	}, activity.RegisterOptions{Name: "Sync", DisableAlreadyRegisteredCheck: true})
	require.NoError(t, w.run(workflows.Sync, paid))
	require.Equal(t, []string{"local Sync", "Sync on surehook-fetch-stripe"}, w.ran)
	require.Equal(t, providers.StatusProcessed, w.rows["stripe/evt_1"])
}

func later(after time.Duration) error {
	return &providers.APIError{Provider: "stripe", Op: "fetch invoice/in_1", Status: 429, Retry: providers.RetryLater, After: after}
}
