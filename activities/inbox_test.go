package activities_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

func TestStorePutsTheInlineEventIntoTheInbox(t *testing.T) {
	w := newWorld(t)
	inline := event
	inline.Inline = &providers.InlineEvent{
		OccurredAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Mode:       providers.ModeLive,
		APIVersion: "2026-01-01",
		Header:     http.Header{"Stripe-Signature": {"t=1"}},
		Body:       []byte(`{"id":"evt_1"}`),
	}
	v, err := w.env.ExecuteActivity(w.a.Store, inline)
	require.NoError(t, err)
	var row providers.Accepted
	require.NoError(t, v.Get(&row))
	require.Equal(t, providers.Accepted{EventRef: event, Status: providers.StatusPending, Duplicate: true}, row, "the row as it stands")

	got := w.accepted[0]
	require.NotEmpty(t, got.WorkflowID, "the run that stores it")
	got.WorkflowID = ""
	require.Equal(t, providers.Received{
		Source: "stripe",
		Event: providers.Event{
			ID: "evt_1", Type: "invoice.paid", Ref: invoice,
			OccurredAt: inline.Inline.OccurredAt, Mode: providers.ModeLive, APIVersion: "2026-01-01",
		},
		Status: providers.StatusPending,
		Header: inline.Inline.Header,
		Body:   inline.Inline.Body,
	}, got)
}

func TestSettleHandsTheDecisionOn(t *testing.T) {
	w := newWorld(t)
	s := providers.Settlement{Source: "stripe", ID: "evt_1", Status: providers.StatusIgnored, Reason: "why", ResolvedBy: "ann"}
	_, err := w.env.ExecuteActivity(w.a.Settle, s)
	require.NoError(t, err)
	s.WorkflowID, s.RunID = workflowOfTheTest, runOfTheTest
	require.Equal(t, []providers.Settlement{s}, w.settled)
}

func TestNotify(t *testing.T) {
	t.Run("tells the notifier", func(t *testing.T) {
		w := newWorld(t)
		_, err := w.env.ExecuteActivity(w.a.Notify, activities.Notice{})
		require.NoError(t, err)
		require.Equal(t, []string{"notify"}, w.calls)
	})
	t.Run("is done when there is none", func(t *testing.T) {
		w := newWorld(t)
		w.a.Notifier = nil
		_, err := w.env.ExecuteActivity(w.a.Notify, activities.Notice{})
		require.NoError(t, err)
	})
	t.Run("has one key for all attempts of one event, and another for any other", func(t *testing.T) {
		require.Equal(t, "stripe/evt_1/notify", activities.Notice{Source: "stripe", Event: "evt_1"}.Key())
	})
}
