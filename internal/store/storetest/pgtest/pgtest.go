// Package pgtest gives tests a Postgres server: the one that
// SUREHOOK_TEST_POSTGRES_URL names (a superuser's URL), else a throwaway one
// that it starts from binaries found on this machine. Without either the test is
// skipped, unless SUREHOOK_TEST_REQUIRE contains "postgres": then it fails.
//
// A test that only needs a database calls URL. A test that stops, kills or
// freezes the server calls Start, and gets a server of its own.
package pgtest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver "postgres"
)

// The variables that steer this package.
const (
	envURL     = "SUREHOOK_TEST_POSTGRES_URL"
	envRequire = "SUREHOOK_TEST_REQUIRE"
)

// Options say what kind of server Start starts.
type Options struct {
	// Durable makes every commit reach the disk, as in production. Without it a
	// crash of the machine may lose data, which tests need not fear, and all is faster.
	Durable bool
}

// Server is a throwaway server of one test.
type Server struct {
	binaries string
	folder   string // the database's files, of the user that runs the server
	port     int
	options  Options
	owner    *syscall.Credential // nil: ourselves

	stdin  io.WriteCloser // of the guard: closing it ends the server
	exited chan struct{}  // closed when the server has ended
}

// shared is the server of this test process. It is started once, for the first
// test that asks, and ends with the process.
var shared = sync.OnceValues(func() (*Server, error) { return start(Options{}) })

// URL returns the URL of a new, empty database, which is dropped when the test
// ends.
func URL(t testing.TB) string {
	t.Helper()
	if u := os.Getenv(envURL); u != "" {
		return newDatabase(t, u)
	}
	s, err := shared()
	if err != nil {
		missing(t, err)
	}
	return s.Database(t)
}

// Start starts a server for this test alone. It ends with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := start(o)
	if err != nil {
		missing(t, err)
	}
	t.Cleanup(s.end)
	return s
}

func missing(t testing.TB, err error) {
	t.Helper()
	if strings.Contains(os.Getenv(envRequire), "postgres") {
		t.Fatalf("%s asks for Postgres: %v", envRequire, err)
	}
	if _, ok := errors.AsType[*absentError](err); !ok {
		t.Fatalf("start Postgres: %v", err)
	}
	t.Skipf("needs Postgres: %v", err)
}

// absentError says why this machine cannot run Postgres.
type absentError struct{ reason string }

func (e *absentError) Error() string { return e.reason }

func start(o Options) (*Server, error) {
	binaries, err := findBinaries()
	if err != nil {
		return nil, err
	}
	owner, err := unprivileged()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "surehook-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{binaries: binaries, folder: folder, options: o, owner: owner}
	if err := s.create(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return s, nil
}

// create makes the files and starts the server for the first time. Another
// process may take the free port first; then another is tried.
func (s *Server) create() error {
	if s.owner != nil {
		if err := os.Chown(s.folder, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			return err
		}
	}
	initdb := s.command("initdb", "--no-sync", "--no-instructions", "--username=postgres", "--auth=trust",
		"--encoding=UTF8", "--no-locale", "--pgdata="+s.data())
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	var err error
	for range 3 {
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.run(); err == nil {
			return nil
		}
	}
	return err
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.binaries, name), args...)
	cmd.Dir = s.folder
	if s.owner != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	}
	return cmd
}

// guardScript runs a server and ends it when the script's standard input ends.
// So the server dies with this process, however that dies, and the files go with
// it, unless they are wanted for another start: then the folder holds a file "keep".
const guardScript = `folder=$1; shift
rm -f "$folder/ended"
exec 3<&0
"$@" >>"$folder/log" 2>&1 </dev/null 3<&- &
server=$!
(cat <&3 >/dev/null; : >"$folder/ended"; kill -INT $server) 2>/dev/null &
watcher=$!
wait $server
kill $watcher 2>/dev/null
[ -e "$folder/ended" ] && [ ! -e "$folder/keep" ] && rm -rf "$folder"`

func (s *Server) run() error {
	args := []string{"-c", guardScript, "guard", s.folder, filepath.Join(s.binaries, "postgres"), "-D", s.data(),
		"-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "max_connections=200", "-c", "shared_buffers=64MB"}
	if !s.options.Durable {
		args = append(args, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	}
	guard := exec.Command("/bin/sh", args...)
	guard.Dir = s.folder
	guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.owner} // no Ctrl-C before we are done
	stdin, err := guard.StdinPipe()
	if err != nil {
		return err
	}
	if err := guard.Start(); err != nil {
		return err
	}
	s.stdin, s.exited = stdin, make(chan struct{})
	go func() {
		defer close(s.exited)
		_ = guard.Wait() // its status says only how the server ended
	}()
	if err := s.waitReady(30 * time.Second); err != nil {
		s.stop()
		log, _ := os.ReadFile(filepath.Join(s.folder, "log"))
		return fmt.Errorf("%w: %s", err, log)
	}
	return nil
}

func (s *Server) waitReady(limit time.Duration) error {
	db, err := sql.Open("postgres", s.URL())
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		if err = db.PingContext(ctx); err == nil {
			return s.checkOwnPort(ctx, db)
		}
		select {
		case <-s.exited:
			return errors.New("postgres ended at once")
		case <-ctx.Done():
			return fmt.Errorf("postgres did not start within %s: %w", limit, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// checkOwnPort makes sure that it is our server that answers.
func (s *Server) checkOwnPort(ctx context.Context, db *sql.DB) error {
	var folder string
	if err := db.QueryRowContext(ctx, "SHOW data_directory").Scan(&folder); err != nil {
		return err
	}
	if folder != s.data() {
		return fmt.Errorf("port %d belongs to another server", s.port)
	}
	return nil
}

// URL is the superuser's URL of the database "postgres".
func (s *Server) URL() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
}

// Database creates an empty database, which is dropped when the test ends, and
// returns its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	return newDatabase(t, s.URL())
}

// PID is the process id of the postmaster.
func (s *Server) PID(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		t.Fatalf("find the postmaster: %v", err)
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	pid, err := strconv.Atoi(string(first))
	if err != nil {
		t.Fatalf("find the postmaster: %v", err)
	}
	return pid
}

// Stop ends the server as an administrator would: connections are closed, and
// everything is written.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.keep(t)
	s.stop()
}

// Kill ends the server as a crash would (SIGKILL), in the middle of whatever
// it does.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.keep(t)
	postmaster := s.PID(t)
	orphans := children(postmaster)
	if err := syscall.Kill(postmaster, syscall.SIGKILL); err != nil {
		t.Fatalf("kill the postmaster: %v", err)
	}
	s.stop()
	for _, pid := range orphans { // they end by themselves, and hold the memory until then
		for begin := time.Now(); running(pid) && time.Since(begin) < 10*time.Second; {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// Freeze makes the server stop answering without closing anything, as a dead
// network or a hanging disk would. Thaw lets it go on.
func (s *Server) Freeze(t testing.TB) { s.signalAll(t, syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (s *Server) Thaw(t testing.TB) { s.signalAll(t, syscall.SIGCONT) }

// signalAll reaches the postmaster and its children, which are in the guard's
// process groups or in groups of their own.
func (s *Server) signalAll(t testing.TB, signal syscall.Signal) {
	t.Helper()
	postmaster := s.PID(t)
	pids := append([]int{postmaster}, children(postmaster)...)
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatalf("signal Postgres: %v", err)
		}
	}
}

func children(parent int) []int {
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		return nil
	}
	var pids []int
	for line := range strings.Lines(string(out)) {
		var pid, ppid int
		if n, _ := fmt.Sscan(line, &pid, &ppid); n == 2 && ppid == parent {
			pids = append(pids, pid)
		}
	}
	return pids
}

// running says whether a process does anything: in a container without a
// proper init, orphans that have ended stay as zombies.
func running(pid int) bool {
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && len(state) > 0 && state[0] != 'Z'
}

// Restart starts the server again on the same port and files, after Stop or Kill.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	var err error
	for range 20 { // the port or the memory may be free only after a moment
		if err = s.run(); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		t.Fatalf("restart Postgres: %v", err)
	}
	if err := os.Remove(filepath.Join(s.folder, "keep")); err != nil {
		t.Fatalf("restart Postgres: %v", err)
	}
}

// keep lets the files survive the end of the server.
func (s *Server) keep(t testing.TB) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.folder, "keep"), nil, 0o600); err != nil {
		t.Fatalf("keep the files of Postgres: %v", err)
	}
}

// stop ends the server and waits for that.
func (s *Server) stop() {
	_ = s.stdin.Close() // it is closed already when the server has ended
	<-s.exited
}

// end stops the server and removes its files.
func (s *Server) end() {
	s.stop()
	os.RemoveAll(s.folder)
}

var databases atomic.Int64

func newDatabase(t testing.TB, superuser string) string {
	t.Helper()
	name := fmt.Sprintf("surehook_test_%d_%d", os.Getpid(), databases.Add(1))
	u, err := url.Parse(superuser)
	if err != nil {
		t.Fatalf("%s is not a URL", envURL)
	}
	exec := func(statement string) error {
		db, err := sql.Open("postgres", superuser)
		if err != nil {
			return err
		}
		defer db.Close()
		_, err = db.Exec(statement)
		return err
	}
	if err := exec("CREATE DATABASE " + name); err != nil {
		t.Fatalf("create a database: %v", err)
	}
	t.Cleanup(func() {
		// The server may be down at the test's end, if it has one of its own.
		_ = exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)")
	})
	u.Path = "/" + name
	return u.String()
}

// findBinaries looks for a folder with initdb and postgres: on the PATH, where
// links may lead elsewhere, and where distributions put them.
func findBinaries() (string, error) {
	candidates, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	for _, more := range []string{"/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin"} {
		found, _ := filepath.Glob(more)
		candidates = append(candidates, found...)
	}
	if p, err := exec.LookPath("postgres"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			candidates = append([]string{filepath.Dir(p)}, candidates...)
		}
	}
	for _, folder := range candidates {
		_, noServer := os.Stat(filepath.Join(folder, "postgres"))
		_, noInitdb := os.Stat(filepath.Join(folder, "initdb"))
		if noServer == nil && noInitdb == nil {
			return folder, nil
		}
	}
	return "", &absentError{envURL + " is not set, and no Postgres is installed here (initdb and postgres)"}
}

// unprivileged: Postgres refuses to run as root, so root starts it as another
// user; others start it as themselves.
func unprivileged() (*syscall.Credential, error) {
	if runtime.GOOS == "windows" || os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, &absentError{"Postgres does not run as root, and there is no user postgres or nobody"}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
