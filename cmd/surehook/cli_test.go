package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

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
	return c.runWith("", args...)
}

// runWith is run with a standard input.
func (c *cli) runWith(stdin string, args ...string) (stdout string, code int) {
	c.t.Helper()
	return execute(context.Background(), stdin, args)
}

// printed is what a command line came to.
type printed struct {
	text string
	code int
}

// start runs a command line until it ends or is stopped, as by Ctrl-C.
func (c *cli) start(args ...string) (ended <-chan printed, stop func()) {
	ctx, stop := context.WithCancel(context.Background())
	c.t.Cleanup(stop)
	end := make(chan printed, 1)
	go func() {
		text, code := execute(ctx, "", args)
		end <- printed{text, code}
	}()
	return end, stop
}

func execute(ctx context.Context, stdin string, args []string) (stdout string, code int) {
	root := newRoot()
	var out bytes.Buffer
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
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

// save makes the record of an invoice, as an activity would.
func (c *cli) save(id string) {
	c.t.Helper()
	c.accept("evt_"+id, providers.StatusPending)
	ref := providers.Ref{Type: "invoice", ID: id}
	ev := providers.EventRef{Source: "stripe", ID: "evt_" + id, Type: "invoice.paid", Ref: ref}
	claim, err := c.store.Claim(c.t.Context(), ev)
	require.NoError(c.t, err)
	_, err = c.store.Save(c.t.Context(), providers.Save{
		Event: ev, Claim: claim, Object: providers.Object{Ref: ref, State: []byte(`{}`)}, Origin: providers.OriginFetch, Finish: true,
	})
	require.NoError(c.t, err)
}

// devFolder moves the database's name from the environment to a data folder.
func (c *cli) devFolder() string {
	c.t.Helper()
	folder := c.t.TempDir()
	text := "# a comment\nDATABASE_URL=" + os.Getenv("DATABASE_URL") + "\n"
	require.NoError(c.t, os.WriteFile(filepath.Join(folder, devEnvFile), []byte(text), 0o600))
	require.NoError(c.t, os.Unsetenv("DATABASE_URL")) // newCLI's Setenv puts it back
	return folder
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

func TestWhatCameFromOutsideCannotSteerTheTerminal(t *testing.T) {
	c := newCLI(t)
	const steering = "\x1b[2J\u009b31m\u202e"
	r, err := c.store.BeginReconciliation(t.Context(), providers.ReconciliationStart{Source: "stripe", List: "invoice", WorkflowID: "w", RunID: "r"})
	require.NoError(t, err)
	require.NoError(t, c.store.EndReconciliation(t.Context(), r.ID, "status 400 ("+steering+")"))
	c.accept("evt_1", providers.StatusReview)
	require.NoError(t, c.store.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: "evt_1", Status: providers.StatusReview, Reason: steering}))
	for _, command := range [][]string{{"reconcile", "list"}, {"events", "list"}, {"events", "show", "evt_1"}} {
		text, code := c.run(command...)
		require.Equal(t, exitOK, code, text)
		require.Contains(t, text, ".[2J.31m.", command)
		require.NotContains(t, text, "\x1b", command)
		require.NotContains(t, text, "\u202e", command)
	}
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
		{"events", "lst"},
		{"records", "lst"},
		{"rejections", "lst"},
		{"events", "list", "--status", "reviw"},
		{"events", "list", "--object", "in_1"},
		{"events", "list", "--limit", "0"},
		{"records", "list", "--limit", "-3"},
		{"rejections", "list", "--limit", "0"},
		{"records", "show", "stripe"},
		{"records", "show", "stripe", "in_1"},
	} {
		text, code := c.run(args...)
		require.Equal(t, exitUsage, code, "%v: %s", args, text)
	}
}

func TestWrongUsageSaysWhatIsRight(t *testing.T) {
	c := newCLI(t)
	for _, example := range []struct{ line, want string }{
		{"events lst", "did you mean list?"},
		{"events list --status reviw", "want one of pending, processed, ignored, review, failed"},
		{"events list --object in_1", "want <type>/<id>"},
		{"records show stripe", "missing <object type>/<object id>: surehook records show"},
		{"resolve evt_1", "missing <retry|skip|fail>: surehook resolve"},
		{"events show a b c", `unexpected argument "c"`},
	} {
		text, _ := c.run(strings.Fields(example.line)...)
		require.Contains(t, text, example.want)
	}
}

func TestAGroupOfCommandsShowsItsHelp(t *testing.T) {
	c := newCLI(t)
	text, code := c.run("events")
	require.Equal(t, exitOK, code)
	require.Contains(t, text, "Available Commands:")
}

func TestTheVersionIsACommandAndAFlag(t *testing.T) {
	c := newCLI(t)
	command, code := c.run("version")
	require.Equal(t, exitOK, code)
	flag, code := c.run("--version")
	require.Equal(t, exitOK, code)
	require.Equal(t, command, flag)
}

func TestASourceThatIsNotDeclaredIsRefused(t *testing.T) {
	s := newSending(t)
	for _, group := range []string{"events", "records", "rejections"} {
		text, code := s.run(group, "list", "--source", "nope")
		require.Equal(t, exitUsage, code)
		require.Contains(t, text, "which has: github, stripe")
		_, code = s.run(group, "list", "--source", "github")
		require.Equal(t, exitOK, code, "it only has none")
	}
	t.Setenv("SECRET", "")
	_, code := s.run("events", "list", "--source", "nope")
	require.Equal(t, exitOK, code, "without the secrets nobody knows which there are")
}

func TestEventsOfASourceThatIsNoLongerDeclaredAreListed(t *testing.T) {
	s := newSending(t)
	s.accept("evt_1", providers.StatusPending)
	file := filepath.Join(t.TempDir(), "surehook.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`sources: {github: {provider: github, secrets: ["${SECRET}"]}}`), 0o600))
	t.Setenv("SUREHOOK_CONFIG", file)
	text, code := s.run("events", "list", "--source", "stripe")
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "evt_1")
}

func TestARecordIsShownByTheNameThatListsPrint(t *testing.T) {
	c := newCLI(t)
	c.save("in_1")
	list, code := c.run("records", "list")
	require.Equal(t, exitOK, code)
	require.Regexp(t, `(?s)^SOURCE +OBJECT +ORIGIN .*\nstripe +invoice/in_1 +fetch `, list)
	for _, name := range [][]string{{"invoice/in_1"}, {"invoice", "in_1"}} {
		text, code := c.run(append([]string{"records", "show", "stripe"}, name...)...)
		require.Equal(t, exitOK, code, text)
		require.Regexp(t, `origin +fetch\n`, text)
	}
	_, code = c.run("records", "show", "stripe", "invoice/in_2")
	require.Equal(t, exitNotFound, code)
}

func TestAnEventIsResolvedByItsIDAlone(t *testing.T) {
	c := newCLI(t)
	c.accept("evt_1", providers.StatusReview)
	text, code := c.run("resolve", "evt_1", "skip", "--by", "ann")
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "stripe/evt_1: skip, now ignored")
	_, code = c.run("resolve", "evt_9", "skip", "--by", "ann")
	require.Equal(t, exitNotFound, code)
}

func TestNextStepsNameTheDataFolder(t *testing.T) {
	c := newCLI(t)
	c.accept("evt_1", providers.StatusReview)
	folder := c.devFolder()
	text, code := c.run("events", "show", "evt_1", "--data", folder)
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "--reason … --data "+folder)
	require.Empty(t, dataFlag(defaultData), "the usual one needs no flag")
}

func TestAResolutionThatReachesNobodyAsksWhetherDevIsRunning(t *testing.T) {
	nobody := serviceerror.NewUnavailable("connection refused")
	dev, production := environment{dev: map[string]string{}}, environment{}
	require.ErrorContains(t, dev.whenDevIsAway(nobody), "is `surehook dev` running?")
	require.Equal(t, nobody, production.whenDevIsAway(nobody))
}

func TestOnlyAParkedEventCanBeResolved(t *testing.T) {
	c := newCLI(t)
	c.accept("evt_1", providers.StatusPending)
	text, code := c.run("resolve", "stripe", "evt_1", "skip", "--by", "ann")
	require.Equal(t, exitFailed, code)
	require.Contains(t, text, "its status is pending")
	require.Contains(t, text, "a failed one can be retried")
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
	folder := c.devFolder()
	_, code := c.run("events", "list", "--data", t.TempDir())
	require.Equal(t, exitUsage, code, "there is nothing yet")

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
