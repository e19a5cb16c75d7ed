// Package activities holds Surehook's side effects: fetching from a platform's
// API, saving to our database, telling other systems. Every activity is
// idempotent, because Temporal may run it again after it has succeeded. What
// goes wrong is sorted in one place, errors.go.
package activities

import (
	"context"

	"github.com/surehook/surehook/providers"
)

// Activities are registered by a worker under their method names. All fields
// but Notifier and Meter are required.
type Activities struct {
	Inbox           Inbox
	Records         Records
	Reconciliations Reconciliations
	Retention       Retention
	Sources         map[string]Source // by name
	// Notifier tells the system behind SUREHOOK_NOTIFY_URL; nil when there is none.
	Notifier Notifier
	// Meter is told what reconciliations do; nil when nobody counts it.
	Meter Meter
	// MaxAttempts is how often a call that keeps failing is made before the
	// event is parked for review, without the first try inside the workflow's
	// own worker and without attempts that failed for a reason of ours.
	MaxAttempts int32
}

// Source is what the activities need of a configured source.
type Source struct {
	Provider providers.Provider
	Limiter  Limiter // this process's share of the source's API rate
	// Background is the part of that share which is not kept for live traffic.
	Background Limiter
	// Reception judges the events that a reconciliation found missing as the ingress
	// would have.
	Reception providers.Reception
	// URL and Secrets are where the platform sends its webhooks, and what proves
	// them: Keep subscribes with these. URL is empty where it is not known.
	URL     string
	Secrets providers.Secrets
}

// Limiter is met by golang.org/x/time/rate.
type Limiter interface {
	Allow() bool
	Wait(ctx context.Context) error
}

// Inbox is what the activities need of the table of events.
type Inbox interface {
	Accept(ctx context.Context, events []providers.Received) ([]providers.Accepted, error)
	Event(ctx context.Context, source, id string) (providers.StoredEvent, error)
	Pending(ctx context.Context, events []providers.EventRef) ([]providers.EventRef, error)
	MarkStarted(ctx context.Context, started []providers.Started) error
	Settle(ctx context.Context, s providers.Settlement) error
}

// Records is our copy of the platforms' objects.
type Records interface {
	Claim(ctx context.Context, ev providers.EventRef) (providers.Claim, error)
	Cover(ctx context.Context, save providers.Save) (providers.Saved, error)
	Save(ctx context.Context, s providers.Save) (providers.Saved, error)
}

// Meter counts what reconciliations do. It must not block.
type Meter interface {
	// ReconciledPage is told what was done for one page.
	ReconciledPage(source, list string, done providers.Tally)
	// Reconciled is told of a run that has ended, and whether it was complete.
	Reconciled(source, list string, complete bool)
}

// Notifier tells another system of a notice. It must treat two notices with
// the same key as one, or send the key so that the receiver can.
type Notifier interface {
	Notify(ctx context.Context, n Notice) error
}
