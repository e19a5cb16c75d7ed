package sandbox_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

var githubTypes = []string{
	"check_run.completed", "check_run.created", "check_suite.completed", "commit_comment.created", "create", "delete",
	"deploy_key.created", "deployment.created", "deployment_status.created", "discussion.created", "fork", "issue_comment.created",
	"issue_comment.deleted", "issue_comment.edited", "issues.assigned", "issues.closed", "issues.deleted", "issues.edited",
	"issues.labeled", "issues.opened", "issues.reopened", "label.created", "label.deleted", "milestone.closed", "milestone.created",
	"public", "pull_request.closed", "pull_request.converted_to_draft", "pull_request.opened", "pull_request.ready_for_review",
	"pull_request.reopened", "pull_request.synchronize", "pull_request_review.submitted", "pull_request_review_comment.created",
	"push", "release.created", "release.deleted", "release.prereleased", "release.published", "release.unpublished",
	"repository.archived", "repository.created", "repository.privatized", "repository.publicized", "repository.renamed",
	"repository.unarchived", "star.created", "star.deleted", "watch.started", "workflow_job.completed", "workflow_job.in_progress",
	"workflow_run.completed", "workflow_run.in_progress", "workflow_run.requested", "repository.deleted",
}

func TestGitHubEventsAreWhatTheRealProviderAccepts(t *testing.T) {
	w := open(t, nil)
	for _, typ := range githubTypes {
		t.Run(typ, func(t *testing.T) {
			sent, err := w.GitHub.Trigger(t.Context(), typ)
			require.NoError(t, err)
			require.True(t, sent.Acknowledged)

			r := w.inbox.last(t)
			require.NoError(t, w.github.Verify(r, providers.Secrets{githubSecret}))
			events, err := w.github.Events(r)
			require.NoError(t, err)
			require.Len(t, events, 1)
			require.Equal(t, sent.ID, events[0].ID)
			require.Equal(t, typ, events[0].Type)
			require.Equal(t, sent.Object, events[0].Ref)
			require.Equal(t, sent.Deleted, events[0].Deleted)

			object, err := w.github.Fetch(t.Context(), providers.FetchQuery{Ref: sent.Object})
			if typ == "discussion.created" {
				require.ErrorIs(t, err, providers.ErrNotFetchable)
				return
			}
			require.NoError(t, err)
			require.Equal(t, sent.Deleted, object.Deleted)
			kept, ok := w.GitHub.Object(sent.Object)
			require.True(t, ok)
			require.Equal(t, sent.Version, kept.Version)
			if !object.Deleted {
				require.JSONEq(t, string(kept.State), string(object.State))
			}
		})
	}
}

func TestGitHubAPIAnswersAsGitHubDoes(t *testing.T) {
	w := open(t, nil)
	issue, err := w.GitHub.Create("issue", nil)
	require.NoError(t, err)
	gone, err := w.GitHub.Create("issue", nil)
	require.NoError(t, err)
	require.NoError(t, w.GitHub.Delete(gone))
	release, err := w.GitHub.Create("release", nil)
	require.NoError(t, err)
	require.NoError(t, w.GitHub.Delete(release))

	for name, test := range map[string]struct {
		path, key string
		status    int
		body      string
	}{
		"an object":                    {"/repos/" + issue.ID, githubKey, 200, `"state":"open"`},
		"its repository":               {"/repos/octo-org/hello-world", githubKey, 200, `"full_name":"octo-org/hello-world"`},
		"a deleted issue is gone":      {"/repos/" + gone.ID, githubKey, 410, `"message":"This issue was deleted","status":"410"`},
		"a deleted release is missing": {"/repos/" + release.ID, githubKey, 404, `"message":"Not Found","status":"404"`},
		"one that never was":           {"/repos/octo-org/hello-world/pulls/99", githubKey, 404, `"message":"Not Found"`},
		"no key":                       {"/repos/" + issue.ID, "", 401, `"message":"Requires authentication"`},
		"a wrong key":                  {"/repos/" + issue.ID, "ghp_wrong", 401, `"message":"Bad credentials"`},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := w.get(t, "/github"+test.path, test.key)
			require.Equal(t, test.status, resp.StatusCode)
			require.Contains(t, body, test.body)
			require.Equal(t, "5000", resp.Header.Get("X-RateLimit-Limit"))
			require.NotEmpty(t, resp.Header.Get("X-RateLimit-Reset"))
			require.NotEmpty(t, resp.Header.Get("X-GitHub-Request-Id"))
		})
	}
}

func TestGitHubConditionalRequests(t *testing.T) {
	w := open(t, nil)
	ref, err := w.GitHub.Create("pull_request", nil)
	require.NoError(t, err)
	first, err := w.github.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
	require.NoError(t, err)
	require.NotEmpty(t, first.ETag)

	same, err := w.github.Fetch(t.Context(), providers.FetchQuery{Ref: ref, ETag: first.ETag})
	require.NoError(t, err)
	require.True(t, same.NotModified)
	require.Nil(t, same.State)

	_, err = w.GitHub.Update(ref, func(o map[string]any) { o["title"] = "Another title" })
	require.NoError(t, err)
	changed, err := w.github.Fetch(t.Context(), providers.FetchQuery{Ref: ref, ETag: first.ETag})
	require.NoError(t, err)
	require.False(t, changed.NotModified)
	require.NotEqual(t, first.ETag, changed.ETag)
	require.Contains(t, string(changed.State), "Another title")

	require.Equal(t, 3, w.GitHub.Fetches(ref))
	require.Equal(t, map[int]int{200: 2, 304: 1}, w.GitHub.CallCounts()[0].Statuses)
}

func TestGitHubRateLimitsLookAsGitHubsOwn(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	w := open(t, func(c *config) { c.Now = func() time.Time { return now } })
	ref, err := w.GitHub.Create("issue", nil)
	require.NoError(t, err)
	strike := func(f sandbox.APIFault) *http.Response {
		f.Next = 1
		require.NoError(t, w.GitHub.SetFaults(sandbox.Faults{API: []sandbox.APIFault{f}}))
		resp, body := w.get(t, "/github/repos/"+ref.ID, githubKey)
		require.Contains(t, body, "rate limit")
		return resp
	}
	t.Run("the primary one has nothing remaining", func(t *testing.T) {
		resp := strike(sandbox.APIFault{Kind: sandbox.FaultRateLimit, RetryAfter: time.Minute})
		require.Equal(t, 403, resp.StatusCode)
		require.Equal(t, "0", resp.Header.Get("X-RateLimit-Remaining"))
		require.Equal(t, strconv.FormatInt(now.Unix()+60, 10), resp.Header.Get("X-RateLimit-Reset"))
		require.Empty(t, resp.Header.Get("Retry-After"))
	})
	t.Run("the secondary one says when to come back", func(t *testing.T) {
		resp := strike(sandbox.APIFault{Kind: sandbox.FaultSecondaryLimit, RetryAfter: time.Minute, Status: 429})
		require.Equal(t, 429, resp.StatusCode)
		require.Equal(t, "60", resp.Header.Get("Retry-After"))
		require.NotEqual(t, "0", resp.Header.Get("X-RateLimit-Remaining"))
	})
	t.Run("Stripe's are refused", func(t *testing.T) {
		err := w.GitHub.SetFaults(sandbox.Faults{API: []sandbox.APIFault{{Kind: sandbox.FaultLockTimeout}}})
		require.ErrorContains(t, err, "no fault of kind")
	})
}

func TestGitHubRenamedRepositoryRedirects(t *testing.T) {
	w := open(t, nil)
	issue, err := w.GitHub.Create("issue", nil)
	require.NoError(t, err)
	old := providers.Ref{Type: "repository", ID: "octo-org/hello-world"}
	sent, err := w.GitHub.Trigger(t.Context(), "repository.renamed", sandbox.On(old))
	require.NoError(t, err)
	require.Equal(t, "octo-org/hello-world-renamed", sent.Object.ID)

	resp, _ := w.get(t, "/github/repos/"+old.ID, githubKey)
	require.Equal(t, 301, resp.StatusCode)
	for _, path := range []string{
		resp.Header.Get("Location"),
		"/github/repos/octo-org/hello-world-renamed",
		"/github/repos/octo-org/hello-world-renamed/issues/1",
	} {
		resp, _ := w.get(t, path, githubKey)
		require.Equal(t, 200, resp.StatusCode, path)
	}
	object, err := w.github.Fetch(t.Context(), providers.FetchQuery{Ref: issue})
	require.NoError(t, err, "the old path still leads there")
	require.False(t, object.Deleted)
}

func TestGitHubDeletedRepositoryTakesAllWithIt(t *testing.T) {
	w := open(t, nil)
	issue, err := w.GitHub.Create("issue", nil)
	require.NoError(t, err)
	require.NoError(t, w.GitHub.Delete(providers.Ref{Type: "repository", ID: "octo-org/hello-world"}))
	object, err := w.github.Fetch(t.Context(), providers.FetchQuery{Ref: issue})
	require.NoError(t, err)
	require.True(t, object.Deleted)
}

func TestGitHubPingIsAHandshakeAndChangesNothing(t *testing.T) {
	w := open(t, nil)
	sent, err := w.GitHub.Trigger(t.Context(), "ping")
	require.NoError(t, err)
	require.Zero(t, sent.Object)
	r := w.inbox.last(t)
	require.NoError(t, w.github.Verify(r, providers.Secrets{githubSecret}))
	_, ok := w.github.Handshake(r)
	require.True(t, ok)
	require.Contains(t, string(r.Body), `"zen":`)
	repository, _ := w.GitHub.Object(providers.Ref{Type: "repository", ID: "octo-org/hello-world"})
	require.EqualValues(t, 1, repository.Version)
}

func TestGitHubHeadersAreTheDocumentedOnes(t *testing.T) {
	w := open(t, nil)
	sent, err := w.GitHub.Trigger(t.Context(), "push")
	require.NoError(t, err)
	h := w.inbox.last(t).Header
	require.Equal(t, sent.ID, h.Get("X-GitHub-Delivery"))
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, sent.ID)
	require.Equal(t, "push", h.Get("X-GitHub-Event"))
	require.Equal(t, "471234567", h.Get("X-GitHub-Hook-ID"))
	require.Equal(t, "repository", h.Get("X-GitHub-Hook-Installation-Target-Type"))
	require.Regexp(t, `^\d+$`, h.Get("X-GitHub-Hook-Installation-Target-ID"))
	require.Regexp(t, `^GitHub-Hookshot/`, h.Get("User-Agent"))

	var push struct {
		Repository struct {
			PushedAt int64 `json:"pushed_at"`
		}
	}
	require.NoError(t, json.Unmarshal(w.inbox.last(t).Body, &push))
	require.NotZero(t, push.Repository.PushedAt, "a push has its repository's times in Unix seconds")
}

func TestGitHubThingsAreAddedToWhatIsNamed(t *testing.T) {
	w := open(t, nil)
	pull, err := w.GitHub.Create("pull_request", nil)
	require.NoError(t, err)
	t.Run("a comment to a pull request", func(t *testing.T) {
		_, err := w.GitHub.Trigger(t.Context(), "issue_comment", sandbox.On(pull))
		require.NoError(t, err)
		require.Contains(t, string(w.inbox.last(t).Body), `"issue_url":"https://api.github.com/repos/octo-org/hello-world/issues/1"`)
	})
	t.Run("an issue to a repository", func(t *testing.T) {
		sent, err := w.GitHub.Trigger(t.Context(), "issues", sandbox.On(providers.Ref{Type: "repository", ID: "octo-org/other"}))
		require.NoError(t, err)
		require.Equal(t, "octo-org/other/issues/1", sent.Object.ID)
	})
	t.Run("a merge to a pull request", func(t *testing.T) {
		sent, err := w.GitHub.Trigger(t.Context(), "pull_request.closed", sandbox.On(pull), sandbox.Set(map[string]any{"merged": true}))
		require.NoError(t, err)
		require.Equal(t, pull, sent.Object)
		object, _ := w.GitHub.Object(pull)
		require.Contains(t, string(object.State), `"state":"closed"`)
		require.NotContains(t, string(object.State), `"merged_at":null`)
	})
}

func TestGitHubRefusesWhatCannotHappen(t *testing.T) {
	w := open(t, nil)
	issue, err := w.GitHub.Create("issue", nil)
	require.NoError(t, err)
	for name, trigger := range map[string]func() (sandbox.Event, error){
		"a type with two actions":       func() (sandbox.Event, error) { return w.GitHub.Trigger(t.Context(), "issues.opened.twice") },
		"an event sent about the wrong": func() (sandbox.Event, error) { return w.GitHub.Emit(t.Context(), "release.published", issue) },
		"an object that does not exist": func() (sandbox.Event, error) {
			return w.GitHub.Trigger(t.Context(), "issues.closed", sandbox.On(providers.Ref{Type: "issue", ID: "octo-org/hello-world/issues/9"}))
		},
		"a repository without an owner": func() (sandbox.Event, error) {
			return w.GitHub.Trigger(t.Context(), "repository", sandbox.Set(map[string]any{"full_name": "hello"}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := trigger()
			require.Error(t, err)
			require.Empty(t, w.GitHub.Events())
		})
	}
}
