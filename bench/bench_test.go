//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"

	deployed "github.com/surehook/surehook/deploy/temporal"
	"github.com/surehook/surehook/providers"
)

func TestLettersAreGenuineEventsOfTheirSize(t *testing.T) {
	w, err := newWriter()
	require.NoError(t, err)
	l, err := w.letter("stripe", "evt_1NG8Du2eZvKYlo2CUI79vXWy", "cus_9s6XKzkNRiz8i3")
	require.NoError(t, err)
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(l.raw)))
	require.NoError(t, err)
	raw, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Len(t, raw, bodyBytes)
	got := providers.Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: raw, ReceivedAt: time.Now()}
	require.NoError(t, w.provider.Verify(got, providers.Secrets{webhookSecret}))
	events, err := w.provider.Events(got)
	require.NoError(t, err)
	require.Equal(t, "evt_1NG8Du2eZvKYlo2CUI79vXWy", events[0].ID)
	require.Equal(t, providers.Ref{Type: "customer", ID: "cus_9s6XKzkNRiz8i3"}, events[0].Ref)

	t.Run("which the yardsticks check and read as well", func(t *testing.T) {
		var stored yardstickRow
		h := yardstickHandler(func(_ context.Context, row yardstickRow) error { stored = row; return nil })
		answer := func(body []byte) int {
			r := httptest.NewRequest(http.MethodPost, "/webhooks/stripe", bytes.NewReader(body))
			r.Header = got.Header
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			return rec.Code
		}
		require.Equal(t, http.StatusUnauthorized, answer(bytes.Replace(raw, []byte("cus_9s6XKzkNRiz8i3"), []byte("cus_0s6XKzkNRiz8i3"), 1)))
		require.Empty(t, stored.ID)
		require.Equal(t, http.StatusOK, answer(raw))
		require.Equal(t, "evt_1NG8Du2eZvKYlo2CUI79vXWy", stored.ID)
		require.Equal(t, "cus_9s6XKzkNRiz8i3", stored.ObjectID)
		require.Equal(t, raw, stored.Body)
	})
}

func TestLoadSendsEachLetterOnceAndCountsEveryAnswer(t *testing.T) {
	var seen atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch n := seen.Add(1); {
		case n%10 == 0:
			w.WriteHeader(http.StatusServiceUnavailable)
		case n%25 == 1:
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	w, err := newWriter()
	require.NoError(t, err)
	letters, err := w.letters("stripe", make([]string, 100))
	require.NoError(t, err)
	o := load{address: server.Listener.Addr().String(), connections: 4, letters: letters}.run(t.Context())
	require.EqualValues(t, 100, seen.Load())
	require.Equal(t, map[int]int{200: 86, 503: 10, 0: 4}, o.statuses)
	require.Len(t, o.acked, 86)
	require.Len(t, o.latencies, 86)
	require.ErrorContains(t, o.check(100), "86 of 100 acknowledged")
}

func TestInsertStatementNumbersItsParameters(t *testing.T) {
	require.True(t, strings.HasSuffix(insertStatement(2),
		"VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12),($13,$14,$15,$16,$17,$18,$19,$20,$21,$22,$23,$24) ON CONFLICT DO NOTHING"))
}

func TestQuantiles(t *testing.T) {
	var ms []time.Duration
	for i := range 100 {
		ms = append(ms, time.Duration(i+1)*time.Millisecond)
	}
	require.Equal(t, 50*time.Millisecond, quantile(ms, 0.5))
	require.Equal(t, 99*time.Millisecond, quantile(ms, 0.99))
	require.Equal(t, time.Millisecond, quantile(ms[:1], 0.99))
	require.Zero(t, quantile(nil, 0.5))
}

func TestActionsAreCountedAsTemporalBillsThem(t *testing.T) {
	event := func(typ enumspb.EventType) *historypb.HistoryEvent { return &historypb.HistoryEvent{EventType: typ} }
	local := func(task int64) *historypb.HistoryEvent {
		return &historypb.HistoryEvent{EventType: enumspb.EVENT_TYPE_MARKER_RECORDED, Attributes: &historypb.HistoryEvent_MarkerRecordedEventAttributes{
			MarkerRecordedEventAttributes: &historypb.MarkerRecordedEventAttributes{MarkerName: "LocalActivity", WorkflowTaskCompletedEventId: task},
		}}
	}
	started := event(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
	completed := event(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED)
	task := event(enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
	secondAttempt := &historypb.HistoryEvent{EventType: enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED, Attributes: &historypb.HistoryEvent_ActivityTaskStartedEventAttributes{
		ActivityTaskStartedEventAttributes: &historypb.ActivityTaskStartedEventAttributes{Attempt: 2},
	}}
	require.Equal(t, 2, actionsOf([]*historypb.HistoryEvent{started, task, local(4), local(4), completed}))
	require.Equal(t, 3, actionsOf([]*historypb.HistoryEvent{started, task, local(4), task, local(8), completed}))
	require.Equal(t, 3, actionsOf([]*historypb.HistoryEvent{started, task, secondAttempt, completed}))
}

func TestReportJudgesTheMedianOfRatiosWithinARepeat(t *testing.T) {
	r := &caseResult{Case: "A", Sizes: map[string]string{}}
	for repeat, rates := range [][2]float64{{80, 100}, {190, 200}, {93, 100}} {
		r.of("64 connections", surehook, repeat).add("acked/s", rates[0])
		r.of("64 connections", group, repeat).add("acked/s", rates[1])
	}
	page := report(results{"A": r})
	require.Contains(t, page, "| A | acked/s at 64 connections, of *group* | ≥ 0.90 | 0.93 (0.80–0.95) | reached |")
	require.Contains(t, page, "| Surehook | 93 (80–190) |")
	require.NotContains(t, page, "p99 at 64 connections", "what was not measured is not judged")
}

func TestGrowthComparesTheLargestInboxWithTheSmallest(t *testing.T) {
	r := &caseResult{Case: "E", Sizes: map[string]string{}}
	r.of("1,000,000 rows", surehook, 0).add("sweep p50 ms", 4)
	r.of("1,000 rows", surehook, 0).add("sweep p50 ms", 2)
	r.of("50,000 rows", surehook, 0).add("sweep p50 ms", 9)
	require.Contains(t, report(results{"E": r}), "| E | sweep p50 ms, 1,000,000 rows of 1,000 rows | ≤ 1.50 | 2 | missed |")
}

func TestResultsSurviveTheirFile(t *testing.T) {
	file := t.TempDir() + "/results.json"
	none, err := readResults(file)
	require.NoError(t, err)
	require.Empty(t, none)
	r := &caseResult{Case: "B", Sizes: map[string]string{"events": "10"}}
	r.of(idle, surehook, 0).addLatencies([]time.Duration{time.Millisecond})
	r.note("seen %d", 1)
	r.note("seen %d", 1)
	require.Len(t, r.Notes, 1)
	require.NoError(t, results{"B": r}.write(file))
	read, err := readResults(file)
	require.NoError(t, err)
	require.Equal(t, r, read["B"])
}

func TestTemporalsConfigurationIsTheDeployedOneAndWhatIsAsked(t *testing.T) {
	want, err := deployed.DynamicConfig()
	require.NoError(t, err)
	require.NotEmpty(t, want)
	s, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, want, s.temporal)

	s, err = parse([]string{"-temporal", "history.visibilityTaskBatchSize=7,b.enabled=true,c.name=some text"}, io.Discard)
	require.NoError(t, err)
	maps.Copy(want, map[string]any{"history.visibilityTaskBatchSize": 7, "b.enabled": true, "c.name": "some text"})
	here, err := json.Marshal(s.temporal)
	require.NoError(t, err)
	there, err := json.Marshal(want)
	require.NoError(t, err)
	require.JSONEq(t, string(there), string(here))
	_, err = parse([]string{"-temporal", "a.rate"}, io.Discard)
	require.ErrorContains(t, err, `"a.rate" is not key=value`)
}
