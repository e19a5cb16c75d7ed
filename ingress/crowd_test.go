package ingress

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/surehook/surehook/providers"
)

func TestCrowdHoldsBackForTheLengthOfABurst(t *testing.T) {
	come := func(c *crowd, n int) {
		for range n {
			c.comes()
		}
	}
	t.Run("a few requests are no crowd", func(t *testing.T) {
		var c crowd
		come(&c, crowded-1)
		require.False(t, c.holdsBack())
		c.leaves()
		c.comes()
		require.False(t, c.holdsBack())
	})
	t.Run("many are, until a moment after they were last there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var c crowd
			come(&c, crowded)
			require.True(t, c.holdsBack())
			for range crowded {
				c.leaves()
			}
			time.Sleep(crowdLinger / 2)
			require.True(t, c.holdsBack(), "batches are committed at once")
			time.Sleep(crowdLinger / 2)
			require.False(t, c.holdsBack())
		})
	})
	t.Run("those that never end are the usual load", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var c crowd
			come(&c, crowded)
			for began := time.Now(); time.Since(began) < crowdLimit; time.Sleep(crowdLinger / 2) {
				require.True(t, c.holdsBack())
				c.leaves()
				c.comes()
			}
			require.False(t, c.holdsBack())
			time.Sleep(2 * crowdLinger)
			c.leaves()
			c.comes()
			require.True(t, c.holdsBack(), "after a pause it is another burst")
		})
	})
}

// counting is a Temporal whose starts take a moment and are counted.
type counting struct {
	Temporal
	now, most, all atomic.Int64
	peak           sync.Mutex
}

func (c *counting) ExecuteWorkflow(context.Context, client.StartWorkflowOptions, any, ...any) (client.WorkflowRun, error) {
	c.peak.Lock()
	c.most.Store(max(c.most.Load(), c.now.Add(1)))
	c.peak.Unlock()
	defer c.now.Add(-1)
	c.all.Add(1)
	time.Sleep(3 * time.Millisecond)
	return nil, &serviceerror.WorkflowExecutionAlreadyStarted{}
}

// quiet is an inbox with nothing to do.
type quiet struct{ Inbox }

func (quiet) MarkStarted(context.Context, []providers.Started) error { return nil }
func (quiet) ClaimDue(context.Context, int, time.Duration) ([]providers.Due, error) {
	return nil, nil
}

// relayWithCrowd has a crowd at its door.
func relayWithCrowd() (*Relay, *counting) {
	temporal := &counting{}
	r := &Relay{Client: temporal, Inbox: quiet{}, Logger: slog.New(slog.DiscardHandler)}
	for range crowded {
		r.crowd.comes()
	}
	return r, temporal
}

func TestTheRelayMakesWayForACrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, temporal := relayWithCrowd()
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		// Before it runs: the first few would not be held back.
		for i := range 1000 {
			r.Offer([]providers.Accepted{{EventRef: providers.EventRef{Source: "s", ID: strconv.Itoa(i), Type: "t"}}})
		}
		running.Go(func() { r.Run(ctx) })
		time.Sleep(crowdLinger / 2)
		require.Zero(t, temporal.most.Load())
		time.Sleep(4 * crowdLinger)
		require.EqualValues(t, starters, temporal.most.Load())
		require.Zero(t, r.backlog.waiting())
		stop()
		running.Wait()
	})
}

func TestASourceWithNoPartInTheCrowdIsNotHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, temporal := relayWithCrowd()
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for i := range 1000 {
			r.Offer([]providers.Accepted{{EventRef: providers.EventRef{Source: "loud", ID: strconv.Itoa(i), Type: "t"}}})
		}
		running.Go(func() { r.Run(ctx) })
		r.Offer([]providers.Accepted{{EventRef: providers.EventRef{Source: "quiet", ID: "1", Type: "t"}}})
		for range 10 { // the crowd stays
			time.Sleep(crowdLinger / 2)
			r.crowd.leaves()
			r.crowd.comes()
		}
		require.EqualValues(t, 1, temporal.all.Load())
		require.Equal(t, 1000, r.backlog.waiting())
		time.Sleep(5 * crowdLinger)
		require.EqualValues(t, 1001, temporal.all.Load())
		stop()
		running.Wait()
	})
}
