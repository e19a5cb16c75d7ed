package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

func (w *world) fetch(ctx context.Context, ref providers.Ref) (providers.Object, error) {
	return w.stripe.Fetch(ctx, providers.FetchQuery{Ref: ref})
}

func customer(t *testing.T, w *world) providers.Ref {
	t.Helper()
	ref, err := w.Stripe.Create("customer", nil)
	require.NoError(t, err)
	return ref
}

func TestTheNextCallsFailAndThenNoMore(t *testing.T) {
	w := open(t, nil)
	ref := customer(t, w)
	require.NoError(t, w.Stripe.SetFaults(sandbox.Faults{API: []sandbox.APIFault{
		{Kind: sandbox.FaultRateLimit, Next: 2, RetryAfter: 3 * time.Second},
	}}))
	for range 2 {
		_, err := w.fetch(t.Context(), ref)
		failed, ok := errors.AsType[*providers.APIError](err)
		require.True(t, ok)
		require.Equal(t, providers.RetryLater, failed.Retry)
		require.Equal(t, 3*time.Second, failed.After)
	}
	_, err := w.fetch(t.Context(), ref)
	require.NoError(t, err)
	require.Zero(t, w.Stripe.Faults().API[0].Next)
	require.Equal(t, map[int]int{429: 2, 200: 1}, w.Stripe.CallCounts()[0].Statuses)
}

func TestAFaultStrikesOnlyItsPaths(t *testing.T) {
	w := open(t, nil)
	ref := customer(t, w)
	require.NoError(t, w.Stripe.SetFaults(sandbox.Faults{API: []sandbox.APIFault{
		{Path: "/v1/invoices/*", Kind: sandbox.FaultError, Probability: 1},
	}}))
	_, err := w.fetch(t.Context(), ref)
	require.NoError(t, err)
	_, err = w.fetch(t.Context(), providers.Ref{Type: "invoice", ID: "in_0"})
	require.Error(t, err)
}

func TestAFaultStrikesItsShareBySeed(t *testing.T) {
	const calls = 2000
	run := func(seed uint64) string {
		w := open(t, func(c *config) { c.Seed = seed })
		require.NoError(t, w.Stripe.SetFaults(sandbox.Faults{API: []sandbox.APIFault{{Kind: sandbox.FaultError, Probability: 0.3}}}))
		var outcome []byte
		for i := range calls {
			resp, _ := w.get(t, fmt.Sprintf("/stripe/v1/customers/cus_%d", i%100), stripeKey)
			outcome = append(outcome, "ok"[resp.StatusCode/500])
		}
		return string(outcome)
	}
	first := run(1)
	require.InDelta(t, 0.3*calls, countOf(first, 'k'), 80)
	require.Equal(t, first, run(1))
	require.NotEqual(t, first, run(2))
}

func countOf(s string, b byte) (n int) {
	for i := range s {
		if s[i] == b {
			n++
		}
	}
	return n
}

func TestLatencyDelaysTheAnswer(t *testing.T) {
	w := open(t, nil)
	ref := customer(t, w)
	require.NoError(t, w.Stripe.SetFaults(sandbox.Faults{API: []sandbox.APIFault{
		{Kind: sandbox.FaultLatency, Next: 1, Latency: 50 * time.Millisecond},
	}}))
	start := time.Now()
	_, err := w.fetch(t.Context(), ref)
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(start), 50*time.Millisecond)
}

func TestAHangingCallEndsWhenTheCallerGivesUp(t *testing.T) {
	w := open(t, nil)
	ref := customer(t, w)
	require.NoError(t, w.Stripe.SetFaults(sandbox.Faults{API: []sandbox.APIFault{{Kind: sandbox.FaultHang, Next: 1}}}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := w.fetch(ctx, ref)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Eventually(t, func() bool { return w.Stripe.CallCounts()[0].Statuses[0] == 1 }, 5*time.Second, time.Millisecond)
}

func TestCloseEndsHangingCalls(t *testing.T) {
	w := open(t, nil)
	ref := customer(t, w)
	require.NoError(t, w.Stripe.SetFaults(sandbox.Faults{API: []sandbox.APIFault{{Kind: sandbox.FaultHang, Probability: 1}}}))
	failed := make(chan error)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL+"/stripe/v1/customers/"+ref.ID, nil)
		if err != nil {
			failed <- err
			return
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		failed <- err
	}()
	require.Eventually(t, func() bool { return w.Stripe.TotalCalls() > 0 }, 5*time.Second, time.Millisecond)
	require.NoError(t, w.Close())
	err := <-failed
	require.Error(t, err, "no answer is not an empty answer")
	require.NotErrorIs(t, err, context.DeadlineExceeded)
}

func TestATruncatedAnswerIsAnError(t *testing.T) {
	w := open(t, nil)
	ref := customer(t, w)
	require.NoError(t, w.Stripe.SetFaults(sandbox.Faults{API: []sandbox.APIFault{{Kind: sandbox.FaultTruncate, Next: 1}}}))
	_, err := w.fetch(t.Context(), ref)
	failed, ok := errors.AsType[*providers.APIError](err)
	require.True(t, ok)
	require.Equal(t, providers.RetrySoon, failed.Retry)
}

func TestAGateHoldsWhatWasTrueWhenTheCallCame(t *testing.T) {
	w := open(t, nil)
	ref := customer(t, w)
	gate := w.Stripe.Hold(ref)
	slow := make(chan providers.Object)
	go func() {
		object, err := w.fetch(context.Background(), ref)
		if err != nil {
			t.Error(err)
		}
		slow <- object
	}()
	<-gate.Arrived()
	_, err := w.Stripe.Update(ref, func(o map[string]any) { o["name"] = "Newer" })
	require.NoError(t, err)
	fast, err := w.fetch(t.Context(), ref)
	require.NoError(t, err, "only one call is held")
	require.Contains(t, string(fast.State), "Newer")
	gate.Release()
	gate.Release()
	require.NotContains(t, string((<-slow).State), "Newer")
}

// mishaps triggers n events under the faults and returns their log once all is quiet.
func mishaps(t *testing.T, seed uint64, n int, f sandbox.WebhookFaults) (*world, []sandbox.Event) {
	t.Helper()
	w := open(t, func(c *config) { c.Seed = seed })
	require.NoError(t, w.Stripe.SetFaults(sandbox.Faults{Webhooks: f}))
	for range n {
		_, err := w.Stripe.Trigger(t.Context(), "customer.created")
		require.NoError(t, err)
	}
	require.NoError(t, w.Stripe.Wait(t.Context()))
	return w, w.Stripe.Events()
}

func TestWebhookFaults(t *testing.T) {
	verify := func(w *world, r providers.Request) error { return w.stripe.Verify(r, providers.Secrets{stripeSecret}) }
	t.Run("a dropped event is never sent", func(t *testing.T) {
		w, log := mishaps(t, 1, 1, sandbox.WebhookFaults{Drop: 1})
		require.Empty(t, w.inbox.all())
		require.Equal(t, "drop", log[0].Attempts[0].Fault)
	})
	t.Run("a duplicate is the same event", func(t *testing.T) {
		w, log := mishaps(t, 1, 1, sandbox.WebhookFaults{Duplicate: 1})
		all := w.inbox.all()
		require.Len(t, all, 2)
		require.Equal(t, string(all[0].Body), string(all[1].Body))
		require.Len(t, log[0].Attempts, 2)
	})
	t.Run("a wrong signature is refused", func(t *testing.T) {
		w, _ := mishaps(t, 1, 1, sandbox.WebhookFaults{WrongSignature: 1})
		require.ErrorIs(t, verify(w, w.inbox.last(t)), providers.ErrUnauthenticated)
	})
	t.Run("a stale signature is refused as stale", func(t *testing.T) {
		w, _ := mishaps(t, 1, 1, sandbox.WebhookFaults{Stale: 1})
		require.ErrorIs(t, verify(w, w.inbox.last(t)), providers.ErrStale)
	})
	t.Run("a truncated body is refused", func(t *testing.T) {
		w, _ := mishaps(t, 1, 1, sandbox.WebhookFaults{Truncate: 1})
		require.ErrorIs(t, verify(w, w.inbox.last(t)), providers.ErrUnauthenticated)
		require.False(t, json.Valid(w.inbox.last(t).Body))
	})
	t.Run("delayed events overtake each other", func(t *testing.T) {
		w, log := mishaps(t, 1, 50, sandbox.WebhookFaults{Delay: 0.5, MaxDelay: 100 * time.Millisecond})
		var sent, arrived []string
		for _, ev := range log {
			sent = append(sent, ev.ID)
		}
		for _, r := range w.inbox.all() {
			events, err := w.stripe.Events(r)
			require.NoError(t, err)
			arrived = append(arrived, events[0].ID)
		}
		require.ElementsMatch(t, sent, arrived)
		require.NotEqual(t, sent, arrived)
	})
	t.Run("a duplicate that is refused is retried once", func(t *testing.T) {
		w := open(t, func(c *config) { c.Stripe.Retries = []time.Duration{time.Millisecond} })
		require.NoError(t, w.Stripe.SetFaults(sandbox.Faults{Webhooks: sandbox.WebhookFaults{Duplicate: 1}}))
		w.inbox.answers = []int{500, 500}
		sent, err := w.Stripe.Trigger(t.Context(), "customer.created")
		require.NoError(t, err)
		require.NoError(t, w.Stripe.Wait(t.Context()))
		logged, _ := w.Stripe.Event(sent.ID)
		var faults []string
		for _, a := range logged.Attempts {
			faults = append(faults, a.Fault)
		}
		require.ElementsMatch(t, []string{"duplicate", "duplicate", ""}, faults)
	})
	t.Run("a spoilt attempt is retried well", func(t *testing.T) {
		w := open(t, func(c *config) { c.Stripe.Retries = []time.Duration{time.Millisecond} })
		require.NoError(t, w.Stripe.SetFaults(sandbox.Faults{Webhooks: sandbox.WebhookFaults{WrongSignature: 0.5}}))
		w.inbox.answers = []int{401}
		for {
			w.inbox.answers = []int{401}
			sent, err := w.Stripe.Trigger(t.Context(), "customer.created")
			require.NoError(t, err)
			require.NoError(t, w.Stripe.Wait(t.Context()))
			logged, _ := w.Stripe.Event(sent.ID)
			require.Len(t, logged.Attempts, 2)
			if logged.Attempts[0].Fault == "wrong_signature" && logged.Attempts[1].Fault == "" {
				require.NoError(t, verify(w, w.inbox.last(t)))
				return
			}
		}
	})
}

func TestWebhookFaultsFollowTheSeed(t *testing.T) {
	faults := sandbox.WebhookFaults{Drop: 0.1, Duplicate: 0.2, WrongSignature: 0.1, Stale: 0.1, Truncate: 0.1}
	fates := func(seed uint64) (all []string, dropped int) {
		_, log := mishaps(t, seed, 500, faults)
		for _, ev := range log {
			fate := ev.ID + " " + ev.Attempts[0].Fault
			all = append(all, fate)
			if len(ev.Attempts) == 1 && len(ev.Attempts[0].Fault) >= 4 && ev.Attempts[0].Fault[:4] == "drop" {
				dropped++
			}
		}
		return all, dropped
	}
	first, dropped := fates(1)
	require.InDelta(t, 50, dropped, 25)
	again, _ := fates(1)
	require.Equal(t, first, again)
	other, _ := fates(2)
	require.NotEqual(t, first, other)
}

func TestFaultsCanBeSetWhileAllIsRunning(t *testing.T) {
	w := open(t, nil)
	ref := customer(t, w)
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for range 50 {
				if err := w.Stripe.SetFaults(sandbox.Faults{API: []sandbox.APIFault{{Kind: sandbox.FaultError, Next: i}}}); err != nil {
					t.Error(err)
				}
				_, _ = w.fetch(t.Context(), ref) // may fail: that is what is being set
				_, _ = w.Stripe.Trigger(t.Context(), "customer.updated", sandbox.On(ref))
			}
		})
	}
	group.Wait()
	object, _ := w.Stripe.Object(ref)
	require.EqualValues(t, 201, object.Version)
}

func TestFaultsAreReadableJSON(t *testing.T) {
	faults := sandbox.Faults{
		API:      []sandbox.APIFault{{Path: "/v1/*", Kind: sandbox.FaultRateLimit, Next: 3, RetryAfter: 2 * time.Second, Latency: time.Millisecond}},
		Webhooks: sandbox.WebhookFaults{Drop: 0.25, Delay: 1, MaxDelay: time.Minute},
	}
	raw, err := json.Marshal(faults)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"api": [{"path": "/v1/*", "kind": "rate_limit", "next": 3, "retry_after": "2s", "latency": "1ms"}],
		"webhooks": {"drop": 0.25, "delay": 1, "max_delay": "1m0s"}
	}`, string(raw))
	var back sandbox.Faults
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, faults, back)
	require.Error(t, json.Unmarshal([]byte(`{"webhooks":{"max_delay":"soon"}}`), &back))
}

func TestEveryFaultIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/failures.md")
	require.NoError(t, err)
	webhooks, err := json.Marshal(sandbox.WebhookFaults{
		Drop: 1, Duplicate: 1, Delay: 1, WrongSignature: 1, Stale: 1, Truncate: 1, MaxDelay: time.Second,
	})
	require.NoError(t, err)
	var names map[string]any
	require.NoError(t, json.Unmarshal(webhooks, &names))
	for _, kind := range []sandbox.FaultKind{
		sandbox.FaultLatency, sandbox.FaultHang, sandbox.FaultError, sandbox.FaultTruncate,
		sandbox.FaultRateLimit, sandbox.FaultSecondaryLimit, sandbox.FaultLockTimeout,
	} {
		names[string(kind)] = true
	}
	for name := range names {
		require.Contains(t, string(page), "`"+name+"`")
	}
}
