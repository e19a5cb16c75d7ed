//go:build unix

package pgserver_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/internal/devserver/pgserver"
	"github.com/surehook/surehook/internal/store/storetest/pgtest"
)

const queue = "test"

func TestServerSurvivesAKillWithItsData(t *testing.T) {
	postgres := pgtest.Start(t, pgtest.Options{})
	source := temporal.NewSearchAttributeKeyKeyword("Source")
	o := pgserver.Options{
		Postgres:         postgres.URL(),
		Dir:              t.TempDir(),
		Namespace:        "payments",
		SearchAttributes: map[string]enumspb.IndexedValueType{"Source": enumspb.INDEXED_VALUE_TYPE_KEYWORD},
	}
	s := start(t, o)
	c := dial(t, s, o.Namespace)
	began := client.StartWorkflowOptions{
		ID: "waiting", TaskQueue: queue,
		TypedSearchAttributes: temporal.NewSearchAttributes(source.ValueSet("stripe")),
	}
	_, err := c.ExecuteWorkflow(t.Context(), began, waitForSignal)
	require.NoError(t, err, "the namespace and its search attribute can be used at once")

	t.Run("a killed server answers nobody", func(t *testing.T) {
		require.NoError(t, s.Kill())
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := c.CheckHealth(ctx, &client.CheckHealthRequest{})
		require.Error(t, err)
	})
	t.Run("a server started again goes on with its runs", func(t *testing.T) {
		require.NoError(t, s.Start(t.Context()))
		runWorker(t, c)
		require.NoError(t, c.SignalWorkflow(t.Context(), "waiting", "", "go", "on"))
		var got string
		require.NoError(t, c.GetWorkflow(t.Context(), "waiting", "").Get(t.Context(), &got))
		require.Equal(t, "on", got)
	})
	t.Run("another server on the same databases finds them as they are", func(t *testing.T) {
		require.NoError(t, s.Stop())
		o.Dir = t.TempDir()
		c := dial(t, start(t, o), o.Namespace)
		var got string
		require.NoError(t, c.GetWorkflow(t.Context(), "waiting", "").Get(t.Context(), &got))
		require.Equal(t, "on", got)
	})
	t.Run("an ID that Postgres has no room for cannot be started", func(t *testing.T) {
		s := start(t, pgserver.Options{Postgres: postgres.URL(), Database: "limits", Dir: t.TempDir()})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		long := client.StartWorkflowOptions{ID: strings.Repeat("x", 256), TaskQueue: queue}
		_, err := dial(t, s, "default").ExecuteWorkflow(ctx, long, waitForSignal)
		require.ErrorContains(t, err, "deadline exceeded", "the client takes it for an outage and tries again")
	})
}

func TestStartTellsWhyItFails(t *testing.T) {
	t.Run("when there is no Postgres", func(t *testing.T) {
		_, err := pgserver.Start(t.Context(), pgserver.Options{Postgres: "postgres://postgres@127.0.0.1:1/", Dir: t.TempDir()})
		require.ErrorContains(t, err, "connection refused")
	})
	t.Run("when the folder is missing", func(t *testing.T) {
		postgres := pgtest.Start(t, pgtest.Options{})
		_, err := pgserver.Start(t.Context(), pgserver.Options{Postgres: postgres.URL(), Dir: t.TempDir() + "/missing"})
		require.ErrorContains(t, err, "no such file or directory")
	})
}

func start(t *testing.T, o pgserver.Options) *pgserver.Server {
	t.Helper()
	began := time.Now()
	s, err := pgserver.Start(t.Context(), o)
	require.NoError(t, err)
	t.Logf("started in %v", time.Since(began))
	t.Cleanup(func() { require.NoError(t, s.Kill()) })
	return s
}

func dial(t *testing.T, s *pgserver.Server, namespace string) client.Client {
	t.Helper()
	c, err := client.DialContext(t.Context(), client.Options{
		HostPort:  s.HostPort(),
		Namespace: namespace,
		Logger:    sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func runWorker(t *testing.T, c client.Client) {
	t.Helper()
	w := worker.New(c, queue, worker.Options{})
	w.RegisterWorkflow(waitForSignal)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
}

func waitForSignal(ctx workflow.Context) (string, error) {
	var got string
	workflow.GetSignalChannel(ctx, "go").Receive(ctx, &got)
	return got, nil
}
