package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

// reconciled saves a state as a reconciliation does, and returns the record's ref.
func reconciled(t *testing.T, s *store.Store, o providers.Object) providers.Ref {
	t.Helper()
	ev := providers.EventRef{Source: "stripe", Ref: o.Ref}
	save(t, s, providers.Save{Event: ev, Claim: claim(t, s, ev), Object: o, Origin: providers.OriginFetch})
	return o.Ref
}

func invoice(id string) providers.Ref { return providers.Ref{Type: "invoice", ID: id} }

func differing(t *testing.T, s *store.Store, asOf time.Time, listed ...providers.Listed) []providers.Ref {
	t.Helper()
	refs, err := s.Differing(t.Context(), "stripe", asOf, listed)
	require.NoError(t, err)
	return refs
}

var differingTests = map[string]func(*testing.T, *store.Store){
	"what a list shows is compared with the record": func(t *testing.T, s *store.Store) {
		noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
		whole := func(state string, at time.Time) providers.Listed {
			return providers.Listed{Object: providers.Object{State: []byte(state), UpdatedAt: at}}
		}
		part := func(etag string, at time.Time) providers.Listed {
			return providers.Listed{Object: providers.Object{ETag: etag, UpdatedAt: at}, Partial: true}
		}
		gone := providers.Listed{Object: providers.Object{Deleted: true}}
		state := func(etag string, at time.Time) *providers.Object {
			return &providers.Object{State: []byte(`{"v":1}`), ETag: etag, UpdatedAt: at}
		}
		tombstone := &providers.Object{Deleted: true}
		cases := []struct {
			why    string
			record *providers.Object // nil is none
			listed providers.Listed
			want   bool
		}{
			{"there is no record", nil, whole(`{"v":1}`, noon), true},
			{"there is no record of it, and nothing to have one of", nil, gone, false},
			{"a tombstone, and it is there", tombstone, whole(`{"v":1}`, noon), true},
			{"a tombstone, and in part it is there", tombstone, part("e1", noon), true},
			{"a tombstone, and it is gone", tombstone, gone, false},
			{"it is gone", state("", noon), gone, true},
			{"it is gone, says a list that is older", state("", noon), providers.Listed{Object: providers.Object{Deleted: true, UpdatedAt: noon.Add(-time.Hour)}}, true},
			{"the list's is newer", state("", noon), whole(`{"v":1}`, noon.Add(time.Microsecond)), true},
			{"the list's is newer by less than we keep", state("", noon), whole(`{"v":1}`, noon.Add(time.Nanosecond)), false},
			{"the list's is older", state("", noon), whole(`{"v":0}`, noon.Add(-time.Second)), false},
			{"at the same time, the same", state("", noon), whole("{ \"v\": 1 }\n", noon), false},
			{"at the same time, another state", state("", noon), whole(`{"v":2}`, noon), true},
			{"without the list's time, the same", state("", noon), whole(`{"v":1}`, time.Time{}), false},
			{"without the list's time, another state", state("", noon), whole(`{"v":2}`, time.Time{}), true},
			{"without our time, the same", state("", time.Time{}), whole(`{"v":1}`, noon), false},
			{"without our time, another state", state("", time.Time{}), whole(`{"v":2}`, noon), true},
			{"another validator says nothing of a whole state", state("e1", noon),
				providers.Listed{Object: providers.Object{State: []byte(`{"v":1}`), ETag: "e2"}}, false},
			{"in part, the list's is newer", state("e1", noon), part("e1", noon.Add(time.Second)), true},
			{"in part, the list's is older", state("e1", noon), part("e2", noon.Add(-time.Second)), false},
			{"in part, at the same time", state("", noon), part("", noon), false},
			{"in part, at the same time, with another validator", state("e1", noon), part("e2", noon), true},
			{"in part, with the same validator", state("e1", time.Time{}), part("e1", noon), false},
			{"in part, with another validator", state("e1", noon), part("e2", time.Time{}), true},
			{"in part, and we have no validator", state("", noon), part("e1", time.Time{}), true},
			{"in part, and the list has neither", state("e1", noon), part("", time.Time{}), true},
		}
		var listed []providers.Listed
		var want []providers.Ref
		for n, c := range cases {
			ref := invoice(fmt.Sprintf("in_%02d %s", n, c.why))
			if c.record != nil {
				o := *c.record
				o.Ref = ref
				reconciled(t, s, o)
			}
			c.listed.Ref = ref
			listed = append(listed, c.listed)
			if c.want {
				want = append(want, ref)
			}
		}
		require.Equal(t, want, differing(t, s, untilAfter(t, s, now(t, s)), listed...))
	},
	"a state that was fetched in the second of a change is fetched again when that is over": func(t *testing.T, s *store.Store) {
		noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
		fetched := func(id string, asOf time.Time, o providers.Object) providers.Ref {
			o.Ref, o.State = invoice(id), []byte(`{"v":1}`)
			ev := providers.EventRef{Source: "stripe", Ref: o.Ref}
			taken := claim(t, s, ev)
			taken.AsOf = asOf
			save(t, s, providers.Save{Event: ev, Claim: taken, Object: o, Origin: providers.OriginFetch})
			return o.Ref
		}
		shown := func(ref providers.Ref, at time.Time, etag string) providers.Listed {
			return providers.Listed{Object: providers.Object{Ref: ref, UpdatedAt: at, ETag: etag}, Partial: true}
		}
		within := noon.Add(1999 * time.Millisecond)
		early := fetched("in_early", within, providers.Object{UpdatedAt: noon})
		late := fetched("in_late", noon.Add(2*time.Second), providers.Object{UpdatedAt: noon})
		exact := fetched("in_exact", within, providers.Object{UpdatedAt: noon.Add(time.Millisecond)})
		valid := fetched("in_valid", within, providers.Object{UpdatedAt: noon, ETag: "e1"})
		listed := []providers.Listed{
			shown(early, noon, ""), shown(late, noon, ""), shown(exact, noon.Add(time.Millisecond), ""), shown(valid, noon, "e1"),
			{Object: providers.Object{Ref: early, UpdatedAt: noon, State: []byte(`{"v":1}`)}},
		}
		require.Equal(t, []providers.Ref{early}, differing(t, s, now(t, s), listed...))
		require.Empty(t, differing(t, s, now(t, s), listed[4]), "whole states tell the two changes apart")

		fetched("in_early", noon.Add(time.Minute), providers.Object{UpdatedAt: noon})
		require.Empty(t, differing(t, s, now(t, s), listed...), "once")
	},
	"a record that was only claimed differs": func(t *testing.T, s *store.Store) {
		claim(t, s, providers.EventRef{Source: "stripe", Ref: invoice("in_1")})
		l := providers.Listed{Object: providers.Object{Ref: invoice("in_1"), State: []byte(`{}`)}}
		require.Equal(t, []providers.Ref{l.Ref}, differing(t, s, now(t, s), l))
		l.Deleted = true
		require.Empty(t, differing(t, s, now(t, s), l))
	},
	"a record that was fetched after the list had answered does not differ": func(t *testing.T, s *store.Store) {
		asOf := now(t, s)
		untilAfter(t, s, asOf)
		ref := reconciled(t, s, providers.Object{Ref: invoice("in_1"), State: []byte(`{"v":2}`)})
		gone := reconciled(t, s, providers.Object{Ref: invoice("in_2"), Deleted: true})
		old := []providers.Listed{
			{Object: providers.Object{Ref: ref, State: []byte(`{"v":1}`)}},
			{Object: providers.Object{Ref: gone, State: []byte(`{"v":1}`)}},
		}
		require.Empty(t, differing(t, s, asOf, old...))
		require.Equal(t, []providers.Ref{ref, gone}, differing(t, s, untilAfter(t, s, now(t, s)), old...))
	},
	"a payload that came after the list had answered may be older than the list": func(t *testing.T, s *store.Store) {
		asOf := now(t, s)
		untilAfter(t, s, asOf)
		save(t, s, payload(laterTick(t, s, "evt_1"), `{"v":1}`))
		l := providers.Listed{Object: providers.Object{Ref: invoice("in_1"), State: []byte(`{"v":2}`)}}
		require.Equal(t, []providers.Ref{l.Ref}, differing(t, s, asOf, l))
		l.State = []byte(`{"v":1}`)
		require.Empty(t, differing(t, s, asOf, l))
	},
	"an object that a page shows twice is asked for once, in the list's order": func(t *testing.T, s *store.Store) {
		same := reconciled(t, s, providers.Object{Ref: invoice("in_same"), State: []byte(`{"v":1}`)})
		var listed []providers.Listed
		show := func(id, state string) {
			listed = append(listed, providers.Listed{Object: providers.Object{
				Ref: providers.Ref{Type: "invoice", ID: id, Account: "acct_1"}, State: []byte(state)}})
		}
		show("in_b", `{}`)
		show("in_same", `{"v":1}`)
		show("in_a", `{}`)
		show("in_b", `{}`)
		b, a := listed[0].Ref, listed[2].Ref
		asOf := untilAfter(t, s, now(t, s))
		require.Equal(t, []providers.Ref{b, a}, differing(t, s, asOf, listed...), "with the account that the list names")
		show("in_same", `{"v":2}`)
		same.Account = "acct_1"
		require.Equal(t, []providers.Ref{b, a, same}, differing(t, s, asOf, listed...), "one of the two is another state")
	},
	"a page may be of any length, and of nothing": func(t *testing.T, s *store.Store) {
		require.Empty(t, differing(t, s, now(t, s)))
		var listed []providers.Listed
		for n := range 1201 {
			listed = append(listed, providers.Listed{Object: providers.Object{Ref: invoice(fmt.Sprint("in_", n)), State: []byte(`{}`)}})
		}
		reconciled(t, s, listed[1100].Object)
		refs := differing(t, s, untilAfter(t, s, now(t, s)), listed...)
		require.Len(t, refs, 1200)
		require.NotContains(t, refs, listed[1100].Ref)
	},
	"another source's record is another record": func(t *testing.T, s *store.Store) {
		o := providers.Object{Ref: invoice("in_1"), State: []byte(`{}`)}
		reconciled(t, s, o)
		refs, err := s.Differing(t.Context(), "billing", untilAfter(t, s, now(t, s)), []providers.Listed{{Object: o}})
		require.NoError(t, err)
		require.Equal(t, []providers.Ref{o.Ref}, refs)
	},
	"a name that no database can hold spoils nothing": func(t *testing.T, s *store.Store) {
		o := providers.Object{Ref: invoice("in_1"), State: []byte(`{}`)}
		reconciled(t, s, o)
		hostile := providers.Object{Ref: invoice("in_\x00\xff"), State: []byte("\x00")}
		require.Equal(t, []providers.Ref{hostile.Ref},
			differing(t, s, untilAfter(t, s, now(t, s)), providers.Listed{Object: hostile}, providers.Listed{Object: o}))
		missing, err := s.MissingEvents(t.Context(), "stripe", []string{"evt_\x00\xff"})
		require.NoError(t, err)
		require.Equal(t, []string{"evt_\x00\xff"}, missing)
	},
}

var missingTests = map[string]func(*testing.T, *store.Store){
	"events that the inbox does not have are missing, each once, in their order": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_2")
		other := event("evt_3")
		other.Source = "billing"
		accept(t, s, other)
		ignored := event("evt_4")
		ignored.Status = providers.StatusIgnored
		accept(t, s, ignored)
		missing, err := s.MissingEvents(t.Context(), "stripe", []string{"evt_9", "evt_2", "evt_3", "evt_9", "evt_4", "evt_1"})
		require.NoError(t, err)
		require.Equal(t, []string{"evt_9", "evt_3", "evt_1"}, missing)
		missing, err = s.MissingEvents(t.Context(), "stripe", nil)
		require.NoError(t, err)
		require.Empty(t, missing)
	},
	"a page of events may be of any length": func(t *testing.T, s *store.Store) {
		acceptOne(t, s, "evt_1100")
		var listed []string
		for n := range 1201 {
			listed = append(listed, fmt.Sprint("evt_", n))
		}
		missing, err := s.MissingEvents(t.Context(), "stripe", listed)
		require.NoError(t, err)
		require.Len(t, missing, 1200)
		require.NotContains(t, missing, "evt_1100")
	},
}

// unseen walks through the pages of Unseen and returns the IDs.
func unseen(t *testing.T, s *store.Store, since time.Time, limit int) (ids []string) {
	t.Helper()
	var after providers.Ref
	for {
		page, err := s.Unseen(t.Context(), "stripe", since, after, limit)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page), limit)
		for _, ref := range page {
			ids = append(ids, ref.String())
		}
		if len(page) < limit {
			return ids
		}
		after = page[len(page)-1]
	}
}

var unseenTests = map[string]func(*testing.T, *store.Store){
	"fetched records that nothing has shown are unseen, by type and ID": func(t *testing.T, s *store.Store) {
		for _, ref := range []providers.Ref{invoice("in_2"), invoice("in_1"), {Type: "charge", ID: "in_3", Account: "acct_1"}} {
			reconciled(t, s, providers.Object{Ref: ref, State: []byte(`{}`)})
		}
		reconciled(t, s, providers.Object{Ref: invoice("in_gone"), Deleted: true})
		claim(t, s, providers.EventRef{Source: "stripe", Ref: invoice("in_claimed")})
		save(t, s, payload(accept(t, s, about(event("evt_1"), "in_payload"))[0].EventRef, `{}`))
		fetchAndSave(t, s, providers.EventRef{Source: "billing", Ref: invoice("in_other")}, `{}`)
		saved := now(t, s)
		require.Empty(t, unseen(t, s, saved.Add(-time.Minute), 10))
		since := untilAfter(t, s, saved)
		for limit := 1; limit < 5; limit++ {
			require.Equal(t, []string{"charge/in_3", "invoice/in_1", "invoice/in_2"}, unseen(t, s, since, limit), "by %d", limit)
		}
		page, err := s.Unseen(t.Context(), "stripe", since, providers.Ref{}, 1)
		require.NoError(t, err)
		require.Equal(t, []providers.Ref{{Type: "charge", ID: "in_3", Account: "acct_1"}}, page)
		reconciled(t, s, providers.Object{Ref: invoice("in_1"), State: []byte(`{}`)})
		require.Equal(t, []string{"charge/in_3", "invoice/in_2"}, unseen(t, s, since, 10), "a fetch has shown it, as it was")
	},
	"unseen records are found among many that were seen": func(t *testing.T, s *store.Store) {
		var want []string
		first := now(t, s)
		for n := range 40 {
			if n%17 == 3 {
				want = append(want, reconciled(t, s, providers.Object{Ref: invoice(fmt.Sprintf("in_%03d", n)), State: []byte(`{}`)}).String())
			}
		}
		since := untilAfter(t, s, now(t, s))
		for n := range 40 {
			if id := fmt.Sprintf("in_%03d", n); !strings.Contains(fmt.Sprint(want), id) {
				reconciled(t, s, providers.Object{Ref: invoice(id), State: []byte(`{}`)})
			}
		}
		require.Len(t, want, 3)
		require.Equal(t, want, unseen(t, s, since, 2))
		require.Empty(t, unseen(t, s, first, 2))
	},
}
