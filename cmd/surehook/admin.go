package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/surehook/surehook/ingress"
)

const readyTimeout = 2 * time.Second

// serveAdmin serves the private address of a process without an ingress, until
// ctx ends.
func (s *system) serveAdmin(ctx context.Context) error {
	listener, err := net.Listen("tcp", s.cfg.Ingress.AdminListen)
	if err != nil {
		return fmt.Errorf("listen for admins: %w", err)
	}
	server := ingress.AdminServer(s.workerReady, s.registry, s.logger)
	s.logger.Info("listening", "admin", listener.Addr().String())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case <-ctx.Done():
		return server.Close()
	case err := <-failed:
		return err
	}
}

// workerReady says whether a worker can work: it needs both.
func (s *system) workerReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	_, temporal := s.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
	if err := errors.Join(s.store.Ping(ctx), temporal); err != nil {
		s.logger.Warn("worker is not ready", "error", err)
		http.Error(w, `{"status":"not ready"}`, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, `{"status":"ready"}`)
}
