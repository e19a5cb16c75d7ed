package ingress

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/surehook/surehook/providers"
)

const (
	// acceptTimeout and inlineTimeout together stay below the 10 s after which
	// GitHub gives a request up.
	acceptTimeout = 5 * time.Second
	inlineTimeout = 3 * time.Second
	// maxInline bounds what one request may put into Temporal's history while
	// the database is away. Temporal refuses inputs of 2 MiB, and as JSON a
	// body grows by a third.
	maxInline = 1 << 20

	retryOverload   = time.Second
	retryNotDurable = 5 * time.Second
)

// arrival is one request on its way through this file.
type arrival struct {
	source *source // nil when there is none of that name
	token  string  // what follows the source's name in the path
	client netip.Addr
	at     time.Time
	body   []byte
	http   *http.Request
}

func (a *arrival) sourceName() string {
	if a.source == nil {
		return ""
	}
	return a.source.Name
}

// receive answers one request.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) {
	a := &arrival{
		source: s.sources[mux.Vars(r)["source"]],
		token:  mux.Vars(r)["token"],
		client: s.clientAddr(r),
		at:     time.Now(),
		http:   r,
	}
	defer s.recovered(w, a)
	if len(r.TransferEncoding) > 0 {
		// A proxy in front may have counted the bytes differently (Content-Length
		// and Transfer-Encoding in one request). What it takes for the rest of
		// this body must not be read as the next request.
		w.Header().Set("Connection", "close")
	}
	ans, err := s.take(w, a)
	if err != nil {
		s.refuse(w, a, err)
		return
	}
	outcome := ans.Status
	if ans.handshake != nil {
		outcome = statusHandshake
	}
	s.metrics.answered(a.source.Name, outcome, time.Since(a.at))
	writeAnswer(w, ans)
}

// take does everything up to the commit. Whatever fails is a *refusal: the
// request had no effect.
func (s *Server) take(w http.ResponseWriter, a *arrival) (answer, *refusal) {
	if err := admit(a); err != nil {
		return answer{}, err
	}
	body, held, err := s.readBody(w, a.http, a.source.Body)
	defer s.budget.give(held)
	if err != nil {
		return answer{}, bodyRefusal(err)
	}
	a.body = body
	req := s.request(a)
	if p, ok := a.source.Provider.(providers.Prober); ok {
		if response, ok := p.Probe(req); ok {
			return answer{handshake: &response}, nil
		}
	}
	if err := authenticate(a, req); err != nil {
		return answer{}, err
	}
	if h, ok := a.source.Provider.(providers.Handshaker); ok {
		if response, ok := h.Handshake(req); ok {
			return answer{handshake: &response}, nil
		}
	}
	return s.commit(a, a.source.reception.Received(req))
}

// admit checks what can be checked without the body, so that what will be
// refused anyway costs nothing.
func admit(a *arrival) *refusal {
	switch r := a.http; {
	case a.source == nil, a.token != "" && !a.source.endpoint.PathToken:
		return &refusal{reason: unknownSource}
	case !a.source.allows(a.client):
		return &refusal{reason: wrongAddress}
	case !slices.Contains(a.source.methods, r.Method):
		return &refusal{reason: wrongMethod, allow: strings.Join(a.source.methods, ", ")}
	case r.ContentLength > a.source.Body:
		return &refusal{reason: tooLarge, detail: fmt.Sprintf("%d bytes announced, the limit is %d", r.ContentLength, a.source.Body)}
	}
	if why := a.source.checkMedia(a.http.Header); why != "" {
		return &refusal{reason: why, detail: fmt.Sprintf("type %q, encoding %q",
			a.http.Header.Values("Content-Type"), a.http.Header.Values("Content-Encoding"))}
	}
	return nil
}

func bodyRefusal(err error) *refusal {
	if errors.Is(err, errBudget) {
		return &refusal{reason: overloaded, detail: err.Error(), after: retryOverload}
	}
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &refusal{reason: tooLarge, detail: fmt.Sprintf("more than %d bytes", tooLong.Limit)}
	}
	return &refusal{reason: incompleteBody, detail: err.Error()}
}

// request is the arrival as a provider sees it.
func (s *Server) request(a *arrival) providers.Request {
	return providers.Request{
		Method:     a.http.Method,
		URL:        s.publicRequestURL(a.http),
		Header:     a.http.Header,
		Body:       a.body,
		ReceivedAt: a.at,
		PathToken:  a.token,
	}
}

// publicRequestURL is the URL as the sender wrote it: behind a proxy, the
// request itself does not know.
func (s *Server) publicRequestURL(r *http.Request) *url.URL {
	u := *r.URL
	if base := s.publicURL; base != nil {
		u.Scheme, u.Host = base.Scheme, base.Host
		if base.Path != "" {
			return base.JoinPath(r.URL.EscapedPath()).ResolveReference(&url.URL{RawQuery: r.URL.RawQuery})
		}
		return &u
	}
	u.Scheme, u.Host = "http", r.Host
	behindTLS := contains(s.proxies, parseAddr(r.RemoteAddr)) && r.Header.Get("X-Forwarded-Proto") == "https"
	if r.TLS != nil || behindTLS {
		u.Scheme = "https"
	}
	return &u
}

// authenticate verifies the request and then holds it to its source's rate.
// In this order, because a limit on unproven requests would let anybody who
// knows the URL lock the platform out.
func authenticate(a *arrival, req providers.Request) *refusal {
	if err := a.source.Provider.Verify(req, a.source.Secrets); err != nil {
		why := badSignature
		switch {
		case errors.Is(err, providers.ErrStale):
			why = staleSignature
		case errors.Is(err, providers.ErrNoSuchPath):
			why = wrongPathToken
		}
		return &refusal{reason: why, detail: err.Error()}
	}
	turn := a.source.limiter.ReserveN(a.at, 1)
	if wait := turn.DelayFrom(a.at); wait > 0 {
		turn.CancelAt(a.at)
		return &refusal{reason: overRate, after: wait}
	}
	return nil
}

// commit makes the events durable. It goes on when the sender hangs up: an
// event that has come this far is worth keeping, and will be a duplicate when
// it is sent again.
func (s *Server) commit(a *arrival, received []providers.Received) (answer, *refusal) {
	if len(received) == 0 {
		return a.source.answerFor(nil, nil), nil
	}
	background := context.WithoutCancel(a.http.Context())
	ctx, cancel := context.WithTimeout(background, acceptTimeout)
	defer cancel()
	accepted, err := s.accept(ctx, received)
	switch {
	case err == nil && len(accepted) == len(received):
		s.handOver(received, accepted)
	case errors.Is(err, providers.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		accepted, err = s.startInline(background, a.at, received, err)
	case err == nil:
		err = fmt.Errorf("%d events accepted of %d", len(accepted), len(received))
	}
	if err != nil {
		return answer{}, &refusal{reason: notDurable, detail: err.Error(), after: retryNotDurable}
	}
	s.metrics.accepted(accepted)
	return a.source.answerFor(received, accepted), nil
}

// accept lets the relay know who waits.
func (s *Server) accept(ctx context.Context, received []providers.Received) ([]providers.Accepted, error) {
	s.Relay.crowd.comes()
	defer s.Relay.crowd.leaves()
	return s.Inbox.Accept(ctx, received)
}

// handOver gives the relay what is new, and what somebody has sent again to
// get it out of review. An event that would be parked or ignored again stays.
func (s *Server) handOver(received []providers.Received, accepted []providers.Accepted) {
	for i, ev := range accepted {
		switch {
		case received[i].Status != providers.StatusPending:
		case ev.Status == providers.StatusPending && !ev.Duplicate:
			s.Relay.Offer(accepted[i : i+1])
		case ev.Status == providers.StatusReview && ev.Duplicate:
			s.Relay.Redelivered(ev)
		}
	}
}

// startInline makes the events durable in Temporal alone: each workflow
// carries its event and stores it once the database is back. All must succeed;
// those that were started before another failed dedupe by their ID when the
// platform sends the request again.
//
// Only events to be worked on can go this way. An ignored or parked one is
// nothing but its row, so without a database it is refused and sent again.
func (s *Server) startInline(ctx context.Context, at time.Time, received []providers.Received, cause error) ([]providers.Accepted, error) {
	size := 0
	for _, ev := range received {
		if ev.Status != providers.StatusPending {
			return nil, cause
		}
		size += len(ev.Body)
	}
	if size > maxInline {
		return nil, fmt.Errorf("%w; too large to be started without it: %d bytes", cause, size)
	}
	ctx, cancel := context.WithTimeout(ctx, inlineTimeout)
	defer cancel()
	accepted := make([]providers.Accepted, len(received))
	for i, ev := range received {
		ref := inlineRef(ev, at)
		started, err := s.Relay.StartNow(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("%w; start without it: %w", cause, err)
		}
		ref.Inline = nil
		accepted[i] = providers.Accepted{EventRef: ref, Status: providers.StatusPending, Duplicate: !started}
		s.metrics.inline.WithLabelValues(ev.Source).Inc()
	}
	return accepted, nil
}

func inlineRef(ev providers.Received, at time.Time) providers.EventRef {
	return providers.EventRef{
		Source:     ev.Source,
		ID:         ev.Event.ID,
		Type:       ev.Event.Type,
		Ref:        ev.Event.Ref,
		ReceivedAt: at,
		Inline: &providers.InlineEvent{
			OccurredAt: ev.Event.OccurredAt,
			Mode:       ev.Event.Mode,
			APIVersion: ev.Event.APIVersion,
			Header:     ev.Header,
			Body:       ev.Body,

			Fingerprint: ev.Event.Fingerprint,
		},
	}
}

// refuse answers, counts and keeps a sample.
func (s *Server) refuse(w http.ResponseWriter, a *arrival, r *refusal) {
	s.metrics.answered(a.sourceName(), string(r.reason), time.Since(a.at))
	s.rejections.add(a, r)
	if r.reason == tooLarge {
		// Otherwise the server would first read what is left of the body.
		w.Header().Set("Connection", "close")
	}
	writeRefusal(w, r)
}

// recovered turns a panic, which can only be a bug, into a refusal that the
// platform will repeat.
func (s *Server) recovered(w http.ResponseWriter, a *arrival) {
	cause := recover()
	if cause == nil {
		return
	}
	s.Logger.Error("request panicked", "source", a.sourceName(), "stack", string(debug.Stack()))
	s.refuse(w, a, &refusal{reason: internalFailure, detail: "panic", after: retryNotDurable})
}
