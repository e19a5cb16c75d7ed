package integration_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/generic"
	"github.com/surehook/surehook/providers/standardwebhooks"
	"github.com/surehook/surehook/sandbox"
)

// standardSettings declare the sandbox's sender of Standard Webhooks, and a
// contract for what it tells of contacts.
func standardSettings() *standardwebhooks.Settings {
	return &standardwebhooks.Settings{
		Fetch: generic.Fetch{
			BaseURL:   "http://localhost",
			Paths:     map[string]string{"*": "/objects/{ref.type}/{ref.id}"},
			UpdatedAt: "updated_at",
		},
		Schemas: []generic.Schema{{Type: "contact.*", Schema: map[string]any{
			"properties": map[string]any{"data": map[string]any{"required": []any{"email"}}},
		}}},
	}
}

func TestStandardWebhooksBecomeTrueRecordsUntilTheirObjectIsGone(t *testing.T) {
	t.Parallel()
	const source = "standard-webhooks"
	s := start(t, options{platforms: map[string]platform{
		source: {secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", settings: standardSettings()},
	}})
	sender := s.platforms[source]

	created := s.trigger(sender, "contact.created")
	require.True(t, created.Acknowledged)
	s.untilStatus(source, created.ID, providers.StatusProcessed)
	s.requireTrue(sender, source, created.Object)

	updated := s.trigger(sender, "contact.updated", sandbox.On(created.Object), sandbox.Set(map[string]any{"first_name": "Grace"}))
	s.untilStatus(source, updated.ID, providers.StatusProcessed)
	s.requireTrue(sender, source, created.Object)

	broken := s.trigger(sender, "contact.updated", sandbox.On(created.Object), sandbox.Envelope(map[string]any{"data": map[string]any{"id": created.Object.ID}}))
	e := s.untilStatus(source, broken.ID, providers.StatusReview)
	require.Equal(t, "schema: /data breaks required", e.Reason)

	deleted := s.trigger(sender, "contact.deleted", sandbox.On(created.Object))
	s.untilStatus(source, deleted.ID, providers.StatusProcessed)
	record, err := s.store.Record(t.Context(), source, created.Object.Type, created.Object.ID)
	require.NoError(t, err)
	require.True(t, record.Deleted)
	require.Contains(t, string(record.State), "Grace", "its last state is kept")
}

// pbx is a sender whose declaration has all that needs care: XML, a batch, IDs
// that are not signed, no API, and a probe.
func pbx(t *testing.T) *generic.Provider {
	t.Helper()
	p, err := generic.New(providers.APIConfig{}, generic.Settings{
		Verify: generic.Verify{Scheme: generic.SchemeHMACSHA256, Signature: generic.Signature{Header: "X-Pbx-Signature"}},
		Body:   "xml",
		Batch:  "/calls/call",
		Event: generic.Event{
			ID:      generic.Value{"header:X-Pbx-Delivery", "xpath:@nr"},
			Type:    generic.Value{"const:call", "xpath:state"},
			Ref:     generic.Ref{Type: generic.Value{"const:call"}, ID: generic.Value{"xpath:@nr"}},
			Deleted: []string{"call.erased"},
		},
		Handshakes: []generic.Handshake{{Method: http.MethodGet, Echo: "query:challenge"}},
	})
	require.NoError(t, err)
	return p
}

func TestADeclaredSenderIsReceivedWithoutCode(t *testing.T) {
	t.Parallel()
	const secret = "a secret of the telephone system"
	p := pbx(t)
	s := start(t, options{sources: map[string]func(*ingress.Source){"pbx": func(source *ingress.Source) {
		source.Provider, source.Secrets = p, providers.Secrets{secret}
	}}})
	send := func(delivery, body string) answer {
		t.Helper()
		r := providers.Request{
			Method: http.MethodPost, Header: http.Header{"Content-Type": {"text/xml"}}, Body: []byte(body), ReceivedAt: time.Now(),
		}
		r.Header.Set("X-Pbx-Delivery", delivery)
		require.NoError(t, p.Sign(&r, providers.Secrets{secret}))
		return s.send("pbx", r)
	}

	const ended = `<calls><call nr="12"><state>ended</state></call><call nr="13"><state>missed</state></call></calls>`
	got := send("d-1", ended)
	require.Equal(t, http.StatusOK, got.Status)
	require.Equal(t, 2, strings.Count(got.Body, `"id"`))
	for id, state := range map[string]string{"12": `{"@nr":"12","state":"ended"}`, "13": `{"@nr":"13","state":"missed"}`} {
		s.untilStatus("pbx", "d-1:"+id, providers.StatusProcessed)
		record, err := s.store.Record(t.Context(), "pbx", "call", id)
		require.NoError(t, err)
		require.JSONEq(t, state, string(record.State))
	}

	// The signature does not cover the ID, and still a captured request under
	// another one is the same request.
	require.Contains(t, send("d-2", ended).Body, `"duplicate"`)
	rows, err := s.store.Events(t.Context(), store.EventFilter{Source: "pbx"})
	require.NoError(t, err)
	require.Len(t, rows, 2)

	require.Equal(t, http.StatusOK, send("d-3", `<calls><call nr="12"><state>erased</state></call></calls>`).Status)
	s.untilStatus("pbx", "d-3:12", providers.StatusProcessed)
	record, err := s.store.Record(t.Context(), "pbx", "call", "12")
	require.NoError(t, err)
	require.True(t, record.Deleted)

	require.Equal(t, http.StatusOK, send("d-4", `<calls><call nr="14">`).Status, "to refuse it would have it sent again")
	probe := s.send("pbx?challenge=x7", providers.Request{Method: http.MethodGet})
	require.Equal(t, http.StatusOK, probe.Status)
	require.Equal(t, "x7", probe.Body)
	unsigned := s.send("pbx", providers.Request{Method: http.MethodPost, Header: http.Header{"Content-Type": {"text/xml"}}, Body: []byte(ended)})
	require.Equal(t, http.StatusUnauthorized, unsigned.Status)
}
