package sandbox_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/shopify"
	"github.com/surehook/surehook/sandbox"
)

func openShopLists(t *testing.T) *listing[*shopify.Provider] {
	t.Helper()
	return openListing(t, "shopify", shopifyKey, func(cfg providers.APIConfig) (*shopify.Provider, error) {
		return shopify.New(cfg, shopify.Settings{Shop: sandbox.ShopifyShop})
	})
}

func TestShopifyListsEveryObjectOfAKindOverSeveralPages(t *testing.T) {
	w := openShopLists(t)
	for list, typ := range map[string]string{
		"order": "order", "customer": "customer", "product": "product", "draft-order": "draft_order",
		"collection": "collection", "inventory-item": "inventory_item", "variant": "variant",
	} {
		t.Run(list, func(t *testing.T) {
			var refs []providers.Ref
			for _, o := range w.Objects(typ) { // customers come with orders
				refs = append(refs, o.Ref)
			}
			refs = append(refs, w.create(t, typ, 260, nil)...)
			shown, pages := w.all(t, providers.ListQuery{List: list}, nil)
			require.Equal(t, once(sandbox.ShopifyShop, refs...), shown)
			require.Equal(t, (len(refs)+249)/250, pages)
		})
	}
}

func TestShopifyListsWhatWasChangedSince(t *testing.T) {
	w := openShopLists(t)
	refs := w.create(t, "order", 5, nil)
	since := w.now()
	w.change(t, refs[3])
	w.set(w.now().Add(time.Hour))
	w.change(t, refs[1])
	require.NoError(t, w.Delete(refs[0]))

	page := w.page(t, providers.ListQuery{List: "order", Since: since})
	require.Len(t, page.Objects, 2)
	require.Equal(t, refs[3].ID, page.Objects[0].Ref.ID, "in the order of the changes")
	for _, o := range page.Objects {
		w.asFetched(t, o)
	}
	require.Equal(t, w.told(t, "orders/updated", refs[3]), page.Objects[0].Ref, "as its webhook names it")

	shown, _ := w.all(t, providers.ListQuery{List: "order"}, nil)
	require.Equal(t, once(sandbox.ShopifyShop, refs[1:]...), shown, "a deleted object is not listed")
	shown, _ = w.all(t, providers.ListQuery{List: "order", Since: w.now().Add(time.Second)}, nil)
	require.Empty(t, shown)
}

// What changes moves to the end: it comes twice, and pushes nothing out of sight.
func TestShopifyObjectsThatChangeWhileAListIsReadHideNoOthers(t *testing.T) {
	w := openShopLists(t)
	refs := w.create(t, "product", 600, nil)
	shown, _ := w.all(t, providers.ListQuery{List: "product"}, func(shown []providers.Listed) {
		for _, o := range shown[:min(40, len(shown))] {
			if w.now().Before(time.Date(2026, 3, 4, 5, 20, 0, 0, time.UTC)) {
				w.set(w.now().Add(time.Second))
				w.change(t, o.Ref)
			}
		}
	})
	for _, ref := range refs {
		ref.Account = sandbox.ShopifyShop
		require.NotZero(t, shown[ref], ref)
	}
}

func TestShopifyDoesNotTakeACursorOfSomethingElse(t *testing.T) {
	w := openShopLists(t)
	_, err := w.provider.List(t.Context(), providers.ListQuery{List: "order", Cursor: sandbox.ShopifyShop + " nonsense"})
	require.ErrorIs(t, err, providers.ErrStaleCursor)
}

func TestShopifyThrottlesLists(t *testing.T) {
	w := openShopLists(t)
	require.NoError(t, w.SetFaults(sandbox.Faults{API: []sandbox.APIFault{
		{Path: "/orders", Kind: sandbox.FaultThrottle, Next: 1, RetryAfter: 3 * time.Second},
	}}))
	_, err := w.provider.List(t.Context(), providers.ListQuery{List: "order"})
	var failed *providers.APIError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, providers.RetryLater, failed.Retry)
	require.Equal(t, 3*time.Second, failed.After)
	require.Equal(t, 1, w.Calls("/orders"))
	w.page(t, providers.ListQuery{List: "order"})
}
