package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

var recordTests = map[string]func(*testing.T, *store.Store){
	"a fetched state becomes the record and processes the event": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		c := claim(t, s, ev)
		require.EqualValues(t, 1, c.Number)
		require.False(t, c.Covered)
		require.False(t, c.AsOf.Before(ev.ReceivedAt.Truncate(time.Millisecond)))
		sv := fetched(ev, c, `{"v":1}`)
		sv.Object.ETag, sv.Object.UpdatedAt = `"e1"`, time.Date(2026, 1, 1, 0, 0, 0, 1000, time.UTC)
		require.Equal(t, providers.Saved{Ref: ev.Ref, Changed: true}, save(t, s, sv))

		r := record(t, s)
		require.Equal(t, store.RecordRow{Source: "stripe", Object: ev.Ref, State: []byte(`{"v":1}`), Origin: providers.OriginFetch,
			ETag: `"e1"`, UpdatedAt: sv.Object.UpdatedAt, AsOf: c.AsOf, SavedAt: r.SavedAt, ChangedAt: r.SavedAt,
			Changes: 1, EventID: "evt_1"}, r)
		e := row(t, s, "evt_1")
		require.Equal(t, providers.StatusProcessed, e.Status)
		require.True(t, e.Changed)
		require.False(t, e.FinishedAt.IsZero())
		require.True(t, e.DueAt.IsZero())
		require.Equal(t, `"e1"`, claim(t, s, ev).ETag)
	},
	"the platform's bytes are kept exactly": func(t *testing.T, s *store.Store) {
		state := "{ \"b\":1e400, \"a\":\"\\u0000\\ud800 \u00e9\", \"a\":12345678901234567890.10 }\n"
		fetchAndSave(t, s, acceptOne(t, s, "evt_1"), state)
		require.Equal(t, state, string(record(t, s).State))
	},
	"an event that waits for something else stays pending": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		sv := fetched(ev, claim(t, s, ev), `{"v":1}`)
		sv.Finish = false
		require.True(t, save(t, s, sv).Changed)
		require.Equal(t, providers.StatusPending, row(t, s, "evt_1").Status)
		require.True(t, row(t, s, "evt_1").Changed)
	},
	"a save that is repeated still says that it changed the record": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		sv := fetched(ev, claim(t, s, ev), `{"v":1}`)
		require.True(t, save(t, s, sv).Changed)
		refuseSave(t, s, sv) // the same one: its claim is used up
		require.True(t, fetchAndSave(t, s, ev, `{"v":1}`).Changed, "the same event, fetched again")
		require.EqualValues(t, 1, record(t, s).Changes)
	},
	"the same state does not change the record, white space does not either": func(t *testing.T, s *store.Store) {
		fetchAndSave(t, s, acceptOne(t, s, "evt_1"), `{"v":1}`)
		require.False(t, fetchAndSave(t, s, acceptOne(t, s, "evt_2"), `{"v":1}`).Changed)
		require.False(t, fetchAndSave(t, s, acceptOne(t, s, "evt_3"), "{ \"v\" : 1 }\n").Changed)
		require.True(t, fetchAndSave(t, s, acceptOne(t, s, "evt_4"), `{"v":2}`).Changed)
		r := record(t, s)
		require.EqualValues(t, 2, r.Changes)
		require.Equal(t, "evt_4", r.EventID)
		require.False(t, row(t, s, "evt_2").Changed)
	},
	"a fetch does not overwrite what was saved while it was under way": func(t *testing.T, s *store.Store) {
		a, b := acceptOne(t, s, "evt_a"), acceptOne(t, s, "evt_b")
		early, late := claim(t, s, a), claim(t, s, b)
		require.Less(t, early.Number, late.Number)
		require.True(t, save(t, s, fetched(a, early, `{"v":2}`)).Changed)
		// The later claim may still have fetched the earlier state.
		refuseSave(t, s, fetched(b, late, `{"v":1}`))
		require.JSONEq(t, `{"v":2}`, string(record(t, s).State))
		require.Equal(t, providers.StatusPending, row(t, s, "evt_b").Status, "nothing of a refused save is kept")
		require.True(t, fetchAndSave(t, s, b, `{"v":3}`).Changed, "a new claim may")

		slow, fast := acceptOne(t, s, "evt_slow"), acceptOne(t, s, "evt_fast")
		early = claim(t, s, slow)
		require.True(t, fetchAndSave(t, s, fast, `{"v":4}`).Changed)
		refuseSave(t, s, fetched(slow, early, `{"v":3}`))
		require.True(t, claim(t, s, slow).Covered, "what superseded it began after its event was received")
	},
	"a state that the platform calls older does not overwrite a newer one": func(t *testing.T, s *store.Store) {
		at := func(day int, state string) providers.Save {
			ev := acceptOne(t, s, fmt.Sprintf("evt_%d_%s", day, state))
			sv := fetched(ev, claim(t, s, ev), state)
			sv.Object.UpdatedAt = time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC)
			return sv
		}
		save(t, s, at(2, `{"v":2}`))
		require.False(t, save(t, s, at(1, `{"v":1}`)).Changed)
		require.JSONEq(t, `{"v":2}`, string(record(t, s).State))
		require.True(t, save(t, s, at(2, `{"v":3}`)).Changed, "whole seconds: the same time may be another state")
	},
	"a deletion leaves a tombstone with the last state": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		sv := fetched(ev, claim(t, s, ev), `{"v":1}`)
		sv.Object.ETag = "e1"
		save(t, s, sv)
		gone := acceptOne(t, s, "evt_2")
		sv = fetched(gone, claim(t, s, gone), "")
		sv.Object = providers.Object{Ref: gone.Ref, Deleted: true, ETag: "of the answer that says so"}
		require.Equal(t, providers.Saved{Ref: gone.Ref, Changed: true, Deleted: true}, save(t, s, sv))
		r := record(t, s)
		require.True(t, r.Deleted)
		require.False(t, r.DeletedAt.IsZero())
		require.JSONEq(t, `{"v":1}`, string(r.State))
		require.Empty(t, r.ETag, "the platform must not confirm what we no longer show")

		again := acceptOne(t, s, "evt_3")
		sv.Event, sv.Claim = again, claim(t, s, again)
		require.Equal(t, providers.Saved{Ref: gone.Ref, Deleted: true}, save(t, s, sv), "gone already")
		require.Equal(t, r.DeletedAt, record(t, s).DeletedAt)
	},
	"an object that was never seen can be gone": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		sv := fetched(ev, claim(t, s, ev), "")
		sv.Object = providers.Object{Ref: ev.Ref, Deleted: true}
		require.True(t, save(t, s, sv).Changed)
		require.Nil(t, record(t, s).State)
	},
	"an object that comes back revives its record": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		sv := fetched(ev, claim(t, s, ev), `{"v":1}`)
		sv.Object.UpdatedAt = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
		save(t, s, sv)
		gone := sv
		gone.Event, gone.Object = acceptOne(t, s, "evt_2"), providers.Object{Ref: ev.Ref, Deleted: true}
		gone.Claim = claim(t, s, gone.Event)
		save(t, s, gone)
		sv.Event = acceptOne(t, s, "evt_3")
		sv.Claim = claim(t, s, sv.Event)
		sv.Object.UpdatedAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) // restored from a backup
		require.Equal(t, providers.Saved{Ref: ev.Ref, Changed: true}, save(t, s, sv))
		r := record(t, s)
		require.False(t, r.Deleted)
		require.True(t, r.DeletedAt.IsZero())
	},
	"a slow fetch does not revive an object that was deleted since": func(t *testing.T, s *store.Store) {
		ev, gone := acceptOne(t, s, "evt_1"), acceptOne(t, s, "evt_2")
		early := claim(t, s, ev)
		sv := fetched(gone, claim(t, s, gone), "")
		sv.Object = providers.Object{Ref: ev.Ref, Deleted: true}
		save(t, s, sv)
		refuseSave(t, s, fetched(ev, early, `{"v":1}`))
		require.True(t, record(t, s).Deleted)
	},
	"an unmodified object confirms the state and covers earlier events": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		sv := fetched(ev, claim(t, s, ev), `{"v":1}`)
		sv.Object.ETag = "e1"
		save(t, s, sv)
		next := laterTick(t, s, "evt_2")
		require.False(t, claim(t, s, next).Covered)
		confirm := fetched(next, claim(t, s, laterTick(t, s, "evt_3")), "")
		confirm.Object = providers.Object{Ref: ev.Ref, NotModified: true}
		require.Equal(t, providers.Saved{Ref: ev.Ref}, save(t, s, confirm))
		require.Equal(t, providers.StatusProcessed, row(t, s, next.ID).Status)
		r := record(t, s)
		require.Equal(t, confirm.Claim.AsOf, r.AsOf)
		require.JSONEq(t, `{"v":1}`, string(r.State))
		require.Equal(t, "e1", r.ETag)
		require.EqualValues(t, 1, r.Changes)
		require.True(t, claim(t, s, next).Covered)
	},
	"an unmodified object whose record has moved on is to be fetched again": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		sv := fetched(ev, claim(t, s, ev), `{"v":1}`)
		sv.Object.ETag = "e1"
		save(t, s, sv)
		next := acceptOne(t, s, "evt_2")
		confirm := fetched(next, claim(t, s, next), "")
		confirm.Object = providers.Object{Ref: ev.Ref, NotModified: true}
		require.Equal(t, "e1", confirm.Claim.ETag)
		fetchAndSave(t, s, acceptOne(t, s, "evt_3"), `{"v":2}`)
		refuseSave(t, s, confirm)
		require.Equal(t, providers.StatusPending, row(t, s, "evt_2").Status, "nothing of a refused save is kept")

		confirm.Claim = claim(t, s, next) // this state has no validator
		refuseSave(t, s, confirm)         // nothing was asked for that could be unmodified
	},
	"an older payload never overwrites a newer one": func(t *testing.T, s *store.Store) {
		older, newer := acceptOne(t, s, "evt_1"), acceptOne(t, s, "evt_2")
		require.True(t, older.ReceivedAt.Before(newer.ReceivedAt))
		require.True(t, save(t, s, payload(newer, `{"v":2}`)).Changed)
		require.False(t, save(t, s, payload(older, `{"v":1}`)).Changed)
		r := record(t, s)
		require.JSONEq(t, `{"v":2}`, string(r.State))
		require.Equal(t, providers.OriginPayload, r.Origin)
		require.Equal(t, newer.ReceivedAt, r.AsOf)
		require.Equal(t, providers.StatusProcessed, row(t, s, "evt_1").Status)
		require.True(t, save(t, s, payload(newer, `{"v":2}`)).Changed, "repeated")
	},
	"a payload does not overwrite a fetch that began after it came": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		after := laterTick(t, s, "evt_2")
		c := claim(t, s, laterTick(t, s, "evt_3"))
		save(t, s, fetched(after, c, `{"v":2}`))
		require.False(t, save(t, s, payload(ev, `{"v":1}`)).Changed)
		require.JSONEq(t, `{"v":2}`, string(record(t, s).State))
	},
	"a fetch does not overwrite a payload that came after it began": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		early := claim(t, s, ev)
		newer := laterTick(t, s, "evt_2")
		save(t, s, payload(newer, `{"v":2}`))
		require.False(t, save(t, s, fetched(ev, early, `{"v":1}`)).Changed)
		require.JSONEq(t, `{"v":2}`, string(record(t, s).State))
	},
	"a payload that was claimed late does not shut out a newer fetch": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		fetch := laterTick(t, s, "evt_2")
		c := claim(t, s, laterTick(t, s, "evt_3"))
		late := payload(ev, `{"v":1}`)
		late.Claim = claim(t, s, ev)
		require.Greater(t, late.Claim.Number, c.Number)
		save(t, s, late)
		require.True(t, save(t, s, fetched(fetch, c, `{"v":2}`)).Changed)
	},
	"an event is covered by a fetch that began after it came": func(t *testing.T, s *store.Store) {
		first := acceptOne(t, s, "evt_1")
		second := laterTick(t, s, "evt_2")
		fetchAndSave(t, s, laterTick(t, s, "evt_3"), `{"v":1}`)
		require.True(t, claim(t, s, first).Covered)
		require.True(t, claim(t, s, second).Covered)
		require.False(t, claim(t, s, laterTick(t, s, "evt_4")).Covered, "it came after the fetch")

		saved, err := s.Cover(t.Context(), providers.Save{Event: second, Finish: true})
		require.NoError(t, err)
		require.Equal(t, providers.Saved{Ref: second.Ref, Covered: true}, saved)
		e := row(t, s, second.ID)
		require.Equal(t, providers.StatusProcessed, e.Status)
		require.True(t, strings.HasPrefix(e.CoveredBy, "evt_3"), e.CoveredBy)
	},
	"an event of the very moment a fetch began is not covered": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		c := claim(t, s, ev)
		save(t, s, fetched(ev, c, `{"v":1}`))
		same := acceptOne(t, s, "evt_2")
		same.ReceivedAt = c.AsOf
		require.False(t, claim(t, s, same).Covered)
		same.ReceivedAt = c.AsOf.Add(-time.Microsecond)
		require.True(t, claim(t, s, same).Covered)
	},
	"a covered event that changed the record before still says so": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		sv := fetched(ev, claim(t, s, ev), `{"v":1}`)
		sv.Finish = false
		save(t, s, sv)
		saved, err := s.Cover(t.Context(), providers.Save{Event: ev})
		require.NoError(t, err)
		require.Equal(t, providers.Saved{Ref: ev.Ref, Changed: true, Covered: true}, saved)
		require.Equal(t, providers.StatusPending, row(t, s, "evt_1").Status)
	},
	"a save notes the run that made it": func(t *testing.T, s *store.Store) {
		for n, finish := range []bool{true, false} {
			ev := acceptOne(t, s, fmt.Sprint("evt_", n))
			sv := fetched(ev, claim(t, s, ev), `{"v":1}`)
			sv.Finish, sv.WorkflowID, sv.RunID = finish, "stripe/joint/1", "run_1"
			save(t, s, sv)
			require.Equal(t, "stripe/joint/1", row(t, s, ev.ID).WorkflowID)
			require.Equal(t, "run_1", row(t, s, ev.ID).RunID)
			started := row(t, s, ev.ID).StartedAt
			require.False(t, started.IsZero())
			require.NoError(t, s.MarkStarted(t.Context(), []providers.Started{{Source: "stripe", ID: ev.ID, WorkflowID: "stripe/" + ev.ID, RunID: "run_1"}}))
			require.Equal(t, started, row(t, s, ev.ID).StartedAt)
		}
	},
	"a run that comes too late does not name itself": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		sv := fetched(ev, claim(t, s, ev), `{"v":1}`)
		sv.WorkflowID, sv.RunID = "stripe/evt_1", "run_1"
		save(t, s, sv)
		_, err := s.Cover(t.Context(), providers.Save{Event: ev, Finish: true, WorkflowID: "stripe/joint/1", RunID: "run_late"})
		require.NoError(t, err)
		e := row(t, s, "evt_1")
		require.Equal(t, "stripe/evt_1", e.WorkflowID)
		require.Equal(t, "run_1", e.RunID)
		require.Empty(t, e.CoveredBy)
	},
	"an event whose fetch was not saved covers nothing": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		claim(t, s, laterTick(t, s, "evt_2"))
		require.False(t, claim(t, s, ev).Covered)
		_, err := s.Record(t.Context(), "stripe", "invoice", "in_1")
		require.ErrorIs(t, err, providers.ErrNotFound, "a claim is no record")
		rows, err := s.Records(t.Context(), store.RecordFilter{})
		require.NoError(t, err)
		require.Empty(t, rows)
	},
	"a reconciliation saves without an event": func(t *testing.T, s *store.Store) {
		ref := providers.EventRef{Source: "stripe", Ref: providers.Ref{Type: "invoice", ID: "in_1"}}
		c := claim(t, s, ref)
		require.False(t, c.Covered)
		require.True(t, save(t, s, fetched(ref, c, `{"v":1}`)).Changed)
		require.False(t, claim(t, s, ref).Covered)
		require.Empty(t, record(t, s).EventID)
		saved, err := s.Cover(t.Context(), providers.Save{Event: ref, Finish: true})
		require.NoError(t, err)
		require.True(t, saved.Covered)
	},
	"an event without an object is only finished": func(t *testing.T, s *store.Store) {
		in := event("evt_1")
		in.Event.Ref = providers.Ref{}
		ev := accept(t, s, in)[0].EventRef
		require.Equal(t, providers.Saved{}, save(t, s, providers.Save{Event: ev, Finish: true}))
		require.Equal(t, providers.StatusProcessed, row(t, s, "evt_1").Status)
		_, err := s.Claim(t.Context(), ev)
		require.ErrorContains(t, err, "names no object")
	},
	"a save for an event that is not there saves nothing": func(t *testing.T, s *store.Store) {
		ev := event("absent").Event
		ref := providers.EventRef{Source: "stripe", ID: "absent", Ref: ev.Ref}
		_, err := s.Save(t.Context(), fetched(ref, claim(t, s, ref), `{"v":1}`))
		require.ErrorIs(t, err, providers.ErrNotFound)
		_, err = s.Record(t.Context(), "stripe", "invoice", "in_1")
		require.ErrorIs(t, err, providers.ErrNotFound)
		_, err = s.Cover(t.Context(), providers.Save{Event: ref, Finish: true})
		require.ErrorIs(t, err, providers.ErrNotFound)
	},
	"what is no state is refused": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		c := claim(t, s, ev)
		for _, state := range []string{"", "{", "{} {}", "\"\xff\""} {
			_, err := s.Save(t.Context(), fetched(ev, c, state))
			require.ErrorContains(t, err, "the state is not JSON")
		}
		_, err := s.Save(t.Context(), fetched(ev, providers.Claim{}, `{}`))
		require.ErrorContains(t, err, "needs a claim")
		_, err = s.Save(t.Context(), providers.Save{Event: ev, Claim: c, Object: providers.Object{State: []byte(`{}`)}})
		require.ErrorContains(t, err, `there is no origin ""`)
		_, err = s.Save(t.Context(), payload(providers.EventRef{Source: "stripe", ID: "evt_1", Ref: ev.Ref}, `{}`))
		require.ErrorContains(t, err, "needs the time")
	},
	"a finished save lifts a park, and an operator's skip stays": func(t *testing.T, s *store.Store) {
		parked, skipped := acceptOne(t, s, "evt_parked"), acceptOne(t, s, "evt_skipped")
		settle(t, s, parked.ID, providers.StatusReview)
		settle(t, s, skipped.ID, providers.StatusIgnored)
		fetchAndSave(t, s, parked, `{"v":1}`)
		fetchAndSave(t, s, skipped, `{"v":2}`)
		e := row(t, s, parked.ID)
		require.Equal(t, providers.StatusProcessed, e.Status)
		require.Empty(t, e.Reason)
		require.Equal(t, providers.StatusIgnored, row(t, s, skipped.ID).Status)
	},
	"claims in parallel are all different, and one that was taken before a save is void": func(t *testing.T, s *store.Store) {
		ev := acceptOne(t, s, "evt_1")
		var mu sync.Mutex
		numbers := map[int64]bool{}
		var saved []int64
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				c, err := s.Claim(context.Background(), ev)
				if err == nil {
					_, err = s.Save(context.Background(), fetched(ev, c, fmt.Sprintf(`{"claim":%d}`, c.Number)))
				}
				mu.Lock()
				defer mu.Unlock()
				numbers[c.Number] = true
				switch {
				case err == nil:
					saved = append(saved, c.Number)
				case !errors.Is(err, providers.ErrSuperseded):
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.Len(t, numbers, 12)
		require.NotEmpty(t, saved)
		require.JSONEq(t, fmt.Sprintf(`{"claim":%d}`, slices.Max(saved)), string(record(t, s).State))
	},
}
