//go:build unix

package integration_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/internal/store/storetest/pgtest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

// torture is a stage on which everything goes wrong that the plan says.
type torture struct {
	*stage
	plan    plan
	planned int // the number of changes that was asked for
	parts   map[part]*stoppable
	proxy   *lossyProxy

	objects []providers.Ref         // by slot; zero where there is none
	slow    map[int][]*sandbox.Gate // by slot: fetches that are not answered yet
	held    int                     // fetches that were answered late on purpose
	// ends are the versions at which objects were deleted, by their names: a
	// tombstone does not say which it is.
	ends    map[string][]int64
	changed map[string]providers.Ref // what the plan has changed, by name
	kills   map[part]int
	starts  int      // of processes
	died    []string // those that ended by themselves

	poisoned []string        // the events about invoices that nobody may read
	skipped  map[string]bool // those that an operator has skipped, by name

	redelivering sync.WaitGroup
}

// stoppable is a part that can go down and come up again.
type stoppable struct {
	isUp     bool
	down, up func()
}

// secondSecrets are what the platforms sign with later.
var secondSecrets = map[string]string{"stripe": "whsec_integration_second", "github": "github_integration_second"}

// tortureSources is what a user would write who is about to rotate the secrets. The
// reconciliation is run by hand, so that what there is without it can be seen first;
// for it all records are old.
const tortureSources = `
sources:
  stripe:
    provider: stripe
    secrets: ["${STRIPE_WEBHOOK_SECRET}", "${STRIPE_WEBHOOK_SECRET_NEXT}"]
    api: { base_url: "${SANDBOX}/stripe", key: "${API_KEY}" }
    reconcile: { cron: "0 5 29 2 *", lookback: 24h, lists: [events, invoice, customer, product], unseen: 1s }
  github:
    provider: github
    secrets: ["${GITHUB_WEBHOOK_SECRET}", "${GITHUB_WEBHOOK_SECRET_NEXT}"]
    api: { base_url: "${SANDBOX}/github", key: "${API_KEY}" }
    settings:
      repositories: [octo-org/hello-world]
      hooks: [{ repository: octo-org/hello-world, id: 471234567 }]
    reconcile: { cron: "0 5 29 2 *", lookback: 24h, lists: [deliveries, issue], unseen: 1s }
`

// newTorture builds everything and starts it. On SQLite one process does all of
// Surehook's work; on Postgres ingress and worker are processes of their own.
func newTorture(t *testing.T, on tortureGround, seed uint64, changes int) *torture {
	t.Helper()
	w := &torture{
		stage: &stage{t: t, seed: seed, dir: t.TempDir(), retries: []time.Duration{300 * time.Millisecond, time.Second, 3 * time.Second}},
		ends:  map[string][]int64{}, changed: map[string]providers.Ref{},
		slow: map[int][]*sandbox.Gate{}, skipped: map[string]bool{}, kills: map[part]int{}, parts: map[part]*stoppable{},
	}
	databaseURL := "sqlite:" + filepath.Join(w.dir, "surehook.db")
	if on.postgres {
		w.postgres = pgtest.Start(t, pgtest.Options{Durable: true})
		databaseURL = w.postgres.Database(t)
	}
	hostPort := w.startStoppableTemporal(on.temporal)
	w.client = dial(t, hostPort, &logBuffer{})
	w.proxy = startLossyProxy(t, hostPort)
	w.startSandbox()
	w.configure(databaseURL, hostPort)
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "surehook.yaml"), []byte(tortureSources), 0o600))
	w.env = append(w.env,
		"STRIPE_WEBHOOK_SECRET_NEXT="+secondSecrets["stripe"],
		"GITHUB_WEBHOOK_SECRET_NEXT="+secondSecrets["github"],
		"SUREHOOK_MAX_ATTEMPTS=3", // so that some events are parked
	)
	w.observe()
	for _, source := range tortureSourceNames {
		w.platform(source).SetTarget(w.URL + "/webhooks/" + source)
		require.NoError(t, w.platform(source).SetFaults(stormFaults(source)))
	}
	var parts []part
	for _, name := range []part{ingressPart, workerPart, temporalPart, postgresPart} {
		if w.addPart(name) {
			parts = append(parts, name)
		}
	}
	w.planned = changes
	w.plan = newPlan(seed, changes, parts)
	w.objects = make([]providers.Ref, w.plan.slots)
	return w
}

var tortureSourceNames = []string{"stripe", "github"}

// startStoppableTemporal starts a server that keeps its data when it is stopped, or
// killed. On Postgres it has a Postgres of its own: events that come while ours is
// away are to be carried by Temporal.
func (w *torture) startStoppableTemporal(kind temporalKind) (hostPort string) {
	w.parts[temporalPart] = &stoppable{isUp: true}
	if kind == onPostgres {
		hostPort = w.startTemporal(kind, pgtest.Start(w.t, pgtest.Options{}))
		w.parts[temporalPart].down, w.parts[temporalPart].up = w.killTemporal, w.reviveTemporal
		return hostPort
	}
	temporal := startDurableTemporal(w.t)
	w.parts[temporalPart].down = func() { temporal.server.Stop() }
	w.parts[temporalPart].up = func() { temporal.restart(w.t) }
	return temporal.server.HostPort()
}

// addPart reports whether there is such a part; those of Surehook's it starts.
func (w *torture) addPart(name part) bool {
	lossy := "TEMPORAL_ADDRESS=" + w.proxy.HostPort
	switch {
	case name == ingressPart && w.postgres == nil:
		w.addProcess(name, func() *process { return w.start("serve", lossy) })
	case name == ingressPart:
		w.addProcess(name, func() *process { return w.start("ingress", lossy) })
	case w.postgres == nil && name != temporalPart:
		return false
	case name == workerPart:
		w.addProcess(name, func() *process { return w.start("worker", "SUREHOOK_ADMIN_LISTEN="+loopbackAddress(w.t)) })
	case name == postgresPart:
		w.parts[name] = &stoppable{isUp: true, down: func() { w.postgres.Kill(w.t) }, up: func() { w.postgres.Restart(w.t) }}
	}
	return true
}

// addProcess starts a process that is killed and started again, at once: nobody
// waits until it works.
func (w *torture) addProcess(name part, start func() *process) {
	w.starts++
	running := start()
	s := &stoppable{isUp: true}
	s.down = func() {
		select {
		case <-running.exited:
			w.died = append(w.died, fmt.Sprintf("%s: %v, see %s", name, running.guard.ProcessState, filepath.Base(running.log)))
		default:
		}
		running.kill()
	}
	s.up = func() {
		w.starts++
		running = start()
	}
	w.parts[name] = s
}

// stormFaults is the weather at a platform. What nobody may read is parked at
// once, for an operator.
func stormFaults(source string) sandbox.Faults {
	busy := sandbox.FaultLockTimeout
	if source == "github" {
		busy = sandbox.FaultSecondaryLimit
	}
	return sandbox.Faults{
		Webhooks: sandbox.WebhookFaults{
			Drop: 0.10, Duplicate: 0.20, Delay: 0.20, MaxDelay: 2 * time.Second,
			WrongSignature: 0.03, Stale: 0.03, Truncate: 0.03,
		},
		API: []sandbox.APIFault{
			refusedFault,
			{Kind: sandbox.FaultLatency, Latency: 200 * time.Millisecond, Probability: 0.15},
			{Kind: sandbox.FaultLatency, Latency: 1200 * time.Millisecond, Probability: 0.08},
			{Kind: sandbox.FaultHang, Probability: 0.002},
			{Kind: sandbox.FaultTruncate, Probability: 0.03},
			{Kind: sandbox.FaultError, Probability: 0.05},
			{Kind: sandbox.FaultRateLimit, RetryAfter: time.Second, Probability: 0.03},
			{Kind: busy, RetryAfter: time.Second, Probability: 0.02},
		},
	}
}

// poison begins the names of the invoices that nobody may read.
const poison = "in_poison_"

var refusedFault = sandbox.APIFault{Path: "/v1/invoices/" + poison + "*", Kind: sandbox.FaultError, Status: 403, Probability: 1}

// storm does what the plan says, spread over the duration.
func (w *torture) storm(duration time.Duration) {
	tick := time.NewTicker(duration / time.Duration(w.planned))
	defer tick.Stop()
	for _, s := range w.plan.steps {
		if s.trouble.kind != "" {
			w.suffer(s.trouble)
			continue
		}
		<-tick.C
		w.change(s.change)
	}
}

// aftermath lets webhooks go wrong once more, and nothing of ours.
func (w *torture) aftermath() {
	for _, source := range tortureSourceNames {
		require.NoError(w.t, w.platform(source).SetFaults(sandbox.Faults{Webhooks: stormFaults(source).Webhooks}))
	}
	for _, c := range w.plan.aftermath {
		w.change(c)
	}
	for _, source := range tortureSourceNames {
		require.NoError(w.t, w.platform(source).Wait(w.t.Context())) // in this weather
	}
}

func (w *torture) change(c change) {
	b, ref := w.plan.breed(c.slot), w.objects[c.slot]
	p := w.platform(b.source)
	var err error
	switch {
	case c.silent && c.typ == b.deleted:
		err = p.Delete(ref)
	case c.silent:
		_, err = p.Update(ref, func(map[string]any) {}) // each has another version
	default:
		var set map[string]any
		if b.named && c.typ == b.created {
			set = map[string]any{"name": fmt.Sprintf("slot-%d", c.slot)}
		}
		var ev sandbox.Event
		ev, err = p.Trigger(w.t.Context(), c.typ, sandbox.On(ref), sandbox.Set(set), sandbox.InBackground())
		ref = ev.Object
	}
	require.NoError(w.t, err, "%+v", c)
	name := objectName(b.source, ref)
	w.changed[name], w.objects[c.slot] = ref, ref
	if object, _ := p.Object(ref); object.Deleted {
		w.ends[name] = append(w.ends[name], object.Version)
		w.objects[c.slot] = providers.Ref{}
	}
}

// suffer does one thing to us.
func (w *torture) suffer(t trouble) {
	w.t.Helper()
	switch t.kind {
	case goesDown:
		w.goDown(t.part)
	case comesUp:
		w.comeUp(t.part)
	case losesStarts:
		w.proxy.loseNext(t.count)
	case refusesNotices:
		w.sandbox.Receiver.FailNext(t.count, 503)
	case losesNotices:
		w.sandbox.Receiver.LoseNext(t.count)
	case rotatesSecret:
		w.platform(t.source).RotateSecrets(providers.Secrets{secondSecrets[t.source]})
	case slowsFetch:
		if ref := w.objects[t.slot]; !ref.IsZero() {
			w.slow[t.slot] = append(w.slow[t.slot], w.platform(w.plan.breed(t.slot).source).Hold(ref))
		}
	case endsSlowFetch:
		w.endSlow(t.slot)
	case poisons:
		w.poison()
	case crowds:
		w.crowd(t.source, t.count)
	case skips:
		w.skip()
	case changesObject: // a change, not a trouble: whoever plays the plan makes it
	}
}

func (w *torture) endSlow(slot int) {
	for _, gate := range w.slow[slot] {
		select {
		case <-gate.Arrived():
			w.held++
		default:
		}
		gate.Release()
	}
	delete(w.slow, slot)
}

func (w *torture) goDown(name part) {
	if p := w.parts[name]; p.isUp {
		p.isUp = false
		w.kills[name]++
		p.down()
	}
}

func (w *torture) comeUp(name part) {
	if p := w.parts[name]; !p.isUp {
		p.isUp = true
		p.up()
	}
}

// crowd lets so many objects come into being that their events wait together for
// Temporal, which is away: then joint runs work them off.
func (w *torture) crowd(source string, count int) {
	for _, name := range []part{postgresPart, ingressPart} {
		if w.parts[name] != nil {
			w.comeUp(name)
		}
	}
	w.untilIngressIsReady()
	w.goDown(temporalPart)
	for range count {
		ev, err := w.platform(source).Trigger(w.t.Context(), crowdType(source), sandbox.InBackground())
		require.NoError(w.t, err)
		w.changed[objectName(source, ev.Object)] = ev.Object
	}
}

// poison pays an invoice whose fetches are refused.
func (w *torture) poison() {
	id := fmt.Sprintf("%s%d", poison, len(w.poisoned))
	ev, err := w.platform("stripe").Trigger(w.t.Context(), "invoice.paid", sandbox.Set(map[string]any{"id": id}), sandbox.InBackground())
	require.NoError(w.t, err)
	w.changed[objectName("stripe", ev.Object)] = ev.Object
	w.poisoned = append(w.poisoned, ev.ID)
}

// skip has an operator skip the poisoned events that are parked by now, after
// which the platform sends them once more. With something down the operator may
// fail, and comes back later.
func (w *torture) skip() {
	for _, e := range w.parked() {
		name := e.Source + "/" + e.ID
		if !isPoison(e.Object) || w.skipped[name] {
			continue
		}
		if _, err := w.trySurehook("resolve", e.Source, e.ID, "skip", "--by", "torture", "--reason", "nobody may read it"); err != nil {
			continue
		}
		w.skipped[name] = true
		w.redelivering.Go(func() {
			if _, err := w.platform(e.Source).Redeliver(context.WithoutCancel(w.t.Context()), e.ID); err != nil {
				w.t.Errorf("redeliver %s: %v", name, err)
			}
		})
	}
}

func isPoison(ref providers.Ref) bool { return strings.HasPrefix(ref.ID, poison) }

// parked returns the events in review, none while the database is away.
func (w *torture) parked() []store.EventRow {
	rows, err := w.store.Events(w.t.Context(), store.EventFilter{Status: providers.StatusReview, Limit: 1 << 20})
	if err != nil {
		return nil
	}
	return rows
}

// calm ends everything that goes wrong. Last are the invoices that nobody may
// read: an operator skips them all, and may read them then.
func (w *torture) calm() {
	w.weather(refusedFault)
	for slot := range w.slow {
		w.endSlow(slot)
	}
	w.sandbox.Receiver.FailNext(0, 503)
	w.sandbox.Receiver.LoseNext(0)
	w.proxy.stop()
	for _, name := range []part{postgresPart, temporalPart, workerPart, ingressPart} {
		if w.parts[name] != nil {
			w.comeUp(name)
		}
	}
	w.untilIngressIsReady()
	for _, source := range tortureSourceNames {
		require.NoError(w.t, w.platform(source).Wait(w.t.Context()))
	}
	require.Eventually(w.t, w.allPoisonIsSkipped, standstill, 500*time.Millisecond, "what nobody may read is not parked")
	w.redelivering.Wait()
	w.weather()
}

func (w *torture) untilIngressIsReady() {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return ready(w.t.Context(), w.admin) }, 2*patience, 50*time.Millisecond, "the ingress is not ready")
}

// weather is the same at all platforms, whose webhooks come as they should.
func (w *torture) weather(faults ...sandbox.APIFault) {
	for _, source := range tortureSourceNames {
		require.NoError(w.t, w.platform(source).SetFaults(sandbox.Faults{API: faults}))
	}
}

// allPoisonIsSkipped has those skipped that are parked, and sends again what was
// never acknowledged.
func (w *torture) allPoisonIsSkipped() bool {
	w.skip()
	for _, id := range w.poisoned {
		if w.skipped["stripe/"+id] {
			continue
		}
		if ev, _ := w.platform("stripe").Event(id); !ev.Acknowledged {
			_, _ = w.platform("stripe").Redeliver(w.t.Context(), id) // its log says what came of it
		}
		return false
	}
	return true
}

// rest waits until nothing is left to do, for as long as it goes on. Events that
// the weather has parked are retried, as an operator would.
func (w *torture) rest() {
	var before unfinished
	since, retried := time.Now(), map[string]time.Time{}
	for tick := time.NewTicker(500 * time.Millisecond); ; <-tick.C {
		left, err := w.unfinished()
		if err == nil && left.none() {
			return
		}
		if left != before {
			before, since = left, time.Now()
		}
		if time.Since(since) > standstill {
			w.t.Logf("nothing has happened for %s: %+v, %v", standstill, left, err)
			return // what is unfinished is a finding
		}
		for _, e := range w.parked() {
			name := e.Source + "/" + e.ID
			if !w.skipped[name] && time.Since(retried[name]) > 5*time.Second {
				retried[name] = time.Now()
				// It fails when the event has left review in between.
				_, _ = w.trySurehook("resolve", e.Source, e.ID, "retry", "--by", "torture", "--reason", "the storm is over")
			}
		}
	}
}

// reconcile reconciles everything once, as an operator would, all lists at the same
// time. In the middle of it the process that does the work is killed.
func (w *torture) reconcile() {
	// Slow enough to be killed in the middle of a page.
	w.weather(sandbox.APIFault{Kind: sandbox.FaultLatency, Latency: 100 * time.Millisecond, Probability: 1})
	failures := make([]error, len(tortureSourceNames))
	var running sync.WaitGroup
	for i, source := range tortureSourceNames {
		running.Go(func() { _, failures[i] = w.trySurehook("reconcile", "run", source) })
	}
	victim := workerPart
	if w.parts[victim] == nil {
		victim = ingressPart
	}
	require.Eventually(w.t, func() bool { return w.reconciled().Repaired > 0 }, 2*patience, 10*time.Millisecond, "nothing is repaired")
	w.goDown(victim)
	w.comeUp(victim)
	w.weather()
	running.Wait()
	for _, err := range failures {
		require.NoError(w.t, err)
	}
}

// reconciled is what all reconciliations have done.
func (w *torture) reconciled() (all providers.Tally) {
	rows, err := w.store.Reconciliations(w.t.Context(), store.ReconciliationFilter{})
	require.NoError(w.t, err)
	for _, row := range rows {
		all = all.Plus(row.Tally)
	}
	return all
}

// unfinished is how much there is still to do.
type unfinished struct{ pending, review, processed, running int }

func (u unfinished) none() bool { return u.pending == 0 && u.review == 0 && u.running == 0 }

func (w *torture) unfinished() (left unfinished, err error) {
	err = w.db.QueryRowContext(w.t.Context(), `SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'review'),
		count(*) FILTER (WHERE status = 'processed') FROM events`).Scan(&left.pending, &left.review, &left.processed)
	if err != nil {
		return left, err
	}
	runs, err := w.allRuns()
	for _, is := range runs {
		for _, status := range is {
			if status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
				left.running++
			}
		}
	}
	return left, err
}
