package worker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/surehook/surehook/providers"
)

// Metrics counts what the activities do. Its labels come from the configuration,
// so that nothing outside can make them grow.
type Metrics struct {
	objects  *prometheus.CounterVec
	repaired *prometheus.CounterVec
	missed   *prometheus.CounterVec
	failed   *prometheus.CounterVec
	calls    *prometheus.CounterVec
	runs     *prometheus.CounterVec
	seconds  *prometheus.GaugeVec
	complete *prometheus.GaugeVec
}

// NewMetrics registers the metrics of a worker.
func NewMetrics(registry *prometheus.Registry) *Metrics {
	metrics := promauto.With(registry)
	list := []string{"source", "list"}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return metrics.NewCounterVec(prometheus.CounterOpts{Name: "surehook_reconcile_" + name, Help: help}, append(list, labels...))
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return metrics.NewGaugeVec(prometheus.GaugeOpts{Name: "surehook_reconcile_" + name, Help: help}, list)
	}
	return &Metrics{
		objects:  counter("objects_total", "Objects and events that reconciliations have looked at."),
		repaired: counter("repaired_total", "Records that differed from the platform's state and were repaired: the drift."),
		missed:   counter("missed_events_total", "Events that the platform had and the inbox did not."),
		failed:   counter("failed_total", "Objects and events that could not be asked for."),
		calls:    counter("calls_total", "Calls of the platform's API for reconciliations."),
		runs:     counter("runs_total", "Reconciliations that have ended, by outcome: complete or failed.", "outcome"),
		seconds:  gauge("run_seconds", "How long the last reconciliation took that ended in this process."),
		complete: gauge("complete_timestamp_seconds", "When the last complete reconciliation ended, of those that ended in this process."),
	}
}

// ReconciledPage counts a page.
func (m *Metrics) ReconciledPage(source, list string, done providers.Tally) {
	add := func(counter *prometheus.CounterVec, n int64) {
		counter.WithLabelValues(source, list).Add(float64(n))
	}
	add(m.objects, done.Objects)
	add(m.repaired, done.Repaired)
	add(m.missed, done.Missed)
	add(m.failed, done.Failed)
	add(m.calls, done.Calls)
}

// Reconciled counts a run that has ended.
func (m *Metrics) Reconciled(source, list string, complete bool, took time.Duration) {
	outcome := "failed"
	if complete {
		outcome = "complete"
		m.complete.WithLabelValues(source, list).SetToCurrentTime()
	}
	m.runs.WithLabelValues(source, list, outcome).Inc()
	m.seconds.WithLabelValues(source, list).Set(took.Seconds())
}
