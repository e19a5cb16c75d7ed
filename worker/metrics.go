package worker

import (
	"context"
	"log/slog"
	"slices"
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
}

// byList are the labels of all that is about a list.
var byList = []string{"source", "list"}

// NewMetrics registers the metrics of a worker.
func NewMetrics(registry *prometheus.Registry) *Metrics {
	metrics := promauto.With(registry)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return metrics.NewCounterVec(prometheus.CounterOpts{Name: "surehook_reconcile_" + name, Help: help}, slices.Concat(byList, labels))
	}
	return &Metrics{
		objects:  counter("objects_total", "Objects and events that reconciliations have looked at."),
		repaired: counter("repaired_total", "Records that differed from the platform's state and were repaired: the drift."),
		missed:   counter("missed_events_total", "Events that the platform had and the inbox did not."),
		failed:   counter("failed_total", "Objects and events that could not be asked for."),
		calls:    counter("calls_total", "Calls of the platform's API for reconciliations."),
		runs:     counter("runs_total", "Reconciliations that have ended, by outcome: complete or failed.", "outcome"),
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
func (m *Metrics) Reconciled(source, list string, complete bool) {
	outcome := "failed"
	if complete {
		outcome = "complete"
	}
	m.runs.WithLabelValues(source, list, outcome).Inc()
}

// LastComplete shows when each list was last read to its end, and how long that
// took. It asks the database
// for it, because the runs of a list end in one process and in another, and none
// may have ended since this one began: an alert on the age must not fall silent with
// a restart.
type LastComplete struct {
	// Runs returns the last complete reconciliation of each list.
	Runs   func(context.Context) ([]providers.Reconciliation, error)
	Logger *slog.Logger
}

const lastCompleteTimeout = 2 * time.Second

var (
	completeAt = prometheus.NewDesc("surehook_reconcile_complete_timestamp_seconds",
		"When the last complete reconciliation on a schedule ended.", byList, nil)
	completeSeconds = prometheus.NewDesc("surehook_reconcile_complete_seconds",
		"How long the last complete reconciliation on a schedule took.", byList, nil)
)

// Describe implements prometheus.Collector.
func (LastComplete) Describe(ch chan<- *prometheus.Desc) {
	ch <- completeAt
	ch <- completeSeconds
}

// Collect implements prometheus.Collector. While the database is away there is
// nothing to show.
func (l LastComplete) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lastCompleteTimeout)
	defer cancel()
	runs, err := l.Runs(ctx)
	if err != nil {
		l.Logger.Warn("last reconciliations cannot be read for the metrics", "error", err)
		return
	}
	for _, r := range runs {
		show := func(what *prometheus.Desc, value float64) {
			ch <- prometheus.MustNewConstMetric(what, prometheus.GaugeValue, value, r.Source, r.List)
		}
		show(completeAt, float64(r.FinishedAt.UnixMilli())/1000)
		show(completeSeconds, r.FinishedAt.Sub(r.StartedAt).Seconds())
	}
}
