package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// ShopifyShop is the shop that the sandbox plays: a source of it declares it as
// its settings.shop.
const ShopifyShop = "surehook-dev.myshopify.com"

// shopifyAPIVersion is the version of the Admin API whose members the templates have.
const shopifyAPIVersion = "2026-07"

// NewShopify returns a fake of Shopify with one shop.
//
// Its objects are as the Admin GraphQL API shows them; a webhook's body is made
// of the same members in the form of the older REST resources. Objects show
// their version as the member sandboxVersion, which Shopify's do not have;
// updatedAt has whole seconds there and here.
func NewShopify(cfg PlatformConfig) *Platform {
	return newPlatform(cfg, shopify{})
}

type shopify struct{}

func (shopify) name() string { return "shopify" }

func (shopify) parent(string) string { return "" }

func (s shopify) api() api { return s }

func (shopify) faultKinds() []FaultKind {
	return []FaultKind{FaultLatency, FaultHang, FaultError, FaultTruncate, FaultRateLimit, FaultThrottle}
}

// layout is none: Shopify's API answers in one line.
func (shopify) layout(state json.RawMessage) []byte { return state }

func (shopify) stamp(state fields, version int64, now time.Time) {
	state["sandboxVersion"] = version
	state["updatedAt"] = shopifyTime(now)
}

func shopifyTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func (s shopify) create(t *tx, typ string, set fields) (providers.Ref, error) {
	kind := shopifyKindOf(typ)
	vars := fields{"now": shopifyTime(t.now), "n": int(t.p.ids.next("number " + typ)), "shop": ShopifyShop}
	for _, need := range kind.needs {
		ref, err := s.create(t, need, nil)
		if err != nil {
			return providers.Ref{}, err
		}
		vars[need] = shopifyKindOf(need).globalID(ref.ID)
	}
	id, ok := set["legacyResourceId"].(string)
	if !ok {
		id = "7" + t.p.ids.draw("id", "0123456789", 12) // as long as Shopify's
	}
	vars["id"], vars["gid"] = id, kind.globalID(id)
	name := "shopify/" + typ
	if !hasTemplate(name) {
		name = "shopify/generic"
	}
	state, err := fill(name, vars, set)
	if err != nil {
		return providers.Ref{}, err
	}
	ref := providers.Ref{Type: typ, ID: id}
	return ref, t.put(ref, []string{shopifyPath(kind.globalID(id))}, state)
}

func (s shopify) happen(t *tx, typ string, on providers.Ref, set fields) (occurrence, error) {
	kind, verb := splitShopifyTopic(typ)
	switch {
	case kind == "":
		return occurrence{}, fmt.Errorf("shopify: event type %q: want <resource>/<verb>", typ)
	case slices.Contains(shopifyCompliance, typ):
		return s.complianceRequest(t, typ, on)
	}
	on, created, err := t.subject(typ, kind, on, set)
	if err != nil {
		return occurrence{}, err
	}
	what := occurrence{Type: typ, Ref: on}
	if created && verb == "create" {
		what.After, err = t.state(on)
	} else {
		what.After, err = t.change(on, func(o fields) {
			if effect := shopifyEffects[typ]; effect != nil {
				effect(o, shopifyTime(t.now))
			}
			maps.Copy(o, set)
		})
	}
	if err == nil && verb == "delete" {
		err = t.remove(on)
	}
	return what, err
}

// complianceRequest asks for, or to erase, what is known of a customer or of the
// shop. It changes nothing at Shopify.
func (s shopify) complianceRequest(t *tx, typ string, on providers.Ref) (occurrence, error) {
	body := fields{"shop_id": 954889, "shop_domain": ShopifyShop}
	if typ == "shop/redact" {
		return occurrence{Type: typ, After: body}, nil
	}
	if on.IsZero() {
		var err error
		if on, err = s.create(t, "customer", nil); err != nil {
			return occurrence{}, err
		}
	}
	state, err := t.state(on)
	if err != nil {
		return occurrence{}, err
	}
	customer := restOf(state)
	body["customer"] = fields{"id": customer["id"], "email": customer["email"], "phone": customer["phone"]}
	if typ == "customers/redact" {
		body["orders_to_redact"] = []any{}
	} else {
		body["orders_requested"], body["data_request"] = []any{}, fields{"id": t.p.ids.next("data_request")}
	}
	return occurrence{Type: typ, After: body}, nil
}

func (s shopify) webhook(t *tx, what occurrence) (webhook, error) {
	body := what.After
	if !what.Ref.IsZero() {
		kind, verb := splitShopifyTopic(what.Type)
		if what.Ref.Type != kind {
			return webhook{}, fmt.Errorf("shopify: %s is no event about %s", what.Type, what.Ref)
		}
		body = restOf(what.After)
		if verb == "delete" {
			body = fields{"id": body["id"]} // there is no more to say of it
		}
	}
	body = maps.Clone(body)
	maps.Copy(body, what.Envelope)
	raw, err := encode(body)
	if err != nil {
		return webhook{}, err
	}
	id := t.p.ids.guid("webhook")
	header := http.Header{}
	for name, value := range map[string]string{
		"Content-Type":           "application/json",
		"User-Agent":             "Shopify-Captain-Hook",
		"X-Shopify-Topic":        what.Type,
		"X-Shopify-Shop-Domain":  ShopifyShop,
		"X-Shopify-Api-Version":  shopifyAPIVersion,
		"X-Shopify-Webhook-Id":   id,
		"X-Shopify-Event-Id":     t.p.ids.guid("event"),
		"X-Shopify-Triggered-At": t.now.UTC().Format("2006-01-02T15:04:05.000000000Z"),
	} {
		header.Set(name, value)
	}
	return webhook{ID: id, Type: what.Type, Header: header, Body: raw}, nil
}

// restOf writes an object of the GraphQL API as the REST resource that webhooks
// carry: ids as numbers, names in snake case, amounts of money and lists of tags
// as texts, references as ids.
func restOf(state fields) fields {
	rest := fields{"admin_graphql_api_id": state["id"], "id": json.Number(plain(state["legacyResourceId"]))}
	for name, value := range state {
		if name == "id" || name == "legacyResourceId" {
			continue
		}
		name, value = restMember(snakeCase(name), value)
		rest[name] = value
	}
	return rest
}

func restMember(name string, value any) (string, any) {
	switch v := value.(type) {
	case []any:
		var tags []string
		for _, tag := range v {
			tags = append(tags, fmt.Sprint(tag))
		}
		return name, strings.Join(tags, ", ")
	case fields:
		switch {
		case v["shopMoney"] != nil:
			money, _ := v["shopMoney"].(fields)
			return strings.TrimSuffix(name, "_set"), money["amount"]
		case v["emailAddress"] != nil:
			return "email", v["emailAddress"]
		case v["phoneNumber"] != nil:
			return "phone", v["phoneNumber"]
		case v["nodes"] != nil:
			return name, restList(v["nodes"])
		case v["id"] != nil:
			gid := fmt.Sprint(v["id"])
			id, err := strconv.ParseInt(gid[strings.LastIndexByte(gid, '/')+1:], 10, 64)
			if err != nil {
				return name, v
			}
			return name, fields{"id": id, "admin_graphql_api_id": gid}
		}
	}
	if status, ok := strings.CutPrefix(name, "display_"); ok && strings.HasSuffix(status, "_status") {
		return status, strings.ToLower(fmt.Sprint(value))
	}
	return name, value
}

// restList writes the members of a connection.
func restList(nodes any) []any {
	list := []any{}
	of, _ := nodes.([]any)
	for _, node := range of {
		if state, ok := node.(fields); ok {
			_, one := restMember("", fields{"id": state["id"]})
			rest, _ := one.(fields)
			for name, value := range state {
				if name != "id" {
					rest[snakeCase(name)] = value
				}
			}
			list = append(list, rest)
		}
	}
	return list
}

func snakeCase(name string) string {
	var b strings.Builder
	for _, c := range name {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}
