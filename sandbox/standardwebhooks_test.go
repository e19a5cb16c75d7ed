package sandbox_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/generic"
	"github.com/surehook/surehook/providers/standardwebhooks"
	"github.com/surehook/surehook/sandbox"
)

const standardSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// openStandard returns a sender with an inbox, and a provider that reads both
// its webhooks and its API.
func openStandard(t *testing.T) (*sandbox.Platform, *standardwebhooks.Provider, *inbox) {
	t.Helper()
	in := &inbox{}
	endpoint := httptest.NewServer(in)
	t.Cleanup(endpoint.Close)
	signer, err := standardwebhooks.New(providers.APIConfig{}, standardwebhooks.Settings{})
	require.NoError(t, err)
	p := sandbox.NewStandardWebhooks(sandbox.PlatformConfig{
		Provider: signer, Secrets: providers.Secrets{standardSecret}, Target: endpoint.URL, Key: "key_test", Seed: 7,
	})
	t.Cleanup(p.Close)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	reader, err := standardwebhooks.New(providers.APIConfig{BaseURL: server.URL, Key: "key_test"}, standardwebhooks.Settings{
		Fetch: generic.Fetch{Paths: map[string]string{"*": "/objects/{ref.type}/{ref.id}"}, UpdatedAt: "updated_at", ErrorCode: "code"},
	})
	require.NoError(t, err)
	return p, reader, in
}

func TestStandardWebhooksAreWhatTheRealProviderAccepts(t *testing.T) {
	p, reader, in := openStandard(t)
	for _, typ := range []string{"contact.created", "contact.updated", "contact.deleted", "user.login.created", "invoice.paid"} {
		t.Run(typ, func(t *testing.T) {
			sent, err := p.Trigger(t.Context(), typ)
			require.NoError(t, err)
			require.True(t, sent.Acknowledged)

			r := in.last(t)
			require.NoError(t, reader.Verify(r, providers.Secrets{standardSecret}))
			events, err := reader.Events(r)
			require.NoError(t, err)
			require.Len(t, events, 1)
			require.Equal(t, sent.ID, events[0].ID)
			require.Equal(t, typ, events[0].Type)
			require.Equal(t, sent.Object, events[0].Ref)
			require.WithinDuration(t, time.Now(), events[0].OccurredAt, time.Minute)

			object, err := reader.Fetch(t.Context(), providers.FetchQuery{Ref: sent.Object})
			require.NoError(t, err)
			require.Equal(t, sent.Deleted, object.Deleted)
			if !object.Deleted {
				kept, ok := p.Object(sent.Object)
				require.True(t, ok)
				require.JSONEq(t, string(kept.State), string(object.State))
				require.False(t, object.UpdatedAt.IsZero())
			}
		})
	}
}

func TestStandardWebhooksAreSignedAnewForEachAttemptAndKeepTheirID(t *testing.T) {
	p, reader, in := openStandard(t)
	sent, err := p.Trigger(t.Context(), "contact.created")
	require.NoError(t, err)
	first := in.last(t)
	_, err = p.Redeliver(t.Context(), sent.ID)
	require.NoError(t, err)
	again := in.last(t)
	require.Equal(t, first.Header.Get("Webhook-Id"), again.Header.Get("Webhook-Id"))
	require.Equal(t, first.Body, again.Body)
	require.NoError(t, reader.Verify(again, providers.Secrets{standardSecret}))
}

func TestTheFaultsOfAStandardAPIAreUnderstood(t *testing.T) {
	p, reader, _ := openStandard(t)
	ref, err := p.Create("contact", map[string]any{"email": "grace@example.com"})
	require.NoError(t, err)
	for _, c := range []struct {
		fault sandbox.APIFault
		retry providers.Retry
		code  string
	}{
		{sandbox.APIFault{Kind: sandbox.FaultError, Next: 1}, providers.RetrySoon, "internal"},
		{sandbox.APIFault{Kind: sandbox.FaultRateLimit, RetryAfter: 3 * time.Second, Next: 1}, providers.RetryLater, "rate_limited"},
	} {
		require.NoError(t, p.SetFaults(sandbox.Faults{API: []sandbox.APIFault{c.fault}}))
		_, err := reader.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
		var failed *providers.APIError
		require.ErrorAs(t, err, &failed, "%v", c.fault.Kind)
		require.Equal(t, c.retry, failed.Retry)
		require.Equal(t, c.code, failed.Code)
	}
	require.NoError(t, p.SetFaults(sandbox.Faults{}))
	object, err := reader.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
	require.NoError(t, err)
	require.Contains(t, string(object.State), "grace@example.com")
	object, err = reader.Fetch(t.Context(), providers.FetchQuery{Ref: providers.Ref{Type: "contact", ID: "contact_none"}})
	require.NoError(t, err)
	require.True(t, object.Deleted)
}

func TestAStandardEventIsMadeOfAnObjectAndAVerb(t *testing.T) {
	p, _, _ := openStandard(t)
	for typ, known := range map[string]bool{"contact.created": true, "a.b.deleted": true, "contact.merged": false, "contact": false, ".created": false, "contact.": false} {
		require.Equal(t, known, p.Knows(typ), typ)
	}
	_, err := p.Trigger(t.Context(), "contact")
	require.ErrorContains(t, err, `event type "contact": want <object>.<verb>`)
	ref, err := p.Create("contact", nil)
	require.NoError(t, err)
	_, err = p.Trigger(t.Context(), "user.updated", sandbox.On(ref))
	require.ErrorContains(t, err, "is none")
}
