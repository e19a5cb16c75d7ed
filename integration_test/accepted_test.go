package integration_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/server/api/adminservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/workflows"
)

func TestASignedEventBecomesATrueRecord(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	for source, platform := range map[string]*sandbox.Platform{"stripe": s.stripe, "github": s.github} {
		typ := map[string]string{"stripe": "invoice.paid", "github": "pull_request"}[source]
		ev := s.trigger(platform, typ)
		require.True(t, ev.Acknowledged, source)

		e := s.untilStatus(source, ev.ID, providers.StatusProcessed)
		require.Equal(t, ev.Object, e.Object)
		require.EqualValues(t, 1, e.Deliveries)
		s.requireTrue(platform, source, ev.Object)

		run := s.untilRun(source, ev.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
		summary, err := run.GetStaticSummary()
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%s %s · %s", source, ev.Type, ev.Object), summary)
	}
}

// What an event costs decides how many a cluster can take, and what Temporal
// Cloud charges for it.
func TestAnEventOnTheCommonPathCostsLittle(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	for _, story := range []struct {
		typ                                          string
		historyEvents, activities, apiCalls, notices int
	}{
		// Started; task scheduled, started, completed; marker of the local
		// activity; completed.
		{typ: "customer.created", historyEvents: 6, apiCalls: 1},
		// And for the notice: activity scheduled, started, completed; task
		// scheduled, started, completed; marker of the activity that settles.
		{typ: "invoice.paid", historyEvents: 13, activities: 1, apiCalls: 1, notices: 1},
	} {
		s.stripe.ResetCalls()
		ev := s.trigger(s.stripe, story.typ)
		s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
		h := s.history("stripe", ev.ID)
		historyEvents := len(h.Events)
		require.Equal(t, story.historyEvents, historyEvents, story.typ)
		require.Equal(t, story.activities, count(h, enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED), story.typ)
		require.Equal(t, story.apiCalls, s.stripe.TotalCalls(), story.typ)
		require.Equal(t, story.notices, s.receiver.Totals().Deliveries, story.typ)
	}
}

func TestTheSameEventFiveTimesTakesEffectOnce(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.trigger(s.stripe, "invoice.paid", sandbox.Undelivered())
	for i := range 5 {
		got := s.post(s.stripe, "stripe", ev.ID)
		require.Equal(t, http.StatusOK, got.Status)
		want := "duplicate"
		if i == 0 {
			want = "accepted"
		}
		require.JSONEq(t, fmt.Sprintf(`{"status":%q,"events":[{"id":%q,"workflow_id":"stripe/%s"}]}`, want, ev.ID, ev.ID), got.Body)
	}
	s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	s.rest()
	require.EqualValues(t, 5, s.untilStatus("stripe", ev.ID, providers.StatusProcessed).Deliveries)
	require.Equal(t, 1, s.stripe.Fetches(ev.Object))
	require.Equal(t, 1, s.receiver.Totals().Deliveries)
}

func TestTenConcurrentCopiesTakeEffectOnce(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.trigger(s.stripe, "invoice.paid", sandbox.Undelivered())
	r := s.request(s.stripe, ev.ID)
	var copies sync.WaitGroup
	for range 10 {
		copies.Go(func() {
			got, err := s.trySend("stripe", r)
			if err != nil || got.Status != http.StatusOK {
				t.Errorf("answered %v, %v", got, err)
			}
		})
	}
	copies.Wait()
	s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	s.rest()
	require.EqualValues(t, 10, s.untilStatus("stripe", ev.ID, providers.StatusProcessed).Deliveries)
	require.Equal(t, 1, s.stripe.Fetches(ev.Object))
	require.Equal(t, 1, s.receiver.Totals().Deliveries)
}

func TestAnEventIsADuplicateEvenWhenTemporalHasForgottenItsRun(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.trigger(s.stripe, "invoice.paid")
	s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	s.forgetRun("stripe", ev.ID)

	got := s.post(s.stripe, "stripe", ev.ID)
	require.Equal(t, http.StatusOK, got.Status)
	require.Contains(t, got.Body, `"status":"duplicate"`)
	s.rest()
	s.requireNoRun("stripe", ev.ID)
	require.Equal(t, 1, s.stripe.Fetches(ev.Object))
	require.Equal(t, 1, s.receiver.Totals().Deliveries)
	require.Equal(t, providers.StatusProcessed, s.untilStatus("stripe", ev.ID, providers.StatusProcessed).Status)
}

// forgetRun does what the end of Temporal's retention does. The public call of
// that name waits for half a minute first; this one is for Temporal's operators.
func (s *system) forgetRun(source, id string) {
	s.t.Helper()
	conn, err := grpc.NewClient(s.temporal.HostPort(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(s.t, err)
	defer conn.Close()
	name := workflows.ID(source, id)
	_, err = adminservice.NewAdminServiceClient(conn).DeleteWorkflowExecution(s.t.Context(), &adminservice.DeleteWorkflowExecutionRequest{
		Namespace: client.DefaultNamespace,
		Execution: &commonpb.WorkflowExecution{WorkflowId: name},
	})
	require.NoError(s.t, err)
	s.eventually(func() bool {
		_, err := s.client.DescribeWorkflow(s.t.Context(), name, "")
		_, gone := errors.AsType[*serviceerror.NotFound](err)
		return gone
	}, "the run of %s is still there", name)
}

func TestAGitHubPingIsAnsweredAndStartsNothing(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.trigger(s.github, "ping", sandbox.Undelivered())
	got := s.post(s.github, "github", ev.ID)
	require.Equal(t, http.StatusOK, got.Status)
	require.JSONEq(t, `{"status":"pong"}`, got.Body)
	s.rest()
	s.requireNoEvent("github", ev.ID)
	s.requireNoRun("github", ev.ID)
	require.Equal(t, "1", s.metric(`surehook_requests_total{outcome="handshake",source="github"}`))
}

func TestAGitHubDeliveryMayComeAsAForm(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	// A discussion cannot be fetched, so the form must be read a second time.
	for _, typ := range []string{"pull_request", "discussion"} {
		ev := s.trigger(s.github, typ, sandbox.Undelivered())
		r := s.request(s.github, ev.ID)
		payload := r.Body
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Body = []byte(url.Values{"payload": {string(payload)}}.Encode())
		require.NoError(t, mustGitHub(t, "").Sign(&r, providers.Secrets{githubSecret}))

		got := s.send("github", r)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		e := s.untilStatus("github", ev.ID, providers.StatusProcessed)
		require.Equal(t, ev.Object, e.Object)
		if typ == "pull_request" {
			s.requireTrue(s.github, "github", ev.Object)
			continue
		}
		record, err := s.store.Record(t.Context(), "github", ev.Object.Type, ev.Object.ID)
		require.NoError(t, err)
		require.JSONEq(t, string(payload), string(record.State))
	}
}

func TestAThinStripeEventBecomesATrueRecord(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ref, err := s.stripe.Create("customer", nil)
	require.NoError(t, err)
	r := s.signed(providers.Request{
		Method: http.MethodPost,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body: fmt.Appendf(nil, `{"id":"evt_thin","object":"v2.core.event","type":"v1.customer.updated","livemode":false,
			"created":"2026-03-01T12:00:00.123Z","related_object":{"id":%q,"type":"customer","url":"/v1/customers/%s"}}`, ref.ID, ref.ID),
	}, stripeSecret, time.Now())
	got := s.send("stripe", r)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	e := s.untilStatus("stripe", "evt_thin", providers.StatusProcessed)
	require.Equal(t, ref, e.Object)
	s.requireTrue(s.stripe, "stripe", ref)
}
