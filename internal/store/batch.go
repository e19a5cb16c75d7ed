package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/surehook/surehook/providers"
)

// batcher gathers the items of many callers into few flushes. There is no
// timer: a caller that finds a lane free is flushed at once, alone; while all
// lanes flush, those who come gather for the next one. So an idle database
// answers a single caller as fast as without batching, and a busy one gets
// batches as large as its own pace makes them.
//
// The zero value with its first block of fields set is ready for use.
type batcher[I, O any] struct {
	lanes    int           // flushes at a time
	maxItems int           // in one flush, unless one call brings more
	maxBytes int           // in one flush, unless one call brings more
	deadline time.Duration // of one flush, for each maxItems that it holds
	size     func(I) int
	// flush stores the items and answers each. An error means that none is known
	// to be stored; unless it wraps ErrUnavailable, flush is called again for
	// each call alone.
	flush func(context.Context, []I) ([]O, error)

	mu      sync.Mutex
	waiting []*call[I, O]
	running int
	closed  bool
	idle    sync.WaitGroup
}

// call is one caller's items. They are flushed together or not at all.
type call[I, O any] struct {
	items []I
	bytes int
	out   []O
	err   error
	done  chan struct{}
}

// do waits until the items have been flushed. A caller whose context ends stops
// waiting; its items may still be flushed, which must be harmless to them.
func (b *batcher[I, O]) do(ctx context.Context, items []I) ([]O, error) {
	c := &call[I, O]{items: items, done: make(chan struct{})}
	for _, item := range items {
		c.bytes += b.size(item)
	}
	if err := b.enqueue(c); err != nil {
		return nil, err
	}
	select {
	case <-c.done:
		return c.out, c.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (b *batcher[I, O]) enqueue(c *call[I, O]) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errClosed
	}
	b.waiting = append(b.waiting, c)
	if b.running < b.lanes {
		b.running++
		b.idle.Go(b.run)
	}
	return nil
}

// run is one lane: it flushes until nobody waits.
func (b *batcher[I, O]) run() {
	for {
		calls := b.next()
		if len(calls) == 0 {
			return
		}
		b.flushCalls(calls)
	}
}

// next takes the calls of the next flush, or ends the lane.
func (b *batcher[I, O]) next() []*call[I, O] {
	b.mu.Lock()
	defer b.mu.Unlock()
	items, bytes, n := 0, 0, 0
	for n < len(b.waiting) {
		c := b.waiting[n]
		items, bytes = items+len(c.items), bytes+c.bytes
		if n > 0 && (items > b.maxItems || bytes > b.maxBytes) {
			break
		}
		n++
	}
	calls := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	if n == 0 {
		b.waiting = nil
		b.running--
	}
	return calls
}

// flushCalls answers every call. When the batch fails although the database is
// there, some row is bad: each call is tried alone, so that only its owner is
// refused. When the database is away, trying again 500 times would only keep
// 500 senders waiting.
func (b *batcher[I, O]) flushCalls(calls []*call[I, O]) {
	err := b.attempt(calls)
	if err == nil || len(calls) == 1 || errors.Is(err, providers.ErrUnavailable) {
		answer(calls, err)
		return
	}
	for i, c := range calls {
		err := b.attempt([]*call[I, O]{c})
		if errors.Is(err, providers.ErrUnavailable) {
			answer(calls[i:], err)
			return
		}
		answer(calls[i:i+1], err)
	}
}

func answer[I, O any](calls []*call[I, O], err error) {
	for _, c := range calls {
		c.err = err
		close(c.done)
	}
}

// attempt flushes the calls together and hands each its answers. It does not
// wait longer than the deadline, even for a driver that does not heed it.
func (b *batcher[I, O]) attempt(calls []*call[I, O]) error {
	var items []I
	for _, c := range calls {
		items = append(items, c.items...)
	}
	deadline := b.deadline * time.Duration(1+len(items)/b.maxItems)
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var out []O
	flushed := make(chan error, 1)
	go func() {
		var err error
		out, err = b.flush(ctx, items)
		flushed <- err
	}()
	select {
	case err := <-flushed:
		if err != nil {
			return err
		}
		for _, c := range calls {
			c.out, out = out[:len(c.items)], out[len(c.items):]
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: no answer within %s", providers.ErrUnavailable, deadline)
	}
}

// close refuses new calls and waits for those that are there.
func (b *batcher[I, O]) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.idle.Wait()
}
