package ingress_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

func TestAnAcceptedEventIsStoredAnsweredAndStarted(t *testing.T) {
	t.Parallel()
	d := open(t)
	got := d.send("stripe", stripeEvent("evt_1", "invoice.paid"))
	require.Equal(t, http.StatusOK, got.status)
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	require.JSONEq(t, `{"status":"accepted","events":[{"id":"evt_1","workflow_id":"stripe/evt_1"}]}`, got.body)
	require.Equal(t, providers.StatusPending, d.status("stripe", "evt_1"))
	require.Eventually(t, func() bool { return d.temporal.started("stripe/evt_1") }, 5*time.Second, time.Millisecond)

	started := d.temporal.runs["stripe/evt_1"][0]
	require.Equal(t, providers.Ref{Type: "invoice", ID: "in_1"}, started.Ref)
	require.False(t, started.ReceivedAt.IsZero())
	require.Nil(t, started.Inline, "the body stays out of Temporal")
	require.Equal(t, workflows.RouteFor("stripe", "invoice.paid"), d.temporal.workflows[0])
	options := d.temporal.options[0]
	require.Equal(t, workflows.TaskQueue, options.TaskQueue)
	require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY, options.WorkflowIDReusePolicy)
	require.Equal(t, enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL, options.WorkflowIDConflictPolicy)
	require.True(t, options.WorkflowExecutionErrorWhenAlreadyStarted)
	require.Equal(t, workflows.SearchAttributes(started), options.TypedSearchAttributes)
	require.Equal(t, workflows.Summary(started), options.StaticSummary)
}

func TestAnEventIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	for i := range 5 {
		got := d.send("stripe", stripeEvent("evt_1", "invoice.paid"))
		require.Equal(t, http.StatusOK, got.status)
		want := "accepted"
		if i > 0 {
			want = "duplicate"
		}
		require.JSONEq(t, `{"status":"`+want+`","events":[{"id":"evt_1","workflow_id":"stripe/evt_1"}]}`, got.body)
	}
	require.Eventually(t, func() bool { return d.temporal.started("stripe/evt_1") }, 5*time.Second, time.Millisecond)
	require.Equal(t, 1, d.temporal.called())
}

func TestManySendersAtOnceStartEachEventOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	const events, deliveries = 40, 5
	var fresh sync.Map
	var senders sync.WaitGroup
	for i := range events * deliveries {
		r := d.signed("stripe", stripeEvent(fmt.Sprintf("evt_%d", i%events), "invoice.paid"))
		senders.Go(func() {
			resp, err := d.client.RoundTrip(r)
			if err != nil {
				return
			}
			defer resp.Body.Close()
			var a struct{ Status string }
			if json.NewDecoder(resp.Body).Decode(&a) == nil && a.Status == "accepted" {
				fresh.Store(i, true)
			}
		})
	}
	senders.Wait()
	n := 0
	fresh.Range(func(any, any) bool { n++; return true })
	require.Equal(t, events, n, "each event is new exactly once")
	require.Eventually(t, func() bool { return d.temporal.count() == events }, 5*time.Second, time.Millisecond)
}

// TestAnswers is the table of ARCHITECTURE's chapter 6: what is answered, and
// that a refusal has no effect but its rejection.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const good = "evt_refused"
	body := stripeEvent(good, "invoice.paid")
	withHeader := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
		reason string
		header http.Header
	}{
		"a source that does not exist":     {func(r *http.Request) { r.URL.Path = "/webhooks/none" }, 404, "unknown_source", nil},
		"no source":                        {func(r *http.Request) { r.URL.Path = "/webhooks/" }, 404, "unknown_source", nil},
		"another path":                     {func(r *http.Request) { r.URL.Path = "/" }, 404, "unknown_source", nil},
		"a path below a source":            {func(r *http.Request) { r.URL.Path = "/webhooks/stripe/" }, 404, "unknown_source", nil},
		"a path to climb out of":           {func(r *http.Request) { r.URL.Opaque = "/webhooks/../stripe" }, 404, "unknown_source", nil},
		"a doubled slash":                  {func(r *http.Request) { r.URL.Opaque = "//webhooks/stripe" }, 404, "unknown_source", nil},
		"a source name in capitals":        {func(r *http.Request) { r.URL.Path = "/webhooks/Stripe" }, 404, "unknown_source", nil},
		"a source name with a NUL":         {func(r *http.Request) { r.URL.Opaque = "/webhooks/stripe%00" }, 404, "unknown_source", nil},
		"no signature":                     {func(r *http.Request) { r.Header.Del("Stripe-Signature") }, 401, "bad_signature", nil},
		"a forged signature":               {withHeader("Stripe-Signature", "t=1,v1=00"), 401, "bad_signature", nil},
		"a type of body we do not know":    {withHeader("Content-Type", "application/xml"), 415, "media_type", nil},
		"a body of several parts":          {withHeader("Content-Type", "multipart/form-data; boundary=x"), 415, "media_type", nil},
		"two types":                        {func(r *http.Request) { r.Header["Content-Type"] = []string{"application/json", "text/html"} }, 415, "media_type", nil},
		"a compressed body":                {withHeader("Content-Encoding", "gzip"), 415, "content_encoding", nil},
		"a body compressed behind a decoy": {func(r *http.Request) { r.Header["Content-Encoding"] = []string{"identity", "gzip"} }, 415, "content_encoding", nil},
		"GET":                              {func(r *http.Request) { r.Method = "GET" }, 405, "wrong_method", http.Header{"Allow": {"POST"}}},
		"PUT":                              {func(r *http.Request) { r.Method = "PUT" }, 405, "wrong_method", http.Header{"Allow": {"POST"}}},
		"HEAD":                             {func(r *http.Request) { r.Method = "HEAD"; r.Body = nil; r.ContentLength = 0 }, 405, "wrong_method", http.Header{"Allow": {"POST"}}},
		"OPTIONS":                          {func(r *http.Request) { r.Method = "OPTIONS" }, 405, "wrong_method", http.Header{"Allow": {"POST"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			r := d.signed("stripe", body)
			c.change(r)
			got := d.do(r)
			require.Equal(t, c.status, got.status)
			for name := range c.header {
				require.Equal(t, c.header.Get(name), got.header.Get(name))
			}
			require.Empty(t, got.header.Get("Location"), "nothing is ever redirected")
			d.stop() // which stores what has been counted
			rejection := d.rejection(c.reason)
			require.EqualValues(t, 1, rejection.Count)
			require.Equal(t, "127.0.0.1", rejection.RemoteAddr)
			_, err := d.inbox.Event(t.Context(), "stripe", good)
			require.ErrorIs(t, err, providers.ErrNotFound)
			require.Zero(t, d.temporal.called())
		})
	}
}

func TestEveryUnauthenticRequestGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	d := open(t)
	stale := func(r *providers.Request) { r.ReceivedAt = time.Now().Add(-time.Hour) }
	requests := map[string]*http.Request{
		"no signature": d.signed("stripe", stripeEvent("evt_1", "invoice.paid")),
		"wrong secret": sign(t, func() ingress.Source {
			s := stripeSource(t)
			s.Secrets = providers.Secrets{"another"}
			return s
		}(), d.url("/webhooks/stripe"), stripeEvent("evt_1", "invoice.paid")),
		"too old":    d.signed("stripe", stripeEvent("evt_1", "invoice.paid"), stale),
		"no body":    d.signed("stripe", stripeEvent("evt_1", "invoice.paid")),
		"of another": d.signed("github", issueBody, asGitHub("issues", "d-1")),
	}
	requests["no signature"].Header.Del("Stripe-Signature")
	requests["no body"].Body, requests["no body"].ContentLength = http.NoBody, 0
	requests["of another"].URL.Path = "/webhooks/stripe"
	var first *reply
	for name, r := range requests {
		got := d.do(r)
		got.header.Del("Date")
		require.Equal(t, http.StatusUnauthorized, got.status, name)
		if first == nil {
			first = &got
		}
		require.Equal(t, *first, got, name)
	}
	require.EqualValues(t, 1, d.rejection("stale").Count)
	require.Eventually(t, func() bool { return d.rejection("bad_signature").Count == 4 }, 5*time.Second, 10*time.Millisecond)
}

func TestASecondLiveSecretIsAccepted(t *testing.T) {
	t.Parallel()
	d := open(t, func(s *ingress.Server) {
		s.Sources[0].Secrets = providers.Secrets{"new", "old"}
	})
	old := stripeSource(t)
	old.Secrets = providers.Secrets{"old"}
	got := d.do(sign(t, old, d.url("/webhooks/stripe"), stripeEvent("evt_1", "invoice.paid")))
	require.Equal(t, http.StatusOK, got.status)
}

func TestBodiesThatAreTooLarge(t *testing.T) {
	t.Parallel()
	d := open(t, func(s *ingress.Server) { s.Sources[0].Body = 64 << 10 })
	padded := func(size int) string {
		body := stripeEvent("evt_size", "invoice.paid")
		return body + strings.Repeat(" ", size-len(body))
	}
	t.Run("as large as allowed is accepted", func(t *testing.T) {
		require.Equal(t, http.StatusOK, d.send("stripe", padded(64<<10)).status)
	})
	t.Run("as large as allowed, in chunks, is accepted", func(t *testing.T) {
		r := d.signed("stripe", padded(64<<10))
		r.ContentLength = -1
		require.Equal(t, http.StatusOK, d.do(r).status)
	})
	t.Run("announced as too large is refused", func(t *testing.T) {
		got := d.send("stripe", padded(64<<10+1))
		require.Equal(t, http.StatusRequestEntityTooLarge, got.status)
	})
	t.Run("in chunks that are together too large is refused", func(t *testing.T) {
		r := d.signed("stripe", padded(64<<10+1))
		r.ContentLength = -1
		require.Equal(t, http.StatusRequestEntityTooLarge, d.do(r).status)
	})
	require.Eventually(t, func() bool { return d.rejection("too_large").Count == 2 }, 5*time.Second, 10*time.Millisecond)
	require.Equal(t, "0", d.metric("surehook_body_bytes_in_flight"), "the memory is given back")
}

func TestMediaTypesThatAreAccepted(t *testing.T) {
	t.Parallel()
	d := open(t)
	for i, media := range []string{
		"application/json", "application/json; charset=utf-8", "Application/JSON", "application/cloudevents+json", "text/plain", "",
	} {
		r := d.signed("stripe", stripeEvent(fmt.Sprintf("evt_%d", i), "invoice.paid"))
		r.Header.Del("Content-Type")
		if media != "" {
			r.Header.Set("Content-Type", media)
		}
		require.Equal(t, http.StatusOK, d.do(r).status, media)
	}
	form := d.send("github", "payload="+strings.ReplaceAll(issueBody, `"`, "%22"), asGitHub("issues", "d-form"), func(r *providers.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	})
	require.Equal(t, http.StatusOK, form.status)
	require.Equal(t, providers.StatusPending, d.status("github", "d-form"))
}

func TestADecompressionBombIsNotOpened(t *testing.T) {
	t.Parallel()
	d := open(t)
	var bomb bytes.Buffer
	packed := gzip.NewWriter(&bomb)
	_, err := packed.Write(make([]byte, 1<<20))
	require.NoError(t, err)
	require.NoError(t, packed.Close())
	got := d.send("stripe", bomb.String(), func(r *providers.Request) { r.Header.Set("Content-Encoding", "gzip") })
	require.Equal(t, http.StatusUnsupportedMediaType, got.status)
}

func TestEventsTheSourceDoesNotTakeAreStoredByItsRule(t *testing.T) {
	t.Parallel()
	d := open(t, func(s *ingress.Server) {
		s.Sources[1].Accept = []string{"issues.*"}
	})
	t.Run("a type that is not taken is ignored", func(t *testing.T) {
		got := d.send("stripe", stripeEvent("evt_type", "payout.paid"))
		require.Equal(t, http.StatusOK, got.status)
		require.JSONEq(t, `{"status":"accepted","events":[{"id":"evt_type"}]}`, got.body)
		require.Equal(t, providers.StatusIgnored, d.status("stripe", "evt_type"))
	})
	t.Run("an event of the other mode is ignored", func(t *testing.T) {
		test := strings.Replace(stripeEvent("evt_mode", "invoice.paid"), `"livemode":true`, `"livemode":false`, 1)
		require.Equal(t, http.StatusOK, d.send("stripe", test).status)
		require.Equal(t, providers.StatusIgnored, d.status("stripe", "evt_mode"))
	})
	t.Run("a type that is not taken is parked where the source says so", func(t *testing.T) {
		got := d.send("github", `{"action":"created","repository":{"full_name":"o/r"}}`, asGitHub("star", "d-1"))
		require.Equal(t, http.StatusOK, got.status)
		require.Equal(t, providers.StatusReview, d.status("github", "d-1"))
	})
	t.Run("an event that would be parked again stays parked", func(t *testing.T) {
		got := d.send("github", `{"action":"created","repository":{"full_name":"o/r"}}`, asGitHub("star", "d-1"))
		require.Contains(t, got.body, `"duplicate"`)
		require.Equal(t, providers.StatusReview, d.status("github", "d-1"))
	})
	require.Zero(t, d.temporal.called())
	require.Equal(t, "2", d.metric(`surehook_events_total{source="stripe",status="ignored"}`))
}

func TestAnUnreadableEventIsParkedUnderItsHash(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, body := range []string{`{"id":"evt_1"`, `[]`, `{"object":"event"}`, ""} {
		first := d.send("stripe", body)
		require.Equal(t, http.StatusOK, first.status, body)
		var got struct{ Events []struct{ ID string } }
		require.NoError(t, json.Unmarshal([]byte(first.body), &got))
		require.Len(t, got.Events, 1)
		require.Regexp(t, `^unreadable-[0-9a-f]{32}$`, got.Events[0].ID)
		require.Equal(t, providers.StatusReview, d.status("stripe", got.Events[0].ID))

		again := d.send("stripe", body)
		require.Contains(t, again.body, `"duplicate"`)
		require.Contains(t, again.body, got.Events[0].ID)
		require.Equal(t, providers.StatusReview, d.status("stripe", got.Events[0].ID))
	}
	require.Zero(t, d.temporal.called())
}

func TestNamesThatNoDatabaseCouldStoreMakeAnEventUnreadable(t *testing.T) {
	t.Parallel()
	for name, ev := range map[string]providers.Event{
		"no id":             {Type: "t"},
		"no type":           {ID: "1"},
		"a NUL":             {ID: "a\x00b", Type: "t"},
		"a line break":      {ID: "1", Type: "t\nu"},
		"invalid UTF-8":     {ID: "1", Type: "t", Ref: providers.Ref{Type: "x", ID: "\xff"}},
		"a very long id":    {ID: strings.Repeat("x", 2000), Type: "t"},
		"a time far beyond": {ID: "1", Type: "t", OccurredAt: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, func(s *ingress.Server) {
				s.Sources[0].Provider = fixed{events: []providers.Event{{ID: "fine", Type: "invoice.x"}, ev}}
			})
			got := d.send("stripe", "{}")
			require.Equal(t, http.StatusOK, got.status)
			require.Contains(t, got.body, `"unreadable-`)
		})
	}
}

// fixed is a provider that accepts everything and reads always the same.
type fixed struct {
	events []providers.Event
	panics bool
}

func (fixed) Verify(providers.Request, providers.Secrets) error { return nil }

func (fixed) Sign(*providers.Request, providers.Secrets) error { return nil }

func (f fixed) Events(providers.Request) ([]providers.Event, error) {
	if f.panics {
		panic("a bug, with " + secret)
	}
	return f.events, nil
}

func TestARequestWithSeveralEvents(t *testing.T) {
	t.Parallel()
	d := open(t, func(s *ingress.Server) {
		s.Sources[0].Provider = fixed{events: []providers.Event{{ID: "1", Type: "invoice.a"}, {ID: "2", Type: "payout.b"}, {ID: "3", Type: "invoice.c"}}}
	})
	got := d.send("stripe", "{}")
	require.JSONEq(t, `{"status":"accepted","events":[{"id":"1","workflow_id":"stripe/1"},{"id":"2"},{"id":"3","workflow_id":"stripe/3"}]}`, got.body)
	require.Equal(t, providers.StatusIgnored, d.status("stripe", "2"))
	require.Eventually(t, func() bool { return d.temporal.count() == 2 }, 5*time.Second, time.Millisecond)
}

func TestARequestWithoutEventsIsAccepted(t *testing.T) {
	t.Parallel()
	d := open(t, func(s *ingress.Server) { s.Sources[0].Provider = fixed{} })
	require.JSONEq(t, `{"status":"accepted","events":[]}`, d.send("stripe", "{}").body)
}

func TestAHandshakeIsAnsweredAsThePlatformWants(t *testing.T) {
	t.Parallel()
	d := open(t)
	got := d.send("github", `{"zen":"z","hook_id":1}`, asGitHub("ping", "d-ping"))
	require.Equal(t, http.StatusOK, got.status)
	require.Equal(t, `{"status":"pong"}`, got.body)
	_, err := d.inbox.Event(t.Context(), "github", "d-ping")
	require.ErrorIs(t, err, providers.ErrNotFound)
	t.Run("but only a signed one", func(t *testing.T) {
		r := d.signed("github", `{"zen":"z","hook_id":1}`, asGitHub("ping", "d-ping"))
		r.Header.Del("X-Hub-Signature-256")
		require.Equal(t, http.StatusUnauthorized, d.do(r).status)
	})
}

func TestABugInAProviderIsRefusedAndSentAgain(t *testing.T) {
	t.Parallel()
	d := open(t, func(s *ingress.Server) { s.Sources[0].Provider = fixed{panics: true} })
	got := d.send("stripe", "{}")
	require.Equal(t, http.StatusServiceUnavailable, got.status)
	require.NotEmpty(t, got.header.Get("Retry-After"))
	require.EqualValues(t, 1, d.rejection("internal_failure").Count)
}

func TestTheRateOfASource(t *testing.T) {
	t.Parallel()
	d := open(t, func(s *ingress.Server) { s.Sources[0].Rate, s.Sources[0].Burst = 0.01, 2 })
	t.Run("does not count requests that are not authentic", func(t *testing.T) {
		for range 10 {
			r := d.signed("stripe", "{}")
			r.Header.Set("Stripe-Signature", "t=1,v1=00")
			require.Equal(t, http.StatusUnauthorized, d.do(r).status)
		}
	})
	t.Run("refuses what goes beyond it, and says when to come back", func(t *testing.T) {
		require.Equal(t, http.StatusOK, d.send("stripe", stripeEvent("evt_1", "invoice.paid")).status)
		require.Equal(t, http.StatusOK, d.send("stripe", stripeEvent("evt_2", "invoice.paid")).status)
		got := d.send("stripe", stripeEvent("evt_3", "invoice.paid"))
		require.Equal(t, http.StatusTooManyRequests, got.status)
		require.Regexp(t, `^(99|100)$`, got.header.Get("Retry-After"))
	})
	t.Run("does not touch the others", func(t *testing.T) {
		require.Equal(t, http.StatusOK, d.send("github", issueBody, asGitHub("issues", "d-1")).status)
	})
}

func TestTheAllowedAddresses(t *testing.T) {
	t.Parallel()
	only := func(proxies ...string) func(*ingress.Server) {
		return func(s *ingress.Server) {
			s.Sources[0].Allow = []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32")}
			s.Config.TrustedProxies = proxies
		}
	}
	send := func(d *door, forwarded ...string) int {
		r := d.signed("stripe", stripeEvent("evt_1", "invoice.paid"))
		r.Header["X-Forwarded-For"] = forwarded
		return d.do(r).status
	}
	t.Run("an address that is not listed is refused", func(t *testing.T) {
		d := open(t, only())
		require.Equal(t, http.StatusForbidden, send(d))
		require.Equal(t, "stripe", d.rejection("address_not_allowed").Source)
	})
	t.Run("a header from somebody who is no proxy of ours is not believed", func(t *testing.T) {
		require.Equal(t, http.StatusForbidden, send(open(t, only()), "203.0.113.7"))
	})
	t.Run("behind our proxy the sender's address counts", func(t *testing.T) {
		d := open(t, only("127.0.0.1"))
		require.Equal(t, http.StatusOK, send(d, "203.0.113.7"))
		require.Equal(t, http.StatusOK, send(d, "::ffff:203.0.113.7"))
		require.Equal(t, http.StatusOK, send(d, "203.0.113.7:4711"))
		require.Equal(t, http.StatusForbidden, send(d, "203.0.113.8"))
	})
	t.Run("what the sender wrote into the header itself does not count", func(t *testing.T) {
		d := open(t, only("127.0.0.1"))
		require.Equal(t, http.StatusForbidden, send(d, "203.0.113.7, 198.51.100.1"))
		require.Equal(t, http.StatusForbidden, send(d, "203.0.113.7", "198.51.100.1"))
		require.Equal(t, http.StatusForbidden, send(d, "203.0.113.7, nonsense"))
	})
	t.Run("behind two proxies of ours the one before them counts", func(t *testing.T) {
		d := open(t, only("127.0.0.1", "10.0.0.0/8"))
		require.Equal(t, http.StatusOK, send(d, "198.51.100.1, 203.0.113.7, 10.1.2.3"))
		require.Equal(t, http.StatusForbidden, send(d, "10.9.9.9, 10.1.2.3"))
		require.Equal(t, http.StatusForbidden, send(d, ""))
	})
}

func TestWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	t.Run("an event is started in Temporal with its body", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		d.inbox.down.Store(true)
		body := stripeEvent("evt_1", "invoice.paid")
		got := d.send("stripe", body, func(r *providers.Request) { r.Header.Set("Authorization", "Basic "+secret) })
		require.Equal(t, http.StatusOK, got.status)
		require.JSONEq(t, `{"status":"accepted","events":[{"id":"evt_1","workflow_id":"stripe/evt_1"}]}`, got.body)
		started := d.temporal.runs["stripe/evt_1"][0]
		require.Equal(t, body, string(started.Inline.Body))
		require.Equal(t, providers.ModeLive, started.Inline.Mode)
		require.NotEmpty(t, started.Inline.Header.Get("Stripe-Signature"))
		require.Empty(t, started.Inline.Header.Get("Authorization"), "a credential is not kept")
		require.Contains(t, d.send("stripe", body).body, `"duplicate"`)
		require.Equal(t, "2", d.metric(`surehook_events_inline_total{source="stripe"}`))
	})
	t.Run("a database that hangs counts as away", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		d.inbox.hangs.Store(true)
		got := d.send("stripe", stripeEvent("evt_1", "invoice.paid"))
		require.Equal(t, http.StatusOK, got.status)
		require.NotNil(t, d.temporal.runs["stripe/evt_1"][0].Inline)
		d.inbox.hangs.Store(false)
	})
	refused := func(t *testing.T, d *door, got reply, stop bool) {
		t.Helper()
		require.Equal(t, http.StatusServiceUnavailable, got.status)
		require.Equal(t, "5", got.header.Get("Retry-After"))
		d.inbox.down.Store(false)
		if stop {
			d.stop()
		}
		require.EqualValues(t, 1, d.rejection("not_durable").Count, "it is stored when the database is back")
	}
	t.Run("nor Temporal, a request is refused", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		d.inbox.down.Store(true)
		d.temporal.failing(away)
		refused(t, d, d.send("stripe", stripeEvent("evt_1", "invoice.paid")), true)
		require.Zero(t, d.temporal.count())
	})
	t.Run("a large event is refused", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		d.inbox.down.Store(true)
		large := strings.Replace(issueBody, `"action"`, `"pad":"`+strings.Repeat("x", 1<<20)+`","action"`, 1)
		refused(t, d, d.send("github", large, asGitHub("issues", "d-1")), true)
		require.Zero(t, d.temporal.count())
	})
	t.Run("an event that would be ignored is refused", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		d.inbox.down.Store(true)
		refused(t, d, d.send("stripe", stripeEvent("evt_1", "payout.paid")), true)
		require.Zero(t, d.temporal.count())
	})
	t.Run("an unreadable event is refused", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		d.inbox.down.Store(true)
		refused(t, d, d.send("stripe", "{}"), true)
	})
	t.Run("of several events all are started, or the request is refused", func(t *testing.T) {
		t.Parallel()
		d := open(t, func(s *ingress.Server) {
			s.Sources[0].Provider = fixed{events: []providers.Event{{ID: "1", Type: "invoice.a"}, {ID: "2", Type: "invoice.b"}}}
		})
		d.inbox.down.Store(true)
		d.temporal.failing(func(_ context.Context, id string) error {
			if id == "stripe/2" {
				return serviceerror.NewUnavailable("no")
			}
			return nil
		})
		refused(t, d, d.send("stripe", "{}"), false)
		d.inbox.down.Store(true)
		d.temporal.failing(nil)
		require.Eventually(t, func() bool { return d.send("stripe", "{}").status == http.StatusOK }, 5*time.Second, 50*time.Millisecond)
		require.Equal(t, 2, d.temporal.count())
	})
}

func TestAnEventIsKeptWhenItsSenderHangsUp(t *testing.T) {
	t.Parallel()
	slow := &slowInbox{reached: make(chan struct{}), goOn: make(chan struct{})}
	d := open(t, func(s *ingress.Server) {
		slow.inbox = s.Inbox.(*inbox)
		s.Inbox = slow
	})
	ctx, hangUp := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	r := d.signed("stripe", stripeEvent("evt_1", "invoice.paid")).WithContext(ctx)
	go func() {
		_, err := d.client.RoundTrip(r)
		gone <- err
	}()
	<-slow.reached
	hangUp()
	require.ErrorIs(t, <-gone, context.Canceled)
	select {
	case <-slow.ctx.Done():
		t.Fatal("the commit was given up")
	case <-time.After(100 * time.Millisecond): // the server needs a moment to notice
	}
	close(slow.goOn)
	require.Eventually(t, func() bool { return d.temporal.started("stripe/evt_1") }, 5*time.Second, time.Millisecond)
}

// slowInbox accepts when it is told to.
type slowInbox struct {
	*inbox
	reached, goOn chan struct{}
	ctx           context.Context
}

func (s *slowInbox) Accept(ctx context.Context, events []providers.Received) ([]providers.Accepted, error) {
	s.ctx = ctx
	close(s.reached)
	<-s.goOn
	return s.inbox.Accept(ctx, events)
}

func TestAnErrorOfTheInboxThatIsNoOutageIsRefused(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.server.Inbox = broken{d.inbox}
	got := d.send("stripe", stripeEvent("evt_1", "invoice.paid"))
	require.Equal(t, http.StatusServiceUnavailable, got.status)
	require.Zero(t, d.temporal.called(), "the database is there: Temporal is no way around its verdict")
}

type broken struct{ *inbox }

func (broken) Accept(context.Context, []providers.Received) ([]providers.Accepted, error) {
	return nil, fmt.Errorf("no such column")
}

func TestARedeliveryOfAParkedEventIsARetry(t *testing.T) {
	t.Parallel()
	park := func(t *testing.T, d *door) {
		t.Helper()
		d.send("stripe", stripeEvent("evt_1", "invoice.paid"))
		require.Eventually(t, func() bool { return d.temporal.started("stripe/evt_1") }, 5*time.Second, time.Millisecond)
		require.NoError(t, d.inbox.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: "evt_1", Status: providers.StatusReview, Reason: "test",
			RunID: "run-stripe/evt_1"}))
	}
	t.Run("it signals the workflow that waits", func(t *testing.T) {
		d := open(t)
		park(t, d)
		require.Contains(t, d.send("stripe", stripeEvent("evt_1", "invoice.paid")).body, `"duplicate"`)
		require.Eventually(t, func() bool { return len(d.temporal.signaled()) == 1 }, 5*time.Second, time.Millisecond)
		signal := d.temporal.signaled()[0]
		require.NoError(t, signal.Validate())
		require.Equal(t, workflows.Retry, signal.Action)
		require.Equal(t, "redelivery", signal.By)
	})
	t.Run("it makes the event pending when no workflow waits", func(t *testing.T) {
		d := open(t)
		park(t, d)
		d.temporal.mu.Lock()
		d.temporal.statuses["stripe/evt_1"] = enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED
		delete(d.temporal.runs, "stripe/evt_1") // the policy lets a terminated run be started again
		d.temporal.mu.Unlock()
		d.send("stripe", stripeEvent("evt_1", "invoice.paid"))
		require.Eventually(t, func() bool { return d.temporal.started("stripe/evt_1") }, 10*time.Second, 10*time.Millisecond)
		require.Equal(t, providers.StatusPending, d.status("stripe", "evt_1"))
	})
}

func TestBodiesInFlightAreBounded(t *testing.T) {
	t.Parallel()
	d := open(t, func(s *ingress.Server) { s.Config.MaxBytesInFlight = 1 << 20 })
	// One sender fills most of the memory and does not finish.
	half, rest := io.Pipe()
	r := d.signed("github", issueBody, asGitHub("issues", "d-slow"))
	r.Body, r.ContentLength = half, 900<<10
	slow := make(chan error, 1)
	go func() {
		resp, err := d.client.RoundTrip(r)
		if err == nil {
			err = resp.Body.Close()
		}
		slow <- err
	}()
	_, err := rest.Write(make([]byte, 800<<10))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return d.metric("surehook_body_bytes_in_flight") == "921600" }, 5*time.Second, 10*time.Millisecond)

	large := strings.Replace(issueBody, `"action"`, `"pad":"`+strings.Repeat("x", 200<<10)+`","action"`, 1)
	got := d.send("github", large, asGitHub("issues", "d-1"))
	require.Equal(t, http.StatusServiceUnavailable, got.status)
	require.Equal(t, "1", got.header.Get("Retry-After"))
	require.Equal(t, http.StatusOK, d.send("stripe", stripeEvent("evt_1", "invoice.paid")).status, "small ones still fit")
	require.EqualValues(t, 1, d.rejection("overloaded").Count)

	_, err = rest.Write(make([]byte, 100<<10))
	require.NoError(t, err)
	require.NoError(t, rest.Close())
	require.NoError(t, <-slow)
	require.Equal(t, http.StatusOK, d.send("github", large, asGitHub("issues", "d-1")).status)
}

func TestTheURLThatPlatformsSign(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config func(*ingress.Config)
		header http.Header
		want   string // HOST stands for the server's address
	}{
		"is read off the request":                    {func(*ingress.Config) {}, nil, "http://HOST/webhooks/stripe?a=1"},
		"is the configured one":                      {func(c *ingress.Config) { c.PublicURL = "https://hooks.example.com" }, nil, "https://hooks.example.com/webhooks/stripe?a=1"},
		"keeps a path that a proxy takes away":       {func(c *ingress.Config) { c.PublicURL = "https://example.com/in/" }, nil, "https://example.com/in/webhooks/stripe?a=1"},
		"is https behind a proxy of ours":            {func(c *ingress.Config) { c.TrustedProxies = []string{"127.0.0.0/8"} }, http.Header{"X-Forwarded-Proto": {"https"}}, "https://HOST/webhooks/stripe?a=1"},
		"does not believe somebody who is no proxy":  {func(*ingress.Config) {}, http.Header{"X-Forwarded-Proto": {"https"}}, "http://HOST/webhooks/stripe?a=1"},
		"is not what the sender says in other words": {func(c *ingress.Config) { c.PublicURL = "https://a.example" }, http.Header{"X-Forwarded-Host": {"evil"}}, "https://a.example/webhooks/stripe?a=1"},
	} {
		t.Run(name, func(t *testing.T) {
			seen := &seeing{}
			d := open(t, func(s *ingress.Server) {
				s.Sources[0].Provider = seen
				c.config(&s.Config)
			})
			r := d.signed("stripe", "{}")
			r.URL.RawQuery = "a=1"
			for name, values := range c.header {
				r.Header[name] = values
			}
			require.Equal(t, http.StatusOK, d.do(r).status)
			require.Equal(t, strings.Replace(c.want, "HOST", d.server.Addr().String(), 1), seen.url)
		})
	}
}

// seeing remembers the URL of the last request.
type seeing struct {
	fixed
	url string
}

func (s *seeing) Verify(r providers.Request, _ providers.Secrets) error {
	s.url = r.URL.String()
	return nil
}
