package activities

import (
	"context"
	"errors"

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
	typeBusy      = "RateLimited" // by ourselves; the queue takes over
)

var (
	errNoSource = errors.New("no such source is configured")
	errBusy     = errors.New("this process's share of the API rate is used up")
)

// sorted says for every error whether Temporal tries again: never, later, or
// with back-off. It is the only place that makes Temporal errors. Messages hold
// ids and status codes but no payload, because they are stored in the history.
func (a *Activities) sorted(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return err
	case errors.Is(err, providers.ErrUnavailable):
		return applicationError(err, typeDatabase, temporal.ApplicationErrorOptions{})
	case errors.Is(err, errBusy):
		return applicationError(err, typeBusy, temporal.ApplicationErrorOptions{
			Category: temporal.ApplicationErrorCategoryBenign,
		})
	case isPermanent(err):
		return applicationError(err, typeNever, temporal.ApplicationErrorOptions{NonRetryable: true})
	case activity.GetInfo(ctx).Attempt >= a.MaxAttempts:
		return applicationError(err, typeExhausted, temporal.ApplicationErrorOptions{NonRetryable: true})
	}
	var api *providers.APIError
	if errors.As(err, &api) && api.Retry == providers.RetryLater {
		return applicationError(err, typeLater, temporal.ApplicationErrorOptions{NextRetryDelay: api.After})
	}
	return applicationError(err, typeRetry, temporal.ApplicationErrorOptions{})
}

// isPermanent lists what is not ours to try again: without this list one
// poisonous event is retried for ever.
func isPermanent(err error) bool {
	for _, never := range []error{
		errNoSource,
		providers.ErrMalformed,
		providers.ErrNotFetchable,
		providers.ErrNotFound,
	} {
		if errors.Is(err, never) {
			return true
		}
	}
	var api *providers.APIError
	return errors.As(err, &api) && api.Retry == providers.RetryNever
}

func applicationError(err error, typ string, opts temporal.ApplicationErrorOptions) error {
	return temporal.NewApplicationErrorWithOptions(err.Error(), typ, opts)
}
