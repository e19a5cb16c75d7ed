package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

func eventIDs(t *testing.T, s *store.Store, f store.EventFilter) []string {
	t.Helper()
	rows, err := s.Events(t.Context(), f)
	require.NoError(t, err)
	return ids(func(r store.EventRow) string { return r.ID }, rows)
}

// filters are all that these make together.
func filters(sources, types, objects []string, statuses []providers.Status) (all []store.EventFilter) {
	for _, source := range sources {
		for _, eventType := range types {
			for _, object := range objects {
				for _, status := range statuses {
					all = append(all, store.EventFilter{Source: source, Type: eventType, Object: providers.Ref{ID: object}, Status: status})
				}
			}
		}
	}
	return all
}

var listTests = map[string]func(*testing.T, *store.Store){
	"events are listed newest first, by page": func(t *testing.T, s *store.Store) {
		for n := range 5 {
			acceptOne(t, s, fmt.Sprintf("evt_%d", n))
		}
		rows, err := s.Events(t.Context(), store.EventFilter{Limit: 2})
		require.NoError(t, err)
		require.Equal(t, "evt_4", rows[0].ID)
		require.Equal(t, "evt_3", rows[1].ID)
		require.Equal(t, []string{"evt_2", "evt_1"}, eventIDs(t, s, store.EventFilter{Limit: 2, Before: rows[1].Seq}))
	},
	"events are selected by source, status, type and object": func(t *testing.T, s *store.Store) {
		other := event("evt_other")
		other.Source, other.Event.Type, other.Event.Ref = "billing", "invoiceXvoided", providers.Ref{Type: "charge", ID: "in_1"}
		accept(t, s, event("evt_1"), about(event("evt_2"), "in_2"), other)
		settle(t, s, "evt_2", providers.StatusReview)
		for _, c := range []struct {
			filter store.EventFilter
			want   []string
		}{
			{store.EventFilter{}, []string{"evt_1", "evt_2", "evt_other"}},
			{store.EventFilter{Source: "billing"}, []string{"evt_other"}},
			{store.EventFilter{Status: providers.StatusReview}, []string{"evt_2"}},
			{store.EventFilter{Source: "billing", Status: providers.StatusReview}, []string{}},
			{store.EventFilter{Type: "invoice.paid"}, []string{"evt_1", "evt_2"}},
			{store.EventFilter{Type: "invoice.*"}, []string{"evt_1", "evt_2"}},
			{store.EventFilter{Type: "*voided"}, []string{"evt_other"}},
			{store.EventFilter{Type: "invoice_*"}, []string{}},
			{store.EventFilter{Type: "%"}, []string{}},
			{store.EventFilter{Object: providers.Ref{ID: "in_1"}}, []string{"evt_1", "evt_other"}},
			{store.EventFilter{Object: providers.Ref{Type: "invoice", ID: "in_1"}}, []string{"evt_1"}},
		} {
			require.ElementsMatch(t, c.want, eventIDs(t, s, c.filter), "%+v", c.filter)
		}
	},
	"every page of every list is what the filter selects of all events": func(t *testing.T, s *store.Store) {
		statuses := []providers.Status{"", providers.StatusPending, providers.StatusProcessed, providers.StatusIgnored, providers.StatusReview, providers.StatusFailed}
		sources, types, objects := []string{"", "billing", "stripe"}, []string{"", "invoice.paid", "invoice.voided", "invoice.*"}, []string{"", "in_0", "in_1"}
		var settlements []providers.Settlement
		for n := range 60 {
			ev := about(event(fmt.Sprint("evt_", n)), objects[1+n/5%2])
			ev.Source, ev.Event.Type = sources[1+n%2], types[1+n/2%2]
			accept(t, s, ev)
			settlements = append(settlements, providers.Settlement{Source: ev.Source, ID: ev.Event.ID, Status: statuses[1+n%5]})
		}
		for _, settlement := range settlements {
			if settlement.Status != providers.StatusPending {
				require.NoError(t, s.Settle(t.Context(), settlement))
			}
		}
		all, err := s.Events(t.Context(), store.EventFilter{Limit: 100})
		require.NoError(t, err)
		require.Len(t, all, 60)

		for _, f := range filters(sources, types, objects, statuses) {
			want := []string{}
			for _, e := range all {
				isType := f.Type == "" || e.Type == f.Type || f.Type == "invoice.*"
				if isType && (f.Source == "" || e.Source == f.Source) && (f.Status == "" || e.Status == f.Status) &&
					(f.Object.ID == "" || e.Object.ID == f.Object.ID) {
					want = append(want, e.ID)
				}
			}
			f.Limit = 7
			got := []string{}
			for {
				page, err := s.Events(t.Context(), f)
				require.NoError(t, err)
				got = append(got, ids(func(r store.EventRow) string { return r.ID }, page)...)
				if len(page) < f.Limit {
					break
				}
				f.Before = page[len(page)-1].Seq
			}
			require.Equal(t, want, got, "%+v", f)
		}
	},
	"records are listed by their last change, by page, without states": func(t *testing.T, s *store.Store) {
		for n := range 4 {
			in := about(event(fmt.Sprintf("evt_%d", n)), fmt.Sprintf("in_%d", n))
			if n == 3 {
				in.Event.Ref.Type = "charge"
			}
			fetchAndSave(t, s, accept(t, s, in)[0].EventRef, `{}`)
		}
		list := func(f store.RecordFilter) []string {
			rows, err := s.Records(t.Context(), f)
			require.NoError(t, err)
			return ids(func(r store.RecordRow) string { require.Nil(t, r.State); return r.Object.ID }, rows)
		}
		require.ElementsMatch(t, []string{"in_0", "in_1", "in_2", "in_3"}, list(store.RecordFilter{Source: "stripe"}))
		require.Equal(t, []string{"in_3"}, list(store.RecordFilter{Source: "stripe", Type: "charge"}))
		require.Empty(t, list(store.RecordFilter{Source: "billing"}))
		first, err := s.Records(t.Context(), store.RecordFilter{Limit: 3})
		require.NoError(t, err)
		require.Len(t, first, 3)
		rest := list(store.RecordFilter{Limit: 3, Before: first[2]})
		require.Len(t, rest, 1, "every record is on one page, even of those that changed at the same time")
	},
	"a record that is not there is not found": func(t *testing.T, s *store.Store) {
		_, err := s.Record(t.Context(), "stripe", "invoice", "in_1")
		require.ErrorIs(t, err, providers.ErrNotFound)
	},
	"rejections are counted by source, reason and minute, with the first sample": func(t *testing.T, s *store.Store) {
		minute := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
		reject := func(source, reason string, at time.Time, detail string) providers.Rejection {
			return providers.Rejection{Source: source, Reason: reason, Minute: at, Count: 2, RemoteAddr: "192.0.2.1",
				Method: "POST", Path: "/webhooks/" + source, Detail: detail, Excerpt: "{"}
		}
		require.NoError(t, s.AddRejections(t.Context(), []providers.Rejection{
			reject("stripe", "stale", minute.Add(10*time.Second), "first"), reject("stripe", "stale", minute.Add(50*time.Second), "second"),
			reject("", "no such source", minute, "none"),
		}))
		require.NoError(t, s.AddRejections(t.Context(), []providers.Rejection{
			reject("stripe", "stale", minute, "third"), reject("stripe", "stale", minute.Add(time.Minute), "next minute"),
		}))
		require.NoError(t, s.AddRejections(t.Context(), nil))
		rows, err := s.Rejections(t.Context(), store.RejectionFilter{Source: "stripe"})
		require.NoError(t, err)
		require.Equal(t, []store.RejectionRow{
			{Source: "stripe", Reason: "stale", Minute: minute.Add(time.Minute), Count: 2, RemoteAddr: "192.0.2.1",
				Method: "POST", Path: "/webhooks/stripe", Detail: "next minute", Excerpt: "{"},
			{Source: "stripe", Reason: "stale", Minute: minute, Count: 6, RemoteAddr: "192.0.2.1",
				Method: "POST", Path: "/webhooks/stripe", Detail: "first", Excerpt: "{"},
		}, rows)
		rows, err = s.Rejections(t.Context(), store.RejectionFilter{Reason: "no such source", Limit: 1})
		require.NoError(t, err)
		require.Len(t, rows, 1)
	},
	"a hostile sample is stored all the same, cut": func(t *testing.T, s *store.Store) {
		long := make([]byte, 10000)
		for i := range long {
			long[i] = byte(i)
		}
		text := string(long)
		require.NoError(t, s.AddRejections(t.Context(), []providers.Rejection{{Source: text, Reason: text, Minute: time.Now(), Count: 1,
			RemoteAddr: text, Method: text, Path: text, Detail: text, Excerpt: text}}))
		rows, err := s.Rejections(t.Context(), store.RejectionFilter{})
		require.NoError(t, err)
		require.LessOrEqual(t, len(rows[0].Detail), 4096)
	},
}
