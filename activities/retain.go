package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/surehook/surehook/providers"
)

// Retention is what the activities need of the database to remove what has been
// kept for long enough. Each method does one batch, and is repeated while its
// answer says that there is more.
type Retention interface {
	// RemoveBodies goes on where the last call ended, of whichever process.
	RemoveBodies(ctx context.Context, olderThan time.Duration, limit int) (providers.Removal, error)
	// RemoveLeftBodies looks again at events that RemoveBodies passed while they
	// still needed their bodies, at those after the given one.
	RemoveLeftBodies(ctx context.Context, olderThan time.Duration, after int64, limit int) (providers.Removal, error)
	RemoveRejections(ctx context.Context, olderThan time.Duration, limit int) (providers.Removal, error)
}

// RetainInput is stored in Temporal's history: its JSON names are for ever.
type RetainInput struct {
	// OlderThanSeconds is how long bodies are kept after their events were finished,
	// and rejections after they were counted.
	OlderThanSeconds int64    `json:"older_than_seconds"`
	Done             Retained `json:"done,omitzero"` // by this run before
}

// Retained is what a run of the retention has removed. It is stored in Temporal's
// history, so its JSON names are for ever.
type Retained struct {
	Bodies     int64 `json:"bodies"`
	Rejections int64 `json:"rejections"`
	// After is the last of the left events that this run has looked at again.
	After int64 `json:"after"`
	More  bool  `json:"more"` // it is not done yet
}

const (
	// retainBatch bounds a transaction. On SQLite everybody who writes waits for
	// it; on Postgres those do who deliver one of its events again.
	retainBatch = 200
	// retainPause leaves room between two of them for the live traffic.
	retainPause = 20 * time.Millisecond
	// retainTurns bounds one activity to about ten seconds.
	retainTurns = 200
)

// Retain removes the bodies and headers of events that were finished long enough
// ago, and old rejections. The events themselves stay: they tell a duplicate. It
// returns before it is done when there is much to do, or when its worker is being
// stopped, and goes on from what it has returned.
func (a *Activities) Retain(ctx context.Context, in RetainInput) (Retained, error) {
	done := in.Done
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &done); err != nil {
			activity.GetLogger(ctx).Warn("count of removed bodies is unreadable", "error", err)
			done = in.Done
		}
	}
	olderThan := time.Duration(in.OlderThanSeconds) * time.Second
	for range retainTurns {
		var err error
		if done, err = a.retainTurn(ctx, olderThan, done); err != nil {
			return Retained{}, written(ctx, err)
		}
		activity.RecordHeartbeat(ctx, done)
		if !done.More {
			break
		}
		select {
		case <-time.After(retainPause):
		case <-activity.GetWorkerStopChannel(ctx):
			return done, nil
		case <-ctx.Done():
			return Retained{}, ctx.Err()
		}
	}
	return done, nil
}

// retainTurn does a batch of each kind.
func (a *Activities) retainTurn(ctx context.Context, olderThan time.Duration, done Retained) (Retained, error) {
	left, err := a.Retention.RemoveLeftBodies(ctx, olderThan, done.After, retainBatch)
	if err != nil {
		return done, err
	}
	done.Bodies, done.After = done.Bodies+left.Removed, left.Last
	next, err := a.Retention.RemoveBodies(ctx, olderThan, retainBatch)
	if err != nil {
		return done, err
	}
	done.Bodies += next.Removed
	rejections, err := a.Retention.RemoveRejections(ctx, olderThan, retainBatch)
	if err != nil {
		return done, err
	}
	done.Rejections += rejections.Removed
	done.More = left.More || next.More || rejections.More
	return done, nil
}
