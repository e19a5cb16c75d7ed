//go:build unix

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/surehook/surehook/internal/sources"
	"github.com/surehook/surehook/providers/all"
	"github.com/surehook/surehook/sandbox"
)

// startSandbox plays the platforms for the sources of the environment.
func startSandbox(env environment) (stop func() error, err error) {
	platforms, err := env.platforms()
	if err != nil {
		return nil, err
	}
	sb, err := sandbox.Open(sandbox.Config{Platforms: platforms, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", strings.TrimPrefix(env.vars["SUREHOOK_SANDBOX_URL"], "http://"))
	if err != nil {
		return nil, fmt.Errorf("listen for the sandbox: %w", err)
	}
	server := &http.Server{Handler: sb, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with Close
	return func() error { return errors.Join(server.Close(), sb.Close()) }, nil
}

func (e environment) platforms() (map[string]sandbox.PlatformConfig, error) {
	declared, err := sources.Load(e.vars["SUREHOOK_CONFIG"], e.lookup)
	if err != nil {
		return nil, err
	}
	platforms := map[string]sandbox.PlatformConfig{}
	for _, s := range declared {
		provider, err := all.New(s.Provider, s.API, s.Settings)
		if err != nil {
			return nil, err
		}
		platforms[s.Provider] = sandbox.PlatformConfig{
			Provider: provider,
			Secrets:  s.Secrets,
			Key:      s.API.Key,
			Target:   "http://" + e.vars["SUREHOOK_LISTEN"] + "/webhooks/" + s.Name,
		}
	}
	return platforms, nil
}
