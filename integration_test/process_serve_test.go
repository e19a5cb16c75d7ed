//go:build unix

package integration_test

import (
	"encoding/json"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"github.com/surehook/surehook/workflows"
)

func TestServeMakesASignedEventATrueRecord(t *testing.T) {
	onEach(t, func(t *testing.T, kind temporalKind) {
		s := newStage(t, kind)
		s.serve()
		letters := s.letters(4) // one of each kind
		o := burst{url: s.URL, connections: 1}.send(t.Context(), letters)
		require.Len(t, o.acked, len(letters), "%s", o)
		s.requireOnce(letters)
		for _, l := range letters {
			s.requireShown(l)
		}
		require.NotContains(t, s.surehook("events", "list", "--status", "pending"), letters[0].event.ID)
	})
}

// requireShown asserts that an operator at the command line sees the event
// processed and the record as it is at the platform, and finds the run.
func (s *stage) requireShown(l letter) {
	s.t.Helper()
	var event struct {
		Status     string `json:"status"`
		WorkflowID string `json:"workflow_id"`
		RunID      string `json:"run_id"`
	}
	require.NoError(s.t, json.Unmarshal([]byte(s.surehook("events", "show", l.source, l.event.ID, "--json")), &event))
	require.Equal(s.t, "processed", event.Status)
	run, err := s.client.DescribeWorkflow(s.t.Context(), event.WorkflowID, event.RunID)
	require.NoError(s.t, err)
	require.Equal(s.t, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, run.Status)

	var record struct {
		State json.RawMessage `json:"state"`
	}
	ref := l.event.Object
	require.NoError(s.t, json.Unmarshal([]byte(s.surehook("records", "show", l.source, ref.Type, ref.ID, "--json")), &record))
	object, _ := s.platform(l.source).Object(ref)
	require.JSONEq(s.t, string(object.State), string(record.State))
}

// TestServeTakesABurstAtOnceAndWorksItOff prints its latencies and judges them
// only in the long run, which wants a machine of its own: 50 ms at the 99th
// percentile, for 64 connections.
func TestServeTakesABurstAtOnceAndWorksItOff(t *testing.T) {
	long := os.Getenv(envLong) != ""
	onEach(t, func(t *testing.T, kind temporalKind) {
		n := 500
		switch {
		case kind == onPostgres && long:
			n = 20_000
		case kind == onPostgres:
			n = 1_000
		}
		s := newStage(t, kind)
		s.serve()
		letters := s.payments(n)
		o := burst{url: s.URL, connections: 64}.send(t.Context(), letters)
		t.Log(o)
		require.Len(t, o.acked, n, "%s", o)
		s.requireOnce(letters)
		s.requireJointRuns()
		if kind == onPostgres && long {
			require.Less(t, o.latencies[n*99/100], 50*time.Millisecond, "%s", o)
		}
	})
}

func TestServeStopsUnderLoadWithoutLosingAnything(t *testing.T) {
	onEach(t, func(t *testing.T, kind temporalKind) {
		s := newStage(t, kind)
		p := s.serve()
		var stopped time.Time
		o := burst{url: s.URL, connections: 16, acks: 300, atAck: func() {
			stopped = time.Now()
			p.signal(syscall.SIGTERM)
		}}.send(t.Context(), s.letters(900))
		require.Equal(t, 0, p.exitCode())
		t.Logf("%s; exited %v after the signal", o, time.Since(stopped).Round(time.Millisecond))
		require.GreaterOrEqual(t, len(o.acked), 300)
		require.NotContains(t, o.statuses, 500)
		require.NotContains(t, o.statuses, 503)
		s.serve()
		s.requireOnce(o.acked)
	})
}

func TestEventsCommittedButNeverStartedAreSwept(t *testing.T) {
	onEach(t, func(t *testing.T, kind temporalKind) {
		s := newStage(t, kind)
		// Nothing listens there, so no event can get further than the inbox.
		p := s.ingress("TEMPORAL_ADDRESS=" + loopbackAddress(t))
		letters := s.letters(100)
		o := burst{url: s.URL, connections: 8}.send(t.Context(), letters)
		require.Len(t, o.acked, len(letters), "%s", o)
		p.kill()
		runs, err := s.allRuns()
		require.NoError(t, err)
		for _, l := range letters {
			require.NotContains(t, runs, workflows.ID(l.source, l.event.ID))
		}

		s.worker()
		s.ingress()
		s.requireOnce(letters)
	})
}
