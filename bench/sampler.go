//go:build unix

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
)

// sample is a look at the processes and at the queue.
type sample struct {
	at      time.Duration // since the sampler was started
	usage   map[string]usage
	pending int
	age     time.Duration // of the oldest pending event
}

// sampler looks at regular intervals, until it is stopped.
type sampler struct {
	stage   *stage
	began   time.Time
	cancel  context.CancelFunc
	done    sync.WaitGroup
	samples []sample
}

// sampleEvery is rare enough that counting a long queue costs nobody much.
const sampleEvery = 2 * time.Second

func (g *stage) sample(ctx context.Context) *sampler {
	ctx, cancel := context.WithCancel(ctx)
	s := &sampler{stage: g, began: time.Now(), cancel: cancel}
	s.samples = append(s.samples, s.look(ctx))
	s.done.Go(func() {
		for sleepUntil(ctx, time.Now().Add(sampleEvery)) {
			s.samples = append(s.samples, s.look(ctx))
		}
	})
	return s
}

// stop takes a last look.
func (s *sampler) stop(ctx context.Context) {
	s.cancel()
	s.done.Wait()
	s.samples = append(s.samples, s.look(ctx))
}

func (s *sampler) look(ctx context.Context) sample {
	n := sample{at: time.Since(s.began), usage: s.stage.usage()}
	var micros int64
	// What the database cannot tell now stays 0.
	_ = s.stage.db.QueryRowContext(ctx, "SELECT count(*) FROM events WHERE status = 'pending'").Scan(&n.pending)
	_ = s.stage.db.QueryRowContext(ctx, `SELECT (extract(epoch FROM clock_timestamp() - received_at) * 1000000)::bigint
		FROM events WHERE status = 'pending' ORDER BY seq LIMIT 1`).Scan(&micros)
	n.age = time.Duration(micros) * time.Microsecond
	return n
}

// The names that processes have in the report.
const (
	surehook = "Surehook"
	temporal = "Temporal"
	postgres = "Postgres"
)

// usage is what each process has taken so far.
func (g *stage) usage() map[string]usage {
	all := map[string]usage{}
	if g.process != nil {
		all[surehook] = usageOf(g.process.pid)
	}
	if pid := g.stack.temporalPID.Load(); pid != 0 {
		all[temporal] = usageOf(int(pid))
	}
	if pids, err := g.stack.postgres.PIDs(); err == nil {
		all[postgres] = usageOf(pids...)
	}
	return all
}

// peak is the most memory that a process had, in MiB.
func (s *sampler) peak(name string) float64 {
	most := 0.0
	for _, n := range s.samples {
		most = max(most, n.usage[name].memory)
	}
	return most
}

// oldest is the highest age of the queue.
func (s *sampler) oldest() time.Duration {
	var most time.Duration
	for _, n := range s.samples {
		most = max(most, n.age)
	}
	return most
}

// cpu is what a process has used between the first and the last look.
func (s *sampler) cpu(name string) time.Duration {
	return max(0, s.samples[len(s.samples)-1].usage[name].cpu-s.samples[0].usage[name].cpu)
}

// timeline shows some of the samples.
func (s *sampler) timeline(title string) listing {
	const lines = 15
	l := listing{Title: title, Header: []string{"after", "pending", "oldest"}}
	names := []string{surehook, temporal, postgres}
	for _, name := range names {
		l.Header = append(l.Header, name+" MiB")
	}
	step := max(1, (len(s.samples)-1)/lines)
	for i := 0; i < len(s.samples); i += step {
		n := s.samples[i]
		row := []string{fmt.Sprintf("%.0f s", n.at.Seconds()), strconv.Itoa(n.pending), fmt.Sprintf("%.1f s", n.age.Seconds())}
		for _, name := range names {
			row = append(row, fmt.Sprintf("%.0f", n.usage[name].memory))
		}
		l.Rows = append(l.Rows, row)
	}
	return l
}

// cpuPerEvent adds what each process used for an event, in milliseconds of one core.
func (s *sampler) cpuPerEvent(a adder, events int) {
	for _, name := range slices.Sorted(maps.Keys(s.samples[0].usage)) {
		a.add(name+" CPU ms/event", milliseconds(s.cpu(name))/float64(max(1, events)))
	}
}
