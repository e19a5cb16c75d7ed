package sandbox_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
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
