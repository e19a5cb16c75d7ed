package shopify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
	"github.com/surehook/surehook/providers/shopify"
)

func eventIn(t *testing.T, r providers.Request) providers.Event {
	t.Helper()
	return providertest.OneEvent(t, open(t), r)
}

func TestEventsReadsAWebhook(t *testing.T) {
	want := providers.Event{
		ID:          webhookID,
		Type:        "orders/updated",
		Ref:         providers.Ref{Type: "order", ID: "820982911946154508", Account: domain},
		OccurredAt:  time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC),
		Mode:        providers.ModeLive,
		APIVersion:  "2026-07",
		Fingerprint: providers.Fingerprint([]byte(orderUpdated), []byte("orders/updated")),
	}
	require.Empty(t, cmp.Diff(want, eventIn(t, request("orders/updated", orderUpdated))))
}

func TestEventsReadsADeliveryOfEvents(t *testing.T) {
	want := providers.Event{
		ID:          webhookID,
		Type:        "Product/update",
		Ref:         providers.Ref{Type: "product", ID: "123", Account: domain},
		OccurredAt:  time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC),
		APIVersion:  "2026-07",
		Fingerprint: providers.Fingerprint([]byte(productChanged), []byte("Product")),
	}
	require.Empty(t, cmp.Diff(want, eventIn(t, changeRequest(productChanged))))
}

func TestTheObjectFollowsFromTheTopicAndTheBody(t *testing.T) {
	for _, c := range []struct{ topic, body, want string }{
		{"orders/create", `{"id": 1}`, "order/1"},
		{"orders/delete", `{"id": 1}`, "order/1"},
		{"orders/edited", `{"order_edit": {"id": 7, "order_id": 1}}`, "order/1"},
		{"orders/risk_assessment_changed", `{"provider_id": 7, "admin_graphql_api_order_id": "gid://shopify/Order/1"}`, "order/1"},
		{"products/update", `{"id": 1, "admin_graphql_api_id": "gid://shopify/Product/1"}`, "product/1"},
		{"variants/in_stock", `{"id": 1, "product_id": 2}`, "variant/1"},
		{"customers/disable", `{"id": "1"}`, "customer/1"},
		{"draft_orders/update", `{"id": 1, "order_id": 2}`, "draft_order/1"},
		{"collections/create", `{"id": 1}`, "collection/1"},
		{"fulfillments/update", `{"id": 1, "order_id": 2}`, "fulfillment/1"},
		{"refunds/create", `{"id": 1, "order_id": 2}`, "refund/1"},
		{"inventory_items/update", `{"id": 1}`, "inventory_item/1"},
		{"locations/activate", `{"id": 1}`, "location/1"},
		{"inventory_levels/update", `{"inventory_item_id": 1, "location_id": 2, "available": 3}`, "inventory_level/1-2"},
		{"inventory_levels/update", `{"available": 3}`, ""},
		{"carts/update", `{"id": "eeafa272cebfd4b22385bc4b645e762c"}`, "carts/eeafa272cebfd4b22385bc4b645e762c"},
		{"metaobjects/create", `{"id": "gid://shopify/Metaobject/1"}`, "metaobjects/gid://shopify/Metaobject/1"},
		{"customer.tags_added", `{"customerId": "gid://shopify/Customer/1", "tags": ["vip"]}`, "customer/1"},
		{"customer.joined_segment", `{"customer_id": 1}`, "customer/1"},
		{"themes/publish", `{"id": "no id of ours"}`, ""},
		{"app/uninstalled", `{"id": 1, "myshopify_domain": "` + domain + `"}`, "app/1"},
	} {
		event := eventIn(t, request(c.topic, c.body))
		require.Equal(t, c.topic, event.Type)
		require.Equal(t, c.want, event.Ref.String(), c.topic)
		require.Equal(t, c.want != "", event.Ref.Account == domain)
		require.Equal(t, strings.HasSuffix(c.topic, "/delete"), event.Deleted)
	}
}

func TestTheEndOfAnObjectIsRead(t *testing.T) {
	require.True(t, eventIn(t, request("carts/delete", `{"id": "c1"}`)).Deleted)
	require.True(t, eventIn(t, request("inventory_levels/disconnect", `{"inventory_item_id": 1, "location_id": 2}`)).Deleted)
	change := changeRequest(strings.Replace(productChanged, `"update"`, `"delete"`, 1))
	change.Header.Set("Shopify-Action", "delete")
	require.True(t, eventIn(t, change).Deleted)
}

func TestAResourceOfEventsThatIsNotFetchedKeepsItsName(t *testing.T) {
	r := changeRequest(strings.NewReplacer("Product", "PriceList", "productId", "priceListId").Replace(productChanged))
	r.Header.Set("Shopify-Topic", "PriceList")
	require.Equal(t, providers.Ref{Type: "PriceList", ID: "123", Account: domain}, eventIn(t, r).Ref)
}

func TestComplianceRequestsAreEventsWithoutAnObject(t *testing.T) {
	for topic, body := range map[string]string{
		"customers/data_request": `{"shop_id": 1, "shop_domain": "` + domain + `", "customer": {"id": 2, "email": "a@example.com"}, "data_request": {"id": 3}}`,
		"customers/redact":       `{"shop_id": 1, "shop_domain": "` + domain + `", "customer": {"id": 2, "email": "a@example.com"}, "orders_to_redact": [4]}`,
		"shop/redact":            `{"shop_id": 1, "shop_domain": "` + domain + `"}`,
	} {
		event := eventIn(t, request(topic, body))
		require.Equal(t, topic, event.Type)
		require.True(t, event.Ref.IsZero(), "a record would keep what is to be erased")
		require.False(t, event.Deleted)
		require.Empty(t, event.Review)
	}
}

func TestAnOrderSaysWhetherItIsATest(t *testing.T) {
	for test, want := range map[string]providers.Mode{
		`true`: providers.ModeTest, `false`: providers.ModeLive, `null`: providers.ModeUnknown, `"true"`: providers.ModeUnknown,
	} {
		body := `{"id": 1, "test": ` + test + `}`
		require.Equal(t, want, eventIn(t, request("orders/paid", body)).Mode, test)
		require.Equal(t, providers.ModeUnknown, eventIn(t, request("products/update", body)).Mode)
	}
}

func TestABodyUnderAnotherIDOrShopIsNoSecondEvent(t *testing.T) {
	genuine := eventIn(t, request("orders/updated", orderUpdated))
	replay := request("orders/updated", orderUpdated)
	replay.Header.Set("X-Shopify-Webhook-Id", "another")
	replay.Header.Set("X-Shopify-Shop-Domain", "other.myshopify.com")
	require.Equal(t, genuine.Fingerprint, eventIn(t, replay).Fingerprint)
	require.NotEqual(t, genuine.Fingerprint, eventIn(t, request("orders/updated", `{"id": 1}`)).Fingerprint)
}

func TestOneBodyUnderTwoTopicsIsTwoEvents(t *testing.T) {
	created, paid := eventIn(t, request("orders/create", orderUpdated)), eventIn(t, request("orders/paid", orderUpdated))
	require.NotEqual(t, created.Fingerprint, paid.Fingerprint)
}

func TestABodyThatContradictsTheUnsignedTopicHeaderIsMalformed(t *testing.T) {
	for _, topic := range []string{"products/update", "customers/delete", "refunds/create", "Product", "Order"} {
		_, err := open(t).Events(request(topic, orderUpdated))
		require.ErrorIs(t, err, providers.ErrMalformed, topic)
	}
	_, err := open(t).Events(request("orders/updated", productChanged))
	require.ErrorIs(t, err, providers.ErrMalformed)
}

func TestABodyThatContradictsTheUnsignedShopHeaderIsMalformed(t *testing.T) {
	for topic, body := range map[string]string{
		"shop/redact":      `{"shop_id": 1, "shop_domain": "other.myshopify.com"}`,
		"customers/redact": `{"shop_id": 1, "shop_domain": "other.myshopify.com", "customer": {"id": 2}}`,
		"app/uninstalled":  `{"id": 1, "myshopify_domain": "other.myshopify.com"}`,
		"shop/update":      `{"id": 1, "myshopify_domain": "other.myshopify.com"}`,
	} {
		_, err := open(t).Events(request(topic, body))
		require.ErrorIs(t, err, providers.ErrMalformed, topic)
	}
}

func TestAHeaderThatContradictsTheResourceOfAChangeIsMalformed(t *testing.T) {
	r := changeRequest(productChanged)
	r.Header.Set("Shopify-Resource-Id", "gid://shopify/Product/123")
	require.Equal(t, "123", eventIn(t, r).Ref.ID)
	r.Header.Set("Shopify-Resource-Id", "gid://shopify/Product/124")
	_, err := open(t).Events(r)
	require.ErrorIs(t, err, providers.ErrMalformed)
}

func TestAnEventOfAShopThatIsNotDeclaredIsForAnOperator(t *testing.T) {
	r := request("orders/updated", orderUpdated)
	r.Header.Set("X-Shopify-Shop-Domain", "other.myshopify.com")
	require.Equal(t, "settings: the shop other.myshopify.com is not declared", eventIn(t, r).Review)

	none, err := shopify.New(providers.APIConfig{}, shopify.Settings{})
	require.NoError(t, err)
	events, err := none.Events(request("orders/updated", orderUpdated))
	require.NoError(t, err)
	require.Equal(t, "settings: the shop "+domain+" is not declared", events[0].Review)
}

func TestHeadersThatShopifyDoesNotSendAreMalformed(t *testing.T) {
	for header, values := range map[string][]string{
		"X-Shopify-Topic":       {"", "orders", "orders/", "orders/../x", "Orders updated", strings.Repeat("x", 70) + "/y", "orders/updated\x00"},
		"X-Shopify-Shop-Domain": {"", "evil.example", "snowdevil.myshopify.com.evil.example", "evil.example/snowdevil.myshopify.com", "SNOWDEVIL.myshopify.com", ".myshopify.com", "a@b.myshopify.com"},
		"X-Shopify-Webhook-Id":  {"", "a b", "é", strings.Repeat("x", 201)},
		"X-Shopify-Api-Version": {"2026 07", strings.Repeat("2", 31)},
	} {
		for _, value := range values {
			r := request("orders/updated", orderUpdated)
			r.Header.Set(header, value)
			_, err := open(t).Events(r)
			require.ErrorIs(t, err, providers.ErrMalformed, "%s: %q", header, value)
		}
		r := request("orders/updated", orderUpdated)
		r.Header.Add(header, r.Header.Get(header))
		_, err := open(t).Events(r)
		require.ErrorIs(t, err, providers.ErrMalformed, "%s twice", header)
	}
}

func TestATimeThatIsNoneIsLeftOut(t *testing.T) {
	for _, value := range []string{"", "yesterday", "1767323045"} {
		r := request("orders/updated", orderUpdated)
		r.Header.Set("X-Shopify-Triggered-At", value)
		require.True(t, eventIn(t, r).OccurredAt.IsZero(), value)
	}
}

func FuzzEvents(f *testing.F) {
	f.Add("orders/updated", []byte(orderUpdated))
	f.Add("Product", []byte(productChanged))
	f.Add("inventory_levels/update", []byte(`{"inventory_item_id": 1, "location_id": 2}`))
	f.Add("orders/edited", []byte(`{"order_edit": {"order_id": 1}}`))
	f.Add("shop/redact", []byte(`{"shop_domain": 1}`))
	f.Add("", []byte(`{"query_variables": []}`))
	p := open(f)
	f.Fuzz(func(t *testing.T, topic string, body []byte) {
		r := request(topic, string(body))
		events, err := p.Events(r)
		if err != nil {
			require.ErrorIs(t, err, providers.ErrMalformed)
			require.Empty(t, events)
			return
		}
		require.Len(t, events, 1)
		require.NotEmpty(t, events[0].Fingerprint)
		require.LessOrEqual(t, len(events[0].Ref.ID), 200)
		require.Equal(t, events[0].Ref.Type == "", events[0].Ref.ID == "")
		require.NotContains(t, events[0].Ref.ID, " ")
	})
}
