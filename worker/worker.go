// Package worker runs Surehook's workflows and activities: what is registered
// on which task queue, how it starts when Temporal is not there yet, and how it
// stops without losing work.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/workflows"
)

// Config is read from the environment by go-envconfig.
type Config struct {
	// StopTimeout is how long running activities may go on when the process is
	// asked to stop; what has not ended then is done again by another process.
	// An activity's own timeout is 30 s. Workflow tasks, which take seconds,
	// have the same time before them.
	StopTimeout time.Duration `env:"SUREHOOK_WORKER_STOP_TIMEOUT, default=30s"`
	// MaxAttempts is how often a call to an API is made before the event is
	// parked. With the pauses between them fifteen attempts last about an hour.
	MaxAttempts int32 `env:"SUREHOOK_MAX_ATTEMPTS, default=15"`
	// Retention is how long the bodies of events are kept after these were finished,
	// and rejections after they were counted. 0 keeps them for ever.
	Retention time.Duration `env:"SUREHOOK_RETENTION, default=0s"`
}

// Validate reports every value that cannot be meant, by its variable.
func (c Config) Validate() error {
	var errs []error
	if c.StopTimeout < 0 {
		errs = append(errs, fmt.Errorf("SUREHOOK_WORKER_STOP_TIMEOUT: %s is negative", c.StopTimeout))
	}
	if c.MaxAttempts < 1 {
		errs = append(errs, fmt.Errorf("SUREHOOK_MAX_ATTEMPTS: %d: want 1 or more", c.MaxAttempts))
	}
	if c.Retention != 0 && c.Retention < minRetention {
		errs = append(errs, fmt.Errorf("SUREHOOK_RETENTION: %s: want 0 to keep bodies for ever, or at least %s", c.Retention, minRetention))
	}
	return errors.Join(errs...)
}

// minRetention is longer than any flush of the inbox may take: what the retention
// has passed must not be joined by an event that was committed late.
const minRetention = time.Hour

// Source is what the worker needs of a configured source.
type Source struct {
	Name string
	// Rate is how many calls of its API may be started in a second, by all
	// processes together. 0 means no limit.
	Rate float64
}

// Worker runs workflows and activities until its context ends.
type Worker struct {
	Client     client.Client
	Namespace  string
	Activities *activities.Activities
	Sources    []Source
	Schedules  []workflows.Scheduled // all that Temporal is to have of ours
	Config     Config
	Logger     *slog.Logger
}

// Run starts the workers and stops them when ctx ends, after the running
// activities have finished or Config.StopTimeout has passed. While Temporal
// cannot be reached it keeps trying: accepted events wait in the inbox.
func (w *Worker) Run(ctx context.Context) error {
	running, err := backoff.Retry(ctx, func() (*group, error) {
		return w.start(ctx)
	}, backoff.WithBackOff(startBackOff()), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, wait time.Duration) {
		w.Logger.Warn("worker cannot start yet", "error", err, "retry_in", wait)
	}))
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("start worker: %w", err)
	}
	w.Logger.Info("worker started", "sources", len(w.Sources))
	defer running.stop()
	schedulesCtx, stopSchedules := context.WithCancel(ctx)
	var scheduling sync.WaitGroup
	scheduling.Go(func() { w.ensureSchedules(schedulesCtx) })
	defer scheduling.Wait()
	defer stopSchedules()
	select {
	case <-ctx.Done():
		return nil
	case err := <-running.fatal:
		return fmt.Errorf("worker: %w", err)
	}
}

func startBackOff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 250 * time.Millisecond
	b.MaxInterval = 5 * time.Second
	return b
}

// start starts one worker for the workflows, one for the joint runs and one for each
// source's API.
func (w *Worker) start(ctx context.Context) (*group, error) {
	if err := ensureSearchAttributes(ctx, w.Client, w.Namespace); err != nil {
		return nil, err
	}
	g := &group{fatal: make(chan error, 1)}
	if err := g.start(w.workflowWorker); err != nil {
		return nil, err
	}
	if err := g.start(w.jointWorker); err != nil {
		g.stop()
		return nil, err
	}
	for _, s := range w.Sources {
		if err := g.start(func(opts worker.Options) worker.Worker { return w.fetchWorker(s, opts) }); err != nil {
			g.stop()
			return nil, err
		}
	}
	return g, nil
}

func (w *Worker) workflowWorker(opts worker.Options) worker.Worker {
	one := worker.New(w.Client, workflows.TaskQueue, w.running(opts))
	for _, d := range workflows.All() {
		one.RegisterWorkflow(d)
	}
	one.RegisterActivity(w.Activities)
	return one
}

// jointRuns is how many joint runs this process has under way. Each has a few
// seconds for all its events, which must not pass while they wait for a connection of
// the database: after an outage of all workers hundreds of them may be there.
const jointRuns = 8

func (w *Worker) jointWorker(opts worker.Options) worker.Worker {
	opts.MaxConcurrentWorkflowTaskExecutionSize = jointRuns
	opts.LocalActivityWorkerOnly = true
	one := worker.New(w.Client, workflows.JointQueue, w.running(opts))
	one.RegisterWorkflow(workflows.SyncMany)
	one.RegisterActivity(w.Activities)
	return one
}

// running are the options of whatever runs workflows.
func (w *Worker) running(opts worker.Options) worker.Options {
	opts.WorkerStopTimeout = w.Config.StopTimeout
	// A definition that no longer fits a run's history must wait for the
	// release that mends it, with the run untouched. Failing the run instead
	// would end accepted events because of a deployment.
	opts.WorkflowPanicPolicy = worker.BlockWorkflow
	return opts
}

func (w *Worker) fetchWorker(s Source, opts worker.Options) worker.Worker {
	opts.WorkerStopTimeout = w.Config.StopTimeout
	opts.DisableWorkflowWorker = true
	// Temporal holds this limit across all processes that poll the queue.
	opts.TaskQueueActivitiesPerSecond = s.Rate
	one := worker.New(w.Client, workflows.FetchQueue(s.Name), opts)
	one.RegisterActivity(w.Activities)
	return one
}
