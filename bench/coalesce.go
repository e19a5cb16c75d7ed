//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/surehook/surehook/providers"
)

// The setting and the metrics of case F.
const (
	coalescing   = "ten events for each object"
	startedCount = `surehook_relay_calls_total{outcome="started"}`
)

// coalesce is case F: a burst in which each object changes ten times, as it does
// when subscriptions renew or a catalogue is updated. Each change is made at the
// platform just before its event is sent.
func (st *stack) coalesce(ctx context.Context, r *caseResult) error {
	for repeat := range st.settings.repeats {
		if err := st.coalesceOnce(ctx, r.of(coalescing, surehook, repeat)); err != nil {
			return err
		}
	}
	return nil
}

func (st *stack) coalesceOnce(ctx context.Context, a adder) (err error) {
	g, err := st.newStage(ctx, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	if err := errors.Join(g.serve(ctx), st.settle(ctx)); err != nil {
		return err
	}
	n := st.settings.coalesceEvents
	objects, err := st.objects(n / 10)
	if err != nil {
		return err
	}
	letters, err := st.writer.letters("stripe", shuffled(objects, n))
	if err != nil {
		return err
	}
	st.sandbox.Platform("stripe").ResetCalls()
	return g.profiled(ctx, "coalesce", func() error {
		since := time.Now()
		o := load{address: g.public, connections: endToEndConnections, letters: letters, before: func(i int) error {
			return st.change(letters[i].object, i)
		}}.run(ctx)
		if err := errors.Join(o.check(n), g.drain(ctx, drainLimit(n))); err != nil {
			return err
		}
		return g.accountFor(ctx, a, o, objects, since)
	})
}

// shuffled is n names in which each object appears as often as the others.
func shuffled(objects []string, n int) []string {
	var all []string
	for len(all) < n {
		all = append(all, objects...)
	}
	all = all[:n]
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func (st *stack) change(object string, i int) error {
	_, err := st.sandbox.Platform("stripe").Update(providers.Ref{Type: "customer", ID: object}, func(o map[string]any) {
		o["description"] = fmt.Sprintf("change %d", i)
	})
	return err
}

// accountFor says what became of each event and of each object.
func (g *stage) accountFor(ctx context.Context, a adder, o outcome, objects []string, since time.Time) error {
	done, err := g.finished(ctx, since)
	if err != nil {
		return err
	}
	lost, unfinished, err := g.missing(ctx, o.acked)
	if err != nil {
		return err
	}
	distinct := slices.Clone(objects)
	slices.Sort(distinct)
	wrong, err := g.wrongRecords(ctx, "stripe", slices.Compact(distinct))
	if err != nil {
		return err
	}
	started, err := g.metric(ctx, startedCount)
	if err != nil {
		return err
	}
	a.add(rateMetric, done.rate())
	a.add("acked/s", o.rate())
	a.add("workflows started", started)
	a.add("API calls", float64(g.stack.sandbox.Platform("stripe").TotalCalls()))
	a.add("lost", float64(lost))
	a.add("not processed", float64(unfinished))
	a.add("wrong records", float64(wrong))
	g.stack.log.Info("coalescing burst", "per_second", int(done.rate()), "workflows", started, "wrong_records", wrong)
	return nil
}
