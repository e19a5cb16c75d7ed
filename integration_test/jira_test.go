package integration_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/jira"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/workflows"
)

const (
	jiraSecret     = "jira_integration_first"
	jiraIdentifier = "X-Atlassian-Webhook-Identifier"
)

// withJira is a system with a source of the site that the sandbox plays.
func withJira(alter map[string]func(*ingress.Source)) options {
	return options{
		sources: alter,
		platforms: map[string]platform{
			"jira": {secret: jiraSecret, settings: &jira.Settings{Site: "sandbox.atlassian.net"}},
		},
	}
}

func TestJiraIssuesAndWhatIsInThemBecomeTrueRecords(t *testing.T) {
	t.Parallel()
	s := start(t, withJira(nil))
	site := s.platforms["jira"]
	done := func(typ string, opts ...sandbox.Option) sandbox.Event {
		ev := s.trigger(site, typ, opts...)
		e := s.untilStatus("jira", ev.ID, providers.StatusProcessed)
		require.Equal(t, ev.Object, e.Object)
		s.requireTrue(site, "jira", ev.Object)
		return ev
	}
	issue := done("jira:issue_created").Object
	done("jira:issue_updated", sandbox.On(issue), sandbox.Set(map[string]any{"summary": "It works again"}))
	require.Contains(t, s.state("jira", issue), "It works again")
	comment := done("comment_created", sandbox.On(issue)).Object
	done("worklog_created", sandbox.On(issue))
	done("sprint_started")
	done("jira:version_released")

	t.Run("until they are deleted", func(t *testing.T) {
		done("jira:issue_deleted", sandbox.On(issue))
		require.Contains(t, s.state("jira", issue), "It works again", "the last state is kept")
		ev, err := site.Emit(t.Context(), "comment_deleted", comment)
		require.NoError(t, err)
		s.untilStatus("jira", ev.ID, providers.StatusProcessed)
		r, err := s.store.Record(t.Context(), "jira", comment.Type, comment.ID)
		require.NoError(t, err)
		require.True(t, r.Deleted, "it went with its issue")
	})
}

func TestAJiraBodySentAgainUnderAnotherIdentifierIsTheSameEvent(t *testing.T) {
	t.Parallel()
	s := start(t, withJira(nil))
	site := s.platforms["jira"]
	ev := s.trigger(site, "jira:issue_created")
	s.untilStatus("jira", ev.ID, providers.StatusProcessed)

	captured := s.request(site, ev.ID)
	captured.Header.Set(jiraIdentifier, "made-up-1")
	for range 2 {
		got := s.send("jira", captured)
		require.Equal(t, http.StatusOK, got.Status)
		require.Contains(t, got.Body, `"status":"duplicate"`)
	}
	captured.Header.Del(jiraIdentifier)
	require.Contains(t, s.send("jira", captured).Body, `"status":"duplicate"`)

	s.rest()
	s.requireNoEvent("jira", "made-up-1")
	require.EqualValues(t, 4, s.untilStatus("jira", ev.ID, providers.StatusProcessed).Deliveries)
	require.Equal(t, 1, site.Fetches(ev.Object))
}

func TestEqualIdentifiersOfTwoJiraSitesAreTwoEvents(t *testing.T) {
	t.Parallel()
	const other = "globex.atlassian.net"
	globex, err := jira.New(providers.APIConfig{}, jira.Settings{Site: other})
	require.NoError(t, err)
	s := start(t, withJira(map[string]func(*ingress.Source){"globex": func(source *ingress.Source) {
		source.Provider, source.Secrets = globex, providers.Secrets{jiraSecret}
		source.Accept = []string{"comment_*"} // the sandbox does not play this site's API
	}}))
	site := s.platforms["jira"]
	ours := s.trigger(site, "jira:issue_created")
	s.untilStatus("jira", ours.ID, providers.StatusProcessed)

	theirs := s.request(site, ours.ID)
	theirs.Body = []byte(strings.ReplaceAll(string(theirs.Body), "sandbox.atlassian.net", other))
	require.NoError(t, globex.Sign(&theirs, providers.Secrets{jiraSecret}))
	require.Contains(t, s.send("globex", theirs).Body, `"status":"accepted"`)
	s.untilStatus("globex", ours.ID, providers.StatusIgnored)

	t.Run("and an event at the wrong source waits for an operator", func(t *testing.T) {
		theirs.Header.Set(jiraIdentifier, "another-of-theirs")
		require.Contains(t, s.send("jira", theirs).Body, `"status":"accepted"`)
		s.rest()
		e := s.untilStatus("jira", "another-of-theirs", providers.StatusReview)
		require.Equal(t, "the event is not of the site sandbox.atlassian.net, which the source is for", e.Reason)
		s.requireNoRun("jira", "another-of-theirs")
		require.Equal(t, 1, site.Fetches(ours.Object))
	})
}

// Jira answers 404, and not 401, to a token that it does not accept.
func TestAnExpiredJiraTokenTurnsNoRecordIntoATombstone(t *testing.T) {
	t.Parallel()
	door := &turnstile{}
	var url string
	o := withJira(map[string]func(*ingress.Source){"jira": func(source *ingress.Source) {
		p, err := jira.New(providers.APIConfig{BaseURL: url, Key: apiKey}, jira.Settings{Site: "sandbox.atlassian.net"})
		require.NoError(t, err)
		source.Provider = p
	}})
	url = (&system{t: t}).listen(door)
	s := start(t, o)
	site := s.platforms["jira"]
	door.site.Store(site)

	created := s.trigger(site, "jira:issue_created")
	s.untilStatus("jira", created.ID, providers.StatusProcessed)

	door.expired.Store(true)
	updated := s.trigger(site, "jira:issue_updated", sandbox.On(created.Object))
	e := s.untilStatus("jira", updated.ID, providers.StatusReview)
	require.Contains(t, e.Reason, "asked who is asking: status 401 (AUTHENTICATED_FAILED)")
	r, err := s.store.Record(t.Context(), "jira", created.Object.Type, created.Object.ID)
	require.NoError(t, err)
	require.False(t, r.Deleted)

	door.expired.Store(false)
	require.NoError(t, s.client.SignalWorkflow(t.Context(), workflows.ID("jira", updated.ID), "", workflows.SignalResolve,
		workflows.Resolution{Action: workflows.Retry, By: "ann", Reason: "a new token"}))
	s.untilRun("jira", updated.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	s.requireTrue(site, "jira", created.Object)
}

// turnstile stands before Jira's API and can spoil the credentials of its callers.
type turnstile struct {
	site    atomic.Pointer[sandbox.Platform]
	expired atomic.Bool
}

func (d *turnstile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.expired.Load() {
		r.Header.Set("Authorization", "Bearer expired")
	}
	d.site.Load().ServeHTTP(w, r)
}
