package github

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/surehook/surehook/providers"
)

// What the headers and the action may hold. GitHub's delivery ids are GUIDs
// and its event names words with underscores; the bounds leave room, and keep
// out what would not fit into a workflow's id.
var (
	deliveryIDs = regexp.MustCompile(`^[0-9A-Za-z_-]{1,100}$`)
	eventNames  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	actions     = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z_-]{0,99}$`)
)

// header returns a header that must occur once and fit.
func header(h http.Header, name string, fits *regexp.Regexp) (string, error) {
	switch values := h.Values(name); {
	case len(values) == 0:
		return "", fmt.Errorf("%w: no %s header", providers.ErrMalformed, name)
	case len(values) > 1:
		return "", fmt.Errorf("%w: more than one %s header", providers.ErrMalformed, name)
	case !fits.MatchString(values[0]):
		return "", fmt.Errorf("%w: unreadable %s header", providers.ErrMalformed, name)
	default:
		return values[0], nil
	}
}

// Events returns the one event of a delivery, or none for a ping. Its id is
// X-GitHub-Delivery, which stays the same when the delivery is sent again; its
// type is X-GitHub-Event with the body's action, such as
// "pull_request.opened", or just "push" where there is no action. The action
// of a repository_dispatch is chosen by whoever sends it; where it is no plain
// word it is left out of the type.
//
// GitHub gives no time for an event, so OccurredAt is the time that the object
// itself shows: its last change, else its beginning, else zero.
func (p *Provider) Events(r providers.Request) ([]providers.Event, error) {
	event, err := p.event(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if event.Type == pingEvent {
		return nil, nil
	}
	return []providers.Event{event}, nil
}

func (p *Provider) event(r providers.Request) (providers.Event, error) {
	id, err := header(r.Header, headerDelivery, deliveryIDs)
	if err != nil {
		return providers.Event{}, err
	}
	event, err := header(r.Header, headerEvent, eventNames)
	if err != nil {
		return providers.Event{}, err
	}
	document, inForm, err := readDocument(r)
	if err != nil {
		return providers.Event{}, err
	}
	plan, ok := p.plans[event]
	if !ok {
		plan = newPlan(event, unlisted)
	}
	found, err := read(document, plan.wants)
	if err != nil {
		return providers.Event{}, err
	}
	ref, err := plan.ref(found)
	if err != nil {
		return providers.Event{}, err
	}
	e := providers.Event{
		ID:         id,
		Type:       eventType(event, found["action"]),
		Ref:        ref,
		OccurredAt: plan.occurredAt(found),
		Deleted:    plan.ended(found),

		Fingerprint: providers.Fingerprint(document),
	}
	if inForm {
		e.Payload = document
	}
	return e, nil
}

func eventType(event, action string) string {
	if !actions.MatchString(action) {
		return event
	}
	return event + "." + action
}

// readDocument returns the JSON of a delivery. A hook may be set up to send it as
// the field "payload" of a form.
func readDocument(r providers.Request) (doc []byte, inForm bool, err error) {
	if !r.IsForm() {
		return r.Body, false, nil
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return nil, false, fmt.Errorf("%w: unreadable form", providers.ErrMalformed)
	}
	payloads := form["payload"]
	if len(payloads) != 1 {
		return nil, false, fmt.Errorf("%w: a form with %d payload fields, not 1", providers.ErrMalformed, len(payloads))
	}
	return []byte(payloads[0]), true, nil
}

func (p plan) occurredAt(found members) time.Time {
	for _, path := range p.times {
		if t := moment(found[path]); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func (p plan) ended(found members) bool {
	if found["deleted"] == "true" { // of a push: it deleted its branch or tag
		return true
	}
	return slices.Contains(p.ends, cmp.Or(found["action"], none))
}

// moment reads a time of GitHub's: RFC 3339, or in few places Unix seconds. It
// is zero for everything else.
func moment(text string) time.Time {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC()
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > 0 {
		return time.Unix(seconds, 0).UTC()
	}
	return time.Time{}
}
