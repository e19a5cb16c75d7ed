package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"golang.org/x/time/rate"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/internal/notify"
	"github.com/surehook/surehook/internal/sources"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/all"
	"github.com/surehook/surehook/worker"
	"github.com/surehook/surehook/workflows"
)

const environmentHelp = `
DATABASE_URL     the inbox and the records: postgres://… (or sqlite:path)
SUREHOOK_CONFIG  the file that declares the sources (surehook.yaml)
TEMPORAL_*       where Temporal is, as for the temporal CLI (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, …)

It starts although the database or Temporal is away, and says so at /readyz.
docs/configuration.md lists every variable.`

func serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run ingress, relay and worker in one process",
		Long:  "Serve receives webhooks, starts their workflows and runs them, in one process.\n" + environmentHelp,
		Args:  usage(cobra.NoArgs),
		RunE:  runParts(true, true),
	}
}

func ingressCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ingress",
		Short: "Run only ingress and relay",
		Long:  "Ingress receives webhooks and starts their workflows; `surehook worker` runs them elsewhere.\n" + environmentHelp,
		Args:  usage(cobra.NoArgs),
		RunE:  runParts(true, false),
	}
}

func workerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "worker",
		Short: "Run only the worker",
		Long:  "Worker runs the workflows that `surehook ingress` starts.\n" + environmentHelp,
		Args:  usage(cobra.NoArgs),
		RunE:  runParts(false, true),
	}
}

func runParts(withIngress, withWorker bool) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		env := environment{}
		cfg := env.load(cmd.Context())
		logger := cfg.Log.logger(os.Stderr)
		sys, err := open(cmd.Context(), env, cfg, logger)
		if err != nil {
			return err
		}
		defer sys.close()
		return sys.run(cmd.Context(), withIngress, withWorker)
	}
}

// system is what the parts of a running Surehook share.
type system struct {
	cfg       config
	logger    *slog.Logger
	sources   []source
	store     *store.Store
	temporal  client.Client
	namespace string
	registry  *prometheus.Registry
	// listening is told the ingress's addresses once they are bound.
	listening func(*ingress.Server)
}

// source is a declared source with its provider.
type source struct {
	sources.Source
	provider providers.Provider
	lists    []string // that its reconciliations read
}

// open checks the whole configuration before anything runs, and connects to
// nothing yet that may be away.
func open(ctx context.Context, env environment, cfg config, logger *slog.Logger) (*system, error) {
	declared, badSources := loadSources(cfg.Sources, env.Lookup)
	temporal, badTemporal := env.temporalOptions()
	if err := validate(cfg.unreadable, cfg.Log.Validate(), cfg.Store.Validate(), cfg.Ingress.Validate(), cfg.Worker.Validate(), cfg.Notify.Validate(), badTemporal, badSources); err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, cfg.Store)
	if err != nil {
		return nil, err
	}
	c, err := temporalClient(temporal, logger)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &system{
		cfg:       cfg,
		logger:    logger,
		sources:   declared,
		store:     s,
		temporal:  c,
		namespace: temporal.Namespace,
		registry:  newRegistry(),
	}, nil
}

func (s *system) close() {
	s.temporal.Close()
	if err := s.store.Close(); err != nil {
		s.logger.Warn("close database", "error", err)
	}
}

func loadSources(path string, lookup func(string) (string, bool)) ([]source, error) {
	declared, err := sources.Load(path, lookup)
	if file := (*fs.PathError)(nil); errors.As(err, &file) && file.Path == path {
		return nil, fmt.Errorf("SUREHOOK_CONFIG: %w", err)
	}
	if err != nil {
		return nil, err // its lines name the file
	}
	var loaded []source
	var errs []error
	for _, d := range declared {
		p, err := all.New(d.Provider, d.API, d.Settings)
		if err != nil {
			errs = append(errs, sourceErrors(path, d.Name, err)...)
			continue
		}
		lists, wrong := d.ReconciledLists(p)
		for _, err := range wrong {
			errs = append(errs, fmt.Errorf("%s: sources.%s.%w", path, d.Name, err))
		}
		loaded = append(loaded, source{Source: d, provider: p, lists: lists})
	}
	return loaded, errors.Join(errs...)
}

// sourceErrors names the field of each error that a provider found in its settings.
func sourceErrors(path, name string, err error) []error {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for i, e := range all {
		field := ""
		if setting, ok := errors.AsType[*providers.SettingError](e); ok {
			field, e = ".settings."+setting.Field, setting.Err
		}
		all[i] = fmt.Errorf("%s: sources.%s%s: %w", path, name, field, e)
	}
	return all
}

// run runs the parts until ctx ends. The worker stops after the ingress, so
// that what the relay hands over last still finds it.
func (s *system) run(ctx context.Context, withIngress, withWorker bool) error {
	ctx, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	workerCtx, stopWorker := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorker()

	stopped := make(chan error, 1)
	if withWorker {
		go func() {
			err := s.worker().Run(workerCtx)
			if err != nil {
				failed(err)
			}
			stopped <- err
		}()
	} else {
		stopped <- nil
	}

	var err error
	if withIngress {
		err = s.serveIngress(ctx, withWorker)
	} else {
		err = s.serveAdmin(ctx)
	}
	stopWorker()
	return errors.Join(err, <-stopped)
}

func (s *system) serveIngress(ctx context.Context, eager bool) error {
	server := s.ingress(eager)
	if err := server.Listen(); err != nil {
		return err
	}
	s.logger.Info("listening", "webhooks", server.Addr().String(), "admin", server.AdminAddr().String())
	if s.listening != nil {
		s.listening(server)
	}
	return server.Serve(ctx)
}

func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return registry
}

func (s *system) ingress(eager bool) *ingress.Server {
	server := &ingress.Server{
		Config: s.cfg.Ingress,
		Inbox:  s.store,
		Relay: &ingress.Relay{
			Client:        s.temporal,
			Inbox:         s.store,
			Eager:         eager,
			ObjectsPerRun: map[string]int{},
			Logger:        s.logger,
			Registry:      s.registry,
		},
		Logger:   s.logger,
		Registry: s.registry,
	}
	for _, d := range s.sources {
		server.Relay.ObjectsPerRun[d.Name] = ingress.ObjectsPerRun(s.cfg.Ingress.ObjectsPerRun, d.APIRate)
		server.Sources = append(server.Sources, ingress.Source{
			Name:     d.Name,
			Provider: d.provider,
			Secrets:  d.Secrets,
			Mode:     d.Mode,
			Accept:   d.Accept,
			Other:    d.Other,
			Body:     d.Body,
			Rate:     d.Rate,
			Burst:    d.Burst,
			Allow:    d.Allow,
		})
	}
	return server
}

func (s *system) worker() *worker.Worker {
	s.registry.MustRegister(worker.LastComplete{Runs: s.lastComplete, Logger: s.logger})
	acts := &activities.Activities{
		Inbox:           s.store,
		Records:         s.store,
		Reconciliations: s.store,
		Retention:       s.store,
		Sources:         map[string]activities.Source{},
		Notifier:        notify.New(s.cfg.Notify),
		Meter:           worker.NewMetrics(s.registry),
		MaxAttempts:     s.cfg.Worker.MaxAttempts,
	}
	w := &worker.Worker{
		Client:     s.temporal,
		Namespace:  s.namespace,
		Activities: acts,
		Config:     s.cfg.Worker,
		Logger:     s.logger,
	}
	for _, d := range s.sources {
		acts.Sources[d.Name] = activities.Source{
			Provider:   d.provider,
			Limiter:    apiLimiter(d.APIRate),
			Background: apiLimiter(d.APIRate / 2),
			Reception: providers.Reception{
				Source:     d.Name,
				Provider:   d.provider,
				Mode:       d.Mode,
				Accept:     d.Accept,
				Other:      d.Other,
				WorkflowID: workflows.ID,
			},
			URL:     publicURL(s.cfg.Ingress.PublicURL, d.Name),
			Secrets: d.Secrets,
		}
		w.Sources = append(w.Sources, worker.Source{Name: d.Name, Rate: d.APIRate})
		w.Schedules = append(w.Schedules, workflows.SchedulesFor(d.reconciled())...)
	}
	if age := s.cfg.Worker.Retention; age > 0 {
		w.Schedules = append(w.Schedules, workflows.RetentionSchedule(age))
	}
	return w
}

// reconciled is the source as the table of schedules sees it.
func (s source) reconciled() workflows.Reconciled {
	keeper, ok := s.provider.(providers.Keeper)
	return workflows.Reconciled{
		Source:   s.Name,
		Provider: s.Provider,
		Lists:    s.lists,
		Cron:     s.Reconcile.Cron,
		Lookback: s.Reconcile.Lookback,
		Unseen:   s.Reconcile.Unseen,
		Keeps:    ok && keeper.Keeps(),
	}
}

// lastComplete are the last complete reconciliations of what is still configured.
func (s *system) lastComplete(ctx context.Context) ([]providers.Reconciliation, error) {
	rows, err := s.store.LastReconciliations(ctx)
	var runs []providers.Reconciliation
	for _, row := range rows {
		configured := func(d source) bool { return d.Name == row.Source && slices.Contains(d.lists, row.List) }
		if slices.ContainsFunc(s.sources, configured) {
			runs = append(runs, providers.Reconciliation{Source: row.Source, List: row.List, StartedAt: row.StartedAt, FinishedAt: row.FinishedAt})
		}
	}
	return runs, err
}

// apiLimiter lets one second's worth of calls through at once.
func apiLimiter(perSecond float64) *rate.Limiter {
	if perSecond == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))
}
