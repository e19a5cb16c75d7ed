package ingress_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/github"
	"github.com/surehook/surehook/providers/stripe"
	"github.com/surehook/surehook/workflows"
)

const secret = "whsec_live"

// door is a running server with a real database and real providers. Temporal
// is the one part that is not real: what it says decides many of the answers.
type door struct {
	t        *testing.T
	server   *ingress.Server
	inbox    *inbox
	temporal *temporal
	logs     *logs
	client   *http.Transport
	stop     context.CancelFunc // and wait
	err      error              // what Serve returned
}

// open starts a server with the sources stripe and github. Each adjust may
// change it before.
func open(t *testing.T, adjust ...func(*ingress.Server)) *door {
	t.Helper()
	d := &door{t: t, inbox: openInbox(t), temporal: newTemporal(), logs: &logs{}, client: &http.Transport{}}
	logger := slog.New(slog.NewTextHandler(d.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	registry := prometheus.NewRegistry()
	d.server = &ingress.Server{
		Config: ingress.Config{
			Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0",
			MaxBytesInFlight: 64 << 20, ShutdownTimeout: 10 * time.Second,
		},
		Sources:  []ingress.Source{stripeSource(t), githubSource(t)},
		Inbox:    d.inbox,
		Relay:    &ingress.Relay{Client: d.temporal, Inbox: d.inbox, Logger: logger, Registry: registry},
		Logger:   logger,
		Registry: registry,
	}
	for _, f := range adjust {
		f(d.server)
	}
	require.NoError(t, d.server.Listen())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.err = d.server.Serve(ctx)
	}()
	d.stop = func() {
		// A connection that was dialled and never used holds a shutdown up.
		d.client.CloseIdleConnections()
		cancel()
		<-done
	}
	t.Cleanup(func() {
		d.stop()
		require.NoError(t, d.err)
		require.NotContains(t, d.logs.String(), secret)
	})
	return d
}

func stripeSource(t testing.TB) ingress.Source {
	p, err := stripe.New(providers.APIConfig{})
	require.NoError(t, err)
	return ingress.Source{
		Name: "stripe", Provider: p, Secrets: providers.Secrets{secret}, Mode: providers.ModeLive,
		Accept: []string{"invoice.*", "customer.*"}, Other: providers.StatusIgnored, Body: 1 << 20, Rate: rate.Inf,
	}
}

func githubSource(t testing.TB) ingress.Source {
	p, err := github.New(providers.APIConfig{}, github.Settings{})
	require.NoError(t, err)
	return ingress.Source{
		Name: "github", Provider: p, Secrets: providers.Secrets{secret},
		Accept: []string{"*"}, Other: providers.StatusReview, Body: 25 << 20, Rate: rate.Inf,
	}
}

func (d *door) url(path string) string { return "http://" + d.server.Addr().String() + path }

// reply is an answer with its body read.
type reply struct {
	status int
	header http.Header
	body   string
}

func (d *door) do(r *http.Request) reply {
	d.t.Helper()
	resp, err := d.client.RoundTrip(r)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	return reply{resp.StatusCode, resp.Header, string(body)}
}

func (d *door) get(addr, path string) reply {
	d.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+addr+path, nil)
	require.NoError(d.t, err)
	return d.do(r)
}

// signed is a request that the source's platform could have sent.
func (d *door) signed(source, body string, change ...func(*providers.Request)) *http.Request {
	d.t.Helper()
	i := slices.IndexFunc(d.server.Sources, func(s ingress.Source) bool { return s.Name == source })
	return sign(d.t, d.server.Sources[i], d.url("/webhooks/"+source), body, change...)
}

func sign(t testing.TB, source ingress.Source, address, body string, change ...func(*providers.Request)) *http.Request {
	t.Helper()
	at, err := url.Parse(address)
	require.NoError(t, err)
	r := providers.Request{
		Method: http.MethodPost, URL: at, Body: []byte(body), ReceivedAt: time.Now(),
		Header: http.Header{"Content-Type": {"application/json"}},
	}
	for _, f := range change {
		f(&r)
	}
	require.NoError(t, source.Provider.Sign(&r, source.Secrets))
	req, err := http.NewRequest(r.Method, address, strings.NewReader(string(r.Body)))
	require.NoError(t, err)
	req.Header = r.Header
	return req
}

func (d *door) send(source, body string, change ...func(*providers.Request)) reply {
	d.t.Helper()
	return d.do(d.signed(source, body, change...))
}

// stripeEvent is the body of a Stripe event about an invoice.
func stripeEvent(id, eventType string) string {
	return fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"created":1700000000,"livemode":true,"api_version":"2026-08-26","data":{"object":{"id":"in_1","object":"invoice"}}}`, id, eventType)
}

// asGitHub adds the headers that name an event of GitHub.
func asGitHub(event, delivery string) func(*providers.Request) {
	return func(r *providers.Request) {
		r.Header.Set("X-GitHub-Event", event)
		r.Header.Set("X-GitHub-Delivery", delivery)
	}
}

const issueBody = `{"action":"opened","issue":{"number":7,"id":1,"url":"https://api.github.com/repos/o/r/issues/7","updated_at":"2026-01-02T03:04:05Z"},"repository":{"full_name":"o/r"}}`

func (d *door) status(source, id string) providers.Status {
	d.t.Helper()
	ev, err := d.inbox.Event(d.t.Context(), source, id)
	require.NoError(d.t, err)
	return ev.Status
}

// rejection waits for the one that has been stored for the reason.
func (d *door) rejection(reason string) providers.Rejection {
	d.t.Helper()
	var found providers.Rejection
	require.Eventually(d.t, func() bool {
		var ok bool
		found, ok = d.inbox.rejected(reason)
		return ok
	}, 5*time.Second, 10*time.Millisecond, "no rejection for %s", reason)
	return found
}

// metric is the value of a metric's line in /metrics.
func (d *door) metric(line string) string {
	d.t.Helper()
	for l := range strings.Lines(d.get(d.server.AdminAddr().String(), "/metrics").body) {
		if value, ok := strings.CutPrefix(l, line+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// inbox is the real one, with switches for a database that cannot be reached
// and one that does not answer.
type inbox struct {
	*store.Store
	down  atomic.Bool
	hangs atomic.Bool

	mu         sync.Mutex
	rejections []providers.Rejection
	settled    []providers.Settlement
}

func openInbox(t testing.TB) *inbox {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "inbox.db"), MaxConns: 4})
	require.NoError(t, err)
	require.NoError(t, s.Migrate(t.Context()))
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &inbox{Store: s}
}

func (i *inbox) away(ctx context.Context) error {
	if i.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if i.down.Load() {
		return fmt.Errorf("dial: %w", providers.ErrUnavailable)
	}
	return nil
}

func (i *inbox) Accept(ctx context.Context, events []providers.Received) ([]providers.Accepted, error) {
	if err := i.away(ctx); err != nil {
		return nil, err
	}
	return i.Store.Accept(ctx, events)
}

func (i *inbox) Ping(ctx context.Context) error {
	if err := i.away(ctx); err != nil {
		return err
	}
	return i.Store.Ping(ctx)
}

func (i *inbox) AddRejections(ctx context.Context, rejections []providers.Rejection) error {
	if err := i.away(ctx); err != nil {
		return err
	}
	i.mu.Lock()
	i.rejections = append(i.rejections, rejections...)
	i.mu.Unlock()
	return i.Store.AddRejections(ctx, rejections)
}

func (i *inbox) Settle(ctx context.Context, s providers.Settlement) error {
	i.mu.Lock()
	i.settled = append(i.settled, s)
	i.mu.Unlock()
	return i.Store.Settle(ctx, s)
}

// rejected sums up what was stored for the reason.
func (i *inbox) rejected(reason string) (sum providers.Rejection, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, r := range i.rejections {
		if r.Reason == reason {
			r.Count += sum.Count
			sum, ok = r, true
		}
	}
	return sum, ok
}

// temporal stands for a Temporal cluster where its own behaviour would be hard
// to provoke: away, hanging, or refusing one event.
type temporal struct {
	mu        sync.Mutex
	runs      map[string][]providers.EventRef // by workflow ID
	statuses  map[string]enumspb.WorkflowExecutionStatus
	since     map[string]time.Time // when they were started
	options   []client.StartWorkflowOptions
	workflows []any
	signals   []workflows.Resolution
	calls     int
	fail      func(ctx context.Context, id string) error
	ended     func(ctx context.Context) error // waits for the end of any run
}

func newTemporal() *temporal {
	return &temporal{runs: map[string][]providers.EventRef{}, statuses: map[string]enumspb.WorkflowExecutionStatus{}}
}

// failing makes every call end with what f returns, if it returns something.
func (f *temporal) failing(fail func(ctx context.Context, id string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

func (f *temporal) enter(ctx context.Context, id string) error {
	f.mu.Lock()
	f.calls++
	fail := f.fail
	f.mu.Unlock()
	if fail != nil {
		return fail(ctx, id)
	}
	return ctx.Err()
}

func (f *temporal) ExecuteWorkflow(ctx context.Context, o client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error) {
	if err := f.enter(ctx, o.ID); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.runs[o.ID]; there {
		return nil, &serviceerror.WorkflowExecutionAlreadyStarted{Message: "already started"}
	}
	switch input := args[0].(type) {
	case providers.EventRef:
		f.runs[o.ID] = []providers.EventRef{input}
	case []providers.EventRef:
		f.runs[o.ID] = input
	}
	f.statuses[o.ID] = enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
	f.options = append(f.options, o)
	f.workflows = append(f.workflows, workflow)
	return run{id: "run-" + o.ID, ended: f.ended}, nil
}

func (f *temporal) SignalWorkflow(ctx context.Context, id, _, _ string, arg any) error {
	if err := f.enter(ctx, id); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.statuses[id] != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return serviceerror.NewNotFound("workflow execution already completed")
	}
	f.signals = append(f.signals, arg.(workflows.Resolution))
	return nil
}

func (f *temporal) DescribeWorkflowExecution(ctx context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	if err := f.enter(ctx, id); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	status, there := f.statuses[id]
	if !there {
		return nil, serviceerror.NewNotFound("no such workflow")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: status, StartTime: timestamppb.New(f.since[id])},
	}, nil
}

func (f *temporal) CheckHealth(ctx context.Context, _ *client.CheckHealthRequest) (*client.CheckHealthResponse, error) {
	return &client.CheckHealthResponse{}, f.enter(ctx, "")
}

func (f *temporal) started(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, there := f.runs[id]
	return there
}

func (f *temporal) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.runs)
}

func (f *temporal) signaled() []workflows.Resolution {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.signals)
}

func (f *temporal) called() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

type run struct {
	client.WorkflowRun
	id    string
	ended func(ctx context.Context) error
}

func (r run) GetID() string    { return strings.TrimPrefix(r.id, "run-") }
func (r run) GetRunID() string { return r.id }

func (r run) Get(ctx context.Context, _ any) error {
	if r.ended == nil {
		return nil
	}
	return r.ended(ctx)
}

func away(context.Context, string) error { return serviceerror.NewUnavailable("connection refused") }

// logs keeps what is logged, for tests of what must not be.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
