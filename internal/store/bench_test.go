package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store/storetest/pgtest"
	"github.com/surehook/surehook/providers"
)

// BenchmarkAccept measures what group commit gains on a Postgres that waits
// for its disk: the same rows, one INSERT for each request against batches.
//
//	go test ./internal/store -run '^$' -bench Accept -benchtime 20000x
func BenchmarkAccept(b *testing.B) {
	server := pgtest.Start(b, pgtest.Options{Durable: true})
	ctx := context.Background()
	s, err := Open(ctx, Config{URL: server.Database(b), MaxConns: 20})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	require.NoError(b, s.Migrate(ctx))

	one := func(ctx context.Context, r providers.Received) error {
		rows, err := newRow(r)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, s.dialect.flushDeadline) // a request has a deadline too
		defer cancel()
		_, err = s.insert(ctx, []row{rows})
		return err
	}
	grouped := func(ctx context.Context, r providers.Received) error {
		_, err := s.Accept(ctx, []providers.Received{r})
		return err
	}
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("one INSERT for each/callers=%d", callers), func(b *testing.B) { benchmarkAccept(b, callers, one) })
		b.Run(fmt.Sprintf("group commit/callers=%d", callers), func(b *testing.B) { benchmarkAccept(b, callers, grouped) })
	}
}

func benchmarkAccept(b *testing.B, callers int, accept func(context.Context, providers.Received) error) {
	body := []byte(`{"id":"evt","data":"` + strings.Repeat("0123456789abcdef", 125) + `"}`)
	events := make([]providers.Received, b.N)
	for i := range events {
		events[i] = benchmarkEvent(body)
	}
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for range callers {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				begin := time.Now()
				if err := accept(context.Background(), events[i]); err != nil {
					b.Error(err)
					return
				}
				took[i] = time.Since(begin)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(took[b.N/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

func benchmarkEvent(body []byte) providers.Received {
	id := "evt_" + uuid.NewString()
	return providers.Received{
		Source: "stripe", Status: providers.StatusPending, WorkflowID: "stripe/" + id, Body: body,
		Header: map[string][]string{"Content-Type": {"application/json"}, "Stripe-Signature": {"t=1732184000,v1=" + strings.Repeat("a", 64)}},
		Event: providers.Event{ID: id, Type: "invoice.paid", Ref: providers.Ref{Type: "invoice", ID: "in_" + id[4:20]},
			OccurredAt: time.Now(), Mode: providers.ModeLive, APIVersion: "2024-06-20"},
	}
}
