// Package sandbox plays the platforms that Surehook listens to: their APIs with
// state, errors and rate limits, and their webhooks with signatures, retries
// and everything that can go wrong on the way. "surehook dev" runs it so that
// nothing has to be installed or signed up for; tests use it as the other side
// of the world, and as the oracle that knows what should have come out.
//
// Nothing is left to chance that a seed could decide: the same seed, clock and
// sequence of calls give the same identifiers and the same faults.
package sandbox

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/gorilla/mux"
)

// Config describes a Sandbox. What it leaves out of the platforms' own
// configurations (Seed, Now) it fills in there.
type Config struct {
	Platforms map[string]PlatformConfig // by name; all of them are there, also those that are not named
	Seed      uint64                    // a random one when 0
	Now       func() time.Time          // time.Now when nil
	// Dir is the folder in which the state is kept between runs; it is not
	// kept when Dir is empty.
	Dir string
	Log *slog.Logger // slog.Default when nil
}

// Sandbox is all of it behind one http.Handler:
//
//	/stripe/…    Stripe's API: an API base URL is http://host/stripe
//	/github/…    GitHub's API, and so on: see Names
//	/receiver    the system that workflows notify
//	/sandbox/…   control, see control.go
//
// It is meant for a loopback address: control asks for no credentials.
type Sandbox struct {
	Receiver *Receiver

	platforms map[string]*Platform
	seed      uint64
	file      string
	router    *mux.Router

	writing sync.Mutex
	mu      sync.Mutex
	changes int // made
	saved   int // contained in the file
}

// platforms lists what the sandbox can play. A platform is added with one line.
var platforms = []struct {
	name string
	open func(PlatformConfig) *Platform
}{
	{"github", NewGitHub},
	{"standard-webhooks", NewStandardWebhooks},
	{"stripe", NewStripe},
}

// Names returns the names of the platforms.
func Names() []string {
	names := make([]string, 0, len(platforms))
	for _, p := range platforms {
		names = append(names, p.name)
	}
	return names
}

// New returns a fake of the named platform, or nil when the sandbox cannot play it.
func New(name string, cfg PlatformConfig) *Platform {
	for _, p := range platforms {
		if p.name == name {
			return p.open(cfg)
		}
	}
	return nil
}

// Open returns a sandbox, with the state that its folder holds.
func Open(cfg Config) (*Sandbox, error) {
	s := &Sandbox{seed: cfg.Seed, Receiver: NewReceiver()}
	var kept *savedState
	if cfg.Dir != "" {
		s.file = filepath.Join(cfg.Dir, "sandbox.json")
		var err error
		if kept, err = readState(s.file); err != nil {
			return nil, fmt.Errorf("open sandbox: %w", err)
		}
	}
	if kept != nil {
		s.seed = kept.Seed // its identifiers go on where they stopped
	} else if s.seed == 0 {
		s.seed = rand.Uint64()
	}
	log := cfg.Log
	if log == nil {
		log = slog.Default()
	}
	log.Info("sandbox opened", "seed", s.seed, "file", s.file)
	s.platforms = map[string]*Platform{}
	for _, name := range Names() {
		one := cfg.Platforms[name]
		one.Seed = s.seed
		if cfg.Now != nil {
			one.Now = cfg.Now
		}
		p := New(name, one)
		if kept != nil {
			p.restore(kept.Platforms[name])
		}
		p.save = s.save
		s.platforms[name] = p
	}
	if kept != nil {
		s.Receiver.restore(kept.Receiver)
	}
	s.Receiver.save = s.save
	s.router = s.routes()
	return s, nil
}

// Seed returns the seed that this run can be repeated with.
func (s *Sandbox) Seed() uint64 { return s.seed }

// ServeHTTP answers everything.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.router.ServeHTTP(w, r) }

func (s *Sandbox) routes() *mux.Router {
	router := mux.NewRouter().SkipClean(true)
	for name, p := range s.platforms {
		router.PathPrefix("/" + name + "/").Handler(http.StripPrefix("/"+name, p))
	}
	router.Path("/receiver").Handler(s.Receiver)
	s.control(router.PathPrefix("/sandbox").Subrouter())
	return router
}

// Close stops deliveries and writes the state a last time.
func (s *Sandbox) Close() error {
	for _, p := range s.platforms {
		p.Close()
	}
	return s.save()
}

// Platform returns the platform of that name, or nil when there is none.
func (s *Sandbox) Platform(name string) *Platform { return s.platforms[name] }
