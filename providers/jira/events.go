package jira

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/surehook/surehook/providers"
)

// What the identifier and the event's name may hold. Neither form is
// documented; the bounds leave room, and keep out what would not fit into a
// workflow's id.
var (
	identifiers = regexp.MustCompile(`^[0-9A-Za-z._:+=-]{1,200}$`)
	eventNames  = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z_:.-]{0,99}$`)
)

// Events returns the one event of a webhook. Its id is
// X-Atlassian-Webhook-Identifier, which stays the same when Jira tries again;
// where a webhook has none it is made of the body. Its type is the body's
// webhookEvent, such as "jira:issue_updated" or "comment_created". (The member
// issue_event_type_name says more about an update, and administrators can add
// to its values, so it makes no types.) X-Atlassian-Webhook-Retry and
// X-Atlassian-Webhook-Flow say how a webhook came, and nothing about its event.
//
// OccurredAt is the member timestamp: milliseconds, as all of Atlassian's
// examples have it, though no page names the unit.
//
// Source: developer.atlassian.com/cloud/jira/platform/webhooks.
func (p *Provider) Events(r providers.Request) ([]providers.Event, error) {
	event, err := p.event(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return []providers.Event{event}, nil
}

func (p *Provider) event(r providers.Request) (providers.Event, error) {
	fingerprint := providers.Fingerprint(r.Body)
	id, err := identifier(r.Header)
	if err != nil {
		return providers.Event{}, err
	}
	if id == "" {
		id = "body-" + fingerprint
	}
	var found payload
	if err := providers.ReadJSON(r.Body, &found); err != nil {
		return providers.Event{}, err
	}
	if !eventNames.MatchString(found.WebhookEvent) {
		return providers.Event{}, fmt.Errorf("%w: no readable webhookEvent", providers.ErrMalformed)
	}
	ref, deleted, err := found.object()
	if err != nil {
		return providers.Event{}, err
	}
	return providers.Event{
		ID:         id,
		Type:       found.WebhookEvent,
		Ref:        ref,
		OccurredAt: found.Timestamp.time(),
		Deleted:    deleted,
		Review:     p.foreign(found),

		Fingerprint: fingerprint,
	}, nil
}

// identifier returns the webhook's identifier, or nothing when it has none.
func identifier(h http.Header) (string, error) {
	values := h.Values(headerIdentifier)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", fmt.Errorf("%w: more than one %s header", providers.ErrMalformed, headerIdentifier)
	case !identifiers.MatchString(values[0]):
		return "", fmt.Errorf("%w: unreadable %s header", providers.ErrMalformed, headerIdentifier)
	}
	return values[0], nil
}

// foreign says that an event is another site's than the source's, and is empty
// otherwise. Its object would be looked for where another has the same id.
func (p *Provider) foreign(found payload) string {
	for _, e := range found.entities() {
		if !p.tenant.owns(e.Self) {
			return "the event is not of the site " + p.tenant.site + ", which the source is for"
		}
	}
	return ""
}

// maxTime keeps out what no time of an event can be: it is in the year 2286.
const maxTime = 9_999_999_999_999

// time reads milliseconds. It is zero for anything else.
func (n number) time() time.Time {
	ms, err := strconv.ParseInt(string(n), 10, 64)
	if err != nil || ms <= 0 || ms > maxTime {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
