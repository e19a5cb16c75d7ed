// Package store keeps what must not be lost: the inbox of events, our records
// of the platforms' objects, the reconciliations, and the rejections. One type,
// Store, speaks both SQL dialects: Postgres for production, SQLite for development and tests on a
// machine that has only Go.
//
// Three rules hold everywhere:
//
//   - A method that returns nil has committed. An error that wraps
//     providers.ErrUnavailable means that nothing is known to be stored.
//   - Times that are compared with each other come from the database's clock,
//     because the processes' clocks differ.
//   - Every write can be repeated: callers retry, and so do Temporal and the
//     Postgres driver.
package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/surehook/surehook/providers"
)

// Config says which database to use.
type Config struct {
	// URL is postgres://user:password@host:port/database or sqlite:path.
	URL string `env:"DATABASE_URL" json:"-"`
	// MaxConns bounds the connections to Postgres. SQLite has one writer, whatever this says.
	MaxConns int `env:"SUREHOOK_DATABASE_MAX_CONNS, default=20"`
}

// minConns are needed so that both lanes of the inbox can commit while
// something else reads.
const minConns = 3

// Validate reports everything that is wrong, by the name of the variable.
func (c Config) Validate() error {
	var errs []error
	if c.URL == "" {
		errs = append(errs, errors.New("DATABASE_URL is not set (postgres://… or sqlite:path)"))
	} else if _, err := dialectOf(c.URL); err != nil {
		errs = append(errs, fmt.Errorf("DATABASE_URL: %w", err))
	}
	if c.MaxConns < minConns {
		errs = append(errs, fmt.Errorf("SUREHOOK_DATABASE_MAX_CONNS is %d, it must be at least %d", c.MaxConns, minConns))
	}
	return errors.Join(errs...)
}

// Store is the database. It is safe for concurrent use.
type Store struct {
	dialect dialect
	url     string
	db      *sqlx.DB // for everything that writes
	read    *sqlx.DB // for lists and look-ups; on Postgres the same as db

	accepting *batcher[row, providers.Accepted]
	single    prepared // what accepting does for one event alone
	starting  *batcher[providers.Started, struct{}]

	coalescing *batcher[covering, struct{}]
}

// Open checks the configuration and returns a Store. A Postgres server need not
// be up: the methods return providers.ErrUnavailable until it is. An SQLite
// file is created when it is missing, its folder is not.
func Open(ctx context.Context, c Config) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	d, err := dialectOf(c.URL)
	if err != nil {
		return nil, err
	}
	s := &Store{dialect: d, url: c.URL}
	s.db, s.read, err = d.open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s.accepting = &batcher[row, providers.Accepted]{
		lanes: d.lanes, maxItems: flushRows, maxBytes: flushBytes, deadline: d.flushDeadline,
		size: row.bytes, flush: s.insert,
	}
	s.starting = &batcher[providers.Started, struct{}]{
		lanes: 1, maxItems: flushRows, maxBytes: flushBytes, deadline: d.flushDeadline,
		size:  func(providers.Started) int { return 0 },
		flush: s.markStarted,
	}
	s.coalescing = &batcher[covering, struct{}]{
		lanes: 1, maxItems: flushRows, maxBytes: flushBytes, deadline: d.flushDeadline,
		size:  func(covering) int { return 0 },
		flush: s.coalesce,
	}
	return s, nil
}

// The bounds of one flush. The rows keep a commit short enough (some 50 ms on a
// small machine) that those who wait for the next one still answer in time; the
// bytes keep memory bounded where bodies are large.
const (
	flushRows  = 500
	flushBytes = 8 << 20
)

// Close waits for the flushes under way and closes the connections.
func (s *Store) Close() error {
	s.accepting.close()
	s.starting.close()
	s.coalescing.close()
	if s.read == s.db {
		return s.db.Close()
	}
	return errors.Join(s.read.Close(), s.db.Close())
}

// Ping asks the database whether it is there and has the tables that this
// program needs.
func (s *Store) Ping(ctx context.Context) error {
	v, err := s.SchemaVersion(ctx)
	if err == nil && v.Pending() {
		err = fmt.Errorf("the schema is at version %d, this program needs %d: run `surehook migrate`", v.Current, v.Wanted)
	}
	return err
}

// sql makes a statement of the dialect from one in which :now stands for the
// database's clock and ? for a parameter.
func (s *Store) sql(statement string) string {
	return s.db.Rebind(strings.ReplaceAll(statement, ":now", s.dialect.now))
}

// inTx runs f in a transaction. On SQLite it holds the write lock from the
// start, so that f never fails half-way because someone else writes.
func (s *Store) inTx(ctx context.Context, f func(*sqlx.Tx) error) error {
	tx, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
