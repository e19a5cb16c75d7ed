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
	source, err := a.source("sync", ev.Source)
	if err != nil {
		return providers.Saved{}, err
	}
	run := activity.GetInfo(ctx).WorkflowExecution
	save := providers.Save{Event: ev, Finish: in.Finish, WorkflowID: run.ID, RunID: run.RunID}
	if ev.Ref.IsZero() {
		return a.Records.Save(ctx, save)
	}
	return a.makeTrue(ctx, source, save)
}

func (a *Activities) source(op, name string) (Source, error) {
	source, ok := a.Sources[name]
	if !ok {
		return Source{}, fmt.Errorf("%s %s: %w", op, name, errNoSource)
	}
	return source, nil
}

// makeTrue makes our record equal to the object of a save, of which all is known
// but the object's state.
//
// Whatever supersedes the second fetch was claimed after the event was received,
// so that the third claim finds the event covered. (A reconciliation has no event
// to cover: where the record is saved that often, its page is read again.)
func (a *Activities) makeTrue(ctx context.Context, source Source, save providers.Save) (providers.Saved, error) {
	for range 2 {
		saved, err := a.claimAndFetch(ctx, source, save)
		if !errors.Is(err, providers.ErrSuperseded) {
			return saved, err
		}
	}
	return a.claimAndFetch(ctx, source, save)
}

// claimAndFetch takes its claim before it fetches, so that the save knows
// whether another fetch was saved meanwhile.
func (a *Activities) claimAndFetch(ctx context.Context, source Source, save providers.Save) (saved providers.Saved, err error) {
	save.Claim, err = a.Records.Claim(ctx, save.Event)
	if err != nil {
		return saved, err
	}
	if save.Claim.Covered {
		return a.Records.Cover(ctx, save)
	}
	save.Object, save.Origin, err = a.state(ctx, source, save)
	if err != nil {
		return saved, err
	}
	return a.Records.Save(ctx, save)
}

// state asks the platform, and takes the event's own payload only where the
// platform has no API that could be asked.
func (a *Activities) state(ctx context.Context, source Source, save providers.Save) (providers.Object, providers.Origin, error) {
	if fetcher, ok := source.Provider.(providers.Fetcher); ok {
		if err := source.takeTurn(ctx, save.Reconciliation != 0); err != nil {
			return providers.Object{}, "", err
		}
		object, err := fetcher.Fetch(ctx, providers.FetchQuery{Ref: save.Event.Ref, ETag: save.Claim.ETag})
		if !errors.Is(err, providers.ErrNotFetchable) {
			return object, providers.OriginFetch, err
		}
	}
	if save.Event.ID == "" {
		return providers.Object{}, "", fmt.Errorf("fetch %s: %w", save.Event.Ref, providers.ErrNotFetchable)
	}
	object, err := a.payload(ctx, source, save.Event)
	return object, providers.OriginPayload, err
}

// takeTurn keeps this process below the source's API rate. A local activity
// must not hold up its workflow task, so it does not wait: it makes room for
// the regular activity, whose queue is limited across all processes.
//
// What runs in the background takes its turn among its like first, so that of two
// calls that wait one at least is live traffic's. Temporal's priorities cannot see
// to that: to them a page with its hundreds of calls is one activity.
func (s Source) takeTurn(ctx context.Context, background bool) error {
	if activity.GetInfo(ctx).IsLocalActivity {
		if !s.Limiter.Allow() {
			return errBusy
		}
		return nil
	}
	if background {
		if err := wait(ctx, s.Background); err != nil {
			return err
		}
	}
	return wait(ctx, s.Limiter)
}

func wait(ctx context.Context, l Limiter) error {
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
