package ingress

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"github.com/surehook/surehook/providers"
)

// Source is one configured sender.
type Source struct {
	Name     string // the last part of POST /webhooks/{source}
	Provider providers.Provider
	Secrets  providers.Secrets
	Mode     providers.Mode   // the only mode to take, or ModeUnknown for any
	Accept   []string         // patterns of the event types to take
	Other    providers.Status // of events that Accept does not take: ignored or review
	Body     int64            // the largest body, in bytes
	Rate     rate.Limit       // authentic requests per second; rate.Inf for no limit
	Burst    int              // how many of them at once
	Allow    []netip.Prefix   // the senders' addresses; empty means any
}

// source is a Source at work.
type source struct {
	Source
	limiter  *rate.Limiter
	endpoint providers.Endpoint
	methods  []string // all that it takes
}

func newSource(s Source) *source {
	made := &source{Source: s, limiter: rate.NewLimiter(s.Rate, s.Burst)}
	if e, ok := s.Provider.(providers.Endpointer); ok {
		made.endpoint = e.Endpoint()
	}
	made.methods = append([]string{http.MethodPost}, made.endpoint.Methods...)
	return made
}

func (s *source) allows(client netip.Addr) bool {
	return len(s.Allow) == 0 || contains(s.Allow, client)
}

// decide is the rule for an authentic event: whether it will be worked on, and
// if not, what it becomes and by which rule.
func (s *source) decide(ev providers.Event) (providers.Status, string) {
	if s.Mode != providers.ModeUnknown && ev.Mode != providers.ModeUnknown && ev.Mode != s.Mode {
		// Trial traffic is never for an operator to look at: Stripe Connect
		// sends test events to live endpoints all day.
		return providers.StatusIgnored, fmt.Sprintf("mode: a %s event, the source takes %s ones", ev.Mode, s.Mode)
	}
	takes := func(pattern string) bool { return providers.MatchType(pattern, ev.Type) }
	if !slices.ContainsFunc(s.Accept, takes) {
		return s.Other, "events.accept: the source does not take this type"
	}
	if ev.Review != "" {
		return providers.StatusReview, ev.Review
	}
	return providers.StatusPending, ""
}

// maxNameBytes bounds the names in an event. Temporal and Postgres hold 255
// bytes of an ID and shorten longer ones; what is far above that is no name.
const maxNameBytes = 1024

// checkEvent refuses names that could not be stored. A database would refuse
// them too, but with an error that looks like a failure of ours.
func checkEvent(ev providers.Event) error {
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

// checkMedia refuses bodies that no platform we know sends. The signature
// covers the raw bytes, so the type decides nothing about safety, and its
// absence is no reason to lose an event.
func checkMedia(h http.Header) reason {
	for _, encoding := range h.Values("Content-Encoding") {
		// A compressed body of a few bytes can unpack to gigabytes.
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return wrongEncoding
		}
	}
	types := h.Values("Content-Type")
	if len(types) == 0 {
		return ""
	}
	media, _, _ := strings.Cut(types[0], ";")
	media = strings.ToLower(strings.TrimSpace(media))
	switch {
	case len(types) > 1:
		return wrongMediaType // proxies and parsers disagree on which one counts
	case media == "application/json", media == "application/x-www-form-urlencoded", media == "text/plain",
		media == "application/xml", media == "text/xml":
		return ""
	case strings.HasPrefix(media, "application/") && (strings.HasSuffix(media, "+json") || strings.HasSuffix(media, "+xml")):
		return ""
	}
	return wrongMediaType
}
