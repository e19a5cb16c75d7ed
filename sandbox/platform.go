package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/surehook/surehook/providers"
)

// PlatformConfig describes one fake platform.
type PlatformConfig struct {
	Provider providers.Provider // signs the webhooks; without it none can be sent
	Secrets  providers.Secrets  // the first one signs
	Target   string             // the URL webhooks are sent to; while empty, events are only logged
	// Public is the URL that the endpoint says it has, where that is not Target, as
	// behind a proxy: some platforms sign it.
	Public string
	Key    string // the API key that is accepted, as a bearer token
	// Method is the one that webhooks are sent with, POST when empty. With GET,
	// which Twilio knows, a form goes into the URL's query.
	Method string
	// Retries are the waits before each further attempt to deliver an event
	// that was not answered with 2xx. Stripe retries; GitHub never does.
	Retries []time.Duration
	// KeepPayloads bounds, in bytes, the payloads that can be delivered again;
	// 256 MiB when 0. The log of what was sent has no end: it is what a test
	// compares its results with.
	KeepPayloads int
	Livemode     bool             // Stripe: what objects and events say of themselves
	Seed         uint64           // decides identifiers and faults
	Now          func() time.Time // time.Now when nil
}

// Platform is a fake of one provider: its API, its state, and its webhooks.
// As an http.Handler it answers the provider's API paths. All methods are safe
// for concurrent use.
type Platform struct {
	cfg     PlatformConfig
	dialect dialect
	save    func() error // makes a change durable before anybody hears of it
	post    *http.Client

	background context.Context
	stop       context.CancelFunc

	mu      sync.Mutex
	ids     ids
	objects map[providers.Ref]*Object
	byPath  map[string]*Object
	moved   map[string]string // API path prefixes that redirect to others
	alias   map[string]string // API path prefixes that mean the same as others
	events  []*emitted
	byID    map[string]*emitted
	bytes   int // in payloads that are kept
	oldest  int // index of the first event whose payload is
	target  string
	secrets providers.Secrets // that sign, from PlatformConfig or RotateSecrets
	faults  Faults
	gates   map[providers.Ref][]*Gate
	calls   map[string]*CallCount

	allCalls int
	sending  int           // deliveries that go on in the background
	idle     chan struct{} // closed when sending is back at 0
}

// dialect is what differs between platforms. Methods that take a tx are called
// while the platform is locked.
type dialect interface {
	name() string
	// stamp writes the version, and the time of the change where the platform
	// has one, into an object's members.
	stamp(state fields, version int64, now time.Time)
	// layout returns a state as the platform's API writes JSON.
	layout(state json.RawMessage) []byte
	// create adds an object of the type with the given members, and the
	// objects it needs.
	create(t *tx, typ string, set fields) (providers.Ref, error)
	// knows says whether it is known what an event of the type does to its object.
	knows(typ string) bool
	// happen does what makes the platform send an event of the type: to the
	// object on, or to a new one when that is zero.
	happen(t *tx, typ string, on providers.Ref, set fields) (occurrence, error)
	// webhook returns what the platform would send about it.
	webhook(t *tx, what occurrence) (webhook, error)
	// api returns the platform's answers.
	api() api
	faultKinds() []FaultKind
	// parent returns the path of the object without which the one at the path
	// cannot be, or nothing.
	parent(path string) string
}

// occurrence is something that happened to an object.
type occurrence struct {
	Type   string // the event's full type, with its action
	Ref    providers.Ref
	Before fields // the members before an update, else nil
	After  fields // the members now; of a deleted object, the last ones
	// Envelope is put over the payload's own members, last of all.
	Envelope fields
}

// webhook is an event ready to be signed.
type webhook struct {
	ID     string
	Type   string
	Header http.Header
	Body   []byte
}

func newPlatform(cfg PlatformConfig, d dialect) *Platform {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.KeepPayloads == 0 {
		cfg.KeepPayloads = 256 << 20
	}
	background, stop := context.WithCancel(context.Background())
	return &Platform{
		cfg:        cfg,
		dialect:    d,
		save:       func() error { return nil },
		post:       newPoster(),
		background: background,
		stop:       stop,
		ids:        ids{seed: cfg.Seed, counters: map[string]uint64{}},
		objects:    map[providers.Ref]*Object{},
		byPath:     map[string]*Object{},
		moved:      map[string]string{},
		alias:      map[string]string{},
		byID:       map[string]*emitted{},
		target:     cfg.Target,
		secrets:    cfg.Secrets,
		gates:      map[providers.Ref][]*Gate{},
		calls:      map[string]*CallCount{},
	}
}

// Close gives up what is still to be delivered and waits for what is on its way.
func (p *Platform) Close() {
	p.stop()
	_ = p.Wait(context.Background()) // without an end there is no error
	p.post.CloseIdleConnections()
}

// SetTarget changes where webhooks are sent; empty means nowhere.
func (p *Platform) SetTarget(url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = url
}

// RotateSecrets signs what is sent from now on with other secrets, as when
// somebody rolls them in the platform's pages. What is on its way stays as it is.
func (p *Platform) RotateSecrets(secrets providers.Secrets) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.secrets = secrets
}

func (p *Platform) signingSecrets() providers.Secrets {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.secrets
}

// update runs fn with the platform locked and then makes the change durable.
func (p *Platform) update(fn func(*tx) error) error {
	if err := p.locked(fn); err != nil {
		return err
	}
	return p.save()
}

func (p *Platform) locked(fn func(*tx) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fn(&tx{p: p, now: p.cfg.Now()})
}

// Create adds an object of the type, with the given members in place of those
// that the sandbox would give it, and the objects it needs: an invoice gets a
// customer. No event is sent.
func (p *Platform) Create(typ string, set map[string]any) (providers.Ref, error) {
	var ref providers.Ref
	set, err := cloned(set)
	if err != nil {
		return ref, err
	}
	err = p.update(func(t *tx) (err error) {
		ref, err = p.dialect.create(t, typ, set)
		return err
	})
	return ref, err
}

// Update lets fn change an object's members and returns its new version. No
// event is sent, as when a webhook is missed. fn must not call the platform.
func (p *Platform) Update(ref providers.Ref, fn func(obj map[string]any)) (version int64, err error) {
	err = p.update(func(t *tx) error {
		if _, err := t.change(ref, fn); err != nil {
			return err
		}
		version = t.p.objects[providers.Ref{Type: ref.Type, ID: ref.ID}].Version
		return nil
	})
	return version, err
}

// Delete removes an object, without an event.
func (p *Platform) Delete(ref providers.Ref) error {
	return p.update(func(t *tx) error { return t.remove(ref) })
}

// Object returns an object, also a deleted one.
func (p *Platform) Object(ref providers.Ref) (Object, bool) {
	ref.Account = ""
	p.mu.Lock()
	defer p.mu.Unlock()
	o, ok := p.objects[ref]
	if !ok {
		return Object{}, false
	}
	return *o, true
}

// Objects returns all objects of a type, or of every type when it is empty,
// ordered by type and ID. It looks at each, so it is for checks after a run.
func (p *Platform) Objects(typ string) []Object {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []Object
	for _, ref := range slices.SortedFunc(maps.Keys(p.objects), compareRefs) {
		if typ == "" || ref.Type == typ {
			found = append(found, *p.objects[ref])
		}
	}
	return found
}

func (p *Platform) unknownType(typ string) error {
	return fmt.Errorf("%s: event type %q: want <object>.<verb>", p.dialect.name(), typ)
}
