package ingress

import (
	"context"
	"math"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// This file is how the relay works off what waits of many objects: in joint runs,
// each for events about several of them.

const (
	// jointStarters is how many starters have a joint run at a time: these are large, and
	// the rest is for whoever else has something.
	jointStarters = 4
	// jointPatience is how long one of these waits for its run to end.
	jointPatience = 500 * time.Millisecond
	// maxObjectsPerRun bounds a joint run, which has a few seconds for all of them.
	maxObjectsPerRun = 100
)

// ObjectsPerRun is how many objects, of at most so many, a joint run of a source may
// have whose API takes so many calls per second, 0 for any number. With more, joint
// runs would make calls for which there is no turn, and these events need own runs
// after all; with fewer, slow answers would keep the source below its rate, because
// then jointStarters runs are started every jointPatience.
func ObjectsPerRun(most int, perSecond float64) int {
	if perSecond == 0 {
		return most
	}
	return min(most, int(math.Ceil(perSecond*jointPatience.Seconds()/jointStarters)))
}

// doJoint starts the joint run of several events and waits for its end, as long as
// that comes soon. So no more of them run than jointStarters, and the single events of
// other sources find Temporal, the worker and the database at no more work than that.
func (r *Relay) doJoint(ctx context.Context, p pass, jobs []job) bool {
	var run client.WorkflowRun
	err := r.call(ctx, p, jobs[0].ev, func(ctx context.Context) (err error) {
		run, err = r.startJoint(ctx, jobs)
		return err
	})
	if err == nil && !r.hasEnded(ctx, run) {
		// Before they are let go, and whatever ends ctx: another start would be another run.
		r.markJoint(context.WithoutCancel(ctx), jobs, run)
	}
	return err == nil
}

// hasEnded waits for the end of a joint run. By then its events have been finished, or
// marked as left to their own runs.
func (r *Relay) hasEnded(ctx context.Context, run client.WorkflowRun) bool {
	if run == nil {
		return false // another process's
	}
	ctx, cancel := context.WithTimeout(ctx, jointPatience)
	defer cancel()
	err := run.Get(ctx, nil)
	if err != nil && ctx.Err() == nil {
		r.Logger.Warn("end of a joint run not seen, the sweep looks after its events", "workflow_id", run.GetID(), "error", err)
	}
	return err == nil
}

// markJoint notes in the inbox which joint run events are with.
func (r *Relay) markJoint(ctx context.Context, jobs []job, run client.WorkflowRun) {
	workflowID := workflows.JointID(eventsOf(jobs))
	var batch []providers.Started
	for _, j := range jobs {
		batch = append(batch, markOf(j.ev, workflowID, run))
	}
	r.markBatch(ctx, batch)
}

func eventsOf(jobs []job) (events []providers.EventRef) {
	for _, j := range jobs {
		events = append(events, j.ev)
	}
	return events
}

// startJoint starts one run for events about several objects.
func (r *Relay) startJoint(ctx context.Context, jobs []job) (client.WorkflowRun, error) {
	events := eventsOf(jobs)
	options := client.StartWorkflowOptions{
		ID:        workflows.JointID(events),
		TaskQueue: workflows.JointQueue,
		// Another process may have started it and not marked it, which counts as
		// success; one that has ended says nothing of these events.
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		EnableEagerStart:                         r.Eager,
		TypedSearchAttributes:                    workflows.JointSearchAttributes(events),
		StaticSummary:                            workflows.JointSummary(events),
		StaticDetails:                            workflows.JointDetails(events),
	}
	run, err := r.execute(ctx, options, workflows.Name(workflows.SyncMany), events)
	if err == nil {
		r.metrics.joined.Add(float64(len(events)))
	}
	return run, err
}
