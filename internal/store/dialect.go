package store

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
)

// dialect is what differs between the databases.
type dialect struct {
	folder string // of the migrations
	goose  goose.Dialect
	// hasVersionTable asks whether Migrate has ever run.
	hasVersionTable string
	// now is the database's clock as an expression that stays the same within
	// one statement and can be compared with an indexed column.
	now string
	// wallClock is the clock of this very moment: after a wait for a lock.
	wallClock string
	// after is an expression for a time and so many microseconds more, both
	// of them expressions.
	after func(time, micros string) string
	// table makes a table of parameters an item of FROM.
	table func(t *table, name string) (from string, args []any)
	// lock and skipLocked end a SELECT whose rows are to be updated.
	lock, skipLocked string
	// writesInWith says that one statement can write to several tables, by
	// queries that write in its WITH.
	writesInWith bool
	// plansByStatistics says that an index is chosen by how many rows have a
	// value, wherever in the table they are.
	plansByStatistics bool
	// flushClock gives a flush of the inbox its time, as an expression. The
	// n-th event was received n microseconds later, so that events that came
	// together keep their order.
	flushClock func(ctx context.Context, q sqlx.QueryerContext) (string, error)
	// lanes is how many flushes of the inbox may be under way, and
	// flushDeadline how long one may take.
	lanes         int
	flushDeadline time.Duration
	open          func(ctx context.Context, c Config) (write, read *sqlx.DB, err error)
	// unavailable tells whether an error of the driver means that the
	// database cannot be reached.
	unavailable func(error) bool
}

// dialectOf finds the dialect of a database URL and checks the URL. Its errors
// do not repeat the URL, which may hold a password.
func dialectOf(databaseURL string) (dialect, error) {
	scheme, rest, _ := strings.Cut(databaseURL, ":")
	switch scheme {
	case "postgres", "postgresql":
		if _, err := postgresConfig(databaseURL); err != nil {
			return dialect{}, err
		}
		return postgresDialect, nil
	case "sqlite":
		if rest == "" || strings.HasPrefix(rest, ":memory:") {
			return dialect{}, errors.New("needs the path of a file, as in sqlite:surehook.db")
		}
		return sqliteDialect, nil
	}
	return dialect{}, errors.New("must be postgres://… or sqlite:path")
}

// micros is a number of microseconds, as an expression.
func micros(d time.Duration) string { return strconv.FormatInt(d.Microseconds(), 10) }
