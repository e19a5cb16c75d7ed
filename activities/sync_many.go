package activities

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/surehook/surehook/providers"
)

// SyncManyResult is stored in Temporal's history: its JSON names are for ever.
type SyncManyResult struct {
	Left []LeftEvent `json:"left,omitempty"` // what could not be finished
}

// LeftEvent is an event that is left to a run of its own.
type LeftEvent struct {
	ID string `json:"id"`
	// AfterSeconds is how long the platform asked us to wait before that, or 0.
	AfterSeconds int64 `json:"after_seconds,omitempty"`
}

// reserve is kept of the time for all events, to tell of those it was too short for.
const reserve = 500 * time.Millisecond

// SyncMany does for each of the events, all of one source and at once, what Sync
// does, and finishes it. No event holds up another one: what fails for whatever
// reason is left to a run of its own. What is not pending any more is nobody's
// business: another run may have finished it, or an operator ended it.
func (a *Activities) SyncMany(ctx context.Context, events []providers.EventRef) (result SyncManyResult, err error) {
	events, err = a.Inbox.Pending(ctx, events)
	if err != nil {
		return result, written(ctx, err)
	}
	for i, err := range a.syncEach(ctx, events) {
		if err == nil {
			continue
		}
		after, _ := askedToWait(err)
		result.Left = append(result.Left, LeftEvent{ID: events[i].ID, AfterSeconds: int64((after + time.Second - 1) / time.Second)})
		activity.GetLogger(ctx).Info("event left to a run of its own",
			"source", events[i].Source, "event_id", events[i].ID, "after", after, "error", err)
	}
	return result, nil
}

// syncEach returns an error, or nil, for each of the events.
func (a *Activities) syncEach(ctx context.Context, events []providers.EventRef) []error {
	ctx, cancel := context.WithDeadline(ctx, activity.GetInfo(ctx).Deadline.Add(-reserve))
	defer cancel()
	errs := make([]error, len(events))
	var all sync.WaitGroup
	for i, ev := range events {
		all.Go(func() {
			defer func() { errs[i] = recovered(ctx, errs[i], recover()) }()
			_, errs[i] = a.sync(ctx, SyncInput{Event: ev, Finish: true})
		})
	}
	all.Wait()
	return errs
}
