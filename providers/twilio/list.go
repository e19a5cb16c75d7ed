package twilio

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// list is a kind of object that the API lists by a day and what came after it.
type list struct {
	kind  string // also the list's name
	since string // the parameter that holds the day
	event string // an event that tells what it shows
}

// lists are those of the kinds whose list can be narrowed. That of
// transcriptions cannot.
//
// Source: twilio.com/docs/messaging/api/message-resource, …/voice/api/call-resource,
// …/voice/api/recording and …/voice/api/conference-resource.
var lists = []list{
	{"message", "DateSent>", "message.delivered"},
	{"call", "StartTime>", "call.completed"},
	{"recording", "DateCreated>", "recording.completed"},
	{"conference", "DateUpdated>", "conference.conference-end"},
}

// pageSize is a quarter of what Twilio allows: a page is repeated as a whole
// when what follows from it fails halfway.
const pageSize = "250"

// Lists returns the lists of messages, calls, recordings and conferences.
func (p *Provider) Lists() []providers.List {
	all := make([]providers.List, 0, len(lists))
	for _, l := range lists {
		all = append(all, providers.List{Name: l.kind, Event: l.event})
	}
	return all
}

// List returns a page of the objects of one of the accounts, the newest first.
// The accounts are read one after the other.
//
// Only conferences are listed by their last change. Messages are by the day on
// which they were sent, calls by that of their start, recordings by that of their
// creation: what changes later than a day after that is not shown, and neither,
// with a Since, are messages and calls that were never sent or started. A deleted
// object is never shown.
func (p *Provider) List(ctx context.Context, q providers.ListQuery) (providers.Page, error) {
	i := slices.IndexFunc(lists, func(l list) bool { return l.kind == q.List })
	if i < 0 {
		return providers.Page{}, fmt.Errorf("%s: list %.50q: %w", name, q.List, providers.ErrNoSuchList)
	}
	l := lists[i]
	k, _ := kindNamed(l.kind)
	at, err := p.position(l, q)
	if err != nil {
		return providers.Page{}, err
	}
	path := "/" + apiVersion + "/Accounts/" + at.account + "/" + k.collection + ".json"
	answer, err := p.client.Get(ctx, "list "+l.kind+" of "+at.account, path+"?"+at.query.Encode(), p.header())
	if err != nil {
		return providers.Page{}, err
	}
	objects, err := k.listed(answer, at.account)
	if err != nil {
		return providers.Page{}, err
	}
	next, err := nextQuery(answer, path)
	switch {
	case err != nil:
		return providers.Page{}, err
	case next.Encode() == at.query.Encode():
		return providers.Page{}, answer.Unusable(providers.RetrySoon, errors.New("the next page is this one"))
	}
	return providers.Page{Objects: objects, Next: p.accounts().Next(at.account, next.Encode())}, nil
}

// position is where a page is: the account, and the query of its list.
type position struct {
	account string
	query   url.Values
}

// position reads a cursor, in which the page is the query of the next page as
// Twilio gave it. Nothing in it can lead to another path.
func (p *Provider) position(l list, q providers.ListQuery) (position, error) {
	if p.account == "" {
		return position{}, &providers.APIError{Provider: name, Op: "list " + l.kind, Retry: providers.RetryNever, Err: errNoKey}
	}
	account, page, err := p.accounts().At(q.Cursor)
	if err != nil {
		return position{}, fmt.Errorf("%s: list %s: %w", name, l.kind, err)
	}
	query, err := url.ParseQuery(page)
	if err != nil {
		return position{}, fmt.Errorf("%s: list %s: %w", name, l.kind, providers.ErrStaleCursor) // its own error quotes it
	}
	if len(query) == 0 {
		query = firstQuery(l, q.Since)
	}
	return position{account, query}, nil
}

// firstQuery asks for the day before the one of since as well: the filters know
// days only, and what was sent shortly before midnight goes on changing after it.
func firstQuery(l list, since time.Time) url.Values {
	query := url.Values{"PageSize": {pageSize}}
	if !since.IsZero() {
		query.Set(l.since, since.UTC().AddDate(0, 0, -1).Format(time.DateOnly))
	}
	return query
}

// accounts are those of the settings, each once.
func (p *Provider) accounts() providers.Places {
	all := providers.Places{p.account}
	for _, sid := range p.subaccounts {
		if !slices.Contains(all, sid) {
			all = append(all, sid)
		}
	}
	return all
}

// listed reads the objects off a page. Whether their members are those that the
// API gives one by one, and in the same order, nothing promises; so only their
// times count.
func (k kind) listed(answer providers.APIResponse, account string) ([]providers.Listed, error) {
	var page map[string]jsontext.Value
	if err := answer.ReadJSON(&page); err != nil {
		return nil, err
	}
	var items []jsontext.Value
	if err := providers.ReadJSONArray(page[strings.ToLower(k.collection)], &items); err != nil {
		return nil, answer.Unusable(providers.RetrySoon, err)
	}
	objects := make([]providers.Listed, 0, len(items))
	for _, state := range items {
		var item struct {
			SID         string `json:"sid"`
			DateUpdated string `json:"date_updated"`
		}
		if err := providers.ReadJSON(state, &item); err != nil || !k.fits.MatchString(item.SID) {
			return nil, answer.Unusable(providers.RetryNever, errors.New("answer lists something else"))
		}
		objects = append(objects, providers.Listed{
			Object: providers.Object{
				Ref:       providers.Ref{Type: k.name, ID: item.SID, Account: account},
				State:     []byte(state),
				UpdatedAt: moment(item.DateUpdated),
			},
			Partial: true,
		})
	}
	return objects, nil
}

// nextQuery is the query of the page after this one, or nil after the last. Of
// the address that Twilio gives nothing else is followed.
func nextQuery(answer providers.APIResponse, path string) (url.Values, error) {
	var page struct {
		Next string `json:"next_page_uri"`
	}
	if err := answer.ReadJSON(&page); err != nil {
		return nil, err
	}
	if page.Next == "" {
		return nil, nil
	}
	next, err := url.Parse(page.Next)
	if err != nil || !strings.HasSuffix(next.Path, path) {
		return nil, answer.Unusable(providers.RetryNever, errors.New("the next page is that of something else"))
	}
	query, err := url.ParseQuery(next.RawQuery)
	if err != nil || len(query) == 0 {
		return nil, answer.Unusable(providers.RetryNever, errors.New("the next page has no readable query"))
	}
	return query, nil
}
