package integration_test

import (
	"fmt"
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
