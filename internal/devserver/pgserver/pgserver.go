//go:build unix

// Package pgserver runs the real Temporal server as a process of its own that
// stores in Postgres. Tests and benchmarks use it where the server in the
// process, on SQLite, would hide something: Postgres' column widths and
// search attribute slots, a server that is killed, the cost of real
// transactions.
//
// Server and schema tool are those of the module's go.mod. The go command
// builds them on first use, which takes minutes, and caches them.
package pgserver

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"

	_ "github.com/lib/pq" // for the indexes of visibility
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/testing/freeport"
)

const (
	serverTool = "go.temporal.io/server/cmd/server"
	sqlTool    = "go.temporal.io/server/cmd/tools/sql"

	// plugin is Temporal's name for Postgres 12 and later with the driver that keeps
	// statements prepared: its other one has each planned anew.
	plugin = "postgres12_pgx"

	readyTimeout = time.Minute
	stopTimeout  = 45 * time.Second // with workers that poll it takes 15
)

// Options say what to start.
type Options struct {
	// Postgres is the URL of a Postgres server over TCP, with a user who may
	// create databases. Its path does not matter.
	Postgres string

	// Database is the name of the database to use; visibility goes to the
	// one with "_visibility" added. Missing ones are created, existing ones
	// are brought up to date. Empty means "temporal".
	Database string

	// Dir is an existing folder for the configuration and the log.
	Dir string

	// Port is the frontend's port, 0 a free one.
	Port int

	// Shards is the number of history shards, fixed when the database is
	// created; 0 means 4, as in Temporal's own development setup.
	Shards int

	// DynamicConfig differs from the server's defaults, by key.
	DynamicConfig map[string]any

	// Env are variables of the server's process besides our own, as NAME=value.
	Env []string

	// VisibilityIndexes are statements for the visibility database, to be run once its
	// tables are there and up to date. Empty means Temporal's own indexes.
	VisibilityIndexes string

	// Namespace is registered when it is missing. Empty means "default".
	Namespace string

	// SearchAttributes are the custom ones the namespace has, by name.
	SearchAttributes map[string]enumspb.IndexedValueType
}

// Server is a Temporal server process.
type Server struct {
	options  Options
	binary   string
	config   string
	hostPort string
	process  *process // nil while the server is down
}

// process is one run of the server, below a shell that ends it when this
// process ends, however that happens.
type process struct {
	guard  *exec.Cmd
	stdin  io.Closer     // closing it ends the server
	pid    int           // of the server
	exited chan struct{} // closed when the server is gone
}

// guardScript runs the server, says its process id, and interrupts it when the
// standard input ends.
const guardScript = `exec 3<&0
"$@" 3<&- &
server=$!
echo $server >&4
exec 4>&-
(cat <&3 >/dev/null; kill -INT $server 2>/dev/null) >/dev/null 2>&1 &
exec 3<&-
wait $server`

// Start builds what is not built, prepares the databases, starts the server
// and returns when it accepts workflows in the namespace. The server ends with
// [Server.Stop], [Server.Kill] or this process.
func Start(ctx context.Context, o Options) (*Server, error) {
	o = o.withDefaults()
	pg, err := url.Parse(o.Postgres)
	if err != nil {
		return nil, fmt.Errorf("start temporal on postgres: %w", err)
	}
	binary, err := build(ctx, serverTool)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, o, pg); err != nil {
		return nil, err
	}
	if err := fitIndexes(ctx, o, pg); err != nil {
		return nil, err
	}
	s := &Server{
		options:  o,
		binary:   binary,
		config:   filepath.Join(o.Dir, "temporal.yaml"),
		hostPort: net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)),
	}
	if err := writeConfig(s.config, o, pg); err != nil {
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Database == "" {
		o.Database = "temporal"
	}
	if o.Port == 0 {
		o.Port = freeport.MustGetFreePort()
	}
	if o.Shards == 0 {
		o.Shards = 4
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	return o
}

// HostPort is where clients and workers connect to. It stays the same when
// the server is started again.
func (s *Server) HostPort() string { return s.hostPort }

// PID is the server's process id, 0 while it is down.
func (s *Server) PID() int {
	if s.process == nil {
		return 0
	}
	return s.process.pid
}

// LogFile is where the server writes its warnings.
func (s *Server) LogFile() string { return filepath.Join(s.options.Dir, "temporal.log") }

// Start starts the server again after [Server.Kill] or [Server.Stop].
func (s *Server) Start(ctx context.Context) error {
	if s.process != nil {
		return errors.New("start temporal on postgres: it runs")
	}
	p, err := s.run()
	if err != nil {
		return fmt.Errorf("start temporal on postgres: %w", err)
	}
	s.process = p
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not ready after %v", readyTimeout))
	defer cancel()
	// When the process ends there is nothing left to wait for.
	go func() {
		select {
		case <-p.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := awaitReady(ctx, s.hostPort, s.options); err != nil {
		log, _ := os.ReadFile(s.LogFile()) // the error is enough without it
		return errors.Join(fmt.Errorf("start temporal on postgres: %w\n%s", err, lastLines(string(log), 10)), s.Kill())
	}
	return nil
}

func (s *Server) run() (*process, error) {
	log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own copy
	pidReader, pidWriter, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer pidReader.Close()
	defer pidWriter.Close()

	guard := exec.Command("/bin/sh", "-c", guardScript, "guard", s.binary, "--config-file", s.config, "--allow-no-auth", "start")
	guard.Stdout, guard.Stderr = log, log
	guard.ExtraFiles = []*os.File{nil, pidWriter}                         // the script's 4
	guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}               // a Ctrl-C is for us to pass on
	guard.Env = append(os.Environ(), "TEMPORAL_VERSION_CHECK_DISABLED=1") // tests do not call home
	guard.Env = append(guard.Env, s.options.Env...)
	stdin, err := guard.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := guard.Start(); err != nil {
		return nil, err
	}
	p := &process{guard: guard, stdin: stdin, exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		_ = guard.Wait() // how it ended is in its log
	}()
	if _, err := fmt.Fscan(pidReader, &p.pid); err != nil {
		return nil, errors.Join(fmt.Errorf("read process id: %w", err), stdin.Close())
	}
	return p, nil
}

// Kill ends the server at once, as a crash of its machine would (SIGKILL).
func (s *Server) Kill() error { return s.end(syscall.SIGKILL) }

// Stop lets the server finish what it is doing, which takes some seconds, more
// while workers poll. Its databases stay.
func (s *Server) Stop() error { return s.end(syscall.SIGTERM) }

func (s *Server) end(signal syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	p := s.process
	s.process = nil
	defer p.stdin.Close()
	if err := syscall.Kill(p.pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop temporal on postgres: %w", err)
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopTimeout):
		err := syscall.Kill(p.pid, syscall.SIGKILL)
		<-p.exited
		return errors.Join(fmt.Errorf("stop temporal on postgres: still running after %v", stopTimeout), err)
	}
}

// build returns the path of a tool that go.mod names.
func build(ctx context.Context, tool string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "tool", "-n", tool)
	var problems strings.Builder
	cmd.Stderr = &problems
	path, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", tool, err, problems.String())
	}
	return strings.TrimSpace(string(path)), nil
}

// migrate makes both databases and their tables. Each step does nothing where
// it was done before.
func migrate(ctx context.Context, o Options, pg *url.URL) error {
	binary, err := build(ctx, sqlTool)
	if err != nil {
		return err
	}
	for database, schema := range map[string]string{
		o.Database:                 "postgresql/v12/temporal",
		visibilityName(o.Database): "postgresql/v12/visibility",
	} {
		for _, step := range [][]string{
			{"create-database"},
			{"setup-schema", "--version", "0.0"},
			{"update-schema", "--schema-name", schema},
		} {
			cmd := exec.CommandContext(ctx, binary, append(toolFlags(pg, database), step...)...)
			if password, ok := pg.User.Password(); ok {
				cmd.Env = append(os.Environ(), "SQL_PASSWORD="+password)
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s %s: %w\n%s", step[0], database, err, lastLines(string(out), 5))
			}
		}
	}
	return nil
}

func fitIndexes(ctx context.Context, o Options, pg *url.URL) error {
	if o.VisibilityIndexes == "" {
		return nil
	}
	visibility := *pg
	visibility.Path = "/" + visibilityName(o.Database)
	db, err := sql.Open("postgres", visibility.String())
	if err != nil {
		return fmt.Errorf("fit visibility's indexes: %w", err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, o.VisibilityIndexes); err != nil {
		return fmt.Errorf("fit visibility's indexes: %w", err)
	}
	return nil
}

func toolFlags(pg *url.URL, database string) []string {
	return []string{
		"--plugin", plugin,
		"--endpoint", pg.Hostname(),
		"--port", portOf(pg),
		"--user", pg.User.Username(),
		"--database", database,
	}
}

func portOf(pg *url.URL) string {
	if p := pg.Port(); p != "" {
		return p
	}
	return "5432"
}

func visibilityName(database string) string { return database + "_visibility" }

//go:embed temporal.yaml.tmpl
var configTemplate string

func writeConfig(path string, o Options, pg *url.URL) error {
	dynamic := filepath.Join(o.Dir, "dynamic.yaml")
	if err := writeDynamicConfig(dynamic, o.DynamicConfig); err != nil {
		return err
	}
	password, _ := pg.User.Password()
	t := template.Must(template.New("temporal.yaml").Parse(configTemplate))
	var text strings.Builder
	err := t.Execute(&text, map[string]any{
		"Plugin":     plugin,
		"Database":   o.Database,
		"Visibility": visibilityName(o.Database),
		"Postgres":   net.JoinHostPort(pg.Hostname(), portOf(pg)),
		"User":       pg.User.Username(),
		"Password":   password,
		"Shards":     o.Shards,
		"Frontend":   o.Port,
		"Port":       freeport.MustGetFreePort,
		"GossipPort": gossipPort,
		"Dynamic":    dynamic,
	})
	if err != nil {
		return fmt.Errorf("write temporal configuration: %w", err)
	}
	return os.WriteFile(path, []byte(text.String()), 0o600)
}

// writeDynamicConfig writes what the server looks at while it runs.
func writeDynamicConfig(path string, values map[string]any) error {
	type value struct {
		Value any `json:"value"`
	}
	keys := map[string][]value{}
	for key, v := range values {
		keys[key] = []value{{v}}
	}
	text, err := json.Marshal(keys) // which is YAML too
	if err != nil {
		return fmt.Errorf("write temporal's dynamic configuration: %w", err)
	}
	return os.WriteFile(path, text, 0o600)
}

// gossipPort picks a free port below 32768: the column that the services'
// membership ports are kept in is a smallint.
func gossipPort() (int, error) {
	const lowest, count, attempts = 20000, 12000, 100
	var config net.ListenConfig
	for range attempts {
		port := lowest + rand.IntN(count)
		l, err := config.Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("no free port below 32768")
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
