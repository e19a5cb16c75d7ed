package activities

import (
	"context"

	"go.temporal.io/sdk/activity"

	"github.com/surehook/surehook/providers"
)

// Store puts an event into the inbox that was accepted through Temporal while
// the database was away. The answer's status is the row's: when it is not
// pending, the event had been finished before. When its ID is another one, the
// event had been accepted under that, and has a run of that name.
func (a *Activities) Store(ctx context.Context, ev providers.EventRef) (providers.Accepted, error) {
	rows, err := a.Inbox.Accept(ctx, []providers.Received{{
		Source: ev.Source,
		Event: providers.Event{
			ID:         ev.ID,
			Type:       ev.Type,
			Ref:        ev.Ref,
			OccurredAt: ev.Inline.OccurredAt,
			Mode:       ev.Inline.Mode,
			APIVersion: ev.Inline.APIVersion,

			Fingerprint: ev.Inline.Fingerprint,
		},
		Status:     providers.StatusPending,
		WorkflowID: activity.GetInfo(ctx).WorkflowExecution.ID,
		Header:     ev.Inline.Header,
		Body:       ev.Inline.Body,
	}})
	if err != nil {
		return providers.Accepted{}, written(ctx, err)
	}
	return rows[0], nil
}

// MarkStarted notes which runs work on events now.
func (a *Activities) MarkStarted(ctx context.Context, started []providers.Started) error {
	return written(ctx, a.Inbox.MarkStarted(ctx, started))
}

// Settle ends an event, parks it, or opens it again.
func (a *Activities) Settle(ctx context.Context, s providers.Settlement) error {
	run := activity.GetInfo(ctx).WorkflowExecution
	s.WorkflowID, s.RunID = run.ID, run.RunID
	err := a.Inbox.Settle(ctx, s)
	if err == nil && s.Status == providers.StatusReview {
		activity.GetLogger(ctx).Warn("event parked for review", "source", s.Source, "event_id", s.ID)
	}
	return written(ctx, err)
}
