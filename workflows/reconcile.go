package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

// ReconcileInput is stored in Temporal's history and in schedules, so its JSON
// names are for ever. To start a run by hand, source and list are enough.
type ReconcileInput struct {
	activities.ReconcileStart
	// At is where the run before has stopped, when this one continues it.
	At *activities.ReconcilePosition `json:"at,omitempty"`
}

// pagesPerRun is after how many pages a run continues as a new one: three events
// each, and the positions, stay far below what a history may hold.
const pagesPerRun = 100

// Reconcile reads a list of a source page by page and repairs what differs. It
// returns what it has done. A run that cannot be completed fails, so that the Web
// UI shows it; the next one begins again where this one began.
func Reconcile(ctx workflow.Context, in ReconcileInput) (providers.Tally, error) {
	in.RunID = workflow.GetInfo(ctx).FirstRunID
	at, err := reached(ctx, in)
	if err != nil {
		return providers.Tally{}, err // there is nothing yet that would have to be ended
	}
	for pages := 0; !at.Last; pages++ {
		if pages == pagesPerRun {
			in.At = &at
			return at.Done, workflow.NewContinueAsNewError(ctx, Reconcile, in)
		}
		workflow.SetCurrentDetails(ctx, reconcileDetails(at))
		next, err := reconcilePage(ctx, in, at)
		if err != nil {
			return at.Done, endReconciliation(ctx, at, err)
		}
		at = next
	}
	workflow.SetCurrentDetails(ctx, reconcileDetails(at))
	if at.Problem != "" {
		return at.Done, temporal.NewNonRetryableApplicationError(at.Problem, "Incomplete", nil)
	}
	return at.Done, nil
}

// reached is where the run has to go on.
func reached(ctx workflow.Context, in ReconcileInput) (at activities.ReconcilePosition, err error) {
	if in.At != nil {
		return *in.At, nil
	}
	err = workflow.ExecuteActivity(dbWrite(ctx), a.BeginReconciliation, in.ReconcileStart).Get(ctx, &at)
	return at, err
}

// reconcilePage waits for the source's queue for as long as the source is
// configured: live traffic goes first there, so the wait may be long.
func reconcilePage(ctx workflow.Context, in ReconcileInput, at activities.ReconcilePosition) (next activities.ReconcilePosition, err error) {
	for {
		err = workflow.ExecuteActivity(listing(ctx, at.Source), a.ReconcilePage, at).Get(ctx, &next)
		if !isUnclaimed(err) {
			return next, err
		}
		// To begin again changes nothing, but it fails when there is no such source
		// any more.
		if err := workflow.ExecuteActivity(dbWrite(ctx), a.BeginReconciliation, in.ReconcileStart).Get(ctx, nil); err != nil {
			return next, err
		}
	}
}

// endReconciliation notes why the run ends before its last page, also when it was
// cancelled, and returns what the run is to end with.
func endReconciliation(ctx workflow.Context, at activities.ReconcilePosition, cause error) error {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	err := workflow.ExecuteActivity(dbWrite(ctx), a.EndReconciliation, activities.ReconcileEnd{
		ID:      at.ID,
		Source:  at.Source,
		List:    at.List,
		Problem: rootMessage(cause),
	}).Get(ctx, nil)
	if err != nil {
		return err
	}
	return cause
}

// reconcileDetails is what the Web UI shows on the page of a run.
func reconcileDetails(at activities.ReconcilePosition) string {
	since := "everything"
	if !at.Since.IsZero() {
		since = "since " + at.Since.UTC().Format("2006-01-02 15:04:05Z")
	}
	return fmt.Sprintf("**%s %s**, %s: %s", at.Source, at.List, since, at.Done.InWords())
}
