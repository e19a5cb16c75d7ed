package shopify

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// resource says which object a webhook's body is about.
type resource struct {
	kind string // of the ref; a key of kinds when it can be fetched
	id   func(payload) string
}

// byTopic lists the resources by what stands before the slash of their topics
// (https://shopify.dev/docs/api/webhooks). The body is the whole ref of all
// others: they are called as in the topic, by their id if they have one.
var byTopic = map[string]resource{
	"collections":      {"collection", payload.ownID},
	"customer":         {"customer", payload.customerID}, // customer.tags_added and the like
	"customers":        {"customer", payload.ownID},
	"draft_orders":     {"draft_order", payload.ownID},
	"fulfillments":     {"fulfillment", payload.ownID},
	"inventory_items":  {"inventory_item", payload.ownID},
	"inventory_levels": {"inventory_level", payload.levelID},
	"locations":        {"location", payload.ownID},
	"orders":           {"order", payload.orderID},
	"products":         {"product", payload.ownID},
	"refunds":          {"refund", payload.ownID},
	"variants":         {"variant", payload.ownID},
}

// compliance are the topics by which Shopify asks an app to hand out or to
// erase what it knows. They are requests and no objects, so they have no ref: a
// record of one would keep the personal data that it asks to erase.
//
// Source: shopify.dev/docs/apps/build/compliance/privacy-law-compliance.
var compliance = map[string]bool{"customers/data_request": true, "customers/redact": true, "shop/redact": true}

// payload are the members of a webhook's body that say what it is about. They
// have any type, because topics that nobody has heard of may use their names.
type payload struct {
	ID              jsontext.Value `json:"id"`
	GID             jsontext.Value `json:"admin_graphql_api_id"`
	OrderID         jsontext.Value `json:"order_id"`
	OrderGID        jsontext.Value `json:"admin_graphql_api_order_id"`
	CustomerID      jsontext.Value `json:"customer_id"`
	CustomerGID     jsontext.Value `json:"customerId"`
	InventoryItemID jsontext.Value `json:"inventory_item_id"`
	LocationID      jsontext.Value `json:"location_id"`
	Test            jsontext.Value `json:"test"`
	ShopDomain      jsontext.Value `json:"shop_domain"`
	MyshopifyDomain jsontext.Value `json:"myshopify_domain"`
	OrderEdit       jsontext.Value `json:"order_edit"`
}

func (b payload) ownID() string { return text(b.ID) }

// orderID also finds the order in the few topics whose body is not the order.
func (b payload) orderID() string {
	var edit struct {
		OrderID jsontext.Value `json:"order_id"`
	}
	if providers.ReadJSON(b.OrderEdit, &edit) != nil {
		edit.OrderID = nil
	}
	return cmp.Or(text(edit.OrderID), text(b.ID), text(b.OrderID), strings.TrimPrefix(text(b.OrderGID), gidPrefix+"Order/"))
}

// customerID finds the customer in bodies that tell what happened to one.
func (b payload) customerID() string {
	return cmp.Or(strings.TrimPrefix(text(b.CustomerGID), gidPrefix+"Customer/"), text(b.CustomerID))
}

// levelID names a stock level as both of what its bodies always name.
func (b payload) levelID() string {
	item, location := text(b.InventoryItemID), text(b.LocationID)
	if item == "" || location == "" {
		return ""
	}
	return item + "-" + location
}

// readWebhook reads a delivery whose body is the resource that it is about.
func readWebhook(body []byte, said labels) (providers.Event, error) {
	var b payload
	if err := providers.ReadJSON(body, &b); err != nil {
		return providers.Event{}, err
	}
	topic := said[labelTopic]
	if err := b.ofShop(topic, said[labelShop]); err != nil {
		return providers.Event{}, malformed(err)
	}
	ref, err := b.ref(topic)
	if err != nil {
		return providers.Event{}, malformed(err)
	}
	return providers.Event{
		Type:    topic,
		Ref:     ref,
		Mode:    b.mode(topic),
		Deleted: strings.HasSuffix(topic, "/delete") || topic == "inventory_levels/disconnect",
	}, nil
}

// ofShop refuses a body that names another shop than the header does. Few
// bodies name any.
func (b payload) ofShop(topic, shop string) error {
	named := text(b.MyshopifyDomain)
	if compliance[topic] {
		named = text(b.ShopDomain)
	}
	if named != "" && named != shop {
		return errors.New("the body names another shop than the header X-Shopify-Shop-Domain")
	}
	return nil
}

// payloadIDs are the ids of what cannot be fetched: numbers, tokens, and
// GraphQL's ids.
var payloadIDs = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_.:/?=-]{0,199}$`)

// ref names the object. An event about one that can be fetched, but that does
// not name it or names it as something else, is malformed.
func (b payload) ref(topic string) (providers.Ref, error) {
	if compliance[topic] {
		return providers.Ref{}, nil
	}
	word := topic[:strings.IndexAny(topic, "/.")]
	about, listed := byTopic[word]
	if !listed {
		about = resource{word, payload.ownID}
	}
	ref := providers.Ref{Type: about.kind, ID: about.id(b)}
	kind, fetchable := kinds[about.kind]
	switch {
	case !fetchable && !payloadIDs.MatchString(ref.ID):
		return providers.Ref{}, nil
	case !fetchable:
		return ref, nil
	case !ids.MatchString(ref.ID):
		return providers.Ref{}, fmt.Errorf("the body does not name its %s", about.kind)
	}
	if gid := text(b.GID); gid != "" && gid != kind.globalID(ref.ID) {
		return providers.Ref{}, fmt.Errorf("the body is no %s, as the header X-Shopify-Topic says", about.kind)
	}
	return ref, nil
}

// mode reads the mark of an order that was placed with a test gateway.
func (b payload) mode(topic string) providers.Mode {
	if !strings.HasPrefix(topic, "orders/") {
		return providers.ModeUnknown
	}
	switch b.Test.Kind() {
	case jsontext.KindTrue:
		return providers.ModeTest
	case jsontext.KindFalse:
		return providers.ModeLive
	default:
		return providers.ModeUnknown
	}
}
