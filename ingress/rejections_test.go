package ingress

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

// ledger takes rejections, unless it is away.
type ledger struct {
	Inbox
	mu   sync.Mutex
	away bool
	rows []providers.Rejection
}

func (l *ledger) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = false
}

func (l *ledger) stored() []providers.Rejection {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.rows)
}

func (l *ledger) AddRejections(_ context.Context, rows []providers.Rejection) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away {
		return providers.ErrUnavailable
	}
	l.rows = append(l.rows, rows...)
	return nil
}

// refused is a request for a source that does not exist.
func refused(at time.Time) *arrival {
	return &arrival{at: at, http: &http.Request{Method: http.MethodPost, URL: &url.URL{Path: "/webhooks/x"}}}
}

func value(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(c))
	families, err := registry.Gather()
	require.NoError(t, err)
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

func TestRejectionsOutliveAnOutageOfTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inbox := &ledger{away: true}
		dropped := prometheus.NewCounter(prometheus.CounterOpts{Name: "dropped"})
		j := &rejections{inbox: inbox, logger: slog.New(slog.DiscardHandler), dropped: dropped}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); j.run(ctx) }()
		minute := time.Now()
		for range 10 { // flushes that fail
			j.add(refused(minute), &refusal{reason: unknownSource})
			time.Sleep(2 * flushEvery)
		}
		synctest.Wait()
		inbox.open()
		time.Sleep(2 * flushEvery)
		synctest.Wait()
		require.Len(t, inbox.stored(), 1)
		require.EqualValues(t, 10, inbox.stored()[0].Count)

		time.Sleep(2 * flushEvery)
		synctest.Wait()
		require.Len(t, inbox.stored(), 1, "stored once")
		j.add(refused(minute), &refusal{reason: wrongMethod})
		cancel()
		<-done
		require.Len(t, inbox.stored(), 2, "what came last is stored at the end")
		require.Zero(t, value(t, dropped))
	})
}

func TestRejectionsAreBounded(t *testing.T) {
	dropped := prometheus.NewCounter(prometheus.CounterOpts{Name: "dropped"})
	j := &rejections{inbox: &ledger{away: true}, logger: slog.New(slog.DiscardHandler), dropped: dropped}
	for i := range maxRejections + 50 { // minutes of an outage
		for range 2 {
			j.add(refused(time.Now().Add(time.Duration(i)*time.Minute)), &refusal{reason: unknownSource})
		}
		j.flush(t.Context())
	}
	require.Len(t, j.unsent, maxRejections)
	require.EqualValues(t, 100, value(t, dropped))
}

func TestATokenIsNotKeptWhereverItStands(t *testing.T) {
	for path, want := range map[string]string{
		"/webhooks/odd":              "/webhooks/odd",
		"/webhooks/odd/tok3n":        "/webhooks/odd/[token]",
		"/webhooks/odd/tok3n/":       "/webhooks/odd/[token]",
		"/webhooks/odd/tok/3n":       "/webhooks/odd/[token]",
		"/webhooks/odd//tok3n":       "/webhooks/odd/[token]",
		"/webhooks//odd/tok3n":       "/webhooks//[token]",
		"//webhooks/odd/tok3n":       "//[token]",
		"/proxy/webhooks/odd/tok3n":  "/proxy/[token]",
		"/Webhooks/odd/tok3n":        "/Webhooks/[token]",
		"/odd/tok3n":                 "/odd/[token]",
		"/webhooks/":                 "/webhooks/",
		"/webhooks":                  "/webhooks",
		"/":                          "/",
		"*":                          "*",
		"":                           "",
		"/webhooks/odd/[token]":      "/webhooks/odd/[token]",
		"/webhooks/tok3n/odd/tok3n/": "/webhooks/tok3n/[token]", // a source of that name
	} {
		a := &arrival{http: &http.Request{URL: &url.URL{Path: path}}}
		require.Equal(t, want, a.path(), path)
	}
}

func TestNoSampleIsKeptOfABodyThatHoldsASecret(t *testing.T) {
	inbox := &ledger{}
	j := &rejections{inbox: inbox, logger: slog.New(slog.DiscardHandler)}
	open, closed := refused(time.Now()), refused(time.Now())
	open.source, open.body = &source{Source: Source{Name: "open"}}, []byte("who knows")
	closed.source, closed.body = &source{Source: Source{Name: "closed"}, endpoint: providers.Endpoint{SecretBody: true}}, []byte("s3cret")
	j.add(open, &refusal{reason: badSignature})
	j.add(closed, &refusal{reason: badSignature})
	j.flush(t.Context())
	kept := map[string]string{}
	for _, row := range inbox.stored() {
		kept[row.Source] = row.Excerpt
	}
	require.Equal(t, map[string]string{"open": "who knows", "closed": ""}, kept)
}
