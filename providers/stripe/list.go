package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// eventList is the list of the events that Stripe could not deliver.
const eventList = "events"

// pageSize is the largest that Stripe allows.
const pageSize = 100

// objectLists are the lists of objects, in the order in which people are shown
// them: the types that most integrations keep records of. What Stripe cannot list
// by the time of creation (payment methods, quotes) is missing, and so are types
// of which an account has few.
var objectLists = []objectList{
	{name: "charge", objectType: "charge", event: "charge.succeeded"},
	{name: "checkout-session", objectType: "checkout.session", event: "checkout.session.completed"},
	{name: "credit-note", objectType: "credit_note", event: "credit_note.created"},
	{name: "customer", objectType: "customer", event: "customer.created"},
	{name: "dispute", objectType: "dispute", event: "charge.dispute.created"},
	{name: "invoice", objectType: "invoice", event: "invoice.created"},
	{name: "invoiceitem", objectType: "invoiceitem", event: "invoiceitem.created"},
	{name: "payment-intent", objectType: "payment_intent", event: "payment_intent.created"},
	{name: "payout", objectType: "payout", event: "payout.created"},
	{name: "price", objectType: "price", event: "price.created"},
	{name: "product", objectType: "product", event: "product.created"},
	{name: "refund", objectType: "refund", event: "refund.created"},
	{name: "setup-intent", objectType: "setup_intent", event: "setup_intent.created"},
	{name: "subscription", objectType: "subscription", event: "customer.subscription.created"},
	{name: "subscription-schedule", objectType: "subscription_schedule", event: "subscription_schedule.created"},
	{name: "transfer", objectType: "transfer", event: "transfer.created"},
}

type objectList struct {
	name       string
	objectType string
	event      string
}

// Lists implements providers.Lister.
func (p *Provider) Lists() []providers.List {
	lists := []providers.List{{Name: eventList}}
	for _, l := range objectLists {
		lists = append(lists, providers.List{Name: l.name, Event: l.event})
	}
	return lists
}

// List implements providers.Lister, for the account that the key belongs to.
//
// Stripe lists objects by when they were created, and has no other order: what
// changed of an older one is told by the list of events, by a backfill without a
// Since, or by fetching what was not seen for long. Deleted objects are not listed.
// The others come as a fetch returns them, since neither call asks for anything to
// be expanded (https://docs.stripe.com/api/pagination).
//
// The list of events goes back 30 days, whatever Since says, and shows those
// that Stripe still tries to deliver or has given up on, to any of the account's
// endpoints (https://docs.stripe.com/webhooks/process-undelivered-events). They
// need not be complete: now and then Stripe cannot make an event at all
// (https://docs.stripe.com/webhooks/handle-irrecoverable-events). Thin events are not
// among them.
func (p *Provider) List(ctx context.Context, q providers.ListQuery) (providers.Page, error) {
	if q.List == eventList {
		return p.listEvents(ctx, q)
	}
	for _, l := range objectLists {
		if l.name == q.List {
			return p.listObjects(ctx, q, l.objectType)
		}
	}
	return providers.Page{}, fmt.Errorf("%s: list %.50q: %w", name, q.List, providers.ErrNoSuchList)
}

func (p *Provider) listEvents(ctx context.Context, q providers.ListQuery) (providers.Page, error) {
	// The events come in the version of the API that they were made in, which an
	// endpoint with a version of its own need not be sent; their IDs are the same.
	answer, err := p.page(ctx, q, collections["event"], url.Values{"delivery_success": {"false"}})
	if err != nil {
		return providers.Page{}, err
	}
	page := providers.Page{Next: answer.next()}
	for _, entry := range answer.Data {
		page.Events = append(page.Events, providers.ListedEvent{
			ID: entry.ID,
			Request: func(context.Context) (providers.Request, error) {
				return providers.Request{
					Method:     http.MethodPost,
					Header:     http.Header{"Content-Type": {"application/json; charset=utf-8"}},
					Body:       entry.raw,
					ReceivedAt: unixTime(entry.Created),
				}, nil
			},
		})
	}
	return page, nil
}

func (p *Provider) listObjects(ctx context.Context, q providers.ListQuery, objectType string) (providers.Page, error) {
	params := url.Values{}
	if objectType == "subscription" {
		params.Set("status", "all") // else those that were canceled are missing
	}
	answer, err := p.page(ctx, q, collections[objectType], params)
	if err != nil {
		return providers.Page{}, err
	}
	page := providers.Page{Next: answer.next()}
	for _, entry := range answer.Data {
		ref := providers.Ref{Type: objectType, ID: entry.ID}
		if entry.Object != objectType {
			return providers.Page{}, answer.Unusable(providers.RetryNever, errors.New("a list of other objects"))
		}
		if _, err := pathOf(ref); err != nil {
			continue // users choose some IDs; an object that cannot be fetched has no state to compare
		}
		page.Objects = append(page.Objects, providers.Listed{Object: entry.objectOf(ref, entry.raw)})
	}
	return page, nil
}

// listAnswer is a page of any of Stripe's lists
// (https://docs.stripe.com/api/pagination).
type listAnswer struct {
	Object  string      `json:"object"`
	HasMore bool        `json:"has_more"`
	Data    []listEntry `json:"data"`

	providers.APIResponse `json:"-"`
}

// next is the cursor of the page after this one: the last object's ID.
func (a listAnswer) next() string {
	if !a.HasMore {
		return ""
	}
	return a.Data[len(a.Data)-1].ID
}

// listEntry is an event or object in a list, and its own JSON.
type listEntry struct {
	state
	raw []byte
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (e *listEntry) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	e.raw = raw.Clone()
	return providers.ReadJSON(e.raw, &e.state)
}

// page asks for a page of a collection.
func (p *Provider) page(ctx context.Context, q providers.ListQuery, collection string, params url.Values) (listAnswer, error) {
	params.Set("limit", strconv.Itoa(pageSize))
	if !q.Since.IsZero() {
		params.Set("created[gte]", strconv.FormatInt(q.Since.Unix(), 10))
	}
	if q.Cursor != "" {
		params.Set("starting_after", q.Cursor)
	}
	response, err := p.client.Get(ctx, "list "+q.List, collection+"?"+params.Encode(), p.header(collection, providers.Ref{}))
	switch {
	case err != nil && q.Cursor != "" && refusesCursor(response):
		return listAnswer{}, fmt.Errorf("%s: list %s: %w", name, q.List, providers.ErrStaleCursor)
	case err != nil:
		return listAnswer{}, err
	}
	answer := listAnswer{APIResponse: response}
	if err := response.ReadJSON(&answer); err != nil {
		return listAnswer{}, err
	}
	unnamed := slices.ContainsFunc(answer.Data, func(e listEntry) bool { return !isObjectID(e.ID) })
	if answer.Object != "list" || unnamed || answer.HasMore && len(answer.Data) == 0 {
		return listAnswer{}, answer.Unusable(providers.RetryNever, errors.New("answer is no list"))
	}
	return answer, nil
}

// refusesCursor reports whether Stripe no longer has the object that a page was
// to start after: it was deleted meanwhile.
func refusesCursor(r providers.APIResponse) bool {
	e := readError(r.Body).Error
	return e.Code == "resource_missing" && e.Param == "starting_after"
}
