package integration_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"golang.org/x/time/rate"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/internal/devserver"
	"github.com/surehook/surehook/internal/notify"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/github"
	"github.com/surehook/surehook/providers/stripe"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/worker"
	"github.com/surehook/surehook/workflows"
)

const (
	stripeSecret = "whsec_integration_first"
	githubSecret = "github_integration_first"
	apiKey       = "sk_test_integration"
	// patience is how long a story waits for what must happen. It is generous
	// because machines are slow at times; nothing waits for its whole length
	// unless it fails.
	patience = 30 * time.Second
)

// options change what start builds.
type options struct {
	databaseURL string            // SQLite in a temporary folder when empty
	temporal    string            // host:port of a server; an embedded one when empty
	secrets     providers.Secrets // of the stripe source
	bodyLimit   int64
	maxAttempts int32
	withoutWork bool // no worker runs: events are started and wait
	mode        providers.Mode
	accept      []string
	other       providers.Status
}

// system is a whole Surehook with its surroundings.
type system struct {
	t        *testing.T
	temporal *devserver.Server // nil when options.temporal was given
	client   client.Client
	store    *store.Store
	stripe   *sandbox.Platform
	github   *sandbox.Platform
	receiver *sandbox.Receiver
	log      *logBuffer

	URL   string // where webhooks go: URL + "/webhooks/stripe"
	admin string
	halt  func() // stops ingress and worker gracefully; may be called once more
}

// start runs everything and stops it when the test ends.
func start(t *testing.T, o options) *system {
	t.Helper()
	s := &system{t: t, log: &logBuffer{}}
	if o.temporal == "" {
		s.temporal = startTemporal(t, devserver.Options{})
		o.temporal = s.temporal.HostPort()
	}
	s.client = dial(t, o.temporal, s.log)
	s.store = openStore(t, o.databaseURL)
	s.startSandbox()
	s.serve(o)
	return s
}

func startTemporal(t *testing.T, o devserver.Options) *devserver.Server {
	t.Helper()
	o.SearchAttributes = map[string]enums.IndexedValueType{}
	for _, key := range workflows.SearchAttributeKeys {
		o.SearchAttributes[key.GetName()] = key.GetValueType()
	}
	server, err := devserver.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	return server
}

func dial(t *testing.T, hostPort string, log io.Writer) client.Client {
	t.Helper()
	c, err := client.NewLazyClient(client.Options{
		HostPort: hostPort,
		Logger:   sdklog.NewStructuredLogger(slog.New(slog.NewTextHandler(log, nil))),
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func openStore(t *testing.T, url string) *store.Store {
	t.Helper()
	if url == "" {
		url = "sqlite:" + filepath.Join(t.TempDir(), "surehook.db")
	}
	s, err := store.Open(t.Context(), store.Config{URL: url, MaxConns: 10})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	require.NoError(t, s.Migrate(t.Context()))
	return s
}

func (s *system) startSandbox() {
	s.stripe = sandbox.NewStripe(sandbox.PlatformConfig{
		Provider: mustStripe(s.t, ""),
		Secrets:  providers.Secrets{stripeSecret},
		Key:      apiKey,
		Seed:     1,
	})
	s.github = sandbox.NewGitHub(sandbox.PlatformConfig{
		Provider: mustGitHub(s.t, ""),
		Secrets:  providers.Secrets{githubSecret},
		Key:      apiKey,
		Seed:     1,
	})
	s.receiver = sandbox.NewReceiver()
	s.t.Cleanup(s.stripe.Close)
	s.t.Cleanup(s.github.Close)
}

func mustStripe(t *testing.T, url string) *stripe.Provider {
	t.Helper()
	p, err := stripe.New(providers.APIConfig{BaseURL: url, Key: apiKey})
	require.NoError(t, err)
	return p
}

func mustGitHub(t *testing.T, url string) *github.Provider {
	t.Helper()
	p, err := github.New(providers.APIConfig{BaseURL: url, Key: apiKey})
	require.NoError(t, err)
	return p
}

func (s *system) listen(h http.Handler) string {
	server := httptest.NewServer(h)
	s.t.Cleanup(server.Close)
	return server.URL
}

// serve wires the product as cmd/surehook does.
func (s *system) serve(o options) {
	t := s.t
	logger := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	stripeProvider := mustStripe(t, s.listen(s.stripe))
	githubProvider := mustGitHub(t, s.listen(s.github))
	if o.secrets == nil {
		o.secrets = providers.Secrets{stripeSecret}
	}
	if o.bodyLimit == 0 {
		o.bodyLimit = 1 << 20
	}
	if o.accept == nil {
		o.accept = []string{"*"}
	}
	if o.other == "" {
		o.other = providers.StatusIgnored
	}
	if o.maxAttempts == 0 {
		o.maxAttempts = 3
	}
	server := &ingress.Server{
		Config: ingress.Config{
			Listen:           "127.0.0.1:0",
			AdminListen:      "127.0.0.1:0",
			MaxBytesInFlight: 64 << 20,
			ShutdownTimeout:  10 * time.Second,
		},
		Sources: []ingress.Source{
			{Name: "stripe", Provider: stripeProvider, Secrets: o.secrets, Mode: o.mode, Accept: o.accept, Other: o.other, Body: o.bodyLimit, Rate: rate.Inf},
			{Name: "github", Provider: githubProvider, Secrets: providers.Secrets{githubSecret}, Accept: []string{"*"}, Other: providers.StatusIgnored, Body: o.bodyLimit, Rate: rate.Inf},
		},
		Inbox:    s.store,
		Relay:    &ingress.Relay{Client: s.client, Inbox: s.store, Eager: !o.withoutWork, Logger: logger},
		Logger:   logger,
		Registry: prometheus.NewRegistry(),
	}
	w := &worker.Worker{
		Client:    s.client,
		Namespace: client.DefaultNamespace,
		Activities: &activities.Activities{
			Inbox:   s.store,
			Records: s.store,
			Sources: map[string]activities.Source{
				"stripe": {Provider: stripeProvider, Limiter: rate.NewLimiter(rate.Inf, 0)},
				"github": {Provider: githubProvider, Limiter: rate.NewLimiter(rate.Inf, 0)},
			},
			Notifier:    notify.New(notify.Config{URL: s.listen(s.receiver)}),
			MaxAttempts: o.maxAttempts,
		},
		Sources: []worker.Source{{Name: "stripe"}, {Name: "github"}},
		Config:  worker.Config{StopTimeout: 10 * time.Second},
		Logger:  logger,
	}
	require.NoError(t, server.Listen())
	s.URL = "http://" + server.Addr().String()
	s.admin = "http://" + server.AdminAddr().String()
	s.stripe.SetTarget(s.URL + "/webhooks/stripe")
	s.github.SetTarget(s.URL + "/webhooks/github")

	ctx, cancel := context.WithCancel(context.Background())
	workCtx, cancelWork := context.WithCancel(context.Background())
	var ingressRuns, workerRuns sync.WaitGroup
	ingressRuns.Go(func() {
		if err := server.Serve(ctx); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	if !o.withoutWork {
		workerRuns.Go(func() {
			if err := w.Run(workCtx); err != nil {
				t.Errorf("worker: %v", err)
			}
		})
	}
	s.halt = func() {
		cancel()
		ingressRuns.Wait()
		cancelWork()
		workerRuns.Wait()
	}
	t.Cleanup(s.halt)
}

// trigger makes something happen at the platform and delivers its webhook.
func (s *system) trigger(p *sandbox.Platform, typ string, opts ...sandbox.Option) sandbox.Event {
	s.t.Helper()
	ev, err := p.Trigger(s.t.Context(), typ, opts...)
	require.NoError(s.t, err)
	return ev
}

// post sends the signed request of an event once and returns the answer.
func (s *system) post(p *sandbox.Platform, source, eventID string) (int, string) {
	s.t.Helper()
	r, err := p.Request(eventID)
	require.NoError(s.t, err)
	return s.send(source, r)
}

// send posts a request as it is.
func (s *system) send(source string, r providers.Request) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.URL+"/webhooks/"+source, bytes.NewReader(r.Body))
	require.NoError(s.t, err)
	req.Header = r.Header.Clone()
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, string(body)
}

// until waits for a condition about an event and returns the event.
func (s *system) until(source, id string, what string, ok func(store.EventRow) bool) store.EventRow {
	s.t.Helper()
	var e store.EventRow
	require.Eventually(s.t, func() bool {
		var err error
		e, err = s.store.EventRow(s.t.Context(), source, id)
		return err == nil && ok(e)
	}, patience, 10*time.Millisecond, "event %s/%s is not %s", source, id, what)
	return e
}

// untilStatus waits until the event has the status.
func (s *system) untilStatus(source, id string, want providers.Status) store.EventRow {
	s.t.Helper()
	return s.until(source, id, string(want), func(e store.EventRow) bool { return e.Status == want })
}

// requireTrue asserts that our record equals the platform's object.
func (s *system) requireTrue(p *sandbox.Platform, source string, ref providers.Ref) {
	s.t.Helper()
	object, ok := p.Object(ref)
	require.True(s.t, ok, "the platform has no %s", ref)
	r, err := s.store.Record(s.t.Context(), source, ref.Type, ref.ID)
	require.NoError(s.t, err)
	require.Equal(s.t, object.Deleted, r.Deleted, "deleted")
	if !object.Deleted {
		require.JSONEq(s.t, string(object.State), string(r.State))
	}
}

// untilRun waits until the event's run has the status, and describes it. A run
// completes a moment after its last activity has finished the event.
func (s *system) untilRun(source, id string, want enums.WorkflowExecutionStatus) *client.WorkflowExecutionDescription {
	s.t.Helper()
	var d *client.WorkflowExecutionDescription
	require.Eventually(s.t, func() bool {
		var err error
		d, err = s.client.DescribeWorkflow(s.t.Context(), workflows.ID(source, id), "")
		return err == nil && d.Status == want
	}, patience, 10*time.Millisecond, "the run of %s/%s is not %s", source, id, want)
	return d
}

// logBuffer collects what the parts log, for a story that reads it.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
