package providers

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unreadablePrefix and the body's hash make the ID of an event whose own could
// not be read.
const unreadablePrefix = "unreadable-"

// The limits of what is kept of a request.
const (
	// maxReason bounds how much of an error is kept as the reason of a review.
	maxReason = 300
	// maxNameBytes bounds the names in an event. Temporal and Postgres hold 255
	// bytes of an ID and shorten longer ones; what is far above that is no name.
	maxNameBytes = 1024
	// maxCopies is how many bytes the copies of one request's body may take
	// together. SendGrid sends hundreds of events in one request of 768 kB: to keep
	// all of it with each of them would be hundreds of megabytes, and too late for
	// an answer.
	maxCopies = 1 << 20
)

// Reception decides what becomes of a source's authentic requests: which events
// they carry, and whether each will be worked on. Webhooks and the events that a
// reconciliation finds missing go through the same one.
type Reception struct {
	Source   string
	Provider Provider
	Mode     Mode     // the only mode to take, or ModeUnknown for any
	Accept   []string // patterns of the event types to take
	Other    Status   // of events that Accept does not take: ignored or review
	// WorkflowID names the run of an event.
	WorkflowID func(source, eventID string) string
}

// Received reads the events of an authentic request and decides what each will
// be. One that cannot be read is kept for an operator: to refuse it would make
// the platform send it again, as unreadable as before.
//
// It removes the proofs of who sent the request from its headers.
func (c *Reception) Received(req Request) []Received {
	events, err := c.Provider.Events(req)
	if req.Header == nil {
		req.Header = http.Header{}
	}
	// These prove who sent the request, and are never needed again.
	for _, secret := range slices.Concat(EndpointOf(c.Provider).SecretHeaders, []string{"Authorization", "Proxy-Authorization", "Cookie"}) {
		req.Header.Del(secret)
	}
	if req.Method == http.MethodGet && len(req.Body) == 0 {
		// All that the inbox keeps of a request are its headers and its body.
		req.Body = []byte(req.URL.RawQuery)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, ev := range events {
		if err == nil {
			err = checkEvent(ev)
		}
	}
	if err != nil {
		return []Received{c.unreadable(req, err)}
	}
	received := make([]Received, len(events))
	inParts := keptInParts(events, req.Body)
	for i, ev := range events {
		status, why := c.decide(ev)
		received[i] = Received{
			Source: c.Source,
			Event:  ev,
			Status: status,
			Reason: why,
			Header: req.Header,
			Body:   req.Body,
		}
		if inParts {
			received[i].Header, received[i].Body = part(req.Header, ev), ev.Payload
		}
		if status != StatusIgnored {
			received[i].WorkflowID = c.WorkflowID(c.Source, ev.ID)
		}
	}
	return received
}

// decide is the rule for an authentic event: whether it will be worked on, and
// if not, what it becomes and by which rule.
func (c *Reception) decide(ev Event) (Status, string) {
	if c.Mode != ModeUnknown && ev.Mode != ModeUnknown && ev.Mode != c.Mode {
		// Trial traffic is never for an operator to look at: Stripe Connect
		// sends test events to live endpoints all day.
		return StatusIgnored, fmt.Sprintf("mode: a %s event, the source takes %s ones", ev.Mode, c.Mode)
	}
	takes := func(pattern string) bool { return MatchType(pattern, ev.Type) }
	if !slices.ContainsFunc(c.Accept, takes) {
		return c.Other, "events.accept: the source does not take this type"
	}
	if ev.Review != "" {
		return StatusReview, ev.Review
	}
	return StatusPending, ""
}

// checkEvent refuses names that could not be stored. A database would refuse
// them too, but with an error that looks like a failure of ours.
func checkEvent(ev Event) error {
	switch {
	case ev.ID == "":
		return errors.New("an event has no id")
	case ev.Type == "":
		return errors.New("an event has no type")
	case !ev.OccurredAt.IsZero() && (ev.OccurredAt.Year() < 1 || ev.OccurredAt.Year() > 9999):
		return errors.New("an event's time is out of range")
	}
	for _, name := range []string{ev.ID, ev.Type, ev.Ref.Type, ev.Ref.ID, ev.Ref.Account, ev.APIVersion} {
		if len(name) > maxNameBytes || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
			return errors.New("an event's name is too long or not printable")
		}
	}
	return nil
}

// keptInParts reports whether each event of a request is kept with its own part of
// the body only.
func keptInParts(events []Event, body []byte) bool {
	bare := func(ev Event) bool { return ev.Payload == nil }
	return len(events) > 1 && len(events)*len(body) > maxCopies && !slices.ContainsFunc(events, bare)
}

// part is the header of an event that is kept without the rest of its request.
func part(h http.Header, ev Event) http.Header {
	h = h.Clone()
	h[Part] = []string{PartPresent}
	if ev.Deleted {
		h[Part] = []string{PartDeleted}
	}
	return h
}

func (c *Reception) unreadable(req Request, err error) Received {
	sum := sha256.Sum256(req.Body)
	return Received{
		Source: c.Source,
		Event:  Event{ID: unreadablePrefix + hex.EncodeToString(sum[:16]), Type: UnreadableType},
		Status: StatusReview,
		Reason: "unreadable: " + Printable([]byte(err.Error()), maxReason),
		Header: req.Header,
		Body:   req.Body,
	}
}

// Printable is the start of a text that came from outside, in at most limit
// bytes, fit for a terminal, a page and a column of text.
func Printable(text []byte, limit int) string {
	text = text[:min(len(text), limit)]
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '.'
		}
		return r
	}, string(text))
}
