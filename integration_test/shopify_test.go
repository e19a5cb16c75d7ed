package integration_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/shopify"
	"github.com/surehook/surehook/sandbox"
)

const shopifySecret = "shpss_integration"

// startShopify is a system with a source of Shopify that declares one shop.
func startShopify(t *testing.T, o options) (*system, *sandbox.Platform) {
	t.Helper()
	o.platforms = map[string]platform{
		"shopify": {secret: shopifySecret, settings: &shopify.Settings{Shop: sandbox.ShopifyShop}},
	}
	s := start(t, o)
	return s, s.platforms["shopify"]
}

func TestShopifyOrdersStayTrueWhenTheirAPIIsThrottled(t *testing.T) {
	t.Parallel()
	s, shop := startShopify(t, options{maxAttempts: 1}) // any other failure would park the event
	s.fail(shop, sandbox.APIFault{Kind: sandbox.FaultThrottle, RetryAfter: time.Second, Next: 1})
	created := s.trigger(shop, "orders/create")
	s.untilRun("shopify", created.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	s.requireTrue(shop, "shopify", created.Object)
	require.Equal(t, 2, shop.Fetches(created.Object))
	var waited time.Duration
	for _, event := range s.history("shopify", created.ID).Events {
		waited += event.GetTimerStartedEventAttributes().GetStartToFireTimeout().AsDuration()
	}
	require.Equal(t, time.Second, waited, "for as long as the quota lacks the query's cost")

	paid := s.trigger(shop, "orders/paid", sandbox.On(created.Object))
	s.untilStatus("shopify", paid.ID, providers.StatusProcessed)
	s.requireTrue(shop, "shopify", created.Object)

	last, err := s.store.Record(t.Context(), "shopify", "order", created.Object.ID)
	require.NoError(t, err)
	require.Equal(t, sandbox.ShopifyShop, last.Object.Account)
	deleted := s.trigger(shop, "orders/delete", sandbox.On(created.Object))
	s.untilStatus("shopify", deleted.ID, providers.StatusProcessed)
	gone, err := s.store.Record(t.Context(), "shopify", "order", created.Object.ID)
	require.NoError(t, err)
	require.True(t, gone.Deleted)
	require.JSONEq(t, string(last.State), string(gone.State), "a tombstone keeps the last state")
}

// The topic, the shop and the id stand in headers that are not signed.
func TestShopifyACapturedBodyGetsInUnderNoOtherIDOrShop(t *testing.T) {
	t.Parallel()
	s, shop := startShopify(t, options{})
	ev := s.trigger(shop, "products/update")
	s.untilStatus("shopify", ev.ID, providers.StatusProcessed)
	fetches := shop.TotalCalls()

	for header, value := range map[string]string{
		"X-Shopify-Webhook-Id":  "11111111-1111-4111-8111-111111111111",
		"X-Shopify-Shop-Domain": "other.myshopify.com",
	} {
		r := s.request(shop, ev.ID)
		r.Header.Set("X-Shopify-Webhook-Id", "22222222-2222-4222-8222-222222222222")
		r.Header.Set(header, value)
		got := s.send("shopify", r)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		require.Contains(t, got.Body, `"duplicate"`)
		require.Contains(t, got.Body, ev.ID, "it is the event that it was")
		s.requireNoEvent("shopify", r.Header.Get("X-Shopify-Webhook-Id"))
	}
	s.rest()
	require.Equal(t, fetches, shop.TotalCalls(), "nothing was asked of the platform")
	s.requireTrue(shop, "shopify", ev.Object)
}

// One body may be sent under two topics, so the topic must not make it a
// duplicate. Whoever changes it has the object fetched, and that is all.
func TestShopifyACapturedBodyUnderAnotherTopicChangesNothing(t *testing.T) {
	t.Parallel()
	s, shop := startShopify(t, options{})
	ev := s.trigger(shop, "products/update")
	s.untilStatus("shopify", ev.ID, providers.StatusProcessed)

	r := s.request(shop, ev.ID)
	r.Header.Set("X-Shopify-Webhook-Id", "22222222-2222-4222-8222-222222222222")
	r.Header.Set("X-Shopify-Topic", "products/delete")
	require.Contains(t, s.send("shopify", r).Body, `"accepted"`)
	s.untilStatus("shopify", "22222222-2222-4222-8222-222222222222", providers.StatusProcessed)
	s.requireTrue(shop, "shopify", ev.Object)

	r.Header.Set("X-Shopify-Webhook-Id", "33333333-3333-4333-8333-333333333333")
	require.Contains(t, s.send("shopify", r).Body, `"duplicate"`, "and no second time")
}

func TestShopifyNothingIsFetchedForAShopThatNobodyDeclared(t *testing.T) {
	t.Parallel()
	s, shop := startShopify(t, options{})
	ev := s.trigger(shop, "products/update", sandbox.Undelivered())
	r := s.request(shop, ev.ID)
	r.Header.Set("X-Shopify-Shop-Domain", "other.myshopify.com")
	got := s.send("shopify", r)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	e := s.untilStatus("shopify", ev.ID, providers.StatusReview)
	require.Equal(t, "settings: the shop other.myshopify.com is not declared", e.Reason)
	s.rest()
	require.Zero(t, shop.TotalCalls())
	_, err := s.store.Record(t.Context(), "shopify", "product", ev.Object.ID)
	require.ErrorIs(t, err, providers.ErrNotFound)
}

func TestShopifyARequestToForgetACustomerLeavesNoRecord(t *testing.T) {
	t.Parallel()
	s, shop := startShopify(t, options{})
	ev := s.trigger(shop, "customers/redact")
	s.untilStatus("shopify", ev.ID, providers.StatusProcessed)
	records, err := s.store.Records(t.Context(), store.RecordFilter{Source: "shopify"})
	require.NoError(t, err)
	require.Empty(t, records)
	require.Zero(t, shop.TotalCalls())
}
