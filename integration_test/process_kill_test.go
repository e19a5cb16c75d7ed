//go:build unix

package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAKillLosesNothingThatWasAcknowledged kills one part after the other, each
// in the middle of a burst and at once after so many acknowledgements. The
// sender never repeats a letter, so what ends processed is there because it was
// durable when it was answered.
func TestAKillLosesNothingThatWasAcknowledged(t *testing.T) {
	onEach(t, func(t *testing.T, kind temporalKind) {
		const connections = 64
		acks := 300
		if kind == onPostgres {
			acks = 2_000
		}
		s := newStage(t, kind)
		ingress, worker := s.ingress(), s.worker()
		for _, victim := range []struct {
			name         string
			kill, revive func()
		}{
			{"the ingress", func() { ingress.kill() }, func() { ingress = s.ingress() }},
			{"the worker", func() { worker.kill() }, func() { worker = s.worker() }},
			{"Postgres", func() { s.postgres.Kill(t) }, func() { s.postgres.Restart(t) }},
			{"Temporal", func() { s.killTemporal() }, func() { s.reviveTemporal() }},
		} {
			if victim.name == "Temporal" && kind == embedded {
				continue // it is no process of its own
			}
			t.Run(victim.name, func(t *testing.T) {
				s := s.in(t)
				// More than are waited for, so that all connections are in use.
				letters := s.letters(acks + 4*connections)
				o := burst{url: s.URL, connections: connections, acks: acks, atAck: victim.kill}.send(t.Context(), letters)
				t.Log(o)
				require.GreaterOrEqual(t, len(o.acked), acks)
				victim.revive()
				s.requireOnce(o.acked)
			})
		}
		s.requireJointRuns()
	})
}

// in is the stage as a subtest sees it.
func (s *stage) in(t *testing.T) *stage {
	inner := *s
	inner.t = t
	return &inner
}

func (s *stage) killTemporal() { require.NoError(s.t, s.temporal.Kill()) }

func (s *stage) reviveTemporal() { require.NoError(s.t, s.temporal.Start(s.t.Context())) }
