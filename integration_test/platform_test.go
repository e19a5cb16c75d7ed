package integration_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

func TestAPlatformThatAsksToWaitIsGivenTheTime(t *testing.T) {
	t.Parallel()
	s := start(t, options{maxAttempts: 1}) // one further answer of this kind would park the event
	s.fail(s.stripe, sandbox.APIFault{Kind: sandbox.FaultRateLimit, RetryAfter: time.Second, Next: 1})
	ev := s.trigger(s.stripe, "customer.created")
	s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	s.requireTrue(s.stripe, "stripe", ev.Object)
	require.Equal(t, 2, s.stripe.Fetches(ev.Object))

	var waited time.Duration
	var order []enums.EventType
	steps := []enums.EventType{
		enums.EVENT_TYPE_TIMER_STARTED, enums.EVENT_TYPE_TIMER_FIRED, enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
	}
	for _, event := range s.history("stripe", ev.ID).Events {
		waited += event.GetTimerStartedEventAttributes().GetStartToFireTimeout().AsDuration()
		if slices.Contains(steps, event.EventType) {
			order = append(order, event.EventType)
		}
	}
	require.Equal(t, time.Second, waited)
	require.Equal(t, steps, order, "nothing is called before the time is over")
}

// The next attempts are the regular activity's: Temporal keeps the time for it.
func TestAPlatformThatAsksToWaitAgainIsGivenTheTimeAgain(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	s.fail(s.stripe, sandbox.APIFault{Kind: sandbox.FaultRateLimit, RetryAfter: time.Second, Next: 2})
	began := time.Now()
	ev := s.trigger(s.stripe, "customer.created")
	s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	require.GreaterOrEqual(t, time.Since(began), 2*time.Second)
	require.Equal(t, 3, s.stripe.Fetches(ev.Object))
	s.requireTrue(s.stripe, "stripe", ev.Object)
}

func TestAnAnswerThatBreaksOffIsFetchedAgain(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	for source, platform := range map[string]*sandbox.Platform{"stripe": s.stripe, "github": s.github} {
		s.fail(platform, sandbox.APIFault{Kind: sandbox.FaultTruncate, Next: 1})
		ev := s.trigger(platform, map[string]string{"stripe": "customer.created", "github": "issues"}[source])
		s.untilStatus(source, ev.ID, providers.StatusProcessed)
		require.Equal(t, 2, platform.Fetches(ev.Object), source)
		s.requireTrue(platform, source, ev.Object)
	}
}

func TestANoticeThatIsRefusedIsSentAgainAndTakesEffectOnce(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	s.receiver.FailNext(1, 503)
	ev := s.trigger(s.stripe, "invoice.paid")
	s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	receipt := s.receiver.Receipt("stripe/" + ev.ID + "/notify")
	require.Equal(t, 2, receipt.Deliveries)
	require.Equal(t, 1, receipt.Effects)
	require.JSONEq(t, `{"source":"stripe","event":"`+ev.ID+`","type":"invoice.paid","ref":{"type":"invoice","id":"`+ev.Object.ID+`"}}`, string(receipt.Body))
	require.Equal(t, 1, s.stripe.Fetches(ev.Object), "the record was true already")
}

func TestANoticeWhoseAnswerIsLostTakesEffectOnce(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	s.receiver.LoseNext(1)
	ev := s.trigger(s.stripe, "invoice.paid")
	s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	receipt := s.receiver.Receipt("stripe/" + ev.ID + "/notify")
	require.Equal(t, 2, receipt.Deliveries)
	require.Equal(t, 1, receipt.Effects)
	require.Zero(t, receipt.Conflicts)
	require.Equal(t, 1, s.stripe.Fetches(ev.Object))
}
