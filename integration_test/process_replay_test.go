//go:build unix

package integration_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/workflows"
)

// What an operator does after an API key had lost its permission, with the commands.
func TestParkedEventsAreResolvedAndProcessedOnesReplayedByTheCommands(t *testing.T) {
	s := newStage(t, embedded)
	s.serve()
	stripe := s.platform("stripe")
	require.NoError(t, stripe.SetFaults(sandbox.Faults{API: []sandbox.APIFault{forbidden}}))
	letters := s.payments(5)
	require.Len(t, burst{url: s.URL, connections: 2}.send(t.Context(), letters).acked, len(letters))
	s.untilStatus(letters, providers.StatusReview)

	require.Contains(t, s.surehook("resolve", "--all", "--source", "stripe", "retry"), "5 events would be resolved")
	require.NoError(t, stripe.SetFaults(sandbox.Faults{}))
	require.Contains(t, s.surehook("resolve", "--all", "--source", "stripe", "retry", "--reason", "the key is mended", "--yes"), "5 events resolved")
	s.requireOnce(letters)
	require.Contains(t, s.surehook("resolve", "--all", "--source", "stripe", "retry"), "No event would be resolved")

	for range 2 { // the second time changes nothing
		require.Contains(t, s.surehook("replay", "--source", "stripe", "--batch", "again", "--reason", "a story", "--rate", "1000/s", "--yes"), "5 events reopened")
		s.requireOnce(letters)
	}
	runs, err := s.allRuns()
	require.NoError(t, err)
	require.Len(t, runs, 2*len(letters))
	for _, l := range letters {
		ev := providers.EventRef{Source: l.source, ID: l.event.ID, Replay: "again"}
		require.Equal(t, []enums.WorkflowExecutionStatus{enums.WORKFLOW_EXECUTION_STATUS_COMPLETED}, runs[workflows.IDOf(ev)])
		require.Equal(t, 3, stripe.Fetches(l.event.Object), "refused, retried, replayed")
	}
}

// untilStatus waits until the events have the status.
func (s *stage) untilStatus(letters []letter, want providers.Status) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		for _, l := range letters {
			e, err := s.store.EventRow(s.t.Context(), l.source, l.event.ID)
			if err != nil || e.Status != want {
				return false
			}
		}
		return true
	}, patience, 20*time.Millisecond)
}
