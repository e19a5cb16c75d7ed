//go:build unix

package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// The textbook design: the handler starts a workflow that carries the event,
// and the workflow stores the event, fetches the object and updates the record,
// an activity each. Everything else is as the SDK has it by default.

const textbookQueue = "textbook"

const textbookSchema = `
CREATE TABLE IF NOT EXISTS events (event_id text PRIMARY KEY, type text NOT NULL, object_id text NOT NULL, body bytea NOT NULL,
	received_at timestamptz NOT NULL, finished_at timestamptz);
CREATE TABLE IF NOT EXISTS records (object_id text PRIMARY KEY, state json NOT NULL, saved_at timestamptz NOT NULL)`

// textbookEvent is the workflow's input.
type textbookEvent struct {
	ID         string
	Type       string
	ObjectID   string
	ReceivedAt time.Time
	Body       json.RawMessage
}

// textbook is the program: handler, workflow and activities in one process.
type textbook struct {
	db     *sql.DB
	client client.Client
	api    string
	http   *http.Client
}

func runTextbook(ctx context.Context, env func(string) string) error {
	db, err := openPool(env(envDatabase))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, textbookSchema); err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	c, err := client.DialContext(ctx, client.Options{
		HostPort:  env(envTemporal),
		Namespace: env(envSpace),
		Logger:    sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return err
	}
	defer c.Close()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = transport.MaxIdleConns
	t := &textbook{db: db, client: c, api: env(envAPI), http: &http.Client{Transport: transport}}
	w := worker.New(c, textbookQueue, worker.Options{})
	w.RegisterWorkflow(textbookWorkflow)
	w.RegisterActivity(t)
	if err := w.Start(); err != nil {
		return err
	}
	defer w.Stop()
	return serveHTTP(ctx, env(envListen), http.HandlerFunc(t.receive))
}

func (t *textbook) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil || !genuine(r.Header.Get("Stripe-Signature"), body) {
		http.Error(w, "not authentic", http.StatusUnauthorized)
		return
	}
	row, err := rowOf(r, body)
	if err != nil {
		http.Error(w, "malformed", http.StatusBadRequest)
		return
	}
	ev := textbookEvent{ID: row.ID, Type: row.Type, ObjectID: row.ObjectID, ReceivedAt: time.Now(), Body: body}
	if _, err := t.client.ExecuteWorkflow(r.Context(), client.StartWorkflowOptions{ID: ev.ID, TaskQueue: textbookQueue}, textbookWorkflow, ev); err != nil {
		http.Error(w, "not started", http.StatusServiceUnavailable)
	}
}

func textbookWorkflow(ctx workflow.Context, ev textbookEvent) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 30 * time.Second})
	var t *textbook // names the activities
	if err := workflow.ExecuteActivity(ctx, t.Store, ev).Get(ctx, nil); err != nil {
		return err
	}
	var state json.RawMessage
	if err := workflow.ExecuteActivity(ctx, t.Fetch, ev.ObjectID).Get(ctx, &state); err != nil {
		return err
	}
	return workflow.ExecuteActivity(ctx, t.Update, ev.ID, ev.ObjectID, state).Get(ctx, nil)
}

// Store stores the event.
func (t *textbook) Store(ctx context.Context, ev textbookEvent) error {
	_, err := t.db.ExecContext(ctx, "INSERT INTO events (event_id, type, object_id, body, received_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
		ev.ID, ev.Type, ev.ObjectID, []byte(ev.Body), ev.ReceivedAt)
	return err
}

// Fetch fetches the object from the platform.
func (t *textbook) Fetch(ctx context.Context, id string) (json.RawMessage, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.api+"/v1/customers/"+id, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	resp, err := t.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch %s: %s", id, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// Update updates the record and finishes the event.
func (t *textbook) Update(ctx context.Context, event, object string, state json.RawMessage) error {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO records (object_id, state, saved_at) VALUES ($1, $2, clock_timestamp())
		ON CONFLICT (object_id) DO UPDATE SET state = EXCLUDED.state, saved_at = EXCLUDED.saved_at`, object, string(state))
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE events SET finished_at = clock_timestamp() WHERE event_id = $1", event)
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
