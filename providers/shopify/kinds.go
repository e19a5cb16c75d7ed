package shopify

import (
	"regexp"
	"strings"
)

// ids are the ids of fetchable objects: those of the REST resources, which are
// the last part of the ids of GraphQL.
var ids = regexp.MustCompile(`^[1-9][0-9]{0,19}$`)

// gidPrefix begins every id of the Admin API.
const gidPrefix = "gid://shopify/"

// kind is a kind of object that the Admin API returns by its id.
type kind struct {
	gid    string // its type in ids
	field  string // the query's field that returns it, with the argument id
	fields string // what is asked of it besides the fields that all have
}

func (k kind) globalID(id string) string { return gidPrefix + k.gid + "/" + id }

// localID is the part of a global id that refs hold, or nothing when it is
// another kind's.
func (k kind) localID(gid string) string {
	id, ok := strings.CutPrefix(gid, k.globalID(""))
	if !ok || !ids.MatchString(id) {
		return ""
	}
	return id
}

// query asks for one object. What it asks for never depends on an event.
func (k kind) query() string {
	return "query Fetch($id: ID!) { " + k.field + "(id: $id) { id legacyResourceId updatedAt " + k.fields + " } }"
}

const money = "{ shopMoney { amount currencyCode } }"

// kinds are the fetchable ones, by the type of their refs. The record is what
// is asked for here: all plain fields, and references as ids. A list has at
// most 50 members, because each one is paid for out of the shop's quota; where
// hasNextPage is true, it is not whole.
//
// Source: shopify.dev/docs/api/admin-graphql/2026-07/queries.
var kinds = map[string]kind{
	"collection": {"Collection", "collection", "title handle descriptionHtml sortOrder templateSuffix"},
	"customer": {"Customer", "customer", "createdAt displayName firstName lastName defaultEmailAddress { emailAddress marketingState } " +
		"defaultPhoneNumber { phoneNumber } numberOfOrders amountSpent { amount currencyCode } " +
		"state verifiedEmail taxExempt locale tags note"},
	"draft_order": {"DraftOrder", "draftOrder", "createdAt name status email phone currencyCode invoiceSentAt completedAt tags note2 " +
		"taxExempt totalPriceSet " + money + " subtotalPriceSet " + money + " totalTaxSet " + money +
		" customer { id } order { id }"},
	"fulfillment": {"Fulfillment", "fulfillment", "createdAt name status displayStatus estimatedDeliveryAt inTransitAt deliveredAt " +
		"totalQuantity requiresShipping trackingInfo { company number url } order { id } location { id }"},
	"inventory_item": {"InventoryItem", "inventoryItem", "createdAt sku tracked requiresShipping countryCodeOfOrigin " +
		"harmonizedSystemCode unitCost { amount currencyCode }"},
	"location": {"Location", "location", "createdAt name isActive fulfillsOnlineOrders shipsInventory hasActiveInventory " +
		"deactivatedAt address { address1 address2 city provinceCode countryCode zip phone }"},
	"order": {"Order", "order", "createdAt name email phone test confirmed currencyCode presentmentCurrencyCode " +
		"displayFinancialStatus displayFulfillmentStatus processedAt closedAt cancelledAt cancelReason tags note " +
		"currentTotalPriceSet " + money + " totalPriceSet " + money + " subtotalPriceSet " + money +
		" totalTaxSet " + money + " totalRefundedSet " + money + " customer { id } " +
		"lineItems(first: 50) { nodes { id name sku quantity currentQuantity } pageInfo { hasNextPage } }"},
	"product": {"Product", "product", "createdAt title handle status vendor productType descriptionHtml tags publishedAt totalInventory " +
		"variants(first: 50) { nodes { id title sku price inventoryQuantity } pageInfo { hasNextPage } }"},
	"refund": {"Refund", "refund", "createdAt note totalRefundedSet " + money + " order { id }"},
	"variant": {"ProductVariant", "productVariant", "createdAt title displayName sku barcode price compareAtPrice position " +
		"availableForSale inventoryPolicy inventoryQuantity taxable product { id } inventoryItem { id }"},
}
