package store

import (
	"context"
	"errors"
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
	// later is an expression for that many microseconds after now.
	later func(micros int64) string
	// lock and skipLocked end a SELECT whose rows are to be updated.
	lock, skipLocked string
	// flushClock gives a flush of the inbox its times: a function that makes an
	// expression for the n-th event's received_at, plus so much. They grow
	// with n, so that events that came together keep their order.
	flushClock func(ctx context.Context, q sqlx.QueryerContext) (clock, error)
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

// clock makes an expression for the time n microseconds and so much after a
// flush began.
type clock func(n int, plus time.Duration) string
