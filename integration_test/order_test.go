package integration_test

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

func TestEventsOutOfOrderLeaveTheRecordTrue(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	finalized := s.trigger(s.stripe, "invoice.finalized", sandbox.Undelivered())
	paid := s.trigger(s.stripe, "invoice.paid", sandbox.On(finalized.Object), sandbox.Undelivered())
	for _, ev := range []sandbox.Event{paid, finalized} { // the older one comes last
		require.Equal(t, http.StatusOK, s.post(s.stripe, "stripe", ev.ID).Status)
		s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
		s.requireTrue(s.stripe, "stripe", ev.Object)
	}
}

// Stripe's objects have no version, so nothing in the two answers tells which
// is newer: only claims do.
func TestASlowFetchDoesNotOverwriteANewerOne(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ref, err := s.stripe.Create("invoice", nil)
	require.NoError(t, err)
	// The first, local try has only three seconds, so it is made to fail: the
	// regular activity is the one that can be slow.
	s.stripe.Hold(ref)
	slow := s.stripe.Hold(ref)
	defer slow.Release()
	s.fail(s.stripe, sandbox.APIFault{Kind: sandbox.FaultError, Next: 1})

	older := s.trigger(s.stripe, "invoice.finalized", sandbox.On(ref))
	await(t, slow.Arrived())
	newer := s.trigger(s.stripe, "invoice.payment_succeeded", sandbox.On(ref))
	s.untilStatus("stripe", newer.ID, providers.StatusProcessed)
	s.requireTrue(s.stripe, "stripe", ref)

	slow.Release()
	e := s.untilStatus("stripe", older.ID, providers.StatusProcessed)
	require.False(t, e.Changed)
	s.requireTrue(s.stripe, "stripe", ref)
	record, err := s.store.Record(t.Context(), "stripe", ref.Type, ref.ID)
	require.NoError(t, err)
	require.Equal(t, newer.ID, record.EventID)
	require.EqualValues(t, 1, record.Changes)
}

// The fetch that began first may also be the one that sees the newer state: its
// call can be the slower one to arrive.
func TestAFetchThatReadBeforeAnotherWasSavedDoesNotOverwriteIt(t *testing.T) {
	t.Parallel()
	atTheDoor, letIn := make(chan struct{}), make(chan struct{})
	open := sync.OnceFunc(func() { close(letIn) })
	defer open()
	calls := 0
	var mu sync.Mutex
	s := start(t, options{stripeAPI: func(platform http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			calls++
			nth := calls
			mu.Unlock()
			switch nth {
			case 1, 3: // the local tries have too little time for this story
				w.WriteHeader(http.StatusInternalServerError)
				return
			case 2:
				close(atTheDoor)
				<-letIn
			}
			platform.ServeHTTP(w, r)
		})
	}})
	ref, err := s.stripe.Create("customer", nil)
	require.NoError(t, err)
	first := s.trigger(s.stripe, "customer.updated", sandbox.On(ref))
	await(t, atTheDoor)
	read := s.stripe.Hold(ref)
	defer read.Release()
	second := s.trigger(s.stripe, "customer.updated", sandbox.On(ref))
	await(t, read.Arrived())
	_, err = s.stripe.Update(ref, func(customer map[string]any) { customer["description"] = "newer" })
	require.NoError(t, err)

	open()
	s.untilStatus("stripe", first.ID, providers.StatusProcessed)
	s.requireTrue(s.stripe, "stripe", ref)
	read.Release()
	s.untilStatus("stripe", second.ID, providers.StatusProcessed)
	s.requireTrue(s.stripe, "stripe", ref)
}

func await(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		require.Fail(t, "nothing was fetched")
	}
}

// Stripe rations reads, so a backlog must not cost a call for each event.
func TestOneFetchServesManyEvents(t *testing.T) {
	t.Parallel()
	const events = 100
	s := start(t, options{withoutWork: true})
	ref, err := s.stripe.Create("customer", nil)
	require.NoError(t, err)
	for range events {
		require.True(t, s.trigger(s.stripe, "customer.updated", sandbox.On(ref)).Acknowledged)
	}
	s.work()
	rows := s.untilAll(events, providers.StatusProcessed)
	s.requireTrue(s.stripe, "stripe", ref)

	calls, covered := s.stripe.Fetches(ref), 0
	coveredBy := map[string]string{}
	for _, e := range rows {
		coveredBy[e.ID] = e.CoveredBy
	}
	for _, e := range rows {
		if e.CoveredBy != "" {
			covered++
		}
		// What waited together with one that turned out to be covered names that one.
		by, steps := e.ID, 0
		for ; coveredBy[by] != "" && steps < events; steps++ {
			by = coveredBy[by]
		}
		require.Less(t, steps, events, "%s is covered by none that fetched something", e.ID)
		require.Contains(t, coveredBy, by, "%s is covered by %s, which there is not", e.ID, by)
	}
	// Those whose fetches begin before the first one is saved cannot know.
	t.Logf("%d events, %d calls", events, calls)
	require.LessOrEqual(t, calls, events/4)
	require.GreaterOrEqual(t, calls, events-covered, "all others were fetched for") // and some for nothing, being superseded
}

// untilAll waits until there are so many events of the status, and no others.
func (s *system) untilAll(want int, status providers.Status) (rows []store.EventRow) {
	s.t.Helper()
	s.eventually(func() bool {
		var err error
		rows, err = s.store.Events(s.t.Context(), store.EventFilter{Limit: want + 1})
		require.NoError(s.t, err)
		n := 0
		for _, e := range rows {
			if e.Status == status {
				n++
			}
		}
		return n == want && len(rows) == want
	}, "not %d events are %s", want, status)
	return rows
}

func TestADeletedObjectLeavesATombstoneThatALaterFetchRevives(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	for source, story := range map[string]struct {
		platform               *sandbox.Platform
		create, remove, update string
		kind                   string
	}{
		"stripe": {s.stripe, "customer.created", "customer.deleted", "customer.updated", "customer"},
		"github": {s.github, "label.created", "label.deleted", "label.edited", "label"},
	} {
		created := s.trigger(story.platform, story.create)
		s.untilStatus(source, created.ID, providers.StatusProcessed)
		before, err := s.store.Record(t.Context(), source, created.Object.Type, created.Object.ID)
		require.NoError(t, err)

		deleted := s.trigger(story.platform, story.remove, sandbox.On(created.Object))
		s.untilStatus(source, deleted.ID, providers.StatusProcessed)
		tombstone, err := s.store.Record(t.Context(), source, created.Object.Type, created.Object.ID)
		require.NoError(t, err)
		require.True(t, tombstone.Deleted, source)
		require.False(t, tombstone.DeletedAt.IsZero(), source)
		require.Equal(t, string(before.State), string(tombstone.State), source)

		again := map[string]any{"id": created.Object.ID}
		if source == "github" {
			again = map[string]any{"name": nameOf(t, before)}
		}
		ref, err := story.platform.Create(story.kind, again)
		require.NoError(t, err)
		require.Equal(t, created.Object, ref)
		updated := s.trigger(story.platform, story.update, sandbox.On(ref))
		s.untilStatus(source, updated.ID, providers.StatusProcessed)
		s.requireTrue(story.platform, source, ref)
	}
}

// nameOf is the name that the object of a record has.
func nameOf(t *testing.T, r store.RecordRow) string {
	t.Helper()
	var object struct {
		Name string `json:"name"`
	}
	require.NoError(t, json.Unmarshal(r.State, &object))
	return object.Name
}

// A discussion cannot be fetched: its event's payload is all there is to know,
// and it is as old as the event.
func TestAnOlderPayloadDoesNotOverwriteANewerOne(t *testing.T) {
	t.Parallel()
	s := start(t, options{sources: map[string]func(*ingress.Source){"github": func(s *ingress.Source) {
		s.Accept, s.Other = []string{"discussion.edited", "issues.*"}, providers.StatusReview
	}}})
	// The older event waits for somebody to look at its type.
	older := s.trigger(s.github, "discussion.created")
	s.untilStatus("github", older.ID, providers.StatusReview)
	newer := s.trigger(s.github, "discussion.edited", sandbox.On(older.Object))
	s.untilStatus("github", newer.ID, providers.StatusProcessed)
	record := func() store.RecordRow {
		record, err := s.store.Record(t.Context(), "github", newer.Object.Type, newer.Object.ID)
		require.NoError(t, err)
		return record
	}
	before := record()
	require.Equal(t, providers.OriginPayload, before.Origin)
	require.JSONEq(t, string(s.request(s.github, newer.ID).Body), string(before.State))

	require.NoError(t, s.store.Settle(t.Context(), providers.Settlement{
		Source: "github", ID: older.ID, Status: providers.StatusPending, ResolvedBy: "ann",
	}))
	e := s.untilStatus("github", older.ID, providers.StatusProcessed)
	require.False(t, e.Changed)
	require.Equal(t, before, record())
	require.Zero(t, s.github.TotalCalls(), "there is nothing to call")
	s.untilRun("github", older.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
}
