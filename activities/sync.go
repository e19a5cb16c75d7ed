package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/surehook/surehook/providers"
)

// SyncInput is stored in Temporal's history: its JSON names are for ever.
type SyncInput struct {
	Event  providers.EventRef `json:"event"`
	Finish bool               `json:"finish"` // nothing comes after: mark the event processed
}

// Sync fetches the object that the event is about and makes our record equal
// to it, with the event's status in the same transaction. It makes no call
// when a state at least as new as the event has been saved already.
func (a *Activities) Sync(ctx context.Context, in SyncInput) (saved providers.Saved, err error) {
	defer func() { err = a.sorted(ctx, recovered(ctx, err, recover())) }()
	return a.sync(ctx, in)
}

func (a *Activities) sync(ctx context.Context, in SyncInput) (providers.Saved, error) {
	ev := in.Event
	source, ok := a.Sources[ev.Source]
	if !ok {
		return providers.Saved{}, fmt.Errorf("sync %s: %w", ev.Source, errNoSource)
	}
	if ev.Ref.IsZero() {
		return a.Records.Save(ctx, providers.Save{Event: ev, Finish: in.Finish, RunID: runID(ctx)})
	}
	// Whatever supersedes the second fetch was claimed after the event was
	// received, so that the third claim finds the event covered.
	for range 2 {
		saved, err := a.claimAndFetch(ctx, source, in)
		if !errors.Is(err, providers.ErrSuperseded) {
			return saved, err
		}
	}
	return a.claimAndFetch(ctx, source, in)
}

// claimAndFetch takes its claim before it fetches, so that the save knows
// whether another fetch was saved meanwhile.
func (a *Activities) claimAndFetch(ctx context.Context, source Source, in SyncInput) (providers.Saved, error) {
	claim, err := a.Records.Claim(ctx, in.Event)
	if err != nil {
		return providers.Saved{}, err
	}
	if claim.Covered {
		return a.Records.Cover(ctx, providers.Save{Event: in.Event, Finish: in.Finish, RunID: runID(ctx)})
	}
	object, origin, err := a.state(ctx, source, in.Event, claim.ETag)
	if err != nil {
		return providers.Saved{}, err
	}
	return a.Records.Save(ctx, providers.Save{
		Event:  in.Event,
		Claim:  claim,
		Object: object,
		Origin: origin,
		Finish: in.Finish,
		RunID:  runID(ctx),
	})
}

func runID(ctx context.Context) string { return activity.GetInfo(ctx).WorkflowExecution.RunID }

// state asks the platform, and takes the event's own payload only where the
// platform has no API that could be asked.
func (a *Activities) state(ctx context.Context, source Source, ev providers.EventRef, etag string) (providers.Object, providers.Origin, error) {
	if fetcher, ok := source.Provider.(providers.Fetcher); ok {
		if err := takeTurn(ctx, source.Limiter); err != nil {
			return providers.Object{}, "", err
		}
		object, err := fetcher.Fetch(ctx, providers.FetchQuery{Ref: ev.Ref, ETag: etag})
		if !errors.Is(err, providers.ErrNotFetchable) {
			return object, providers.OriginFetch, err
		}
	}
	object, err := a.payload(ctx, source, ev)
	return object, providers.OriginPayload, err
}

// takeTurn keeps this process below the source's API rate. A local activity
// must not hold up its workflow task, so it does not wait: it makes room for
// the regular activity, whose queue is limited across all processes.
func takeTurn(ctx context.Context, l Limiter) error {
	if activity.GetInfo(ctx).IsLocalActivity {
		if !l.Allow() {
			return errBusy
		}
		return nil
	}
	err := l.Wait(ctx)
	if err != nil && ctx.Err() == nil {
		return errBusy // the turn would come after the activity's deadline
	}
	return err
}

// payload reads the state of an object off its event in the inbox.
func (a *Activities) payload(ctx context.Context, source Source, ev providers.EventRef) (providers.Object, error) {
	stored, err := a.Inbox.Event(ctx, ev.Source, ev.ID)
	if err != nil {
		return providers.Object{}, err
	}
	switch {
	case !stored.BodyRemovedAt.IsZero():
		return providers.Object{}, fmt.Errorf("read %s/%s again: %w on %s", ev.Source, ev.ID, errRemoved, stored.BodyRemovedAt.Format(time.DateOnly))
	case slices.Contains(stored.Header[providers.Part], providers.PartDeleted):
		return providers.Object{Ref: ev.Ref, Deleted: true}, nil
	case slices.Contains(stored.Header[providers.Part], providers.PartPresent):
		return providers.Object{Ref: ev.Ref, State: stored.Body}, nil
	}
	events, err := source.Provider.Events(providers.Request{
		Header:     stored.Header,
		Body:       stored.Body,
		ReceivedAt: stored.ReceivedAt,
	})
	if err != nil {
		return providers.Object{}, fmt.Errorf("read %s/%s again: %w", ev.Source, ev.ID, err)
	}
	for _, e := range events {
		if e.ID != ev.ID {
			continue
		}
		if e.Deleted {
			return providers.Object{Ref: ev.Ref, Deleted: true}, nil
		}
		if e.Payload != nil {
			return providers.Object{Ref: ev.Ref, State: e.Payload}, nil
		}
		return providers.Object{Ref: ev.Ref, State: stored.Body}, nil
	}
	return providers.Object{}, fmt.Errorf("read %s/%s again: %w: no such event in its body", ev.Source, ev.ID, providers.ErrMalformed)
}
