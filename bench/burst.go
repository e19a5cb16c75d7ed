//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// The settings and metrics of case D.
const (
	reference   = "reference: a run as in B"
	allAtOnce   = "burst"
	temporalOut = "Temporal down under load"
	neighbour   = "10 events of another source during the drain"

	drainRate = "drained/s"
	peakOurs  = "Surehook peak MiB"
)

// burst is case D: more than can be worked off comes at once, or nothing can be
// worked off for a while.
func (st *stack) burst(ctx context.Context, r *caseResult) error {
	for repeat := range st.settings.repeats {
		if err := st.burstOnce(ctx, r, repeat); err != nil {
			return fmt.Errorf("burst: %w", err)
		}
		if err := st.outageOnce(ctx, r, repeat); err != nil {
			return fmt.Errorf("outage: %w", err)
		}
	}
	return nil
}

func (st *stack) burstOnce(ctx context.Context, r *caseResult, repeat int) (err error) {
	g, err := st.newStage(ctx, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	if err := g.serve(ctx); err != nil {
		return err
	}
	first, err := g.processAll(ctx, st.settings.events)
	if err != nil {
		return err
	}
	r.of(reference, surehook, repeat).add(rateMetric, first.rate())
	objects, err := st.objects(st.settings.events + st.settings.burst)
	if err != nil {
		return err
	}
	objects = objects[st.settings.events:]
	letters, err := st.writer.letters("stripe", objects)
	if err != nil {
		return err
	}
	if err := st.settle(ctx); err != nil {
		return err
	}
	return g.profiled(ctx, "burst", func() error {
		s := g.sample(ctx)
		o, err := g.send(ctx, endToEndConnections, letters)
		if err != nil {
			return err
		}
		st.log.Info("burst acknowledged", "events", len(o.acked), "took", o.took)
		fair := g.neighbours(ctx, float64(len(letters))/first.rate())
		err = g.drain(ctx, drainLimit(len(letters)))
		s.stop(ctx)
		if err := errors.Join(err, fair.wait()); err != nil {
			return err
		}
		if repeat == 0 {
			r.Listings = append(r.Listings, s.timeline("The burst over time"))
		}
		a := r.of(allAtOnce, surehook, repeat)
		if err := g.burstFigures(ctx, a, o, s); err != nil {
			return err
		}
		if err := fair.report(ctx, g, r, repeat); err != nil {
			return err
		}
		wrong, err := g.wrongRecords(ctx, "stripe", objects)
		a.add("wrong records", float64(wrong))
		return err
	})
}

// burstFigures says how the burst was taken and worked off.
func (g *stage) burstFigures(ctx context.Context, a adder, o outcome, s *sampler) error {
	acked := o.began.Add(o.took)
	var drained, seconds float64
	err := g.db.QueryRowContext(ctx, `SELECT count(*), COALESCE(extract(epoch FROM max(finished_at) - $1), 0) FROM events
		WHERE finished_at > $1`, acked).Scan(&drained, &seconds)
	if err != nil {
		return err
	}
	a.add("acked/s", o.rate())
	a.add("ack p99 ms", milliseconds(quantile(o.latencies, 0.99)))
	a.add("drain s", seconds)
	if seconds > 0 {
		a.add(drainRate, drained/seconds)
	}
	s.cpuPerEvent(a, len(o.acked))
	g.stack.log.Info("burst drained", "seconds", int(seconds), "per_second", int(drained/max(1, seconds)))
	return g.common(ctx, a, o, s)
}

// common are the figures that burst and outage share.
func (g *stage) common(ctx context.Context, a adder, o outcome, s *sampler) error {
	lost, unfinished, err := g.missing(ctx, o.acked)
	if err != nil {
		return err
	}
	a.add("lost", float64(lost))
	a.add("not processed", float64(unfinished))
	a.add("oldest s", s.oldest().Seconds())
	for _, name := range []string{surehook, temporal, postgres} {
		a.add(name+" peak MiB", s.peak(name))
	}
	return g.relayTroubles(ctx, a)
}

// relayTroubles adds what the relay could not do at once.
func (g *stage) relayTroubles(ctx context.Context, a adder) error {
	for _, count := range []struct{ metric, name string }{
		{"calls of Temporal that failed", `surehook_relay_calls_total{outcome="failed"}`},
		{"left to the sweep", "surehook_relay_left_to_sweep_total"},
		{"swept", "surehook_relay_swept_total"},
	} {
		v, err := g.metric(ctx, count.name)
		if err != nil {
			return err
		}
		a.add(count.metric, v)
	}
	return nil
}

// fairness sends ten events of another source several times during a drain.
type fairness struct {
	sending sync.WaitGroup
	sent    map[string]time.Time
	skipped int // rounds that found no backlog
	err     error
}

// neighbours spreads the rounds over the time that the drain will take.
func (g *stage) neighbours(ctx context.Context, seconds float64) *fairness {
	f := &fairness{sent: map[string]time.Time{}}
	began := time.Now()
	rounds := g.stack.settings.fairRounds
	f.sending.Go(func() {
		for round := range rounds {
			at := seconds * 0.8 * float64(round) / float64(rounds)
			if !sleepUntil(ctx, began.Add(time.Duration(at*float64(time.Second)))) {
				return
			}
			if f.err = f.round(ctx, g); f.err != nil {
				return
			}
		}
	})
	return f
}

func (f *fairness) round(ctx context.Context, g *stage) error {
	const events = 10
	var pending int
	if err := g.db.QueryRowContext(ctx, "SELECT count(*) FROM events WHERE status = 'pending'").Scan(&pending); err != nil {
		return err
	}
	if pending == 0 {
		f.skipped++
		return nil
	}
	objects, err := g.stack.objects(events)
	if err != nil {
		return err
	}
	letters, err := g.stack.writer.letters("other", objects)
	if err != nil {
		return err
	}
	began := time.Now()
	for _, l := range letters {
		f.sent[l.id] = began
	}
	_, err = g.send(ctx, events, letters)
	return err
}

func (f *fairness) wait() error {
	f.sending.Wait()
	return f.err
}

// report compares when the events were sent with when their records were saved.
func (f *fairness) report(ctx context.Context, g *stage, r *caseResult, repeat int) error {
	if f.skipped > 0 {
		r.note("%d rounds of the other source found no backlog any more and do not count: raise -burst.", f.skipped)
	}
	if err := g.drain(ctx, time.Minute); err != nil { // those of the last round
		return err
	}
	rows, err := g.db.QueryContext(ctx, "SELECT event_id, finished_at FROM events WHERE source = 'other' AND status = 'processed'")
	if err != nil {
		return err
	}
	defer rows.Close()
	var took []time.Duration
	for rows.Next() {
		var id string
		var at time.Time
		if err := rows.Scan(&id, &at); err != nil {
			return err
		}
		took = append(took, at.Sub(f.sent[id]))
	}
	if len(took) != len(f.sent) {
		return fmt.Errorf("%d of the other source's %d events processed", len(took), len(f.sent))
	}
	if len(took) > 0 {
		slices.Sort(took)
		r.of(neighbour, surehook, repeat).addLatencies(took)
		g.stack.log.Info("other source", "p50", quantile(took, 0.5), "p99", quantile(took, 0.99))
	}
	return rows.Err()
}

// outageOnce kills Temporal while events keep coming, and starts it again.
func (st *stack) outageOnce(ctx context.Context, r *caseResult, repeat int) (err error) {
	g, err := st.newStage(ctx, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	if err := errors.Join(g.serve(ctx), st.settle(ctx)); err != nil {
		return err
	}
	down := st.settings.outage
	n := int((2 * down).Seconds()) * st.settings.outageRate
	letters, err := st.letters(n)
	if err != nil {
		return err
	}
	s := g.sample(ctx)
	var back time.Time
	var outage sync.WaitGroup
	var outageErr error
	outage.Go(func() { back, outageErr = st.outage(ctx, down) })
	o := load{
		address: g.public, connections: endToEndConnections, letters: letters,
		every: time.Second / time.Duration(st.settings.outageRate),
	}.run(ctx)
	outage.Wait()
	if outageErr == nil {
		err = g.drain(ctx, drainLimit(n))
	}
	s.stop(ctx)
	if err := errors.Join(outageErr, err); err != nil {
		return err
	}
	if repeat == 0 {
		r.Listings = append(r.Listings, s.timeline("The outage over time"))
	}
	done, err := g.finished(ctx, o.began)
	if err != nil {
		return err
	}
	a := r.of(temporalOut, surehook, repeat)
	a.add("refused", float64(n-len(o.acked)))
	a.add("ack p99 ms", milliseconds(quantile(o.latencies, 0.99)))
	a.add("drain s", done.last.Sub(back).Seconds())
	st.log.Info("outage over", "answers", o.statuses, "drained_after", done.last.Sub(back))
	return g.common(ctx, a, o, s)
}

// outage kills Temporal half as long after now as it is then down, and returns
// when it was back.
func (st *stack) outage(ctx context.Context, down time.Duration) (time.Time, error) {
	if !sleepUntil(ctx, time.Now().Add(down/2)) {
		return time.Time{}, ctx.Err()
	}
	if err := st.killTemporal(); err != nil {
		return time.Time{}, err
	}
	if !sleepUntil(ctx, time.Now().Add(down)) {
		return time.Time{}, ctx.Err()
	}
	err := st.restartTemporal(ctx)
	return time.Now(), err
}
