//go:build unix

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"

	deployed "github.com/surehook/surehook/deploy/temporal"
	"github.com/surehook/surehook/internal/devserver/pgserver"
	"github.com/surehook/surehook/internal/store/storetest/pgrun"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/workflows"
)

// postgresSettings are those that differ from Postgres' own defaults. Commits
// wait for the disk, as in production.
var postgresSettings = []string{
	"shared_buffers=512MB", "max_wal_size=8GB", "max_connections=300",
	"shared_preload_libraries=pg_stat_statements", "pg_stat_statements.max=5000",
}

// role is what Surehook and the yardsticks connect as. What the benchmark asks
// itself it asks as the superuser, so that it is not counted.
const role = "surehook"

// stack is what all cases need: a Postgres with real commits, a platform to
// fetch from, the binaries, and, for those that want it, Temporal.
type stack struct {
	settings *settings
	log      *slog.Logger
	dir      string
	self     string // this binary, for the subcommands
	surehook string // the product's
	postgres *pgrun.Server
	admin    *sql.DB // the superuser's, on the database "postgres"
	sandbox  *sandbox.Sandbox
	api      string // the sandbox's Stripe
	writer   *writer
	temporal *pgserver.Server // nil while no case wants it

	// temporalPID is 0 while Temporal is down. It is read by samplers while a
	// case kills Temporal.
	temporalPID atomic.Int64

	customers []string // objects that exist at the platform
	databases int
	spaces    int
	closers   []func() error
}

func openStack(ctx context.Context, s *settings, log *slog.Logger) (_ *stack, err error) {
	st := &stack{settings: s, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, st.close())
		}
	}()
	for _, step := range []func(context.Context) error{st.openFolder, st.build, st.startPostgres, st.startSandbox} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	st.writer, err = newWriter()
	return st, err
}

// close stops everything, last things first.
func (st *stack) close() error {
	err := st.stopTemporal()
	for i := len(st.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, st.closers[i]())
	}
	st.closers = nil
	return err
}

func (st *stack) openFolder(context.Context) error {
	var err error
	if st.dir, err = os.MkdirTemp("", "surehook-bench-"); err != nil {
		return err
	}
	st.closers = append(st.closers, func() error { return os.RemoveAll(st.dir) })
	st.self, err = os.Executable()
	return err
}

func (st *stack) build(ctx context.Context) error {
	if st.settings.binary != "" {
		var err error
		st.surehook, err = filepath.Abs(st.settings.binary)
		return err
	}
	st.log.Info("building surehook")
	st.surehook = filepath.Join(st.dir, "surehook")
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "nodev", "-trimpath", "-o", st.surehook, "github.com/surehook/surehook/cmd/surehook")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build surehook: %w\n%s", err, out)
	}
	return nil
}

func (st *stack) startPostgres(ctx context.Context) error {
	var err error
	st.postgres, err = pgrun.Start(pgrun.Options{Durable: true, Settings: slices.Concat(postgresSettings, st.settings.postgres)}) //nolint:contextcheck // it ends after the context
	if err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	st.closers = append(st.closers, st.postgres.End)
	if st.admin, err = sql.Open("postgres", st.postgres.URL()); err != nil {
		return err
	}
	st.closers = append(st.closers, st.admin.Close)
	_, err = st.admin.ExecContext(ctx, "CREATE ROLE "+role+" LOGIN; CREATE EXTENSION pg_stat_statements")
	return err
}

func (st *stack) startSandbox(ctx context.Context) error {
	var err error
	st.sandbox, err = sandbox.Open(sandbox.Config{
		Seed:      1,
		Platforms: map[string]sandbox.PlatformConfig{"stripe": {Key: apiKey, Livemode: true}},
		Log:       slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	st.closers = append(st.closers, st.sandbox.Close)
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: st.sandbox, ReadHeaderTimeout: 5 * time.Second}
	st.closers = append(st.closers, server.Close)
	go func() { _ = server.Serve(l) }() // it ends with Close; calls would fail before
	st.api = "http://" + l.Addr().String() + "/stripe"
	return nil
}

// fetchLatency makes every call of the platform's API take so long.
func (st *stack) fetchLatency(d time.Duration) error {
	var f sandbox.Faults
	if d > 0 {
		f.API = []sandbox.APIFault{{Kind: sandbox.FaultLatency, Probability: 1, Latency: d}}
	}
	return st.sandbox.Platform("stripe").SetFaults(f)
}

// objects returns n customers that exist at the platform, the same ones each time.
func (st *stack) objects(n int) ([]string, error) {
	for len(st.customers) < n {
		ref, err := st.sandbox.Platform("stripe").Create("customer", nil)
		if err != nil {
			return nil, err
		}
		st.customers = append(st.customers, ref.ID)
	}
	return st.customers[:n:n], nil
}

// letters writes one for each of n objects.
func (st *stack) letters(n int) ([]letter, error) {
	objects, err := st.objects(n)
	if err != nil {
		return nil, err
	}
	return st.writer.letters("stripe", objects)
}

// database is one of a case's own.
type database struct {
	name string
	*sql.DB
	url   string // with the role that is measured
	close func() error
}

func (st *stack) newDatabase(ctx context.Context) (*database, error) {
	st.databases++
	name := fmt.Sprintf("bench_%d", st.databases)
	if _, err := st.admin.ExecContext(ctx, "CREATE DATABASE "+name+" OWNER "+role); err != nil {
		return nil, fmt.Errorf("create database: %w", err)
	}
	db, err := sql.Open("postgres", st.postgres.DatabaseURL(name))
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(4)
	u := fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", role, st.postgresAddress(), name)
	return &database{name: name, DB: db, url: u, close: func() error {
		err := db.Close()
		// Without the context: it goes even when the benchmark is interrupted.
		_, dropErr := st.admin.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
		return errors.Join(err, dropErr)
	}}, nil
}

// postgresAddress is host and port.
func (st *stack) postgresAddress() string {
	u, err := url.Parse(st.postgres.URL())
	if err != nil {
		return ""
	}
	return u.Host
}

// settle brings Postgres to rest between two measurements, so that none pays
// for the writes of the one before.
func (st *stack) settle(ctx context.Context) error {
	_, err := st.admin.ExecContext(ctx, "CHECKPOINT")
	return err
}

// startTemporal starts the server unless it runs. It stays until stopTemporal.
func (st *stack) startTemporal(ctx context.Context) error {
	if st.temporal != nil {
		return nil
	}
	st.log.Info("starting Temporal on Postgres (the first time, this builds it)")
	dir, err := os.MkdirTemp(st.dir, "temporal-")
	if err != nil {
		return err
	}
	o := pgserver.Options{
		Postgres:      st.postgres.URL(),
		Dir:           dir,
		Shards:        st.settings.shards,
		DynamicConfig: st.settings.temporal,
		Env:           append([]string{"GOGC=" + deployed.GOGC}, st.settings.temporalEnv...),
	}
	if !st.settings.ownIndexes {
		o.VisibilityIndexes = deployed.VisibilityIndexes
	}
	started, err := pgserver.Start(ctx, o)
	if err != nil {
		return err
	}
	st.temporal = started
	st.temporalPID.Store(int64(started.PID()))
	return nil
}

// killTemporal ends the server as a crash would.
func (st *stack) killTemporal() error {
	st.temporalPID.Store(0)
	return st.temporal.Kill()
}

// restartTemporal starts the killed server again and waits until it answers.
func (st *stack) restartTemporal(ctx context.Context) error {
	if err := st.temporal.Start(ctx); err != nil {
		return err
	}
	st.temporalPID.Store(int64(st.temporal.PID()))
	return nil
}

// stopTemporal takes its load off the machine.
func (st *stack) stopTemporal() error {
	if st.temporal == nil {
		return nil
	}
	err := st.killTemporal()
	st.temporal = nil
	return err
}

// newNamespace makes a namespace, so that no case finds the runs of another. It
// returns when it can be used.
func (st *stack) newNamespace(ctx context.Context) (string, error) {
	if err := st.startTemporal(ctx); err != nil {
		return "", err
	}
	st.spaces++
	name := fmt.Sprintf("bench-%d", st.spaces)
	namespaces, err := client.NewNamespaceClient(client.Options{HostPort: st.temporal.HostPort()})
	if err != nil {
		return "", err
	}
	defer namespaces.Close()
	err = namespaces.Register(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace:                        name,
		WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	if err != nil {
		return "", fmt.Errorf("register namespace: %w", err)
	}
	return name, st.addSearchAttributes(ctx, name)
}

// dialTemporal connects as Surehook does, without compression.
func dialTemporal(ctx context.Context, hostPort, namespace string) (client.Client, error) {
	return client.DialContext(ctx, client.Options{
		HostPort:          hostPort,
		Namespace:         namespace,
		Logger:            sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		ConnectionOptions: client.ConnectionOptions{GrpcCompression: &client.GrpcCompressionNone{}},
	})
}

func (st *stack) addSearchAttributes(ctx context.Context, namespace string) error {
	c, err := dialTemporal(ctx, st.temporal.HostPort(), namespace)
	if err != nil {
		return err
	}
	defer c.Close()
	attributes := map[string]enumspb.IndexedValueType{}
	for _, key := range workflows.SearchAttributeKeys {
		attributes[key.GetName()] = key.GetValueType()
	}
	// The server's caches learn of both only after a while.
	return retry(ctx, time.Minute, func() error {
		_, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
			Namespace: namespace, SearchAttributes: attributes,
		})
		if err != nil {
			return err
		}
		_, err = c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: namespace, Query: "`" + workflows.SearchAttributeKeys[0].GetName() + "` IS NULL",
		})
		return err
	})
}

// retry tries again until it works or the time is over.
func retry(ctx context.Context, limit time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// subcommand starts this binary again to play a yardstick, and returns where it
// listens.
func (st *stack) subcommand(ctx context.Context, name string, env ...string) (*process, string, error) {
	address, err := loopbackAddress(ctx)
	if err != nil {
		return nil, "", err
	}
	env = append(env, envListen+"="+address, "PATH="+os.Getenv("PATH"), "HOME="+st.dir)
	p, err := startProcess(name, st.dir, env, st.self, name)
	if err != nil {
		return nil, "", err
	}
	if err := p.untilReady(ctx, "http://"+address+"/readyz"); err != nil {
		p.kill()
		return nil, "", err
	}
	return p, address, nil
}
