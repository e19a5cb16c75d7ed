package sandbox

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"time"
)

// shopifyConnections are the fields of a query that list objects, with the type
// of these, where the sandbox has any.
var shopifyConnections = map[string]string{
	"collections": "collection", "customers": "customer", "draftOrders": "draft_order",
	"inventoryItems": "inventory_item", "orders": "order", "products": "product", "productVariants": "variant",
}

var (
	shopifyConnection = regexp.MustCompile(`\{\s*([a-zA-Z]+)\(first: ([0-9]{1,4}), after: \$after, query: \$query(?:, sortKey: (UPDATED_AT|ID))?\)`)
	shopifyFilter     = regexp.MustCompile(`^updated_at:>='([^']+)'$`)
)

// maxShopifyPage is the most that a connection returns.
const maxShopifyPage = 250

// shopifyPlace is where a page begins: after an object, in the order of the list.
type shopifyPlace struct {
	LastID    string `json:"last_id"`
	LastValue string `json:"last_value"`
}

func (at shopifyPlace) compare(other shopifyPlace) int {
	return cmp.Or(cmp.Compare(at.LastValue, other.LastValue), cmp.Compare(len(at.LastID), len(other.LastID)), cmp.Compare(at.LastID, other.LastID))
}

func (at shopifyPlace) cursor() (string, error) {
	raw, err := encode(at)
	return base64.StdEncoding.EncodeToString(raw), err
}

// list answers a query of a connection. As for a single object, the nodes hold
// all that is known of them, whichever members the query asks for.
func (shopify) list(t *tx, r *http.Request, _ []byte) (*answer, bool) {
	call, ok := readShopifyCall(r)
	asked := shopifyConnection.FindStringSubmatch(call.Query)
	if !ok || asked == nil {
		return nil, false
	}
	typ, listed := shopifyConnections[asked[1]]
	if !listed {
		return shopifyErrors("Field '"+asked[1]+"' doesn't exist on type 'QueryRoot'", "undefinedField", nil), true
	}
	first, after, since, refused := call.page(asked[2])
	if refused != nil {
		return refused, true
	}
	found := t.shopifyObjects(typ, since, asked[3] == "UPDATED_AT")
	begin, _ := slices.BinarySearchFunc(found, after, func(o shopifyListed, at shopifyPlace) int {
		if o.place.compare(at) <= 0 {
			return -1
		}
		return 1
	})
	end := min(begin+first, len(found))
	return shopifyPage(asked[1], found[begin:end], end < len(found)), true
}

// page reads what a call asks for: how many, after which place, changed since
// when; or returns the error that Shopify answers.
func (c shopifyCall) page(size string) (first int, after shopifyPlace, since time.Time, refused *answer) {
	if json.Unmarshal([]byte(size), &first) != nil || first < 1 || first > maxShopifyPage {
		return 0, after, since, shopifyErrors("The first argument must be between 1 and 250.", "argumentLiteralsIncompatible", nil)
	}
	if c.Variables.After != "" {
		raw, err := base64.StdEncoding.DecodeString(c.Variables.After)
		if err != nil || json.Unmarshal(raw, &after) != nil {
			return 0, after, since, shopifyErrors("Invalid cursor for current pagination sort.", "", nil)
		}
	}
	if filter := shopifyFilter.FindStringSubmatch(c.Variables.Query); filter != nil {
		// Shopify leaves out a filter that it cannot read, and says so in a warning.
		since, _ = time.Parse(time.RFC3339, filter[1])
	}
	return first, after, since, nil
}

// shopifyListed is an object with its place in a list.
type shopifyListed struct {
	body  json.RawMessage
	place shopifyPlace
}

// shopifyObjects returns the objects of a type that were changed then or later,
// by their change or by their id.
func (t *tx) shopifyObjects(typ string, since time.Time, byChange bool) []shopifyListed {
	var found []shopifyListed
	for ref, o := range t.p.objects {
		if ref.Type != typ || o.Deleted || o.ChangedAt.Truncate(time.Second).Before(since) {
			continue
		}
		place := shopifyPlace{LastID: ref.ID}
		if byChange {
			place.LastValue = shopifyTime(o.ChangedAt)
		}
		found = append(found, shopifyListed{o.body, place})
	}
	slices.SortFunc(found, func(a, b shopifyListed) int { return a.place.compare(b.place) })
	return found
}

func shopifyPage(field string, found []shopifyListed, more bool) *answer {
	nodes := make([]any, 0, len(found))
	for _, o := range found {
		nodes = append(nodes, o.body)
	}
	info := fields{"hasNextPage": more, "endCursor": nil}
	if len(found) > 0 {
		end, err := found[len(found)-1].place.cursor()
		if err != nil {
			return shopifyErrors("Internal error", "INTERNAL_SERVER_ERROR", nil)
		}
		info["endCursor"] = end
	}
	cost := len(found) + 2
	return shopifyAnswer(http.StatusOK, fields{
		"data":       fields{field: fields{"nodes": nodes, "pageInfo": info}},
		"extensions": shopifyExtensions(cost, shopifyQuota-cost, cost),
	})
}
