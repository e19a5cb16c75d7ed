package integration_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/all"
)

// named are sources that are called as their platforms, with a secret each.
func named(t *testing.T, names map[string]string) map[string]func(*ingress.Source) {
	t.Helper()
	sources := map[string]func(*ingress.Source){}
	for name, secret := range names {
		p, err := all.New(name, providers.APIConfig{}, nil)
		require.NoError(t, err)
		sources[name] = func(s *ingress.Source) { s.Provider, s.Secrets = p, providers.Secrets{secret} }
	}
	return sources
}

// sent is what a declared platform sends: the body, signed now.
func (s *system) sent(source, body string) providers.Request {
	s.t.Helper()
	at, err := url.Parse(s.URL + "/webhooks/" + source)
	require.NoError(s.t, err)
	r := providers.Request{
		Method: http.MethodPost, URL: at, Body: []byte(body), ReceivedAt: time.Now(),
		Header: http.Header{"Content-Type": {"application/json"}},
	}
	for i := range s.sources {
		if s.sources[i].Name == source {
			require.NoError(s.t, s.sources[i].Provider.Sign(&r, s.sources[i].Secrets))
			return r
		}
	}
	s.t.Fatalf("no source %s", source)
	return r
}

func TestEachEventOfABatchIsWorkedOnAndKeepsWhatItSaid(t *testing.T) {
	t.Parallel()
	s := start(t, options{sources: named(t, map[string]string{"hubspot": "client secret"})})
	const (
		contact = `{"eventId":1,"subscriptionId":5,"portalId":62515,"occurredAt":1564113600000,"subscriptionType":"object.creation","attemptNumber":0,"objectId":123,"objectTypeId":"0-1"}`
		deal    = `{"eventId":1,"subscriptionId":6,"portalId":62515,"occurredAt":1564113600000,"subscriptionType":"object.creation","attemptNumber":0,"objectId":123,"objectTypeId":"0-3"}`
	)
	got := s.send("hubspot", s.sent("hubspot", "["+contact+","+deal+"]"))
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	s.untilStatus("hubspot", "62515:5:1:123:1564113600000", providers.StatusProcessed)
	s.untilStatus("hubspot", "62515:6:1:123:1564113600000", providers.StatusProcessed)
	require.JSONEq(t, contact, s.state("hubspot", providers.Ref{Type: "0-1", ID: "123"}))
	require.JSONEq(t, deal, s.state("hubspot", providers.Ref{Type: "0-3", ID: "123"}))

	// HubSpot counts its attempts, signs anew, and need not batch as before.
	again := strings.Replace(deal, `"attemptNumber":0`, `"attemptNumber":1`, 1)
	got = s.send("hubspot", s.sent("hubspot", "["+again+"]"))
	require.Equal(t, http.StatusOK, got.Status)
	require.Contains(t, got.Body, `"status":"duplicate"`)
	require.JSONEq(t, deal, s.state("hubspot", providers.Ref{Type: "0-3", ID: "123"}))
}

func TestAnEventThatTellsTheEndOfItsObjectLeavesATombstone(t *testing.T) {
	t.Parallel()
	s := start(t, options{sources: named(t, map[string]string{"square": "signature key"})})
	event := func(id, typ string) string {
		return `{"merchant_id": "M", "type": "` + typ + `", "event_id": "` + id + `", "created_at": "2020-02-06T21:27:34.308Z", "data": {"type": "customer", "id": "C1"}}`
	}
	require.Equal(t, http.StatusOK, s.send("square", s.sent("square", event("e1", "customer.created"))).Status)
	s.untilStatus("square", "e1", providers.StatusProcessed)
	require.JSONEq(t, event("e1", "customer.created"), s.state("square", providers.Ref{Type: "customer", ID: "C1"}))

	require.Equal(t, http.StatusOK, s.send("square", s.sent("square", event("e2", "customer.deleted"))).Status)
	s.untilStatus("square", "e2", providers.StatusProcessed)
	record, err := s.store.Record(t.Context(), "square", "customer", "C1")
	require.NoError(t, err)
	require.True(t, record.Deleted)
}

func TestPlatformsGetTheAnswersTheyAskFor(t *testing.T) {
	t.Parallel()
	s := start(t, options{sources: named(t, map[string]string{
		"discord":  hex.EncodeToString(ed25519.NewKeyFromSeed([]byte(strings.Repeat("a", ed25519.SeedSize)))),
		"intercom": "client secret",
		"adyen":    strings.Repeat("ab", 32),
	})})
	ping := s.sent("discord", `{"id": "1", "type": 1}`)
	got := s.send("discord", ping)
	require.Equal(t, http.StatusOK, got.Status)
	require.JSONEq(t, `{"type": 1}`, got.Body)
	s.requireNoEvent("discord", "1")

	ping.Body = []byte(`{"id": "2", "type": 1}`)
	require.Equal(t, http.StatusUnauthorized, s.send("discord", ping).Status)

	got = s.send("discord", s.sent("discord", `{"id": "3", "type": 2}`))
	require.Equal(t, http.StatusOK, got.Status)
	require.JSONEq(t, `{"type": 5}`, got.Body)
	s.untilStatus("discord", "3", providers.StatusProcessed)

	require.Equal(t, http.StatusOK, s.send("intercom", providers.Request{Method: http.MethodHead, Header: http.Header{}}).Status)

	got = s.send("adyen", s.sent("adyen", `{"live": "false", "notificationItems": [{"NotificationRequestItem":
		{"pspReference": "P1", "eventCode": "AUTHORISATION", "success": "true", "merchantAccountCode": "M", "amount": {"value": 1, "currency": "EUR"}}}]}`))
	require.Equal(t, http.StatusOK, got.Status)
	require.Equal(t, "[accepted]", got.Body)
	s.untilStatus("adyen", "P1:AUTHORISATION:true", providers.StatusProcessed)
}
