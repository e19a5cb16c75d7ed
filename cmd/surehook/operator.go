package main

import (
	"context"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/surehook/surehook/internal/store"
)

// operatorConfig is the configuration of a command that a person runs.
func operatorConfig(cmd *cobra.Command) (environment, config, error) {
	env, err := operatorEnvironment(cmd)
	if err != nil {
		return env, config{}, err
	}
	cfg, err := env.load(cmd.Context())
	if err != nil {
		return env, cfg, err
	}
	return env, cfg, validate(cfg.Store.Validate(), cfg.Log.Validate())
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

// runURL is the address of a run in the Temporal Web UI.
func runURL(base, workflowID, runID string) string {
	return base + "/namespaces/default/workflows/" + url.PathEscape(workflowID) + "/" + runID
}
