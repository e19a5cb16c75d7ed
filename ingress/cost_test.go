//go:build !race

// Under the race detector a sync.Pool forgets some of what it is given, at
// random, so there the counts below are nobody's.

package ingress

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/stripe"
)

// noInbox accepts everything and keeps nothing, so that what is measured is
// the way there.
type noInbox struct{ Inbox }

func (noInbox) Accept(_ context.Context, events []providers.Received) ([]providers.Accepted, error) {
	accepted := make([]providers.Accepted, len(events))
	for i, ev := range events {
		accepted[i] = providers.Accepted{
			EventRef: providers.EventRef{Source: ev.Source, ID: ev.Event.ID, Type: ev.Event.Type, Ref: ev.Event.Ref},
			Status:   ev.Status,
		}
	}
	return accepted, nil
}

// accepting returns a function that sends one genuine event of Stripe's through
// the whole handler, without a network.
func accepting(t testing.TB) func() {
	t.Helper()
	p, err := stripe.New(providers.APIConfig{})
	require.NoError(t, err)
	logger := slog.New(slog.DiscardHandler)
	s := &Server{
		Config: Config{Listen: ":0", AdminListen: ":0", MaxBytesInFlight: 1 << 20, ShutdownTimeout: time.Second},
		Sources: []Source{{
			Name: "stripe", Provider: p, Secrets: providers.Secrets{"whsec_1"}, Mode: providers.ModeLive,
			Accept: []string{"payment_intent.*", "invoice.*"}, Other: providers.StatusIgnored, Body: 1 << 20, Rate: rate.Inf,
		}},
		Inbox:  noInbox{},
		Relay:  &Relay{Logger: logger},
		Logger: logger,
	}
	require.NoError(t, s.setup())

	body := []byte(`{"id":"evt_1NG8Du2eZvKYlo2CUI79vXWy","object":"event","api_version":"2026-08-26","created":1686089970,` +
		`"data":{"object":{"id":"in_1NG8Du2eZvKYlo2C","object":"invoice","amount_due":2000,"currency":"usd","lines":{"data":[]},"metadata":{"order":"6735"}}},` +
		`"livemode":true,"pending_webhooks":1,"request":{"id":"req_1","idempotency_key":"k"},"type":"invoice.paid"}`)
	at := &url.URL{Scheme: "http", Host: "h", Path: "/webhooks/stripe"}
	signed := providers.Request{Method: http.MethodPost, URL: at, Header: http.Header{"Content-Type": {"application/json"}}, Body: body, ReceivedAt: time.Now()}
	require.NoError(t, p.Sign(&signed, providers.Secrets{"whsec_1"}))

	reader := bytes.NewReader(body)
	r := httptest.NewRequest(http.MethodPost, at.String(), nil)
	r.Header, r.ContentLength, r.Body = signed.Header, int64(len(body)), io.NopCloser(reader)
	w := &discard{header: http.Header{}}
	return func() {
		reader.Reset(body)
		clear(w.header)
		s.public.Handler.ServeHTTP(w, r)
		if w.status != http.StatusOK {
			t.Fatalf("answered %d", w.status)
		}
	}
}

// discard is a ResponseWriter that costs nothing.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// TestAcceptingStaysCheap fails when the way to the inbox begins to make more
// garbage: 43 allocations now, half of them the provider's.
func TestAcceptingStaysCheap(t *testing.T) {
	send := accepting(t)
	require.LessOrEqual(t, testing.AllocsPerRun(500, send), 46.0)
}

func BenchmarkAccept(b *testing.B) {
	send := accepting(b)
	b.ReportAllocs()
	for b.Loop() {
		send()
	}
}
