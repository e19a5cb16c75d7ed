package activities

import (
	"context"

	"go.temporal.io/sdk/activity"

	"github.com/surehook/surehook/providers"
)

// KeepInput says whose subscriptions to keep. It is stored in schedules and in
// Temporal's history: its JSON names are for ever.
type KeepInput struct {
	Source string `json:"source"`
	// EventType and Subscription are those of the event by which the platform has
	// spoken of one of its subscriptions; empty when the schedule asks.
	EventType    string `json:"event_type,omitempty"`
	Subscription string `json:"subscription,omitempty"`
}

// Keep makes the platform's subscriptions those that the source's settings want,
// and returns them. It does nothing for a source that keeps none.
//
// Who repeats it finds that a subscription has been made, and not that it was
// made just now. What was missed before it was then shows the list's own schedule.
func (a *Activities) Keep(ctx context.Context, in KeepInput) (kept []providers.Subscription, err error) {
	defer func() { err = a.sorted(ctx, recovered(ctx, err, recover())) }()
	source, err := a.source("keep", in.Source)
	if err != nil {
		return nil, err
	}
	keeper, ok := source.Provider.(providers.Keeper)
	if !ok || !keeper.Keeps() {
		return nil, nil
	}
	if activity.GetInfo(ctx).IsLocalActivity {
		return nil, errBusy // there is no room for several calls in a workflow task
	}
	// One turn stands for the few calls it makes.
	if err := source.takeTurn(ctx, false); err != nil {
		return nil, err
	}
	kept, err = keeper.Keep(ctx, providers.KeepQuery{
		URL:          source.URL,
		Secrets:      source.Secrets,
		EventType:    in.EventType,
		Subscription: in.Subscription,
	})
	for _, s := range kept {
		if s.Did != providers.UpkeepNone {
			activity.GetLogger(ctx).Info("subscription kept", "source", in.Source, "subscription", s.ID, "did", string(s.Did), "expires", s.Expires)
		}
	}
	return kept, err
}
