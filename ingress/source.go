package ingress

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/time/rate"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
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
	limiter   *rate.Limiter
	endpoint  providers.Endpoint
	methods   []string // all that it takes
	reception providers.Reception
}

func newSource(s Source) *source {
	made := &source{
		Source:   s,
		limiter:  rate.NewLimiter(s.Rate, s.Burst),
		endpoint: providers.EndpointOf(s.Provider),
		reception: providers.Reception{
			Source:     s.Name,
			Provider:   s.Provider,
			Mode:       s.Mode,
			Accept:     s.Accept,
			Other:      s.Other,
			WorkflowID: workflows.ID,
		},
	}
	made.methods = append([]string{http.MethodPost}, made.endpoint.Methods...)
	return made
}

func (s *source) allows(client netip.Addr) bool {
	return len(s.Allow) == 0 || contains(s.Allow, client)
}

// checkMedia refuses bodies that the platform does not send. The signature
// covers the raw bytes, so the type decides nothing about safety, and its
// absence is no reason to lose an event.
func (s *source) checkMedia(h http.Header) reason {
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
	case media == "application/json", media == "application/x-www-form-urlencoded", media == "text/plain":
		return ""
	case strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"):
		return ""
	case slices.Contains(s.endpoint.Media, media):
		return ""
	}
	return wrongMediaType
}
