package worker

import (
	"sync"

	"go.temporal.io/sdk/worker"
)

// group is the workers that have been started, and the first error that ended
// one of them.
type group struct {
	fatal chan error
	stops []func()
}

// start creates a worker with the options that tie it to the group, and starts it.
func (g *group) start(create func(worker.Options) worker.Worker) error {
	var one worker.Worker
	// The SDK's Stop panics when two goroutines call it at the same time, and
	// the SDK calls it itself after a fatal error.
	stop := sync.OnceFunc(func() { one.Stop() })
	one = create(worker.Options{OnFatalError: func(err error) {
		stop()
		select {
		case g.fatal <- err:
		default: // one is enough to stop them all
		}
	}})
	if err := one.Start(); err != nil {
		return err
	}
	g.stops = append(g.stops, stop)
	return nil
}

// stop stops all workers at the same time, so that the slowest activity and
// not their sum decides how long it takes.
func (g *group) stop() {
	var all sync.WaitGroup
	for _, stop := range g.stops {
		all.Go(stop)
	}
	all.Wait()
}
