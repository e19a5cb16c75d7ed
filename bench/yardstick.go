//go:build unix

package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
)

// The yardsticks of the acknowledgement. Each is what somebody would write by
// hand, as fast as lib/pq lets it be, without anything that Surehook does besides.
const (
	bare      = "bare"       // read the body, check the HMAC
	insertOne = "insert-one" // and one INSERT for each request, on a pool of 20
	group     = "group"      // and INSERTs of what came in while the last ones were committed
	indexed   = "indexed"    // as group, on a table with the indexes of Surehook's inbox
)

// yardstickRow is what all but the bare one store: what Surehook stores when it
// accepts an event.
type yardstickRow struct {
	Source, ID, Type, Status, ObjectType, ObjectID, Mode, Version, WorkflowID string

	OccurredAt time.Time
	Header     string
	Body       []byte
}

const yardstickTable = `CREATE TABLE events (
	source text COLLATE "C" NOT NULL, event_id text COLLATE "C" NOT NULL, type text NOT NULL, status text NOT NULL,
	object_type text NOT NULL, object_id text NOT NULL, mode text NOT NULL, api_version text NOT NULL,
	workflow_id text NOT NULL, occurred_at timestamptz, received_at timestamptz NOT NULL DEFAULT now(),
	header json NOT NULL, body bytea NOT NULL, UNIQUE (event_id, source))`

// yardstickIndexes are Surehook's, so that their price can be told from the rest.
const yardstickIndexes = `ALTER TABLE events ADD seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
	CREATE UNIQUE INDEX ON events (object_type, source) WHERE object_type IS NULL;
	CREATE INDEX ON events (source, received_at, seq) WHERE received_at IS NOT NULL;
	CREATE INDEX ON events (object_id, object_type, seq) WHERE status <> 'pending';
	CREATE INDEX ON events (source, seq) WHERE status <> 'pending';
	CREATE INDEX ON events (status, seq) WHERE status IN ('ignored', 'review', 'failed');
	CREATE INDEX ON events (type, seq) WHERE status <> 'pending';`

const (
	yardstickColumns = "source, event_id, type, status, object_type, object_id, mode, api_version, workflow_id, occurred_at, header, body"
	yardstickPool    = 20
	groupRows        = 500
	groupLanes       = 2 // one is being written while the server commits the other
)

// The variables that tell a subcommand where things are.
const (
	envListen   = "BENCH_LISTEN"
	envDatabase = "BENCH_DATABASE"
	envTemporal = "BENCH_TEMPORAL"
	envSpace    = "BENCH_NAMESPACE"
	envAPI      = "BENCH_API"
)

// runYardstick serves one of the yardsticks until ctx ends.
func runYardstick(ctx context.Context, kind string, env func(string) string) error {
	var save func(context.Context, yardstickRow) error
	if kind != bare {
		db, err := openPool(env(envDatabase))
		if err != nil {
			return err
		}
		defer db.Close()
		schema := yardstickTable
		if kind == indexed {
			schema += ";" + yardstickIndexes
		}
		if _, err := db.ExecContext(ctx, "DROP TABLE IF EXISTS events;"+schema); err != nil {
			return fmt.Errorf("create table: %w", err)
		}
		if kind == insertOne {
			save, err = inserter(ctx, db)
		} else {
			save = grouper(ctx, db)
		}
		if err != nil {
			return err
		}
	}
	return serveHTTP(ctx, env(envListen), yardstickHandler(save))
}

func openPool(databaseURL string) (*sql.DB, error) {
	cfg, err := pq.NewConfig(databaseURL)
	if err != nil {
		return nil, err
	}
	cfg.BinaryParameters = true // bodies as they are instead of in hexadecimal
	connector, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(yardstickPool)
	db.SetMaxIdleConns(yardstickPool)
	return db, nil
}

func serveHTTP(ctx context.Context, address string, h http.Handler) error {
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/stripe", h)
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// yardstickHandler answers when save has returned; a nil save stores nothing.
func yardstickHandler(save func(context.Context, yardstickRow) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "unreadable", http.StatusBadRequest)
			return
		}
		if !genuine(r.Header.Get("Stripe-Signature"), body) {
			http.Error(w, "not authentic", http.StatusUnauthorized)
			return
		}
		if save != nil {
			row, err := rowOf(r, body)
			if err != nil {
				http.Error(w, "malformed", http.StatusBadRequest)
				return
			}
			if err := save(r.Context(), row); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"accepted"}`) // who went away misses it
	})
}

// genuine checks a Stripe signature as Stripe's page tells to.
func genuine(header string, body []byte) bool {
	var t, v1 string
	for part := range strings.SplitSeq(header, ",") {
		switch key, value, _ := strings.Cut(part, "="); key {
		case "t":
			t = value
		case "v1":
			v1 = value
		}
	}
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	given, err := hex.DecodeString(v1)
	return err == nil && hmac.Equal(given, mac.Sum(nil))
}

func rowOf(r *http.Request, body []byte) (yardstickRow, error) {
	var e struct {
		ID         string `json:"id"`
		Type       string `json:"type"`
		Created    int64  `json:"created"`
		APIVersion string `json:"api_version"`
		Data       struct {
			Object struct {
				ID     string `json:"id"`
				Object string `json:"object"`
			} `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return yardstickRow{}, err
	}
	if e.ID == "" || e.Type == "" {
		return yardstickRow{}, errors.New("no id or type")
	}
	header, err := json.Marshal(r.Header)
	if err != nil {
		return yardstickRow{}, err
	}
	return yardstickRow{
		Source: "stripe", ID: e.ID, Type: e.Type, Status: "pending", ObjectType: e.Data.Object.Object, ObjectID: e.Data.Object.ID,
		Mode: "live", Version: e.APIVersion, WorkflowID: "stripe/" + e.ID, OccurredAt: time.Unix(e.Created, 0),
		Header: string(header), Body: body,
	}, nil
}

func (r yardstickRow) args() []any {
	return []any{
		r.Source, r.ID, r.Type, r.Status, r.ObjectType, r.ObjectID, r.Mode, r.Version, r.WorkflowID,
		r.OccurredAt, r.Header, r.Body,
	}
}

// insertStatement inserts n rows; those that are there already are left alone.
func insertStatement(n int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO events (" + yardstickColumns + ") VALUES ")
	columns, parameter := len(yardstickRow{}.args()), 1
	for row := range n {
		if row > 0 {
			b.WriteByte(',')
		}
		for column := range columns {
			b.WriteByte("(,"[min(column, 1)])
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(parameter))
			parameter++
		}
		b.WriteByte(')')
	}
	b.WriteString(" ON CONFLICT DO NOTHING")
	return b.String()
}

// inserter commits each row alone.
func inserter(ctx context.Context, db *sql.DB) (func(context.Context, yardstickRow) error, error) {
	statement, err := db.PrepareContext(ctx, insertStatement(1)) //nolint:sqlclosecheck // it is used until db is closed
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, r yardstickRow) error {
		_, err := statement.ExecContext(ctx, r.args()...)
		return err
	}, nil
}

// waiting is a row and the request that waits for its commit.
type waiting struct {
	row  yardstickRow
	done chan error
}

// grouper commits together what came in while the last group was committed.
func grouper(ctx context.Context, db *sql.DB) func(context.Context, yardstickRow) error {
	queue := make(chan waiting, 1024)
	for range groupLanes {
		go commitGroups(ctx, db, queue)
	}
	return func(ctx context.Context, r yardstickRow) error {
		w := waiting{row: r, done: make(chan error, 1)}
		select {
		case queue <- w:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case err := <-w.done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func commitGroups(ctx context.Context, db *sql.DB, queue <-chan waiting) {
	for {
		var rows []waiting
		select {
		case first := <-queue:
			rows = append(rows, first)
		case <-ctx.Done():
			return
		}
		for more := true; more && len(rows) < groupRows; {
			select {
			case next := <-queue:
				rows = append(rows, next)
			default:
				more = false
			}
		}
		var args []any
		for _, w := range rows {
			args = append(args, w.row.args()...)
		}
		_, err := db.ExecContext(ctx, insertStatement(len(rows)), args...)
		for _, w := range rows {
			w.done <- err
		}
	}
}
