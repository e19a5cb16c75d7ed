package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

// recorder is a database of numbers: it notes the flushes, takes a second for
// each, and refuses what the test wants refused.
type recorder struct {
	mu      sync.Mutex
	flushes [][]int
	refuse  func([]int) error
}

func (r *recorder) flush(ctx context.Context, items []int) ([]string, error) {
	r.mu.Lock()
	r.flushes = append(r.flushes, slices.Clone(items))
	r.mu.Unlock()
	time.Sleep(time.Second)
	if r.refuse != nil {
		if err := r.refuse(items); err != nil {
			return nil, err
		}
	}
	var out []string
	for _, i := range items {
		out = append(out, fmt.Sprint(i))
	}
	return out, nil
}

func (r *recorder) batcher() *batcher[int, string] {
	return &batcher[int, string]{lanes: 1, maxItems: 3, maxBytes: 100, deadline: 10 * time.Second,
		size: func(i int) int { return i }, flush: r.flush}
}

// callAll makes the calls one after the other, each before the next, and
// returns their errors when all are answered.
func callAll(b *batcher[int, string], calls ...[]int) []error {
	errs := make([]error, len(calls))
	var all sync.WaitGroup
	for n, items := range calls {
		all.Go(func() {
			out, err := b.do(context.Background(), items)
			errs[n] = err
			for i, item := range items {
				if err == nil && out[i] != fmt.Sprint(item) {
					errs[n] = fmt.Errorf("%v was answered %v", items, out)
				}
			}
		})
		synctest.Wait() // until it is queued
	}
	all.Wait()
	return errs
}

func TestBatcher(t *testing.T) {
	errBad := errors.New("bad row")
	refuseBad := func(items []int) error {
		if slices.Contains(items, 13) {
			return errBad
		}
		return nil
	}
	for name, test := range map[string]func(t *testing.T){
		"a single caller is flushed at once": func(t *testing.T) {
			r := &recorder{}
			begin := time.Now()
			require.Equal(t, []error{nil}, callAll(r.batcher(), []int{1}))
			require.Equal(t, time.Second, time.Since(begin))
		},
		"those who come while one flush is under way share the next": func(t *testing.T) {
			r := &recorder{}
			require.Equal(t, make([]error, 4), callAll(r.batcher(), []int{1}, []int{2}, []int{3}, []int{4}))
			require.Equal(t, [][]int{{1}, {2, 3, 4}}, r.flushes)
		},
		"a batch ends before it has too many items, and keeps a call together": func(t *testing.T) {
			r := &recorder{}
			callAll(r.batcher(), []int{1}, []int{2, 3}, []int{4, 5}, []int{6})
			require.Equal(t, [][]int{{1}, {2, 3}, {4, 5, 6}}, r.flushes)
		},
		"a batch ends before it has too many bytes": func(t *testing.T) {
			r := &recorder{}
			callAll(r.batcher(), []int{1}, []int{60}, []int{40}, []int{1})
			require.Equal(t, [][]int{{1}, {60, 40}, {1}}, r.flushes)
		},
		"a call that is larger than a batch is flushed alone": func(t *testing.T) {
			r := &recorder{}
			require.Equal(t, make([]error, 3), callAll(r.batcher(), []int{1}, []int{2, 3, 4, 5, 6}, []int{200}))
			require.Equal(t, [][]int{{1}, {2, 3, 4, 5, 6}, {200}}, r.flushes)
		},
		"two lanes flush at the same time": func(t *testing.T) {
			r := &recorder{}
			b := r.batcher()
			b.lanes = 2
			begin := time.Now()
			callAll(b, []int{1}, []int{2}, []int{3}, []int{4}, []int{5})
			require.Equal(t, 2*time.Second, time.Since(begin))
			require.Equal(t, []int{3, 4, 5}, r.flushes[2])
		},
		"a bad row refuses its own caller only": func(t *testing.T) {
			r := &recorder{refuse: refuseBad}
			require.Equal(t, []error{nil, nil, errBad, nil}, callAll(r.batcher(), []int{1}, []int{2}, []int{13}, []int{4}))
			require.Equal(t, [][]int{{1}, {2, 13, 4}, {2}, {13}, {4}}, r.flushes)
		},
		"when the database is away all fail at once": func(t *testing.T) {
			r := &recorder{refuse: func([]int) error { return providers.ErrUnavailable }}
			begin := time.Now()
			for _, err := range callAll(r.batcher(), []int{1}, []int{2}, []int{3}, []int{4}) {
				require.ErrorIs(t, err, providers.ErrUnavailable)
			}
			require.Equal(t, 2*time.Second, time.Since(begin), "two flushes, none of them repeated")
		},
		"when the database goes away during the single tries, the rest fails at once": func(t *testing.T) {
			r := &recorder{refuse: func(items []int) error {
				if slices.Equal(items, []int{13}) {
					return providers.ErrUnavailable
				}
				return refuseBad(items)
			}}
			errs := callAll(r.batcher(), []int{1}, []int{2}, []int{13}, []int{4})
			require.NoError(t, errs[1])
			require.ErrorIs(t, errs[2], providers.ErrUnavailable)
			require.ErrorIs(t, errs[3], providers.ErrUnavailable)
			require.Equal(t, [][]int{{1}, {2, 13, 4}, {2}, {13}}, r.flushes)
		},
		"a flush that hangs is given up after its deadline, and the next one goes on": func(t *testing.T) {
			r := &recorder{}
			b := r.batcher()
			hang := make(chan struct{})
			b.flush = func(ctx context.Context, items []int) ([]string, error) {
				if items[0] == 1 {
					<-hang // as a driver that does not heed its context
					return nil, ctx.Err()
				}
				return r.flush(ctx, items)
			}
			begin := time.Now()
			errs := callAll(b, []int{1}, []int{2})
			require.ErrorIs(t, errs[0], providers.ErrUnavailable)
			require.NoError(t, errs[1])
			require.Equal(t, 11*time.Second, time.Since(begin))
			close(hang)
		},
		"a caller that gives up does not wait": func(t *testing.T) {
			r := &recorder{}
			b := r.batcher()
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			defer cancel()
			_, err := b.do(ctx, []int{1})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			b.close()
			require.Equal(t, [][]int{{1}}, r.flushes)
		},
		"close waits for those that are there and refuses others": func(t *testing.T) {
			r := &recorder{}
			b := r.batcher()
			var errs [2]error
			var all sync.WaitGroup
			for n := range errs {
				all.Go(func() { _, errs[n] = b.do(context.Background(), []int{n}) })
			}
			synctest.Wait()
			b.close()
			require.Len(t, slices.Concat(r.flushes...), 2)
			all.Wait()
			require.Equal(t, [2]error{}, errs)
			_, err := b.do(context.Background(), []int{3})
			require.ErrorIs(t, err, errClosed)
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
}
