package msgraph

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/surehook/surehook/providers"
)

// The types of events by which Graph speaks of a subscription, which make Keep do
// more than it would anyway.
const (
	reauthorizationRequired = "lifecycle.reauthorizationRequired"
	missed                  = "lifecycle.missed"
)

// existing is a subscription as Graph shows it. It does not show the clientState.
//
// Source: learn.microsoft.com/graph/api/resources/subscription.
type existing struct {
	ID              string    `json:"id"`
	Resource        string    `json:"resource"`
	ChangeType      string    `json:"changeType"`
	NotificationURL string    `json:"notificationUrl"`
	Expires         time.Time `json:"expirationDateTime"`
}

// Keeps implements providers.Keeper.
func (p *Provider) Keeps() bool { return len(p.settings.subscribe) > 0 }

// Keep implements providers.Keeper. A subscription is renewed when less than half
// of its lifetime is left, and at once when Graph asks for it to be authorized
// anew: a renewal does that as well, and the two calls must not be made within
// ten minutes of each other. One that is missing is created, which makes Graph
// validate the source's URL before it answers.
//
// One that fails does not keep the others from being looked after.
//
// Source: learn.microsoft.com/graph/api/subscription-update,
// learn.microsoft.com/graph/change-notifications-lifecycle-events.
func (p *Provider) Keep(ctx context.Context, q providers.KeepQuery) ([]providers.Subscription, error) {
	if q.URL == "" || len(q.Secrets) == 0 {
		return nil, &providers.APIError{Provider: name, Op: "keep subscriptions", Retry: providers.RetryNever, Err: errNoEndpoint}
	}
	all, now, err := p.subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	var kept []providers.Subscription
	var errs []error
	for _, want := range p.settings.subscribe {
		one, err := p.keep(ctx, q, want, all, now)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		kept = append(kept, one)
	}
	return kept, errors.Join(errs...)
}

var (
	errNoEndpoint = errors.New("where to send notifications is not known: set SUREHOOK_PUBLIC_URL, and the source's secrets")
	errElsewhere  = errors.New("one to the same resource sends to another URL: delete it")
	errTwice      = errors.New("there is one already, which is not listed yet")
)

// subscriptions returns those of our application, and Graph's time.
func (p *Provider) subscriptions(ctx context.Context) (all []existing, now time.Time, err error) {
	for path := version + "subscriptions"; path != ""; {
		r, err := p.call(ctx, request{op: "list subscriptions", path: path})
		if err != nil {
			return nil, time.Time{}, err
		}
		var page struct {
			Value []existing `json:"value"`
			Next  string     `json:"@odata.nextLink"`
		}
		if err := r.ReadJSON(&page); err != nil {
			return nil, time.Time{}, err
		}
		all, now, path = append(all, page.Value...), r.SentAt(), ""
		if page.Next != "" {
			var ok bool
			if path, ok = p.client.Below(page.Next); !ok {
				return nil, time.Time{}, r.Unusable(providers.RetryNever, errors.New("the next page is not below api.base_url"))
			}
		}
	}
	return all, now, nil
}

func (p *Provider) keep(ctx context.Context, q providers.KeepQuery, want subscribed, all []existing, now time.Time) (providers.Subscription, error) {
	there, found := want.find(all, q.URL)
	if !found {
		return p.create(ctx, q, want, all, now)
	}
	one := providers.Subscription{ID: there.ID, What: want.String(), Expires: there.Expires, Did: providers.UpkeepNone}
	spoken := strings.EqualFold(q.Subscription, there.ID)
	if spoken && q.EventType == missed {
		one.List = want.list()
	}
	if there.Expires.Sub(now) >= want.lifetime/2 && !(spoken && q.EventType == reauthorizationRequired) {
		return one, nil
	}
	renewed, gone, err := p.renew(ctx, there.ID, now.Add(want.lifetime))
	switch {
	case gone:
		return p.create(ctx, q, want, nil, now)
	case err != nil:
		return providers.Subscription{}, err
	}
	one.Expires, one.Did = renewed, providers.UpkeepRenewed
	return one, nil
}

// find returns the subscription that lasts longest of those that are what the
// settings want. There may be several: Graph does not always refuse a second one.
func (s subscribed) find(all []existing, url string) (found existing, ok bool) {
	for _, e := range all {
		if s.is(e) && e.NotificationURL == url && e.Expires.After(found.Expires) {
			found, ok = e, true
		}
	}
	return found, ok
}

func (s subscribed) is(e existing) bool {
	return strings.EqualFold(strings.Trim(e.Resource, "/"), s.resource) && sameChanges(e.ChangeType, s.changes)
}

func sameChanges(a, b string) bool {
	sorted := func(changes string) []string { return slices.Sorted(strings.SplitSeq(strings.ToLower(changes), ",")) }
	return slices.Equal(sorted(a), sorted(b))
}

// String is what a subscription is about, for people.
func (s subscribed) String() string { return s.resource + " (" + s.changes + ")" }

// list is the one that shows what the subscription missed, where there is one.
func (s subscribed) list() string {
	if len(s.deltas) == 0 {
		return ""
	}
	return deltaList
}

// renew makes a subscription last until then. gone says that Graph no longer has it.
func (p *Provider) renew(ctx context.Context, id string, until time.Time) (expires time.Time, gone bool, err error) {
	if !subscriptionIDs.MatchString(id) {
		return time.Time{}, true, nil
	}
	r, err := p.send(ctx, request{op: "renew subscription " + id, method: http.MethodPatch, path: version + "subscriptions/" + id},
		map[string]string{"expirationDateTime": until.UTC().Format(time.RFC3339)})
	if isGone(r) {
		return time.Time{}, true, nil
	}
	if err != nil {
		return time.Time{}, false, err
	}
	var after existing
	if err := r.ReadJSON(&after); err != nil {
		return time.Time{}, false, err
	}
	return after.Expires, false, nil
}

// create makes a new subscription. What happened while there was none shows its list.
func (p *Provider) create(ctx context.Context, q providers.KeepQuery, want subscribed, all []existing, now time.Time) (providers.Subscription, error) {
	r, err := p.send(ctx, request{op: "subscribe to " + want.resource, method: http.MethodPost, path: version + "subscriptions"},
		map[string]string{
			"changeType":               want.changes,
			"notificationUrl":          q.URL,
			"lifecycleNotificationUrl": q.URL,
			"resource":                 want.resource,
			"expirationDateTime":       now.Add(want.lifetime).UTC().Format(time.RFC3339),
			"clientState":              q.Secrets[0],
		})
	if r.Status == http.StatusConflict {
		if slices.ContainsFunc(all, want.is) {
			return providers.Subscription{}, r.Unusable(providers.RetryNever, errElsewhere)
		}
		return providers.Subscription{}, r.Unusable(providers.RetrySoon, errTwice)
	}
	if err != nil {
		return providers.Subscription{}, err
	}
	var made existing
	if err := r.ReadJSON(&made); err != nil {
		return providers.Subscription{}, err
	}
	return providers.Subscription{
		ID: made.ID, What: want.String(), Expires: made.Expires, Did: providers.UpkeepCreated, List: want.list(),
	}, nil
}

// send makes a call with a JSON body.
func (p *Provider) send(ctx context.Context, c request, body map[string]string) (providers.APIResponse, error) {
	var err error
	if c.body, err = json.Marshal(body, json.Deterministic(true)); err != nil {
		return providers.APIResponse{}, &providers.APIError{Provider: name, Op: c.op, Retry: providers.RetryNever, Err: err}
	}
	return p.call(ctx, c)
}
