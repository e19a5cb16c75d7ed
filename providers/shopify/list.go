package shopify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// list is a kind of object that the Admin API lists by what was changed since.
type list struct {
	name  string // of the list
	kind  string // of its refs; a key of kinds
	field string // the query's field that returns it, a connection
	sort  string // its further arguments
	event string // a topic that tells what it shows
}

// lists are those whose connections can be filtered by updated_at. Locations
// cannot; fulfillments and refunds are found within their orders only.
//
// The order of changes cannot lose an object that changes while it is read,
// since that only moves towards the end; neither can the order of ids, in which
// it stays where it is.
//
// Source: shopify.dev/docs/api/admin-graphql/2026-07/queries/orders, and so on.
var lists = []list{
	{"order", "order", "orders", ", sortKey: UPDATED_AT", "orders/updated"},
	{"customer", "customer", "customers", ", sortKey: UPDATED_AT", "customers/update"},
	{"product", "product", "products", ", sortKey: UPDATED_AT", "products/update"},
	{"draft-order", "draft_order", "draftOrders", ", sortKey: UPDATED_AT", "draft_orders/update"},
	{"collection", "collection", "collections", ", sortKey: UPDATED_AT", "collections/update"},
	{"variant", "variant", "productVariants", ", sortKey: ID", "variants/in_stock"},
	{"inventory-item", "inventory_item", "inventoryItems", "", "inventory_items/update"},
}

// query asks for a page of 250, which is the most that Shopify gives. It asks
// for nothing but what tells whether we have the object as it is: a query is
// paid for by what it may return, and 250 whole orders would cost several times
// the 1,000 points that one query may.
//
// Source: shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits.
func (l list) query() string {
	return "query List($after: String, $query: String) { " + l.field + "(first: 250, after: $after, query: $query" + l.sort + ") " +
		"{ nodes { id updatedAt } pageInfo { hasNextPage endCursor } } }"
}

type listVariables struct {
	After *string `json:"after"`
	Query *string `json:"query"`
}

// Lists returns the lists of objects that Shopify can tell the changes of, for a
// source that declares a shop.
func (p *Provider) Lists() []providers.List {
	if len(p.domains) == 0 {
		return nil
	}
	all := make([]providers.List, 0, len(lists))
	for _, l := range lists {
		all = append(all, providers.List{Name: l.name, Event: l.event})
	}
	return all
}

// List returns a page of what was changed in one of the shops, by ids and times
// of change. The shops are read one after the other. What was deleted is not
// listed, and without read_all_orders neither is an order older than 60 days.
//
// The list is that of a search index, which may lag behind: a lookback has to be
// longer than that.
func (p *Provider) List(ctx context.Context, q providers.ListQuery) (providers.Page, error) {
	i := slices.IndexFunc(lists, func(l list) bool { return l.name == q.List })
	if i < 0 || len(p.domains) == 0 {
		return providers.Page{}, fmt.Errorf("%s: list %.50q: %w", name, q.List, providers.ErrNoSuchList)
	}
	l := lists[i]
	domain, after, err := p.domains.At(q.Cursor)
	if err != nil {
		return providers.Page{}, fmt.Errorf("%s: list %s: %w", name, l.name, err)
	}
	at := position{domain, after}
	op := "list " + l.name + " of " + at.domain
	answer, err := p.ask(ctx, op, p.shops[at.domain], call{Query: l.query(), Variables: at.variables(q.Since)})
	if err != nil {
		return providers.Page{}, err
	}
	found, err := at.readConnection(l, answer)
	if err != nil {
		return providers.Page{}, err
	}
	objects, err := found.objects(kinds[l.kind], providers.Ref{Type: l.kind, Account: at.domain})
	if err != nil {
		return providers.Page{}, answer.Unusable(providers.RetryNever, err)
	}
	next, err := p.after(at, found)
	if err != nil {
		return providers.Page{}, answer.Unusable(providers.RetrySoon, err)
	}
	return providers.Page{Objects: objects, Next: next}, nil
}

// position is where a page is: in a shop, after Shopify's own cursor.
type position struct{ domain, after string }

func (at position) variables(since time.Time) listVariables {
	v := listVariables{}
	if at.after != "" {
		v.After = &at.after
	}
	if !since.IsZero() {
		query := "updated_at:>='" + since.UTC().Format(time.RFC3339) + "'"
		v.Query = &query
	}
	return v
}

// after is the cursor of the page after the one at a position. One that does not
// lead on would be followed for ever.
func (p *Provider) after(at position, c connection) (string, error) {
	if !c.PageInfo.HasNextPage {
		return p.domains.Next(at.domain, ""), nil
	}
	if c.PageInfo.EndCursor == "" || c.PageInfo.EndCursor == at.after {
		return "", errors.New("answer has another page, but no cursor that leads there")
	}
	return p.domains.Next(at.domain, c.PageInfo.EndCursor), nil
}

// connection is a page as GraphQL writes it.
type connection struct {
	Nodes    []jsontext.Value `json:"nodes"`
	PageInfo struct {
		HasNextPage bool   `json:"hasNextPage"`
		EndCursor   string `json:"endCursor"`
	} `json:"pageInfo"`
}

// staleCursor begins what Shopify says of a cursor that it does not take. The
// error has no code of its own.
const staleCursor = "Invalid cursor"

func (at position) readConnection(l list, answer providers.APIResponse) (connection, error) {
	var r response
	if err := answer.ReadJSON(&r); err != nil {
		return connection{}, err
	}
	for _, e := range readErrors(r.Errors) {
		if at.after != "" && strings.HasPrefix(e.Message, staleCursor) {
			return connection{}, fmt.Errorf("%s: list %s: %w", name, l.name, providers.ErrStaleCursor)
		}
	}
	value, err := r.field(l.field, answer)
	if err != nil {
		return connection{}, err
	}
	var c connection
	if value.Kind() != jsontext.KindBeginObject {
		return connection{}, answer.Unusable(providers.RetrySoon, errors.New("answer has no "+l.field))
	}
	if err := providers.ReadJSON(value, &c); err != nil {
		return connection{}, answer.Unusable(providers.RetryNever, err)
	}
	return c, nil
}

// objects are the listed ones, named as webhooks name them.
func (c connection) objects(k kind, like providers.Ref) ([]providers.Listed, error) {
	objects := make([]providers.Listed, 0, len(c.Nodes))
	for _, state := range c.Nodes {
		var node struct {
			ID        string `json:"id"`
			UpdatedAt string `json:"updatedAt"`
		}
		ref := like
		if err := providers.ReadJSON(state, &node); err == nil {
			ref.ID = k.localID(node.ID)
		}
		if ref.ID == "" {
			return nil, errors.New("answer lists something else")
		}
		objects = append(objects, providers.Listed{
			Object:  providers.Object{Ref: ref, State: []byte(state), UpdatedAt: moment(node.UpdatedAt)},
			Partial: true,
		})
	}
	return objects, nil
}
