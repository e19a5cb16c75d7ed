package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

var inboxTests = map[string]func(*testing.T, *store.Store){
	"an accepted event is read back as it came": func(t *testing.T, s *store.Store) {
		in := event("evt_1")
		in.Body = []byte("\x00\xff raw \r\n bytes")
		ref := accept(t, s, in)[0]
		require.Equal(t, providers.Accepted{Status: providers.StatusPending, EventRef: providers.EventRef{
			Source: "stripe", ID: "evt_1", Type: "invoice.paid", Ref: in.Event.Ref, ReceivedAt: ref.ReceivedAt}}, ref)
		require.WithinDuration(t, time.Now(), ref.ReceivedAt, time.Minute)

		out, err := s.Event(t.Context(), "stripe", "evt_1")
		require.NoError(t, err)
		require.Equal(t, providers.StoredEvent{Source: "stripe", ID: "evt_1", ReceivedAt: ref.ReceivedAt,
			Status: providers.StatusPending, Header: in.Header, Body: in.Body}, out)

		r := row(t, s, "evt_1")
		require.Equal(t, store.EventRow{Seq: r.Seq, Source: "stripe", ID: "evt_1", Type: "invoice.paid",
			Status: providers.StatusPending, Object: in.Event.Ref, WorkflowID: "stripe/evt_1", Mode: providers.ModeLive,
			APIVersion: "2026-01-01", OccurredAt: in.Event.OccurredAt, ReceivedAt: ref.ReceivedAt, Deliveries: 1,
			LastDeliveredAt: ref.ReceivedAt, DueAt: r.DueAt}, r)
		require.True(t, r.DueAt.After(r.ReceivedAt), "the relay's fast path goes first")
	},
	"an event without body, header, object or time is accepted": func(t *testing.T, s *store.Store) {
		accept(t, s, providers.Received{Source: "stripe", Status: providers.StatusReview, Reason: "unreadable", Event: providers.Event{ID: "evt_1"}})
		out, err := s.Event(t.Context(), "stripe", "evt_1")
		require.NoError(t, err)
		require.Empty(t, out.Body)
		require.Empty(t, out.Header)
		r := row(t, s, "evt_1")
		require.True(t, r.OccurredAt.IsZero())
		require.True(t, r.Object.IsZero())
		require.Equal(t, "unreadable", r.Reason)
	},
	"an event that is ignored at once is finished": func(t *testing.T, s *store.Store) {
		in := event("evt_1")
		in.Status, in.Reason = providers.StatusIgnored, "type not accepted"
		accept(t, s, in)
		r := row(t, s, "evt_1")
		require.Equal(t, r.ReceivedAt, r.FinishedAt)
		require.True(t, r.DueAt.IsZero())
	},
	"an event that is there already is counted and not changed": func(t *testing.T, s *store.Store) {
		first := accept(t, s, event("evt_1"))[0]
		settle(t, s, "evt_1", providers.StatusReview)
		again := event("evt_1")
		again.Body, again.Event.Type = []byte("other"), "other"
		second := accept(t, s, again)[0]
		require.True(t, second.Duplicate)
		require.Equal(t, first.EventRef, second.EventRef)
		require.Equal(t, providers.StatusReview, second.Status, "as it stands now")
		out, err := s.Event(t.Context(), "stripe", "evt_1")
		require.NoError(t, err)
		require.Equal(t, event("evt_1").Body, out.Body)
		r := row(t, s, "evt_1")
		require.EqualValues(t, 2, r.Deliveries)
		require.False(t, r.LastDeliveredAt.Before(r.ReceivedAt))
	},
	"the same id of another source is another event": func(t *testing.T, s *store.Store) {
		other := event("evt_1")
		other.Source = "billing"
		accepted := accept(t, s, event("evt_1"), other)
		require.False(t, accepted[0].Duplicate)
		require.False(t, accepted[1].Duplicate)
		rows, err := s.EventsByID(t.Context(), "evt_1")
		require.NoError(t, err)
		require.Equal(t, []string{"billing", "stripe"}, ids(func(r store.EventRow) string { return r.Source }, rows))
	},
	"an event that was signed before is the same under another id": func(t *testing.T, s *store.Store) {
		as := func(id string) providers.Received {
			ev := event(id)
			ev.Event.Fingerprint = "f1"
			return ev
		}
		together := accept(t, s, as("evt_1"), event("evt_2"), as("evt_3"))
		require.Equal(t, []string{"evt_1", "evt_2", "evt_1"}, ids(func(a providers.Accepted) string { return a.ID }, together))
		require.False(t, together[0].Duplicate)
		require.True(t, together[2].Duplicate)

		settle(t, s, "evt_1", providers.StatusReview)
		later := accept(t, s, as("evt_4"), as("evt_1"), as("evt_5"))
		for _, a := range later {
			require.Equal(t, together[0].EventRef, a.EventRef)
			require.True(t, a.Duplicate)
			require.Equal(t, providers.StatusReview, a.Status)
		}
		require.EqualValues(t, 5, row(t, s, "evt_1").Deliveries)

		elsewhere := as("evt_6")
		elsewhere.Source = "billing"
		require.False(t, accept(t, s, elsewhere)[0].Duplicate, "what another source signed is another event")
		rows, err := s.Events(t.Context(), store.EventFilter{Limit: 10})
		require.NoError(t, err)
		require.Len(t, rows, 3)
	},
	"many callers with what was signed once make one row": func(t *testing.T, s *store.Store) {
		var all sync.WaitGroup
		for n := range 50 {
			all.Go(func() {
				ev := event(fmt.Sprintf("evt_%d", n))
				ev.Event.Fingerprint = fmt.Sprintf("f%d", n%2)
				if _, err := s.Accept(context.Background(), []providers.Received{ev}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		rows, err := s.Events(t.Context(), store.EventFilter{Limit: 10})
		require.NoError(t, err)
		require.Len(t, rows, 2)
		require.EqualValues(t, 50, rows[0].Deliveries+rows[1].Deliveries)
	},
	"answers come in the order of the events": func(t *testing.T, s *store.Store) {
		accept(t, s, event("evt_5"))
		accepted := accept(t, s, event("evt_9"), event("evt_5"), event("evt_1"), event("evt_9"))
		require.Equal(t, []string{"evt_9", "evt_5", "evt_1", "evt_9"}, ids(func(a providers.Accepted) string { return a.ID }, accepted))
		var duplicates []bool
		for _, a := range accepted {
			duplicates = append(duplicates, a.Duplicate)
		}
		require.Equal(t, []bool{false, true, false, true}, duplicates)
		require.True(t, accepted[2].ReceivedAt.After(accepted[0].ReceivedAt), "later in the request is later")
		require.EqualValues(t, 2, row(t, s, "evt_9").Deliveries)
	},
	"ten callers with the same event make one row and nine duplicates": func(t *testing.T, s *store.Store) {
		var news atomic.Int64
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				accepted, err := s.Accept(context.Background(), []providers.Received{event("evt_1")})
				if err != nil {
					t.Error(err)
				} else if !accepted[0].Duplicate {
					news.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, news.Load())
		require.EqualValues(t, 10, row(t, s, "evt_1").Deliveries)
	},
	"many callers are all answered with their own events": func(t *testing.T, s *store.Store) {
		var all sync.WaitGroup
		for n := range 200 {
			all.Go(func() {
				a, b := fmt.Sprintf("evt_%d", n), fmt.Sprintf("evt_%d", (n+1)%200)
				accepted, err := s.Accept(context.Background(), []providers.Received{event(a), event(b)})
				if err != nil || accepted[0].ID != a || accepted[1].ID != b {
					t.Errorf("%s and %s were answered %v, %v", a, b, accepted, err)
				}
			})
		}
		all.Wait()
		rows, err := s.Events(t.Context(), store.EventFilter{Limit: 1000})
		require.NoError(t, err)
		require.Len(t, rows, 200)
		for _, r := range rows {
			require.EqualValues(t, 2, r.Deliveries)
		}
	},
	"one request may carry more events than a statement": func(t *testing.T, s *store.Store) {
		var many []providers.Received
		for n := range 1234 {
			many = append(many, event(fmt.Sprintf("evt_%d", n)))
		}
		last := time.Time{}
		for _, a := range accept(t, s, many...) {
			require.True(t, a.ReceivedAt.After(last), "the order of the request holds across statements")
			last = a.ReceivedAt
		}
		for _, a := range accept(t, s, many...) {
			require.True(t, a.Duplicate)
		}
	},
	"an event that is not text refuses its own caller only": func(t *testing.T, s *store.Store) {
		for _, bad := range []string{"nul\x00", "\xff"} {
			in := event("evt_bad")
			in.Event.Type = bad
			_, err := s.Accept(t.Context(), []providers.Received{event("evt_1"), in})
			require.ErrorContains(t, err, `event "evt_bad": its type is not text`)
			require.NotErrorIs(t, err, providers.ErrUnavailable)
		}
		_, err := s.EventRow(t.Context(), "stripe", "evt_1")
		require.ErrorIs(t, err, providers.ErrNotFound, "the events of a call are committed together")
	},
	"a row that the database refuses does not refuse its neighbours": func(t *testing.T, s *store.Store) {
		var all sync.WaitGroup
		var refused atomic.Int64
		for n := range 60 {
			in := event(fmt.Sprintf("evt_%d", n))
			if n%10 == 0 {
				in.Status = "no such status"
			}
			all.Go(func() {
				_, err := s.Accept(context.Background(), []providers.Received{in})
				switch {
				case err != nil && in.Status == "no such status":
					refused.Add(1)
				case err != nil:
					t.Errorf("a good event was refused: %v", err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 6, refused.Load())
		rows, err := s.Events(t.Context(), store.EventFilter{})
		require.NoError(t, err)
		require.Len(t, rows, 54)
	},
	"a caller that gives up does not hold others up": func(t *testing.T, s *store.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.Accept(ctx, []providers.Received{event("evt_1")})
		if err != nil { // it may have been committed before the context was looked at
			require.ErrorIs(t, err, context.Canceled)
			require.NotErrorIs(t, err, providers.ErrUnavailable)
		}
		accept(t, s, event("evt_2"))
	},
	"a header of any bytes is accepted": func(t *testing.T, s *store.Store) {
		in := event("evt_1")
		in.Header.Set("X-Odd", "\xff\u2028<"+strings.Repeat("x", 5000))
		accept(t, s, in)
		_, err := s.Event(t.Context(), "stripe", "evt_1")
		require.NoError(t, err)
	},
	"nothing to accept is no work": func(t *testing.T, s *store.Store) {
		accepted, err := s.Accept(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, accepted)
	},
	"an event that is not there is not found": func(t *testing.T, s *store.Store) {
		_, err := s.Event(t.Context(), "stripe", "evt_1")
		require.ErrorIs(t, err, providers.ErrNotFound)
		_, err = s.EventRow(t.Context(), "stripe", "evt_1")
		require.ErrorIs(t, err, providers.ErrNotFound)
		rows, err := s.EventsByID(t.Context(), "evt_1")
		require.NoError(t, err)
		require.Empty(t, rows)
	},
	"a closed store is unavailable": func(t *testing.T, s *store.Store) {
		require.NoError(t, s.Close())
		_, err := s.Accept(context.Background(), []providers.Received{event("evt_1")})
		require.ErrorIs(t, err, providers.ErrUnavailable)
	},
}
