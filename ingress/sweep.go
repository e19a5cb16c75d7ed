package ingress

import (
	"context"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// This file is what the relay does besides handing events over at once: it notes
// what was started, and looks for what was not.

const (
	sweepEvery = 2 * time.Second
	sweepPause = 100 * time.Millisecond // while there is no room
	sweepLimit = 500
	sweepRoom  = 5_000
	sweepLease = time.Minute
	// sweepRest is how long the inbox is left alone while workflows are started
	// without a pause and nothing is known to be missing in memory. To claim what
	// waits there anyway would write each of its rows once more.
	sweepRest = 30 * time.Second

	markEvery   = time.Second
	markLimit   = 500
	markTimeout = 5 * time.Second
)

// mark records what was started, some time later: most events are finished by
// then, which has been recorded with their runs, so that little is left to write.
// The sweep must not come first. A mark that fails costs only a repeated start.
func (r *Relay) mark(ctx context.Context) {
	for first := range r.marks {
		batch := []providers.Started{first}
		full := time.After(markEvery)
		for more := true; more && len(batch) < markLimit; {
			select {
			case next, ok := <-r.marks:
				if more = ok; ok {
					batch = append(batch, next)
				}
			case <-full:
				more = false
			}
		}
		r.markBatch(ctx, batch)
	}
}

// markOf says which run an event is with; run is nil when Temporal had it already.
func markOf(ev providers.EventRef, workflowID string, run client.WorkflowRun) providers.Started {
	mark := providers.Started{Source: ev.Source, ID: ev.ID, Replay: ev.Replay, WorkflowID: workflowID}
	if run != nil {
		mark.RunID = run.GetRunID()
	}
	return mark
}

func (r *Relay) markBatch(ctx context.Context, batch []providers.Started) {
	ctx, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	if err := r.Inbox.MarkStarted(ctx, batch); err != nil {
		r.Logger.Warn("starts not marked, the sweep will repeat them", "count", len(batch), "error", err)
	}
}

// sweep looks for pending events that need looking after: at once, then in
// intervals, when Temporal is back, and without a pause while there are many.
func (r *Relay) sweep(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(r.sweepOnce(ctx)):
		case <-r.breaker.closing():
		}
	}
}

// sweepOnce returns how long to wait before the next time. It leaves events in
// the inbox while many wait in memory: another process may have time for them.
func (r *Relay) sweepOnce(ctx context.Context) time.Duration {
	waiting := r.backlog.waiting()
	rests := !r.left.Load() && time.Since(r.sweptAt) < sweepRest
	if waiting > sweepRoom || waiting > few && rests {
		return sweepPause
	}
	r.left.Store(false) // what is left from now on is for the next one
	due, err := r.Inbox.ClaimDue(ctx, sweepLimit, sweepLease)
	if err != nil {
		if ctx.Err() == nil {
			r.Logger.Warn("sweep failed, will be tried again", "error", err)
		}
		r.left.Store(true)
		return sweepEvery
	}
	r.sweptAt = time.Now()
	r.metrics.swept.Add(float64(len(due)))
	for _, d := range due {
		if r.backlog.holds(d.EventRef) {
			continue
		}
		r.left.Store(true) // where one was, there may be more
		kind := startJob
		if d.Started {
			kind = checkJob
		}
		r.offer(job{ev: d.EventRef, kind: kind, workflowID: d.WorkflowID, swept: true})
	}
	if len(due) > 0 {
		return 0
	}
	return sweepEvery
}

// check looks after an event whose workflow was started long ago: it may have
// ended without finishing the event, or Temporal may have lost it. A joint run that
// has ended has left the event to its own.
func (r *Relay) check(ctx context.Context, j job) error {
	own := workflows.IDOf(j.ev)
	var since time.Time
	if j.workflowID != own {
		joint, err := r.describe(ctx, j.workflowID)
		if err != nil {
			return err
		}
		if status := joint.GetStatus(); status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING || status == enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED {
			return nil // it is looked after
		}
		since = joint.GetStartTime().AsTime()
	}
	found, err := r.describe(ctx, own)
	if err != nil {
		return err
	}
	why := ending(found.GetStatus())
	switch {
	case found == nil:
		return r.start(ctx, j.ev)
	case found.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		// Its workflow ID is used up, so it cannot be started again.
		return r.settle(ctx, j.ev, providers.StatusReview, "the run completed without finishing the event")
	case why == "": // running, continued as new, paused: it is looked after
		return nil
	case found.GetStartTime().AsTime().Before(since):
		return r.start(ctx, j.ev) // that was before somebody had the event tried again
	default:
		return r.settle(ctx, j.ev, providers.StatusFailed, why)
	}
}

// ending is why an event fails whose run has ended so, or empty.
func ending(status enumspb.WorkflowExecutionStatus) string {
	switch status {
	case enumspb.WORKFLOW_EXECUTION_STATUS_FAILED:
		return "the run failed"
	case enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		return "the run was terminated"
	case enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return "the run was canceled"
	case enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return "the run timed out"
	default:
		return ""
	}
}

// describe returns what Temporal knows of the latest run of a workflow ID, or nil.
func (r *Relay) describe(ctx context.Context, workflowID string) (*workflowpb.WorkflowExecutionInfo, error) {
	found, err := r.Client.DescribeWorkflowExecution(ctx, workflowID, "")
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r.metrics.starts.WithLabelValues("checked").Inc()
	return found.GetWorkflowExecutionInfo(), nil
}
