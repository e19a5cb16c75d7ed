//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

// stage is an installation of Surehook: its database, its namespace, and the
// process that serves.
type stage struct {
	stack   *stack
	db      *database
	space   string
	env     []string
	alone   bool // an object has a run of its own, however many wait
	public  string
	admin   string
	process *process // nil while it is down
}

// sourcesFile declares the source of nearly all events, and another one that
// must not wait for it.
const sourcesFile = `
sources:
  stripe:
    provider: stripe
    secrets: ["${STRIPE_WEBHOOK_SECRET}"]
    api: { base_url: "${API}", key: "${API_KEY}" }
  other:
    provider: stripe
    secrets: ["${STRIPE_WEBHOOK_SECRET}"]
    api: { base_url: "${API}", key: "${API_KEY}" }
`

// newStage installs Surehook: an empty database with its tables and, unless
// Temporal is to be away, a namespace of its own.
func (st *stack) newStage(ctx context.Context, withTemporal bool) (_ *stage, err error) {
	g := &stage{stack: st}
	if g.db, err = st.newDatabase(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	temporal := "127.0.0.1:1" // nothing listens there
	if withTemporal {
		if g.space, err = st.newNamespace(ctx); err != nil {
			return nil, err
		}
		temporal = st.temporal.HostPort()
	}
	if g.public, err = loopbackAddress(ctx); err != nil {
		return nil, err
	}
	if g.admin, err = loopbackAddress(ctx); err != nil {
		return nil, err
	}
	file := filepath.Join(st.dir, "surehook.yaml")
	if err := os.WriteFile(file, []byte(sourcesFile), 0o600); err != nil {
		return nil, err
	}
	g.env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + st.dir, // no configuration of Temporal's that lies around
		"DATABASE_URL=" + g.db.url,
		"TEMPORAL_ADDRESS=" + temporal,
		"TEMPORAL_NAMESPACE=" + g.space,
		"SUREHOOK_CONFIG=" + file,
		"SUREHOOK_LISTEN=" + g.public,
		"SUREHOOK_ADMIN_LISTEN=" + g.admin,
		"STRIPE_WEBHOOK_SECRET=" + webhookSecret,
		"API=" + st.api,
		"API_KEY=" + apiKey,
	}
	g.env = append(g.env, st.settings.serveEnv...)
	return g, g.migrate(ctx)
}

func (g *stage) migrate(ctx context.Context) error {
	p, err := startProcess("migrate", g.stack.dir, g.env, g.stack.surehook, "migrate")
	if err != nil {
		return err
	}
	select {
	case <-p.exited:
	case <-ctx.Done():
		p.kill()
		return ctx.Err()
	}
	var tables int
	err = g.db.QueryRowContext(ctx, "SELECT count(*) FROM information_schema.tables WHERE table_name = 'events'").Scan(&tables)
	if err == nil && tables == 0 {
		err = fmt.Errorf("migrate: %s", p.tail())
	}
	return err
}

// close stops the process and drops the database.
func (g *stage) close() error {
	g.stop()
	return g.db.close()
}

// serve starts ingress, relay and worker in one process, as in the smallest
// installation.
func (g *stage) serve(ctx context.Context) error {
	if err := g.start(ctx, "serve"); err != nil {
		return err
	}
	if err := g.process.untilReady(ctx, "http://"+g.admin+"/readyz"); err != nil {
		return err
	}
	return g.process.untilLogged(ctx, "worker started")
}

// ingress starts the door and the relay only.
func (g *stage) ingress(ctx context.Context) error {
	if err := g.start(ctx, "ingress"); err != nil {
		return err
	}
	return g.process.untilReady(ctx, "http://"+g.admin+"/healthz")
}

func (g *stage) start(ctx context.Context, command string) (err error) {
	env := slices.Clone(g.env)
	if g.alone {
		env = append(env, "SUREHOOK_OBJECTS_PER_RUN=1")
	}
	g.process, err = startProcess(command, g.stack.dir, env, g.stack.surehook, command)
	if err != nil {
		return err
	}
	return ctx.Err()
}

func (g *stage) stop() {
	if g.process != nil {
		g.process.stop()
		g.process = nil
	}
}

// send posts letters to the stage.
func (g *stage) send(ctx context.Context, connections int, letters []letter) (outcome, error) {
	o := load{address: g.public, connections: connections, letters: letters}.run(ctx)
	return o, o.check(len(letters))
}

// drain waits until nothing is pending. It looks at few of the events, by the index
// of those that are due: to count a backlog took a tenth of what Postgres did for it.
func (g *stage) drain(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		var pending int
		err := g.db.QueryRowContext(ctx, `SELECT count(*) FROM
			(SELECT FROM events WHERE due_at IS NOT NULL ORDER BY source, due_at, seq LIMIT 1000) AS few`).Scan(&pending)
		if err != nil {
			return fmt.Errorf("drain: %w", err)
		}
		if pending == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("drain: %d events or more are still pending: %w: %s", pending, ctx.Err(), g.process.tail())
		case <-time.After(50*time.Millisecond + time.Duration(pending)*500*time.Microsecond):
		}
	}
}

// finished is what the inbox says of the events that were finished.
type finished struct {
	processed int
	others    int           // with another status
	span      time.Duration // from the first event received to the last one finished
	last      time.Time
}

func (g *stage) finished(ctx context.Context, since time.Time) (finished, error) {
	var f finished
	var micros int64
	err := g.db.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE status = 'processed'), count(*) FILTER (WHERE status <> 'processed'),
		COALESCE(extract(epoch FROM max(finished_at) - min(received_at)) * 1000000, 0)::bigint, COALESCE(max(finished_at), now())
		FROM events WHERE received_at >= $1`, since).Scan(&f.processed, &f.others, &micros, &f.last)
	f.span = time.Duration(micros) * time.Microsecond
	return f, err
}

// rate is how many events were finished in a second.
func (f finished) rate() float64 {
	return float64(f.processed) / max(f.span, time.Microsecond).Seconds()
}

// missing returns how many of the letters that were acknowledged are not in the
// inbox, and how many are there without being processed.
func (g *stage) missing(ctx context.Context, acked []letter) (lost, unfinished int, err error) {
	rows, err := g.db.QueryContext(ctx, "SELECT event_id, status FROM events")
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	status := make(map[string]string, len(acked))
	for rows.Next() {
		var id, s string
		if err := rows.Scan(&id, &s); err != nil {
			return 0, 0, err
		}
		status[id] = s
	}
	for _, l := range acked {
		switch status[l.id] {
		case "":
			lost++
		case string(providers.StatusProcessed):
		default:
			unfinished++
		}
	}
	return lost, unfinished, rows.Err()
}

// wrongRecords counts the objects whose record differs from what the platform
// has.
func (g *stage) wrongRecords(ctx context.Context, source string, objects []string) (int, error) {
	rows, err := g.db.QueryContext(ctx, "SELECT object_id, state FROM records WHERE source = $1 AND state IS NOT NULL", source)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	states := make(map[string][]byte, len(objects))
	for rows.Next() {
		var id string
		var state []byte
		if err := rows.Scan(&id, &state); err != nil {
			return 0, err
		}
		states[id] = state
	}
	wrong := 0
	for _, id := range objects {
		o, ok := g.stack.sandbox.Platform("stripe").Object(providers.Ref{Type: "customer", ID: id})
		if !ok || !sameJSON(o.State, states[id]) {
			wrong++
		}
	}
	return wrong, rows.Err()
}

func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	one, errOne := json.Marshal(x)
	other, errOther := json.Marshal(y)
	return errOne == nil && errOther == nil && string(one) == string(other)
}

// metric reads one of Surehook's own metrics, 0 when it is not there yet.
func (g *stage) metric(ctx context.Context, name string) (float64, error) {
	page, err := get(ctx, "http://"+g.admin+"/metrics")
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(page)
	if found == nil {
		return 0, nil
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// openStore opens the inbox as the console would.
func (g *stage) openStore(ctx context.Context) (*store.Store, error) {
	return store.Open(ctx, store.Config{URL: g.db.url, MaxConns: 4})
}

func (g *stage) dial(ctx context.Context) (client.Client, error) {
	return dialTemporal(ctx, g.stack.temporal.HostPort(), g.space)
}

// profiled runs what is measured and, where profiles are wanted, has one taken
// of the processor meanwhile and one of the memory after it.
func (g *stage) profiled(ctx context.Context, name string, measure func() error) error {
	folder := g.stack.settings.profiles
	if folder == "" {
		return measure()
	}
	name = strings.NewReplacer(", ", "-", " ", "-").Replace(name)
	seconds := g.stack.settings.profileSeconds
	taken := make(chan error, 1)
	go func() {
		taken <- g.take(ctx, fmt.Sprintf("profile?seconds=%d", seconds), filepath.Join(folder, name+".cpu.pprof"))
	}()
	err := measure()
	if err == nil {
		err = g.take(ctx, "heap", filepath.Join(folder, name+".heap.pprof"))
	}
	return errors.Join(err, <-taken)
}

func (g *stage) take(ctx context.Context, what, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.admin+"/debug/pprof/"+what, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("take a profile: %w", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("take a profile: %w", err)
	}
	return os.WriteFile(file, raw, 0o600)
}
