package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// A definition that forgets to return through finish leaves its event open, or
// parked, for ever.
func TestEveryDefinitionEndsItsEvent(t *testing.T) {
	refused := &providers.APIError{Provider: "notify", Op: "post", Status: 404, Retry: providers.RetryNever}
	for _, d := range workflows.Definitions() {
		t.Run(workflows.Name(d)+" as processed", func(t *testing.T) {
			w := newWorld(t)
			require.NoError(t, w.run(d, paid))
			require.Equal(t, providers.StatusProcessed, w.rows["stripe/evt_1"], "does it return through finish?")
		})
		t.Run(workflows.Name(d)+" as ignored when an operator skips", func(t *testing.T) {
			w := newWorld(t)
			w.fetchErrs = []error{wrongKey}
			w.resolveAfter(time.Minute, workflows.Skip)
			require.NoError(t, w.run(d, paid))
			require.Equal(t, providers.StatusIgnored, w.rows["stripe/evt_1"], "does it return through finish?")
		})
		t.Run(workflows.Name(d)+" as failed when an operator gives up", func(t *testing.T) {
			w := newWorld(t)
			w.fetchErrs = []error{wrongKey}
			w.resolveAfter(time.Minute, workflows.Fail)
			require.Error(t, w.run(d, paid))
			require.Equal(t, providers.StatusFailed, w.rows["stripe/evt_1"], "does it return through finish?")
		})
		t.Run(workflows.Name(d)+" whichever step is skipped", func(t *testing.T) {
			w := newWorld(t)
			w.notifyErrs = []error{refused}
			w.resolveAfter(time.Minute, workflows.Skip)
			require.NoError(t, w.run(d, paid))
			require.NotContains(t, []providers.Status{providers.StatusPending, providers.StatusReview}, w.rows["stripe/evt_1"])
		})
	}
}

func TestRouteFor(t *testing.T) {
	for _, c := range []struct{ source, eventType, want string }{
		{"stripe", "invoice.paid", "StripeInvoicePaid"},
		{"stripe-eu", "invoice.paid", "StripeInvoicePaid"},
		{"stripe", "invoice.paid.later", "Sync"},
		{"stripe", "invoice.created", "Sync"},
		{"github", "invoice.paid", "Sync"},
		{"", "", "Sync"},
	} {
		require.Equal(t, c.want, workflows.RouteFor(c.source, c.eventType), "%s %s", c.source, c.eventType)
	}
}

func TestDefinitionsAreRegisteredOnceUnderTheNamesThatRoutesStart(t *testing.T) {
	all := names()
	require.Contains(t, all, "Sync")
	for i, name := range all {
		require.NotContains(t, name, "func", "a definition is a top-level function, or workflowcheck does not see it")
		require.NotContains(t, all[i+1:], name)
	}
	for _, r := range workflows.Routes {
		require.Contains(t, all, workflows.Name(r.Workflow))
	}
}
