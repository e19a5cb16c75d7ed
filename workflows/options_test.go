package workflows

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/activities"
)

func TestOptions(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		t.Run("leave room for the pauses that platforms ask for", func(t *testing.T) {
			// The server cuts every pause to the maximum interval, which the
			// test environment does not.
			for _, ctx := range []workflow.Context{apiCall(ctx, "stripe"), listing(ctx, "stripe"), delivery(ctx)} {
				require.Equal(t, activities.MaxPause, workflow.GetActivityOptions(ctx).RetryPolicy.MaximumInterval)
			}
		})
		t.Run("leave the number of attempts to the activity, which knows whose fault it was", func(t *testing.T) {
			for _, ctx := range []workflow.Context{apiCall(ctx, "stripe"), listing(ctx, "stripe"), delivery(ctx), dbWrite(ctx)} {
				require.Zero(t, workflow.GetActivityOptions(ctx).RetryPolicy.MaximumAttempts)
				require.Zero(t, workflow.GetActivityOptions(ctx).ScheduleToCloseTimeout)
			}
		})
		t.Run("wait for a source's queue only for a time, since nobody may poll it", func(t *testing.T) {
			require.Positive(t, workflow.GetActivityOptions(apiCall(ctx, "stripe")).ScheduleToStartTimeout)
		})
		t.Run("let live traffic go before lists, on the same queue", func(t *testing.T) {
			list, live := workflow.GetActivityOptions(listing(ctx, "stripe")), workflow.GetActivityOptions(apiCall(ctx, "stripe"))
			require.Equal(t, live.TaskQueue, list.TaskQueue)
			require.Zero(t, live.Priority.PriorityKey, "Temporal's default, 3")
			require.Equal(t, 5, list.Priority.PriorityKey, "its lowest")
		})
		t.Run("notice soon that a worker with a page was killed", func(t *testing.T) {
			list := workflow.GetActivityOptions(listing(ctx, "stripe"))
			require.Equal(t, 30*time.Second, list.HeartbeatTimeout)
			require.Greater(t, list.StartToCloseTimeout, 5*time.Minute, "some hundred calls have to fit")
		})
		t.Run("try locally once, and briefly", func(t *testing.T) {
			first := workflow.GetLocalActivityOptions(firstTry(ctx))
			require.EqualValues(t, 1, first.RetryPolicy.MaximumAttempts)
			require.Less(t, first.ScheduleToCloseTimeout, 8*time.Second, "80 % of a workflow task")
		})
		return nil
	})
	require.NoError(t, env.GetWorkflowError())
}
