package worker

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

func TestReconciliationsAreCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry)
	m.ReconciledPage("stripe", "invoice", providers.Tally{Pages: 1, Objects: 100, Missed: 2, Repaired: 3, Failed: 4, Calls: 5})
	m.ReconciledPage("stripe", "invoice", providers.Tally{Objects: 1, Repaired: 1})
	m.Reconciled("stripe", "invoice", true)
	m.Reconciled("stripe", "invoice", false)
	m.Reconciled("stripe", "invoice", false)
	for name, want := range map[string]string{
		"objects_total":       `{list="invoice",source="stripe"} 101`,
		"missed_events_total": `{list="invoice",source="stripe"} 2`,
		"repaired_total":      `{list="invoice",source="stripe"} 4`,
		"failed_total":        `{list="invoice",source="stripe"} 4`,
		"calls_total":         `{list="invoice",source="stripe"} 5`,
	} {
		require.Contains(t, shown(t, registry), "surehook_reconcile_"+name+want+"\n")
	}
	require.Contains(t, shown(t, registry), `surehook_reconcile_runs_total{list="invoice",outcome="complete",source="stripe"} 1`)
	require.Contains(t, shown(t, registry), `surehook_reconcile_runs_total{list="invoice",outcome="failed",source="stripe"} 2`)
}

func TestTheLastCompleteReconciliationIsReadFromTheDatabase(t *testing.T) {
	var away error
	ended := time.Unix(1_700_000_000, 500_000_000)
	registry := prometheus.NewRegistry()
	registry.MustRegister(LastComplete{Logger: slog.New(slog.DiscardHandler), Runs: func(context.Context) ([]providers.Reconciliation, error) {
		return []providers.Reconciliation{{Source: "stripe", List: "invoice", StartedAt: ended.Add(-1500 * time.Millisecond), FinishedAt: ended}}, away
	}})
	require.Contains(t, shown(t, registry), `surehook_reconcile_complete_timestamp_seconds{list="invoice",source="stripe"} 1.7000000005e+09`)
	require.Contains(t, shown(t, registry), `surehook_reconcile_complete_seconds{list="invoice",source="stripe"} 1.5`)

	away = errors.New("database unavailable")
	require.Empty(t, shown(t, registry), "and the other metrics are still shown")
}

// shown is what /metrics shows.
func shown(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, answer.Code)
	return answer.Body.String()
}
