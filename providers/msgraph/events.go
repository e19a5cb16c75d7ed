package msgraph

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// removed is the lifecycle event that ends a subscription.
const removed = "subscriptionRemoved"

// Events returns one event for each item of the request. The type of a change
// is the kind of its object and what was done to it, such as "message.updated";
// that of a lifecycle notification is "lifecycle.missed" and the like, about
// the subscription.
//
// An item whose object cannot be named, or whose resource data cannot be
// decrypted, is for an operator to look at; the others are not held up by it.
func (p *Provider) Events(r providers.Request) ([]providers.Event, error) {
	c, err := read(r.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: read notifications: %w", name, err)
	}
	items := p.ours(c.items)
	events := make([]providers.Event, len(items))
	for i, n := range items {
		if events[i], err = p.event(n, r.ReceivedAt); err != nil {
			return nil, fmt.Errorf("%s: read notification %d of %d: %w", name, i+1, len(items), err)
		}
	}
	return events, nil
}

func (p *Provider) event(n item, receivedAt time.Time) (providers.Event, error) {
	payload, err := n.payload()
	if err != nil {
		return providers.Event{}, err
	}
	e := providers.Event{OccurredAt: n.occurredAt(), Deleted: n.ChangeType == "deleted" || n.LifecycleEvent == removed, Payload: payload}
	var named bool
	if n.isLifecycle() {
		e.Type = "lifecycle." + n.LifecycleEvent
		e.Ref, named = providers.Ref{Type: subscription, ID: strings.ToLower(n.SubscriptionID)}, true
	} else {
		kind := n.kind()
		e.Type = kind + "." + n.ChangeType
		e.Ref.Type = kind
		e.Ref.ID, named = objectID(n.Resource, n.TenantID)
	}
	e.Ref.Account = n.TenantID
	if !named {
		e.Ref = providers.Ref{}
		e.Review = fmt.Sprintf("resource: no path of an object that is at most %d characters long", providers.MaxName)
	}
	e.ID = n.eventID(e.Ref, receivedAt)
	if n.EncryptedContent != nil {
		p.addContent(&e, *n.EncryptedContent)
	}
	return e, nil
}

// addContent makes the decrypted resource the event's payload.
func (p *Provider) addContent(e *providers.Event, c encryptedContent) {
	if content, err := c.decrypt(p.settings.keys); err == nil {
		e.Payload = content
	} else {
		e.Review = "encryptedContent: " + err.Error()
	}
}

// kind is the short name of the object's type, "chatMessage" of
// "#Microsoft.Graph.ChatMessage", or where there is none the last collection in
// its path without its plural's s.
func (n item) kind() string {
	typ := text(n.data.Type)
	if kind := typ[strings.LastIndexByte(typ, '.')+1:]; words.MatchString(kind) {
		return lowerFirst(kind)
	}
	collection, _ := lastCollection(strings.Split(strings.Trim(n.Resource, "/"), "/"))
	if words.MatchString(collection) {
		return lowerFirst(strings.TrimSuffix(collection, "s"))
	}
	return "resource"
}

func lowerFirst(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(first)) + s[size:]
}

// occurredAt is when the change happened, which only few kinds of resources tell.
func (n item) occurredAt() time.Time { return moment(text(n.data.EventTime)) }

// eventID names a notification by what it says, so that it has the same name
// each time it is delivered. The item's own id is optional; and it is no more
// secret than the rest of a captured item, which would come in again under
// every new one. So the id counts only where the item does not say which
// version of its object it is about.
//
// Where there is neither, two changes of one object look alike (and so do two
// challenges to a subscription), and nothing tells the second from the first
// one repeated. To take it for a repetition could lose it for ever; to take a
// repetition for a change costs one fetch. So the time of receipt is part of
// the name then: all of it, for Graph repeats after 3 seconds at the earliest, and a
// coarser time would only lose changes. Where the object cannot be fetched
// there is nothing new to learn from what looks alike, and the same name is
// found when the payload is read again.
func (n item) eventID(ref providers.Ref, receivedAt time.Time) string {
	_, fetchable := objectPath(ref)
	parts := [][]byte{
		[]byte(n.SubscriptionID), []byte(n.TenantID), []byte(n.ChangeType), []byte(n.LifecycleEvent), []byte(n.Resource),
		canonical(n.ResourceData),
	}
	switch {
	case n.EncryptedContent != nil:
		parts = append(parts, []byte(n.EncryptedContent.DataKey)) // of single use
	case n.data.saysVersion():
	case n.ID != "":
		parts = append(parts, []byte(n.ID))
	case fetchable && n.LifecycleEvent != removed: // which happens once
		parts = append(parts, []byte(receivedAt.UTC().Format(time.RFC3339Nano)))
	}
	return providers.Fingerprint(parts...)
}

// canonical returns the JSON in the one form that does not depend on how it was
// written, except for its numbers: sequence numbers are larger than a float
// can tell apart.
func canonical(v jsontext.Value) []byte {
	c := v.Clone()
	if c.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)) != nil {
		return v // there is none: the item has no such member
	}
	return c
}
