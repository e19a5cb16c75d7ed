//go:build unix

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// The subjects and settings of case B, besides Surehook itself.
const (
	textbookName = "textbook"
	aloneName    = "Surehook, a run each"
	startOnly    = "StartWorkflow only"
	emptyRuns    = "empty workflow"

	instantFetch = "fetch 0 ms"
	slowFetch    = "fetch 20 ms"
	slowLatency  = 20 * time.Millisecond
	idle         = "single events, idle"

	rateMetric = "events/s"
)

const endToEndConnections = 64

// endToEnd is case B: from the request to the record.
func (st *stack) endToEnd(ctx context.Context, r *caseResult) (err error) {
	ours, err := st.newStage(ctx, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.close()) }()
	theirs, err := st.newTextbook(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, theirs.close()) }()
	for repeat := range st.settings.repeats {
		steps := []func() error{
			func() error { return ours.endToEnd(ctx, r, instantFetch, 0, repeat) },
			func() error { return ours.endToEndAlone(ctx, r, repeat) },
			func() error { return theirs.endToEnd(ctx, r, instantFetch, 0, repeat) },
			func() error { return theirs.startOnly(ctx, r.of(instantFetch, startOnly, repeat)) },
			func() error { return theirs.emptyRuns(ctx, r.of(instantFetch, emptyRuns, repeat)) },
			func() error { return ours.endToEnd(ctx, r, slowFetch, slowLatency, repeat) },
			func() error { return theirs.endToEnd(ctx, r, slowFetch, slowLatency, repeat) },
			func() error { return ours.singles(ctx, r.of(idle, surehook, repeat)) },
			func() error { return theirs.singles(ctx, r.of(idle, textbookName, repeat)) },
		}
		if repeat%2 == 1 {
			slices.Reverse(steps) // nobody always comes first
		}
		for _, step := range steps {
			if err := errors.Join(st.settle(ctx), step()); err != nil {
				return err
			}
		}
	}
	return nil
}

// endToEnd sends events of as many objects and waits for the last record.
func (g *stage) endToEnd(ctx context.Context, r *caseResult, setting string, latency time.Duration, repeat int) error {
	if err := errors.Join(g.stack.fetchLatency(latency), g.serve(ctx)); err != nil {
		return err
	}
	defer g.stop()
	who, profile := surehook, fmt.Sprintf("endtoend-%dms", latency.Milliseconds())
	if g.alone {
		who, profile = aloneName, profile+"-alone"
	}
	a := r.of(setting, who, repeat)
	return g.profiled(ctx, profile, func() error {
		s := g.sample(ctx)
		done, err := g.processAll(ctx, g.stack.settings.events)
		s.stop(ctx)
		if err != nil {
			return err
		}
		g.stack.log.Info("end to end", "who", who, "setting", setting, "per_second", int(done.rate()))
		a.add(rateMetric, done.rate())
		s.cpuPerEvent(a, done.processed)
		return nil
	})
}

// endToEndAlone is endToEnd without joint runs: what each run costs.
func (g *stage) endToEndAlone(ctx context.Context, r *caseResult, repeat int) error {
	g.alone = true
	defer func() { g.alone = false }()
	return g.endToEnd(ctx, r, instantFetch, 0, repeat)
}

// processAll sends n events of n objects and waits until they are processed.
func (g *stage) processAll(ctx context.Context, n int) (finished, error) {
	letters, err := g.stack.letters(n)
	if err != nil {
		return finished{}, err
	}
	since := time.Now()
	if _, err := g.send(ctx, endToEndConnections, letters); err != nil {
		return finished{}, err
	}
	if err := g.drain(ctx, drainLimit(n)); err != nil {
		return finished{}, err
	}
	done, err := g.finished(ctx, since)
	if err == nil && done.processed != n {
		err = fmt.Errorf("%d of %d events processed, %d otherwise", done.processed, n, done.others)
	}
	return done, err
}

// drainLimit is how long n events may take: a system that does 20 a second has
// a fault that no figure should hide.
func drainLimit(n int) time.Duration { return 2*time.Minute + time.Duration(n/20)*time.Second }

// singles sends one event at a time to the idle system.
func (g *stage) singles(ctx context.Context, a adder) error {
	if err := errors.Join(g.stack.fetchLatency(0), g.serve(ctx)); err != nil {
		return err
	}
	defer g.stop()
	return g.profiled(ctx, "singles", func() error {
		return singles(ctx, g.stack, a, g.public, g.db.DB, "SELECT status = 'processed' FROM events WHERE event_id = $1")
	})
}

// singleGap lies between a record and the next event.
const singleGap = 20 * time.Millisecond

// singles measures from the first byte of the request until the query, asked
// every millisecond, sees the record.
func singles(ctx context.Context, st *stack, a adder, address string, db *sql.DB, query string) error {
	letters, err := st.letters(st.settings.singles + 5)
	if err != nil {
		return err
	}
	look, err := db.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer look.Close()
	var took []time.Duration
	var c conn
	defer c.close()
	for i, l := range letters {
		began := time.Now()
		if status, err := c.post(ctx, address, l.raw); err != nil || status/100 != 2 {
			return fmt.Errorf("single event: answered %d: %w", status, err)
		}
		if err := untilTrue(ctx, look, l.id); err != nil {
			return err
		}
		if i >= 5 { // the first ones warm up
			took = append(took, time.Since(began))
		}
		time.Sleep(singleGap)
	}
	slices.Sort(took)
	a.addLatencies(took)
	st.log.Info("single events", "who", a.as.Subject, "p50", quantile(took, 0.5))
	return nil
}

func untilTrue(ctx context.Context, look *sql.Stmt, id string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		var done bool
		err := look.QueryRowContext(ctx, id).Scan(&done)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if done {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}

// textbookStage is an installation of the textbook design.
type textbookStage struct {
	stack *stack
	db    *database
	space string
}

func (st *stack) newTextbook(ctx context.Context) (*textbookStage, error) {
	space, err := st.newNamespace(ctx)
	if err != nil {
		return nil, err
	}
	db, err := st.newDatabase(ctx)
	if err != nil {
		return nil, err
	}
	return &textbookStage{stack: st, db: db, space: space}, nil
}

func (t *textbookStage) close() error { return t.db.close() }

func (t *textbookStage) start(ctx context.Context) (*process, string, error) {
	return t.stack.subcommand(ctx, textbookName, envDatabase+"="+t.db.url, envTemporal+"="+t.stack.temporal.HostPort(),
		envSpace+"="+t.space, envAPI+"="+t.stack.api)
}

func (t *textbookStage) endToEnd(ctx context.Context, r *caseResult, setting string, latency time.Duration, repeat int) error {
	if err := t.stack.fetchLatency(latency); err != nil {
		return err
	}
	p, address, err := t.start(ctx)
	if err != nil {
		return err
	}
	defer p.stop()
	if _, err := t.db.ExecContext(ctx, "TRUNCATE events, records"); err != nil {
		return err
	}
	n := t.stack.settings.events
	letters, err := t.stack.letters(n)
	if err != nil {
		return err
	}
	o := load{address: address, connections: endToEndConnections, letters: letters}.run(ctx)
	if err := o.check(n); err != nil {
		return err
	}
	var span float64
	err = retry(ctx, drainLimit(n), func() error {
		var done int
		err := t.db.QueryRowContext(ctx, `SELECT count(finished_at), COALESCE(extract(epoch FROM max(finished_at) - min(received_at)), 0)
			FROM events`).Scan(&done, &span)
		if err == nil && done < n {
			err = fmt.Errorf("%d of %d events processed", done, n)
		}
		return err
	})
	if err != nil {
		return err
	}
	t.stack.log.Info("end to end", "who", textbookName, "setting", setting, "per_second", int(float64(n)/span))
	r.of(setting, textbookName, repeat).add(rateMetric, float64(n)/span)
	return nil
}

func (t *textbookStage) singles(ctx context.Context, a adder) error {
	if err := t.stack.fetchLatency(0); err != nil {
		return err
	}
	p, address, err := t.start(ctx)
	if err != nil {
		return err
	}
	defer p.stop()
	return singles(ctx, t.stack, a, address, t.db.DB, "SELECT finished_at IS NOT NULL FROM events WHERE event_id = $1")
}

// startCallers is how many calls run at once, twice as many as in Surehook's relay.
const startCallers = 32

// startOnly measures Temporal's own limit: workflows are started that nobody runs.
func (t *textbookStage) startOnly(ctx context.Context, a adder) error {
	c, err := dialTemporal(ctx, t.stack.temporal.HostPort(), t.space)
	if err != nil {
		return err
	}
	defer c.Close()
	began := time.Now()
	if err := t.startMany(ctx, c, client.StartWorkflowOptions{TaskQueue: "nobody-polls-this"}); err != nil {
		return err
	}
	t.rate(a, startOnly, began)
	return nil
}

// emptyRuns measures the limit for whatever runs a workflow to its end: started
// as Surehook starts its own, they do nothing.
func (t *textbookStage) emptyRuns(ctx context.Context, a adder) error {
	c, err := dialTemporal(ctx, t.stack.temporal.HostPort(), t.space)
	if err != nil {
		return err
	}
	defer c.Close()
	const queue = "empty"
	var left atomic.Int64
	left.Store(int64(t.stack.settings.limitStarts))
	done := make(chan struct{})
	w := worker.New(c, queue, worker.Options{})
	w.RegisterWorkflowWithOptions(func(workflow.Context, providers.EventRef) error {
		if left.Add(-1) == 0 {
			close(done)
		}
		return nil
	}, workflow.RegisterOptions{Name: "Sync"})
	if err := w.Start(); err != nil {
		return err
	}
	defer w.Stop()
	began := time.Now()
	if err := t.startMany(ctx, c, client.StartWorkflowOptions{TaskQueue: queue, EnableEagerStart: true}); err != nil {
		return err
	}
	select {
	case <-done:
		t.rate(a, emptyRuns, began)
	case <-ctx.Done():
	}
	return ctx.Err()
}

// rate notes how many workflows a second there were since began.
func (t *textbookStage) rate(a adder, who string, began time.Time) {
	rate := float64(t.stack.settings.limitStarts) / time.Since(began).Seconds()
	t.stack.log.Info("end to end", "who", who, "per_second", int(rate))
	a.add(rateMetric, rate)
}

// startMany starts the workflows of both.
func (t *textbookStage) startMany(ctx context.Context, c client.Client, options client.StartWorkflowOptions) error {
	n := t.stack.settings.limitStarts
	var next atomic.Int64
	failures := make([]error, startCallers)
	var all sync.WaitGroup
	for caller := range startCallers {
		all.Go(func() {
			for next.Add(1) <= int64(n) && failures[caller] == nil {
				ev := providers.EventRef{Source: "stripe", ID: newID("evt_"), Type: "customer.updated", Ref: providers.Ref{Type: "customer", ID: newID("cus_")}}
				one := options
				one.ID = workflows.ID(ev.Source, ev.ID)
				_, failures[caller] = c.ExecuteWorkflow(ctx, one, "Sync", ev)
			}
		})
	}
	all.Wait()
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("start workflows: %w", err)
	}
	return nil
}
