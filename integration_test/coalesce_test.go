package integration_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/workflows"
)

func TestABacklogCostsOneRunAnObject(t *testing.T) {
	t.Parallel()
	temporal := startDurableTemporal(t)
	s := start(t, options{temporal: temporal.server.HostPort()})
	temporal.server.Stop() // so that events gather, once the relay has noticed
	first := s.trigger(s.stripe, "customer.created")
	require.Eventually(t, func() bool { return s.metric(breakerMetric) == "1" }, patience, 10*time.Millisecond)
	var objects []providers.Ref
	for n := range 2 {
		ref, err := s.stripe.Create("customer", map[string]any{"name": fmt.Sprint("customer ", n)})
		require.NoError(t, err)
		objects = append(objects, ref)
	}
	events := []sandbox.Event{first}
	for range 10 {
		for _, ref := range objects {
			events = append(events, s.trigger(s.stripe, "customer.updated", sandbox.On(ref)))
		}
	}
	temporal.restart(t)

	runs := map[string]bool{}
	for _, ev := range events {
		e := s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
		runs[e.WorkflowID] = true
		if e.WorkflowID != workflows.ID("stripe", ev.ID) {
			require.Equal(t, workflows.ID("stripe", e.CoveredBy), e.WorkflowID, "its own row names the run that did it")
		}
	}
	require.Less(t, len(runs), len(events)/2, "one run serves many events")
	for _, ref := range objects {
		s.requireTrue(s.stripe, "stripe", ref)
	}
	require.LessOrEqual(t, s.stripe.TotalCalls(), len(runs))
}

// Stripe rations reads: a burst about few objects must not be as many calls. A
// hundred events come for each object, in turn, before any is worked off.
func TestABurstAboutFewObjectsCostsFewCalls(t *testing.T) {
	t.Parallel()
	objects := 20
	if os.Getenv("SUREHOOK_TEST_LONG") != "" {
		objects = 100
	}
	s := start(t, options{withoutWork: true})
	refs := make([]providers.Ref, objects)
	for i := range refs {
		var err error
		refs[i], err = s.stripe.Create("customer", map[string]any{"name": fmt.Sprint("customer ", i)})
		require.NoError(t, err)
	}
	events := 100 * objects
	var requests []providers.Request
	for i := range events {
		// 37 has no factor in common with the number of objects.
		ev := s.trigger(s.stripe, "customer.updated", sandbox.On(refs[i*37%objects]), sandbox.Undelivered())
		requests = append(requests, s.request(s.stripe, ev.ID))
	}
	s.sendTogether("stripe", requests)
	s.work()
	s.untilWorkedOff(events)

	for _, ref := range refs {
		s.requireTrue(s.stripe, "stripe", ref)
	}
	calls := s.stripe.TotalCalls()
	t.Logf("%d events about %d objects: %d calls, %.3f for each event", events, objects, calls, float64(calls)/float64(events))
	require.GreaterOrEqual(t, calls, objects)
	require.LessOrEqual(t, float64(calls)/float64(events), 0.1)
}

// sendTogether sends requests on many connections at once.
func (s *system) sendTogether(source string, requests []providers.Request) {
	s.t.Helper()
	queue := make(chan providers.Request, len(requests))
	for _, r := range requests {
		queue <- r
	}
	close(queue)
	var sending sync.WaitGroup
	for range 32 {
		sending.Go(func() {
			for r := range queue {
				if got, err := s.trySend(source, r); err != nil || got.Status != 200 {
					s.t.Errorf("not accepted: %d, %v", got.Status, err)
				}
			}
		})
	}
	sending.Wait()
}

// untilWorkedOff waits until so many events are processed, for as long as it goes
// on. The longest pause on the way is a minute: that after which the sweep looks
// for events that were left to another one in vain.
func (s *system) untilWorkedOff(events int) {
	s.t.Helper()
	db := openSQL(s.t, s.databaseURL)
	for processed := 0; processed < events; {
		before := processed
		require.Eventually(s.t, func() bool {
			err := db.QueryRowContext(s.t.Context(), "SELECT count(*) FROM events WHERE status = 'processed'").Scan(&processed)
			return err == nil && processed > before
		}, 4*patience, 100*time.Millisecond, "%d of %d events are processed", before, events)
	}
}
