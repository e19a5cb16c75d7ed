package activities

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/surehook/surehook/providers"
)

// The types under which errors appear in the Web UI.
const (
	typeNever     = "Permanent"   // trying again cannot help
	typeExhausted = "Exhausted"   // tried often enough
	typeLater     = "RetryLater"  // the platform said when
	typeRetry     = "Retry"       // with back-off
	typeDatabase  = "Database"    // ours; tried until it is back
	typeBusy      = "RateLimited" // by ourselves; tried until there is room
	typeStopping  = "Stopping"    // ours; tried at once by another worker
)

// The longest pauses before another attempt. MaxPause is also the maximum
// interval of the retry policies, because Temporal cuts every pause to that.
const (
	// MaxPause bounds what a platform may ask for: GitHub's limits, the longest
	// we know, are lifted within the hour.
	MaxPause      = time.Hour
	maxRetryPause = 10 * time.Minute // so that fifteen attempts outlast an outage of an hour
	maxOwnPause   = time.Minute      // so that work goes on soon after the database is back
)

var (
	errNoSource = errors.New("no such source is configured")
	errCircular = errors.New("the list leads back to where it was before")
	errBusy     = errors.New("this process's share of the API rate is used up")
	errPanic    = errors.New("panic")
	errRemoved  = errors.New("its body was removed")
	errStopping = errors.New("this worker is stopping, another one goes on")
)

// sorted says for every error of a call to another system whether Temporal
// tries again: never, later, or with back-off. Together with written it is the
// only place that makes Temporal errors. Messages hold ids and status codes but
// no payload, because they are stored in the history.
func (a *Activities) sorted(ctx context.Context, err error) error {
	return a.sortedAfter(ctx, err, providers.Tally{})
}

// sortedAfter is sorted for an activity that has done something already, of which
// the next attempt has to know.
func (a *Activities) sortedAfter(ctx context.Context, err error, done providers.Tally) error {
	info := activity.GetInfo(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return err
	case errors.Is(err, providers.ErrUnavailable):
		return again(err, typeDatabase, pause(info, info.Attempt, maxOwnPause))
	case errors.Is(err, errBusy):
		return benign(err, typeBusy, pause(info, info.Attempt, maxOwnPause))
	case errors.Is(err, errStopping):
		return benign(err, typeStopping, time.Second)
	case isPermanent(err):
		return never(err, typeNever)
	}
	failed := countFailure(ctx, done)
	if failed >= a.MaxAttempts {
		return never(err, typeExhausted)
	}
	if after, asked := askedToWait(err); asked {
		return again(err, typeLater, after)
	}
	return again(err, typeRetry, pause(info, failed, maxRetryPause))
}

// askedToWait reports whether the platform asked us to wait, and how long.
func askedToWait(err error) (after time.Duration, asked bool) {
	api, ok := errors.AsType[*providers.APIError](err)
	if !ok || api.Retry != providers.RetryLater {
		return 0, false
	}
	return min(max(api.After, 0), MaxPause), true
}

// written is sorted for what only writes to our own database. That is never
// given up: an accepted event must not end because its status could not be
// written down.
func written(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return err
	case isPermanent(err):
		return never(err, typeNever)
	}
	return again(err, typeDatabase, 0)
}

// isPermanent lists what is not ours to try again: without this list one
// poisonous event is retried for ever. An *APIError says it itself, whatever it
// wraps: an answer of which only half came is malformed, and the next one is whole.
func isPermanent(err error) bool {
	if api, ok := errors.AsType[*providers.APIError](err); ok {
		return api.Retry == providers.RetryNever
	}
	for _, never := range []error{
		errCircular,
		errNoSource,
		errPanic,
		errRemoved,
		providers.ErrMalformed,
		providers.ErrNotFetchable,
		providers.ErrNotFound,
		providers.ErrNoSuchList,
		providers.ErrStaleCursor,
	} {
		if errors.Is(err, never) {
			return true
		}
	}
	return false
}

// countFailure returns how many attempts of this activity have failed at the
// other system, this one included. Temporal's own number would count those as
// well that our database or our rate limit ended, so that after an outage of
// ours the first hiccup of a platform would park the event. The count travels
// from attempt to attempt in the heartbeat. The first, local try does not count.
func countFailure(ctx context.Context, done providers.Tally) int32 {
	if activity.GetInfo(ctx).IsLocalActivity {
		return 0
	}
	failed := earlierAttempts(ctx).Failed + 1
	activity.RecordHeartbeat(ctx, attempts{Failed: failed, Done: done})
	return failed
}

// attempts is what travels from attempt to attempt. It is stored in Temporal, so
// its JSON names are for ever.
type attempts struct {
	Failed int32           `json:"failed"`        // at the other system
	Done   providers.Tally `json:"done,omitzero"` // of a page of a list
}

func earlierAttempts(ctx context.Context) (earlier attempts) {
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &earlier); err != nil {
			activity.GetLogger(ctx).Warn("count of failures is unreadable", "error", err)
		}
	}
	return earlier
}

// pause doubles from one second. A local activity asks for none: the regular
// one may run at once.
func pause(info activity.Info, failed int32, longest time.Duration) time.Duration {
	if info.IsLocalActivity {
		return 0
	}
	return min(time.Second<<min(failed-1, 20), longest)
}

// recovered makes a panic a permanent error, so that a bug in a provider parks
// the event: to Temporal a panic is an error to retry, for ever. The value of
// the panic is dropped unless it comes from the runtime, because it may hold
// the payload.
func recovered(ctx context.Context, err error, value any) error {
	if value == nil {
		return err
	}
	activity.GetLogger(ctx).Error("activity panicked", "type", fmt.Sprintf("%T", value), "stack", string(debug.Stack()))
	if fault, ok := value.(runtime.Error); ok {
		return fmt.Errorf("%w: %w", errPanic, fault)
	}
	return fmt.Errorf("%w: %T", errPanic, value)
}

func never(err error, typ string) error {
	return temporal.NewApplicationErrorWithOptions(err.Error(), typ, temporal.ApplicationErrorOptions{NonRetryable: true})
}

func again(err error, typ string, after time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(err.Error(), typ, temporal.ApplicationErrorOptions{NextRetryDelay: after})
}

// benign is for what is no failure, so that nobody is woken for it.
func benign(err error, typ string, after time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(err.Error(), typ, temporal.ApplicationErrorOptions{
		NextRetryDelay: after,
		Category:       temporal.ApplicationErrorCategoryBenign,
	})
}
