package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/activities"
)

// The named ways to run a step. Definitions use these and write no options of
// their own, so that what Surehook does under failure is decided on this page.

// firstTry runs a step inside the worker that runs the workflow: no queue, no
// further round trip, two events less in the history. One short attempt; what
// it cannot do is done by apiCall.
func firstTry(ctx workflow.Context) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		// Well below 80 % of a workflow task's 10 s, where a local activity
		// starts to cost heartbeats.
		ScheduleToCloseTimeout: 3 * time.Second,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}

// longestWait is how long an activity waits for its queue at a time. A queue
// whose source has left the configuration is polled by nobody.
const longestWait = time.Hour

// apiCall calls a source's API on the queue that holds its rate limit. How
// often, and after which pauses, is decided by the activity (its errors.go),
// which knows our own failures from the platform's, and what the platform asks
// for. The policy's own pauses are those after a timeout or a lost worker.
func apiCall(ctx workflow.Context, source string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              FetchQueue(source),
		ScheduleToStartTimeout: longestWait,
		StartToCloseTimeout:    30 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval:    time.Second,
			BackoffCoefficient: 2,
			MaximumInterval:    activities.MaxPause,
		},
	})
}

// backgroundPriority is Temporal's lowest. Live traffic has the default, so what is
// in the background is handed out only when a queue holds nothing else.
const backgroundPriority = 5

// listing reads a page of a list on the queue of its source, and may make some
// hundred calls for it. It is retried as apiCall is. Its heartbeats come every few
// seconds, so that the page of a worker that was killed is soon another's.
func listing(ctx workflow.Context, source string) workflow.Context {
	options := workflow.GetActivityOptions(apiCall(ctx, source))
	options.StartToCloseTimeout = 10 * time.Minute
	options.HeartbeatTimeout = 30 * time.Second
	options.Priority = temporal.Priority{PriorityKey: backgroundPriority}
	return workflow.WithActivityOptions(ctx, options)
}

// upkeep is apiCall for an activity that makes several calls, some of which the
// platform answers only after it has called us.
func upkeep(ctx workflow.Context, source string) workflow.Context {
	return workflow.WithStartToCloseTimeout(apiCall(ctx, source), 5*time.Minute)
}

// dbWrite writes to our own database and does not give up: while it is away
// nothing can be decided about the event anyway.
func dbWrite(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 30 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval:    time.Second,
			BackoffCoefficient: 2,
			MaximumInterval:    time.Minute,
		},
	})
}

// dbWalk works through our own database in many small steps. Like dbWrite it does
// not give up; its heartbeat tells that it is alive, and what it has done so far.
func dbWalk(ctx workflow.Context) workflow.Context {
	options := workflow.GetActivityOptions(dbWrite(ctx))
	options.StartToCloseTimeout = 10 * time.Minute
	options.HeartbeatTimeout = time.Minute
	return workflow.WithActivityOptions(ctx, options)
}

// delivery tells another system of ours. Like apiCall it is bounded by the
// activity, and the receiver dedupes by its idempotency key.
func delivery(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 30 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval:    time.Second,
			BackoffCoefficient: 2,
			MaximumInterval:    activities.MaxPause,
		},
	})
}
