package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surehook/surehook/providers"
)

// ErrNoEvent means that the platform never sent such an event, or sent it so
// long ago that its payload is gone.
var ErrNoEvent = errors.New("no such event")

// Event is one entry of the log of what the platform sent.
type Event struct {
	ID        string        `json:"event_id"`
	Type      string        `json:"type"`
	Object    providers.Ref `json:"object"`
	Version   int64         `json:"version"` // of the object, as the payload shows it
	Deleted   bool          `json:"deleted,omitempty"`
	CreatedAt time.Time     `json:"created_at"`
	// Acknowledged says that an attempt was answered with 2xx.
	Acknowledged bool      `json:"acknowledged"`
	Attempts     []Attempt `json:"attempts,omitempty"`
}

// Attempt is one try to deliver an event.
type Attempt struct {
	At     time.Time `json:"at"`
	Fault  string    `json:"fault,omitempty"`  // what the sandbox did to it, comma separated
	Status int       `json:"status,omitempty"` // 0 when no answer came
	Error  string    `json:"error,omitempty"`
}

// emitted is an event with what it takes to send it.
type emitted struct {
	Event
	webhook webhook
}

// Option alters what Trigger and Emit do.
type Option func(*order)

type order struct {
	on          providers.Ref
	set         fields
	envelope    fields
	undelivered bool
	background  bool
}

// On makes it happen to this object instead of a new one.
func On(ref providers.Ref) Option {
	return func(o *order) { o.on = providers.Ref{Type: ref.Type, ID: ref.ID} }
}

// Set gives the object these members.
func Set(members map[string]any) Option {
	return func(o *order) { o.set = members }
}

// Envelope sets members of the payload around the object: a Stripe event's
// "account" or "livemode", a GitHub payload's "installation".
func Envelope(members map[string]any) Option {
	return func(o *order) { o.envelope = members }
}

// Undelivered logs the event without sending it. Redeliver sends it later;
// Request lets a test send it itself.
func Undelivered() Option {
	return func(o *order) { o.undelivered = true }
}

// InBackground returns without waiting for the first attempt to deliver the
// event; see Wait. So one caller can let many things happen in an order that is
// always the same, while their events are on the way together.
func InBackground() Option {
	return func(o *order) { o.background = true }
}

func orderOf(options []Option) order {
	var o order
	for _, option := range options {
		option(&o)
	}
	return o
}

// Trigger does what makes the platform send an event of the type, such as
// "invoice.paid" or "pull_request.closed", and sends it. A new object is
// created unless an option names one. Trigger returns when the first attempt
// to deliver has been answered; retries, duplicates and delayed attempts go on
// in the background, see Wait. An endpoint that refuses is no error: the
// returned log entry tells.
func (p *Platform) Trigger(ctx context.Context, typ string, options ...Option) (Event, error) {
	o := orderOf(options)
	set, err := cloned(o.set)
	if err != nil {
		return Event{}, err
	}
	var ev *emitted
	err = p.update(func(t *tx) error {
		what, err := p.dialect.happen(t, typ, o.on, set)
		if err != nil {
			return err
		}
		what.Envelope = o.envelope
		ev, err = p.emit(t, what)
		return err
	})
	return p.dispatch(ctx, ev, o, err)
}

// Emit sends an event of the type about an object as it is, without changing it.
func (p *Platform) Emit(ctx context.Context, typ string, ref providers.Ref, options ...Option) (Event, error) {
	ref.Account = ""
	order := orderOf(options)
	var ev *emitted
	err := p.update(func(t *tx) error {
		o := p.objects[ref]
		if o == nil {
			return fmt.Errorf("%s %s: %w", p.dialect.name(), ref, ErrNoObject)
		}
		state, err := decode(o.State)
		if err != nil {
			return err
		}
		ev, err = p.emit(t, occurrence{Type: typ, Ref: ref, After: state, Envelope: order.envelope})
		return err
	})
	return p.dispatch(ctx, ev, order, err)
}

// emit logs an event; the lock is held.
func (p *Platform) emit(t *tx, what occurrence) (*emitted, error) {
	hook, err := p.dialect.webhook(t, what)
	if err != nil {
		return nil, err
	}
	ev := &emitted{webhook: hook, Event: Event{ID: hook.ID, Type: hook.Type, Object: what.Ref, CreatedAt: t.now}}
	if o := p.objects[what.Ref]; o != nil {
		ev.Version, ev.Deleted = o.Version, o.Deleted
	}
	p.events = append(p.events, ev)
	p.byID[ev.ID] = ev
	for p.bytes += len(hook.Body); p.bytes > p.cfg.KeepPayloads && p.oldest < len(p.events)-1; p.oldest++ {
		p.bytes -= len(p.events[p.oldest].webhook.Body)
		p.events[p.oldest].webhook = webhook{}
	}
	return ev, nil
}

func (p *Platform) dispatch(ctx context.Context, ev *emitted, o order, err error) (Event, error) {
	if err != nil {
		return Event{}, err
	}
	switch {
	case o.undelivered:
	case o.background:
		p.inBackground(func() { p.deliver(p.background, ev) })
	default:
		p.deliver(ctx, ev)
	}
	logged, _ := p.Event(ev.ID)
	return logged, nil
}

// Event returns the log entry of an event.
func (p *Platform) Event(id string) (Event, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ev, ok := p.byID[id]
	if !ok {
		return Event{}, false
	}
	return ev.copy(), true
}

// Events returns the log of all events, oldest first.
func (p *Platform) Events() []Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	log := make([]Event, len(p.events))
	for i, ev := range p.events {
		log[i] = ev.copy()
	}
	return log
}

func (ev *emitted) copy() Event {
	c := ev.Event
	c.Attempts = slices.Clone(c.Attempts)
	return c
}

// payload returns what to send for a logged event.
func (p *Platform) payload(id string) (*emitted, webhook, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ev, ok := p.byID[id]
	if !ok || ev.webhook.ID == "" {
		return nil, webhook{}, fmt.Errorf("%s event %s: %w", p.dialect.name(), id, ErrNoEvent)
	}
	return ev, ev.webhook, nil
}
