package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/msgraph"
	"github.com/surehook/surehook/sandbox"
)

const (
	msgraphState = "sandbox client state"
	msgraphKey   = "access-token"
)

// graphWorld is a sandboxed Graph with the real provider pointed at it.
type graphWorld struct {
	*sandbox.Platform
	*msgraph.Provider
	URL   string
	inbox *inbox
}

func openGraph(t *testing.T) *graphWorld {
	t.Helper()
	return openGraphAt(t, time.Now)
}

func openGraphAt(t *testing.T, now func() time.Time) *graphWorld {
	t.Helper()
	w := &graphWorld{inbox: &inbox{}}
	endpoint := httptest.NewServer(w.inbox)
	t.Cleanup(endpoint.Close)
	signer, err := msgraph.New(providers.APIConfig{}, msgraph.Settings{})
	require.NoError(t, err)
	w.Platform = sandbox.New("msgraph", sandbox.PlatformConfig{
		Provider: signer, Secrets: providers.Secrets{msgraphState}, Key: msgraphKey, Target: endpoint.URL, Seed: 1, Now: now,
	})
	t.Cleanup(w.Close)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.URL = server.URL
	w.Provider = w.provider(t, msgraphKey, msgraph.Settings{})
	return w
}

func (w *graphWorld) provider(t *testing.T, key string, s msgraph.Settings) *msgraph.Provider {
	t.Helper()
	p, err := msgraph.New(providers.APIConfig{BaseURL: w.URL, Key: key, Timeout: 5 * time.Second}, s)
	require.NoError(t, err)
	return p
}

// ServeHTTP is the platform's: the provider has none.
func (w *graphWorld) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.Platform.ServeHTTP(rw, r) }

var msgraphTypes = []string{
	"message.created", "message.updated", "message.deleted", "event.created", "event.updated", "event.deleted",
	"user.created", "user.updated", "user.deleted",
	"lifecycle.reauthorizationRequired", "lifecycle.subscriptionRemoved", "lifecycle.missed",
}

func TestGraphNotificationsAreWhatTheRealProviderAccepts(t *testing.T) {
	w := openGraph(t)
	for _, typ := range msgraphTypes {
		t.Run(typ, func(t *testing.T) {
			require.True(t, w.Knows(typ))
			sent, err := w.Trigger(t.Context(), typ)
			require.NoError(t, err)
			require.True(t, sent.Acknowledged)

			r := w.inbox.last(t)
			require.NoError(t, w.Verify(r, providers.Secrets{msgraphState}))
			require.ErrorIs(t, w.Verify(r, providers.Secrets{"another"}), providers.ErrUnauthenticated)
			events, err := w.Provider.Events(r)
			require.NoError(t, err)
			require.Len(t, events, 1)
			require.Equal(t, sent.ID, events[0].ID)
			require.Equal(t, typ, events[0].Type)
			require.NotEmpty(t, events[0].Ref.Account)
			events[0].Ref.Account = ""
			require.Equal(t, sent.Object, events[0].Ref)
			require.Equal(t, sent.Deleted, events[0].Deleted)
			require.Empty(t, events[0].Review)

			object, err := w.Fetch(t.Context(), providers.FetchQuery{Ref: sent.Object})
			require.NoError(t, err)
			require.Equal(t, sent.Deleted, object.Deleted)
			kept, ok := w.Platform.Object(sent.Object)
			require.True(t, ok)
			require.Equal(t, sent.Version, kept.Version)
			if sent.Object.Type == "subscription" {
				return // is recorded without its clientState
			}
			if !object.Deleted {
				require.JSONEq(t, string(kept.State), string(object.State))
				require.Equal(t, sent.Object.Type != "user", !object.UpdatedAt.IsZero())
			}
		})
	}
}

func TestGraphNamesEachChangeAnew(t *testing.T) {
	w := openGraph(t)
	for _, kind := range []string{"message", "user"} {
		ref, err := w.Create(kind, nil)
		require.NoError(t, err)
		seen := map[string]bool{}
		for range 3 {
			sent, err := w.Trigger(t.Context(), kind+".updated", sandbox.On(ref))
			require.NoError(t, err)
			require.False(t, seen[sent.ID])
			seen[sent.ID] = true
		}
	}
}

func TestGraphAnswersAsItsServicesDo(t *testing.T) {
	w := openGraph(t)
	mail, err := w.Create("message", nil)
	require.NoError(t, err)
	mailbox := providers.Ref{Type: "user", ID: mail.ID[:36]}
	fetched := func(p *msgraph.Provider, ref providers.Ref) (providers.Object, *providers.APIError) {
		object, err := p.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
		if err == nil {
			return object, nil
		}
		var failed *providers.APIError
		require.ErrorAs(t, err, &failed)
		return object, failed
	}
	_, failed := fetched(w.provider(t, "wrong", msgraph.Settings{}), mail)
	require.Equal(t, http.StatusUnauthorized, failed.Status)
	require.Equal(t, "InvalidAuthenticationToken", failed.Code)

	app := msgraph.Settings{Tenant: "contoso.example", ClientID: "client", TokenURL: w.URL + "/{tenant}/oauth2/v2.0/token"}
	object, failed := fetched(w.provider(t, msgraphKey, app), mail)
	require.Nil(t, failed)
	require.False(t, object.Deleted)
	_, failed = fetched(w.provider(t, "wrong", app), mail)
	require.Equal(t, "invalid_client", failed.Code)
	require.Equal(t, providers.RetryNever, failed.Retry)

	require.NoError(t, w.Delete(mailbox))
	for _, ref := range []providers.Ref{mail, mailbox, {Type: "subscription", ID: "unknown"}} {
		object, failed := fetched(w.Provider, ref)
		require.Nil(t, failed, ref)
		require.True(t, object.Deleted, ref)
	}
	_, failed = fetched(w.Provider, providers.Ref{Type: "chat", ID: "chats('x')"})
	require.Equal(t, http.StatusBadRequest, failed.Status)
	require.Equal(t, "BadRequest", failed.Code)
}

func TestGraphsFaultsAreUnderstood(t *testing.T) {
	w := openGraph(t)
	ref, err := w.Create("event", nil)
	require.NoError(t, err)
	for _, c := range []struct {
		fault sandbox.APIFault
		retry providers.Retry
		after time.Duration
		code  string
	}{
		{sandbox.APIFault{Kind: sandbox.FaultRateLimit, RetryAfter: 3 * time.Second}, providers.RetryLater, 3 * time.Second, "TooManyRequests"},
		{sandbox.APIFault{Kind: sandbox.FaultRateLimit}, providers.RetrySoon, 0, "TooManyRequests"},
		{sandbox.APIFault{Kind: sandbox.FaultError}, providers.RetrySoon, 0, "generalException"},
		{sandbox.APIFault{Kind: sandbox.FaultError, Status: 503, RetryAfter: time.Second}, providers.RetryLater, time.Second, "generalException"},
		{sandbox.APIFault{Kind: sandbox.FaultError, Status: 403}, providers.RetryNever, 0, "generalException"},
		{sandbox.APIFault{Kind: sandbox.FaultTruncate}, providers.RetrySoon, 0, ""},
	} {
		c.fault.Next = 1
		require.NoError(t, w.SetFaults(sandbox.Faults{API: []sandbox.APIFault{c.fault}}))
		// A connection of its own: on one that was used before, Go itself asks again.
		_, err := w.provider(t, msgraphKey, msgraph.Settings{}).Fetch(t.Context(), providers.FetchQuery{Ref: ref})
		var failed *providers.APIError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, c.retry, failed.Retry, c.fault)
		require.Equal(t, c.after, failed.After, c.fault)
		require.Equal(t, c.code, failed.Code, c.fault)
	}
	require.Error(t, w.SetFaults(sandbox.Faults{API: []sandbox.APIFault{{Kind: sandbox.FaultLockTimeout}}}))
}

func TestGraphRefusesWhatCannotHappen(t *testing.T) {
	w := openGraph(t)
	mail, err := w.Create("message", nil)
	require.NoError(t, err)
	for name, trigger := range map[string]func() (sandbox.Event, error){
		"an unknown kind":        func() (sandbox.Event, error) { return w.Trigger(t.Context(), "weather.updated") },
		"an unknown verb":        func() (sandbox.Event, error) { return w.Trigger(t.Context(), "message.sent") },
		"an unknown lifecycle":   func() (sandbox.Event, error) { return w.Trigger(t.Context(), "lifecycle.ended") },
		"an object of another":   func() (sandbox.Event, error) { return w.Trigger(t.Context(), "event.updated", sandbox.On(mail)) },
		"an event about another": func() (sandbox.Event, error) { return w.Emit(t.Context(), "event.updated", mail) },
	} {
		_, err := trigger()
		require.Error(t, err, name)
	}
	require.Empty(t, w.Platform.Events())
	_, err = w.Create("weather", nil)
	require.Error(t, err)
}

func TestGraphSendsNothingForASubscriptionThatWasRemoved(t *testing.T) {
	w := openGraph(t)
	sent, err := w.Trigger(t.Context(), "message.created")
	require.NoError(t, err)
	for _, subscription := range w.Objects("subscription") {
		_, err := w.Trigger(t.Context(), "lifecycle.subscriptionRemoved", sandbox.On(subscription.Ref))
		require.NoError(t, err)
	}
	_, err = w.Trigger(t.Context(), "message.updated", sandbox.On(sent.Object))
	require.ErrorIs(t, err, sandbox.ErrNoObject)
}

func (w *graphWorld) call(t *testing.T, method, path, body string) (status int, answer map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+msgraphKey)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	_ = json.NewDecoder(resp.Body).Decode(&answer)
	return resp.StatusCode, answer
}

// echo answers Graph's validation.
func echo(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/plain")
		_, _ = rw.Write([]byte(r.URL.Query().Get("validationToken")))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestAGraphSubscriptionOfTheAPIIsTheOneThatIsSentFor(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	w := openGraphAt(t, func() time.Time { return now })
	order := `{"changeType": "updated,deleted", "resource": "users", "notificationUrl": "` + echo(t) + `", "expirationDateTime": "2026-03-05T05:06:07Z", "clientState": "x"}`
	status, made := w.call(t, http.MethodPost, "/v1.0/subscriptions", order)
	require.Equal(t, http.StatusCreated, status)
	require.Nil(t, made["clientState"], "it is not shown")
	status, _ = w.call(t, http.MethodPost, "/v1.0/subscriptions", order)
	require.Equal(t, http.StatusConflict, status)

	sent, err := w.Trigger(t.Context(), "user.updated")
	require.NoError(t, err)
	r, err := w.Request(sent.ID)
	require.NoError(t, err)
	require.Contains(t, string(r.Body), made["id"])

	now = now.Add(25 * time.Hour)
	path := fmt.Sprintf("/v1.0/subscriptions/%s", made["id"])
	for method, path := range map[string]string{http.MethodGet: path, http.MethodPatch: path, http.MethodDelete: path, http.MethodPost: path + "/reauthorize"} {
		status, _ = w.call(t, method, path, `{"expirationDateTime": "2026-03-06T05:06:07Z"}`)
		require.Equal(t, http.StatusNotFound, status, "%s of one that has expired", method)
	}
	status, all := w.call(t, http.MethodGet, "/v1.0/subscriptions", "")
	require.Equal(t, http.StatusOK, status)
	require.Empty(t, all["value"])
	before, _ := w.Platform.Object(sent.Object)
	_, err = w.Trigger(t.Context(), "user.updated", sandbox.On(sent.Object))
	require.ErrorContains(t, err, "nobody is subscribed")
	after, _ := w.Platform.Object(sent.Object)
	require.Greater(t, after.Version, before.Version, "what nobody is told of happens all the same")
}

func TestGraphsOwnSubscriptionsNeverRunOut(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	w := openGraphAt(t, func() time.Time { return now })
	for range 3 {
		_, err := w.Trigger(t.Context(), "message.created")
		require.NoError(t, err)
		now = now.AddDate(0, 1, 0)
	}
}

func TestGraphSubscriptionsCanBeRenewedAuthorizedAndEnded(t *testing.T) {
	w := openGraph(t)
	ref, err := w.Create("subscription", nil)
	require.NoError(t, err)
	path := "/v1.0/subscriptions/" + ref.ID
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodPost, path + "/reauthorize", "", http.StatusNoContent},
		{http.MethodPatch, path, `{"expirationDateTime": "` + time.Now().Add(6*24*time.Hour).UTC().Format(time.RFC3339) + `"}`, http.StatusOK},
		{http.MethodPatch, path, `{"expirationDateTime": "` + time.Now().Add(8*24*time.Hour).UTC().Format(time.RFC3339) + `"}`, http.StatusBadRequest},
		{http.MethodPatch, path, `{"expirationDateTime": "2020-01-01T00:00:00Z"}`, http.StatusBadRequest},
		{http.MethodDelete, path, "", http.StatusNoContent},
		{http.MethodDelete, path, "", http.StatusNotFound},
	} {
		status, _ := w.call(t, c.method, c.path, c.body)
		require.Equal(t, c.want, status, "%s %s", c.method, c.body)
	}
}

func TestGraphSubscribesNobodyWhoDoesNotSendTheTokenBack(t *testing.T) {
	w := openGraph(t)
	silent := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("Content-Type", "text/plain") }))
	t.Cleanup(silent.Close)
	for _, url := range []string{silent.URL, "http://127.0.0.1:1/", "::"} {
		for _, urls := range []string{`"notificationUrl": "` + url + `"`, `"notificationUrl": "` + echo(t) + `", "lifecycleNotificationUrl": "` + url + `"`} {
			status, answer := w.call(t, http.MethodPost, "/v1.0/subscriptions", `{"changeType": "updated", "resource": "users", "expirationDateTime": "2099-01-01T00:00:00Z", `+urls+`}`)
			require.Equal(t, http.StatusBadRequest, status)
			require.Contains(t, fmt.Sprint(answer["error"]), "ValidationError")
		}
	}
	require.Empty(t, w.Objects("subscription"))
}
