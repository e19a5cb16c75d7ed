package ingress

import (
	"context"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// The pauses between two probes of a Temporal that does not answer, with
// jitter of half their length.
const (
	firstProbe = 500 * time.Millisecond
	lastProbe  = 15 * time.Second
)

// breaker keeps calls back while Temporal is away. It is closed while calls
// get through. When one fails it opens: calls wait, and after a pause that
// grows with each failure one of them is let through as the probe. The first
// success closes it.
type breaker struct {
	onOpen  func()
	onClose func(after time.Duration)

	mu          sync.Mutex
	pauses      *backoff.ExponentialBackOff
	openSince   time.Time // zero while closed
	probeAt     time.Time
	probing     bool
	lastSuccess time.Time
	closed      chan struct{} // made when the breaker opens, closed when it closes
}

func newBreaker() *breaker {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval = firstProbe
	pauses.MaxInterval = lastProbe
	pauses.Multiplier = 2
	return &breaker{pauses: pauses, onOpen: func() {}, onClose: func(time.Duration) {}}
}

// pass is the permission for one call. Its outcome must be reported with
// succeeded, failed or abandoned.
type pass struct {
	at    time.Time
	probe bool
}

// enter waits for a pass. It gives up when ctx ends while the breaker is open.
func (b *breaker) enter(ctx context.Context) (pass, error) {
	for {
		p, ok, wait, closed := b.try()
		if ok {
			return p, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-closed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return pass{}, ctx.Err()
		}
		timer.Stop()
	}
}

// try returns a pass if there is one now, else how long to wait at most before
// asking again, and what is closed when the breaker closes.
func (b *breaker) try() (p pass, ok bool, wait time.Duration, closed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	switch {
	case b.openSince.IsZero():
		return pass{at: now}, true, 0, nil
	case b.probing:
		return pass{}, false, lastProbe, b.closed
	case now.Before(b.probeAt):
		return pass{}, false, b.probeAt.Sub(now), b.closed
	}
	b.probing = true
	return pass{at: now, probe: true}, true, 0, nil
}

// succeeded reports that the call got through, and closes the breaker.
func (b *breaker) succeeded(p pass) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastSuccess = time.Now()
	b.end(p)
	if b.openSince.IsZero() {
		return
	}
	after := b.lastSuccess.Sub(b.openSince)
	b.openSince = time.Time{}
	b.pauses.Reset()
	close(b.closed)
	b.onClose(after)
}

// failed reports that the call did not get through. A failure means little
// when another call has got through since this one began, and those that were
// under way when the breaker opened say nothing new.
func (b *breaker) failed(p pass) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(p)
	open := !b.openSince.IsZero()
	if open && !p.probe || !open && b.lastSuccess.After(p.at) {
		return
	}
	now := time.Now()
	if !open {
		b.openSince = now
		b.closed = make(chan struct{})
		b.onOpen()
	}
	b.probeAt = now.Add(b.pauses.NextBackOff())
}

// abandoned reports that the call says nothing about Temporal.
func (b *breaker) abandoned(p pass) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(p)
}

// closing is closed when an open breaker closes; it is nil while it is closed.
func (b *breaker) closing() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.openSince.IsZero() {
		return nil
	}
	return b.closed
}

func (b *breaker) end(p pass) {
	if p.probe {
		b.probing = false
	}
}
