package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/surehook/surehook/providers"
)

// ReconcileStart says what a reconciliation is to look at. It is stored in
// Temporal's history, so its JSON names are for ever.
type ReconcileStart struct {
	Source string `json:"source"`
	List   string `json:"list"`
	// LookbackSeconds is how far a scheduled run goes back before the last complete
	// one. For the list providers.Unseen it is the age.
	LookbackSeconds int64 `json:"lookback_seconds,omitempty"`
	// Backfill says that somebody asked for this window, which begins at Since, or
	// has no beginning when that is zero.
	Backfill bool      `json:"backfill,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	By       string    `json:"by,omitempty"` // who asked for it
	Reason   string    `json:"reason,omitempty"`
	RunID    string    `json:"run_id,omitempty"` // the first of the chain; the workflow fills it in
}

// ReconcilePosition is where a reconciliation stands between two pages. It is
// stored in Temporal's history, so its JSON names are for ever.
type ReconcilePosition struct {
	ID     int64     `json:"id"`
	Source string    `json:"source"`
	List   string    `json:"list"`
	Since  time.Time `json:"since,omitzero"`
	Mark   string    `json:"mark,omitempty"`
	Cursor string    `json:"cursor,omitempty"` // of the page to read next
	// Checkpoint is an earlier cursor, at which a list that has an end never arrives again.
	Checkpoint string          `json:"checkpoint,omitempty"`
	Last       bool            `json:"last,omitempty"`   // there is no next page
	Resync     bool            `json:"resync,omitempty"` // the platform had forgotten where we were; the list was begun again
	Done       providers.Tally `json:"done"`
	// Problem is why the run does not count as complete although all pages were
	// read; the next one then looks at the same window again.
	Problem string `json:"problem,omitempty"`
}

// ReconcileEnd says why a reconciliation has ended before its last page. It is stored in Temporal's
// history, so its JSON names are for ever.
type ReconcileEnd struct {
	ID      int64  `json:"id"`
	Source  string `json:"source"`
	List    string `json:"list"`
	Problem string `json:"problem"`
}

// BeginReconciliation finds out where a run over a list has to begin. To repeat
// it for the same run returns to where that is.
func (a *Activities) BeginReconciliation(ctx context.Context, start ReconcileStart) (at ReconcilePosition, err error) {
	defer func() { err = written(ctx, recovered(ctx, err, recover())) }()
	source, err := a.source("reconcile", start.Source)
	if err != nil {
		return at, err
	}
	if !source.lists(start.List) {
		return at, fmt.Errorf("reconcile %s/%s: %w", start.Source, start.List, providers.ErrNoSuchList)
	}
	lookback := time.Duration(start.LookbackSeconds) * time.Second
	r, err := a.Reconciliations.BeginReconciliation(ctx, providers.ReconciliationStart{
		Source:     start.Source,
		List:       start.List,
		Backfill:   start.Backfill,
		Since:      start.Since,
		Lookback:   lookback,
		WorkflowID: activity.GetInfo(ctx).WorkflowExecution.ID,
		RunID:      start.RunID,
		By:         start.By,
		Reason:     start.Reason,
	})
	if err != nil {
		return at, err
	}
	at = ReconcilePosition{
		ID:     r.ID,
		Source: r.Source,
		List:   r.List,
		Since:  r.Since,
		Mark:   r.Mark,
		Cursor: r.Cursor,
		Done:   r.Tally,
		Last:   !r.FinishedAt.IsZero(), // it had been read to the end before
	}
	if r.Incomplete {
		at.Problem = r.Error
	}
	if start.List == providers.Unseen {
		at.Since = unseenSince(start, r)
	}
	return at, nil
}

func (s Source) lists(name string) bool {
	if name == providers.Unseen {
		_, ok := s.Provider.(providers.Fetcher)
		return ok
	}
	lister, ok := s.Provider.(providers.Lister)
	return ok && slices.ContainsFunc(lister.Lists(), func(l providers.List) bool { return l.Name == name })
}

// EndReconciliation notes that a run has ended before its last page.
func (a *Activities) EndReconciliation(ctx context.Context, end ReconcileEnd) error {
	err := a.Reconciliations.EndReconciliation(ctx, end.ID, end.Problem)
	if err == nil && a.Meter != nil {
		a.Meter.Reconciled(end.Source, end.List, false)
	}
	return written(ctx, err)
}

// ReconcilePage reads one page of a list and repairs what differs: missed events
// enter the inbox, from where they go the way of all events, and records are
// fetched and saved as Sync does it. The position moves last. So whatever ends an
// attempt, the next one reads the same page again, where what has been repaired
// no longer differs.
//
// What can never be asked for does not end a run: it is counted, with the first
// of the errors.
func (a *Activities) ReconcilePage(ctx context.Context, at ReconcilePosition) (next ReconcilePosition, err error) {
	earlier := earlierAttempts(ctx)
	p := &page{a: a, at: at, failed: earlier.Failed, before: earlier.Done}
	stop := p.beat(ctx)
	defer func() {
		value := recover()
		stop()
		p.report(err == nil)
		err = a.sortedAfter(ctx, recovered(ctx, err, value), p.carried())
	}()
	p.source, err = a.source("reconcile", at.Source)
	if err != nil {
		return next, err
	}
	p.source.Background = counted{Limiter: p.source.Background, page: p}
	return p.reconcile(ctx)
}

// page is one attempt at a page.
type page struct {
	a      *Activities
	source Source
	at     ReconcilePosition
	failed int32 // attempts before this one that the platform made fail
	gaveUp int   // objects of which this attempt, the last one, has given up
	error  string

	mu     sync.Mutex      // for beat
	before providers.Tally // by those attempts
	done   providers.Tally // by this one
}

// found is what a page showed that has to be done.
type found struct {
	objects    int // on the page
	differing  []providers.Ref
	events     []providers.ListedEvent
	next, mark string
}

func (p *page) reconcile(ctx context.Context) (ReconcilePosition, error) {
	look := p.list
	if p.at.List == providers.Unseen {
		look = p.unseen
	}
	found, err := look(ctx)
	if err != nil {
		return ReconcilePosition{}, err
	}
	// Events come first: what is fetched for the page afterwards then covers them.
	if err := p.receive(ctx, found.events); err != nil {
		return ReconcilePosition{}, err
	}
	for _, ref := range found.differing {
		if err := p.each(ctx, func() error { return p.repair(ctx, ref) }); err != nil {
			return ReconcilePosition{}, err
		}
	}
	p.note(providers.Tally{Pages: 1, Objects: int64(found.objects)})
	return p.save(ctx, found)
}

// list asks the platform for the page.
func (p *page) list(ctx context.Context) (found, error) {
	lister, ok := p.source.Provider.(providers.Lister)
	if !ok {
		return found{}, fmt.Errorf("list %s of %s: %w", p.at.List, p.at.Source, providers.ErrNoSuchList)
	}
	listed, err := p.ask(ctx, lister)
	if errors.Is(err, providers.ErrStaleCursor) && !p.at.Resync {
		if p.at.Mark != "" {
			p.at.Since = time.Time{} // no time says what the mark did, so nothing less than everything will do
		}
		p.at.Resync, p.at.Mark, p.at.Cursor, p.at.Checkpoint = true, "", "", ""
		listed, err = p.ask(ctx, lister)
	}
	if err != nil {
		return found{}, err
	}
	// Not before the call: what was fetched while it was under way, or while it waited
	// for its turn, may be older than what it shows.
	asOf, err := p.a.Reconciliations.Now(ctx)
	if err != nil {
		return found{}, err
	}
	differing, err := p.a.Reconciliations.Differing(ctx, p.at.Source, asOf, listed.Objects)
	return found{
		objects:   len(listed.Objects),
		differing: differing,
		events:    listed.Events,
		next:      listed.Next,
		mark:      listed.Mark,
	}, err
}

func (p *page) ask(ctx context.Context, lister providers.Lister) (providers.Page, error) {
	if err := p.source.takeTurn(ctx, true); err != nil {
		return providers.Page{}, err
	}
	return lister.List(ctx, providers.ListQuery{List: p.at.List, Since: p.at.Since, Cursor: p.at.Cursor, Mark: p.at.Mark})
}

// receive puts those of the events into the inbox that it does not have. The
// relay's next sweep starts them.
func (p *page) receive(ctx context.Context, listed []providers.ListedEvent) error {
	if len(listed) == 0 {
		return nil
	}
	byID := make(map[string]providers.ListedEvent, len(listed))
	ids := make([]string, len(listed))
	for i, ev := range listed {
		byID[ev.ID], ids[i] = ev, ev.ID
	}
	p.note(providers.Tally{Objects: int64(len(listed))})
	missing, err := p.a.Reconciliations.MissingEvents(ctx, p.at.Source, ids)
	if err != nil {
		return err
	}
	for _, id := range missing {
		if err := p.each(ctx, func() error { return p.accept(ctx, byID[id]) }); err != nil {
			return err
		}
	}
	return nil
}

// accept judges an event as a webhook would have been.
func (p *page) accept(ctx context.Context, ev providers.ListedEvent) error {
	if err := p.source.takeTurn(ctx, true); err != nil {
		return err
	}
	req, err := ev.Request(ctx)
	if err != nil {
		return err
	}
	accepted, err := p.a.Inbox.Accept(ctx, p.source.Reception.Received(req))
	if err != nil {
		return err
	}
	for _, row := range accepted {
		if !row.Duplicate {
			p.note(providers.Tally{Missed: 1})
		}
	}
	return nil
}

// repair fetches and saves one object.
func (p *page) repair(ctx context.Context, ref providers.Ref) error {
	saved, err := p.a.makeTrue(ctx, p.source, providers.Save{
		Event:          providers.EventRef{Source: p.at.Source, Ref: ref},
		Reconciliation: p.at.ID,
	})
	if err == nil && saved.Changed {
		p.note(providers.Tally{Repaired: 1})
	}
	return err
}

// maxGaveUp bounds how many objects the last attempt may give up: each can take
// as long as a call may, and they have to fit into the activity's time.
const maxGaveUp = 10

// each does one piece of a page's work and decides whether the page can go on
// when it fails. What will fail for ever is counted and left. So is, in the last
// attempt, what keeps failing: otherwise one object that the platform cannot show,
// or that we cannot keep, would keep all after it from being looked at; but then the
// run is not complete. A key that is refused is nothing of the object's: it ends the
// run, and the next one looks at all of it.
func (p *page) each(ctx context.Context, do func() error) error {
	select {
	case <-activity.GetWorkerStopChannel(ctx):
		return errStopping
	default:
	}
	err := p.guard(ctx, do)
	switch {
	case err == nil:
	case isKeyRefused(err):
		return err
	case isPermanent(err):
		p.leave(err)
	case p.failed+1 >= p.a.MaxAttempts && p.gaveUp < maxGaveUp && ctx.Err() == nil && keepsFailing(err):
		p.gaveUp++
		p.leave(err)
		p.at.Problem = p.error
	default:
		return err
	}
	p.heartbeat(ctx)
	return nil
}

// guard makes a panic the permanent error of the piece that caused it.
func (p *page) guard(ctx context.Context, do func() error) (err error) {
	defer func() { err = recovered(ctx, err, recover()) }()
	return do()
}

func (p *page) leave(err error) {
	p.note(providers.Tally{Failed: 1})
	if p.error == "" {
		p.error = err.Error()
	}
}

// isKeyRefused reports whether the platform does not know us any more, so that no
// other call can succeed either.
func isKeyRefused(err error) bool {
	const unauthorized = 401
	api, ok := errors.AsType[*providers.APIError](err)
	return ok && api.Status == unauthorized
}

// keepsFailing reports whether it is this piece that fails: not all of our database
// or rate limit, nor a platform that says when to come back.
func keepsFailing(err error) bool {
	if api, ok := errors.AsType[*providers.APIError](err); ok {
		return api.Retry == providers.RetrySoon
	}
	return !errors.Is(err, providers.ErrUnavailable) && !errors.Is(err, errBusy)
}

// save moves the position. After the last page it ends the run.
func (p *page) save(ctx context.Context, f found) (ReconcilePosition, error) {
	if p.at.wasAt(f.next) {
		return ReconcilePosition{}, fmt.Errorf("list %s of %s: %w", p.at.List, p.at.Source, errCircular)
	}
	done := p.before.Plus(p.done)
	next := p.at.movedTo(f.next, done)
	err := p.a.Reconciliations.SaveReconciledPage(ctx, providers.ReconciledPage{
		ID:         next.ID,
		After:      p.at.Done.Pages,
		Next:       f.next,
		Mark:       f.mark,
		Done:       done,
		Error:      p.error,
		Incomplete: next.Problem != "",
	})
	if err == nil && next.Last && p.a.Meter != nil {
		p.a.Meter.Reconciled(next.Source, next.List, next.Problem == "")
	}
	return next, err
}

// wasAt reports whether the cursor is known to have been passed before.
func (at ReconcilePosition) wasAt(cursor string) bool {
	return cursor != "" && (cursor == at.Cursor || cursor == at.Checkpoint)
}

// movedTo is the position at the next page. The checkpoint moves each time the pages
// are twice as many, so that it comes to stand in any circle that a list leads into,
// and is met in the next round (R. P. Brent, An improved Monte Carlo factorization
// algorithm, 1980).
func (at ReconcilePosition) movedTo(cursor string, done providers.Tally) ReconcilePosition {
	at.Cursor, at.Last = cursor, cursor == ""
	at.Done = at.Done.Plus(done)
	if pages := at.Done.Pages; pages&(pages-1) == 0 {
		at.Checkpoint = cursor
	}
	return at
}

func (p *page) note(done providers.Tally) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = p.done.Plus(done)
}

// carried is what the next attempt has to know: what this one has done and will
// not find to do again.
func (p *page) carried() providers.Tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.before.Plus(p.done)
	return providers.Tally{Missed: all.Missed, Repaired: all.Repaired, Calls: all.Calls}
}

// report counts what the attempt has done. The page and what failed on it are
// counted by the attempt that saves it.
func (p *page) report(saved bool) {
	if p.a.Meter == nil {
		return
	}
	done := p.done
	if !saved {
		done.Pages, done.Objects, done.Failed = 0, 0, 0
	}
	p.a.Meter.ReconciledPage(p.at.Source, p.at.List, done)
}

// beatEvery is well below the heartbeat timeout of the activity.
const beatEvery = 5 * time.Second

func (p *page) heartbeat(ctx context.Context) {
	activity.RecordHeartbeat(ctx, attempts{Failed: p.failed, Done: p.carried()})
}

// beat heartbeats until it is stopped, also while a call or a turn takes long, so
// that Temporal soon notices a worker that was killed.
func (p *page) beat(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() {
		ticks := time.NewTicker(beatEvery)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				p.heartbeat(ctx)
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		beating.Wait()
	}
}

// counted counts the calls of the platform's API by the turns that are taken for
// them. An event whose request was in the list already takes one in vain.
type counted struct {
	Limiter
	page *page
}

func (c counted) Wait(ctx context.Context) error {
	err := c.Limiter.Wait(ctx)
	if err == nil {
		c.page.note(providers.Tally{Calls: 1})
	}
	return err
}
