package integration_test

import (
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/internal/devserver"
	"github.com/surehook/surehook/internal/store/storetest/pgtest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

const breakerMetric = "surehook_relay_breaker_open"

// durableTemporal is a server that can be stopped and started again.
type durableTemporal struct {
	options devserver.Options
	server  *devserver.Server
}

func startDurableTemporal(t *testing.T) *durableTemporal {
	t.Helper()
	// Not just any free port: it must still be free when the server starts again.
	_, port, err := net.SplitHostPort(loopbackAddress(t))
	require.NoError(t, err)
	d := &durableTemporal{options: devserver.Options{DatabaseFile: filepath.Join(t.TempDir(), "temporal.db")}}
	d.options.Port, err = strconv.Atoi(port)
	require.NoError(t, err)
	d.server = startTemporal(t, d.options)
	return d
}

func (d *durableTemporal) restart(t *testing.T) {
	t.Helper()
	d.server = startTemporal(t, d.options)
}

func TestEventsThatComeWhileTemporalIsAwayAreWorkedOffOnce(t *testing.T) {
	t.Parallel()
	temporal := startDurableTemporal(t)
	s := start(t, options{temporal: temporal.server.HostPort()})
	s.rest()
	require.JSONEq(t, `{"status":"ready","database":"ok","temporal":"ok"}`, s.get("/readyz").Body)
	require.Equal(t, "0", s.metric(breakerMetric))

	temporal.server.Stop()
	var events []sandbox.Event
	for range 20 {
		ev := s.trigger(s.stripe, "invoice.paid")
		require.True(t, ev.Acknowledged, "the inbox is enough")
		events = append(events, ev)
	}
	s.eventually(func() bool { return s.metric(breakerMetric) == "1" }, "nobody is told")
	ready := s.get("/readyz")
	require.Equal(t, http.StatusOK, ready.Status, "events can still be accepted")
	require.JSONEq(t, `{"status":"ready","database":"ok","temporal":"unavailable"}`, ready.Body)
	require.Equal(t, http.StatusOK, s.get("/healthz").Status)

	temporal.restart(t)
	for _, ev := range events {
		s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
		s.requireTrue(s.stripe, "stripe", ev.Object)
		require.Equal(t, 1, s.receiver.Receipt("stripe/"+ev.ID+"/notify").Effects)
		s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	}
	require.Equal(t, len(events), s.receiver.Totals().Deliveries)
	s.eventually(func() bool { return s.metric(breakerMetric) == "0" }, "nobody is told that it is over")
}

func TestEventsThatComeWhileTheDatabaseIsAwayAreCarriedByTemporal(t *testing.T) {
	t.Parallel()
	postgres := pgtest.Start(t, pgtest.Options{})
	s := start(t, options{
		databaseURL: postgres.URL(),
		sources:     source(func(s *ingress.Source) { s.Body = 4 << 20 }),
	})
	s.rest()
	before := s.trigger(s.stripe, "customer.created")
	s.untilStatus("stripe", before.ID, providers.StatusProcessed)

	postgres.Stop(t)
	ready := s.get("/readyz")
	require.Equal(t, http.StatusOK, ready.Status)
	require.JSONEq(t, `{"status":"ready","database":"unavailable","temporal":"ok"}`, ready.Body)

	carried := s.trigger(s.stripe, "invoice.paid", sandbox.Undelivered())
	for _, want := range []string{"accepted", "duplicate"} {
		got := s.post(s.stripe, "stripe", carried.ID)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		require.Contains(t, got.Body, `"status":"`+want+`"`)
	}
	s.untilRun("stripe", carried.ID, enums.WORKFLOW_EXECUTION_STATUS_RUNNING)
	// Whether it came before, only the inbox knows: it is asked later.
	require.Equal(t, http.StatusOK, s.post(s.stripe, "stripe", before.ID).Status)

	large := s.trigger(s.stripe, "customer.created", sandbox.Undelivered(),
		sandbox.Set(map[string]any{"description": strings.Repeat("x", 1<<20)}))
	s.requireNotDurable(large)
	s.requireNoRun("stripe", large.ID)

	postgres.Restart(t)
	e := s.untilStatus("stripe", carried.ID, providers.StatusProcessed)
	require.Equal(t, carried.Object, e.Object)
	require.Equal(t, "stripe/"+carried.ID, e.WorkflowID)
	s.requireTrue(s.stripe, "stripe", carried.Object)
	require.Equal(t, 1, s.receiver.Totals().Effects)
	stored, err := s.store.Event(t.Context(), "stripe", carried.ID)
	require.NoError(t, err)
	require.Equal(t, string(s.request(s.stripe, carried.ID).Body), string(stored.Body))

	s.untilRun("stripe", before.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	require.Equal(t, 1, s.stripe.Fetches(before.Object))
	s.requireNoEvent("stripe", large.ID)
	require.Equal(t, http.StatusOK, s.post(s.stripe, "stripe", large.ID).Status)
	s.untilStatus("stripe", large.ID, providers.StatusProcessed)
}

// requireNotDurable posts an event and is told to send it again.
func (s *system) requireNotDurable(ev sandbox.Event) {
	s.t.Helper()
	got := s.post(s.stripe, "stripe", ev.ID)
	require.Equal(s.t, http.StatusServiceUnavailable, got.Status)
	require.Equal(s.t, "5", got.Header.Get("Retry-After"))
	require.JSONEq(s.t, `{"error":"Service Unavailable"}`, got.Body)
}

func TestNothingIsAcceptedWhileBothAreAway(t *testing.T) {
	t.Parallel()
	temporal := startDurableTemporal(t)
	postgres := pgtest.Start(t, pgtest.Options{})
	s := start(t, options{temporal: temporal.server.HostPort(), databaseURL: postgres.URL()})
	s.rest()

	temporal.server.Stop()
	postgres.Stop(t)
	ev := s.trigger(s.stripe, "invoice.paid", sandbox.Undelivered())
	s.requireNotDurable(ev)
	ready := s.get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, ready.Status)
	require.JSONEq(t, `{"status":"not ready","database":"unavailable","temporal":"unavailable"}`, ready.Body)

	postgres.Restart(t)
	temporal.restart(t)
	s.requireNoEvent("stripe", ev.ID)
	require.Contains(t, s.post(s.stripe, "stripe", ev.ID).Body, `"status":"accepted"`)
	s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	s.requireTrue(s.stripe, "stripe", ev.Object)
	s.untilRejected("stripe", "not_durable", 1)
}

func TestAShutdownUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	var requests []providers.Request
	var ids []string
	for range 600 {
		ev := s.trigger(s.stripe, "customer.created", sandbox.Undelivered())
		requests, ids = append(requests, s.request(s.stripe, ev.ID)), append(ids, ev.ID)
	}
	var mu sync.Mutex
	var acknowledged []string
	enough := make(chan struct{})
	var senders sync.WaitGroup
	for sender := range 4 {
		senders.Go(func() {
			for i := sender; i < len(requests); i += 4 {
				got, err := s.trySend("stripe", requests[i])
				if err != nil || got.Status != http.StatusOK {
					continue // refused or cut off: the platform would send it again
				}
				mu.Lock()
				if acknowledged = append(acknowledged, ids[i]); len(acknowledged) == 60 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	<-enough
	s.halt()
	senders.Wait()
	require.Less(t, len(acknowledged), len(requests), "it was not stopped in the middle")

	s.serve(options{})
	for _, id := range acknowledged {
		s.untilStatus("stripe", id, providers.StatusProcessed)
	}
	t.Logf("%d of %d were acknowledged before the end", len(acknowledged), len(requests))
}
