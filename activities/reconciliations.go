package activities

import (
	"context"
	"time"

	"github.com/surehook/surehook/providers"
)

// Reconciliations is what the activities need of the table of reconciliations, and
// of the inbox and the records to find out what is missing there.
type Reconciliations interface {
	// BeginReconciliation returns the reconciliation to go on with: that of the same run when the
	// start is repeated (one with FinishedAt is over); of a scheduled one that was
	// left half-way, for the one that comes after it; otherwise a new one.
	BeginReconciliation(ctx context.Context, start providers.ReconciliationStart) (providers.Reconciliation, error)
	// Now is the database's clock.
	Now(ctx context.Context) (time.Time, error)
	// Differing returns those of the listed objects that our records do not show, and
	// notes that the others were seen. A record whose state is newer than asOf, a
	// time after the list has answered, does not differ.
	Differing(ctx context.Context, source string, asOf time.Time, listed []providers.Listed) ([]providers.Ref, error)
	// MissingEvents returns those of the IDs that the inbox does not have.
	MissingEvents(ctx context.Context, source string, ids []string) ([]string, error)
	// Unseen returns fetched records that are no tombstones and that neither a fetch
	// nor a list has shown since that time, by type and ID after the given one; fewer
	// than the limit are the last. Where hundreds of thousands of records in a row were
	// seen it takes long to find the next, so that a caller has to heartbeat meanwhile.
	Unseen(ctx context.Context, source string, since time.Time, after providers.Ref, limit int) ([]providers.Ref, error)
	// SaveReconciledPage notes that a page has been saved; to repeat it changes
	// nothing. The page whose Next is empty completes the run and ends it.
	SaveReconciledPage(ctx context.Context, page providers.ReconciledPage) error
	// EndReconciliation ends a run that has not come to its last page, with an error
	// or without: the next one begins again where this one began. It leaves a run
	// that has ended as it is.
	EndReconciliation(ctx context.Context, id int64, problem string) error
}
