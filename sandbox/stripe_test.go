package sandbox_test

import (
	"encoding/json"
	"net/http"
	"testing"

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

var _ = http.StatusOK
var _ sandbox.Event
