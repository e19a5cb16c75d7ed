package activities_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// books is a world with a platform that can list, and with a table of
// reconciliations.
type books struct {
	*world

	starts []providers.ReconciliationStart
	row    providers.Reconciliation
	asked  []providers.ListQuery
	pages  map[string]providers.Page // by their cursors
	stale  int                       // how many of the next calls find the cursor too old

	differing []providers.Ref
	unseen    []providers.Ref
	since     time.Time     // that Unseen was asked for
	after     providers.Ref // that Unseen was asked for
	inbox     []string      // the events that it has

	fetchErrs map[string]error // by the object's ID
	fetched   []string
	saved     []providers.ReconciledPage
	ended     map[int64]string

	counted  providers.Tally
	outcomes []bool
}

func newBooks(t *testing.T) *books {
	b := &books{
		world:     newWorld(t),
		row:       providers.Reconciliation{ID: 7, Source: "stripe", List: "invoice", StartedAt: began, Until: began},
		pages:     map[string]providers.Page{},
		fetchErrs: map[string]error{},
		ended:     map[int64]string{},
	}
	b.a.Reconciliations, b.a.Records, b.a.Inbox, b.a.Meter = b, b, b, b
	b.a.Sources["stripe"] = activities.Source{
		Provider: library{b}, Limiter: b.world, Background: background{b},
		Reception: providers.Reception{
			Source: "stripe", Provider: library{b}, Accept: []string{"invoice.*"}, Other: providers.StatusIgnored,
			WorkflowID: func(source, id string) string { return source + "/" + id },
		},
	}
	b.a.Sources["generic"] = activities.Source{Provider: platform{b.world}, Limiter: b.world, Background: background{b}}
	return b
}

var position = activities.ReconcilePosition{ID: 7, Source: "stripe", List: "invoice", Since: began.Add(-time.Hour)}

func (b *books) page(at activities.ReconcilePosition) (next activities.ReconcilePosition, err error) {
	b.t.Helper()
	v, err := b.env.ExecuteActivity(b.a.ReconcilePage, at)
	if err != nil {
		return next, err
	}
	require.NoError(b.t, v.Get(&next))
	return next, nil
}

func (b *books) BeginReconciliation(_ context.Context, start providers.ReconciliationStart) (providers.Reconciliation, error) {
	b.starts = append(b.starts, start)
	return b.row, b.call("begin")
}
func (b *books) Now(context.Context) (time.Time, error) { return began.Add(time.Minute), b.call("now") }
func (b *books) Differing(_ context.Context, _ string, asOf time.Time, _ []providers.Listed) ([]providers.Ref, error) {
	require.Equal(b.t, began.Add(time.Minute), asOf)
	return b.differing, b.call("differing")
}
func (b *books) MissingEvents(_ context.Context, _ string, ids []string) ([]string, error) {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(b.inbox, id) }), b.call("missing")
}
func (b *books) Unseen(_ context.Context, _ string, since time.Time, after providers.Ref, limit int) ([]providers.Ref, error) {
	b.since, b.after = since, after
	return b.unseen[:min(limit, len(b.unseen))], b.call("unseen")
}
func (b *books) SaveReconciledPage(_ context.Context, p providers.ReconciledPage) error {
	b.saved = append(b.saved, p)
	return b.call("page saved")
}
func (b *books) EndReconciliation(_ context.Context, id int64, problem string) error {
	b.ended[id] = problem
	return b.call("end")
}

func (b *books) Save(ctx context.Context, s providers.Save) (providers.Saved, error) {
	if s.Reconciliation != 0 {
		b.differing = slices.DeleteFunc(slices.Clone(b.differing), func(r providers.Ref) bool { return r == s.Event.Ref })
	}
	return b.world.Save(ctx, s)
}

func (b *books) Accept(_ context.Context, events []providers.Received) (rows []providers.Accepted, err error) {
	b.accepted = append(b.accepted, events...)
	for _, e := range events {
		rows = append(rows, providers.Accepted{
			EventRef: providers.EventRef{ID: e.Event.ID}, Status: e.Status, Duplicate: slices.Contains(b.inbox, e.Event.ID),
		})
		b.inbox = append(b.inbox, e.Event.ID)
	}
	return rows, b.call("accept")
}

func (b *books) ReconciledPage(source, list string, done providers.Tally) {
	require.Equal(b.t, "stripe", source)
	require.NotEmpty(b.t, list)
	b.counted = b.counted.Plus(done)
}

func (b *books) Reconciled(_, _ string, complete bool) {
	b.outcomes = append(b.outcomes, complete)
}

type background struct{ b *books }

func (background) Allow() bool { panic("a local activity never runs in the background") }
func (l background) Wait(ctx context.Context) error {
	_ = l.b.call("wait in the background")
	return ctx.Err()
}

// library is a platform that can list.
type library struct{ b *books }

func (l library) Verify(r providers.Request, s providers.Secrets) error {
	return platform{l.b.world}.Verify(r, s)
}
func (l library) Sign(r *providers.Request, s providers.Secrets) error {
	return platform{l.b.world}.Sign(r, s)
}
func (l library) Events(r providers.Request) ([]providers.Event, error) {
	typ := "invoice.paid"
	if string(r.Body) == "other" {
		typ = "customer.created"
	}
	return []providers.Event{{ID: r.Header.Get("Id"), Type: typ}}, nil
}
func (l library) Lists() []providers.List {
	return []providers.List{{Name: "events"}, {Name: "invoice"}}
}
func (l library) List(_ context.Context, q providers.ListQuery) (providers.Page, error) {
	l.b.asked = append(l.b.asked, q)
	if l.b.stale > 0 {
		l.b.stale--
		return providers.Page{}, fmt.Errorf("list: %w", providers.ErrStaleCursor)
	}
	return l.b.pages[q.Cursor], l.b.call("list")
}
func (l library) Fetch(_ context.Context, q providers.FetchQuery) (providers.Object, error) {
	l.b.fetched = append(l.b.fetched, q.Ref.ID)
	if l.b.panics != nil && q.Ref.ID == "in_bad" {
		panic(l.b.panics)
	}
	return providers.Object{Ref: q.Ref, State: []byte(`{}`)}, errors.Join(l.b.fetchErrs[q.Ref.ID], l.b.call("fetch"))
}

func invoices(ids ...string) (refs []providers.Ref) {
	for _, id := range ids {
		refs = append(refs, providers.Ref{Type: "invoice", ID: id})
	}
	return refs
}

func listed(id, body string, err error) providers.ListedEvent {
	return providers.ListedEvent{ID: id, Request: func(context.Context) (providers.Request, error) {
		return providers.Request{Header: map[string][]string{"Id": {id}, "Cookie": {"c"}}, Body: []byte(body)}, err
	}}
}

func TestBeginReconciliationHandsOnWhatWasAskedForAndReturnsWhereItStands(t *testing.T) {
	b := newBooks(t)
	b.row.Since, b.row.Mark, b.row.Cursor, b.row.Tally = began.Add(-time.Hour), "m", "c", providers.Tally{Pages: 3}
	v, err := b.env.ExecuteActivity(b.a.BeginReconciliation, activities.ReconcileStart{
		Source: "stripe", List: "invoice", LookbackSeconds: 60, Backfill: true, Since: began, By: "ann", Reason: "new", RunID: "first",
	})
	require.NoError(t, err)
	var at activities.ReconcilePosition
	require.NoError(t, v.Get(&at))
	require.Equal(t, []providers.ReconciliationStart{{
		Source: "stripe", List: "invoice", Backfill: true, Since: began, Lookback: time.Minute,
		WorkflowID: "default-test-workflow-id", RunID: "first", By: "ann", Reason: "new",
	}}, b.starts)
	require.Equal(t, activities.ReconcilePosition{
		ID: 7, Source: "stripe", List: "invoice", Since: b.row.Since, Mark: "m", Cursor: "c", Done: b.row.Tally,
	}, at)
}

func TestWhatOneRunHasLeftOutKeepsTheOneThatGoesOnWithItFromBeingComplete(t *testing.T) {
	for _, incomplete := range []bool{true, false} {
		b := newBooks(t)
		b.row.Incomplete, b.row.Error = incomplete, "fetch invoice/in_1: status 500"
		v, err := b.env.ExecuteActivity(b.a.BeginReconciliation, activities.ReconcileStart{Source: "stripe", List: "invoice"})
		require.NoError(t, err)
		var at activities.ReconcilePosition
		require.NoError(t, v.Get(&at))
		require.Equal(t, incomplete, at.Problem == b.row.Error, "what can never be asked for does not matter")
	}
}

func TestBeginReconciliationRefusesWhatCannotBeRead(t *testing.T) {
	for name, start := range map[string]activities.ReconcileStart{
		"a source that is gone":       {Source: "gone", List: "invoice"},
		"a list that nobody has":      {Source: "stripe", List: "unicorns"},
		"a platform without lists":    {Source: "generic", List: "invoice"},
		"records of one without API":  {Source: "generic", List: providers.Unseen},
		"a list that has lost a name": {Source: "stripe"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t)
			_, err := b.env.ExecuteActivity(b.a.BeginReconciliation, start)
			require.True(t, sorted(t, err).NonRetryable())
			require.Empty(t, b.starts, "no row is left behind")
		})
	}
}

func TestBeginReconciliationWaitsForTheDatabase(t *testing.T) {
	b := newBooks(t)
	b.err["begin"] = providers.ErrUnavailable
	_, err := b.env.ExecuteActivity(b.a.BeginReconciliation, activities.ReconcileStart{Source: "stripe", List: "invoice"})
	require.Equal(t, "Database", sorted(t, err).Type())
}

func TestRecordsNotSeenAreLookedForFromTheRunsOwnBeginning(t *testing.T) {
	for name, c := range map[string]struct {
		start activities.ReconcileStart
		want  time.Time
	}{
		"on a schedule":        {activities.ReconcileStart{LookbackSeconds: 3600}, began.Add(-time.Hour)},
		"from a time":          {activities.ReconcileStart{Backfill: true, Since: began.Add(-time.Minute)}, began.Add(-time.Minute)},
		"whenever it was seen": {activities.ReconcileStart{Backfill: true}, began},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t)
			b.row.List, b.row.Since = providers.Unseen, c.start.Since
			c.start.Source, c.start.List = "stripe", providers.Unseen
			v, err := b.env.ExecuteActivity(b.a.BeginReconciliation, c.start)
			require.NoError(t, err)
			var at activities.ReconcilePosition
			require.NoError(t, v.Get(&at))
			require.Equal(t, c.want, at.Since)
		})
	}
}

func TestAPageIsReadRepairedAndThenSaved(t *testing.T) {
	b := newBooks(t)
	b.differing = invoices("in_2", "in_3")
	b.pages["c1"] = providers.Page{Objects: make([]providers.Listed, 5), Next: "c2", Mark: "later"}
	at := position
	at.Cursor, at.Mark, at.Done = "c1", "m0", providers.Tally{Pages: 1, Objects: 100, Calls: 1}
	next, err := b.page(at)
	require.NoError(t, err)
	require.Equal(t, []providers.ListQuery{{List: "invoice", Since: at.Since, Cursor: "c1", Mark: "m0"}}, b.asked)
	fetch := []string{"claim", "wait in the background", "wait", "fetch", "save"}
	require.Equal(t, slices.Concat(
		[]string{"wait in the background", "wait", "list", "now", "differing"}, fetch, fetch, []string{"page saved"},
	), b.calls, "the clock after the list, the claim before the fetch, and the position last")
	require.Len(t, b.saves, 2)
	require.Equal(t, providers.Save{
		Event: providers.EventRef{Source: "stripe", Ref: invoices("in_2")[0]}, Origin: providers.OriginFetch,
		Object: providers.Object{Ref: invoices("in_2")[0], State: []byte(`{}`)}, Reconciliation: 7,
	}, b.saves[0])
	done := providers.Tally{Pages: 1, Objects: 5, Repaired: 2, Calls: 3}
	require.Equal(t, []providers.ReconciledPage{{ID: 7, After: 1, Next: "c2", Mark: "later", Done: done}}, b.saved)
	want := at
	want.Cursor, want.Checkpoint, want.Done = "c2", "c2", at.Done.Plus(done)
	require.Equal(t, want, next)
	require.Equal(t, done, b.counted)
	require.Empty(t, b.outcomes, "it goes on")
}

func TestTheLastPageEndsTheRun(t *testing.T) {
	b := newBooks(t)
	next, err := b.page(position)
	require.NoError(t, err)
	require.True(t, next.Last)
	require.Equal(t, []bool{true}, b.outcomes)
	require.False(t, b.saved[0].Incomplete)
}

func TestMissedEventsAreJudgedAndPutIntoTheInboxBeforeObjectsAreFetched(t *testing.T) {
	b := newBooks(t)
	b.inbox = []string{"evt_known"}
	b.differing = invoices("in_2")
	b.pages[""] = providers.Page{Events: []providers.ListedEvent{
		listed("evt_new", "", nil), listed("evt_known", "", errors.New("is not asked for")), listed("evt_other", "other", nil),
	}}
	next, err := b.page(position)
	require.NoError(t, err)
	require.Len(t, b.accepted, 2)
	require.Equal(t, "evt_new", b.accepted[0].Event.ID)
	require.Equal(t, providers.StatusPending, b.accepted[0].Status)
	require.Equal(t, "stripe/evt_new", b.accepted[0].WorkflowID)
	require.Empty(t, b.accepted[0].Header["Cookie"])
	require.Equal(t, providers.StatusIgnored, b.accepted[1].Status)
	require.Empty(t, b.accepted[1].WorkflowID)
	require.Less(t, slices.Index(b.calls, "accept"), slices.Index(b.calls, "fetch"), "the fetch covers the event")
	require.EqualValues(t, 2, next.Done.Missed)
	require.EqualValues(t, 3, next.Done.Objects)
}

func TestAnEventThatComesMeanwhileIsNotCountedAsMissed(t *testing.T) {
	b := newBooks(t)
	b.pages[""] = providers.Page{Events: []providers.ListedEvent{{ID: "evt_1", Request: func(context.Context) (providers.Request, error) {
		b.inbox = append(b.inbox, "evt_1")
		return providers.Request{Header: map[string][]string{"Id": {"evt_1"}}}, nil
	}}}}
	next, err := b.page(position)
	require.NoError(t, err)
	require.Zero(t, next.Done.Missed)
}

func TestOneObjectThatCanNeverBeAskedForDoesNotStopARun(t *testing.T) {
	refused := &providers.APIError{Provider: "stripe", Op: "fetch invoice/in_bad", Status: 403, Retry: providers.RetryNever}
	for name, spoil := range map[string]func(*books){
		"its call is refused":   func(b *books) { b.fetchErrs["in_bad"] = refused },
		"there is no such call": func(b *books) { b.fetchErrs["in_bad"] = providers.ErrNotFetchable },
		"it makes us panic":     func(b *books) { b.panics = "card 4242" },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t)
			b.differing = invoices("in_1", "in_bad", "in_3")
			spoil(b)
			next, err := b.page(position)
			require.NoError(t, err)
			require.EqualValues(t, 1, next.Done.Failed)
			require.EqualValues(t, 2, next.Done.Repaired)
			require.NotEmpty(t, b.saved[0].Error)
			require.NotContains(t, b.saved[0].Error, "4242")
			require.False(t, b.saved[0].Incomplete, "looking again would not help")
			require.Equal(t, []bool{true}, b.outcomes)
		})
	}
	t.Run("nor does an event that the platform no longer has", func(t *testing.T) {
		b := newBooks(t)
		b.pages[""] = providers.Page{Events: []providers.ListedEvent{listed("evt_1", "", providers.ErrNotFound), listed("evt_2", "", nil)}}
		next, err := b.page(position)
		require.NoError(t, err)
		require.Equal(t, providers.Tally{Pages: 1, Objects: 2, Missed: 1, Failed: 1, Calls: 3}, next.Done)
	})
}

func TestAKeyThatIsRefusedEndsTheRunBeforeItIsComplete(t *testing.T) {
	b := newBooks(t)
	b.differing = invoices("in_1", "in_2", "in_3")
	b.fetchErrs["in_2"] = &providers.APIError{Provider: "stripe", Op: "fetch invoice/in_2", Status: 401, Retry: providers.RetryNever}
	_, err := b.page(position)
	require.True(t, sorted(t, err).NonRetryable())
	require.Equal(t, []string{"in_1", "in_2"}, b.fetched, "no further call is made with it")
	require.Empty(t, b.saved)
}

func TestWhatCanBeTriedAgainEndsTheAttemptAndMovesNothing(t *testing.T) {
	later := &providers.APIError{Provider: "stripe", Op: "fetch", Status: 429, Retry: providers.RetryLater, After: 42 * time.Second}
	b := newBooks(t)
	b.differing = invoices("in_1", "in_2", "in_3")
	b.fetchErrs["in_2"] = later
	_, err := b.page(position)
	require.Equal(t, "RetryLater", sorted(t, err).Type())
	require.Equal(t, 42*time.Second, sorted(t, err).NextRetryDelay())
	require.Empty(t, b.saved)
	require.Equal(t, providers.Tally{Repaired: 1, Calls: 3}, b.beat, "the next attempt is told")
	require.Equal(t, providers.Tally{Repaired: 1, Calls: 3}, b.counted)

	t.Run("and the next attempt repairs only the rest", func(t *testing.T) {
		delete(b.fetchErrs, "in_2")
		b.fetched = nil
		b.env.SetHeartbeatDetails(earlier(1, b.beat))
		next, err := b.page(position)
		require.NoError(t, err)
		require.Equal(t, []string{"in_2", "in_3"}, b.fetched)
		require.Equal(t, providers.Tally{Pages: 1, Repaired: 3, Calls: 6}, next.Done, "with what the first has done")
		require.Equal(t, providers.Tally{Pages: 1, Repaired: 3, Calls: 6}, b.counted, "each counted once")
	})
}

func TestOurOwnDatabaseIsWaitedForWithoutCounting(t *testing.T) {
	for _, step := range []string{"now", "differing", "claim", "save", "page saved"} {
		t.Run(step, func(t *testing.T) {
			b := newBooks(t)
			b.a.MaxAttempts = 1
			b.differing = invoices("in_1")
			b.err[step] = providers.ErrUnavailable
			_, err := b.page(position)
			require.Equal(t, "Database", sorted(t, err).Type())
			require.False(t, sorted(t, err).NonRetryable())
		})
	}
}

func TestInTheLastAttemptOneObjectThatKeepsFailingDoesNotHideTheOthers(t *testing.T) {
	flaky := &providers.APIError{Provider: "stripe", Op: "fetch invoice/in_2", Status: 500, Retry: providers.RetrySoon}
	b := newBooks(t)
	b.differing = invoices("in_1", "in_2", "in_3")
	b.fetchErrs["in_2"] = flaky
	b.env.SetHeartbeatDetails(earlier(2, providers.Tally{}))
	next, err := b.page(position)
	require.NoError(t, err)
	require.EqualValues(t, 2, next.Done.Repaired)
	require.EqualValues(t, 1, next.Done.Failed)
	require.Equal(t, flaky.Error(), next.Problem)
	require.True(t, b.saved[0].Incomplete, "the next run has to look again")
	require.Equal(t, []bool{false}, b.outcomes)

	t.Run("also when a later page is the last", func(t *testing.T) {
		b := newBooks(t)
		at := position
		at.Problem = "before"
		next, err := b.page(at)
		require.NoError(t, err)
		require.Equal(t, "before", next.Problem)
		require.True(t, b.saved[0].Incomplete)
	})
	t.Run("nor one that we cannot keep", func(t *testing.T) {
		b := newBooks(t)
		b.differing = invoices("in_1", "in_2", "in_3")
		b.fetchErrs["in_2"] = errors.New(`pq: invalid byte sequence for encoding "UTF8": 0x00`)
		_, err := b.page(position)
		require.Equal(t, "Retry", sorted(t, err).Type(), "it is tried again before")
		b.env.SetHeartbeatDetails(earlier(2, providers.Tally{}))
		next, err := b.page(position)
		require.NoError(t, err)
		require.EqualValues(t, 1, next.Done.Failed)
		require.True(t, b.saved[0].Incomplete)
	})
	t.Run("but a platform that is away ends the run", func(t *testing.T) {
		b := newBooks(t)
		for i := range 20 {
			ref := invoices(fmt.Sprint("in_", i))
			b.differing = append(b.differing, ref...)
			b.fetchErrs[ref[0].ID] = flaky
		}
		b.env.SetHeartbeatDetails(earlier(2, providers.Tally{}))
		_, err := b.page(position)
		require.Equal(t, "Exhausted", sorted(t, err).Type())
		require.Len(t, b.fetched, 11)
		require.Empty(t, b.saved)
	})
}

func TestAForgottenCursorBeginsTheListAgainOnce(t *testing.T) {
	at := position
	at.Cursor, at.Mark = "old", "old mark"
	b := newBooks(t)
	b.stale = 1
	b.pages[""] = providers.Page{Next: "new"}
	next, err := b.page(at)
	require.NoError(t, err)
	require.Equal(t, providers.ListQuery{List: "invoice"}, b.asked[1], "everything is read")
	require.True(t, next.Resync)
	require.Equal(t, "new", next.Cursor)
	require.Zero(t, next.Since)
	require.Empty(t, next.Mark)
	require.EqualValues(t, 2, next.Done.Calls)

	b.stale = 1
	_, err = b.page(next)
	require.True(t, sorted(t, err).NonRetryable(), "else it would never end")

	t.Run("and where there was no mark, only its window", func(t *testing.T) {
		b := newBooks(t)
		b.stale = 1
		at := position
		at.Cursor = "old"
		next, err := b.page(at)
		require.NoError(t, err)
		require.Equal(t, providers.ListQuery{List: "invoice", Since: at.Since}, b.asked[1])
		require.Equal(t, at.Since, next.Since)
	})
}

func TestAListThatGoesRoundInCirclesEndsTheRun(t *testing.T) {
	for _, c := range []struct{ before, round int }{{0, 1}, {0, 2}, {1, 1}, {5, 3}, {40, 1}, {3, 40}} {
		b := newBooks(t)
		cursor := func(page int) string {
			if page == 0 {
				return "" // of the first page
			}
			return fmt.Sprint("page ", page)
		}
		first := c.before + 1 // page of the circle
		for page := range first + c.round {
			b.pages[cursor(page)] = providers.Page{Next: cursor(page + 1)}
		}
		b.pages[cursor(first+c.round-1)] = providers.Page{Next: cursor(first)}

		at, err := position, error(nil)
		for err == nil {
			at, err = b.page(at)
			require.LessOrEqual(t, len(b.asked), 3*(first+c.round)+1, "%+v", c)
		}
		require.ErrorContains(t, err, "the list leads back", "%+v", c)
		require.True(t, sorted(t, err).NonRetryable())
		require.Greater(t, len(b.asked), c.before+c.round, "%+v: no page was left out", c)
	}
}

func TestAPageOfRecordsNotSeenIsFetchedObjectByObject(t *testing.T) {
	b := newBooks(t)
	for i := range 250 {
		b.unseen = append(b.unseen, providers.Ref{Type: "invoice", ID: fmt.Sprintf("a/%03d", i)})
	}
	at := position
	at.List, at.Cursor = providers.Unseen, "customer/x/y"
	next, err := b.page(at)
	require.NoError(t, err)
	require.Equal(t, providers.Ref{Type: "customer", ID: "x/y"}, b.after)
	require.Equal(t, at.Since, b.since)
	require.Equal(t, "invoice/a/099", next.Cursor)
	require.Equal(t, providers.Tally{Pages: 1, Objects: 100, Repaired: 100, Calls: 100}, next.Done)
	require.Empty(t, b.asked, "no list is asked for")

	b.unseen = b.unseen[:99]
	next, err = b.page(at)
	require.NoError(t, err)
	require.True(t, next.Last)
}

func TestAStoppingWorkerLeavesThePageToAnother(t *testing.T) {
	b := newBooks(t)
	b.differing = invoices("in_1", "in_2")
	stopping := make(chan struct{})
	close(stopping)
	b.env.SetWorkerStopChannel(stopping)
	_, err := b.page(position)
	require.Equal(t, "Stopping", sorted(t, err).Type())
	require.False(t, sorted(t, err).NonRetryable())
	require.Empty(t, b.fetched)
	require.Empty(t, b.saved)
}

func TestEndReconciliationNotesTheProblem(t *testing.T) {
	b := newBooks(t)
	end := activities.ReconcileEnd{ID: 7, Source: "stripe", List: "invoice", Problem: "key revoked"}
	_, err := b.env.ExecuteActivity(b.a.EndReconciliation, end)
	require.NoError(t, err)
	require.Equal(t, map[int64]string{7: "key revoked"}, b.ended)
	require.Equal(t, []bool{false}, b.outcomes)
}
