package sandbox_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/sandbox"
)

func TestTheSandboxKnowsWhatAnEventMeans(t *testing.T) {
	for _, c := range []struct {
		platform *sandbox.Platform
		known    []string
		unknown  []string
	}{
		{
			sandbox.NewStripe(sandbox.PlatformConfig{}),
			[]string{"invoice.paid", "customer.created", "customer.subscription.updated", "balance.available"},
			[]string{"invoice.payed", "invioce.paid", "invoice", ""},
		},
		{
			sandbox.NewJira(sandbox.PlatformConfig{}),
			[]string{"jira:issue_created", "comment_deleted", "sprint_started", "jira:version_released", "project_archived"},
			[]string{"issue_created", "jira:issue_creatd", "comment", "user_created", ""},
		},
		{
			sandbox.NewGitHub(sandbox.PlatformConfig{}),
			[]string{"push", "pull_request", "pull_request.closed", "issues.edited", "star.deleted"},
			[]string{"pull_request.clsd", "pullrequest", "issue.opened", ""},
		},
		{
			sandbox.NewTwilio(sandbox.PlatformConfig{}),
			[]string{"message.received", "message.delivered", "call.incoming", "call.no-answer", "recording.completed"},
			[]string{"message.deliverd", "call.delivered", "conference.join", "message", ""},
		},
	} {
		t.Cleanup(c.platform.Close)
		for _, typ := range c.known {
			require.True(t, c.platform.Knows(typ), typ)
		}
		for _, typ := range c.unknown {
			require.False(t, c.platform.Knows(typ), typ)
		}
	}
}
