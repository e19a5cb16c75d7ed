package msgraph_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/msgraph"
	"github.com/surehook/surehook/sandbox"
)

const day = 24 * time.Hour

// kept is a sandboxed Graph with a clock, an endpoint that it can send to, and a
// provider that keeps two subscriptions there.
type kept struct {
	*sandbox.Platform
	*msgraph.Provider
	now      *time.Time
	endpoint string

	mu     sync.Mutex
	orders []map[string]string // the bodies of the calls that make or renew one
}

func keeping(t *testing.T, endpoint http.Handler) *kept {
	t.Helper()
	k := &kept{}
	k.Platform, k.now = play(t, "token")
	hooks := httptest.NewServer(endpoint)
	t.Cleanup(hooks.Close)
	k.endpoint = hooks.URL + "/webhooks/msgraph"
	k.Provider = reading(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost || r.Method == http.MethodPatch {
			text, _ := io.ReadAll(r.Body)
			var order map[string]string
			if json.Unmarshal(text, &order) == nil {
				k.mu.Lock()
				k.orders = append(k.orders, order)
				k.mu.Unlock()
			}
			r.Body = io.NopCloser(bytes.NewReader(text))
		}
		k.Platform.ServeHTTP(w, r)
	}), subscribes)
	return k
}

// probed answers Graph's validation as the provider does.
func probed(t *testing.T) http.Handler {
	p := open(t, msgraph.Settings{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answer, ok := p.Probe(providers.Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: body})
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", answer.ContentType)
		_, _ = w.Write(answer.Body)
	})
}

func (k *kept) query() providers.KeepQuery {
	return providers.KeepQuery{URL: k.endpoint, Secrets: providers.Secrets{secret, "the old one"}}
}

func (k *kept) keep(t *testing.T, q providers.KeepQuery) []providers.Subscription {
	t.Helper()
	all, err := k.Keep(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, all, 2)
	return all
}

// did is what was done for each, in the order of the settings.
func did(all []providers.Subscription) (what []providers.Upkeep) {
	for _, s := range all {
		what = append(what, s.Did)
	}
	return what
}

func TestMissingSubscriptionsAreCreatedOnce(t *testing.T) {
	k := keeping(t, probed(t))
	all := k.keep(t, k.query())
	require.Equal(t, []providers.Upkeep{providers.UpkeepCreated, providers.UpkeepCreated}, did(all))
	require.Equal(t, []string{"users (updated,deleted)", "users/" + user + "/messages (created,updated,deleted)"}, []string{all[0].What, all[1].What})
	require.Equal(t, []string{"delta", "delta"}, []string{all[0].List, all[1].List}, "what happened before shows the delta")
	require.Equal(t, begin.Add(29*day), all[0].Expires)
	require.Equal(t, begin.Add(7*day), all[1].Expires)
	require.Equal(t, map[string]string{
		"changeType": "updated,deleted", "notificationUrl": k.endpoint, "lifecycleNotificationUrl": k.endpoint, "resource": "users",
		"expirationDateTime": "2026-04-02T05:06:07Z", "clientState": secret,
	}, k.orders[0])

	again := k.keep(t, k.query())
	require.Equal(t, []providers.Upkeep{providers.UpkeepNone, providers.UpkeepNone}, did(again))
	require.Equal(t, all[0].ID, again[0].ID)
	require.Empty(t, again[0].List)
	require.Len(t, k.orders, 2)
}

func TestAMissingSubscriptionIsFoundBeyondTheFirstPage(t *testing.T) {
	k := keeping(t, probed(t))
	for range 5 { // of our application, to something else
		_, err := k.Create("subscription", map[string]any{"resource": "groups"})
		require.NoError(t, err)
	}
	k.keep(t, k.query())
	require.Equal(t, []providers.Upkeep{providers.UpkeepNone, providers.UpkeepNone}, did(k.keep(t, k.query())))
}

func TestASubscriptionIsRenewedWhenHalfOfItsTimeIsOver(t *testing.T) {
	k := keeping(t, probed(t))
	first := k.keep(t, k.query())
	*k.now = begin.Add(7 * day / 2)
	require.Equal(t, []providers.Upkeep{providers.UpkeepNone, providers.UpkeepNone}, did(k.keep(t, k.query())))

	*k.now = begin.Add(7*day/2 + time.Minute)
	renewed := k.keep(t, k.query())
	require.Equal(t, []providers.Upkeep{providers.UpkeepNone, providers.UpkeepRenewed}, did(renewed))
	require.Equal(t, first[1].ID, renewed[1].ID)
	require.Equal(t, k.now.Add(7*day), renewed[1].Expires)
	require.Empty(t, renewed[1].List, "it was never away")
	require.Equal(t, map[string]string{"expirationDateTime": "2026-03-14T17:07:07Z"}, k.orders[2])
}

func TestWhatWasLostIsMadeAnewAndItsDeltaRead(t *testing.T) {
	for what, lose := range map[string]func(k *kept, id string) error{
		"removed": func(k *kept, id string) error { return k.Delete(providers.Ref{Type: "subscription", ID: id}) },
		"expired": func(k *kept, _ string) error { *k.now = begin.Add(8 * day); return nil },
	} {
		k := keeping(t, probed(t))
		first := k.keep(t, k.query())
		require.NoError(t, lose(k, first[1].ID))
		again := k.keep(t, k.query())
		require.Equal(t, []providers.Upkeep{providers.UpkeepNone, providers.UpkeepCreated}, did(again), what)
		require.NotEqual(t, first[1].ID, again[1].ID)
		require.Equal(t, []string{"", "delta"}, []string{again[0].List, again[1].List})
	}
}

func TestWhatGraphSaysOfASubscriptionIsActedOn(t *testing.T) {
	k := keeping(t, probed(t))
	first := k.keep(t, k.query())
	q := k.query()
	q.Subscription, q.EventType = first[0].ID, "lifecycle.reauthorizationRequired"
	require.Equal(t, []providers.Upkeep{providers.UpkeepRenewed, providers.UpkeepNone}, did(k.keep(t, q)), "a renewal authorizes, too")

	q.EventType = "lifecycle.missed"
	all := k.keep(t, q)
	require.Equal(t, []providers.Upkeep{providers.UpkeepNone, providers.UpkeepNone}, did(all))
	require.Equal(t, []string{"delta", ""}, []string{all[0].List, all[1].List})
}

func TestASubscriptionThatGoesWhileItIsRenewedIsMadeAnew(t *testing.T) {
	k := keeping(t, probed(t))
	k.keep(t, k.query())
	*k.now = begin.Add(6 * day)
	require.NoError(t, k.SetFaults(sandbox.Faults{API: []sandbox.APIFault{{Path: "/v1.0/subscriptions/*", Kind: sandbox.FaultError, Status: 410, Next: 1}}}))
	all, err := k.Keep(t.Context(), k.query())
	var failed *providers.APIError
	require.ErrorAs(t, err, &failed, "the sandbox still has it, so it refuses a second one")
	require.Equal(t, http.StatusConflict, failed.Status)
	require.Equal(t, providers.RetrySoon, failed.Retry)
	require.Equal(t, []providers.Upkeep{providers.UpkeepNone}, did(all), "the other one is looked after all the same")
}

func TestASubscriptionThatSendsElsewhereIsLeftAlone(t *testing.T) {
	k := keeping(t, probed(t))
	k.keep(t, k.query())
	q := k.query()
	q.URL += "-elsewhere"
	_, err := k.Keep(t.Context(), q)
	var failed *providers.APIError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, providers.RetryNever, failed.Retry)
	require.ErrorContains(t, err, "sends to another URL: delete it")
	require.Len(t, k.Objects("subscription"), 2)
}

func TestAnEndpointThatDoesNotAnswerGetsNoSubscription(t *testing.T) {
	k := keeping(t, http.NotFoundHandler())
	all, err := k.Keep(t.Context(), k.query())
	var failed *providers.APIError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, "ValidationError", failed.Code)
	require.Empty(t, all)
	require.Empty(t, k.Objects("subscription"))
	require.NotContains(t, err.Error(), secret)
}

func TestKeepNeedsToKnowWhereToSend(t *testing.T) {
	p := open(t, subscribes)
	require.True(t, p.Keeps())
	require.False(t, open(t, msgraph.Settings{}).Keeps())
	for _, q := range []providers.KeepQuery{{Secrets: providers.Secrets{secret}}, {URL: "https://hooks.example.com/webhooks/msgraph"}} {
		_, err := p.Keep(t.Context(), q)
		require.ErrorContains(t, err, "SUREHOOK_PUBLIC_URL")
	}
}

func TestTheLongestOfTwoSubscriptionsCounts(t *testing.T) {
	k := keeping(t, probed(t))
	first := k.keep(t, k.query())
	for _, days := range []int{3, 28} {
		_, err := k.Create("subscription", map[string]any{
			"resource": "Users", "changeType": "deleted,updated", "notificationUrl": k.endpoint,
			"expirationDateTime": begin.Add(time.Duration(days) * day).Format(time.RFC3339),
		})
		require.NoError(t, err)
	}
	require.Equal(t, first[0].ID, k.keep(t, k.query())[0].ID)
	require.True(t, slices.Equal([]providers.Upkeep{providers.UpkeepNone, providers.UpkeepNone}, did(k.keep(t, k.query()))))
}

func TestMistakesInSubscribeAreNamed(t *testing.T) {
	for want, s := range map[string]msgraph.Subscribe{
		"subscribe[0].resource: want what":                          {Changes: "created", Lifetime: time.Hour},
		"subscribe[0].changes: want some of":                        {Resource: "users", Changes: "created, updated"},
		"subscribe[0].lifetime: Graph takes 168h0m0s at most":       {Resource: "users/" + user + "/messages", Lifetime: 8 * day},
		"subscribe[0].lifetime: is needed":                          {Resource: "security/alerts", Changes: "updated"},
		"subscribe[0].lifetime: is":                                 {Resource: "users", Lifetime: -1},
		"subscribe[0].delta[0]: want the path of a delta function":  {Resource: "users", Delta: []string{"users"}},
		"subscribe[0].delta[0]: only users":                         {Resource: "chats/getAllMessages", Delta: []string{"chats/delta"}},
		"subscribe[0].delta[0]: want the user in resource":          {Resource: "users/ann@contoso.example/messages", Delta: []string{inbox}},
		"subscribe[0].delta[0]: is not of the user":                 {Resource: "users/" + tenant + "/messages", Delta: []string{inbox}},
		"subscribe[0].delta[0]: is not of the user, or the kind":    {Resource: "groups", Delta: []string{"users/delta"}},
		"subscribe[0].delta[1]: want the path of a delta function,": {Resource: "users", Delta: []string{"users/delta", "https://graph.example/users/delta"}},
	} {
		_, err := msgraph.New(providers.APIConfig{}, msgraph.Settings{Subscribe: []msgraph.Subscribe{s}})
		require.ErrorContains(t, err, want)
		require.ErrorAs(t, err, new(*providers.SettingError))
	}
	_, err := msgraph.New(providers.APIConfig{}, msgraph.Settings{Subscribe: subscribes.Subscribe, Subscriptions: map[string]providers.Secret{first: "state"}})
	require.ErrorContains(t, err, "subscribe: goes with the source's secrets")
}
