package integration_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/erasure"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

// everythingInTheDatabase is each value of each column of each table.
func (s *system) everythingInTheDatabase() map[string][]string {
	s.t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(s.databaseURL, "sqlite:")+"?_pragma=busy_timeout(10000)")
	require.NoError(s.t, err)
	defer db.Close()
	all := map[string][]string{}
	for _, table := range texts(s.t, db, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'") {
		for _, column := range texts(s.t, db, "SELECT name FROM pragma_table_info('"+table+"')") {
			all[table+"."+column] = texts(s.t, db, fmt.Sprintf(`SELECT COALESCE(CAST(%s AS TEXT), '') FROM %s`, column, table))
		}
	}
	return all
}

func texts(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var text string
		require.NoError(t, rows.Scan(&text))
		all = append(all, text)
	}
	require.NoError(t, rows.Err())
	return all
}

// columnsWith are those that hold one of the texts.
func (s *system) columnsWith(markers ...string) (columns []string) {
	s.t.Helper()
	for column, values := range s.everythingInTheDatabase() {
		for _, marker := range markers {
			if strings.Contains(strings.Join(values, "\n"), marker) {
				columns = append(columns, column)
				break
			}
		}
	}
	return columns
}

var ticket = erasure.Order{By: "ann", Reason: "ticket 4711"}

func (s *system) find(q erasure.Query) *erasure.Plan {
	s.t.Helper()
	plan, err := erasure.Find(s.t.Context(), s.store, q, func(int64, int64) {})
	require.NoError(s.t, err)
	return plan
}

func (s *system) erase(q erasure.Query, o erasure.Order) erasure.Done {
	s.t.Helper()
	done, err := s.find(q).Erase(s.t.Context(), s.store, o)
	require.NoError(s.t, err)
	return done
}

func TestAPersonIsErasedEverywhere(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	customer := s.trigger(s.stripe, "customer.created", tellTale())
	issue := s.trigger(s.github, "issues", tellTale())
	discussion := s.trigger(s.github, "discussion", tellTale()) // kept as it was sent
	other := s.trigger(s.stripe, "customer.created")
	for source, events := range map[string][]sandbox.Event{"stripe": {customer, other}, "github": {issue, discussion}} {
		for _, ev := range events {
			s.untilStatus(source, ev.ID, providers.StatusProcessed)
		}
	}
	forged := s.request(s.stripe, s.trigger(s.stripe, "customer.created", sandbox.Undelivered()).ID)
	forged.Body = []byte(`{"email":"` + personal[0] + `","phone":"` + personal[2] + `"}`)
	require.Equal(t, http.StatusUnauthorized, s.send("stripe", s.signed(forged, "whsec_wrong", time.Now())).Status)
	s.untilRejected("stripe", "bad_signature", 1)
	s.fail(s.stripe, forbidden)
	parked := s.trigger(s.stripe, "customer.created", tellTale())
	s.untilStatus("stripe", parked.ID, providers.StatusReview)
	s.fail(s.stripe)
	require.ElementsMatch(t, []string{"events.body", "records.state", "rejections.excerpt"}, s.columnsWith(personal...),
		"the story has personal data in it")

	// The address is in all of it, so that one search finds the rest as well.
	query := erasure.Query{Text: strings.ToUpper(personal[0])}
	plan := s.find(query)
	require.ElementsMatch(t, []string{customer.ID, issue.ID, discussion.ID}, heldIDs(plan.Events), "and not that of another one")
	require.Equal(t, []string{parked.ID}, heldIDs(plan.Unfinished))
	require.Len(t, plan.Records, 3)
	require.Len(t, plan.Rejections, 1)
	require.NotEmpty(t, s.columnsWith(personal...), "to find is not to erase")

	done := s.erase(query, ticket)
	require.Len(t, done.Events, 3)
	require.Equal(t, []string{parked.ID}, heldIDs(done.Left), "it still needs its body")
	require.Equal(t, []string{"events.body"}, s.columnsWith(personal...))
	require.NotEmpty(t, s.body("stripe", other.ID), "of another person")
	s.requireTrue(s.stripe, "stripe", other.Object)

	all := ticket
	all.Unfinished = true
	require.Equal(t, []string{parked.ID}, heldIDs(s.erase(query, all).Events))
	require.Empty(t, s.columnsWith(personal...))
	e := s.untilStatus("stripe", parked.ID, providers.StatusFailed)
	require.Equal(t, "erased: ticket 4711", e.Reason)
	require.True(t, s.find(query).Empty())

	erasures, err := s.store.Erasures(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, erasures, 2)
	require.Equal(t, "ann", erasures[1].By)
	require.EqualValues(t, 3, erasures[1].Events)
	require.EqualValues(t, 3, erasures[1].Records)
	require.EqualValues(t, 1, erasures[1].Rejections)
	require.EqualValues(t, 1, erasures[1].Unfinished)

	again := s.post(s.stripe, "stripe", customer.ID)
	require.Contains(t, again.Body, "duplicate")
	s.rest()
	require.Empty(t, s.columnsWith(personal...), "a repeated delivery brings nothing back")
}

func heldIDs(events []store.HeldEvent) (ids []string) {
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestAnErasedObjectComesBackOnlyWithALaterEvent(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.trigger(s.stripe, "customer.created", tellTale())
	s.untilStatus("stripe", ev.ID, providers.StatusProcessed)
	object := erasure.Query{Source: "stripe", Object: ev.Object}
	done := s.erase(object, ticket)
	require.Equal(t, []string{ev.ID}, heldIDs(done.Events))
	require.Len(t, done.States, 1)
	require.Empty(t, s.columnsWith(personal...))
	_, err := s.store.Record(t.Context(), "stripe", ev.Object.Type, ev.Object.ID)
	require.ErrorIs(t, err, providers.ErrNotFound)

	later := s.trigger(s.stripe, "customer.updated", sandbox.On(ev.Object))
	s.untilStatus("stripe", later.ID, providers.StatusProcessed)
	s.requireTrue(s.stripe, "stripe", ev.Object)
}
