package ingress

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/surehook/surehook/providers"
)

const healthTimeout = 2 * time.Second

func (s *Server) adminServer() *http.Server {
	return AdminServer(s.ready, s.Registry, s.Logger)
}

// AdminServer returns the server for a private address: health, metrics and
// profiles. ready answers /readyz. A process that runs only workers uses it, too.
func AdminServer(ready http.HandlerFunc, registry *prometheus.Registry, logger *slog.Logger) *http.Server {
	router := mux.NewRouter()
	router.HandleFunc("/healthz", healthy).Methods(http.MethodGet, http.MethodHead)
	router.HandleFunc("/readyz", ready).Methods(http.MethodGet, http.MethodHead)
	if registry != nil {
		router.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{})).Methods(http.MethodGet)
	}
	router.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	router.HandleFunc("/debug/pprof/profile", pprof.Profile)
	router.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	router.HandleFunc("/debug/pprof/trace", pprof.Trace)
	router.PathPrefix("/debug/pprof/").HandlerFunc(pprof.Index)
	return &http.Server{
		Handler:           router,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      adminWriteTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// healthy says that the process runs. It looks at nothing else: a restart
// mends neither the database nor Temporal.
func healthy(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readiness is the body of /readyz.
type readiness struct {
	Status   string `json:"status"`   // ready, not ready or draining
	Database string `json:"database"` // ok, unavailable, or not usable (such as an old schema)
	Temporal string `json:"temporal"` // ok or unavailable
}

// ready says whether an event that came now could be made durable: in the
// inbox, or, while the database cannot be reached, in Temporal. So an outage of
// Temporal alone does not take the endpoint away.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	state := readiness{Status: "not ready"}
	// Both at once: one that hangs must not use up the other's time.
	var checks sync.WaitGroup
	checks.Go(func() { state.Database = s.databaseState(ctx) })
	checks.Go(func() { state.Temporal = s.temporalState(ctx) })
	checks.Wait()
	status := http.StatusServiceUnavailable
	switch {
	case s.draining.Load():
		state.Status = "draining"
	case state.Database == "ok", state.Database == "unavailable" && state.Temporal == "ok":
		state.Status, status = "ready", http.StatusOK
	}
	writeJSON(w, status, state)
}

func (s *Server) databaseState(ctx context.Context) string {
	err := s.Inbox.Ping(ctx)
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, providers.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return "unavailable"
	}
	s.Logger.Error("inbox is not usable", "error", err)
	return "not usable"
}

func (s *Server) temporalState(ctx context.Context) string {
	if !s.Relay.reachable(ctx) {
		return "unavailable"
	}
	return "ok"
}
