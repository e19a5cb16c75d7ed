package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

func TestStripeInvoicePaidNotifiesAfterTheRecordIsTrue(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.run(workflows.StripeInvoicePaid, paid))
	require.Len(t, w.ran, 3)
	require.Equal(t, "local Sync", w.ran[0])
	require.Contains(t, w.ran[1], "Notify on ")
	require.Equal(t, "local Settle", w.ran[2])
	require.False(t, w.saved[0].Finish, "the event is open until the notice is sent")
	require.Equal(t, []activities.Notice{{Source: "stripe", Event: "evt_1", Type: "invoice.paid", Ref: paid.Ref}}, w.notices)
	require.Equal(t, "stripe/evt_1/notify", w.notices[0].Key())
	require.Equal(t, providers.StatusProcessed, w.rows["stripe/evt_1"])
}

func TestStripeInvoicePaidParksAtTheNotice(t *testing.T) {
	w := newWorld(t)
	w.notifyErrs = []error{&providers.APIError{Provider: "notify", Op: "post", Status: 404, Retry: providers.RetryNever}}
	w.after(time.Minute, func() {
		require.Equal(t, "notify: notify: post: status 404", w.settled[0].Reason)
	})
	w.resolveAfter(2*time.Minute, workflows.Retry)
	require.NoError(t, w.run(workflows.StripeInvoicePaid, paid))
	require.Equal(t, 1, w.fetches, "what succeeded is not done again")
	require.Len(t, w.notices, 2)
	require.Equal(t, w.notices[0].Key(), w.notices[1].Key())
	require.Equal(t, []providers.Status{providers.StatusReview, providers.StatusPending, providers.StatusProcessed}, w.history())
}

func TestStripeInvoicePaidTellsNoOneOfADeletedInvoice(t *testing.T) {
	w := newWorld(t)
	w.deleted = true
	require.NoError(t, w.run(workflows.StripeInvoicePaid, paid))
	require.Empty(t, w.notices)
	require.Equal(t, providers.StatusProcessed, w.rows["stripe/evt_1"])
}

func TestStripeInvoicePaidTellsNoOneWhenTheSyncIsSkipped(t *testing.T) {
	w := newWorld(t)
	w.fetchErrs = []error{wrongKey}
	w.resolveAfter(time.Minute, workflows.Skip)
	require.NoError(t, w.run(workflows.StripeInvoicePaid, paid))
	require.Empty(t, w.notices)
	require.Equal(t, providers.StatusIgnored, w.rows["stripe/evt_1"])
}
