package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// versionTable is not goose's default name, so that Surehook can share a
// database with a program that uses goose too.
const versionTable = "surehook_schema"

// Migrate brings the tables to what this version of Surehook needs. Several
// processes may do so at once on Postgres: they take turns.
func (s *Store) Migrate(ctx context.Context) error {
	return s.wrap("migrate database", s.migrate(ctx))
}

func (s *Store) migrate(ctx context.Context) (err error) {
	files, err := s.migrationFiles()
	if err != nil {
		return err
	}
	db := s.db
	options := []goose.ProviderOption{goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true)}
	if s.dialect.goose == goose.DialectPostgres {
		// A pool of its own, because building an index on a large table keeps
		// the server silent for longer than we allow elsewhere.
		if db, err = postgresPool(s.url, 0); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		// Ask every second for five minutes whether another process has finished.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
		if err != nil {
			return err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(s.dialect.goose, db.DB, files, options...)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

func (s *Store) migrationFiles() (fs.FS, error) {
	return fs.Sub(migrations, "migrations/"+s.dialect.folder)
}

// Schema compares the tables with what this version of Surehook needs.
type Schema struct {
	Current int64 // the version of the tables; 0 when there are none
	Wanted  int64 // the version this program was written for
}

// Pending says that Migrate must run before this program can work.
func (s Schema) Pending() bool { return s.Current < s.Wanted }

// SchemaVersion reads the version of the tables. Unlike goose's own way to ask,
// it changes nothing.
func (s *Store) SchemaVersion(ctx context.Context) (Schema, error) {
	v, err := s.schemaVersion(ctx)
	return v, s.wrap("read schema version", err)
}

func (s *Store) schemaVersion(ctx context.Context) (v Schema, err error) {
	files, err := s.migrationFiles()
	if err != nil {
		return v, err
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return v, err
	}
	for _, name := range names {
		n, err := goose.NumericComponent(name)
		if err != nil {
			return v, fmt.Errorf("migration %s: %w", name, err)
		}
		v.Wanted = max(v.Wanted, n)
	}
	var exists bool
	if err := s.read.GetContext(ctx, &exists, s.dialect.hasVersionTable); err != nil || !exists {
		return v, err
	}
	err = s.read.GetContext(ctx, &v.Current, "SELECT COALESCE(max(version_id), 0) FROM "+versionTable+" WHERE is_applied")
	return v, err
}
