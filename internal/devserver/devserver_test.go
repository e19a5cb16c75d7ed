package devserver_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/internal/devserver"
)

func TestStartedServerRunsWorkflows(t *testing.T) {
	t.Parallel()
	began := time.Now()
	s := start(t, devserver.Options{})
	t.Logf("started in %v", time.Since(began))
	c := dial(t, s)
	runWorker(t, c)
	require.Equal(t, "hello invoice", greet(t, c, "one"))
	require.Empty(t, s.UIURL(), "no Web UI was asked for")
}

func TestServersRunSideBySide(t *testing.T) {
	t.Parallel()
	servers := make([]*devserver.Server, 3)
	var wg sync.WaitGroup
	for i := range servers {
		wg.Go(func() {
			s, err := devserver.Start(t.Context(), devserver.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(s.Stop)
			servers[i] = s
		})
	}
	wg.Wait()
	for _, s := range servers {
		require.NotNil(t, s)
		c := dial(t, s)
		runWorker(t, c)
		// The same ID on each: none sees the runs of the others.
		require.Equal(t, "hello invoice", greet(t, c, "same"))
	}
}

func TestServerComesBackOnTheSamePortWithItsData(t *testing.T) {
	t.Parallel()
	o := devserver.Options{DatabaseFile: filepath.Join(t.TempDir(), "temporal data 100%?.db")}
	first := start(t, o)
	o.Port = port(t, first)
	c := dial(t, first)
	_, err := c.ExecuteWorkflow(t.Context(), startOptions("waiting"), waitForSignal)
	require.NoError(t, err)

	first.Stop()
	require.Error(t, reach(t, c), "the server is down")

	second := start(t, o)
	require.Equal(t, first.HostPort(), second.HostPort())
	// The client and the worker made before the stop find the new server.
	runWorker(t, c)
	require.NoError(t, c.SignalWorkflow(t.Context(), "waiting", "", "go", "on"))
	var got string
	require.NoError(t, c.GetWorkflow(t.Context(), "waiting", "").Get(t.Context(), &got))
	require.Equal(t, "on", got)
}

func TestServerMovesToAnotherPortWithItsData(t *testing.T) {
	t.Parallel()
	o := devserver.Options{DatabaseFile: filepath.Join(t.TempDir(), "temporal.db")}
	first := start(t, o)
	_, err := dial(t, first).ExecuteWorkflow(t.Context(), startOptions("waiting"), waitForSignal)
	require.NoError(t, err)
	first.Stop()

	c := dial(t, start(t, o))
	runWorker(t, c)
	require.NoError(t, c.SignalWorkflow(t.Context(), "waiting", "", "go", "on"))
	require.NoError(t, c.GetWorkflow(t.Context(), "waiting", "").Get(t.Context(), nil))
	require.Equal(t, "hello invoice", greet(t, c, "new"))
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	takenPort := taken.Addr().(*net.TCPAddr).Port

	t.Run("a port that is taken", func(t *testing.T) {
		_, err := devserver.Start(t.Context(), devserver.Options{Port: takenPort})
		require.ErrorContains(t, err, "address already in use")
	})
	t.Run("a Web UI port that is taken", func(t *testing.T) {
		_, err := devserver.Start(t.Context(), devserver.Options{UI: true, UIPort: takenPort})
		require.ErrorContains(t, err, "web ui")
		require.ErrorContains(t, err, "address already in use")
	})
	t.Run("a folder that is missing", func(t *testing.T) {
		_, err := devserver.Start(t.Context(), devserver.Options{DatabaseFile: filepath.Join(t.TempDir(), "missing", "temporal.db")})
		require.ErrorContains(t, err, "create schema")
	})
	t.Run("a file of another server version", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "temporal.db")
		db, err := sql.Open("sqlite", file)
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), "PRAGMA user_version = 1")
		require.NoError(t, err)
		require.NoError(t, db.Close())
		_, err = devserver.Start(t.Context(), devserver.Options{DatabaseFile: file})
		require.ErrorIs(t, err, devserver.ErrOtherVersion)
	})
}

func TestStartGivesUpWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := devserver.Start(ctx, devserver.Options{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestSearchAttributesAreThere(t *testing.T) {
	t.Parallel()
	source, state := temporal.NewSearchAttributeKeyKeyword("Source"), temporal.NewSearchAttributeKeyKeyword("EventStatus")
	o := devserver.Options{
		DatabaseFile:     filepath.Join(t.TempDir(), "temporal.db"),
		SearchAttributes: map[string]enumspb.IndexedValueType{"Source": enumspb.INDEXED_VALUE_TYPE_KEYWORD},
	}
	find := func(t *testing.T, c client.Client, query string) {
		t.Helper()
		require.Eventually(t, func() bool {
			found, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: query})
			return err == nil && found.Count == 1
		}, 10*time.Second, 20*time.Millisecond)
	}

	first := start(t, o)
	c := dial(t, first)
	so := startOptions("one")
	so.TypedSearchAttributes = temporal.NewSearchAttributes(source.ValueSet("stripe"))
	_, err := c.ExecuteWorkflow(t.Context(), so, waitForSignal)
	require.NoError(t, err)
	find(t, c, `Source = "stripe"`)
	first.Stop()

	t.Run("also one that an older file lacks", func(t *testing.T) {
		o.SearchAttributes["EventStatus"] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
		c := dial(t, start(t, o))
		so := startOptions("two")
		so.TypedSearchAttributes = temporal.NewSearchAttributes(source.ValueSet("github"), state.ValueSet("review"))
		_, err := c.ExecuteWorkflow(t.Context(), so, waitForSignal)
		require.NoError(t, err)
		find(t, c, `EventStatus = "review"`)
		find(t, c, `Source = "stripe"`)
	})
}

func TestWebUIAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, devserver.Options{UI: true, Namespace: "payments"})
	c := dialNamespace(t, s, "payments")
	_, err := c.ExecuteWorkflow(t.Context(), startOptions("shown"), waitForSignal)
	require.NoError(t, err)

	t.Run("with its page", func(t *testing.T) {
		page := get(t, s.UIURL()+"/namespaces/payments/workflows")
		require.Contains(t, page, "<html")
		// The page is an application; its code has to be there too.
		script := regexp.MustCompile(`/_app/immutable/entry/start[^"]+\.js`).FindString(page)
		require.NotEmpty(t, script)
		get(t, s.UIURL()+script)
	})
	t.Run("with the workflows of the server", func(t *testing.T) {
		require.Eventually(t, func() bool {
			var list struct {
				Executions []struct {
					Execution struct {
						WorkflowID string `json:"workflowId"`
					} `json:"execution"`
				} `json:"executions"`
			}
			body := get(t, s.UIURL()+"/api/v1/namespaces/payments/workflows")
			require.NoError(t, json.Unmarshal([]byte(body), &list))
			return len(list.Executions) == 1 && list.Executions[0].Execution.WorkflowID == "shown"
		}, 10*time.Second, 50*time.Millisecond)
	})
	t.Run("with the namespace to open first and no codec", func(t *testing.T) {
		var settings struct {
			DefaultNamespace string
			Auth             struct{ Enabled bool }
			Codec            struct{ Endpoint string }
		}
		require.NoError(t, json.Unmarshal([]byte(get(t, s.UIURL()+"/api/v1/settings")), &settings))
		require.Equal(t, "payments", settings.DefaultNamespace)
		require.False(t, settings.Auth.Enabled)
		require.Empty(t, settings.Codec.Endpoint)
	})
	t.Run("until the server stops", func(t *testing.T) {
		address := s.UIURL()
		s.Stop()
		_, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
		require.Error(t, err)
	})
}

func TestNothingListensBeyondLoopback(t *testing.T) {
	t.Parallel()
	s := start(t, devserver.Options{UI: true})
	addrs, err := net.InterfaceAddrs()
	require.NoError(t, err)
	tried := 0
	for _, a := range addrs {
		ip := a.(*net.IPNet).IP
		if ip.IsLoopback() || ip.IsLinkLocalUnicast() {
			continue
		}
		tried++
		for _, hostPort := range []string{s.HostPort(), strings.TrimPrefix(s.UIURL(), "http://")} {
			_, p, err := net.SplitHostPort(hostPort)
			require.NoError(t, err)
			_, err = net.Dial("tcp", net.JoinHostPort(ip.String(), p))
			require.Error(t, err)
		}
	}
	if tried == 0 {
		t.Skip("this machine has no address besides loopback")
	}
}

func TestLogIsQuiet(t *testing.T) {
	t.Parallel()
	var out safeBuffer
	s := start(t, devserver.Options{UI: true, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	c := dial(t, s)
	runWorker(t, c)
	require.Equal(t, "hello invoice", greet(t, c, "one"))
	// The Web UI asks like this each time it shows a run.
	_, err := c.WorkflowService().GetWorkflowExecutionHistory(t.Context(), &workflowservice.GetWorkflowExecutionHistoryRequest{
		Namespace: "default", Execution: &common.WorkflowExecution{WorkflowId: "one"}, MaximumPageSize: 1000,
	})
	require.NoError(t, err)
	s.Stop() // while the worker polls
	for line := range strings.Lines(out.String()) {
		// A machine under heavy load makes the server late, and it says so.
		require.Contains(t, line, "context deadline exceeded")
	}
}

func TestLogLevelLetsMoreThrough(t *testing.T) {
	t.Parallel()
	var out safeBuffer
	s := start(t, devserver.Options{
		Logger:   slog.New(slog.NewTextHandler(&out, nil)),
		LogLevel: slog.LevelInfo,
	})
	s.Stop()
	require.Contains(t, out.String(), "Starting server for services")
}

// safeBuffer collects a log that several goroutines write.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func start(t *testing.T, o devserver.Options) *devserver.Server {
	t.Helper()
	s, err := devserver.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	return s
}

func port(t *testing.T, s *devserver.Server) int {
	t.Helper()
	_, p, err := net.SplitHostPort(s.HostPort())
	require.NoError(t, err)
	n, err := strconv.Atoi(p)
	require.NoError(t, err)
	return n
}

func dial(t *testing.T, s *devserver.Server) client.Client {
	t.Helper()
	return dialNamespace(t, s, "default")
}

func dialNamespace(t *testing.T, s *devserver.Server, namespace string) client.Client {
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

// reach tells whether the server answers, without the client's own retries.
func reach(t *testing.T, c client.Client) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := c.CheckHealth(ctx, &client.CheckHealthRequest{})
	return err
}

const queue = "test"

func startOptions(id string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{ID: id, TaskQueue: queue}
}

func runWorker(t *testing.T, c client.Client) {
	t.Helper()
	w := worker.New(c, queue, worker.Options{})
	w.RegisterWorkflow(hello)
	w.RegisterWorkflow(waitForSignal)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
}

func greet(t *testing.T, c client.Client, id string) string {
	t.Helper()
	run, err := c.ExecuteWorkflow(t.Context(), startOptions(id), hello, "invoice")
	require.NoError(t, err)
	var got string
	require.NoError(t, run.Get(t.Context(), &got))
	return got
}

func hello(_ workflow.Context, name string) (string, error) { return "hello " + name, nil }

func waitForSignal(ctx workflow.Context) (string, error) {
	var got string
	workflow.GetSignalChannel(ctx, "go").Receive(ctx, &got)
	return got, nil
}

func get(t *testing.T, address string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}
