package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

// shelf is so many things that are old enough to be removed.
type shelf struct {
	left, bodies, rejections int64
	olderThan                []time.Duration
	afters                   []int64
	err                      error
}

// take removes a batch.
func (s *shelf) take(n *int64, olderThan time.Duration, limit int) (providers.Removal, error) {
	s.olderThan = append(s.olderThan, olderThan)
	taken := min(*n, int64(limit))
	*n -= taken
	return providers.Removal{Removed: taken, More: *n > 0}, s.err
}

func (s *shelf) RemoveLeftBodies(_ context.Context, olderThan time.Duration, after int64, limit int) (providers.Removal, error) {
	s.afters = append(s.afters, after)
	done, err := s.take(&s.left, olderThan, limit)
	done.Last = after + done.Removed
	return done, err
}

func (s *shelf) RemoveBodies(_ context.Context, olderThan time.Duration, limit int) (providers.Removal, error) {
	return s.take(&s.bodies, olderThan, limit)
}

func (s *shelf) RemoveRejections(_ context.Context, olderThan time.Duration, limit int) (providers.Removal, error) {
	return s.take(&s.rejections, olderThan, limit)
}

// retaining is an environment in which the shelf is to be cleared.
func retaining(t *testing.T, s *shelf) (env *testsuite.TestActivityEnvironment, retain func(activities.RetainInput) (activities.Retained, error)) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env = suite.NewTestActivityEnvironment()
	a := &activities.Activities{Retention: s}
	env.RegisterActivity(a)
	return env, func(in activities.RetainInput) (done activities.Retained, err error) {
		v, err := env.ExecuteActivity(a.Retain, in)
		if err == nil {
			require.NoError(t, v.Get(&done))
		}
		return done, err
	}
}

func TestRetainGoesOnUntilNothingIsLeft(t *testing.T) {
	s := &shelf{left: 210, bodies: 450, rejections: 3}
	env, retain := retaining(t, s)
	var beats []activities.Retained
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var done activities.Retained
		require.NoError(t, details.Get(&done))
		beats = append(beats, done)
	})
	done, err := retain(activities.RetainInput{OlderThanSeconds: 3600})
	require.NoError(t, err)
	require.Equal(t, activities.Retained{Bodies: 660, Rejections: 3, After: 210}, done)
	require.Equal(t, shelf{olderThan: s.olderThan, afters: []int64{0, 200, 210}}, *s)
	for _, age := range s.olderThan {
		require.Equal(t, time.Hour, age)
	}
	require.Contains(t, beats, activities.Retained{Bodies: 400, Rejections: 3, After: 200, More: true})
}

func TestRetainGoesOnFromWhatItHasDone(t *testing.T) {
	before := activities.Retained{Bodies: 7, Rejections: 5, After: 40, More: true}
	want := activities.Retained{Bodies: 8, Rejections: 5, After: 40}
	t.Run("in the run", func(t *testing.T) {
		s := &shelf{bodies: 1}
		_, retain := retaining(t, s)
		done, err := retain(activities.RetainInput{Done: before})
		require.NoError(t, err)
		require.Equal(t, want, done)
		require.Equal(t, []int64{40}, s.afters)
	})
	t.Run("in the attempt before", func(t *testing.T) {
		env, retain := retaining(t, &shelf{bodies: 1})
		env.SetHeartbeatDetails(before)
		done, err := retain(activities.RetainInput{})
		require.NoError(t, err)
		require.Equal(t, want, done)
	})
}

func TestRetainReturnsWhatItHasDoneWhenItsWorkerStops(t *testing.T) {
	s := &shelf{bodies: 450}
	env, retain := retaining(t, s)
	stopped := make(chan struct{})
	close(stopped)
	env.SetWorkerStopChannel(stopped)
	done, err := retain(activities.RetainInput{})
	require.NoError(t, err)
	require.Equal(t, activities.Retained{Bodies: 200, More: true}, done)
	require.EqualValues(t, 250, s.bodies, "another worker goes on")
}

func TestRetainWaitsForTheDatabase(t *testing.T) {
	_, retain := retaining(t, &shelf{err: providers.ErrUnavailable})
	_, err := retain(activities.RetainInput{})
	require.Equal(t, "Database", sorted(t, err).Type())
	require.False(t, sorted(t, err).NonRetryable())
}
