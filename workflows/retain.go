package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/activities"
)

// Retain removes what has been kept for long enough: the bodies of finished
// events, and rejections. A schedule starts it each day; what it returns is how
// much it has removed.
func Retain(ctx workflow.Context, in activities.RetainInput) (activities.Retained, error) {
	for {
		if err := workflow.ExecuteActivity(upkeep(ctx), a.Retain, in).Get(ctx, &in.Done); err != nil {
			return in.Done, err
		}
		if !in.Done.More {
			return in.Done, nil
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return in.Done, workflow.NewContinueAsNewError(ctx, Retain, in)
		}
	}
}
