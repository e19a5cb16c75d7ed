//go:build unix

package integration_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	deployed "github.com/surehook/surehook/deploy/temporal"
	"github.com/surehook/surehook/internal/devserver"
	"github.com/surehook/surehook/internal/devserver/pgserver"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/internal/store/storetest/pgtest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/workflows"
)

// The stories in the process_… files run the real binary in processes of its
// own, so that they can be killed, on a Postgres that can be killed as well.
// Two variables of the environment steer them:
//
//	SUREHOOK_TEST_REQUIRE   with "temporal-postgres" in it they also run on a
//	                        Temporal server that stores in Postgres. Without,
//	                        that is skipped: to build this server takes minutes.
//	SUREHOOK_TEST_LONG=1    sends 20,000 events instead of 1,000 under load
const (
	envRequire = "SUREHOOK_TEST_REQUIRE"
	envLong    = "SUREHOOK_TEST_LONG"
)

// standstill is how long nothing may happen while a burst is worked off. The
// longest pause on the way is a minute: the lease of a sweep that died.
const standstill = 3 * time.Minute

func TestMain(m *testing.M) {
	code := m.Run()
	if built.folder != "" {
		os.RemoveAll(built.folder)
	}
	os.Exit(code)
}

// built is the binary, made once for all tests of this run.
var built struct {
	once   sync.Once
	folder string
	err    error
}

// binary builds the command as it is built for production.
func binary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.folder, built.err = os.MkdirTemp("", "surehook-binary-"); built.err != nil { //nolint:usetesting // it outlives the test that builds it
			return
		}
		build := exec.Command("go", "build", "-tags", "nodev", "-o", built.folder, "github.com/surehook/surehook/cmd/surehook")
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	require.NoError(t, built.err, "build surehook")
	return filepath.Join(built.folder, "surehook")
}

// stage is everything around the processes of Surehook: one Postgres for the
// inbox and, if asked for, for Temporal; Temporal; the platforms; the receiver.
type stage struct {
	t        *testing.T
	seed     uint64
	retries  []time.Duration // of Stripe's webhooks; none when empty
	postgres *pgtest.Server
	temporal *pgserver.Server // nil when Temporal runs in the test process
	client   client.Client
	store    *store.Store
	db       *sql.DB // of the store
	sandbox  *sandbox.Sandbox

	dir   string
	env   []string // of every process
	URL   string   // of the ingress
	admin string   // of the ingress
	runs  int
}

// temporalKind says which Temporal a stage has.
type temporalKind string

const (
	embedded   temporalKind = "Temporal in the test process"
	onPostgres temporalKind = "Temporal on Postgres"
)

// onEach runs a story on both kinds of Temporal.
func onEach(t *testing.T, story func(t *testing.T, kind temporalKind)) {
	t.Helper()
	for _, kind := range []temporalKind{embedded, onPostgres} {
		t.Run(string(kind), func(t *testing.T) { story(t, kind) })
	}
}

// newStage builds all but Surehook's own processes, and has Surehook's
// database migrated by the binary.
func newStage(t *testing.T, kind temporalKind) *stage {
	t.Helper()
	if kind == onPostgres {
		needTemporalOnPostgres(t)
	}
	if testing.Short() {
		t.Skip("needs a minute: run it without -short")
	}
	s := &stage{t: t, seed: rand.Uint64(), dir: t.TempDir()}
	t.Logf("seed %d", s.seed)
	// Without real commits, killing Postgres would lose some.
	s.postgres = pgtest.Start(t, pgtest.Options{Durable: true})
	hostPort := s.startTemporal(kind, s.postgres)
	s.client = dial(t, hostPort, &logBuffer{})
	s.startSandbox()
	s.configure(s.postgres.Database(t), hostPort)
	return s
}

func needTemporalOnPostgres(t *testing.T) {
	t.Helper()
	if !strings.Contains(os.Getenv(envRequire), "temporal-postgres") {
		t.Skipf("needs a Temporal server on Postgres, which takes minutes to build: set %s=temporal-postgres", envRequire)
	}
}

func (s *stage) startTemporal(kind temporalKind, on *pgtest.Server) (hostPort string) {
	if kind == embedded {
		return startTemporal(s.t, devserver.Options{}).HostPort()
	}
	o := pgserver.Options{
		Postgres:          on.URL(),
		Dir:               s.t.TempDir(),
		VisibilityIndexes: deployed.VisibilityIndexes,
		SearchAttributes:  map[string]enums.IndexedValueType{},
	}
	for _, key := range workflows.SearchAttributeKeys {
		o.SearchAttributes[key.GetName()] = key.GetValueType()
	}
	var err error
	s.temporal, err = pgserver.Start(s.t.Context(), o)
	require.NoError(s.t, err)
	s.t.Cleanup(func() {
		tellOnFailure(s.t, s.temporal.LogFile())
		require.NoError(s.t, s.temporal.Kill())
	})
	return s.temporal.HostPort()
}

// platforms are the fakes by the names of their sources.
func (s *stage) platform(source string) *sandbox.Platform {
	return s.sandbox.Platform(source)
}

func (s *stage) startSandbox() {
	var err error
	s.sandbox, err = sandbox.Open(sandbox.Config{
		Seed: s.seed,
		Log:  slog.New(slog.DiscardHandler),
		Platforms: map[string]sandbox.PlatformConfig{
			"stripe": {Provider: mustStripe(s.t, ""), Secrets: providers.Secrets{stripeSecret}, Key: apiKey, Retries: s.retries},
			"github": {Provider: mustGitHub(s.t, ""), Secrets: providers.Secrets{githubSecret}, Key: apiKey},
		},
	})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, s.sandbox.Close()) })
}

// sourcesFile is what a user would write, with every secret in the environment.
const sourcesFile = `
sources:
  stripe:
    provider: stripe
    secrets: ["${STRIPE_WEBHOOK_SECRET}"]
    api: { base_url: "${SANDBOX}/stripe", key: "${API_KEY}" }
    reconcile: { cron: "0 0 29 2 *", lists: [events, customer] } # only when a story asks for it
  github:
    provider: github
    secrets: ["${GITHUB_WEBHOOK_SECRET}"]
    api: { base_url: "${SANDBOX}/github", key: "${API_KEY}" }
`

func (s *stage) configure(databaseURL, temporalAddress string) {
	t := s.t
	world := httptest.NewServer(s.sandbox)
	t.Cleanup(world.Close)
	file := filepath.Join(s.dir, "surehook.yaml")
	require.NoError(t, os.WriteFile(file, []byte(sourcesFile), 0o600))
	public, admin := loopbackAddress(t), loopbackAddress(t)
	s.URL, s.admin = "http://"+public, "http://"+admin
	s.env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + s.dir, // no configuration of Temporal's that lies around
		"DATABASE_URL=" + databaseURL,
		"TEMPORAL_ADDRESS=" + temporalAddress,
		"SUREHOOK_CONFIG=" + file,
		"SUREHOOK_LISTEN=" + public,
		"SUREHOOK_ADMIN_LISTEN=" + admin,
		"SUREHOOK_NOTIFY_URL=" + world.URL + "/receiver",
		"SANDBOX=" + world.URL,
		"STRIPE_WEBHOOK_SECRET=" + stripeSecret,
		"GITHUB_WEBHOOK_SECRET=" + githubSecret,
		"API_KEY=" + apiKey,
	}
	s.surehook("migrate")
	var err error
	s.store, err = store.Open(t.Context(), store.Config{URL: databaseURL, MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.store.Close() })
	s.db = openSQL(t, databaseURL)
}

// surehook runs a command of the binary to its end and returns what it prints.
func (s *stage) surehook(args ...string) string {
	s.t.Helper()
	out, err := s.trySurehook(args...)
	require.NoError(s.t, err)
	return out
}

// trySurehook is surehook for when it may fail.
func (s *stage) trySurehook(args ...string) (string, error) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), binary(s.t), args...)
	cmd.Env, cmd.Dir = s.env, s.dir
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("surehook %v: %w: %s", args, err, &problems)
	}
	return string(out), nil
}

// process is a running command of the binary.
type process struct {
	t      *testing.T
	pid    int
	log    string // a file
	guard  *exec.Cmd
	exited chan struct{}
}

// guardScript runs a command, says its process id, and kills it when the
// standard input ends: so nothing outlives the tests, however they end. The
// signal goes to the process group, whose number is not given to anybody else
// while the shell that kills is in it.
const guardScript = `exec 3<&0
"$@" </dev/null 3<&- 4>&- &
command=$!
echo $command >&4
exec 4>&-
(cat <&3 >/dev/null; kill -KILL 0) >/dev/null 2>&1 &
exec 3<&-
wait $command`

// start runs a command of the binary as a process of its own. Variables given
// here win over the stage's.
func (s *stage) start(command string, env ...string) *process {
	s.t.Helper()
	s.runs++
	p := &process{t: s.t, log: filepath.Join(s.dir, fmt.Sprintf("%d-%s.log", s.runs, command)), exited: make(chan struct{})}
	log, err := os.Create(p.log)
	require.NoError(s.t, err)
	defer log.Close() // the process has its own copy
	pidReader, pidWriter, err := os.Pipe()
	require.NoError(s.t, err)
	defer pidReader.Close()
	p.guard = exec.Command("/bin/sh", "-c", guardScript, "guard", binary(s.t), command)
	p.guard.Dir, p.guard.Env = s.dir, slices.Concat(s.env, env)
	p.guard.Stdout, p.guard.Stderr = log, log
	p.guard.ExtraFiles = []*os.File{nil, pidWriter} // the script's 4
	p.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	_, err = p.guard.StdinPipe()
	require.NoError(s.t, err)
	err = p.guard.Start()
	require.NoError(s.t, errors.Join(err, pidWriter.Close()))
	go func() {
		defer close(p.exited)
		_ = p.guard.Wait() // its status is read from the process state
	}()
	s.t.Cleanup(func() {
		tellOnFailure(s.t, p.log)
		p.kill()
	})
	_, err = fmt.Fscan(pidReader, &p.pid)
	require.NoError(s.t, err, "start surehook %s", command)
	return p
}

// kill ends the process as a crash would.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

func (p *process) signal(signal syscall.Signal) {
	select {
	case <-p.exited: // its number may be somebody else's by now
	default:
		if err := syscall.Kill(p.pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			p.t.Errorf("signal surehook: %v", err)
		}
	}
}

// exitCode waits for the end of the process.
func (p *process) exitCode() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(2 * patience):
		p.t.Fatalf("the process is still running after %s", 2*patience)
	}
	return p.guard.ProcessState.ExitCode()
}

// untilLogged waits until the process has logged the text.
func (p *process) untilLogged(text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("has not logged %q", text), func() bool {
		log, err := os.ReadFile(p.log)
		return err == nil && strings.Contains(string(log), text)
	})
}

// until waits for a condition, or for the end of the process.
func (p *process) until(not string, ok func() bool) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		select {
		case <-p.exited:
			return true
		default:
			return ok()
		}
	}, patience, 20*time.Millisecond, "surehook %s", not)
	require.True(p.t, ok(), "surehook has exited with %v and %s", p.guard.ProcessState, not)
}

// serve runs ingress, relay and worker in one process and waits until it
// accepts and works.
func (s *stage) serve() *process {
	s.t.Helper()
	p := s.start("serve")
	s.untilReady(p)
	p.untilLogged("worker started")
	return p
}

// ingress runs ingress and relay.
func (s *stage) ingress(env ...string) *process {
	s.t.Helper()
	p := s.start("ingress", env...)
	s.untilReady(p)
	return p
}

// worker runs the worker.
func (s *stage) worker() *process {
	s.t.Helper()
	p := s.start("worker", "SUREHOOK_ADMIN_LISTEN="+loopbackAddress(s.t)) // beside the ingress
	p.untilLogged("worker started")
	return p
}

func (s *stage) untilReady(p *process) {
	s.t.Helper()
	p.until("is not ready", func() bool { return ready(s.t.Context(), s.admin) })
}

func ready(ctx context.Context, admin string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// tellOnFailure shows the end of a log when the test has failed.
func tellOnFailure(t *testing.T, file string) {
	if !t.Failed() {
		return
	}
	const tail = 4000
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Logf("%s: %v", file, err)
		return
	}
	t.Logf("%s ends with:\n%s", filepath.Base(file), raw[max(0, len(raw)-tail):])
}
