package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/surehook/surehook/internal/store"
)

// operatorConfig is the configuration of a command that a person runs.
func operatorConfig(cmd *cobra.Command) (environment, config, error) {
	env, err := operatorEnvironment(cmd)
	if err != nil {
		return env, config{}, err
	}
	cfg := env.load(cmd.Context())
	return env, cfg, validate(cfg.unreadable, cfg.Store.Validate(), cfg.Log.Validate())
}

// withStore opens the database that the command is about.
func withStore(cmd *cobra.Command, do func(context.Context, *store.Store) error) error {
	env, cfg, err := operatorConfig(cmd)
	if err != nil {
		return err
	}
	return env.withStore(cmd.Context(), cfg, do)
}

func (environment) withStore(ctx context.Context, cfg config, do func(context.Context, *store.Store) error) error {
	s, err := store.Open(ctx, cfg.Store)
	if err != nil {
		return err
	}
	defer s.Close()
	return do(ctx, s)
}

// runURL is the address of a run in the Temporal Web UI, or empty when it is
// not known where that is.
func (e environment) runURL(cfg config, workflowID, runID string) string {
	opts, err := e.temporalOptions()
	if cfg.WebUI == "" || runID == "" || err != nil {
		return ""
	}
	return fmt.Sprintf("%s/namespaces/%s/workflows/%s/%s", strings.TrimSuffix(cfg.WebUI, "/"),
		url.PathEscape(opts.Namespace), url.PathEscape(workflowID), runID)
}
