package sandbox_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

// fetching is a provider whose platform the sandbox plays.
type fetching interface {
	providers.Provider
	providers.Fetcher
}

// played is one platform that is being served, with the real provider pointed
// at it.
type played[P fetching] struct {
	*sandbox.Platform
	provider P
	inbox    *inbox
	endpoint string // where the webhooks are sent to
	url      string // of the API

	open   func(providers.APIConfig) (P, error)
	secret string
}

// play serves a platform. Without an API's address, open makes the provider that
// signs for it.
func play[P fetching](t *testing.T, name, key, secret string, open func(providers.APIConfig) (P, error)) *played[P] {
	t.Helper()
	w := &played[P]{inbox: &inbox{}, open: open, secret: secret}
	endpoint := httptest.NewServer(w.inbox)
	t.Cleanup(endpoint.Close)
	w.endpoint = endpoint.URL + "/webhooks/" + name
	signer, err := open(providers.APIConfig{})
	require.NoError(t, err)
	w.Platform = sandbox.New(name, sandbox.PlatformConfig{
		Provider: signer, Secrets: providers.Secrets{secret}, Key: key, Target: w.endpoint, Seed: 1,
	})
	t.Cleanup(w.Close)
	api := httptest.NewServer(w.Platform)
	t.Cleanup(api.Close)
	w.url = api.URL
	w.provider = w.as(t, key)
	return w
}

// as is the provider with another credential.
func (w *played[P]) as(t *testing.T, key string) P {
	t.Helper()
	p, err := w.open(providers.APIConfig{BaseURL: w.url, Key: key, Timeout: 5 * time.Second})
	require.NoError(t, err)
	return p
}

// received is the one event of the last webhook.
func (w *played[P]) received(t *testing.T) providers.Event {
	t.Helper()
	r := w.inbox.last(t)
	require.NoError(t, w.provider.Verify(r, providers.Secrets{w.secret}))
	events, err := w.provider.Events(r)
	require.NoError(t, err)
	require.Len(t, events, 1)
	return events[0]
}

// fetch asks the platform for an object's present state.
func (w *played[P]) fetch(t *testing.T, ref providers.Ref) (providers.Object, error) {
	t.Helper()
	return w.provider.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
}
