package store

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/url"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/pressly/goose/v3"
)

// postgresDialect is the dialect of production. Its clock is statement_timestamp(),
// the server's time when the statement arrived: unlike clock_timestamp() it can
// be used with an index and is the same for all rows of a statement, unlike
// now() it moves on within a transaction.
var postgresDialect = dialect{
	folder:          "postgres",
	goose:           goose.DialectPostgres,
	hasVersionTable: "SELECT to_regclass('" + versionTable + "') IS NOT NULL",
	now:             "statement_timestamp()",
	wallClock:       "clock_timestamp()",
	after:           postgresAfter,
	table:           postgresTable,
	flushClock: func(context.Context, sqlx.QueryerContext) (string, error) {
		return "statement_timestamp()", nil
	},
	lock:              " FOR UPDATE",
	skipLocked:        " FOR UPDATE SKIP LOCKED",
	writesInWith:      true,
	plansByStatistics: true,
	lanes:             2,               // the server works on one while the other is being written or read
	flushDeadline:     2 * time.Second, // a sender waits 3 s (Slack, Microsoft Graph) to 10 s
	open:              openPostgres,
	unavailable:       postgresUnavailable,
}

func postgresAfter(time, micros string) string {
	return "(" + time + " + " + micros + " * interval '1 microsecond')"
}

const (
	connectTimeout = 5 * time.Second
	// stallTimeout is how long a server may say nothing while we wait for its
	// answer. When a query's context ends, lib/pq asks the server to cancel it
	// and goes on waiting; a server that is frozen or behind a dead network
	// never answers, and would be waited for without end.
	stallTimeout = 15 * time.Second
)

func postgresConfig(databaseURL string) (pq.Config, error) {
	if _, err := url.Parse(databaseURL); err != nil {
		return pq.Config{}, errors.New("is not a URL") // the cause would show the password
	}
	return pq.NewConfig(databaseURL)
}

func openPostgres(_ context.Context, c Config) (write, read *sqlx.DB, err error) {
	db, err := postgresPool(c.URL, stallTimeout)
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(c.MaxConns)
	db.SetMaxIdleConns(c.MaxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db, db, nil
}

func postgresPool(databaseURL string, stall time.Duration) (*sqlx.DB, error) {
	cfg, err := postgresConfig(databaseURL)
	if err != nil {
		return nil, err
	}
	// A statement in one round trip instead of two, and bodies as they are
	// instead of in hexadecimal.
	cfg.BinaryParameters = true
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = "surehook"
	}
	connector, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, err
	}
	connector.Dialer(stallDialer{stall: stall})
	return sqlx.NewDb(sql.OpenDB(connector), "postgres"), nil
}

// stallDialer makes connections on which a read fails after that much silence,
// or never when it is 0.
type stallDialer struct {
	net   net.Dialer
	stall time.Duration
}

// DialContext is what lib/pq calls.
func (d stallDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &stallConn{Conn: conn, stall: d.stall}, nil
}

// Dial completes pq.Dialer.
func (d stallDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout completes pq.Dialer.
func (d stallDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// stallConn is used by one goroutine at a time, as lib/pq does.
type stallConn struct {
	net.Conn
	stall   time.Duration
	limited bool // lib/pq has set a deadline itself, for the connection's start
}

// SetDeadline notes who is in charge of the deadline.
func (c *stallConn) SetDeadline(t time.Time) error {
	c.limited = !t.IsZero()
	return c.Conn.SetDeadline(t)
}

// Read waits for as long as a server may be silent.
func (c *stallConn) Read(p []byte) (int, error) {
	if !c.limited && c.stall > 0 {
		if err := c.Conn.SetReadDeadline(time.Now().Add(c.stall)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

// postgresUnavailable sorts by the classes of SQLSTATE
// (https://www.postgresql.org/docs/current/errcodes-appendix.html). A database
// that refuses our password, has no such name, or has become read-only after a
// failover is as unreachable as one that is down: nothing can be stored there.
func postgresUnavailable(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	if !ok {
		return false
	}
	switch e.Code {
	case pqerror.QueryCanceled, pqerror.AdminShutdown, pqerror.CrashShutdown, pqerror.CannotConnectNow,
		pqerror.LockNotAvailable, pqerror.ReadOnlySQLTransaction, pqerror.InvalidCatalogName,
		pqerror.IdleSessionTimeout, pqerror.IdleInTransactionSessionTimeout:
		return true
	}
	switch e.Code.Class() {
	case pqerror.ClassConnectionException, pqerror.ClassInvalidAuthorizationSpecification,
		pqerror.ClassInsufficientResources, pqerror.ClassSystemError:
		return true
	}
	return false
}
