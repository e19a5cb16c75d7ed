package sandbox

import (
	"context"
	"sync"
	"time"

	"github.com/surehook/surehook/providers"
)

// Gate holds one fetch: its answer is what was true when the call came in,
// and is sent when the gate is released.
type Gate struct {
	arrived  chan struct{}
	released chan struct{}
	release  sync.Once
}

// Hold holds the next fetch of the object that no earlier gate holds.
func (p *Platform) Hold(ref providers.Ref) *Gate {
	ref.Account = ""
	g := &Gate{arrived: make(chan struct{}), released: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gates[ref] = append(p.gates[ref], g)
	return g
}

// Arrived is closed when a fetch is being held.
func (g *Gate) Arrived() <-chan struct{} { return g.arrived }

// Release lets the fetch go on, also one that has not come yet. It may be
// called more than once.
func (g *Gate) Release() { g.release.Do(func() { close(g.released) }) }

// pass waits for the release, or for the caller to give up.
func (g *Gate) pass(ctx context.Context) {
	close(g.arrived)
	select {
	case <-g.released:
	case <-ctx.Done():
	}
}

// takeGate is called with the lock held.
func (p *Platform) takeGate(ref providers.Ref) *Gate {
	waiting := p.gates[ref]
	if len(waiting) == 0 {
		return nil
	}
	p.gates[ref] = waiting[1:]
	return waiting[0]
}

// sleep waits for d, or for the end of the context.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
