package oracletest_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/github"
)

// payload is one of the webhooks that GitHub's maintainers publish.
type payload struct {
	event string
	body  json.RawMessage
}

func (p payload) request(delivery string) providers.Request {
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("X-GitHub-Delivery", delivery)
	h.Set("X-GitHub-Event", p.event)
	return providers.Request{
		Method:     http.MethodPost,
		URL:        &url.URL{Scheme: "https", Host: "hooks.example.com", Path: "/webhooks/github"},
		Header:     h,
		Body:       p.body,
		ReceivedAt: time.Now(),
	}
}

// kind is the type that the payload's event is to have.
func (p payload) kind(t *testing.T) string {
	t.Helper()
	var body struct {
		Action string `json:"action"`
	}
	require.NoError(t, json.Unmarshal(p.body, &body))
	return strings.TrimSuffix(p.event+"."+body.Action, ".")
}

// links returns the API's URLs of the objects in the payload, without the
// repository: in some of the payloads that was renamed, but not in all places.
func (p payload) links(t *testing.T) []string {
	t.Helper()
	var members map[string]any
	require.NoError(t, json.Unmarshal(p.body, &members))
	var found []string
	for _, m := range members {
		object, _ := m.(map[string]any)
		link, _ := object["url"].(string)
		if path, ok := strings.CutPrefix(link, "https://api.github.com/repos/"); ok {
			found = append(found, belowRepository(path))
		}
	}
	return found
}

// belowRepository drops the first two parts of a path, owner and name.
func belowRepository(path string) string {
	parts := strings.SplitN(path, "/", 3)
	return strings.Join(parts[2:], "/")
}

func githubPayloads(t *testing.T) []payload {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(modules(t), "node_modules", "@octokit", "webhooks-examples", "api.github.com", "index.json"))
	require.NoError(t, err)
	var events []struct {
		Name     string            `json:"name"`
		Examples []json.RawMessage `json:"examples"`
	}
	require.NoError(t, json.Unmarshal(file, &events))
	require.Len(t, events, 58)
	var all []payload
	for _, e := range events {
		for _, body := range e.Examples {
			all = append(all, payload{event: e.Name, body: body})
		}
	}
	return all
}

// TestEveryPayloadThatGitHubPublishesIsUnderstood counts what becomes of them, so
// that no event stops being fetched unnoticed.
func TestEveryPayloadThatGitHubPublishesIsUnderstood(t *testing.T) {
	payloads := githubPayloads(t)
	api := &githubAPI{}
	server := httptest.NewServer(api)
	defer server.Close()
	p, err := github.New(providers.APIConfig{BaseURL: server.URL}, github.Settings{})
	require.NoError(t, err)

	outcomes := map[string]int{}
	for _, x := range payloads {
		outcomes[outcome(t, p, api, x)]++
	}
	require.Equal(t, map[string]int{
		"no event":     4,   // pings
		"payload only": 115, // the API has no such object, or none by a path of its repository
		"linked":       178, // fetched from the URL that the payload has for it
		// Fetched from elsewhere: branches, tags, commits, statuses of commits,
		// collaborators and reviews, whose URLs are not in the payload, and four
		// jobs of workflows that were given another id for publication.
		"not linked": 32,
	}, outcomes)
}

// outcome sends one payload through the provider, and says what became of it.
func outcome(t *testing.T, p *github.Provider, api *githubAPI, x payload) string {
	t.Helper()
	const delivery = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
	r := x.request(delivery)
	secrets := providers.Secrets{"It's a Secret to Everybody"}
	require.NoError(t, p.Sign(&r, secrets))
	require.NoError(t, p.Verify(r, secrets))

	events, err := p.Events(r)
	require.NoError(t, err, "%s: %.200s", x.event, x.body)
	if _, probe := p.Handshake(r); probe {
		require.Empty(t, events)
		return "no event"
	}
	require.Len(t, events, 1)
	e := events[0]
	require.Equal(t, delivery, e.ID)
	require.Equal(t, x.kind(t), e.Type)
	require.False(t, e.Ref.IsZero(), "%s names no object: %.200s", e.Type, x.body)
	again, err := p.Events(x.request("another"))
	require.NoError(t, err)
	require.Equal(t, e.Fingerprint, again[0].Fingerprint)
	require.Equal(t, e.Ref, again[0].Ref)

	object, err := p.Fetch(t.Context(), providers.FetchQuery{Ref: e.Ref})
	if errors.Is(err, providers.ErrNotFetchable) {
		return "payload only"
	}
	require.NoError(t, err)
	require.Equal(t, e.Ref, object.Ref)
	require.Equal(t, "/repos/"+e.Ref.ID, api.last)
	if slices.Contains(x.links(t), belowRepository(e.Ref.ID)) {
		return "linked"
	}
	return "not linked"
}

// githubAPI has every object.
type githubAPI struct{ last string }

func (a *githubAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.last = r.URL.EscapedPath()
	_, _ = io.WriteString(w, "{}")
}
