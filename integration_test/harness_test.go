package integration_test

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"golang.org/x/time/rate"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/internal/devserver"
	"github.com/surehook/surehook/internal/notify"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/all"
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
	notifyToken  = "token_integration"
	// patience is how long a story waits for what must happen. It is generous
	// because machines are slow at times; nothing waits for its whole length
	// unless it fails.
	patience = 30 * time.Second
)

// options change what start builds.
type options struct {
	databaseURL string // SQLite in a temporary folder when empty
	temporal    string // host:port of a server; an embedded one when empty
	// sources alter the source of that name. Those that are no platform are further
	// sources of Stripe.
	sources map[string]func(*ingress.Source)
	// platforms are further ones that the sandbox plays, each with a source of its name.
	platforms   map[string]platform
	maxAttempts int32                           // 3 when 0
	withoutWork bool                            // no worker runs, until work is called
	stripeAPI   func(http.Handler) http.Handler // stands between us and Stripe's API
	ingress     func(*ingress.Config)           // alters the configuration of the ingress
	schedules   []workflows.Scheduled           // that the worker writes
	stopTimeout time.Duration                   // how long the worker may take to stop; 10 s when 0
}

// platform is how one of options.platforms is set up.
type platform struct {
	secret   string
	settings any              // as all.Settings returns them, or nil
	now      func() time.Time // the sandbox's clock; time.Now when nil
}

// source alters the stripe source alone.
func source(alter func(*ingress.Source)) map[string]func(*ingress.Source) {
	return map[string]func(*ingress.Source){"stripe": alter}
}

// system is a whole Surehook with its surroundings.
type system struct {
	t           *testing.T
	temporal    *devserver.Server // nil when options.temporal was given
	client      client.Client
	databaseURL string
	store       *store.Store
	stripe      *sandbox.Platform
	github      *sandbox.Platform
	platforms   map[string]*sandbox.Platform // those of options.platforms
	receiver    *sandbox.Receiver
	log         *logBuffer
	sources     []ingress.Source
	registry    *prometheus.Registry
	served      int // how often serve has been called

	URL   string // where webhooks go: URL + "/webhooks/stripe"
	admin string
	halt  func() // stops ingress and worker gracefully; may be called once more
	work  func() // starts the worker, where options.withoutWork held it back
}

// start runs everything and stops it when the test ends.
func start(t *testing.T, o options) *system {
	t.Helper()
	s := &system{t: t, log: &logBuffer{}, databaseURL: o.databaseURL}
	if o.temporal == "" {
		s.temporal = startTemporal(t, devserver.Options{})
		o.temporal = s.temporal.HostPort()
	}
	if s.databaseURL == "" {
		s.databaseURL = "sqlite:" + filepath.Join(t.TempDir(), "surehook.db")
	}
	s.client = dial(t, o.temporal, s.log)
	s.store = openStore(t, s.databaseURL)
	s.startSandbox(o)
	s.serve(o)
	return s
}

// in is the same system, as a subtest sees it.
func (s *system) in(t *testing.T) *system {
	t.Helper()
	sub := *s
	sub.t = t
	return &sub
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

// loopbackAddress is free, and below the ports that outgoing connections get:
// the address of a killed process must still be free when it starts again.
func loopbackAddress(t *testing.T) string {
	t.Helper()
	const lowest, count, attempts = 20_000, 12_000, 100
	for range attempts {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(lowest+rand.IntN(count)))
		if l, err := net.Listen("tcp", address); err == nil {
			require.NoError(t, l.Close())
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

func dial(t *testing.T, hostPort string, log io.Writer) client.Client {
	t.Helper()
	c, err := client.NewLazyClient(client.Options{
		HostPort: hostPort,
		Logger:   sdklog.NewStructuredLogger(debugLogger(log)),
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func debugLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func openStore(t *testing.T, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: url, MaxConns: 10})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	require.NoError(t, s.Migrate(t.Context()))
	return s
}

// openSQL opens a database of the store's beside the store.
func openSQL(t *testing.T, url string) *sql.DB {
	t.Helper()
	driver, name := "postgres", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, name = "sqlite", path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, name)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (s *system) startSandbox(o options) {
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
	s.platforms = map[string]*sandbox.Platform{}
	for name, p := range o.platforms {
		s.platforms[name] = sandbox.New(name, sandbox.PlatformConfig{
			Provider: s.provider(name, "http://localhost", p),
			Secrets:  providers.Secrets{p.secret},
			Key:      apiKey,
			Seed:     1,
			Now:      p.now,
		})
		s.t.Cleanup(s.platforms[name].Close)
	}
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
	p, err := github.New(providers.APIConfig{BaseURL: url, Key: apiKey}, github.Settings{
		Repositories: []string{"octo-org/hello-world"},
		Hooks:        []github.Hook{{Repository: "octo-org/hello-world", ID: 471234567}},
	})
	require.NoError(t, err)
	return p
}

// provider is one of options.platforms, for an API at the URL.
func (s *system) provider(name, url string, p platform) providers.Provider {
	s.t.Helper()
	made, err := all.New(name, providers.APIConfig{BaseURL: url, Key: apiKey}, p.settings)
	require.NoError(s.t, err)
	return made
}

func (s *system) listen(h http.Handler) string {
	server := httptest.NewServer(h)
	s.t.Cleanup(server.Close)
	return server.URL
}

// serve wires the product as cmd/surehook does. After halt it may be called
// again: then it is the next process on the same database.
func (s *system) serve(o options) {
	t := s.t
	s.served++
	logger := debugLogger(s.log)
	if o.stripeAPI == nil {
		o.stripeAPI = func(platform http.Handler) http.Handler { return platform }
	}
	s.declareSources(o)
	s.registry = prometheus.NewRegistry()
	objectsPerRun := map[string]int{}
	for _, source := range s.sources {
		objectsPerRun[source.Name] = 16
	}
	server := &ingress.Server{
		Config: ingress.Config{
			Listen:           "127.0.0.1:0",
			AdminListen:      "127.0.0.1:0",
			MaxBytesInFlight: 64 << 20,
			ShutdownDelay:    50 * time.Millisecond,
			ShutdownTimeout:  10 * time.Second,
		},
		Sources:  s.sources,
		Inbox:    s.store,
		Relay:    &ingress.Relay{Client: s.client, Inbox: s.store, Eager: !o.withoutWork, ObjectsPerRun: objectsPerRun, Logger: logger, Registry: s.registry},
		Logger:   logger,
		Registry: s.registry,
	}
	if o.ingress != nil {
		o.ingress(&server.Config)
	}
	require.NoError(t, server.Listen())
	s.URL = "http://" + server.Addr().String()
	w := s.worker(o, logger)
	s.admin = "http://" + server.AdminAddr().String()
	s.stripe.SetTarget(s.URL + "/webhooks/stripe")
	s.github.SetTarget(s.URL + "/webhooks/github")
	for name, p := range s.platforms {
		p.SetTarget(s.URL + "/webhooks/" + name)
	}

	ctx, cancel := context.WithCancel(context.Background())
	workCtx, cancelWork := context.WithCancel(context.Background())
	var ingressRuns, workerRuns sync.WaitGroup
	ingressRuns.Go(func() {
		if err := server.Serve(ctx); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	s.work = func() {
		workerRuns.Go(func() {
			if err := w.Run(workCtx); err != nil {
				t.Errorf("worker: %v", err)
			}
		})
	}
	if !o.withoutWork {
		s.work()
	}
	s.halt = func() {
		cancel()
		ingressRuns.Wait()
		cancelWork()
		workerRuns.Wait()
	}
	t.Cleanup(s.halt)
}

// declareSources makes the sources anew, with the alterations of the options.
func (s *system) declareSources(o options) {
	stripeProvider := mustStripe(s.t, s.listen(o.stripeAPI(s.stripe)))
	plain := ingress.Source{Accept: []string{"*"}, Other: providers.StatusIgnored, Body: 1 << 20, Rate: rate.Inf}
	declare := func(name string, provider providers.Provider, secret string) {
		one := plain
		one.Name, one.Provider, one.Secrets = name, provider, providers.Secrets{secret}
		if alter := o.sources[name]; alter != nil {
			alter(&one)
		}
		s.sources = append(s.sources, one)
	}
	s.sources = nil
	declare("stripe", stripeProvider, stripeSecret)
	declare("github", mustGitHub(s.t, s.listen(s.github)), githubSecret)
	for name, p := range o.platforms {
		declare(name, s.provider(name, s.listen(s.platforms[name]), p), p.secret)
	}
	for name := range o.sources {
		if _, declared := o.platforms[name]; !declared && name != "stripe" && name != "github" {
			declare(name, stripeProvider, stripeSecret)
		}
	}
}

func (s *system) worker(o options, logger *slog.Logger) *worker.Worker {
	w := &worker.Worker{
		Client:    s.client,
		Namespace: client.DefaultNamespace,
		Activities: &activities.Activities{
			Inbox:           s.store,
			Records:         s.store,
			Reconciliations: s.store,
			Retention:       s.store,
			Sources:         map[string]activities.Source{},
			Notifier:        notify.New(notify.Config{URL: s.listen(s.receiver) + "?token=" + notifyToken}),
			Meter:           worker.NewMetrics(s.registry),
			MaxAttempts:     cmp.Or(o.maxAttempts, 3),
		},
		Schedules: o.schedules,
		Config:    worker.Config{StopTimeout: cmp.Or(o.stopTimeout, 10*time.Second)},
		Logger:    logger,
	}
	unlimited := rate.NewLimiter(rate.Inf, 0)
	for _, source := range s.sources {
		w.Activities.Sources[source.Name] = activities.Source{
			Provider:   source.Provider,
			Limiter:    unlimited,
			Background: unlimited,
			Reception: providers.Reception{
				Source:     source.Name,
				Provider:   source.Provider,
				Mode:       source.Mode,
				Accept:     source.Accept,
				Other:      source.Other,
				WorkflowID: workflows.ID,
			},
			URL:     s.URL + "/webhooks/" + source.Name,
			Secrets: source.Secrets,
		}
		w.Sources = append(w.Sources, worker.Source{Name: source.Name})
	}
	return w
}

// trigger makes something happen at the platform and delivers its webhook.
func (s *system) trigger(p *sandbox.Platform, typ string, opts ...sandbox.Option) sandbox.Event {
	s.t.Helper()
	ev, err := p.Trigger(s.t.Context(), typ, opts...)
	require.NoError(s.t, err)
	return ev
}

// fail makes calls of the platform's API go wrong; without a fault all is well.
func (s *system) fail(p *sandbox.Platform, faults ...sandbox.APIFault) {
	s.t.Helper()
	require.NoError(s.t, p.SetFaults(sandbox.Faults{API: faults}))
}

// answer is what a sender is told.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

// post sends the signed request of an event once.
func (s *system) post(p *sandbox.Platform, source, eventID string) answer {
	s.t.Helper()
	return s.send(source, s.request(p, eventID))
}

// request is what the platform would send for an event now.
func (s *system) request(p *sandbox.Platform, eventID string) providers.Request {
	s.t.Helper()
	r, err := p.Request(eventID)
	require.NoError(s.t, err)
	return r
}

// signed signs a request to Stripe's source in another way than the platform.
func (s *system) signed(r providers.Request, secret string, at time.Time) providers.Request {
	s.t.Helper()
	r.Header, r.ReceivedAt = r.Header.Clone(), at
	require.NoError(s.t, mustStripe(s.t, "").Sign(&r, providers.Secrets{secret}))
	return r
}

// send makes a request as it is.
func (s *system) send(source string, r providers.Request) answer {
	s.t.Helper()
	got, err := s.trySend(source, r)
	require.NoError(s.t, err)
	return got
}

// trySend is send for goroutines, and for when nobody may be there.
func (s *system) trySend(source string, r providers.Request) (answer, error) {
	req, err := http.NewRequestWithContext(s.t.Context(), r.Method, s.URL+"/webhooks/"+source, bytes.NewReader(r.Body))
	if err != nil {
		return answer{}, err
	}
	req.Header = r.Header.Clone()
	return do(req)
}

// get asks the private listener.
func (s *system) get(path string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.admin+path, nil)
	require.NoError(s.t, err)
	got, err := do(req)
	require.NoError(s.t, err)
	return got
}

func do(req *http.Request) (answer, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}, err
}

// metric is the line of /metrics that begins with the name and labels.
func (s *system) metric(name string) string {
	s.t.Helper()
	for line := range strings.Lines(s.get("/metrics").Body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// eventually waits for a condition.
func (s *system) eventually(ok func() bool, what string, args ...any) {
	s.t.Helper()
	require.Eventually(s.t, ok, patience, 10*time.Millisecond, append([]any{what}, args...)...)
}

// until waits for a condition about an event and returns the event.
func (s *system) until(source, id string, what string, ok func(store.EventRow) bool) store.EventRow {
	s.t.Helper()
	var e store.EventRow
	s.eventually(func() bool {
		var err error
		e, err = s.store.EventRow(s.t.Context(), source, id)
		return err == nil && ok(e)
	}, "event %s/%s is not %s", source, id, what)
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
	return s.untilRunOf(workflows.ID(source, id), want)
}

// untilRunOf is untilRun for a workflow ID.
func (s *system) untilRunOf(workflowID string, want enums.WorkflowExecutionStatus) *client.WorkflowExecutionDescription {
	s.t.Helper()
	var d *client.WorkflowExecutionDescription
	s.eventually(func() bool {
		var err error
		d, err = s.client.DescribeWorkflow(s.t.Context(), workflowID, "")
		return err == nil && d.Status == want
	}, "the run of %s is not %s", workflowID, want)
	return d
}

// requireNoRun asserts that Temporal knows no run of the event.
func (s *system) requireNoRun(source, id string) {
	s.t.Helper()
	_, err := s.client.DescribeWorkflow(s.t.Context(), workflows.ID(source, id), "")
	require.ErrorAs(s.t, err, new(*serviceerror.NotFound))
}

// requireNoEvent asserts that the inbox knows no such event.
func (s *system) requireNoEvent(source, id string) {
	s.t.Helper()
	_, err := s.store.EventRow(s.t.Context(), source, id)
	require.ErrorIs(s.t, err, providers.ErrNotFound)
}

// history is what Temporal holds of the event's latest run.
func (s *system) history(source, id string) *historypb.History {
	s.t.Helper()
	return s.historyOf(workflows.ID(source, id))
}

func (s *system) historyOf(workflowID string) *historypb.History {
	s.t.Helper()
	all := &historypb.History{}
	iter := s.client.GetWorkflowHistory(s.t.Context(), workflowID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for iter.HasNext() {
		event, err := iter.Next()
		require.NoError(s.t, err)
		all.Events = append(all.Events, event)
	}
	return all
}

// count is how many events of a kind a history holds.
func count(h *historypb.History, kind enums.EventType) int {
	n := 0
	for _, event := range h.Events {
		if event.EventType == kind {
			n++
		}
	}
	return n
}

// carry starts an event's run as ingress does while the database is away: the
// run carries the event.
func (s *system) carry(ev sandbox.Event) {
	s.t.Helper()
	r := s.request(s.stripe, ev.ID)
	relay := &ingress.Relay{Client: s.client, Inbox: s.store, Logger: debugLogger(s.log)}
	started, err := relay.StartNow(s.t.Context(), providers.EventRef{
		Source:     "stripe",
		ID:         ev.ID,
		Type:       ev.Type,
		Ref:        ev.Object,
		ReceivedAt: r.ReceivedAt,
		Inline:     &providers.InlineEvent{OccurredAt: ev.CreatedAt, Mode: providers.ModeTest, Header: r.Header, Body: r.Body},
	})
	require.NoError(s.t, err)
	require.True(s.t, started)
}

// makeDue lets the time pass after which the sweep looks after a started event.
func (s *system) makeDue(source, id string) {
	s.t.Helper()
	_, err := openSQL(s.t, s.databaseURL).ExecContext(s.t.Context(), "UPDATE events SET due_at = 0 WHERE source = ? AND event_id = ?", source, id)
	require.NoError(s.t, err)
}

// rest waits until everything that was posted before has had its turn: a
// further event goes the whole way. It is for asserting that something did not
// happen.
func (s *system) rest() {
	s.t.Helper()
	ev := s.trigger(s.github, "issues")
	s.untilStatus("github", ev.ID, providers.StatusProcessed)
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

// count is how many lines hold the text.
func (b *logBuffer) count(text string) int { return strings.Count(b.String(), text) }
