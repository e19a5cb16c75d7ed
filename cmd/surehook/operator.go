package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

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

// withTemporal opens the database and a client of Temporal.
func withTemporal(cmd *cobra.Command, do func(context.Context, environment, config, *store.Store, client.Client) error) error {
	env, cfg, err := operatorConfig(cmd)
	if err != nil {
		return err
	}
	c, _, err := env.temporal(cmd, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	return env.withStore(cmd.Context(), cfg, func(ctx context.Context, s *store.Store) error {
		return do(ctx, env, cfg, s, c)
	})
}

// temporal makes a client of Temporal, which connects when it is first used.
func (e environment) temporal(cmd *cobra.Command, cfg config) (c client.Client, namespace string, err error) {
	opts, err := e.temporalOptions()
	if err != nil {
		return nil, "", err
	}
	c, err = temporalClient(opts, cfg.Log.logger(cmd.ErrOrStderr()))
	return c, opts.Namespace, err
}

// whenDevIsAway adds what is the matter most of the time.
func (e environment) whenDevIsAway(err error) error {
	if e.dev != nil && (isTemporalAway(err) || errors.Is(err, context.DeadlineExceeded)) {
		return fmt.Errorf("%w (is `surehook dev` running?)", err)
	}
	return err
}

func isTemporalAway(err error) bool {
	_, away := errors.AsType[*serviceerror.Unavailable](err)
	return away
}

// isUnknownToTemporal tells the error that there is no such run or schedule (any
// more), or that the run has ended.
func isUnknownToTemporal(err error) bool {
	_, unknown := errors.AsType[*serviceerror.NotFound](err)
	return unknown
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
