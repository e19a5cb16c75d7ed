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
	in := newInbox(t)
	signer, err := standardwebhooks.New(providers.APIConfig{}, standardwebhooks.Settings{})
	require.NoError(t, err)
	p := sandbox.NewStandardWebhooks(sandbox.PlatformConfig{
		Provider: signer, Secrets: providers.Secrets{standardSecret}, Target: in.url, Key: "key_test", Seed: 7,
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
