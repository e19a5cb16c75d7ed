package ingress

import (
	"context"
	"time"

	"github.com/surehook/surehook/providers"
)

// This file is what the relay does besides handing events over at once: it notes
// what was started, and looks for what was not.

const (
	sweepEvery = 2 * time.Second
	sweepPause = 100 * time.Millisecond // while there is no room
	sweepLimit = 500
	sweepRoom  = 5_000
	sweepLease = time.Minute
	// sweepRest is how long the inbox is left alone while workflows are started
	// without a pause and nothing is known to be missing in memory. To claim what
	// waits there anyway would write each of its rows once more.
	sweepRest = 30 * time.Second

	markEvery   = time.Second
	markLimit   = 500
	markTimeout = 5 * time.Second
)

// mark records what was started, some time later: most events are finished by
// then, which has been recorded with their runs, so that little is left to write.
// The sweep must not come first. A mark that fails costs only a repeated start.
func (r *Relay) mark(ctx context.Context) {
	for first := range r.marks {
		batch := []providers.Started{first}
		full := time.After(markEvery)
		for more := true; more && len(batch) < markLimit; {
			select {
			case next, ok := <-r.marks:
				if more = ok; ok {
					batch = append(batch, next)
				}
			case <-full:
				more = false
			}
		}
		r.markBatch(ctx, batch)
	}
}

func (r *Relay) markBatch(ctx context.Context, batch []providers.Started) {
	ctx, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	if err := r.Inbox.MarkStarted(ctx, batch); err != nil {
		r.Logger.Warn("starts not marked, the sweep will repeat them", "count", len(batch), "error", err)
	}
}

// sweep looks for pending events that need looking after: at once, then in
// intervals, when Temporal is back, and without a pause while there are many.
func (r *Relay) sweep(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(r.sweepOnce(ctx)):
		case <-r.breaker.closing():
		}
	}
}

// sweepOnce returns how long to wait before the next time. It leaves events in
// the inbox while many wait in memory: another process may have time for them.
func (r *Relay) sweepOnce(ctx context.Context) time.Duration {
	waiting := r.backlog.waiting()
	rests := !r.left.Load() && time.Since(r.sweptAt) < sweepRest
	if waiting > sweepRoom || waiting > few && rests {
		return sweepPause
	}
	r.left.Store(false) // what is left from now on is for the next one
	due, err := r.Inbox.ClaimDue(ctx, sweepLimit, sweepLease)
	if err != nil {
		if ctx.Err() == nil {
			r.Logger.Warn("sweep failed, will be tried again", "error", err)
		}
		r.left.Store(true)
		return sweepEvery
	}
	r.sweptAt = time.Now()
	r.metrics.swept.Add(float64(len(due)))
	for _, d := range due {
		if r.backlog.holds(d.EventRef) {
			continue
		}
		r.left.Store(true) // where one was, there may be more
		kind := startJob
		if d.Started {
			kind = checkJob
		}
		r.offer(job{ev: d.EventRef, kind: kind, workflowID: d.WorkflowID, swept: true})
	}
	if len(due) > 0 {
		return 0
	}
	return sweepEvery
}
