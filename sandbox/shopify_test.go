package sandbox_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/shopify"
	"github.com/surehook/surehook/sandbox"
)

const (
	shopifySecret = "shpss_sandbox"
	shopifyKey    = "shpat_sandbox"
)

// shopifyTypes are the topics of every kind of rule.
var shopifyTypes = []string{
	"collections/create", "collections/delete", "collections/update", "customers/create", "customers/delete", "customers/disable",
	"customers/enable", "customers/update", "draft_orders/create", "draft_orders/delete", "draft_orders/update",
	"inventory_items/create", "inventory_items/delete", "inventory_items/update", "locations/activate", "locations/create",
	"locations/deactivate", "locations/delete", "locations/update", "orders/cancelled", "orders/create", "orders/delete",
	"orders/fulfilled", "orders/paid", "orders/partially_fulfilled", "orders/updated", "products/create", "products/delete",
	"products/update", "refunds/create", "variants/in_stock", "variants/out_of_stock",
}

type shop struct{ *played[*shopify.Provider] }

func openShop(t *testing.T) shop {
	t.Helper()
	return shop{play(t, "shopify", shopifyKey, shopifySecret, func(cfg providers.APIConfig) (*shopify.Provider, error) {
		return shopify.New(cfg, shopify.Settings{Shop: sandbox.ShopifyShop})
	})}
}

// call asks the API as it is asked by anybody.
func (s shop) call(t *testing.T, method, path, key, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-Shopify-Access-Token", key)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(answer)
}

func TestShopifyEventsAreWhatTheRealProviderAccepts(t *testing.T) {
	s := openShop(t)
	for _, typ := range shopifyTypes {
		t.Run(typ, func(t *testing.T) {
			require.True(t, s.Knows(typ))
			sent, err := s.Trigger(t.Context(), typ)
			require.NoError(t, err)
			require.True(t, sent.Acknowledged)

			event := s.received(t)
			require.Equal(t, sent.ID, event.ID)
			require.Equal(t, typ, event.Type)
			require.Equal(t, sandbox.ShopifyShop, event.Ref.Account)
			require.Equal(t, sent.Object.String(), event.Ref.String())
			require.Equal(t, sent.Deleted, event.Deleted)
			require.Equal(t, strings.HasSuffix(typ, "/delete"), event.Deleted)
			require.WithinDuration(t, sent.CreatedAt, event.OccurredAt, 0)
			require.Empty(t, event.Review)

			object, err := s.fetch(t, event.Ref)
			require.NoError(t, err)
			require.Equal(t, sent.Deleted, object.Deleted)
			require.Equal(t, 1, s.Fetches(event.Ref))
			kept, ok := s.Object(event.Ref)
			require.True(t, ok)
			require.Equal(t, sent.Version, kept.Version)
			if !object.Deleted {
				require.JSONEq(t, string(kept.State), string(object.State))
				require.WithinDuration(t, sent.CreatedAt, object.UpdatedAt, time.Second)
			}
		})
	}
}

func TestAnObjectHasTheMembersThatTheProviderAsksFor(t *testing.T) {
	s := openShop(t)
	for _, typ := range []string{"collection", "customer", "draft_order", "inventory_item", "location", "order", "product", "refund"} {
		ref, err := s.Create(typ, nil)
		require.NoError(t, err)
		var asked string
		api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var call struct{ Query string }
			if json.NewDecoder(r.Body).Decode(&call) == nil {
				asked = call.Query
			}
			w.WriteHeader(http.StatusTeapot)
		}))
		defer api.Close()
		p, err := shopify.New(providers.APIConfig{BaseURL: api.URL}, shopify.Settings{Shop: sandbox.ShopifyShop})
		require.NoError(t, err)
		_, err = p.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
		require.Error(t, err)

		kept, _ := s.Object(ref)
		var state map[string]any
		require.NoError(t, json.Unmarshal(kept.State, &state))
		delete(state, "sandboxVersion")
		require.ElementsMatch(t, topFields(asked), keys(state), typ)
	}
}

// topFields returns the names that a query asks of its object itself.
func topFields(query string) []string {
	var names []string
	depth := 0
	for word := range strings.FieldsSeq(strings.ReplaceAll(query, "(first: 50)", "")) {
		switch {
		case word == "{":
			depth++
		case word == "}":
			depth--
		case depth == 2:
			names = append(names, word)
		}
	}
	return names
}

func keys(object map[string]any) []string {
	var names []string
	for name := range object {
		names = append(names, name)
	}
	return names
}

func TestShopifyWebhooksCarryTheRESTResource(t *testing.T) {
	s := openShop(t)
	_, err := s.Trigger(t.Context(), "orders/paid", sandbox.Set(map[string]any{"test": true}))
	require.NoError(t, err)
	var body struct {
		ID         json.Number `json:"id"`
		GID        string      `json:"admin_graphql_api_id"`
		Total      string      `json:"total_price"`
		Financial  string      `json:"financial_status"`
		Tags       string      `json:"tags"`
		Customer   struct{ ID int64 }
		LineItems  []struct{ Quantity int } `json:"line_items"`
		LegacyID   *string                  `json:"legacy_resource_id"`
		ItemsOfGQL *string                  `json:"lineItems"`
	}
	require.NoError(t, json.Unmarshal(s.inbox.last(t).Body, &body))
	require.Equal(t, "gid://shopify/Order/"+body.ID.String(), body.GID)
	require.Equal(t, "108.00", body.Total)
	require.Equal(t, "paid", body.Financial)
	require.Equal(t, "vip, gift", body.Tags)
	require.NotZero(t, body.Customer.ID)
	require.Len(t, body.LineItems, 1)
	require.Equal(t, 1, body.LineItems[0].Quantity)
	require.Nil(t, body.LegacyID)
	require.Nil(t, body.ItemsOfGQL)
	require.Equal(t, providers.ModeTest, s.received(t).Mode)

	_, err = s.Trigger(t.Context(), "products/delete")
	require.NoError(t, err)
	require.Regexp(t, `^\{"id":[0-9]+\}$`, string(s.inbox.last(t).Body))
}

func TestShopifyAsksAppsToForget(t *testing.T) {
	s := openShop(t)
	for _, typ := range []string{"customers/data_request", "customers/redact", "shop/redact"} {
		sent, err := s.Trigger(t.Context(), typ)
		require.NoError(t, err)
		require.True(t, sent.Object.IsZero())
		event := s.received(t)
		require.Equal(t, typ, event.Type)
		require.True(t, event.Ref.IsZero())
		require.True(t, s.Knows(typ))
	}
	customer, err := s.Create("customer", nil)
	require.NoError(t, err)
	_, err = s.Trigger(t.Context(), "customers/redact", sandbox.On(customer))
	require.NoError(t, err)
	require.Contains(t, string(s.inbox.last(t).Body), `"id":`+customer.ID)
}

func TestShopifySendsTopicsThatTheSandboxDoesNotKnow(t *testing.T) {
	s := openShop(t)
	for _, typ := range []string{"app/uninstalled", "themes/publish"} {
		require.False(t, s.Knows(typ))
		sent, err := s.Trigger(t.Context(), typ)
		require.NoError(t, err)
		event := s.received(t)
		require.Equal(t, sent.Object.String(), event.Ref.String())
		_, err = s.fetch(t, event.Ref)
		require.ErrorIs(t, err, providers.ErrNotFetchable)
	}
	for _, typ := range []string{"", "orders", "orders/", "/paid"} {
		require.False(t, s.Knows(typ))
		_, err := s.Trigger(t.Context(), typ)
		require.ErrorContains(t, err, "want <resource>/<verb>")
	}
	for _, typ := range []string{"orders/update", "refunds/delete", "order/paid"} {
		require.False(t, s.Knows(typ), typ)
	}
}

func TestShopifyAPIAnswersAsShopifyDoes(t *testing.T) {
	s := openShop(t)
	order, err := s.Create("order", nil)
	require.NoError(t, err)
	gone, err := s.Create("product", nil)
	require.NoError(t, err)
	require.NoError(t, s.Delete(gone))
	ask := func(field, gid string) string {
		return `{"query": "query Fetch($id: ID!) { ` + field + `(id: $id) { id } }", "variables": {"id": "gid://shopify/` + gid + `"}}`
	}
	const path = "/admin/api/2026-07/graphql.json"

	for name, c := range map[string]struct {
		method, path, key, body string
		status                  int
		want                    string
	}{
		"an object":               {"POST", path, shopifyKey, ask("order", "Order/"+order.ID), 200, `"id":"gid://shopify/Order/` + order.ID + `"`},
		"what it cost":            {"POST", path, shopifyKey, ask("order", "Order/"+order.ID), 200, `"currentlyAvailable":1988`},
		"a deleted one is null":   {"POST", path, shopifyKey, ask("product", "Product/"+gone.ID), 200, `"data":{"product":null}`},
		"one that never was":      {"POST", path, shopifyKey, ask("order", "Order/1"), 200, `"data":{"order":null}`},
		"another kind's id":       {"POST", path, shopifyKey, ask("product", "Order/"+order.ID), 200, `"code":"INVALID_VARIABLE"`},
		"no query":                {"POST", path, shopifyKey, `{"query": "{ }"}`, 200, `"code":"undefinedField"`},
		"no JSON":                 {"POST", path, shopifyKey, `x`, 404, `"errors":"Not Found"`},
		"a wrong key":             {"POST", path, "shpat_wrong", ask("order", "Order/"+order.ID), 401, "[API] Invalid API key or access token"},
		"a version that is none":  {"POST", "/admin/api/latest/graphql.json", shopifyKey, ask("order", "Order/"+order.ID), 404, `"errors":"Not Found"`},
		"a call that is no query": {"GET", path, shopifyKey, "", 404, `"errors":"Not Found"`},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := s.call(t, c.method, c.path, c.key, c.body)
			require.Equal(t, c.status, status)
			require.Contains(t, body, c.want)
		})
	}
}

func TestTheProviderUnderstandsShopifysFaults(t *testing.T) {
	s := openShop(t)
	ref, err := s.Create("order", nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		fault sandbox.APIFault
		want  providers.APIError
	}{
		"throttled":            {sandbox.APIFault{Kind: sandbox.FaultThrottle, RetryAfter: 7 * time.Second}, providers.APIError{Status: 200, Code: "THROTTLED", Retry: providers.RetryLater, After: 7 * time.Second}},
		"throttled for little": {sandbox.APIFault{Kind: sandbox.FaultThrottle}, providers.APIError{Status: 200, Code: "THROTTLED", Retry: providers.RetryLater, After: time.Second}},
		"too many calls":       {sandbox.APIFault{Kind: sandbox.FaultRateLimit, RetryAfter: 3 * time.Second}, providers.APIError{Status: 429, Retry: providers.RetryLater, After: 3 * time.Second}},
		"an error":             {sandbox.APIFault{Kind: sandbox.FaultError}, providers.APIError{Status: 500, Retry: providers.RetrySoon}},
		"a frozen shop":        {sandbox.APIFault{Kind: sandbox.FaultError, Status: 402}, providers.APIError{Status: 402, Retry: providers.RetryNever}},
		"half an answer":       {sandbox.APIFault{Kind: sandbox.FaultTruncate}, providers.APIError{Retry: providers.RetrySoon}},
	} {
		t.Run(name, func(t *testing.T) {
			c.fault.Next = 1
			require.NoError(t, s.SetFaults(sandbox.Faults{API: []sandbox.APIFault{c.fault}}))
			_, err := s.fetch(t, ref)
			failed, ok := errors.AsType[*providers.APIError](err)
			require.True(t, ok, err)
			failed.Provider, failed.Op, failed.Err = "", "", nil
			require.Equal(t, c.want, *failed)
			_, err = s.fetch(t, ref)
			require.NoError(t, err, "it strikes once")
		})
	}
	require.Error(t, s.SetFaults(sandbox.Faults{API: []sandbox.APIFault{{Kind: sandbox.FaultLockTimeout}}}))
}
