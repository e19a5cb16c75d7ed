package integration_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/all"
	"github.com/surehook/surehook/providers/github"
	"github.com/surehook/surehook/providers/mailchimp"
	"github.com/surehook/surehook/providers/shopify"
	"github.com/surehook/surehook/providers/slack"
	"github.com/surehook/surehook/workflows"
)

// scheduleIDs are those that Temporal lists.
func (s *system) scheduleIDs() []string {
	s.t.Helper()
	list, err := s.client.ScheduleClient().List(s.t.Context(), client.ScheduleListOptions{})
	require.NoError(s.t, err)
	var ids []string
	for list.HasNext() {
		entry, err := list.Next()
		require.NoError(s.t, err)
		ids = append(ids, entry.ID)
	}
	slices.Sort(ids)
	return ids
}

// restart is the next process, with other schedules.
func (s *system) restart(schedules []workflows.Scheduled) {
	s.t.Helper()
	s.halt()
	s.serve(options{schedules: schedules})
}

// minutes are those of the hour at which the schedule starts a run.
func minutes(d *client.ScheduleDescription) []client.ScheduleRange {
	return d.Schedule.Spec.Calendars[0].Minute
}

func TestASchedule(t *testing.T) {
	t.Parallel()
	s := start(t, options{schedules: reconciled("*/15 3 * * *", "events", "invoice")})
	_, made := s.schedule("events")
	s.schedule("invoice")
	s.untilSchedulesWritten()

	t.Run("is what its source declares", func(t *testing.T) {
		require.Equal(t, []client.ScheduleRange{{Start: 0, End: 59, Step: 15}}, minutes(made))
		require.Equal(t, enums.SCHEDULE_OVERLAP_POLICY_SKIP, made.Schedule.Policy.Overlap)
		require.Equal(t, 23*time.Hour+15*time.Minute, made.Schedule.Policy.CatchupWindow, "one interval, the longest")
		require.Equal(t, time.Minute, made.Schedule.Spec.Jitter)
		require.False(t, made.Schedule.State.Paused)
	})
	t.Run("is left as it is by a restart that changes nothing", func(t *testing.T) {
		s := s.in(t)
		s.restart(reconciled("*/15 3 * * *", "events", "invoice"))
		s.untilSchedulesWritten()
		_, d := s.schedule("events")
		require.Equal(t, made.Info.LastUpdateAt, d.Info.LastUpdateAt)
	})
	t.Run("is changed with its declaration, and not doubled", func(t *testing.T) {
		s := s.in(t)
		s.restart(reconciled("*/20 3 * * *", "events", "invoice"))
		s.eventually(func() bool {
			_, d := s.schedule("events")
			return minutes(d)[0].Step == 20
		}, "the schedule does not change")
		_, d := s.schedule("events")
		require.Len(t, d.Schedule.Spec.Calendars, 1, "the old times are gone")
		require.Equal(t, 23*time.Hour+20*time.Minute, d.Schedule.Policy.CatchupWindow)
		s.eventually(func() bool { return len(s.scheduleIDs()) == 2 }, "there are not two schedules")
	})
	t.Run("stays paused, with the operator's note, whatever the restart changes", func(t *testing.T) {
		s := s.in(t)
		handle, _ := s.schedule("events")
		require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{Note: "until the key is renewed"}))
		s.restart(reconciled("*/30 3 * * *", "events", "invoice"))
		s.eventually(func() bool {
			_, d := s.schedule("events")
			return minutes(d)[0].Step == 30
		}, "the schedule does not change")
		_, d := s.schedule("events")
		require.True(t, d.Schedule.State.Paused)
		require.Equal(t, "until the key is renewed", d.Schedule.State.Note)
	})
	t.Run("is removed with its declaration, and nobody else's is", func(t *testing.T) {
		s := s.in(t)
		_, err := s.client.ScheduleClient().Create(t.Context(), client.ScheduleOptions{
			ID:     "reconcile/stripe/by-hand",
			Spec:   client.ScheduleSpec{CronExpressions: []string{seldom}},
			Action: &client.ScheduleWorkflowAction{Workflow: "SomebodyElses", TaskQueue: "elsewhere"},
		})
		require.NoError(t, err)
		s.eventually(func() bool { return len(s.scheduleIDs()) == 3 }, "the schedule is not listed")
		s.restart(reconciled("*/30 3 * * *", "invoice"))
		s.eventually(func() bool {
			return slices.Equal(s.scheduleIDs(), []string{"reconcile/stripe/by-hand", "reconcile/stripe/invoice"})
		}, "what is no longer declared stays")
	})
}

// untilSchedulesWritten waits for the worker that was started last.
func (s *system) untilSchedulesWritten() {
	s.t.Helper()
	s.eventually(func() bool { return s.log.count("schedules written") == s.served }, "the schedules are not written")
}

func TestAScheduleStartsItsRuns(t *testing.T) {
	t.Parallel()
	s := start(t, options{schedules: reconciled("@every 1s", "events")})
	s.untilReconciledAtLeast("events", 2)
	row := s.reconciliations("events")[0]
	require.Regexp(t, "^reconcile/stripe/events-20", row.WorkflowID)
	found, err := s.client.DescribeWorkflow(t.Context(), row.WorkflowID, "")
	require.NoError(t, err)
	require.Equal(t, found.WorkflowExecution.RunID, row.RunID, "a repeated start finds its row by it")
	source, _ := found.TypedSearchAttributes.GetKeyword(workflows.SourceKey)
	require.Equal(t, "stripe", source)
	summary, err := found.GetStaticSummary()
	require.NoError(t, err)
	require.Equal(t, "reconcile stripe events", summary)
}

// Only here may both be imported: the table must name what the platforms have.
func TestTheTableOfSchedulesIsThatOfTheProvidersLists(t *testing.T) {
	has := map[workflows.Schedule]bool{{Provider: "*", List: providers.Unseen}: true}
	for _, name := range all.Names() {
		p, err := all.New(name, providers.APIConfig{BaseURL: "http://localhost", Key: twilioKey}, withLists(name))
		if err != nil {
			require.True(t, all.NeedsSettings(name), "%s: %v", name, err)
			continue // such a platform has no lists by itself
		}
		lister, ok := p.(providers.Lister)
		if !ok {
			continue
		}
		for _, l := range lister.Lists() {
			require.NotEqual(t, providers.Unseen, l.Name)
			has[workflows.Schedule{Provider: name, List: l.Name}] = true
		}
	}
	for _, line := range workflows.Schedules {
		require.True(t, has[line], "no provider has %v", line)
		delete(has, line)
	}
	require.Empty(t, has, "these lists have no line in workflows.Schedules, so nothing ever reads them")
}

// withLists are settings with which a platform has all of its lists.
func withLists(name string) any {
	switch name {
	case "github":
		return &github.Settings{Repositories: []string{"octo/hello"}, Hooks: []github.Hook{{Repository: "octo/hello", ID: 1}}}
	case "mailchimp":
		return &mailchimp.Settings{Audiences: []string{"a6b5da1054"}}
	case "msgraph":
		return &graphSubscriptions
	case "shopify":
		return &shopify.Settings{Shop: "example.myshopify.com"}
	case "slack":
		return &slack.Settings{Channels: []string{"C0LISTED"}}
	default:
		return all.Settings(name)
	}
}

// twilioKey is a credential in a form that every platform takes.
const twilioKey = "AC0123456789abcdef0123456789abcdef:token"
