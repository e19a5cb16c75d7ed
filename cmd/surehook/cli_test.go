package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

// cli runs one command line on a database of its own.
type cli struct {
	t     *testing.T
	store *store.Store
}

func newCLI(t *testing.T) *cli {
	t.Helper()
	url := "sqlite:" + filepath.Join(t.TempDir(), "surehook.db")
	s, err := store.Open(t.Context(), store.Config{URL: url, MaxConns: 5})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	require.NoError(t, s.Migrate(t.Context()))
	t.Setenv("DATABASE_URL", url)
	return &cli{t: t, store: s}
}

func (c *cli) run(args ...string) (stdout string, code int) {
	c.t.Helper()
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	if err == nil {
		return out.String(), exitOK
	}
	return out.String() + err.Error(), exitCode(err)
}

func (c *cli) accept(id string, status providers.Status) {
	c.t.Helper()
	_, err := c.store.Accept(c.t.Context(), []providers.Received{{
		Source: "stripe",
		Event: providers.Event{
			ID:         id,
			Type:       "invoice.paid",
			Ref:        providers.Ref{Type: "invoice", ID: "in_1"},
			OccurredAt: time.Unix(1700000000, 0),
			Mode:       providers.ModeTest,
		},
		Status: status,
		Body:   []byte(`{}`),
	}})
	require.NoError(c.t, err)
}

func TestEventsAreListedAsATableAndAsJSON(t *testing.T) {
	c := newCLI(t)
	c.accept("evt_1", providers.StatusPending)
	c.accept("evt_2", providers.StatusReview)

	table, code := c.run("events", "list")
	require.Equal(t, exitOK, code)
	require.Regexp(t, `(?s)^SOURCE +ID +TYPE.*\nstripe +evt_2 +invoice.paid +review +invoice/in_1 .*\nstripe +evt_1 `, table)

	lines, code := c.run("events", "list", "--status", "review", "--json")
	require.Equal(t, exitOK, code)
	var row map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines), &row), "one object a line: %s", lines)
	for _, field := range []string{
		"source", "id", "type", "status", "reason", "object", "workflow_id", "run_id", "mode", "occurred_at", "received_at", "deliveries",
	} {
		require.Contains(t, row, field, "scripts rely on it")
	}
	require.Equal(t, "evt_2", row["id"])
}

func TestAnEventIsFoundByItsIDAlone(t *testing.T) {
	c := newCLI(t)
	c.accept("evt_1", providers.StatusReview)
	text, code := c.run("events", "show", "evt_1")
	require.Equal(t, exitOK, code)
	require.Contains(t, text, "surehook resolve stripe evt_1 skip|fail", "it says how to go on")

	_, code = c.run("events", "show", "evt_9")
	require.Equal(t, exitNotFound, code)
}

func TestExitCodesTellWrongUsageFromFailure(t *testing.T) {
	c := newCLI(t)
	for _, args := range [][]string{
		{"unknown"},
		{"events", "show"},
		{"events", "list", "--unknown"},
		{"resolve", "stripe", "evt_1"},
		{"resolve", "stripe", "evt_1", "explode", "--by", "ann"},
	} {
		text, code := c.run(args...)
		require.Equal(t, exitUsage, code, "%v: %s", args, text)
	}
}

func TestOnlyAParkedEventCanBeResolved(t *testing.T) {
	c := newCLI(t)
	c.accept("evt_1", providers.StatusPending)
	text, code := c.run("resolve", "stripe", "evt_1", "skip", "--by", "ann")
	require.Equal(t, exitFailed, code)
	require.Contains(t, text, "its status is pending")
}

func TestAnEventParkedWithoutARunIsResolvedInTheInbox(t *testing.T) {
	c := newCLI(t)
	for action, want := range map[string]providers.Status{
		"skip": providers.StatusIgnored, "fail": providers.StatusFailed,
	} {
		c.accept("evt_"+action, providers.StatusReview)
		text, code := c.run("resolve", "stripe", "evt_"+action, action, "--by", "ann", "--reason", "why not")
		require.Equal(t, exitOK, code, text)
		e, err := c.store.EventRow(t.Context(), "stripe", "evt_"+action)
		require.NoError(t, err)
		require.Equal(t, want, e.Status)
		require.Equal(t, "ann", e.ResolvedBy)
	}
}

func TestAnEventThatCouldNotBeReadIsNotRetried(t *testing.T) {
	c := newCLI(t)
	c.accept("unreadable-1", providers.StatusReview)
	text, code := c.run("resolve", "stripe", "unreadable-1", "retry", "--by", "ann")
	require.Equal(t, exitFailed, code)
	require.Contains(t, text, "send it again")
	e, err := c.store.EventRow(t.Context(), "stripe", "unreadable-1")
	require.NoError(t, err)
	require.Equal(t, providers.StatusReview, e.Status)
}

func TestWithoutADatabaseTheDevFolderIsUsed(t *testing.T) {
	c := newCLI(t)
	c.accept("evt_1", providers.StatusPending)
	folder := t.TempDir()
	text := "# a comment\nDATABASE_URL=" + os.Getenv("DATABASE_URL") + "\n"
	t.Setenv("DATABASE_URL", "")
	_, code := c.run("events", "list", "--data", folder)
	require.Equal(t, exitUsage, code, "there is nothing yet")

	require.NoError(t, os.WriteFile(filepath.Join(folder, devEnvFile), []byte(text), 0o600))
	require.NoError(t, os.Unsetenv("DATABASE_URL"))
	list, code := c.run("events", "list", "--data", folder)
	require.Equal(t, exitOK, code)
	require.Contains(t, list, "evt_1")
}

func TestWebhooksOfAWildcardAddressAreSentToLoopback(t *testing.T) {
	for listen, want := range map[string]string{
		":8080":           "http://127.0.0.1:8080/webhooks/stripe",
		"0.0.0.0:80":      "http://127.0.0.1:80/webhooks/stripe",
		"127.0.0.1:18080": "http://127.0.0.1:18080/webhooks/stripe",
	} {
		require.Equal(t, want, webhookURL(listen, "stripe"))
	}
}
