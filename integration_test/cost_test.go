package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"github.com/surehook/surehook/providers"
)

// What is more than this makes every event dearer: each line of the history is
// written to Temporal's database, and Temporal Cloud bills the start and the
// local activity, two actions.
func TestTheCommonPathCostsSixHistoryEventsAndOneCall(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	s.rest()
	calls := s.stripe.TotalCalls()
	ev := s.trigger(s.stripe, "customer.created")
	s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)

	var types []enums.EventType
	for _, e := range s.history("stripe", ev.ID).GetEvents() {
		types = append(types, e.GetEventType())
	}
	require.Equal(t, []enums.EventType{
		enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
		enums.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
		enums.EVENT_TYPE_WORKFLOW_TASK_STARTED,
		enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
		enums.EVENT_TYPE_MARKER_RECORDED,
		enums.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
	}, types)
	require.Equal(t, 1, s.stripe.TotalCalls()-calls)
}
