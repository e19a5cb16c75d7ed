package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// hookDelivery is one attempt of a hook to deliver an event. All attempts of one
// event have its GUID, which is the event's ID.
type hookDelivery struct {
	ID          int64     `json:"id"`
	GUID        string    `json:"guid"`
	DeliveredAt time.Time `json:"delivered_at"`
	Event       string    `json:"event"`
}

func (d hookDelivery) isUsable() bool {
	return d.ID > 0 && deliveryIDs.MatchString(d.GUID) && !d.DeliveredAt.IsZero()
}

// listDeliveries lists what the hooks have sent or tried to send, the newest
// first. GitHub keeps it for three days (Enterprise Server for seven), whatever
// Since says.
//
// It lists what was answered with success, too: our inbox knows better than
// GitHub's log whether we have an event. So it does not matter either that the
// attempts of one event can be on two pages, or that another endpoint stood
// behind the same address.
//
// Source: docs.github.com/rest/repos/webhooks#list-deliveries-for-a-repository-webhook.
func (p *Provider) listDeliveries(ctx context.Context, q providers.ListQuery) (providers.Page, error) {
	at, err := readPlace(q.Cursor, p.hookPaths)
	if err != nil {
		return providers.Page{}, fmt.Errorf("%s: list %s: %w", name, q.List, err)
	}
	r, err := p.get(ctx, q.List, at.in+"/deliveries", at, nil)
	if err != nil {
		return providers.Page{}, err
	}
	var deliveries []hookDelivery
	if err := r.ReadJSONArray(&deliveries); err != nil {
		return providers.Page{}, err
	}
	link, err := linked(r)
	if err != nil {
		return providers.Page{}, err
	}
	since := q.Since.Truncate(time.Second) // as precise as GitHub's times
	seen := map[string]bool{}
	var page providers.Page
	for _, d := range deliveries {
		if !d.isUsable() {
			return providers.Page{}, r.Unusable(providers.RetryNever, errors.New("a delivery without id, guid or time"))
		}
		before := d.DeliveredAt.Before(since)
		if before {
			link = nil // the next page is older still
		}
		if before || d.Event == pingEvent || seen[d.GUID] {
			continue
		}
		seen[d.GUID] = true
		page.Events = append(page.Events, providers.ListedEvent{ID: d.GUID, Request: p.delivered(at.in, d)})
	}
	page.Next = p.hookPaths.Next(at.in, link.Encode())
	return page, nil
}

// delivered asks for what a delivery sent.
func (p *Provider) delivered(hook string, d hookDelivery) func(context.Context) (providers.Request, error) {
	return func(ctx context.Context) (providers.Request, error) {
		path := hook + "/deliveries/" + strconv.FormatInt(d.ID, 10)
		r, err := p.client.Get(ctx, "fetch delivery "+d.GUID, path, p.header(""))
		if r.Status == http.StatusNotFound {
			return providers.Request{}, fmt.Errorf("%s: delivery %s: %w", name, d.GUID, providers.ErrNotFound)
		}
		if err != nil {
			return providers.Request{}, err
		}
		return readDelivery(r, d)
	}
}

// readDelivery makes the request that was sent of what GitHub's log has of it.
// The log shows the payload of hooks that send forms as JSON as well. Its bytes
// need not be those that were signed.
//
// Source: docs.github.com/rest/repos/webhooks#get-a-delivery-for-a-repository-webhook.
func readDelivery(r providers.APIResponse, d hookDelivery) (providers.Request, error) {
	var sent struct {
		GUID    string `json:"guid"`
		Request struct {
			Headers map[string]string `json:"headers"`
			Payload jsontext.Value    `json:"payload"`
		} `json:"request"`
	}
	if err := r.ReadJSON(&sent); err != nil {
		return providers.Request{}, err
	}
	if sent.GUID != d.GUID {
		return providers.Request{}, r.Unusable(providers.RetryNever, errors.New("answer is another delivery"))
	}
	if sent.Request.Payload.Kind() != jsontext.KindBeginObject {
		return providers.Request{}, fmt.Errorf("%s: payload of delivery %s: %w", name, d.GUID, providers.ErrNotFound)
	}
	h := http.Header{}
	for header, value := range sent.Request.Headers {
		h.Set(header, value)
	}
	h.Del(headerSignature)
	h.Del(headerSHA1)
	h.Set("Content-Type", "application/json")
	return providers.Request{Method: http.MethodPost, Header: h, Body: sent.Request.Payload, ReceivedAt: d.DeliveredAt.UTC()}, nil
}
