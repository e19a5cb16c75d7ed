package integration_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

func TestASignedEventBecomesATrueRecord(t *testing.T) {
	s := start(t, options{})
	for source, platform := range map[string]*sandbox.Platform{"stripe": s.stripe, "github": s.github} {
		typ := map[string]string{"stripe": "invoice.paid", "github": "pull_request"}[source]
		ev := s.trigger(platform, typ)
		require.True(t, ev.Acknowledged, source)

		e := s.untilStatus(source, ev.ID, providers.StatusProcessed)
		require.Equal(t, ev.Object, e.Object)
		require.EqualValues(t, 1, e.Deliveries)
		s.requireTrue(platform, source, ev.Object)

		run := s.untilRun(source, ev.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
		summary, err := run.GetStaticSummary()
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%s %s · %s", source, ev.Type, ev.Object), summary)
	}
}

func TestTheSameEventFiveTimesTakesEffectOnce(t *testing.T) {
	s := start(t, options{})
	ev := s.trigger(s.stripe, "invoice.paid", sandbox.Undelivered())
	for i := range 5 {
		status, body := s.post(s.stripe, "stripe", ev.ID)
		require.Equal(t, http.StatusOK, status)
		want := "duplicate"
		if i == 0 {
			want = "accepted"
		}
		require.Contains(t, body, `"status":"`+want+`"`)
	}
	e := s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	require.EqualValues(t, 5, e.Deliveries)
	require.Equal(t, 1, s.stripe.Fetches(ev.Object))
	require.Equal(t, 1, s.receiver.Totals().Deliveries)
}

func TestTenConcurrentCopiesTakeEffectOnce(t *testing.T) {
	s := start(t, options{})
	ev := s.trigger(s.stripe, "invoice.paid", sandbox.Undelivered())
	r, err := s.stripe.Request(ev.ID)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			status, body := s.send("stripe", r)
			if status != http.StatusOK {
				t.Errorf("answered %d %s", status, body)
			}
		})
	}
	wg.Wait()
	e := s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	require.EqualValues(t, 10, e.Deliveries)
	require.Equal(t, 1, s.stripe.Fetches(ev.Object))
	require.Equal(t, 1, s.receiver.Totals().Deliveries)
}
