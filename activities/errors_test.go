package activities_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

func TestErrorsAreSorted(t *testing.T) {
	api := func(retry providers.Retry, after time.Duration) error {
		return &providers.APIError{Provider: "stripe", Op: "fetch invoice/in_1", Status: 418, Retry: retry, After: after}
	}
	for name, c := range map[string]struct {
		err   error
		typ   string
		never bool
		delay time.Duration // of a first regular attempt
	}{
		"the platform refuses":                      {api(providers.RetryNever, 0), "Permanent", true, 0},
		"the platform says when":                    {api(providers.RetryLater, 90*time.Second), "RetryLater", false, 90 * time.Second},
		"the platform says next year":               {api(providers.RetryLater, 365*24*time.Hour), "RetryLater", false, time.Hour},
		"the platform says a time that is past":     {api(providers.RetryLater, -time.Hour), "RetryLater", false, 0},
		"the platform fails":                        {api(providers.RetrySoon, 0), "Retry", false, time.Second},
		"half an answer":                            {&providers.APIError{Provider: "stripe", Op: "fetch", Status: 200, Retry: providers.RetrySoon, Err: providers.ErrMalformed}, "Retry", false, time.Second},
		"something around it fails":                 {fmt.Errorf("around: %w", api(providers.RetryNever, 0)), "Permanent", true, 0},
		"malformed":                                 {fmt.Errorf("read: %w", providers.ErrMalformed), "Permanent", true, 0},
		"not found":                                 {fmt.Errorf("event: %w", providers.ErrNotFound), "Permanent", true, 0},
		"the database is away":                      {fmt.Errorf("save: %w: %w", providers.ErrUnavailable, driver.ErrBadConn), "Database", false, time.Second},
		"a deadline":                                {fmt.Errorf("fetch: %w", context.DeadlineExceeded), "Retry", false, time.Second},
		"a cancellation that is not the activity's": {fmt.Errorf("fetch: %w", context.Canceled), "Retry", false, time.Second},
		"anything else":                             {errors.New("what"), "Retry", false, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.err["fetch"] = c.err
			_, err := w.sync(activities.SyncInput{Event: event})
			app := sorted(t, err)
			require.Equal(t, c.typ, app.Type())
			require.Equal(t, c.never, app.NonRetryable())
			require.Equal(t, c.delay, app.NextRetryDelay())
			require.Equal(t, c.err.Error(), app.Message())
			require.NoError(t, app.Unwrap(), "a cause would be stored with what it holds")
		})
		t.Run(name+", in the local try", func(t *testing.T) {
			w := newWorld(t)
			w.a.MaxAttempts = 1
			w.err["fetch"] = c.err
			app := sorted(t, w.syncLocally(activities.SyncInput{Event: event}))
			require.Equal(t, c.typ, app.Type(), "it does not count as an attempt")
			require.Equal(t, c.never, app.NonRetryable())
			if c.typ != "RetryLater" {
				require.Zero(t, app.NextRetryDelay(), "the queue may have it at once")
			}
		})
	}
}

func TestAnUnknownSourceIsPermanent(t *testing.T) {
	w := newWorld(t)
	ev := event
	ev.Source = "gone"
	_, err := w.sync(activities.SyncInput{Event: ev})
	require.True(t, sorted(t, err).NonRetryable())
	require.Equal(t, "sync gone: no such source is configured", sorted(t, err).Message())
}

func TestFailuresOfThePlatformAreCounted(t *testing.T) {
	flaky := &providers.APIError{Provider: "stripe", Op: "fetch", Status: 502, Retry: providers.RetrySoon}
	t.Run("from attempt to attempt, up to the last", func(t *testing.T) {
		w := newWorld(t)
		w.err["fetch"] = flaky
		_, err := w.sync(activities.SyncInput{Event: event})
		require.Equal(t, time.Second, sorted(t, err).NextRetryDelay())
		w.env.SetHeartbeatDetails(earlier(1, providers.Tally{}))
		_, err = w.sync(activities.SyncInput{Event: event})
		require.Equal(t, 2*time.Second, sorted(t, err).NextRetryDelay(), "the pauses double")
		w.env.SetHeartbeatDetails(earlier(2, providers.Tally{}))
		_, err = w.sync(activities.SyncInput{Event: event})
		require.Equal(t, "Exhausted", sorted(t, err).Type())
		require.True(t, sorted(t, err).NonRetryable())
		require.Equal(t, []int32{1, 2, 3}, w.failures)
	})
	t.Run("with pauses that fifteen of outlast an hour, just about", func(t *testing.T) {
		var all time.Duration
		for failed := range int32(14) {
			w := newWorld(t)
			w.a.MaxAttempts = 15
			w.err["fetch"] = flaky
			w.env.SetHeartbeatDetails(earlier(failed, providers.Tally{}))
			_, err := w.sync(activities.SyncInput{Event: event})
			all += sorted(t, err).NextRetryDelay()
		}
		require.InDelta(t, time.Hour, all, float64(5*time.Minute))
	})
	t.Run("but not those of our own database", func(t *testing.T) {
		w := newWorld(t)
		w.env.SetHeartbeatDetails(earlier(2, providers.Tally{}))
		w.err["claim"] = providers.ErrUnavailable
		_, err := w.sync(activities.SyncInput{Event: event})
		require.Equal(t, "Database", sorted(t, err).Type())
		require.False(t, sorted(t, err).NonRetryable())
		require.Empty(t, w.failures)
	})
	t.Run("and notices have the same rule", func(t *testing.T) {
		w := newWorld(t)
		w.err["notify"] = flaky
		w.env.SetHeartbeatDetails(earlier(2, providers.Tally{}))
		_, err := w.env.ExecuteActivity(w.a.Notify, activities.Notice{})
		require.Equal(t, "Exhausted", sorted(t, err).Type())
	})
}

// To Temporal a panic is an error to retry, and the policies have no maximum.
func TestAPanicParks(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"of the runtime": {boundsError(), "panic: runtime error: index out of range [3] with length 0"},
		"with a value":   {map[string]string{"card": "4242"}, "panic: map[string]string"},
		"with an error":  {errors.New("card 4242"), "panic: *errors.errorString"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.panics = c.value
			_, err := w.sync(activities.SyncInput{Event: event})
			require.True(t, sorted(t, err).NonRetryable())
			require.Equal(t, c.want, sorted(t, err).Message(), "the value may hold the payload")
			err = w.syncLocally(activities.SyncInput{Event: event})
			require.True(t, sorted(t, err).NonRetryable())
		})
	}
}

func boundsError() (value any) {
	defer func() { value = recover() }()
	var none []int
	three := 3
	return none[three]
}

func TestWhatOnlyWritesToOurDatabaseIsNotGivenUp(t *testing.T) {
	inline := event
	inline.Inline = &providers.InlineEvent{}
	for name, run := range map[string]func(*world) error{
		"store": func(w *world) error {
			_, err := w.env.ExecuteActivity(w.a.Store, inline)
			return err
		},
		"settle": func(w *world) error {
			_, err := w.env.ExecuteActivity(w.a.Settle, providers.Settlement{})
			return err
		},
	} {
		for _, fault := range []error{providers.ErrUnavailable, errors.New("no such column")} {
			t.Run(name+": "+fault.Error(), func(t *testing.T) {
				w := newWorld(t)
				w.a.MaxAttempts = 1
				w.err["accept"], w.err["settle"] = fault, fault
				app := sorted(t, run(w))
				require.Equal(t, "Database", app.Type())
				require.False(t, app.NonRetryable())
			})
		}
	}
	t.Run("unless there is no such event", func(t *testing.T) {
		w := newWorld(t)
		w.err["settle"] = providers.ErrNotFound
		_, err := w.env.ExecuteActivity(w.a.Settle, providers.Settlement{})
		require.True(t, sorted(t, err).NonRetryable())
	})
}

func TestAStoppingWorkersActivityIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.env.SetWorkerOptions(worker.Options{BackgroundActivityContext: ctx})
	cancel()
	_, err := w.sync(activities.SyncInput{Event: event})
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.False(t, app.NonRetryable())
	require.Empty(t, w.failures)
}
