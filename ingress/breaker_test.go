package ingress

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheBreakerLetsOneProbeThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		p, err := b.enter(t.Context())
		require.NoError(t, err)
		b.failed(p)

		passes := make(chan pass, 10)
		for range 10 {
			go func() {
				p, err := b.enter(t.Context())
				if err == nil {
					passes <- p
				}
			}()
		}
		synctest.Wait()
		require.Empty(t, passes, "it is open")
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, passes, 1, "after the pause there is one probe")
		probe := <-passes
		require.True(t, probe.probe)
		time.Sleep(time.Minute)
		require.Empty(t, passes, "and no other while it runs")
		b.succeeded(probe)
		synctest.Wait()
		require.Len(t, passes, 9, "its success lets all through")
	})
}

func TestTheBreakersPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		p, err := b.enter(t.Context())
		require.NoError(t, err)
		b.failed(p)
		var pauses []time.Duration
		for range 12 {
			began := time.Now()
			p, err := b.enter(t.Context())
			require.NoError(t, err)
			pauses = append(pauses, time.Since(began))
			b.failed(p)
		}
		require.InDelta(t, firstProbe, pauses[0], float64(firstProbe)/2)
		for _, pause := range pauses[6:] {
			require.InDelta(t, lastProbe, pause, float64(lastProbe)/2)
		}
	})
}

func TestFailuresThatDoNotOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		slow, _ := b.enter(t.Context())
		time.Sleep(time.Second)
		quick, _ := b.enter(t.Context())
		b.succeeded(quick)
		b.failed(slow)
		_, ok, _, _ := b.try()
		require.True(t, ok, "others got through since it began")
	})
}

func TestCallsUnderWayDoNotProlongThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		var under []pass
		for range 32 {
			p, _ := b.enter(t.Context())
			under = append(under, p)
		}
		for _, p := range under {
			b.failed(p)
		}
		began := time.Now()
		_, err := b.enter(t.Context())
		require.NoError(t, err)
		require.Less(t, time.Since(began), 2*firstProbe)
	})
}

func TestAnAbandonedProbeIsFollowedByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		p, _ := b.enter(t.Context())
		b.failed(p)
		probe, _ := b.enter(t.Context())
		require.True(t, probe.probe)
		b.abandoned(probe)
		again, err := b.enter(t.Context())
		require.NoError(t, err)
		require.True(t, again.probe)
	})
}

func TestWaitingForTheBreakerEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		ctx, cancel := context.WithCancel(t.Context())
		p, err := b.enter(ctx)
		require.NoError(t, err)
		cancel()
		_, err = b.enter(ctx)
		require.NoError(t, err, "a closed breaker holds nobody up")
		b.failed(p)
		_, err = b.enter(ctx)
		require.ErrorIs(t, err, context.Canceled)
	})
}
