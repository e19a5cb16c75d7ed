//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
)

// warmUp opens connections, pools and caches before the clock starts.
const warmUp = 300

// ack is case A: how fast events are acknowledged, and what that is worth
// beside the same promise written by hand.
func (st *stack) ack(ctx context.Context, r *caseResult) error {
	if err := st.stopTemporal(); err != nil {
		return err
	}
	if err := st.ackAlone(ctx, r); err != nil {
		return err
	}
	return st.ackWhileDraining(ctx, r)
}

// target is somebody who acknowledges events.
type target struct {
	name    string
	address string
}

// ackAlone measures ingress with nothing to hand on to: Temporal is away, as it
// is in an outage, so that the machine does for all of them the same work.
func (st *stack) ackAlone(ctx context.Context, r *caseResult) (err error) {
	g, err := st.newStage(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	if err := g.ingress(ctx); err != nil {
		return err
	}
	targets := []target{{surehook, g.public}}
	for _, kind := range []string{bare, insertOne, group, indexed} {
		db, err := st.newDatabase(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.close()) }()
		p, address, err := st.subcommand(ctx, kind, envDatabase+"="+db.url)
		if err != nil {
			return err
		}
		defer p.stop()
		targets = append(targets, target{kind, address})
	}
	for repeat := range st.settings.repeats {
		for _, connections := range st.settings.connections {
			setting := plural(connections, "connection")
			for i := range targets {
				// Whoever comes first in one repeat comes later in the next.
				t := targets[(i+repeat)%len(targets)]
				if err := g.ackOnce(ctx, r.of(setting, t.name, repeat), t.address, connections); err != nil {
					return fmt.Errorf("%s, %s: %w", t.name, setting, err)
				}
			}
		}
	}
	return nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// ackOnce sends letters to one target.
func (g *stage) ackOnce(ctx context.Context, a adder, address string, connections int) error {
	st := g.stack
	if err := st.settle(ctx); err != nil {
		return err
	}
	n := st.settings.ackLetters
	if connections == 1 {
		n /= 10
	}
	letters, err := st.letters(n + warmUp)
	if err != nil {
		return err
	}
	warm := load{address: address, connections: connections, letters: letters[n:]}.run(ctx)
	if err := warm.check(warmUp); err != nil {
		return err
	}
	var o outcome
	send := func() error {
		o = load{address: address, connections: connections, letters: letters[:n]}.run(ctx)
		return o.check(n)
	}
	if a.as.Subject == surehook {
		err = g.profiled(ctx, "ack, "+a.as.Setting, send)
	} else {
		err = send()
	}
	if err != nil {
		return err
	}
	st.log.Info("acknowledged", "who", a.as.Subject, "connections", connections, "per_second", int(o.rate()))
	a.add("acked/s", o.rate())
	a.addLatencies(o.latencies)
	return nil
}

// whileDraining is the setting in which Surehook's own worker uses the machine.
// The yardstick is measured beside the same load.
const (
	whileDraining         = "64 connections, while Surehook works off a backlog"
	whileDrainConnections = 64
)

func (st *stack) ackWhileDraining(ctx context.Context, r *caseResult) (err error) {
	g, err := st.newStage(ctx, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	if err := g.serve(ctx); err != nil {
		return err
	}
	db, err := st.newDatabase(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	p, address, err := st.subcommand(ctx, group, envDatabase+"="+db.url)
	if err != nil {
		return err
	}
	defer p.stop()
	backlog, err := st.letters(st.settings.ackBacklog)
	if err != nil {
		return err
	}
	if _, err := g.send(ctx, whileDrainConnections, backlog); err != nil {
		return err
	}
	targets := []target{{surehook, g.public}, {group, address}}
	for repeat := range st.settings.repeats {
		for i := range targets {
			t := targets[(i+repeat)%len(targets)]
			if err := g.ackOnce(ctx, r.of(whileDraining, t.name, repeat), t.address, whileDrainConnections); err != nil {
				return fmt.Errorf("%s, draining: %w", t.name, err)
			}
			if err := g.stillBusy(ctx, r, t.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// stillBusy notes when the backlog was gone before the measurement was over.
func (g *stage) stillBusy(ctx context.Context, r *caseResult, who string) error {
	var pending int
	if err := g.db.QueryRowContext(ctx, "SELECT count(*) FROM events WHERE status = 'pending'").Scan(&pending); err != nil {
		return err
	}
	if pending == 0 {
		r.note("The backlog was worked off before %s had been measured: raise -ack-backlog.", who)
	}
	return nil
}
