//go:build unix

package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

// sendTimeout is how long a sender waits for an answer, as GitHub does.
const sendTimeout = 10 * time.Second

// letter is one signed event, ready to be posted.
type letter struct {
	source string
	event  sandbox.Event
	req    providers.Request
}

// name is that of the event.
func (l letter) name() string { return l.source + "/" + l.event.ID }

// letters lets n things happen at the platforms and signs their events, which
// have to be sent within five minutes. In turn: a paid invoice, whose workflow
// notifies the receiver; a change of one of a few customers, so that events
// share an object; a payment; a pull request.
func (s *stage) letters(n int) []letter {
	s.t.Helper()
	const customers = 50
	shared := make([]providers.Ref, min(n, customers))
	for i := range shared {
		ref, err := s.sandbox.Platform("stripe").Create("customer", nil)
		require.NoError(s.t, err)
		shared[i] = ref
	}
	letters := make([]letter, n)
	for i := range letters {
		switch i % 4 {
		case 0:
			letters[i] = s.letter("stripe", "invoice.paid")
		case 1:
			letters[i] = s.letter("stripe", "customer.updated", sandbox.On(shared[i/4%len(shared)]),
				sandbox.Set(map[string]any{"description": fmt.Sprintf("change %d", i)}))
		case 2:
			letters[i] = s.letter("stripe", "payment_intent.succeeded")
		case 3:
			letters[i] = s.letter("github", "pull_request")
		}
	}
	return letters
}

// payments are n letters of the size that most webhooks have, about 2 kB.
func (s *stage) payments(n int) []letter {
	s.t.Helper()
	letters := make([]letter, n)
	for i := range letters {
		letters[i] = s.letter("stripe", "payment_intent.succeeded")
	}
	return letters
}

func (s *stage) letter(source, typ string, options ...sandbox.Option) letter {
	s.t.Helper()
	p := s.platform(source)
	ev, err := p.Trigger(s.t.Context(), typ, append(options, sandbox.Undelivered())...)
	require.NoError(s.t, err)
	req, err := p.Request(ev.ID)
	require.NoError(s.t, err)
	return letter{source: source, event: ev, req: req}
}

// burst posts letters over a number of connections and says what was answered.
type burst struct {
	url         string
	connections int
	// atAck is called by one connection, while the others go on, as soon as so
	// many letters have been acknowledged.
	acks  int
	atAck func()
}

// outcome is what became of a burst.
type outcome struct {
	acked     []letter
	statuses  map[int]int // answers by status, 0 for none
	err       error       // one that stood for no answer
	latencies []time.Duration
	took      time.Duration
}

func (o outcome) String() string {
	at := func(share float64) time.Duration {
		if len(o.latencies) == 0 {
			return 0
		}
		return o.latencies[int(share*float64(len(o.latencies)-1))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("%d acknowledged in %v (%.0f/s), p50 %v, p99 %v, max %v, answers %v, %v",
		len(o.acked), o.took.Round(time.Millisecond), float64(len(o.acked))/o.took.Seconds(), at(0.5), at(0.99), at(1), o.statuses, o.err)
}

// send posts each letter once. A letter is acknowledged when its 2xx has been
// read to the end.
func (b burst) send(ctx context.Context, letters []letter) outcome {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost, transport.MaxIdleConns = b.connections, b.connections, b.connections
	defer transport.CloseIdleConnections()
	poster := &http.Client{Transport: transport, Timeout: sendTimeout}

	o := outcome{statuses: map[int]int{}}
	var mu sync.Mutex
	var next atomic.Int64
	var connections sync.WaitGroup
	began := time.Now()
	for range b.connections {
		connections.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(letters)); i = next.Add(1) - 1 {
				sent := time.Now()
				status, err := b.post(ctx, poster, letters[i])
				took := time.Since(sent)
				mu.Lock()
				acks := o.add(letters[i], status, err, took)
				mu.Unlock()
				if status/100 == 2 && acks == b.acks {
					b.atAck()
				}
			}
		})
	}
	connections.Wait()
	o.took = time.Since(began)
	slices.Sort(o.latencies)
	return o
}

// add counts one answer and returns the number of acknowledgements.
func (o *outcome) add(l letter, status int, err error, took time.Duration) int {
	o.statuses[status]++
	if err != nil {
		o.err = err
	}
	if status/100 == 2 {
		o.acked = append(o.acked, l)
		o.latencies = append(o.latencies, took)
	}
	return len(o.acked)
}

func (b burst) post(ctx context.Context, poster *http.Client, l letter) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/webhooks/"+l.source, bytes.NewReader(l.req.Body))
	if err != nil {
		return 0, err
	}
	req.Header = l.req.Header.Clone()
	resp, err := poster.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}

// requireOnce waits until all letters have been worked off, and asserts that
// each was, once: one row, one run, one effect, and a record that is true.
func (s *stage) requireOnce(acked []letter) {
	s.t.Helper()
	began := time.Now()
	rows := s.untilProcessed(acked)
	took := time.Since(began)
	s.t.Logf("%d events processed %v after the last answer (%.0f/s)", len(acked), took.Round(time.Millisecond), float64(len(acked))/took.Seconds())
	var wrong []string
	for _, l := range acked {
		if l.event.Type == "invoice.paid" {
			r := s.sandbox.Receiver.Receipt(l.name() + "/notify")
			if r.Effects != 1 || r.Conflicts != 0 {
				wrong = append(wrong, fmt.Sprintf("%s took effect %d times, with %d conflicts", l.name(), r.Effects, r.Conflicts))
			}
		}
		wrong = append(wrong, s.untrue(l)...)
	}
	s.requireNone(wrong)
	s.requireOneRunEach(acked, rows)
}

// requireNone fails with a list that would be too long to read.
func (s *stage) requireNone(wrong []string) {
	s.t.Helper()
	const enough = 10
	require.Empty(s.t, wrong[:min(len(wrong), enough)], "%d are wrong", len(wrong))
}

// untilProcessed waits until all letters are, for as long as it goes on, and
// returns the rows of all events by their names.
func (s *stage) untilProcessed(acked []letter) map[string]store.EventRow {
	s.t.Helper()
	var left []string
	before, since := 0, time.Now()
	for tick := time.NewTicker(250 * time.Millisecond); ; <-tick.C {
		pending, processed, err := s.counts()
		// An event that came while the database was away may have no row yet, so
		// that nothing is pending is not enough.
		if err == nil && pending == 0 {
			var all []store.EventRow
			if all, err = s.store.Events(s.t.Context(), store.EventFilter{Limit: 1 << 20}); err == nil {
				rows := map[string]store.EventRow{}
				for _, e := range all {
					rows[e.Source+"/"+e.ID] = e
				}
				require.Len(s.t, rows, len(all), "each event has one row")
				if left = unprocessed(acked, rows); len(left) == 0 {
					return rows
				}
			}
		}
		if processed != before {
			before, since = processed, time.Now()
		}
		if time.Since(since) > standstill {
			s.t.Errorf("nothing has been processed for %s: %d pending, %d processed, %v", standstill, pending, processed, err)
			s.requireNone(left)
			s.t.FailNow()
		}
	}
}

// counts returns how many events are pending and processed.
func (s *stage) counts() (pending, processed int, err error) {
	err = s.db.QueryRowContext(s.t.Context(), `SELECT count(*) FILTER (WHERE status = 'pending'),
		count(*) FILTER (WHERE status = 'processed') FROM events`).Scan(&pending, &processed)
	return pending, processed, err
}

// unprocessed says of each letter that is not processed how it is.
func unprocessed(acked []letter, rows map[string]store.EventRow) []string {
	var left []string
	for _, l := range acked {
		switch e, ok := rows[l.name()]; {
		case !ok:
			left = append(left, l.name()+" is not in the inbox")
		case e.Status != providers.StatusProcessed:
			left = append(left, fmt.Sprintf("%s is %s: %s", l.name(), e.Status, e.Reason))
		}
	}
	return left
}

// untrue says in what a letter's record differs from the platform's object.
func (s *stage) untrue(l letter) []string {
	ref := l.event.Object
	object, ok := s.platform(l.source).Object(ref)
	if !ok {
		return []string{fmt.Sprintf("the platform has no %s", ref)}
	}
	r, err := s.store.Record(s.t.Context(), l.source, ref.Type, ref.ID)
	if err != nil {
		return []string{err.Error()}
	}
	var want, got any
	if err := json.Unmarshal(object.State, &want); err != nil {
		return []string{err.Error()}
	}
	if err := json.Unmarshal(r.State, &got); err != nil {
		return []string{fmt.Sprintf("%s: %v", ref, err)}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return []string{fmt.Sprintf("%s differs: %s", ref, diff)}
	}
	return nil
}

// requireOneRunEach asserts that Temporal ran one workflow for each letter, its
// own or that of a later event about the same object, to its completion, and
// that nothing was run twice: neither a letter nor what was accepted without an
// answer that could be read.
func (s *stage) requireOneRunEach(acked []letter, rows map[string]store.EventRow) {
	s.t.Helper()
	var wrong []string
	assert.Eventually(s.t, func() bool {
		runs, err := s.allRuns()
		if err != nil {
			s.t.Logf("list runs: %v", err)
			return false
		}
		wrong = nil
		for _, l := range acked {
			if is := runs[rows[l.name()].WorkflowID]; len(is) == 0 || is[0] != enums.WORKFLOW_EXECUTION_STATUS_COMPLETED {
				wrong = append(wrong, fmt.Sprintf("%s has the runs %v", l.name(), is))
			}
		}
		for id, is := range runs {
			// After a crash, a joint run may be repeated: what it does for an event that was
			// finished is nothing.
			if len(is) > 1 && !isJoint(id) {
				wrong = append(wrong, fmt.Sprintf("%s was run %d times", id, len(is)))
			}
		}
		return len(wrong) == 0
	}, 2*patience, time.Second) // visibility follows after a moment
	s.requireNone(wrong)
}

// requireJointRuns asserts that so much waited at a time that runs were shared.
func (s *stage) requireJointRuns() {
	s.t.Helper()
	var events, runs int
	err := s.db.QueryRowContext(s.t.Context(), `SELECT count(*), count(DISTINCT workflow_id) FROM events
		WHERE workflow_id LIKE 'stripe/joint/%'`).Scan(&events, &runs)
	require.NoError(s.t, err)
	s.t.Logf("%d events were finished by %d joint runs", events, runs)
	require.NotZero(s.t, events)
}

// allRuns returns the statuses of all runs by workflow ID.
func (s *stage) allRuns() (map[string][]enums.WorkflowExecutionStatus, error) {
	runs := map[string][]enums.WorkflowExecutionStatus{}
	var page []byte
	for {
		list, err := s.client.ListWorkflow(s.t.Context(), &workflowservice.ListWorkflowExecutionsRequest{PageSize: 1000, NextPageToken: page})
		if err != nil {
			return nil, err
		}
		for _, e := range list.GetExecutions() {
			id := e.GetExecution().GetWorkflowId()
			runs[id] = append(runs[id], e.GetStatus())
		}
		if page = list.GetNextPageToken(); len(page) == 0 {
			return runs, nil
		}
	}
}
