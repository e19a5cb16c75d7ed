package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

func TestTriggerActsOnTheObjectItIsGiven(t *testing.T) {
	w := open(t, nil)
	created, err := w.Stripe.Trigger(t.Context(), "invoice.created")
	require.NoError(t, err)
	require.EqualValues(t, 1, created.Version)
	paid, err := w.Stripe.Trigger(t.Context(), "invoice.paid", sandbox.On(created.Object))
	require.NoError(t, err)
	require.Equal(t, created.Object, paid.Object)
	require.EqualValues(t, 2, paid.Version)
	require.Len(t, w.Stripe.Objects("invoice"), 1)
	require.Len(t, w.Stripe.Objects("customer"), 1, "an invoice has a customer")

	object, ok := w.Stripe.Object(paid.Object)
	require.True(t, ok)
	require.Contains(t, string(object.State), `"status":"paid"`)
	require.Contains(t, string(object.State), `"sandbox_version":"2"`)
}

func TestChangesWithoutEvents(t *testing.T) {
	w := open(t, nil)
	ref, err := w.Stripe.Create("subscription", map[string]any{"id": "sub_mine", "status": "trialing"})
	require.NoError(t, err)
	require.Equal(t, providers.Ref{Type: "subscription", ID: "sub_mine"}, ref)
	version, err := w.Stripe.Update(ref, func(o map[string]any) { o["status"] = "active" })
	require.NoError(t, err)
	require.EqualValues(t, 2, version)
	require.NoError(t, w.Stripe.Delete(ref))
	require.ErrorIs(t, w.Stripe.Delete(ref), sandbox.ErrNoObject)
	_, err = w.Stripe.Update(ref, func(map[string]any) {})
	require.ErrorIs(t, err, sandbox.ErrNoObject)

	require.Empty(t, w.inbox.all())
	require.Empty(t, w.Stripe.Events())
	object, ok := w.Stripe.Object(ref)
	require.True(t, ok)
	require.True(t, object.Deleted)
	require.EqualValues(t, 3, object.Version)
}

func TestAnObjectThatComesBackIsNotOlder(t *testing.T) {
	w := open(t, nil)
	ref, err := w.Stripe.Create("coupon", map[string]any{"id": "SUMMER"})
	require.NoError(t, err)
	require.NoError(t, w.Stripe.Delete(ref))
	_, err = w.Stripe.Create("coupon", map[string]any{"id": "SUMMER"})
	require.NoError(t, err)
	object, _ := w.Stripe.Object(ref)
	require.False(t, object.Deleted)
	require.EqualValues(t, 3, object.Version)
}

func TestOldPayloadsAreLetGoAndTheLogIsNot(t *testing.T) {
	w := open(t, func(c *config) { c.Stripe.KeepPayloads = 4_000 })
	for range 5 {
		_, err := w.Stripe.Trigger(t.Context(), "customer.created") // 1 to 2 kB
		require.NoError(t, err)
	}
	log := w.Stripe.Events()
	require.Len(t, log, 5)
	_, err := w.Stripe.Redeliver(t.Context(), log[0].ID)
	require.ErrorIs(t, err, sandbox.ErrNoEvent)
	_, err = w.Stripe.Redeliver(t.Context(), log[4].ID)
	require.NoError(t, err)
}

func TestAPlatformWithoutAProviderSendsNothing(t *testing.T) {
	w := open(t, func(c *config) { c.GitHub.Provider = nil })
	sent, err := w.GitHub.Trigger(t.Context(), "push")
	require.NoError(t, err)
	require.False(t, sent.Acknowledged)
	require.Contains(t, sent.Attempts[0].Error, "no provider")
}

func TestTheCallersMembersAreNotTouched(t *testing.T) {
	w := open(t, nil)
	set := map[string]any{"metadata": map[string]any{"order": "7"}}
	_, err := w.Stripe.Trigger(t.Context(), "customer.created", sandbox.Set(set))
	require.NoError(t, err)
	require.Equal(t, map[string]any{"metadata": map[string]any{"order": "7"}}, set)
}

func TestEmitChangesNothing(t *testing.T) {
	w := open(t, nil)
	ref, err := w.GitHub.Create("issue", nil)
	require.NoError(t, err)
	sent, err := w.GitHub.Emit(t.Context(), "issues", ref)
	require.NoError(t, err)
	require.Equal(t, "issues.opened", sent.Type)
	require.EqualValues(t, 1, sent.Version)
	require.NoError(t, w.GitHub.Delete(ref))
	sent, err = w.GitHub.Emit(t.Context(), "issues.closed", ref)
	require.NoError(t, err, "a late event may tell of an object that is gone")
	require.True(t, sent.Deleted)
}

func TestUndeliveredEventsCanBeSentByHand(t *testing.T) {
	w := open(t, nil)
	sent, err := w.Stripe.Trigger(t.Context(), "invoice.paid", sandbox.Undelivered())
	require.NoError(t, err)
	require.Empty(t, w.inbox.all())
	require.Empty(t, sent.Attempts)

	r, err := w.Stripe.Request(sent.ID)
	require.NoError(t, err)
	require.NoError(t, w.stripe.Verify(r, providers.Secrets{stripeSecret}))
	body := string(r.Body)
	r.Body[0] = '['
	attempt, err := w.Stripe.Send(t.Context(), sent.ID, r)
	require.NoError(t, err)
	require.Equal(t, 200, attempt.Status)
	require.Error(t, w.stripe.Verify(w.inbox.last(t), providers.Secrets{stripeSecret}), "it was altered")

	again, err := w.Stripe.Request(sent.ID)
	require.NoError(t, err)
	require.Equal(t, body, string(again.Body), "the logged event was not")
	logged, _ := w.Stripe.Event(sent.ID)
	require.Len(t, logged.Attempts, 1)
	require.True(t, logged.Acknowledged)
}

func TestRedeliverSendsTheSameEvent(t *testing.T) {
	now := time.Now()
	var clock sync.Mutex
	w := open(t, func(c *config) {
		c.Now = func() time.Time {
			clock.Lock()
			defer clock.Unlock()
			return now
		}
	})
	stripeEvent, err := w.Stripe.Trigger(t.Context(), "invoice.paid")
	require.NoError(t, err)
	githubEvent, err := w.GitHub.Trigger(t.Context(), "issues")
	require.NoError(t, err)
	clock.Lock()
	now = now.Add(time.Hour)
	clock.Unlock()
	_, err = w.Stripe.Redeliver(t.Context(), stripeEvent.ID)
	require.NoError(t, err)
	_, err = w.GitHub.Redeliver(t.Context(), githubEvent.ID)
	require.NoError(t, err)

	all := w.inbox.all()
	require.Len(t, all, 4)
	require.Equal(t, string(all[0].Body), string(all[2].Body))
	require.NotEqual(t, all[0].Header.Get("Stripe-Signature"), all[2].Header.Get("Stripe-Signature"), "Stripe signs anew")
	require.Equal(t, string(all[1].Body), string(all[3].Body))
	require.Equal(t, githubEvent.ID, all[3].Header.Get("X-GitHub-Delivery"), "GitHub keeps the GUID")

	_, err = w.Stripe.Redeliver(t.Context(), "evt_0")
	require.ErrorIs(t, err, sandbox.ErrNoEvent)
}

func TestWhatHappensInBackgroundIsChangedAtOnceAndSentTogether(t *testing.T) {
	arrived, answer := make(chan struct{}, 2), make(chan struct{})
	endpoint := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-answer
	}))
	defer endpoint.Close()
	w := open(t, func(c *config) { c.Stripe.Target = endpoint.URL })
	created, err := w.Stripe.Trigger(t.Context(), "customer.created", sandbox.InBackground())
	require.NoError(t, err)
	updated, err := w.Stripe.Trigger(t.Context(), "customer.updated", sandbox.On(created.Object), sandbox.InBackground())
	require.NoError(t, err)
	require.EqualValues(t, 2, updated.Version)
	<-arrived
	<-arrived // the second does not wait for the answer to the first
	close(answer)
	require.NoError(t, w.Stripe.Wait(t.Context()))
	for _, ev := range w.Stripe.Events() {
		require.True(t, ev.Acknowledged)
	}
}

func TestRotatedSecretsSignWhatIsSentFromThenOn(t *testing.T) {
	const rolled = "whsec_rolled"
	w := open(t, nil)
	_, err := w.Stripe.Trigger(t.Context(), "customer.created")
	require.NoError(t, err)
	w.Stripe.RotateSecrets(providers.Secrets{rolled})
	_, err = w.Stripe.Trigger(t.Context(), "customer.created")
	require.NoError(t, err)
	sent := w.inbox.all()
	require.NoError(t, w.stripe.Verify(sent[0], providers.Secrets{stripeSecret}))
	require.Error(t, w.stripe.Verify(sent[1], providers.Secrets{stripeSecret}))
	require.NoError(t, w.stripe.Verify(sent[1], providers.Secrets{rolled}))
}

func TestStripeRetriesUntilAcknowledged(t *testing.T) {
	w := open(t, func(c *config) {
		c.Stripe.Retries = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	})
	w.inbox.answers = []int{503, 302, 200, 503}
	sent, err := w.Stripe.Trigger(t.Context(), "invoice.paid")
	require.NoError(t, err)
	require.False(t, sent.Acknowledged, "the first attempt was refused")
	require.NoError(t, w.Stripe.Wait(t.Context()))

	logged, _ := w.Stripe.Event(sent.ID)
	require.True(t, logged.Acknowledged)
	require.Len(t, logged.Attempts, 3)
	require.Equal(t, []int{503, 302, 200}, []int{logged.Attempts[0].Status, logged.Attempts[1].Status, logged.Attempts[2].Status})
}

func TestRetriesEnd(t *testing.T) {
	w := open(t, func(c *config) { c.Stripe.Retries = []time.Duration{time.Millisecond} })
	w.inbox.answers = []int{500, 500, 200}
	sent, err := w.Stripe.Trigger(t.Context(), "invoice.paid")
	require.NoError(t, err)
	require.NoError(t, w.Stripe.Wait(t.Context()))
	logged, _ := w.Stripe.Event(sent.ID)
	require.False(t, logged.Acknowledged)
	require.Len(t, logged.Attempts, 2)
}

func TestCloseGivesUpRetries(t *testing.T) {
	w := open(t, func(c *config) { c.Stripe.Retries = []time.Duration{time.Hour} })
	w.inbox.answers = []int{500}
	_, err := w.Stripe.Trigger(t.Context(), "invoice.paid")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Len(t, w.inbox.all(), 1)
}

func TestAnEndpointThatIsAwayIsLogged(t *testing.T) {
	w := open(t, func(c *config) { c.Stripe.Target = "http://127.0.0.1:1/webhooks/stripe" })
	sent, err := w.Stripe.Trigger(t.Context(), "invoice.paid")
	require.NoError(t, err)
	require.False(t, sent.Acknowledged)
	require.Len(t, sent.Attempts, 1)
	require.NotEmpty(t, sent.Attempts[0].Error)
}

func TestWithoutATargetEventsAreOnlyLogged(t *testing.T) {
	w := open(t, nil)
	w.Stripe.SetTarget("")
	sent, err := w.Stripe.Trigger(t.Context(), "invoice.paid")
	require.NoError(t, err)
	require.Empty(t, sent.Attempts)
	require.Len(t, w.Stripe.Events(), 1)
}

func TestTheSameSeedGivesTheSameRun(t *testing.T) {
	run := func(seed uint64) []string {
		now := time.Unix(1_800_000_000, 0)
		w := open(t, func(c *config) { c.Seed, c.Now = seed, func() time.Time { return now } })
		for _, typ := range stripeTypes {
			_, err := w.Stripe.Trigger(t.Context(), typ)
			require.NoError(t, err)
		}
		for _, typ := range githubTypes {
			_, err := w.GitHub.Trigger(t.Context(), typ)
			require.NoError(t, err)
		}
		var bodies []string
		for _, r := range w.inbox.all() {
			bodies = append(bodies, r.Header.Get("X-GitHub-Delivery")+string(r.Body))
		}
		return bodies
	}
	first := run(1)
	require.Equal(t, first, run(1))
	require.NotEqual(t, first, run(2))
}

func TestIDsAreUnique(t *testing.T) {
	w := open(t, nil)
	seen := map[string]bool{}
	for range 2000 {
		ref, err := w.Stripe.Create("product", nil)
		require.NoError(t, err)
		require.False(t, seen[ref.ID], ref.ID)
		seen[ref.ID] = true
	}
}

func TestManyAtOnce(t *testing.T) {
	const writers, each = 16, 250
	w := open(t, func(c *config) { c.Stripe.Target = "" })
	start := time.Now()
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range each {
				sent, err := w.Stripe.Trigger(t.Context(), "customer.created")
				if err != nil {
					t.Error(err)
					return
				}
				// Straight to the handler: it is not the network that is tested.
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/customers/"+sent.Object.ID, nil)
				r.Header.Set("Authorization", "Bearer "+stripeKey)
				answer := httptest.NewRecorder()
				if w.Stripe.ServeHTTP(answer, r); answer.Code != http.StatusOK {
					t.Errorf("status %d", answer.Code)
				}
			}
		})
	}
	group.Wait()
	require.Len(t, w.Stripe.Objects("customer"), writers*each)
	require.Equal(t, writers*each, w.Stripe.TotalCalls())
	t.Logf("%d objects triggered and fetched in %s", writers*each, time.Since(start).Round(time.Millisecond))
}

func TestCallsAreCounted(t *testing.T) {
	w := open(t, nil)
	ref, err := w.Stripe.Create("customer", nil)
	require.NoError(t, err)
	for range 3 {
		_, err := w.stripe.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
		require.NoError(t, err)
	}
	w.get(t, "/stripe/v1/customers/cus_0", stripeKey)
	require.Equal(t, 3, w.Stripe.Fetches(ref))
	require.Equal(t, 1, w.Stripe.Calls("/v1/customers/cus_0"))
	require.Equal(t, 4, w.Stripe.TotalCalls())
	require.Zero(t, w.GitHub.TotalCalls())

	counts := w.Stripe.CallCounts()
	require.Len(t, counts, 2)
	require.True(t, strings.HasSuffix(counts[0].Path, "cus_0") || counts[1].Object == ref || counts[0].Object == ref)
	w.Stripe.ResetCalls()
	require.Zero(t, w.Stripe.TotalCalls())
	require.Zero(t, w.Stripe.Fetches(ref))
}

func TestOnlyReadsAreServed(t *testing.T) {
	w := open(t, nil)
	ref, err := w.Stripe.Create("customer", nil)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/stripe/v1/customers/"+ref.ID, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+stripeKey)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 404, resp.StatusCode)
}
