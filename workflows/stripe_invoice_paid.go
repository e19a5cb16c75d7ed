package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

// StripeInvoicePaid makes our invoice equal to the one Stripe has now, and
// tells the system behind SUREHOOK_NOTIFY_URL that it was paid: once, because
// the notice carries an idempotency key that is the same however often it is
// sent.
func StripeInvoicePaid(ctx workflow.Context, ev providers.EventRef) error {
	saved, err := sync(ctx, ev)
	if err == nil && !saved.Deleted {
		err = step(ctx, ev, "notify", func(ctx workflow.Context) error {
			return workflow.ExecuteActivity(delivery(ctx), a.Notify, activities.Notice{
				Source: ev.Source,
				Event:  ev.ID,
				Type:   ev.Type,
				Ref:    ev.Ref,
			}).Get(ctx, nil)
		})
	}
	return finish(ctx, ev, err)
}
