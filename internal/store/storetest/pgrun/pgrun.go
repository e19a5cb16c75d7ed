// Package pgrun runs a throwaway Postgres server from the binaries that are
// found on this machine. Tests reach it through pgtest; benchmarks use it as it
// is.
package pgrun

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
	"syscall"
	"time"

	_ "github.com/lib/pq" // the driver "postgres"
)

// ErrAbsent means that this machine cannot run Postgres.
var ErrAbsent = errors.New("no Postgres here")

// Options say what kind of server Start starts.
type Options struct {
	// Durable makes every commit reach the disk, as in production. Without it a
	// crash of the machine may lose data, which tests need not fear, and all is faster.
	Durable bool
	// Settings are further ones, each name=value as in postgresql.conf.
	Settings []string
}

// Server is a throwaway server. Its methods are for one goroutine at a time.
type Server struct {
	binaries string
	folder   string // the database's files, of the user that runs the server
	port     int
	options  Options
	owner    *syscall.Credential // nil: ourselves

	stdin  io.WriteCloser // of the guard: closing it ends the server
	exited chan struct{}  // closed when the server has ended
}

// Start starts a server, which ends with [Server.End] or with this process.
func Start(o Options) (*Server, error) {
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

// Log is what the server has written so far.
func (s *Server) Log() (string, error) {
	text, err := os.ReadFile(filepath.Join(s.folder, "log"))
	return string(text), err
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
	for _, setting := range s.options.Settings {
		args = append(args, "-c", setting)
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
func (s *Server) URL() string { return s.DatabaseURL("postgres") }

// DatabaseURL is the superuser's URL of a database.
func (s *Server) DatabaseURL(name string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, url.PathEscape(name))
}

// PID is the process id of the postmaster.
func (s *Server) PID() (int, error) {
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return 0, fmt.Errorf("find the postmaster: %w", err)
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	pid, err := strconv.Atoi(string(first))
	if err != nil {
		return 0, fmt.Errorf("find the postmaster: %w", err)
	}
	return pid, nil
}

// Stop ends the server as an administrator would: connections are closed, and
// everything is written. Its files stay for Restart.
func (s *Server) Stop() error {
	if err := s.keep(); err != nil {
		return err
	}
	s.stop()
	return nil
}

// Kill ends the server as a crash would (SIGKILL), in the middle of whatever
// it does. Its files stay for Restart.
func (s *Server) Kill() error {
	if err := s.keep(); err != nil {
		return err
	}
	postmaster, err := s.PID()
	if err != nil {
		return err
	}
	orphans := children(postmaster)
	if err := syscall.Kill(postmaster, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill the postmaster: %w", err)
	}
	s.stop()
	for _, pid := range orphans { // they end by themselves, and hold the memory until then
		for begin := time.Now(); running(pid) && time.Since(begin) < 10*time.Second; {
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}

// Freeze makes the server stop answering without closing anything, as a dead
// network or a hanging disk would. Thaw lets it go on.
func (s *Server) Freeze() error { return s.signalAll(syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (s *Server) Thaw() error { return s.signalAll(syscall.SIGCONT) }

// signalAll reaches the postmaster and its children, which are in the guard's
// process groups or in groups of their own.
func (s *Server) signalAll(signal syscall.Signal) error {
	pids, err := s.PIDs()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal Postgres: %w", err)
		}
	}
	return nil
}

// PIDs are the process ids of the postmaster and of its children now.
func (s *Server) PIDs() ([]int, error) {
	postmaster, err := s.PID()
	if err != nil {
		return nil, err
	}
	return append([]int{postmaster}, children(postmaster)...), nil
}

func children(parent int) []int {
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		return nil
	}
	var pids []int
	for line := range bytes.Lines(out) {
		var pid, ppid int
		if n, _ := fmt.Sscan(string(line), &pid, &ppid); n == 2 && ppid == parent {
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
func (s *Server) Restart() error {
	var err error
	for range 20 { // the port or the memory may be free only after a moment
		if err = s.run(); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("restart Postgres: %w", err)
	}
	if err := os.Remove(filepath.Join(s.folder, "keep")); err != nil {
		return fmt.Errorf("restart Postgres: %w", err)
	}
	return nil
}

// keep lets the files survive the end of the server.
func (s *Server) keep() error {
	if err := os.WriteFile(filepath.Join(s.folder, "keep"), nil, 0o600); err != nil {
		return fmt.Errorf("keep the files of Postgres: %w", err)
	}
	return nil
}

// stop ends the server and waits for that.
func (s *Server) stop() {
	_ = s.stdin.Close() // it is closed already when the server has ended
	<-s.exited
}

// End stops the server and removes its files.
func (s *Server) End() error {
	s.stop()
	return os.RemoveAll(s.folder)
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
	return "", fmt.Errorf("%w: it is not installed (initdb and postgres)", ErrAbsent)
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
	return nil, fmt.Errorf("%w: it does not run as root, and there is no user postgres or nobody", ErrAbsent)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
