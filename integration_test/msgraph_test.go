package integration_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/msgraph"
	"github.com/surehook/surehook/sandbox"
)

const graphState = "client state of the integration"

// startGraph runs a system with a source of Graph.
func startGraph(t *testing.T, settings *msgraph.Settings) (*system, *sandbox.Platform) {
	t.Helper()
	s := start(t, options{platforms: map[string]platform{"msgraph": {secret: graphState, settings: settings}}})
	return s, s.platforms["msgraph"]
}

func TestGraphValidatesTheEndpointBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	s, _ := startGraph(t, &msgraph.Settings{})
	ask := func(source, query, body string) answer {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/webhooks/"+source+"?"+query, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "text/plain; charset=utf-8")
		got, err := do(req)
		require.NoError(t, err)
		return got
	}
	got := ask("msgraph", "validationToken=Validation%3a+Testing+%3cscript%3e", "")
	require.Equal(t, http.StatusOK, got.Status)
	require.Equal(t, "Validation: Testing <script>", got.Body)
	require.Equal(t, "text/plain; charset=utf-8", got.Header.Get("Content-Type"))
	require.Equal(t, "nosniff", got.Header.Get("X-Content-Type-Options"))

	require.Equal(t, http.StatusUnauthorized, ask("msgraph", "validationToken=x", "{}").Status, "a body is no validation")
	require.Equal(t, http.StatusUnauthorized, ask("stripe", "validationToken=x", "").Status, "another platform has no such thing")
}

func TestAGraphNotificationBecomesATrueRecord(t *testing.T) {
	t.Parallel()
	s, graph := startGraph(t, &msgraph.Settings{})
	created := s.trigger(graph, "message.created", sandbox.Undelivered())
	got := s.post(graph, "msgraph", created.ID)
	require.Equal(t, http.StatusAccepted, got.Status)
	require.Empty(t, got.Body)
	s.untilRun("msgraph", created.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	s.requireTrue(graph, "msgraph", created.Object)

	// Nothing is signed: who has captured the notification can give it any id, and
	// it is the same one all the same.
	again := s.request(graph, created.ID)
	again.Body = []byte(strings.Replace(string(again.Body), `"changeType"`, `"id":"another","changeType"`, 1))
	require.Equal(t, http.StatusAccepted, s.send("msgraph", again).Status)
	require.EqualValues(t, 2, s.untilStatus("msgraph", created.ID, providers.StatusProcessed).Deliveries)
	require.Equal(t, 1, graph.Fetches(created.Object))

	forged := s.request(graph, created.ID)
	forged.Body = []byte(strings.Replace(string(forged.Body), graphState, "a guess", 1))
	require.Equal(t, http.StatusUnauthorized, s.send("msgraph", forged).Status)

	deleted := s.trigger(graph, "message.deleted", sandbox.On(created.Object))
	s.untilStatus("msgraph", deleted.ID, providers.StatusProcessed)
	s.requireTrue(graph, "msgraph", created.Object)
	record, err := s.store.Record(t.Context(), "msgraph", "message", created.Object.ID)
	require.NoError(t, err)
	require.True(t, record.Deleted)
	require.NotEmpty(t, record.State, "the last state is kept")
}

func TestSeveralGraphSubscriptionsInOneRequestAreAllWorkedOn(t *testing.T) {
	t.Parallel()
	settings := &msgraph.Settings{Subscriptions: map[string]providers.Secret{
		"7f105c7d-2dc5-4530-97cd-4e7ae6534c07": "state of the mail",
		"5cfe2387-163c-4006-81bb-1b5e1e060afe": "state of the calendar",
	}}
	s, graph := startGraph(t, settings)
	mail := s.trigger(graph, "message.created", sandbox.Undelivered())
	event := s.trigger(graph, "event.updated", sandbox.Undelivered())
	user := s.trigger(graph, "user.created", sandbox.Undelivered())
	require.Equal(t, http.StatusAccepted, s.send("msgraph", s.batch(graph, mail, event)).Status)
	for _, ev := range []sandbox.Event{mail, event} {
		e := s.untilStatus("msgraph", ev.ID, providers.StatusProcessed)
		require.Equal(t, ev.Type, e.Type)
		s.requireTrue(graph, "msgraph", ev.Object)
	}

	// One that nobody declared spoils the request: nothing of it has an effect.
	changed := s.trigger(graph, "message.updated", sandbox.On(mail.Object), sandbox.Undelivered())
	require.Equal(t, http.StatusUnauthorized, s.send("msgraph", s.batch(graph, changed, user)).Status)
	s.requireNoEvent("msgraph", changed.ID)
	s.requireNoEvent("msgraph", user.ID)
}

// batch is one request with the notifications of several events.
func (s *system) batch(p *sandbox.Platform, events ...sandbox.Event) providers.Request {
	s.t.Helper()
	var all struct {
		Value []json.RawMessage `json:"value"`
	}
	var r providers.Request
	for _, ev := range events {
		r = s.request(p, ev.ID)
		var one struct {
			Value []json.RawMessage `json:"value"`
		}
		require.NoError(s.t, json.Unmarshal(r.Body, &one))
		all.Value = append(all.Value, one.Value...)
	}
	var err error
	r.Body, err = json.Marshal(all)
	require.NoError(s.t, err)
	return r
}

func TestAGraphSubscriptionThatWasRemovedIsRecordedAsGone(t *testing.T) {
	t.Parallel()
	s, graph := startGraph(t, &msgraph.Settings{})
	challenged := s.trigger(graph, "lifecycle.reauthorizationRequired")
	s.untilStatus("msgraph", challenged.ID, providers.StatusProcessed)
	record, err := s.store.Record(t.Context(), "msgraph", "subscription", challenged.Object.ID)
	require.NoError(t, err)
	require.NotContains(t, string(record.State), "clientState")

	removed := s.trigger(graph, "lifecycle.subscriptionRemoved", sandbox.On(challenged.Object))
	s.untilStatus("msgraph", removed.ID, providers.StatusProcessed)
	s.requireTrue(graph, "msgraph", removed.Object)
}
