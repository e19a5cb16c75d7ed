package worker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/workflows"
)

func TestIntervals(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string][2]time.Duration{
		"*/15 * * * *":     {15 * time.Minute, 15 * time.Minute},
		"* * * * *":        {time.Minute, time.Minute},
		"0 3 * * *":        {day, day},
		"0 9 * * MON-FRI":  {day, 3 * day},
		"*/15 9-17 * * *":  {15 * time.Minute, 15*time.Hour + 15*time.Minute},
		"@hourly":          {time.Hour, time.Hour},
		"@every 90s":       {90 * time.Second, 90 * time.Second},
		"0 0 1 1 *":        {365 * day, 366 * day},
		"0 0 29 2 *":       {4*365*day + day, 4*365*day + day},
		"TZ=UTC 0 3 * * *": {day, day},
	} {
		shortest, longest, err := intervals(text)
		require.NoError(t, err, text)
		require.Equal(t, want, [2]time.Duration{shortest, longest}, text)
	}
	for _, text := range []string{"every day", "0 0 31 2 *"} {
		_, _, err := intervals(text)
		require.ErrorContains(t, err, text)
	}
}

func wanted() workflows.Scheduled {
	start := activities.ReconcileStart{Source: "stripe", List: "invoice", LookbackSeconds: 3600}
	return workflows.Scheduled{
		ID:               "reconcile/stripe/invoice",
		Cron:             "*/15 * * * *",
		Workflow:         "Reconcile",
		Input:            workflows.ReconcileInput{ReconcileStart: start},
		Summary:          "reconcile stripe invoice",
		SearchAttributes: workflows.ReconcileAttributes(start),
	}
}

// stored is an action as Temporal gives it back.
func stored(t *testing.T, s workflows.Scheduled) client.ScheduleAction {
	t.Helper()
	o, err := scheduleOptions(s)
	require.NoError(t, err)
	action := o.Action.(*client.ScheduleWorkflowAction)
	memo, err := converter.GetDefaultDataConverter().ToPayload(action.Memo[fingerprintMemo])
	require.NoError(t, err)
	return &client.ScheduleWorkflowAction{Memo: map[string]any{fingerprintMemo: memo}}
}

// A schedule that is written at each start would lose what an operator edited, and
// tell nobody when it was changed.
func TestTheFingerprintTellsWhetherAScheduleHasToBeWritten(t *testing.T) {
	same, err := scheduleOptions(wanted())
	require.NoError(t, err)
	require.True(t, sameFingerprint(stored(t, wanted()), same.Action))
	for name, change := range map[string]func(*workflows.Scheduled){
		"the time":         func(s *workflows.Scheduled) { s.Cron = "*/20 * * * *" },
		"the workflow":     func(s *workflows.Scheduled) { s.Workflow = "Other" },
		"what it is given": func(s *workflows.Scheduled) { s.Input = workflows.ReconcileInput{} },
		"its summary":      func(s *workflows.Scheduled) { s.Summary = "other" },
		"what it can be found by": func(s *workflows.Scheduled) {
			s.SearchAttributes = workflows.ReconcileAttributes(activities.ReconcileStart{Source: "x"})
		},
	} {
		other := wanted()
		change(&other)
		require.False(t, sameFingerprint(stored(t, other), same.Action), name)
	}
	unknown := &client.ScheduleWorkflowAction{Memo: map[string]any{fingerprintMemo: &commonpb.Payload{Data: []byte("?")}}}
	require.False(t, sameFingerprint(unknown, same.Action), "what cannot be read")
	require.False(t, sameFingerprint(&client.ScheduleWorkflowAction{}, same.Action), "what somebody else made")
}

func TestOnlyWhatWeHaveMadeIsOurs(t *testing.T) {
	memo := func(text string) *commonpb.Memo {
		payload, err := converter.GetDefaultDataConverter().ToPayload(text)
		require.NoError(t, err)
		return &commonpb.Memo{Fields: map[string]*commonpb.Payload{ownerMemo: payload}}
	}
	require.True(t, isOurs(memo("surehook")))
	require.False(t, isOurs(memo("terraform")))
	require.False(t, isOurs(&commonpb.Memo{}))
	require.False(t, isOurs(nil))
}

func TestTheJitterIsATenthOfTheIntervalAndAtMostAMinute(t *testing.T) {
	for cron, want := range map[string]time.Duration{"* * * * *": 6 * time.Second, "@every 5m": 30 * time.Second, "@daily": time.Minute} {
		s := wanted()
		s.Cron = cron
		o, err := scheduleOptions(s)
		require.NoError(t, err)
		require.Equal(t, want, o.Spec.Jitter, cron)
		require.GreaterOrEqual(t, o.CatchupWindow, time.Minute, cron)
	}
}
