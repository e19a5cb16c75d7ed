package sandbox_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/jira"
	"github.com/surehook/surehook/sandbox"
)

const (
	jiraSecret = "jira_sandbox_secret"
	jiraKey    = "bot@sandbox.example:ATATT_sandbox"
)

func openJira(t *testing.T) *played[*jira.Provider] {
	t.Helper()
	return play(t, "jira", jiraKey, jiraSecret, func(cfg providers.APIConfig) (*jira.Provider, error) {
		return jira.New(cfg, jira.Settings{Site: "sandbox.atlassian.net"})
	})
}

func TestJirasEventsAreWhatTheRealProviderAccepts(t *testing.T) {
	w := openJira(t)
	for _, typ := range []string{
		"jira:issue_created", "jira:issue_updated", "jira:issue_deleted", "comment_created", "comment_updated", "comment_deleted",
		"worklog_created", "worklog_updated", "worklog_deleted", "project_created", "project_updated", "project_archived",
		"project_restored_archived", "project_deleted", "jira:version_created", "jira:version_updated", "jira:version_released",
		"jira:version_unreleased", "jira:version_archived", "jira:version_unarchived", "jira:version_deleted",
		"sprint_created", "sprint_updated", "sprint_started", "sprint_closed", "sprint_deleted",
	} {
		t.Run(typ, func(t *testing.T) {
			require.True(t, w.Knows(typ))
			sent, err := w.Trigger(t.Context(), typ)
			require.NoError(t, err)
			require.True(t, sent.Acknowledged)

			got := w.received(t)
			require.Equal(t, sent.ID, got.ID)
			require.Equal(t, typ, got.Type)
			require.Equal(t, sent.Object, got.Ref)
			require.Equal(t, sent.Deleted, got.Deleted)
			require.WithinDuration(t, sent.CreatedAt, got.OccurredAt, time.Millisecond)
			require.Empty(t, got.Review)

			object, err := w.fetch(t, sent.Object)
			require.NoError(t, err)
			require.Equal(t, sent.Deleted, object.Deleted)
			kept, ok := w.Object(sent.Object)
			require.True(t, ok)
			require.Equal(t, sent.Version, kept.Version)
			if !object.Deleted {
				require.JSONEq(t, string(kept.State), string(object.State))
			}
			switch sent.Object.Type {
			case "issue", "comment", "worklog":
				require.Equal(t, sent.Deleted, object.UpdatedAt.IsZero())
			}
		})
	}
}

func TestJiraEventsWithoutAnObjectAreSentAllTheSame(t *testing.T) {
	w := openJira(t)
	sent, err := w.Trigger(t.Context(), "user_created", sandbox.Envelope(map[string]any{"user": map[string]any{"accountId": "1:2"}}))
	require.NoError(t, err)
	require.False(t, w.Knows("user_created"))
	require.Zero(t, sent.Object)
	require.True(t, w.received(t).Ref.IsZero())
}

func TestJiraWebhooksHaveTheFormOfTheOldAPI(t *testing.T) {
	w := openJira(t)
	sent, err := w.Trigger(t.Context(), "jira:issue_updated", sandbox.Set(map[string]any{"summary": "It works again"}))
	require.NoError(t, err)
	var body struct {
		Name  string `json:"issue_event_type_name"`
		Issue struct {
			Self   string
			Key    string
			Fields struct{ Summary, Description string }
		}
		Changelog struct {
			Items []struct {
				Field      string
				FromString string `json:"fromString"`
				ToString   string `json:"toString"`
			}
		}
	}
	require.NoError(t, json.Unmarshal(w.inbox.last(t).Body, &body))
	require.Equal(t, "issue_generic", body.Name)
	require.Equal(t, "https://sandbox.atlassian.net/rest/api/2/issue/"+sent.Object.ID, body.Issue.Self)
	require.Equal(t, "SBX1-1", body.Issue.Key)
	require.Equal(t, "It works again", body.Issue.Fields.Summary)
	require.Equal(t, "It did yesterday.", body.Issue.Fields.Description, "the API has a document instead")
	require.Len(t, body.Changelog.Items, 1)
	require.Equal(t, "summary", body.Changelog.Items[0].Field)
	require.Equal(t, "Something does not work", body.Changelog.Items[0].FromString)
	require.Equal(t, "It works again", body.Changelog.Items[0].ToString)

	object, err := w.fetch(t, sent.Object)
	require.NoError(t, err)
	require.Contains(t, string(object.State), `"type":"doc"`)
}

func TestJiraThingsAreAddedToWhatIsNamed(t *testing.T) {
	w := openJira(t)
	issue, err := w.Create("issue", nil)
	require.NoError(t, err)
	comment, err := w.Trigger(t.Context(), "comment_created", sandbox.On(issue))
	require.NoError(t, err)
	require.Equal(t, providers.Ref{Type: "comment", ID: issue.ID + "/10001"}, comment.Object)
	work, err := w.Trigger(t.Context(), "worklog_created", sandbox.On(issue))
	require.NoError(t, err)

	t.Run("and go with it", func(t *testing.T) {
		require.NoError(t, w.Delete(issue))
		for _, ref := range []providers.Ref{issue, comment.Object, work.Object} {
			object, err := w.fetch(t, ref)
			require.NoError(t, err)
			require.True(t, object.Deleted, ref)
		}
	})
}

func TestJiraAnswersAVisitorAsIfNothingExisted(t *testing.T) {
	w := openJira(t)
	issue, err := w.Create("issue", nil)
	require.NoError(t, err)
	for _, key := range []string{"", "bot@sandbox.example:expired", "another-access-token"} {
		_, err := w.as(t, key).Fetch(t.Context(), providers.FetchQuery{Ref: issue})
		var failed *providers.APIError
		require.ErrorAs(t, err, &failed, "the issue is not taken for deleted")
		require.Equal(t, 401, failed.Status)
		require.Equal(t, providers.RetryNever, failed.Retry)
		require.Equal(t, key != "", failed.Code == "AUTHENTICATED_FAILED")
	}
}

func TestJiraAPIAnswersAsJiraDoes(t *testing.T) {
	w := openJira(t)
	issue, err := w.Create("issue", nil)
	require.NoError(t, err)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(jiraKey))
	for name, c := range map[string]struct {
		path, authorization string
		status              int
		body                string
		knowsTheCaller      bool
	}{
		"an issue by an API token":    {"/rest/api/3/issue/" + issue.ID, basic, 200, `"summary":"Something does not work"`, true},
		"an issue by an access token": {"/rest/api/3/issue/" + issue.ID, "Bearer " + jiraKey, 200, `"key":"SBX1-1"`, true},
		"who the caller is":           {"/rest/api/3/myself", basic, 200, `"accountId":"712020:`, true},
		"a missing issue":             {"/rest/api/3/issue/99", basic, 404, "Issue does not exist or you do not have permission to see it.", true},
		"a missing comment":           {"/rest/api/3/issue/1/comment/99", basic, 404, "Can not find a comment for the id: 99.", true},
		"a missing worklog":           {"/rest/api/3/issue/1/worklog/99", basic, 404, "Cannot find worklog with id", true},
		"a missing project":           {"/rest/api/3/project/99", basic, 404, "No project could be found", true},
		"a missing version":           {"/rest/api/3/version/99", basic, 404, "Could not find version", true},
		"a missing sprint":            {"/rest/agile/1.0/sprint/99", basic, 404, "Sprint does not exist", true},
		"an issue, to a visitor":      {"/rest/api/3/issue/" + issue.ID, "", 404, "you do not have permission", false},
		"who a visitor is":            {"/rest/api/3/myself", "", 401, "must be authenticated", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, c.path, nil)
			if c.authorization != "" {
				r.Header.Set("Authorization", c.authorization)
			}
			got := httptest.NewRecorder()
			w.ServeHTTP(got, r)
			require.Equal(t, c.status, got.Code)
			require.Contains(t, got.Body.String(), c.body)
			require.Equal(t, c.knowsTheCaller, got.Header().Get("X-AAccountId") != "")
		})
	}
}

func TestJirasFaultsAreUnderstood(t *testing.T) {
	w := openJira(t)
	issue, err := w.Create("issue", nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		fault  sandbox.APIFault
		retry  providers.Retry
		after  time.Duration
		status int
		code   string
	}{
		"a burst":                   {sandbox.APIFault{Kind: sandbox.FaultRateLimit, RetryAfter: 3 * time.Second}, providers.RetryLater, 3 * time.Second, 429, "jira-burst-based"},
		"a burst that says nothing": {sandbox.APIFault{Kind: sandbox.FaultRateLimit}, providers.RetryLater, time.Minute, 429, "jira-burst-based"},
		"a used up quota": {
			sandbox.APIFault{Kind: sandbox.FaultRateLimit, RetryAfter: 30 * time.Minute, Reason: "jira-quota-tenant-based"},
			providers.RetryLater, 30 * time.Minute, 429, "jira-quota-tenant-based",
		},
		"an error":           {sandbox.APIFault{Kind: sandbox.FaultError}, providers.RetrySoon, 0, 500, ""},
		"a maintenance":      {sandbox.APIFault{Kind: sandbox.FaultError, Status: 503, RetryAfter: time.Minute}, providers.RetryLater, time.Minute, 503, ""},
		"an answer cut off":  {sandbox.APIFault{Kind: sandbox.FaultTruncate}, providers.RetrySoon, 0, 0, ""},
		"a refused scope":    {sandbox.APIFault{Kind: sandbox.FaultError, Status: 403}, providers.RetryNever, 0, 403, ""},
		"a slow answer only": {sandbox.APIFault{Kind: sandbox.FaultLatency, Latency: time.Millisecond}, -1, 0, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.fault.Next = 2 // net/http itself makes a second attempt where nothing came
			require.NoError(t, w.SetFaults(sandbox.Faults{API: []sandbox.APIFault{c.fault}}))
			_, err := w.fetch(t, issue)
			if c.status == 200 {
				require.NoError(t, err)
				return
			}
			var failed *providers.APIError
			require.ErrorAs(t, err, &failed)
			require.Equal(t, c.retry, failed.Retry)
			require.Equal(t, c.status, failed.Status)
			require.Equal(t, c.code, failed.Code)
			require.InDelta(t, c.after.Seconds(), failed.After.Seconds(), 1.5)
		})
	}
	require.ErrorContains(t, w.SetFaults(sandbox.Faults{API: []sandbox.APIFault{{Kind: sandbox.FaultSecondaryLimit}}}), "no fault of kind")
}

func TestJiraRefusesWhatCannotHappen(t *testing.T) {
	w := openJira(t)
	issue, err := w.Create("issue", nil)
	require.NoError(t, err)
	for name, trigger := range map[string]func() (sandbox.Event, error){
		"an event without a name":       func() (sandbox.Event, error) { return w.Trigger(t.Context(), "") },
		"an event in GitHub's words":    func() (sandbox.Event, error) { return w.Trigger(t.Context(), "issues.opened") },
		"an event sent about the wrong": func() (sandbox.Event, error) { return w.Emit(t.Context(), "sprint_started", issue) },
		"an event that happens to the wrong": func() (sandbox.Event, error) {
			return w.Trigger(t.Context(), "sprint_started", sandbox.On(issue))
		},
		"an object that does not exist": func() (sandbox.Event, error) {
			return w.Trigger(t.Context(), "jira:issue_updated", sandbox.On(providers.Ref{Type: "issue", ID: "99"}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := trigger()
			require.Error(t, err)
			require.Empty(t, w.Events())
		})
	}
	_, err = w.Create("epic", nil)
	require.ErrorContains(t, err, `no objects of type "epic"`)
}
