//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
)

// The settings of case C: nothing shares a statement with a neighbour, or
// whatever can does.
const (
	oneByOne = "one at a time"
	inBurst  = "in a burst"
)

// What pgserver names its two databases, as a pattern, and who it is there.
const (
	temporalDatabases = "temporal%"
	temporalUser      = "postgres"
)

// What case C counts for each event.
const (
	historyEvents = "history events"
	cloudActions  = "Cloud actions"
	eventsPerRun  = "events of its run"
	ourStatements = "statements"
)

// cost is case C: what an event takes, counted and not timed, so that a busy
// machine changes nothing.
func (st *stack) cost(ctx context.Context, r *caseResult) (err error) {
	g, err := st.newStage(ctx, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	if err := g.serve(ctx); err != nil {
		return err
	}
	for repeat := range st.settings.repeats {
		if err := g.costOf(ctx, r, oneByOne, repeat, g.sendSingly); err != nil {
			return err
		}
		if err := g.costOf(ctx, r, inBurst, repeat, g.sendAll); err != nil {
			return err
		}
	}
	return st.ingressCost(ctx, r)
}

// sendSingly sends a tenth of the events, each when the one before is done.
func (g *stage) sendSingly(ctx context.Context) ([]letter, error) {
	letters, err := g.stack.letters(max(10, g.stack.settings.costEvents/10))
	if err != nil {
		return nil, err
	}
	look, err := g.db.PrepareContext(ctx, "SELECT status = 'processed' FROM events WHERE event_id = $1")
	if err != nil {
		return nil, err
	}
	defer look.Close()
	for i := range letters {
		if _, err := g.send(ctx, 1, letters[i:i+1]); err != nil {
			return nil, err
		}
		if err := untilTrue(ctx, look, letters[i].id); err != nil {
			return nil, err
		}
	}
	return letters, nil
}

func (g *stage) sendAll(ctx context.Context) ([]letter, error) {
	letters, err := g.stack.letters(g.stack.settings.costEvents)
	if err != nil {
		return nil, err
	}
	if _, err := g.send(ctx, endToEndConnections, letters); err != nil {
		return nil, err
	}
	return letters, g.drain(ctx, drainLimit(len(letters)))
}

// costOf counts what a way to send takes, and divides it by the events.
func (g *stage) costOf(ctx context.Context, r *caseResult, setting string, repeat int, send func(context.Context) ([]letter, error)) error {
	if err := g.stack.settle(ctx); err != nil {
		return err
	}
	g.stack.sandbox.Platform("stripe").ResetCalls()
	before, err := g.stack.writtenAheadLog(ctx)
	if err != nil {
		return err
	}
	if _, err := g.stack.admin.ExecContext(ctx, "SELECT pg_stat_statements_reset()"); err != nil {
		return err
	}
	letters, err := send(ctx)
	if err != nil {
		return err
	}
	n := float64(len(letters))
	a := r.of(setting, surehook, repeat)
	if err := g.historyCost(ctx, a, letters); err != nil {
		return err
	}
	// After the histories have been read, all marks of starts are written too.
	after, err := g.stack.writtenAheadLog(ctx)
	if err != nil {
		return err
	}
	if err := g.databaseCost(ctx, a, n); err != nil {
		return err
	}
	a.add("all WAL kB", (after-before)/1000/n)
	a.add("API calls", float64(g.stack.sandbox.Platform("stripe").TotalCalls())/n)
	if repeat == 0 {
		return g.listStatements(ctx, r, setting, n)
	}
	return nil
}

// writtenAheadLog is how many bytes Postgres has written so far.
func (st *stack) writtenAheadLog(ctx context.Context) (float64, error) {
	var bytes float64
	err := st.admin.QueryRowContext(ctx, "SELECT pg_current_wal_lsn() - '0/0'").Scan(&bytes)
	return bytes, err
}

// statementsOf sums what the statements of databases have done.
const statementsOf = `SELECT COALESCE(sum(calls), 0), COALESCE(sum(calls) FILTER (WHERE query !~* '^(begin|commit|rollback)'), 0),
	COALESCE(sum(wal_bytes), 0) FROM pg_stat_statements JOIN pg_database d ON d.oid = dbid JOIN pg_roles u ON u.oid = userid
	WHERE d.datname LIKE $1 AND u.rolname = $2`

func (g *stage) databaseCost(ctx context.Context, a adder, n float64) error {
	var calls, work, wal float64
	if err := g.stack.admin.QueryRowContext(ctx, statementsOf, g.db.name, role).Scan(&calls, &work, &wal); err != nil {
		return fmt.Errorf("count statements: %w", err)
	}
	a.add(ourStatements, work/n)
	a.add("with BEGIN and COMMIT", calls/n)
	a.add("our WAL kB", wal/1000/n)
	if err := g.stack.admin.QueryRowContext(ctx, statementsOf, temporalDatabases, temporalUser).Scan(&calls, &work, &wal); err != nil {
		return fmt.Errorf("count statements: %w", err)
	}
	a.add("Temporal's statements", work/n)
	a.add("Temporal's WAL kB", wal/1000/n)
	return nil
}

func (g *stage) listStatements(ctx context.Context, r *caseResult, setting string, n float64) error {
	for _, of := range []struct{ who, databases, user string }{
		{surehook, g.db.name, role},
		{temporal, temporalDatabases, temporalUser},
	} {
		title := fmt.Sprintf("Statements of %s that took most of the time, %s", of.who, setting)
		l, err := g.stack.statements(ctx, title, of.databases, of.user, n)
		if err != nil {
			return err
		}
		r.Listings = append(r.Listings, l)
	}
	return nil
}

// statements lists those that took most of the time in some databases.
func (st *stack) statements(ctx context.Context, title, databases, user string, n float64) (listing, error) {
	l := listing{Title: title, Header: []string{"per event", "ms each", "WAL bytes each", "statement"}}
	rows, err := st.admin.QueryContext(ctx, `SELECT calls, mean_exec_time, wal_bytes::float8 / calls, query
		FROM pg_stat_statements JOIN pg_database d ON d.oid = dbid JOIN pg_roles u ON u.oid = userid
		WHERE d.datname LIKE $1 AND u.rolname = $2 ORDER BY total_exec_time DESC LIMIT 12`, databases, user)
	if err != nil {
		return l, err
	}
	defer rows.Close()
	for rows.Next() {
		var calls, mean, wal float64
		var query string
		if err := rows.Scan(&calls, &mean, &wal, &query); err != nil {
			return l, err
		}
		l.Rows = append(l.Rows, []string{figure(calls / n), figure(mean), figure(wal), shortened(query)})
	}
	return l, rows.Err()
}

// shortened puts a statement on one line.
func shortened(query string) string {
	const length = 110
	words := strings.Join(strings.Fields(query), " ")
	if len(words) > length {
		words = strings.ToValidUTF8(words[:length], "") + " …"
	}
	return words
}

// historyCost reads the histories of the runs of some of the events. What a run cost
// is divided among all that it was for.
func (g *stage) historyCost(ctx context.Context, a adder, letters []letter) error {
	const sample = 20
	c, err := g.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var events, actions, read, served float64
	for i := 0; i < len(letters); i += max(1, len(letters)/sample) {
		id, shared, err := g.runOf(ctx, letters[i].id)
		if err != nil {
			return err
		}
		history, err := historyOf(ctx, c, id)
		if err != nil {
			return err
		}
		read++
		served += shared
		events += float64(len(history)) / shared
		actions += float64(actionsOf(history)) / shared
	}
	a.add(historyEvents, events/read)
	a.add(cloudActions, actions/read)
	a.add(eventsPerRun, served/read)
	return nil
}

// runOf returns the workflow ID of the run that finished an event, and how many
// events that did.
func (g *stage) runOf(ctx context.Context, event string) (workflowID string, events float64, err error) {
	err = g.db.QueryRowContext(ctx, `SELECT workflow_id, (SELECT count(*) FROM events AS other WHERE other.workflow_id = events.workflow_id)
		FROM events WHERE event_id = $1 AND source = 'stripe'`, event).Scan(&workflowID, &events)
	if err != nil {
		return "", 0, fmt.Errorf("find the run of event %s: %w", event, err)
	}
	return workflowID, events, nil
}

// historyOf waits for the end of a run and returns its history.
func historyOf(ctx context.Context, c client.Client, id string) ([]*historypb.HistoryEvent, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := c.GetWorkflow(ctx, id, "").Get(ctx, nil); err != nil {
		return nil, fmt.Errorf("wait for %s: %w", id, err)
	}
	var events []*historypb.HistoryEvent
	all := c.GetWorkflowHistory(ctx, id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for all.HasNext() {
		e, err := all.Next()
		if err != nil {
			return nil, fmt.Errorf("read history of %s: %w", id, err)
		}
		events = append(events, e)
	}
	return events, nil
}

// actionsOf counts what Temporal Cloud would bill for a run
// (https://docs.temporal.io/cloud/actions): its start; each activity attempt,
// timer, signal and change of search attributes; and the local activities of
// one workflow task together.
func actionsOf(history []*historypb.HistoryEvent) int {
	actions := 0
	local := map[int64]bool{} // workflow tasks with local activities
	for _, e := range history {
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, enumspb.EVENT_TYPE_TIMER_STARTED,
			enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, enumspb.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
			actions++
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED:
			actions += int(e.GetActivityTaskStartedEventAttributes().GetAttempt())
		case enumspb.EVENT_TYPE_MARKER_RECORDED:
			if m := e.GetMarkerRecordedEventAttributes(); m.GetMarkerName() == "LocalActivity" {
				local[m.GetWorkflowTaskCompletedEventId()] = true
			}
		default: // not billed
		}
	}
	return actions + len(local)
}

// benchmarkLine is what `go test -benchmem` prints.
var benchmarkLine = regexp.MustCompile(`(?m)^BenchmarkAccept\S*\s+\d+\s+([\d.]+) ns/op\s+(\d+) B/op\s+(\d+) allocs/op`)

// ingressCost has the ingress's own benchmark count the allocations between
// the request and the inbox.
func (st *stack) ingressCost(ctx context.Context, r *caseResult) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkAccept$", "-benchmem", "-benchtime", "5000x",
		"github.com/surehook/surehook/ingress")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("benchmark of ingress: %w\n%s", err, out)
	}
	found := benchmarkLine.FindSubmatch(out)
	if found == nil {
		return fmt.Errorf("benchmark of ingress printed no figures: %s", out)
	}
	a := r.of("ingress, from the request to the inbox", surehook, 0)
	for i, metric := range []string{"µs", "kB", "allocations"} {
		v, err := strconv.ParseFloat(string(found[i+1]), 64)
		if err != nil {
			return err
		}
		a.add(metric, v/[]float64{1000, 1000, 1}[i])
	}
	return nil
}
