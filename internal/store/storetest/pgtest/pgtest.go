// Package pgtest gives tests a Postgres server: the one that
// SUREHOOK_TEST_POSTGRES_URL names (a superuser's URL), else a throwaway one
// that it starts from binaries found on this machine. Without either the test is
// skipped, unless SUREHOOK_TEST_REQUIRE contains "postgres": then it fails.
//
// A test that only needs a database calls URL. A test that stops, kills or
// freezes the server calls Start, and gets a server of its own.
package pgtest

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/lib/pq" // the driver "postgres"

	"github.com/surehook/surehook/internal/store/storetest/pgrun"
)

// The variables that steer this package.
const (
	envURL     = "SUREHOOK_TEST_POSTGRES_URL"
	envRequire = "SUREHOOK_TEST_REQUIRE"
)

// Options say what kind of server Start starts.
type Options = pgrun.Options

// Server is a throwaway server of one test.
type Server struct {
	server *pgrun.Server
}

// shared is the server of this test process. It is started once, for the first
// test that asks, and ends with the process.
var shared = sync.OnceValues(func() (*pgrun.Server, error) { return pgrun.Start(Options{}) })

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
	return newDatabase(t, s.URL())
}

// Start starts a server for this test alone. It ends with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := pgrun.Start(o)
	if err != nil {
		missing(t, err)
	}
	t.Cleanup(func() { must(t, s.End()) })
	return &Server{server: s}
}

func missing(t testing.TB, err error) {
	t.Helper()
	if strings.Contains(os.Getenv(envRequire), "postgres") {
		t.Fatalf("%s asks for Postgres: %v", envRequire, err)
	}
	if !errors.Is(err, pgrun.ErrAbsent) {
		t.Fatalf("start Postgres: %v", err)
	}
	t.Skipf("needs Postgres: %s is not set, and %v", envURL, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// URL is the superuser's URL of the database "postgres".
func (s *Server) URL() string { return s.server.URL() }

// Database creates an empty database, which is dropped when the test ends, and
// returns its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	return newDatabase(t, s.URL())
}

// PID is the process id of the postmaster.
func (s *Server) PID(t testing.TB) int {
	t.Helper()
	pid, err := s.server.PID()
	must(t, err)
	return pid
}

// Stop ends the server as an administrator would: connections are closed, and
// everything is written.
func (s *Server) Stop(t testing.TB) { t.Helper(); must(t, s.server.Stop()) }

// Kill ends the server as a crash would (SIGKILL), in the middle of whatever
// it does.
func (s *Server) Kill(t testing.TB) { t.Helper(); must(t, s.server.Kill()) }

// Freeze makes the server stop answering without closing anything, as a dead
// network or a hanging disk would. Thaw lets it go on.
func (s *Server) Freeze(t testing.TB) { t.Helper(); must(t, s.server.Freeze()) }

// Thaw ends a Freeze.
func (s *Server) Thaw(t testing.TB) { t.Helper(); must(t, s.server.Thaw()) }

// Log is what the server has written so far.
func (s *Server) Log(t testing.TB) string {
	t.Helper()
	text, err := s.server.Log()
	must(t, err)
	return text
}

// Restart starts the server again on the same port and files, after Stop or Kill.
func (s *Server) Restart(t testing.TB) { t.Helper(); must(t, s.server.Restart()) }

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
