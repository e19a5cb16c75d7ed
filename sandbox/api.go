package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// api is how a platform answers calls.
type api interface {
	// refuse returns the answer to a call with a wrong key or none, else nil.
	refuse(r *http.Request, key string) *answer
	// object answers with an object; o is nil when the path names none.
	object(r *http.Request, o *Object) *answer
	// fault answers as the platform does when it is overloaded or broken.
	fault(f APIFault, now time.Time) *answer
	// sign adds the headers that all the platform's answers have.
	sign(h http.Header, call callInfo)
}

// mover is an api of a platform where objects move: redirect answers a call for
// one that has a new address.
type mover interface {
	redirect(r *http.Request, path string) *answer
}

// lister is a dialect whose API has lists, or takes orders. It is called with the
// platform locked, for calls with the right key; ok is false when the call is
// none of these.
type lister interface {
	list(t *tx, r *http.Request, body []byte) (a *answer, ok bool)
}

// maxCallBody is far above what a call holds.
const maxCallBody = 1 << 20

// listed answers a call for a list, and one that orders a change when that is durable.
func (p *Platform) listed(r *http.Request) (a *answer, ok bool) {
	l, ok := p.dialect.(lister)
	if !ok {
		return nil, false
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxCallBody))
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return nil, false
	}
	run := p.update
	if r.Method == http.MethodGet {
		run = p.locked
	}
	err = run(func(t *tx) error {
		a, ok = l.list(t, r, body)
		return nil
	})
	return a, ok && err == nil
}

// callInfo numbers a call, for headers that count.
type callInfo struct {
	Number int // of all calls to the platform, from 1
	Now    time.Time
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// jsonAnswer answers with the members, as JSON of the platform's media type.
func jsonAnswer(status int, media string, body fields) *answer {
	raw, err := encode(body)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{}`)
	}
	return &answer{status: status, body: raw, header: http.Header{"Content-Type": {media}}}
}

// stateAnswer answers with an object as it is now.
func stateAnswer(media string, o *Object) *answer {
	return &answer{status: http.StatusOK, body: o.body, header: http.Header{"Content-Type": {media}}}
}

// orDefault is the status of a fault that may name its own.
func orDefault(status, byDefault int) int {
	if status == 0 {
		return byDefault
	}
	return status
}

// CallCount says how often an API path was called.
type CallCount struct {
	Path     string        `json:"path"`
	Object   providers.Ref `json:"object,omitzero"` // what it names, if anything
	Calls    int           `json:"calls"`
	Statuses map[int]int   `json:"statuses"` // calls by the status answered; 0 for calls left without an answer
}

// arrival is what a call meets when it comes in.
type arrival struct {
	info   callInfo
	count  *CallCount
	object *Object // a copy: what is true now is answered, however late
	moved  string  // the path it has moved to
	faults []APIFault
	gate   *Gate
}

// ServeHTTP answers the platform's API.
func (p *Platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.serve(w, r, p.arrive(r))
}

func (p *Platform) arrive(r *http.Request) arrival {
	path := p.locate(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	count := p.calls[path]
	if count == nil {
		count = &CallCount{Path: path, Statuses: map[int]int{}}
		p.calls[path] = count
	}
	count.Calls++
	p.allCalls++
	a := arrival{
		info:   callInfo{Number: p.allCalls, Now: p.cfg.Now()},
		count:  count,
		faults: p.apiFaults(path, count.Calls),
		moved:  withPrefix(path, p.moved),
	}
	if o := p.at(path); o != nil {
		copied := *o
		a.object = &copied
		count.Object = o.Ref
		a.gate = p.takeGate(o.Ref)
	}
	return a
}

// locator is a dialect whose calls do not all name an object by their path: it
// returns the path of the object that a call asks for.
type locator interface {
	locate(r *http.Request) string
}

func (p *Platform) locate(r *http.Request) string {
	if l, ok := p.dialect.(locator); ok {
		return l.locate(r)
	}
	return r.URL.Path
}

// at returns the object of an API path, also a deleted one, but none whose
// parent is deleted.
func (p *Platform) at(path string) *Object {
	if to := withPrefix(path, p.alias); to != "" {
		path = to
	}
	if parent := p.byPath[p.dialect.parent(path)]; parent != nil && parent.Deleted {
		return nil
	}
	return p.byPath[path]
}

// withPrefix returns the path with its longest prefix that has a replacement
// replaced, or nothing when it has none.
func withPrefix(path string, replacements map[string]string) string {
	for prefix := path; strings.Contains(prefix, "/"); prefix = prefix[:strings.LastIndexByte(prefix, '/')] {
		if to, ok := replacements[prefix]; ok {
			return to + path[len(prefix):]
		}
	}
	return ""
}

func (p *Platform) serve(w http.ResponseWriter, r *http.Request, call arrival) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.background, cancel)() // Close ends the waiting as well

	var broken bool
	for _, f := range call.faults {
		switch f.Kind {
		case FaultHang:
			<-ctx.Done()
		case FaultLatency:
			sleep(ctx, f.Latency)
		case FaultTruncate:
			broken = true
		default:
			if ctx.Err() == nil {
				p.write(w, call, p.dialect.api().fault(f, call.info.Now), false)
				return
			}
		}
	}
	if call.gate != nil {
		call.gate.pass(ctx)
	}
	if ctx.Err() != nil {
		p.answered(call, 0)
		panic(http.ErrAbortHandler) // else the server would answer 200
	}
	p.write(w, call, p.answer(r, call), broken)
}

// answered counts a call by the status it got, 0 for none.
func (p *Platform) answered(call arrival, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	call.count.Statuses[status]++
}

func (p *Platform) answer(r *http.Request, call arrival) *answer {
	platform := p.dialect.api()
	if a := platform.refuse(r, p.cfg.Key); a != nil {
		return a
	}
	if a, ok := p.listed(r); ok {
		return a
	}
	if m, moves := platform.(mover); moves && call.moved != "" {
		return m.redirect(r, call.moved)
	}
	if _, reads := p.dialect.(locator); r.Method != http.MethodGet && !reads {
		return platform.object(r, nil)
	}
	return platform.object(r, call.object)
}

// write sends an answer; a broken one ends in the middle of its body.
func (p *Platform) write(w http.ResponseWriter, call arrival, a *answer, broken bool) {
	p.answered(call, a.status)
	p.dialect.api().sign(w.Header(), call.info)
	maps.Copy(w.Header(), a.header)
	if a.status == http.StatusNotModified {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	if broken {
		_, _ = w.Write(a.body[:len(a.body)/2])
		// What has been seen of an answer keeps net/http from asking again by itself.
		_ = http.NewResponseController(w).Flush()
		// The server closes a connection whose handler wrote less than it promised.
		panic(http.ErrAbortHandler)
	}
	// A caller that went away misses the answer, and that is its own affair.
	_, _ = w.Write(a.body)
}

// Calls returns how often an API path was called.
func (p *Platform) Calls(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.calls[path]; c != nil {
		return c.Calls
	}
	return 0
}

// Fetches returns how often an object was asked for, by all of its paths.
func (p *Platform) Fetches(ref providers.Ref) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.objects[providers.Ref{Type: ref.Type, ID: ref.ID}]
	if o == nil {
		return 0
	}
	total := 0
	for _, path := range o.Paths {
		if c := p.calls[path]; c != nil {
			total += c.Calls
		}
	}
	return total
}

// TotalCalls returns how often the API was called.
func (p *Platform) TotalCalls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.allCalls
}

// CallCounts returns the counts of all paths, ordered by path.
func (p *Platform) CallCounts() []CallCount {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := make([]CallCount, 0, len(p.calls))
	for _, c := range p.calls {
		copied := *c
		copied.Statuses = maps.Clone(c.Statuses)
		counts = append(counts, copied)
	}
	slices.SortFunc(counts, func(a, b CallCount) int { return cmp.Compare(a.Path, b.Path) })
	return counts
}

// ResetCalls sets all counts to zero.
func (p *Platform) ResetCalls() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.calls)
	p.allCalls = 0
}

func compareRefs(a, b providers.Ref) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
}
