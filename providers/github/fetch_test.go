package github_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/github"
)

// fetch asks an API that answers with the status and body, and returns the
// header it was called with.
func fetch(t *testing.T, key string, ref providers.Ref, status int, body string) (providers.Object, http.Header, error) {
	t.Helper()
	var got http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	defer server.Close()
	p, err := github.New(providers.APIConfig{BaseURL: server.URL, Key: key}, github.Settings{})
	require.NoError(t, err)
	object, err := p.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
	return object, got, err
}

var (
	anIssue = providers.Ref{Type: "issue", ID: "octocat/hello/issues/12"}
	aCommit = providers.Ref{Type: "commit", ID: "octocat/hello/commits/6113728f27ae82c7b1a177c8d03f9e96e0adf246"}
)

func TestFetchCallsAsGitHubAsksFor(t *testing.T) {
	_, header, err := fetch(t, "ghp_x", anIssue, http.StatusOK, `{}`)
	require.NoError(t, err)
	require.Equal(t, "Bearer ghp_x", header.Get("Authorization"))
	require.Equal(t, "2022-11-28", header.Get("X-GitHub-Api-Version"))
	require.Equal(t, "application/vnd.github+json", header.Get("Accept"))
	require.Equal(t, "surehook", header.Get("User-Agent"))
	require.NotContains(t, header, "If-None-Match")
}

func TestFetchWithoutAKeySendsNoCredential(t *testing.T) {
	_, header, err := fetch(t, "", anIssue, http.StatusOK, `{}`)
	require.NoError(t, err)
	require.NotContains(t, header, "Authorization")
}

func TestFetchReadsWhenAnObjectWasUpdated(t *testing.T) {
	for body, want := range map[string]time.Time{
		`{"updated_at": "2026-01-02T04:04:05+01:00"}`:            time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		`{"updated_at": 1767323045}`:                             time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		`{"created_at": "2026-01-02T03:04:05Z"}`:                 {},
		`{"updated_at": null}`:                                   {},
		`{"updated_at": "yesterday"}`:                            {},
		`{"repository": {"updated_at": "2026-01-02T03:04:05Z"}}`: {},
	} {
		object, _, err := fetch(t, "", anIssue, http.StatusOK, body)
		require.NoError(t, err)
		require.Equal(t, want, object.UpdatedAt, body)
	}
}

func TestACommitThatNoLongerExistsIsDeleted(t *testing.T) {
	object, _, err := fetch(t, "", aCommit, http.StatusUnprocessableEntity, `{"message": "No commit found for SHA: 6113728f"}`)
	require.NoError(t, err)
	require.Equal(t, providers.Object{Ref: aCommit, Deleted: true}, object)
}

func TestARefWhoseIDIsOfAnotherKindIsNotFetchable(t *testing.T) {
	for _, ref := range []providers.Ref{
		{Type: "issue", ID: "octocat/hello/pulls/12"},
		{Type: "issue", ID: "octocat/hello"},
		{Type: "issue", ID: "octocat/hello/issues/%31"},
		{Type: "repository", ID: "octocat/hello/issues/12"},
		{Type: "repository", ID: "octocat"},
		{Type: "commit", ID: "octocat/hello/commits/main"},
		{Type: "commit", ID: "octocat/hello/commits/6113728"},
		{Type: "ref", ID: "octocat/hello/git/ref"},
		{Type: "ref", ID: "octocat/hello/git/ref/heads" + strings.Repeat("/x", 100)},
		{Type: "ref", ID: "octocat/hello/git/ref/heads/../../../x"},
		{Type: "ref", ID: "octocat/hello/git/ref/heads/%2e%2e"},
		{Type: "label", ID: "octocat/hello/labels/a/b"},
		{Type: "label", ID: "octocat/hello/labels/.."},
		{Type: "label", ID: "octocat/hello/labels/%0d%0a"},
		{Type: "issues", ID: "octocat/hello/issues/12"},
		{},
	} {
		require.ErrorIs(t, asked(t, ref), providers.ErrNotFetchable, ref)
	}
}

// asked returns what Fetch says of a ref before it calls any API.
func asked(t *testing.T, ref providers.Ref) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := open(t).Fetch(ctx, providers.FetchQuery{Ref: ref})
	require.Error(t, err)
	return err
}
