package workflows

import (
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/providers"
)

// Action is what an operator wants done with a parked event.
type Action string

// The actions.
const (
	Retry Action = "retry" // do the step again
	Skip  Action = "skip"  // end the event as ignored; the run completes
	Fail  Action = "fail"  // end the event as failed; the run fails
)

// Resolution is the payload of the signal "resolve". From the Web UI it is
// sent as {"action": "retry", "by": "ann", "reason": "the key has been renewed"}.
type Resolution struct {
	Action Action `json:"action"`
	By     string `json:"by"`     // who decided
	Reason string `json:"reason"` // and why
}

// Validate says what is wrong with a resolution, or nil.
func (r Resolution) Validate() error {
	switch r.Action {
	case Retry, Skip, Fail:
	default:
		return fmt.Errorf("resolve: action %q: want retry, skip or fail", r.Action)
	}
	if strings.TrimSpace(r.By) == "" {
		return errors.New("resolve: by is empty: say who decides")
	}
	return nil
}

// step runs one step of a definition until it succeeds. When it fails for
// good the run does not die: it is parked until an operator says how to go on.
// The error is what finish makes of a skip, a fail or a cancellation.
func step(ctx workflow.Context, ev providers.EventRef, name string, do func(workflow.Context) error) error {
	for {
		err := do(ctx)
		if err == nil {
			return nil
		}
		// The run's own cancellation counts, not the error's kind: a worker that
		// stops cancels its local activities too.
		if canceled := ctx.Err(); canceled != nil {
			return canceled
		}
		decided, err := park(ctx, ev, name, err)
		if err != nil {
			return err
		}
		if decided.Action != Retry {
			return &givenUpError{by: decided}
		}
	}
}

// givenUpError carries an operator's decision from step to finish.
type givenUpError struct{ by Resolution }

func (e *givenUpError) Error() string { return "given up: " + string(e.by.Action) }

// park makes the reason visible in the inbox, in the search attribute and in
// the Web UI, and waits for the signal. The run stays open, so that its
// workflow ID still refuses duplicates.
func park(ctx workflow.Context, ev providers.EventRef, name string, cause error) (Resolution, error) {
	signals := workflow.GetSignalChannel(ctx, SignalResolve)
	// What was sent before the step failed was not meant for this failure.
	for signals.ReceiveAsync(nil) {
	}

	reason := name + ": " + rootMessage(cause)
	// A regular activity: what a local one had written down would be seen before the
	// history knows of it. Were the worker killed in between, the run would be here again
	// and drop, as too early, the decision that was made meanwhile.
	review := settlement(ev, providers.StatusReview, Resolution{Reason: reason})
	if err := workflow.ExecuteActivity(dbWrite(ctx), a.Settle, review).Get(ctx, nil); err != nil {
		return Resolution{}, err
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, StatusKey.ValueSet(string(providers.StatusReview))); err != nil {
		return Resolution{}, err
	}
	workflow.SetCurrentDetails(ctx, parkedDetails(ev, reason))

	decided, err := awaitResolution(ctx, signals)
	// A run that was cancelled waits no longer either.
	if uerr := workflow.UpsertTypedSearchAttributes(ctx, StatusKey.ValueUnset()); uerr != nil {
		return Resolution{}, uerr
	}
	if err != nil {
		return Resolution{}, err
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("Resolved: **%s** by %s. %s", decided.Action, decided.By, decided.Reason))
	if decided.Action == Retry {
		return decided, settle(ctx, ev, providers.StatusPending, decided)
	}
	return decided, nil
}

// awaitResolution waits for a resolution that can be acted on; others are
// logged and do not end the wait. It never blocks in Receive: that drops a
// payload which cannot be decoded and waits for the next one, deaf to a
// cancellation.
func awaitResolution(ctx workflow.Context, signals workflow.ReceiveChannel) (Resolution, error) {
	for {
		if err := workflow.Await(ctx, func() bool { return signals.Len() > 0 }); err != nil {
			return Resolution{}, err
		}
		var r Resolution
		if !signals.ReceiveAsync(&r) {
			continue // none of them could be decoded, which the SDK has logged
		}
		if err := r.Validate(); err != nil {
			workflow.GetLogger(ctx).Warn("resolution refused", "error", err)
			continue
		}
		return r, nil
	}
}

// parkedDetails is what the Web UI shows on the page of a parked run.
func parkedDetails(ev providers.EventRef, reason string) string {
	return fmt.Sprintf(`**Parked for review**: %s

Look: `+"`surehook events show %s %s`"+`

Go on: `+"`surehook resolve %s %s retry`"+` (or skip, or fail) with `+"`--reason`"+`, or send the signal %q here.`,
		reason, ev.Source, ev.ID, ev.Source, ev.ID, SignalResolve)
}

// rootMessage is the message of the activity's own error, without the layers
// that Temporal puts around it.
func rootMessage(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Message()
	}
	return err.Error()
}
