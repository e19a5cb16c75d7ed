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
		var done activities.Retained // a new one: what is left out of the JSON is zero
		if err := workflow.ExecuteActivity(dbWalk(ctx), a.Retain, in).Get(ctx, &done); err != nil {
			return in.Done, err
		}
		in.Done = done
		if !in.Done.More {
			return in.Done, nil
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return in.Done, workflow.NewContinueAsNewError(ctx, Retain, in)
		}
	}
}
