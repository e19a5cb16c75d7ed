package worker

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"
)

// fake is a worker that only starts and stops.
type fake struct {
	worker.Worker
	startErr error
	stop     func()
	stopped  atomic.Int32
}

func (f *fake) Start() error { return f.startErr }

func (f *fake) Stop() {
	f.stopped.Add(1)
	if f.stop != nil {
		f.stop()
	}
}

// add starts f in the group and returns the options it was given.
func add(t *testing.T, g *group, f *fake) (opts worker.Options) {
	t.Helper()
	err := g.start(func(o worker.Options) worker.Worker {
		opts = o
		return f
	})
	require.ErrorIs(t, err, f.startErr)
	return opts
}

func TestGroupStopsItsWorkersAtTheSameTime(t *testing.T) {
	g := &group{fatal: make(chan error, 1)}
	var all sync.WaitGroup
	const workers = 5
	all.Add(workers)
	for range workers {
		// Each one's Stop returns only when all have been asked to stop.
		add(t, g, &fake{stop: func() { all.Done(); all.Wait() }})
	}
	done := make(chan struct{})
	go func() { g.stop(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("one worker's stop waits for another's")
	}
}

func TestGroupStopsOnlyWhatHasStarted(t *testing.T) {
	g := &group{fatal: make(chan error, 1)}
	started, failed := &fake{}, &fake{startErr: errors.New("no such namespace")}
	add(t, g, started)
	add(t, g, failed)
	g.stop()
	require.EqualValues(t, 1, started.stopped.Load())
	require.Zero(t, failed.stopped.Load())
}

// The SDK closes a channel in Stop, and after a fatal error it calls Stop too.
func TestGroupStopsAWorkerOnceThatFailsWhileItIsStopped(t *testing.T) {
	g := &group{fatal: make(chan error, 1)}
	f := &fake{}
	opts := add(t, g, f)
	var both sync.WaitGroup
	both.Go(func() { opts.OnFatalError(errors.New("namespace is gone")) })
	both.Go(g.stop)
	both.Wait()
	require.EqualValues(t, 1, f.stopped.Load())
	require.EqualError(t, <-g.fatal, "namespace is gone")
}

func TestGroupReportsTheFirstFatalErrorAndBlocksOnNone(t *testing.T) {
	g := &group{fatal: make(chan error, 1)}
	first, second := add(t, g, &fake{}), add(t, g, &fake{})
	first.OnFatalError(errors.New("first"))
	second.OnFatalError(errors.New("second"))
	require.EqualError(t, <-g.fatal, "first")
}
