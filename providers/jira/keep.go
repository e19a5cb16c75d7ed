package jira

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

const (
	webhookPath = "/rest/api/3/webhook"
	// refreshWithin is how near the end of its 30 days a webhook is refreshed.
	refreshWithin = 15 * 24 * time.Hour
	// webhookPage bounds a page of webhooks, and so how many are refreshed in one call.
	webhookPage = 100
)

// webhook is one that an OAuth 2.0 app has registered.
//
// Source: developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-webhooks.
type webhook struct {
	ID         number         `json:"id"`
	Events     []string       `json:"events"`
	Expiration jsontext.Value `json:"expirationDate"`
}

// Keeps implements providers.Keeper.
func (p *Provider) Keeps() bool { return p.settings.RefreshWebhooks }

// Keep implements providers.Keeper. It refreshes the webhooks that the calling app
// has registered, when half of their time is over. It creates none: what a
// webhook is for only the app knows that registered it.
func (p *Provider) Keep(ctx context.Context, _ providers.KeepQuery) ([]providers.Subscription, error) {
	if p.client == nil {
		return nil, &providers.APIError{Provider: name, Op: "list webhooks", Retry: providers.RetryNever, Err: errNoAPI}
	}
	var kept []providers.Subscription
	for last := false; !last; {
		var page []webhook
		var now time.Time
		var err error
		if page, now, last, err = p.webhooks(ctx, len(kept)); err != nil {
			return kept, err
		}
		some, err := p.refresh(ctx, page, now)
		if err != nil {
			return kept, err
		}
		kept = append(kept, some...)
	}
	return kept, nil
}

// webhooks returns a page of the app's webhooks, and Jira's time.
func (p *Provider) webhooks(ctx context.Context, from int) (page []webhook, now time.Time, last bool, err error) {
	path := fmt.Sprintf("%s?maxResults=%d&startAt=%d", webhookPath, webhookPage, from)
	r, err := p.client.Get(ctx, "list webhooks", path, p.header())
	if err != nil {
		return nil, time.Time{}, false, err
	}
	var found struct {
		Values []webhook `json:"values"`
		IsLast bool      `json:"isLast"`
	}
	if err := r.ReadJSON(&found); err != nil {
		return nil, time.Time{}, false, err
	}
	return found.Values, r.SentAt(), found.IsLast || len(found.Values) == 0, nil
}

// refresh gives those webhooks that are due another 30 days.
func (p *Provider) refresh(ctx context.Context, page []webhook, now time.Time) ([]providers.Subscription, error) {
	var kept []providers.Subscription
	var due []jsontext.Value
	for _, w := range page {
		one := providers.Subscription{ID: string(w.ID), What: strings.Join(w.Events, ", "), Expires: expiration(w.Expiration), Did: providers.UpkeepNone}
		if w.ID != "" && !one.Expires.IsZero() && one.Expires.Sub(now) < refreshWithin {
			due = append(due, jsontext.Value(w.ID))
			one.Did = providers.UpkeepRenewed
		}
		kept = append(kept, one)
	}
	if len(due) == 0 {
		return kept, nil
	}
	r, err := p.send(ctx, "refresh webhooks", http.MethodPut, webhookPath+"/refresh", map[string][]jsontext.Value{"webhookIds": due})
	if err != nil {
		return nil, err
	}
	var until struct {
		Expiration jsontext.Value `json:"expirationDate"`
	}
	if err := r.ReadJSON(&until); err != nil {
		return nil, err
	}
	for i := range kept {
		if kept[i].Did == providers.UpkeepRenewed {
			kept[i].Expires = expiration(until.Expiration)
		}
	}
	return kept, nil
}

// expiration reads a time that Jira's schema has in milliseconds and its examples
// as text. It is zero when it is neither.
func expiration(v jsontext.Value) time.Time {
	if ms, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return time.UnixMilli(ms).UTC()
	}
	text, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return time.Time{}
	}
	return moment(string(text))
}
