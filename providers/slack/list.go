package slack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/surehook/surehook/providers"
)

// messageList is the list of what is written in the channels of the settings.
const messageList = "message"

// historyPage is how many messages a page is to have. Apps that are distributed
// outside of Slack's Marketplace get 15, once a minute.
const historyPage = 100

// Lists implements providers.Lister.
func (p *Provider) Lists() []providers.List {
	if len(p.settings.Channels) == 0 {
		return nil
	}
	return []providers.List{{Name: messageList, Event: "message"}}
}

// List implements providers.Lister. It shows the messages that were written since
// then, one channel after the other, as they are now: the same call returns one
// message to a fetch, so that the states can be compared.
//
// Slack lists by when a message was written. An edit or a deletion of one that is
// older than that is not shown, nor is a deletion of a newer one unless it had
// replies; and a history leaves out what is said in threads.
//
// Source: https://docs.slack.dev/reference/methods/conversations.history.
func (p *Provider) List(ctx context.Context, q providers.ListQuery) (providers.Page, error) {
	channels := providers.Places(p.settings.Channels)
	if q.List != messageList || len(channels) == 0 {
		return providers.Page{}, fmt.Errorf("%s: list %.50q: %w", name, q.List, providers.ErrNoSuchList)
	}
	channel, cursor, err := channels.At(q.Cursor)
	if err != nil {
		return providers.Page{}, fmt.Errorf("%s: list %s: %w", name, messageList, err)
	}
	r, err := p.get(ctx, "list "+messageList+" of "+channel, pagePath(channel, cursor, q.Since))
	if err != nil {
		return providers.Page{}, err
	}
	a, err := readAnswer(r)
	switch {
	case err != nil:
		return providers.Page{}, err
	case !*a.OK && cursor != "" && a.Error == "invalid_cursor":
		return providers.Page{}, fmt.Errorf("%w: %w", providers.ErrStaleCursor, r.Failure(classify(r)))
	case !*a.OK:
		return providers.Page{}, r.Failure(classify(r))
	case a.Messages == nil:
		return providers.Page{}, r.Unusable(providers.RetrySoon, errors.New("answer is not a history"))
	}
	return providers.Page{Objects: p.listed(channel, a.Messages), Next: channels.Next(channel, a.Metadata.NextCursor)}, nil
}

// pagePath asks for a page of what was written in a channel since then.
func pagePath(channel, cursor string, since time.Time) string {
	query := url.Values{"channel": {channel}, "limit": {strconv.Itoa(historyPage)}, "inclusive": {"true"}}
	if !since.IsZero() {
		query.Set("oldest", fmt.Sprintf("%d.%06d", since.Unix(), since.Nanosecond()/1000))
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	return "/conversations.history?" + query.Encode()
}

// listed are the messages of a page. What is no message with a ts of its own has
// no name, here and in events.
func (p *Provider) listed(channel string, messages rawObjects) []providers.Listed {
	var all []providers.Listed
	for _, raw := range messages {
		s := state{raw: raw}
		if providers.ReadJSON(raw, &s) != nil {
			continue
		}
		ref := providers.Ref{Type: messageRef, ID: channel + "/" + s.TS, Account: p.settings.TeamID}
		if !kinds[messageRef].id.MatchString(ref.ID) {
			continue
		}
		one := providers.Listed{Object: providers.Object{Ref: ref, Deleted: s.Subtype == tombstone}}
		if !one.Deleted {
			one.State, one.UpdatedAt = []byte(raw), s.updatedAt(messageRef)
		}
		all = append(all, one)
	}
	return all
}
