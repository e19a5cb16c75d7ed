package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/workflows"
)

func TestRetainGoesOnUntilAllIsDone(t *testing.T) {
	w := newWorld(t)
	in := activities.RetainInput{OlderThanSeconds: 3600}
	half := activities.Retained{Bodies: 40, Rejections: 2, After: 7, More: true}
	all := activities.Retained{Bodies: 41, Rejections: 2, After: 9}
	w.env.OnActivity(w.activities.Retain, mock.Anything, in).Return(half, nil).Once()
	in.Done = half
	w.env.OnActivity(w.activities.Retain, mock.Anything, in).Return(all, nil).Once()
	w.env.ExecuteWorkflow(workflows.Retain, activities.RetainInput{OlderThanSeconds: 3600})
	require.NoError(t, w.env.GetWorkflowError())
	var done activities.Retained
	require.NoError(t, w.env.GetWorkflowResult(&done))
	require.Equal(t, all, done)
	require.Equal(t, 2, w.count("Retain on default-test-taskqueue"))
}

func TestRetainContinuesAsANewRunBeforeItsHistoryIsTooLong(t *testing.T) {
	w := newWorld(t)
	half := activities.Retained{Bodies: 40, More: true}
	w.env.OnActivity(w.activities.Retain, mock.Anything, mock.Anything).Return(half, nil).Once()
	w.env.SetContinueAsNewSuggested(true)
	w.env.ExecuteWorkflow(workflows.Retain, activities.RetainInput{OlderThanSeconds: 3600})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, w.env.GetWorkflowError(), &next)
	require.Equal(t, "Retain", next.WorkflowType.Name)
}

func TestTheRetentionHasASchedule(t *testing.T) {
	s := workflows.RetentionSchedule(720 * time.Hour)
	require.Equal(t, "retention", s.ID)
	require.Equal(t, "Retain", s.Workflow)
	require.Equal(t, activities.RetainInput{OlderThanSeconds: 720 * 3600}, s.Input)
}
