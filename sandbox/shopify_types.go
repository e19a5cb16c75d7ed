package sandbox

import (
	"slices"
	"strings"
)

// shopifyKind describes one type of Shopify's objects.
type shopifyKind struct {
	resource string   // in topics
	gid      string   // in ids
	field    string   // of a query that returns it
	needs    []string // the objects it cannot be without, by type
}

var shopifyKinds = map[string]shopifyKind{
	"collection":     {"collections", "Collection", "collection", nil},
	"customer":       {"customers", "Customer", "customer", nil},
	"draft_order":    {"draft_orders", "DraftOrder", "draftOrder", []string{"customer"}},
	"inventory_item": {"inventory_items", "InventoryItem", "inventoryItem", nil},
	"location":       {"locations", "Location", "location", nil},
	"order":          {"orders", "Order", "order", []string{"customer"}},
	"product":        {"products", "Product", "product", nil},
	"refund":         {"refunds", "Refund", "refund", []string{"order"}},
	"variant":        {"variants", "ProductVariant", "productVariant", []string{"product"}},
}

// shopifyKindOf returns how the sandbox makes objects of a type. One that is not
// listed is called as in its topic, and no query returns it.
func shopifyKindOf(typ string) shopifyKind {
	if kind, ok := shopifyKinds[typ]; ok {
		return kind
	}
	return shopifyKind{resource: typ, gid: typ}
}

func (k shopifyKind) globalID(id string) string { return "gid://shopify/" + k.gid + "/" + id }

// splitShopifyTopic returns the type of the object that a topic is about, and
// what happens to it; nothing when the topic is not made of both.
func splitShopifyTopic(topic string) (kind, verb string) {
	resource, verb, ok := strings.Cut(topic, "/")
	if !ok || resource == "" || verb == "" {
		return "", ""
	}
	for typ, k := range shopifyKinds {
		if k.resource == resource {
			return typ, verb
		}
	}
	return resource, verb
}

// shopifyCompliance are the topics about what an app knows.
var shopifyCompliance = []string{"customers/data_request", "customers/redact", "shop/redact"}

// shopifyEffects says what a topic means for its object's members. Topics that
// are not listed change nothing but the version.
var shopifyEffects = map[string]func(o fields, now string){
	"customers/disable":          func(o fields, _ string) { o["state"] = "DISABLED" },
	"customers/enable":           func(o fields, _ string) { o["state"] = "ENABLED" },
	"locations/activate":         func(o fields, _ string) { o["isActive"], o["deactivatedAt"] = true, nil },
	"locations/deactivate":       func(o fields, now string) { o["isActive"], o["deactivatedAt"] = false, now },
	"orders/cancelled":           func(o fields, now string) { o["cancelledAt"], o["cancelReason"] = now, "CUSTOMER" },
	"orders/fulfilled":           func(o fields, _ string) { o["displayFulfillmentStatus"] = "FULFILLED" },
	"orders/paid":                func(o fields, _ string) { o["displayFinancialStatus"] = "PAID" },
	"orders/partially_fulfilled": func(o fields, _ string) { o["displayFulfillmentStatus"] = "PARTIALLY_FULFILLED" },
	"variants/in_stock":          func(o fields, _ string) { o["inventoryQuantity"], o["availableForSale"] = 10, true },
	"variants/out_of_stock":      func(o fields, _ string) { o["inventoryQuantity"], o["availableForSale"] = 0, false },
}

func (shopify) knows(topic string) bool {
	if shopifyEffects[topic] != nil || slices.Contains(shopifyCompliance, topic) {
		return true
	}
	kind, verb := splitShopifyTopic(topic)
	update := "update"
	switch kind {
	case "order":
		update = "updated"
	case "refund":
		return verb == "create"
	case "variant":
		return false // but for the effects
	}
	_, listed := shopifyKinds[kind]
	return listed && slices.Contains([]string{"create", update, "delete"}, verb)
}
