package ingress_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// about is an event about an object of its own.
func about(i int) providers.EventRef {
	ev := ref(i)
	ev.Ref = providers.Ref{Type: "invoice", ID: "in_" + ev.ID}
	return ev
}

// offerMany offers so many of them, more than have runs of their own.
func offerMany(r *ingress.Relay, n int) {
	var events []providers.Accepted
	for i := range n {
		events = append(events, providers.Accepted{EventRef: about(i), Status: providers.StatusPending})
	}
	r.Offer(events)
}

// runsBySize counts the runs of one event, and the events of the joint ones.
func (f *temporal) runsBySize() (own, joint, inJoint int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, events := range f.runs {
		if len(events) == 1 {
			own++
		} else {
			joint++
			inJoint += len(events)
		}
	}
	return own, joint, inJoint
}

// jointRelay may start joint runs, each in a millisecond.
func jointRelay(t *testing.T) relaying {
	t.Helper()
	r := relayWith(t, func(r *ingress.Relay) { r.ObjectsPerRun = map[string]int{"s": 16} })
	r.temporal.failing(func(ctx context.Context, _ string) error { return wait(ctx, time.Millisecond) })
	return r
}

func TestAJointRunHasNoMoreObjectsThanItsSourcesRateHasTurnsFor(t *testing.T) {
	for perSecond, want := range map[float64]int{0: 16, 0.5: 1, 8: 1, 20: 3, 100: 13, 128: 16, 1000: 16} {
		require.Equal(t, want, ingress.ObjectsPerRun(16, perSecond), "%v/s", perSecond)
	}
	require.Equal(t, 1, ingress.ObjectsPerRun(1, 0))
}

func TestMuchThatWaitsOfASourceSharesRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := jointRelay(t)
		offerMany(r.Relay, 1000)
		pass(5 * time.Second)
		own, joint, inJoint := r.temporal.runsBySize()
		require.Equal(t, 1000, own+inJoint)
		require.Less(t, joint, 65)
		require.Less(t, own, 150, "those that came first, and the last hundred")
		require.Len(t, r.rows.started, own, "events of joint runs that were seen to end are finished, or marked by these")
		for i, o := range r.temporal.options {
			if strings.HasPrefix(o.ID, "s/joint/") {
				require.Equal(t, "SyncMany", r.temporal.workflows[i])
				require.True(t, o.EnableEagerStart)
				require.Equal(t, "s · 16 events", o.StaticSummary)
				require.Equal(t, 16, strings.Count(o.StaticDetails, "\n"))
				require.Equal(t, workflows.JointQueue, o.TaskQueue)
				require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, o.WorkflowIDReusePolicy)
				require.Equal(t, enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL, o.WorkflowIDConflictPolicy)
				require.True(t, o.WorkflowExecutionErrorWhenAlreadyStarted)
			}
		}
	})
}

// A Temporal that starts runs faster than they end would have the rest of a burst run
// at once, and every other event behind it.
func TestFewJointRunsAreUnderWayAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := jointRelay(t)
		r.temporal.ended = func(ctx context.Context) error { return wait(ctx, 200*time.Millisecond) }
		offerMany(r.Relay, 2000)
		time.Sleep(time.Second + 100*time.Millisecond)
		_, joint, _ := r.temporal.runsBySize()
		require.Equal(t, 6*4, joint, "four at a time")
		// A source of which little waits does not wait with it.
		quiet := about(1)
		quiet.Source = "quiet"
		r.Offer([]providers.Accepted{{EventRef: quiet}})
		pass(2 * time.Millisecond)
		require.True(t, r.temporal.started("quiet/1"))
	})
}

func TestAJointRunThatTakesLongIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := jointRelay(t)
		r.temporal.ended = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() } // no worker is there
		offerMany(r.Relay, 1000)
		pass(time.Minute)
		own, _, inJoint := r.temporal.runsBySize()
		require.Equal(t, 1000, own+inJoint)
		require.NotContains(t, r.logs.String(), "not seen")
		require.Len(t, r.rows.started, 1000)
		for _, s := range r.rows.started {
			require.Equal(t, "run-"+s.WorkflowID, s.RunID)
			require.Contains(t, r.temporal.runs, s.WorkflowID)
		}
	})
}

func TestAJointRunThatTemporalRefusesIsTakenApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := jointRelay(t)
		r.temporal.failing(func(_ context.Context, id string) error {
			if strings.HasPrefix(id, "s/joint/") || id == "s/500" {
				return serviceerror.NewInvalidArgument("bad input")
			}
			return nil
		})
		r.Offer(accepted(1)) // Temporal takes others
		pass(time.Second)
		offerMany(r.Relay, 1000)
		pass(time.Minute)
		own, joint, _ := r.temporal.runsBySize()
		require.Equal(t, 999, own)
		require.Zero(t, joint)
		require.Len(t, r.rows.settled, 1)
		require.Equal(t, "500", r.rows.settled[0].ID)
	})
}

func TestAJointRunThatAnotherProcessHasStartedCountsAsStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := jointRelay(t)
		r.temporal.failing(func(_ context.Context, id string) error {
			if strings.HasPrefix(id, "s/joint/") {
				return serviceerror.NewWorkflowExecutionAlreadyStarted("running", "", "")
			}
			return nil
		})
		offerMany(r.Relay, 1000)
		pass(5 * time.Second)
		require.Len(t, r.rows.started, 1000)
	})
}

func TestAnEventOfAJointRunIsLookedAfter(t *testing.T) {
	joint := workflows.JointID([]providers.EventRef{about(0), about(1)})
	for name, c := range map[string]struct {
		joint, own enumspb.WorkflowExecutionStatus // zero: there is none
		starts     bool
		settled    providers.Status
	}{
		"while the joint run runs":                   {joint: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING},
		"while somebody has paused it":               {joint: enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED},
		"when its own run is at it":                  {joint: enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, own: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING},
		"when its own run was terminated":            {joint: enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, own: enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, settled: providers.StatusFailed},
		"when the joint run was terminated":          {joint: enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, starts: true},
		"when the joint run ended without it":        {joint: enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, starts: true},
		"when Temporal has lost the joint run":       {starts: true},
		"when that is lost and its own run is at it": {own: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := relay(t)
				r.temporal.mu.Lock()
				for id, status := range map[string]enumspb.WorkflowExecutionStatus{joint: c.joint, "s/0": c.own} {
					if status != 0 {
						r.temporal.statuses[id] = status
					}
				}
				r.temporal.mu.Unlock()
				r.rows.hand([]providers.Due{{EventRef: about(0), WorkflowID: joint, Started: true}})
				pass(3 * time.Second)
				require.Equal(t, c.starts, r.temporal.started("s/0"))
				var settled providers.Status
				for _, s := range r.rows.settled {
					settled = s.Status
				}
				require.Equal(t, c.settled, settled)
			})
		})
	}
	t.Run("when its own run ended before somebody had it tried again", func(t *testing.T) {
		for own, starts := range map[time.Duration]bool{-time.Minute: true, time.Minute: false} {
			synctest.Test(t, func(t *testing.T) {
				r := relay(t)
				r.temporal.mu.Lock()
				r.temporal.statuses[joint] = enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED
				r.temporal.statuses["s/0"] = enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED
				now := time.Now()
				r.temporal.since = map[string]time.Time{joint: now, "s/0": now.Add(own)}
				r.temporal.mu.Unlock()
				r.rows.hand([]providers.Due{{EventRef: about(0), WorkflowID: joint, Started: true}})
				pass(3 * time.Second)
				require.Equal(t, starts, r.temporal.started("s/0"))
				require.Equal(t, starts, len(r.rows.settled) == 0)
			})
		}
	})
	t.Run("not while Temporal does not answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := relay(t)
			r.temporal.failing(away)
			r.rows.hand([]providers.Due{{EventRef: about(0), WorkflowID: joint, Started: true}})
			pass(3 * time.Second)
			require.False(t, r.temporal.started("s/0"))
			require.Empty(t, r.rows.settled)
		})
	})
}

func TestAJointRunThatFailsIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := jointRelay(t)
		r.temporal.ended = func(context.Context) error { return errors.New("terminated") }
		offerMany(r.Relay, 1000)
		pass(time.Second)
		require.Contains(t, r.logs.String(), "end of a joint run not seen")
	})
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
