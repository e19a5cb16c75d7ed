package jira_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/jira"
	"github.com/surehook/surehook/providers/providertest"
	"github.com/surehook/surehook/sandbox"
)

func listSuite() *providertest.List {
	return &providertest.List{
		New:      func(cfg providers.APIConfig) (providers.Lister, error) { return jira.New(cfg, jira.Settings{}) },
		Worlds:   map[string]func(t *testing.T, key string) providertest.World{"issue": issues},
		Failures: fetchSuite().Failures[2:],
	}
}

// issues are some that changed two hours ago, and some that have changed just now.
// The search counts from now on, so the sandbox's clock ends up there.
func issues(t *testing.T, key string) providertest.World {
	ago := 2 * time.Hour
	p := sandbox.NewJira(sandbox.PlatformConfig{Provider: open(t), Secrets: providers.Secrets{secret}, Key: key, Now: func() time.Time {
		return time.Now().Add(-ago)
	}})
	t.Cleanup(p.Close)
	project, err := p.Create("project", nil)
	require.NoError(t, err)
	create := func(n int) (names []string) {
		for range n {
			ev, err := p.Trigger(t.Context(), "jira:issue_created", sandbox.On(project))
			require.NoError(t, err)
			names = append(names, ev.Object.String())
		}
		deleted, err := p.Trigger(t.Context(), "jira:issue_deleted", sandbox.On(project))
		require.NoError(t, err)
		require.True(t, deleted.Deleted)
		return names
	}
	old := create(110)
	ago = 0
	return providertest.World{
		API: p, Since: time.Now().Add(-time.Hour), Recent: create(110), Old: old,
		Stale: []providertest.Answer{{Name: "a token that has expired", Status: 400, Body: `{"errorMessages": ["private text"]}`}},
	}
}

// asked lists with the answers of a handler, and returns the body of the last call.
func asked(t *testing.T, s jira.Settings, q providers.ListQuery, handler http.HandlerFunc) (body map[string]any, page providers.Page, err error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text, err := io.ReadAll(r.Body); err == nil && len(text) > 0 {
			body = nil
			_ = json.Unmarshal(text, &body)
		}
		handler(w, r)
	}))
	defer server.Close()
	p, err := jira.New(providers.APIConfig{BaseURL: server.URL, Key: "token"}, s)
	require.NoError(t, err)
	page, err = p.List(t.Context(), q)
	return body, page, err
}

func found(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-AAccountId", "557058:bf39")
		_, _ = io.WriteString(w, text)
	}
}

func TestTheQueryAsksHowLongAgoSomethingChanged(t *testing.T) {
	for since, want := range map[time.Duration]string{
		-90 * time.Second: `updated >= "-3m" ORDER BY updated ASC`, // two minutes begun, and one in which clocks may differ
		-time.Hour:        `updated >= "-62m" ORDER BY updated ASC`,
		time.Hour:         `updated >= "-1m" ORDER BY updated ASC`,
	} {
		body, _, err := asked(t, jira.Settings{}, providers.ListQuery{List: "issue", Since: time.Now().Add(since)}, found(`{"issues": []}`))
		require.NoError(t, err)
		require.Equal(t, want, body["jql"])
		require.Equal(t, []any{"updated"}, body["fields"])
		require.NotContains(t, body, "nextPageToken")
	}
	body, _, err := asked(t, jira.Settings{}, providers.ListQuery{List: "issue"}, found(`{"issues": []}`))
	require.NoError(t, err)
	require.Equal(t, `updated >= "2000-01-01" ORDER BY updated ASC`, body["jql"], "a query without a condition is refused")
}

func TestTheQueryStaysTheSameFromPageToPage(t *testing.T) {
	s := jira.Settings{Projects: []string{"ABC", "X_1"}}
	q := providers.ListQuery{List: "issue", Since: time.Now().Add(-time.Hour)}
	first, page, err := asked(t, s, q, found(`{"issues": [{"id": "1", "fields": {"updated": "2026-01-02T03:04:05.000+0000"}}], "nextPageToken": "CAEaAggD:x"}`))
	require.NoError(t, err)
	require.Contains(t, first["jql"], `project in ("ABC", "X_1") AND updated >= "-62m"`)
	require.Equal(t, []providers.Listed{{
		Object: providers.Object{
			Ref: anIssue1, State: []byte(`{"id": "1", "fields": {"updated": "2026-01-02T03:04:05.000+0000"}}`), UpdatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		},
		Partial: true,
	}}, page.Objects)

	q.Cursor, q.Since = page.Next, q.Since.Add(-time.Hour)
	second, page, err := asked(t, s, q, found(`{"issues": [], "isLast": true}`))
	require.NoError(t, err)
	require.Equal(t, first["jql"], second["jql"])
	require.Equal(t, "CAEaAggD:x", second["nextPageToken"])
	require.Empty(t, page.Next)
}

var anIssue1 = providers.Ref{Type: "issue", ID: "1"}

// To a caller that it does not know Jira shows what is public, which is nothing:
// a run over that would be complete.
func TestAnEmptyListForNobodyIsAnError(t *testing.T) {
	_, _, err := asked(t, jira.Settings{}, providers.ListQuery{List: "issue"}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/rest/api/3/myself" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"issues": []}`)
	})
	var failed *providers.APIError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, http.StatusUnauthorized, failed.Status)
	require.Equal(t, providers.RetryNever, failed.Retry)
}

func TestListNeedsToKnowWhereTheAPIIs(t *testing.T) {
	p, err := jira.New(providers.APIConfig{}, jira.Settings{RefreshWebhooks: true})
	require.NoError(t, err)
	_, err = p.List(t.Context(), providers.ListQuery{List: "issue"})
	require.ErrorContains(t, err, "set api.base_url")
	_, err = p.Keep(t.Context(), providers.KeepQuery{})
	require.ErrorContains(t, err, "set api.base_url")
}

func TestProjectsAreKeysAndNothingElse(t *testing.T) {
	for _, key := range []string{"", "A B", `A") OR project is not EMPTY OR project in ("`, "1A", "A-1"} {
		_, err := jira.New(providers.APIConfig{}, jira.Settings{Projects: []string{"ABC", key}})
		require.ErrorContains(t, err, "projects[1]: want a project's key", key)
	}
}
