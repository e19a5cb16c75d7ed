package integration_test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

// A refused request has no effect besides a rejection and a metric, and its
// answer depends on the status alone.
func TestARefusedRequestHasNoEffect(t *testing.T) {
	t.Parallel()
	whole := start(t, options{sources: map[string]func(*ingress.Source){
		"small":  func(s *ingress.Source) { s.Body = 100 },
		"walled": func(s *ingress.Source) { s.Allow = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} },
		"slow":   func(s *ingress.Source) { s.Rate, s.Burst = rate.Every(time.Hour), 1 },
	}})
	// The first request that the slow source takes, so that the next is too many.
	first := whole.trigger(whole.stripe, "customer.created", sandbox.Undelivered())
	require.Equal(t, http.StatusOK, whole.post(whole.stripe, "slow", first.ID).Status)

	type rejected struct{ source, reason string }
	refused := map[rejected]int64{}
	unauthorized := map[string]answer{}
	for name, story := range map[string]struct {
		source string // stripe when empty
		spoil  func(*system, *providers.Request)
		status int
		reason string
		header string // that the answer must have
	}{
		"signed with a wrong secret": {
			spoil: func(s *system, r *providers.Request) {
				*r = s.signed(*r, "whsec_of_somebody_else", time.Now())
			},
			status: http.StatusUnauthorized, reason: "bad_signature",
		},
		"not signed": {
			spoil:  func(_ *system, r *providers.Request) { r.Header.Del("Stripe-Signature") },
			status: http.StatusUnauthorized, reason: "bad_signature",
		},
		"altered after it was signed": {
			spoil: func(_ *system, r *providers.Request) {
				r.Body = []byte(strings.Replace(string(r.Body), `"livemode": false`, `"livemode": true `, 1))
			},
			status: http.StatusUnauthorized, reason: "bad_signature",
		},
		"signed an hour ago": {
			spoil: func(s *system, r *providers.Request) {
				*r = s.signed(*r, stripeSecret, time.Now().Add(-time.Hour))
			},
			status: http.StatusUnauthorized, reason: "stale",
		},
		"signed in an hour": {
			spoil: func(s *system, r *providers.Request) {
				*r = s.signed(*r, stripeSecret, time.Now().Add(time.Hour))
			},
			status: http.StatusUnauthorized, reason: "stale",
		},
		"of no source that we have": {
			source: "nowhere", status: http.StatusNotFound, reason: "unknown_source",
		},
		"from a wrong address": {
			source: "walled", status: http.StatusForbidden, reason: "address_not_allowed",
		},
		"made with a wrong method": {
			spoil:  func(_ *system, r *providers.Request) { r.Method = http.MethodPut },
			status: http.StatusMethodNotAllowed, reason: "wrong_method", header: "Allow",
		},
		"of a wrong media type": {
			spoil:  func(_ *system, r *providers.Request) { r.Header.Set("Content-Type", "application/xml") },
			status: http.StatusUnsupportedMediaType, reason: "media_type",
		},
		"compressed": {
			spoil:  func(_ *system, r *providers.Request) { r.Header.Set("Content-Encoding", "gzip") },
			status: http.StatusUnsupportedMediaType, reason: "content_encoding",
		},
		"too large": {
			source: "small", status: http.StatusRequestEntityTooLarge, reason: "too_large",
		},
		"one too many": {
			source: "slow", status: http.StatusTooManyRequests, reason: "over_rate", header: "Retry-After",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := whole.in(t)
			source := cmp.Or(story.source, "stripe")
			ev := s.trigger(s.stripe, "customer.created", sandbox.Undelivered())
			r := s.request(s.stripe, ev.ID)
			if story.spoil != nil {
				story.spoil(s, &r)
			}
			got := s.send(source, r)
			require.Equal(t, story.status, got.Status)
			require.JSONEq(t, `{"error":"`+http.StatusText(story.status)+`"}`, got.Body)
			if story.header != "" {
				require.NotEmpty(t, got.Header.Get(story.header))
			}
			if got.Status == http.StatusUnauthorized {
				got.Header.Del("Date")
				unauthorized[name] = got
			}
			s.rest()
			s.requireNoEvent(source, ev.ID)
			s.requireNoRun(source, ev.ID)
			require.Zero(t, s.stripe.Fetches(ev.Object))
			if source == "nowhere" {
				source = "" // what a stranger makes up is neither a row's nor a metric's name
			}
			refused[rejected{source, story.reason}]++
		})
	}
	require.Len(t, unauthorized, 5)
	for name, got := range unauthorized {
		require.Equal(t, unauthorized["not signed"], got, "%s is answered in another way", name)
	}
	require.Len(t, refused, 9)
	for one, n := range refused {
		whole.untilRejected(one.source, one.reason, n)
		metric := fmt.Sprintf(`surehook_requests_total{outcome=%q,source=%q}`, one.reason, one.source)
		require.Equal(t, strconv.FormatInt(n, 10), whole.metric(metric), metric)
	}
}

// untilRejected waits until so many requests of a source were refused for a reason.
func (s *system) untilRejected(source, reason string, want int64) {
	s.t.Helper()
	s.eventually(func() bool {
		rows, err := s.store.Rejections(s.t.Context(), store.RejectionFilter{Source: source, Reason: reason})
		require.NoError(s.t, err)
		got := int64(0)
		for _, row := range rows {
			require.Equal(s.t, source, row.Source)
			got += row.Count
		}
		return got == want
	}, "not %d rejections of %q for %s", want, source, reason)
}

func TestASecretCanBeReplacedWithoutLosingAnEvent(t *testing.T) {
	t.Parallel()
	const next = "whsec_integration_next"
	s := start(t, options{sources: source(func(s *ingress.Source) {
		s.Secrets = providers.Secrets{next, stripeSecret}
	})})
	for _, secret := range []string{stripeSecret, next} {
		ev := s.trigger(s.stripe, "customer.created", sandbox.Undelivered())
		r := s.signed(s.request(s.stripe, ev.ID), secret, time.Now())
		require.Equal(t, http.StatusOK, s.send("stripe", r).Status)
		s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	}

	s.halt()
	s.serve(options{sources: source(func(s *ingress.Source) { s.Secrets = providers.Secrets{next} })})
	ev := s.trigger(s.stripe, "customer.created", sandbox.Undelivered())
	r := s.request(s.stripe, ev.ID)
	require.Equal(t, http.StatusUnauthorized, s.send("stripe", s.signed(r, stripeSecret, time.Now())).Status)
	s.requireNoEvent("stripe", ev.ID)
	require.Equal(t, http.StatusOK, s.send("stripe", s.signed(r, next, time.Now())).Status)
	s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
}

// What is authentic but not for us is answered with 200: a refusal would make
// the platform send it again, and at last switch the endpoint off.
func TestAnEventThatIsNotForUsIsKeptButNotWorkedOn(t *testing.T) {
	t.Parallel()
	whole := start(t, options{sources: map[string]func(*ingress.Source){
		"picky":    func(s *ingress.Source) { s.Accept = []string{"invoice.*"} },
		"careful":  func(s *ingress.Source) { s.Accept, s.Other = []string{"invoice.*"}, providers.StatusReview },
		"liveonly": func(s *ingress.Source) { s.Mode = providers.ModeLive },
	}})
	for name, story := range map[string]struct {
		source string
		status providers.Status
		reason string
	}{
		"a type that is ignored":    {"picky", providers.StatusIgnored, "events.accept: the source does not take this type"},
		"a type that is looked at":  {"careful", providers.StatusReview, "events.accept: the source does not take this type"},
		"an event of the test mode": {"liveonly", providers.StatusIgnored, "mode: a test event, the source takes live ones"},
	} {
		t.Run(name, func(t *testing.T) {
			s := whole.in(t)
			ev := s.trigger(s.stripe, "customer.created", sandbox.Undelivered())
			for _, want := range []string{"accepted", "duplicate"} { // it stays what it is when it comes again
				got := s.post(s.stripe, story.source, ev.ID)
				require.Equal(t, http.StatusOK, got.Status)
				require.JSONEq(t, `{"status":"`+want+`","events":[{"id":"`+ev.ID+`"}]}`, got.Body)
			}
			s.rest()
			e := s.untilStatus(story.source, ev.ID, story.status)
			require.Equal(t, story.reason, e.Reason)
			s.requireNoRun(story.source, ev.ID)
			require.Zero(t, s.stripe.Fetches(ev.Object))
		})
	}
}

func TestASignedEventThatCannotBeReadIsParkedAndStays(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	r := s.signed(providers.Request{
		Method: http.MethodPost,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   []byte(`{"id":"evt_1","object":"event","type":`),
	}, stripeSecret, time.Now())
	var id string
	for _, want := range []string{"accepted", "duplicate"} {
		got := s.send("stripe", r)
		require.Equal(t, http.StatusOK, got.Status)
		require.Contains(t, got.Body, `"status":"`+want+`"`)
		rows, err := s.store.Events(t.Context(), store.EventFilter{Source: "stripe"})
		require.NoError(t, err)
		require.Len(t, rows, 1)
		id = rows[0].ID
	}
	s.rest()
	e := s.untilStatus("stripe", id, providers.StatusReview)
	require.Contains(t, e.Reason, "unreadable: ")
	require.EqualValues(t, 2, e.Deliveries)
	s.requireNoRun("stripe", id)
	stored, err := s.store.Event(t.Context(), "stripe", id)
	require.NoError(t, err)
	require.Equal(t, string(r.Body), string(stored.Body), "an operator can look at it")
}
