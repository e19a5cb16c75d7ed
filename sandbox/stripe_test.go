package sandbox_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

// stripeTypes are event types of every kind of rule.
var stripeTypes = []string{
	"account.updated", "charge.captured", "charge.dispute.created", "charge.failed", "charge.refund.updated", "charge.refunded",
	"charge.succeeded", "checkout.session.async_payment_succeeded", "checkout.session.completed", "checkout.session.expired",
	"coupon.created", "credit_note.created", "customer.created", "customer.deleted", "customer.subscription.created",
	"customer.subscription.deleted", "customer.subscription.paused", "customer.subscription.trial_will_end",
	"customer.subscription.updated", "customer.tax_id.created", "customer.updated", "invoice.created", "invoice.deleted",
	"invoice.finalized", "invoice.marked_uncollectible", "invoice.paid", "invoice.payment_failed", "invoice.payment_succeeded",
	"invoice.sent", "invoice.updated", "invoice.voided", "issuing_card.created", "payment_intent.canceled", "payment_intent.created",
	"payment_intent.payment_failed", "payment_intent.processing", "payment_intent.requires_action", "payment_intent.succeeded",
	"payment_method.attached", "payout.canceled", "payout.created", "payout.failed", "payout.paid", "plan.created", "price.updated",
	"product.created", "product.deleted", "product.updated", "radar.early_fraud_warning.created", "refund.created", "refund.failed",
	"refund.updated", "review.opened", "setup_intent.canceled", "setup_intent.succeeded", "subscription_schedule.created",
	"tax_rate.created", "test_helpers.test_clock.ready", "topup.succeeded", "transfer.created",
}

func TestStripeEventsAreWhatTheRealProviderAccepts(t *testing.T) {
	w := open(t, nil)
	for _, typ := range stripeTypes {
		t.Run(typ, func(t *testing.T) {
			sent, err := w.Stripe.Trigger(t.Context(), typ)
			require.NoError(t, err)
			require.True(t, sent.Acknowledged)

			r := w.inbox.last(t)
			require.NoError(t, w.stripe.Verify(r, providers.Secrets{stripeSecret}))
			events, err := w.stripe.Events(r)
			require.NoError(t, err)
			require.Len(t, events, 1)
			require.Equal(t, sent.ID, events[0].ID)
			require.Equal(t, typ, events[0].Type)
			require.Equal(t, sent.Object, events[0].Ref)
			require.Equal(t, providers.ModeTest, events[0].Mode)

			object, err := w.stripe.Fetch(t.Context(), providers.FetchQuery{Ref: sent.Object})
			require.NoError(t, err)
			require.Equal(t, sent.Deleted, object.Deleted)
			kept, ok := w.Stripe.Object(sent.Object)
			require.True(t, ok)
			require.Equal(t, sent.Version, kept.Version)
			if !object.Deleted {
				require.JSONEq(t, string(kept.State), string(object.State))
				require.JSONEq(t, string(kept.State), string(payloadObject(t, r.Body)))
			}
		})
	}
}

// payloadObject returns data.object of a Stripe event.
func payloadObject(t *testing.T, body []byte) json.RawMessage {
	t.Helper()
	var e struct {
		Data struct{ Object json.RawMessage }
	}
	require.NoError(t, json.Unmarshal(body, &e))
	return e.Data.Object
}

func TestStripeAPIAnswersAsStripeDoes(t *testing.T) {
	w := open(t, nil)
	customer, err := w.Stripe.Create("customer", nil)
	require.NoError(t, err)
	gone, err := w.Stripe.Create("customer", nil)
	require.NoError(t, err)
	require.NoError(t, w.Stripe.Delete(gone))
	invoice, err := w.Stripe.Create("invoice", nil)
	require.NoError(t, err)
	require.NoError(t, w.Stripe.Delete(invoice))

	for name, test := range map[string]struct {
		path, key string
		status    int
		body      string // a part of the answer, as JSON without its spaces
	}{
		"an object":                      {"/v1/customers/" + customer.ID, stripeKey, 200, `"object":"customer"`},
		"a deleted customer is a stub":   {"/v1/customers/" + gone.ID, stripeKey, 200, `{"deleted":true,"id":"` + gone.ID + `","object":"customer"}`},
		"a deleted invoice is missing":   {"/v1/invoices/" + invoice.ID, stripeKey, 404, `"code":"resource_missing"`},
		"an unknown one is missing":      {"/v1/payment_intents/pi_1", stripeKey, 404, `"message":"Nosuchpayment_intent:'pi_1'","param":"intent"`},
		"an unlisted type is missing":    {"/v1/issuing/cards/ic_1", stripeKey, 404, `"message":"Nosuchissuing.card:'ic_1'","param":"id"`},
		"a path that is not Stripe's":    {"/v1/nonsense/x", stripeKey, 404, `"message":"UnrecognizedrequestURL(GET:/v1/nonsense/x)`},
		"a collection without an id":     {"/v1/customers/", stripeKey, 404, `"message":"UnrecognizedrequestURL`},
		"no key":                         {"/v1/customers/" + customer.ID, "", 401, `"message":"YoudidnotprovideanAPIkey.`},
		"a wrong key, which is not told": {"/v1/customers/" + customer.ID, "sk_wrong", 401, `"message":"InvalidAPIKeyprovided:********"`},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := w.get(t, "/stripe"+test.path, test.key)
			require.Equal(t, test.status, resp.StatusCode)
			require.Contains(t, strings.Join(strings.Fields(body), ""), test.body)
			require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
			require.NotEmpty(t, resp.Header.Get("Request-Id"))
			if test.status != 200 {
				require.Contains(t, body, `"type": "invalid_request_error"`)
				require.Equal(t, "false", resp.Header.Get("Stripe-Should-Retry"))
			}
		})
	}
}

func TestStripeFaultsLookAsStripesOwn(t *testing.T) {
	w := open(t, nil)
	ref, err := w.Stripe.Create("customer", nil)
	require.NoError(t, err)
	path := "/stripe/v1/customers/" + ref.ID
	strike := func(f sandbox.APIFault) (*http.Response, string) {
		f.Next = 1
		require.NoError(t, w.Stripe.SetFaults(sandbox.Faults{API: []sandbox.APIFault{f}}))
		return w.get(t, path, stripeKey)
	}
	t.Run("a rate limit has a reason", func(t *testing.T) {
		resp, body := strike(sandbox.APIFault{Kind: sandbox.FaultRateLimit, RetryAfter: 1500 * time.Millisecond})
		require.Equal(t, 429, resp.StatusCode)
		require.Equal(t, "global-rate", resp.Header.Get("Stripe-Rate-Limited-Reason"))
		require.Equal(t, "2", resp.Header.Get("Retry-After"))
		require.Equal(t, "true", resp.Header.Get("Stripe-Should-Retry"))
		require.Contains(t, body, `"code": "rate_limit"`)
	})
	t.Run("the reason can be chosen", func(t *testing.T) {
		resp, _ := strike(sandbox.APIFault{Kind: sandbox.FaultRateLimit, Reason: "endpoint-concurrency"})
		require.Equal(t, "endpoint-concurrency", resp.Header.Get("Stripe-Rate-Limited-Reason"))
		require.Empty(t, resp.Header.Get("Retry-After"))
	})
	t.Run("a lock timeout has none", func(t *testing.T) {
		resp, body := strike(sandbox.APIFault{Kind: sandbox.FaultLockTimeout})
		require.Equal(t, 429, resp.StatusCode)
		require.Empty(t, resp.Header.Get("Stripe-Rate-Limited-Reason"))
		require.Contains(t, body, `"code": "lock_timeout"`)
	})
	t.Run("an error is 500 or what is asked for", func(t *testing.T) {
		resp, body := strike(sandbox.APIFault{Kind: sandbox.FaultError})
		require.Equal(t, 500, resp.StatusCode)
		require.Contains(t, body, `"type": "api_error"`)
		resp, _ = strike(sandbox.APIFault{Kind: sandbox.FaultError, Status: 503})
		require.Equal(t, 503, resp.StatusCode)
	})
	t.Run("GitHub's limits are refused", func(t *testing.T) {
		err := w.Stripe.SetFaults(sandbox.Faults{API: []sandbox.APIFault{{Kind: sandbox.FaultSecondaryLimit}}})
		require.ErrorContains(t, err, "no fault of kind")
	})
}

func TestStripeUpdateTellsTheFormerValues(t *testing.T) {
	w := open(t, nil)
	ref, err := w.Stripe.Create("customer", map[string]any{"email": "old@example.com"})
	require.NoError(t, err)
	_, err = w.Stripe.Trigger(t.Context(), "customer.updated", sandbox.On(ref), sandbox.Set(map[string]any{"email": "new@example.com"}))
	require.NoError(t, err)

	var e struct {
		Data struct {
			Object   struct{ Email string }
			Previous map[string]any `json:"previous_attributes"`
		}
	}
	require.NoError(t, json.Unmarshal(w.inbox.last(t).Body, &e))
	require.Equal(t, "new@example.com", e.Data.Object.Email)
	require.Equal(t, map[string]any{
		"email": "old@example.com", "metadata": map[string]any{"sandbox_version": "1"},
	}, e.Data.Previous)
}

func TestStripeViewsHaveNoID(t *testing.T) {
	w := open(t, nil)
	for _, typ := range []string{"invoice.upcoming", "balance.available"} {
		t.Run(typ, func(t *testing.T) {
			sent, err := w.Stripe.Trigger(t.Context(), typ)
			require.NoError(t, err)
			require.Zero(t, sent.Object)
			events, err := w.stripe.Events(w.inbox.last(t))
			require.NoError(t, err)
			require.Zero(t, events[0].Ref)
		})
	}
	require.Empty(t, w.Stripe.Objects("invoice"), "a preview is no object")
}

func TestStripeEnvelopeCarriesTheAccountAndTheMode(t *testing.T) {
	w := open(t, nil)
	_, err := w.Stripe.Trigger(t.Context(), "payout.paid",
		sandbox.Envelope(map[string]any{"account": "acct_7", "livemode": true}))
	require.NoError(t, err)
	events, err := w.stripe.Events(w.inbox.last(t))
	require.NoError(t, err)
	require.Equal(t, "acct_7", events[0].Ref.Account)
	require.Equal(t, providers.ModeLive, events[0].Mode)
	_, ok := w.Stripe.Object(events[0].Ref)
	require.True(t, ok, "an account is no part of an object's name")
}

func TestStripeRefusesWhatCannotHappen(t *testing.T) {
	w := open(t, nil)
	customer, err := w.Stripe.Create("customer", nil)
	require.NoError(t, err)
	for name, trigger := range map[string]func() (sandbox.Event, error){
		"a type without a verb": func() (sandbox.Event, error) { return w.Stripe.Trigger(t.Context(), "invoice") },
		"a thin event":          func() (sandbox.Event, error) { return w.Stripe.Trigger(t.Context(), "v2.core.account.updated") },
		"an event about another type": func() (sandbox.Event, error) {
			return w.Stripe.Trigger(t.Context(), "invoice.paid", sandbox.On(customer))
		},
		"an event sent about the wrong": func() (sandbox.Event, error) { return w.Stripe.Emit(t.Context(), "invoice.paid", customer) },
		"an object that does not exist": func() (sandbox.Event, error) {
			return w.Stripe.Trigger(t.Context(), "invoice.paid", sandbox.On(providers.Ref{Type: "invoice", ID: "in_0"}))
		},
		"members that JSON does not know": func() (sandbox.Event, error) {
			return w.Stripe.Trigger(t.Context(), "invoice.paid", sandbox.Set(map[string]any{"x": func() {}}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := trigger()
			require.Error(t, err)
			require.Empty(t, w.Stripe.Events())
		})
	}
}

func TestStripeSaysLiveWhenItIs(t *testing.T) {
	w := open(t, func(c *config) { c.Stripe.Livemode = true })
	_, err := w.Stripe.Trigger(t.Context(), "invoice.paid")
	require.NoError(t, err)
	events, err := w.stripe.Events(w.inbox.last(t))
	require.NoError(t, err)
	require.Equal(t, providers.ModeLive, events[0].Mode)
	require.Contains(t, string(payloadObject(t, w.inbox.last(t).Body)), `"livemode": true`)
}

func TestStripeProductsKnowWhenTheyWereUpdated(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	w := open(t, func(c *config) { c.Now = func() time.Time { return now } })
	ref, err := w.Stripe.Create("product", nil)
	require.NoError(t, err)
	now = now.Add(time.Minute)
	_, err = w.Stripe.Update(ref, func(map[string]any) {})
	require.NoError(t, err)
	object, err := w.stripe.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
	require.NoError(t, err)
	require.Equal(t, now.Unix(), object.UpdatedAt.Unix())
}
