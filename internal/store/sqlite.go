package store

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteNow is SQLite's clock in microseconds since 1970; it ticks in milliseconds.
const sqliteNow = "(CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000)"

// sqliteDialect is the dialect for one machine. One connection writes: a lock
// in this process instead of SQLITE_BUSY. Others read beside it, as may other
// processes: that is what write-ahead logging (WAL) is for.
var sqliteDialect = dialect{
	folder:          "sqlite",
	goose:           goose.DialectSQLite3,
	hasVersionTable: "SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = '" + versionTable + "'",
	now:             sqliteNow,
	wallClock:       sqliteNow,
	after:           func(time, micros string) string { return "(" + time + " + " + micros + ")" },
	table:           sqliteTable,
	flushClock:      sqliteFlushClock,
	lanes:           1,
	flushDeadline:   10 * time.Second, // as long as busy_timeout: another process may be writing
	open:            openSQLite,
	unavailable:     sqliteUnavailable,
}

func openSQLite(ctx context.Context, c Config) (write, read *sqlx.DB, err error) {
	dsn := sqliteDSN(strings.TrimPrefix(c.URL, "sqlite:"))
	write, err = sqlx.ConnectContext(ctx, "sqlite", dsn)
	if err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	read, err = sqlx.ConnectContext(ctx, "sqlite", dsn+"&_pragma=query_only(1)")
	if err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(4)
	return write, read, nil
}

// sqliteDSN: synchronous=FULL makes every commit reach the disk before it
// returns; WAL's default, NORMAL, may lose the last ones in a power cut, and
// those have been acknowledged. busy_timeout is how long we wait for another
// process that writes. Transactions begin IMMEDIATE: one that begins by reading
// cannot wait for its turn to write, and fails.
func sqliteDSN(path string) string {
	q := url.Values{}
	for _, pragma := range []string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"} {
		q.Add("_pragma", pragma)
	}
	q.Set("_txlock", "immediate")
	q.Set("_time_integer_format", "unix_micro")
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

func sqliteUnavailable(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch e.Code() & 0xff { // the low byte is the primary result code
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOTADB,
		sqlite3.SQLITE_CORRUPT:
		return true
	}
	return false
}

// sqliteFlushClock makes up for the coarse clock: no two events have the same
// received_at, so that which of two payloads is newer is never a toss-up.
func sqliteFlushClock(ctx context.Context, q sqlx.QueryerContext) (string, error) {
	var begin int64
	err := sqlx.GetContext(ctx, q, &begin, "SELECT max("+sqliteNow+
		", 1 + COALESCE((SELECT received_at FROM events ORDER BY seq DESC LIMIT 1), 0))")
	return strconv.FormatInt(begin, 10), err
}

// sqliteTable makes a VALUES list, whose columns SQLite calls column1 and so on.
func sqliteTable(t *table, name string) (from string, args []any) {
	tuple := "(" + strings.TrimSuffix(strings.Repeat("?,", len(t.columns)), ",") + ")"
	for _, row := range t.rows {
		args = append(args, row...)
	}
	return "(VALUES " + strings.TrimSuffix(strings.Repeat(tuple+",", len(t.rows)), ",") + ") AS " + name, args
}
