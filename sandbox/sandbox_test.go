package sandbox_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/github"
	"github.com/surehook/surehook/providers/stripe"
	"github.com/surehook/surehook/sandbox"
)

const (
	stripeSecret = "whsec_sandbox"
	stripeKey    = "sk_test_sandbox"
	githubSecret = "github_sandbox_secret"
	githubKey    = "ghp_sandbox"
)

// githubSettings name the repository in which things happen when none is named, and
// its hook.
var githubSettings = github.Settings{
	Repositories: []string{"octo-org/hello-world"},
	Hooks:        []github.Hook{{Repository: "octo-org/hello-world", ID: 471234567}},
}

// world is a sandbox that is being served, with the real providers pointed at it.
type world struct {
	*sandbox.Sandbox
	Stripe, GitHub *sandbox.Platform

	URL    string
	stripe *stripe.Provider
	github *github.Provider
	inbox  *inbox
}

// inbox is an endpoint for webhooks that keeps what it gets.
type inbox struct {
	mu       sync.Mutex
	requests []providers.Request
	answers  []int // statuses for the next requests; 200 when used up
}

func (in *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.requests = append(in.requests, providers.Request{
		Method: r.Method, URL: r.URL, Header: r.Header, Body: body, ReceivedAt: time.Now(),
	})
	status := http.StatusOK
	if len(in.answers) > 0 {
		status, in.answers = in.answers[0], in.answers[1:]
	}
	if status/100 == 3 {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(status)
}

func (in *inbox) all() []providers.Request {
	in.mu.Lock()
	defer in.mu.Unlock()
	return append([]providers.Request(nil), in.requests...)
}

func (in *inbox) last(t *testing.T) providers.Request {
	t.Helper()
	all := in.all()
	require.NotEmpty(t, all, "no webhook arrived")
	return all[len(all)-1]
}

// config is a sandbox's, with the platforms that change can alter.
type config struct {
	sandbox.Config
	Stripe, GitHub sandbox.PlatformConfig
}

// open serves a sandbox whose webhooks go to an inbox; change may alter its configuration.
func open(t *testing.T, change func(*config)) *world {
	t.Helper()
	w := &world{inbox: &inbox{}}
	endpoint := httptest.NewServer(w.inbox)
	t.Cleanup(endpoint.Close)

	stripeSigner, err := stripe.New(providers.APIConfig{BaseURL: "http://localhost"})
	require.NoError(t, err)
	githubSigner, err := github.New(providers.APIConfig{BaseURL: "http://localhost"}, github.Settings{})
	require.NoError(t, err)
	cfg := config{
		Config: sandbox.Config{Seed: 1, Log: slog.New(slog.DiscardHandler)},
		Stripe: sandbox.PlatformConfig{
			Provider: stripeSigner, Secrets: providers.Secrets{stripeSecret}, Key: stripeKey, Target: endpoint.URL + "/stripe",
		},
		GitHub: sandbox.PlatformConfig{
			Provider: githubSigner, Secrets: providers.Secrets{githubSecret}, Key: githubKey, Target: endpoint.URL + "/github",
		},
	}
	if change != nil {
		change(&cfg)
	}
	cfg.Platforms = map[string]sandbox.PlatformConfig{"stripe": cfg.Stripe, "github": cfg.GitHub}
	w.Sandbox, err = sandbox.Open(cfg.Config)
	require.NoError(t, err)
	w.Stripe, w.GitHub = w.Platform("stripe"), w.Platform("github")
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.URL = server.URL

	w.stripe, err = stripe.New(providers.APIConfig{BaseURL: w.URL + "/stripe", Key: stripeKey, Timeout: 5 * time.Second})
	require.NoError(t, err)
	w.github, err = github.New(providers.APIConfig{BaseURL: w.URL + "/github", Key: githubKey, Timeout: 5 * time.Second}, githubSettings)
	require.NoError(t, err)
	return w
}

// get calls the sandbox with a bearer token.
func (w *world) get(t *testing.T, path, key string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+path, nil)
	require.NoError(t, err)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // follows no redirect
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}
