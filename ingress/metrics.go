package ingress

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/surehook/surehook/providers"
)

// serverMetrics are the metrics of requests. Their labels come from the
// configuration and from constants, never from a request, so that nobody
// outside can make them grow.
type serverMetrics struct {
	requests          *prometheus.CounterVec
	seconds           *prometheus.HistogramVec
	events            *prometheus.CounterVec
	inline            *prometheus.CounterVec
	bytesInFlight     prometheus.Gauge
	rejectionsDropped prometheus.Counter
}

// A nil registry makes metrics that nobody reads.
func newServerMetrics(registry *prometheus.Registry) *serverMetrics {
	metrics := promauto.With(registerer(registry))
	return &serverMetrics{
		requests: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "surehook_requests_total",
			Help: "Requests by source and outcome: accepted, duplicate, handshake, or the reason of a rejection.",
		}, []string{"source", "outcome"}),
		seconds: metrics.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "surehook_request_seconds",
			Help:    "Time from a request's head to its answer, by source.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"source"}),
		events: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "surehook_events_total",
			Help: "Accepted events by source and the status they were stored with, or duplicate.",
		}, []string{"source", "status"}),
		inline: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "surehook_events_inline_total",
			Help: "Events that were accepted by Temporal alone because the database was away.",
		}, []string{"source"}),
		bytesInFlight: metrics.NewGauge(prometheus.GaugeOpts{
			Name: "surehook_body_bytes_in_flight",
			Help: "Memory held for the bodies of requests in progress.",
		}),
		rejectionsDropped: metrics.NewCounter(prometheus.CounterOpts{
			Name: "surehook_rejections_dropped_total",
			Help: "Refused requests that are in no rejection because the database was away for too long.",
		}),
	}
}

func (m *serverMetrics) answered(source, outcome string, took time.Duration) {
	m.requests.WithLabelValues(source, outcome).Inc()
	m.seconds.WithLabelValues(source).Observe(took.Seconds())
}

func (m *serverMetrics) accepted(events []providers.Accepted) {
	for _, ev := range events {
		status := string(ev.Status)
		if ev.Duplicate {
			status = statusDuplicate
		}
		m.events.WithLabelValues(ev.Source, status).Inc()
	}
}

// relayMetrics are the metrics of the way from the inbox to Temporal.
type relayMetrics struct {
	starts      *prometheus.CounterVec
	seconds     prometheus.Histogram
	queued      prometheus.Gauge
	left        prometheus.Counter
	swept       prometheus.Counter
	coalesced   prometheus.Counter
	joined      prometheus.Counter
	breakerOpen prometheus.Gauge
}

func newRelayMetrics(registry *prometheus.Registry) *relayMetrics {
	metrics := promauto.With(registerer(registry))
	return &relayMetrics{
		starts: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "surehook_relay_calls_total",
			Help: "Calls of Temporal by outcome: started, already_started, signaled, checked, refused (the event's fault), failed (Temporal's).",
		}, []string{"outcome"}),
		seconds: metrics.NewHistogram(prometheus.HistogramOpts{
			Name:    "surehook_relay_call_seconds",
			Help:    "Time of one call of Temporal.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
		queued: metrics.NewGauge(prometheus.GaugeOpts{
			Name: "surehook_relay_queued",
			Help: "Events that wait in memory for a call of Temporal.",
		}),
		left: metrics.NewCounter(prometheus.CounterOpts{
			Name: "surehook_relay_left_to_sweep_total",
			Help: "Events that found the queue full, or gave up their place in it, and wait in the inbox for the sweep.",
		}),
		coalesced: metrics.NewCounter(prometheus.CounterOpts{
			Name: "surehook_relay_coalesced_total",
			Help: "Events left to a newer one about the same object.",
		}),
		joined: metrics.NewCounter(prometheus.CounterOpts{
			Name: "surehook_relay_joined_total",
			Help: "Events that share a joint run with events about other objects.",
		}),
		swept: metrics.NewCounter(prometheus.CounterOpts{
			Name: "surehook_relay_swept_total",
			Help: "Pending events that the sweep found in the inbox.",
		}),
		breakerOpen: metrics.NewGauge(prometheus.GaugeOpts{
			Name: "surehook_relay_breaker_open",
			Help: "1 while Temporal cannot be reached and accepted events wait in the inbox.",
		}),
	}
}

// registerer avoids an interface that holds a nil pointer.
func registerer(registry *prometheus.Registry) prometheus.Registerer {
	if registry == nil {
		return nil
	}
	return registry
}
