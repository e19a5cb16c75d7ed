package store

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store/storetest/pgtest"
	"github.com/surehook/surehook/providers"
)

// statementLogged finds the statements in the log of a server that writes down
// all of them.
var statementLogged = regexp.MustCompile(`LOG:  (?:statement|execute [^:]*): \s*(\w+)`)

// A change that raises these figures makes every event dearer.
func TestAnEventCostsThreeStatementsAloneAndFewerAmongOthers(t *testing.T) {
	server := pgtest.Start(t, pgtest.Options{Settings: []string{"log_statement=all"}})
	ctx := t.Context()
	s, err := Open(ctx, Config{URL: server.Database(t), MaxConns: minConns})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.NoError(t, s.Migrate(ctx))
	cost := func(what string, statements int, do func()) {
		t.Helper()
		before := len(statementLogged.FindAllString(server.Log(t), -1))
		do()
		logged := statementLogged.FindAllString(server.Log(t), -1)[before:]
		require.Len(t, logged, statements, "%s: %q", what, logged)
	}
	accept := func(n int) []providers.Accepted {
		t.Helper()
		var events []providers.Received
		for range n {
			events = append(events, benchmarkEvent([]byte("{}")))
		}
		accepted, err := s.Accept(ctx, events)
		require.NoError(t, err)
		return accepted
	}
	sync := func(ev providers.EventRef, object providers.Object) {
		t.Helper()
		claim, err := s.Claim(ctx, ev)
		require.NoError(t, err)
		_, err = s.Save(ctx, providers.Save{Event: ev, Claim: claim, Object: object, Origin: providers.OriginFetch, Finish: true, RunID: "run"})
		require.NoError(t, err)
	}
	state := providers.Object{State: []byte(`{"v":1}`)}

	accept(1) // the first one prepares the statement
	var one, many []providers.Accepted
	cost("accepting one", 1, func() { one = accept(1) })
	cost("accepting many", 1, func() { many = accept(50) })
	cost("a first state", 2, func() { sync(one[0].EventRef, state) })
	cost("a tombstone", 2, func() { sync(many[0].EventRef, providers.Object{Deleted: true}) })
	cost("marking many", 1, func() {
		var started []providers.Started
		for _, ev := range many {
			started = append(started, providers.Started{Source: ev.Source, ID: ev.ID, WorkflowID: ev.Source + "/" + ev.ID, RunID: "run"})
		}
		require.NoError(t, s.MarkStarted(ctx, started))
	})
	cost("a covered event", 2, func() {
		claim, err := s.Claim(ctx, many[1].EventRef)
		require.NoError(t, err)
		require.False(t, claim.Covered)
		_, err = s.Cover(ctx, providers.Save{Event: many[1].EventRef, Finish: true})
		require.NoError(t, err)
	})
	cost("a save that another one has overtaken", 1+5+1+5, func() {
		ev := many[2].EventRef
		claim, err := s.Claim(ctx, ev)
		require.NoError(t, err)
		payload := providers.Save{Event: ev, Object: state, Origin: providers.OriginPayload}
		_, err = s.Save(ctx, payload)
		require.NoError(t, err)
		_, err = s.Save(ctx, providers.Save{Event: ev, Claim: claim, Object: state, Origin: providers.OriginFetch, Finish: true})
		require.NoError(t, err)
	})
}
