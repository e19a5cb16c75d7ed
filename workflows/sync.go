package workflows

import (
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

// Sync makes our record equal to the object that the event is about, as the
// platform has it now. It is what an event starts that has no route.
func Sync(ctx workflow.Context, ev providers.EventRef) error {
	// Nothing comes after the record, so its transaction finishes the event too.
	_, err := syncRecord(ctx, ev, true)
	if err != nil {
		return finish(ctx, ev, err)
	}
	return nil
}

// sync is Sync as the first step of a definition that goes on afterwards. The
// event stays open until finish.
func sync(ctx workflow.Context, ev providers.EventRef) (providers.Saved, error) {
	return syncRecord(ctx, ev, false)
}

func syncRecord(ctx workflow.Context, ev providers.EventRef, last bool) (saved providers.Saved, err error) {
	ev, err = stored(ctx, ev)
	if err != nil {
		return saved, err
	}
	in := activities.SyncInput{Event: ev, Finish: last}
	err = step(ctx, ev, "sync", func(ctx workflow.Context) (err error) {
		saved, err = fetchAndSave(ctx, in)
		return err
	})
	return saved, err
}

// fetchAndSave tries at once, in this worker; what that cannot do goes to the
// source's own queue with its rate limit and retries. What waits there for too
// long begins again here, where it is found out when there is no such source any
// more; otherwise the queue is only long.
func fetchAndSave(ctx workflow.Context, in activities.SyncInput) (saved providers.Saved, err error) {
	if wait := in.Event.NotBefore.Sub(workflow.Now(ctx)); wait > 0 {
		if err := workflow.Sleep(ctx, wait); err != nil {
			return saved, err
		}
	}
	for {
		err = workflow.ExecuteLocalActivity(firstTry(ctx), a.Sync, in).Get(ctx, &saved)
		if err == nil || isFinal(err) {
			return saved, err
		}
		if wait := retryDelay(err); wait > 0 {
			if err := workflow.Sleep(ctx, wait); err != nil {
				return saved, err
			}
		}
		err = workflow.ExecuteActivity(apiCall(ctx, in.Event.Source), a.Sync, in).Get(ctx, &saved)
		if !isUnclaimed(err) {
			return saved, err
		}
	}
}

// stored puts an event that came while the database was away into the inbox,
// before anything else is done for it, and even if the run is cancelled: until
// then the event is nowhere else. What was accepted and finished under the same
// ID before is not done again, nor what was accepted under another one.
func stored(ctx workflow.Context, ev providers.EventRef) (providers.EventRef, error) {
	if ev.Inline == nil {
		return ev, nil
	}
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	var row providers.Accepted
	if err := workflow.ExecuteActivity(dbWrite(ctx), a.Store, ev).Get(ctx, &row); err != nil {
		return ev, err
	}
	if row.Status != providers.StatusPending || row.ID != ev.ID {
		return row.EventRef, errFinishedBefore
	}
	return row.EventRef, nil
}

// finish ends the event as the definition ended: processed, or as the operator
// decided who gave up one of its steps. Every definition returns through it.
func finish(ctx workflow.Context, ev providers.EventRef, err error) error {
	var given *givenUpError
	switch {
	case err == nil:
		return settle(ctx, ev, providers.StatusProcessed, Resolution{})
	case errors.Is(err, errFinishedBefore):
		return nil
	case errors.As(err, &given) && given.by.Action == Skip:
		return settle(ctx, ev, providers.StatusIgnored, given.by)
	case errors.As(err, &given):
		if err := settle(ctx, ev, providers.StatusFailed, given.by); err != nil {
			return err
		}
		return temporal.NewNonRetryableApplicationError("given up by an operator", "GivenUp", nil)
	default:
		// Cancelled from outside: the run ends, so the event must not stay open.
		ctx, cancel := workflow.NewDisconnectedContext(ctx)
		defer cancel()
		if serr := settle(ctx, ev, providers.StatusFailed, Resolution{Reason: "run ended: " + err.Error()}); serr != nil {
			return serr
		}
		return err
	}
}

// settle writes the event's status down: at once in this worker and, while the
// database is away, for as long as it takes.
func settle(ctx workflow.Context, ev providers.EventRef, status providers.Status, by Resolution) error {
	to := settlement(ev, status, by)
	err := workflow.ExecuteLocalActivity(firstTry(ctx), a.Settle, to).Get(ctx, nil)
	if err == nil || isFinal(err) {
		return err
	}
	return workflow.ExecuteActivity(dbWrite(ctx), a.Settle, to).Get(ctx, nil)
}

func settlement(ev providers.EventRef, status providers.Status, by Resolution) providers.Settlement {
	return providers.Settlement{
		Source:     ev.Source,
		ID:         ev.ID,
		Status:     status,
		Reason:     by.Reason,
		ResolvedBy: by.By,
		Replay:     ev.Replay,
	}
}

// errFinishedBefore ends a run whose event had been finished already.
var errFinishedBefore = errors.New("event was finished before")

// isFinal reports whether trying a step again cannot help.
func isFinal(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.NonRetryable()
}

// isUnclaimed reports whether no worker took the activity off its queue in time.
func isUnclaimed(err error) bool {
	var timeout *temporal.TimeoutError
	return errors.As(err, &timeout) && timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START
}

// retryDelay is how long the platform asked us to wait, or 0.
func retryDelay(err error) time.Duration {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.NextRetryDelay()
	}
	return 0
}
