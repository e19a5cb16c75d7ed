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
	// Left are the IDs of the events that could not be finished.
	Left []string `json:"left,omitempty"`
}

// reserve is kept of the time for all events, to tell of those it was too short for.
const reserve = 500 * time.Millisecond

// SyncMany does for each of the events, all of one source and at once, what Sync
// does, and finishes it. No event holds up another one: what fails for whatever
// reason is left to a run of its own.
func (a *Activities) SyncMany(ctx context.Context, events []providers.EventRef) (SyncManyResult, error) {
	each, cancel := context.WithDeadline(ctx, activity.GetInfo(ctx).Deadline.Add(-reserve))
	defer cancel()
	errs := make([]error, len(events))
	var all sync.WaitGroup
	for i, ev := range events {
		all.Go(func() {
			defer func() { errs[i] = recovered(ctx, errs[i], recover()) }()
			_, errs[i] = a.sync(each, SyncInput{Event: ev, Finish: true})
		})
	}
	all.Wait()
	var result SyncManyResult
	for i, err := range errs {
		if err != nil {
			activity.GetLogger(ctx).Info("event left to a run of its own", "source", events[i].Source, "event_id", events[i].ID, "error", err)
			result.Left = append(result.Left, events[i].ID)
		}
	}
	return result, nil
}
