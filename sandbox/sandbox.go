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
	"strings"
	"sync"
	"time"

	"github.com/gorilla/mux"
)

// Config describes a Sandbox. What it leaves out of the platforms' own
// configurations (Seed, Now) it fills in there.
type Config struct {
	Stripe PlatformConfig
	GitHub PlatformConfig
	Seed   uint64           // a random one when 0
	Now    func() time.Time // time.Now when nil
	// Dir is the folder in which the state is kept between runs; it is not
	// kept when Dir is empty.
	Dir string
	Log *slog.Logger // slog.Default when nil
}

// Sandbox is all of it behind one http.Handler:
//
//	/stripe/…    Stripe's API: an API base URL is http://host/stripe
//	/github/…    GitHub's API
//	/receiver    the system that workflows notify
//	/sandbox/…   control, see control.go
//
// It is meant for a loopback address: control asks for no credentials.
type Sandbox struct {
	Stripe   *Platform
	GitHub   *Platform
	Receiver *Receiver

	seed   uint64
	file   string
	router *mux.Router

	writing sync.Mutex
	mu      sync.Mutex
	changes int // made
	saved   int // contained in the file
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
	cfg.Stripe.Seed, cfg.GitHub.Seed = s.seed, s.seed
	if cfg.Now != nil {
		cfg.Stripe.Now, cfg.GitHub.Now = cfg.Now, cfg.Now
	}
	s.Stripe, s.GitHub = NewStripe(cfg.Stripe), NewGitHub(cfg.GitHub)
	if kept != nil {
		s.Stripe.restore(kept.Stripe)
		s.GitHub.restore(kept.GitHub)
		s.Receiver.restore(kept.Receiver)
	}
	s.Stripe.save, s.GitHub.save, s.Receiver.save = s.save, s.save, s.save
	s.router = s.routes()
	return s, nil
}

// Seed returns the seed that this run can be repeated with.
func (s *Sandbox) Seed() uint64 { return s.seed }

// ServeHTTP answers everything.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.router.ServeHTTP(w, r) }

func (s *Sandbox) routes() *mux.Router {
	router := mux.NewRouter().SkipClean(true)
	router.PathPrefix("/stripe/").Handler(http.StripPrefix("/stripe", s.Stripe))
	router.PathPrefix("/github/").Handler(http.StripPrefix("/github", s.GitHub))
	router.Path("/receiver").Handler(s.Receiver)
	s.control(router.PathPrefix("/sandbox").Subrouter())
	return router
}

// Close stops deliveries and writes the state a last time.
func (s *Sandbox) Close() error {
	s.Stripe.Close()
	s.GitHub.Close()
	return s.save()
}

// platform returns the platform of a name in the control API.
func (s *Sandbox) platform(name string) *Platform {
	switch strings.ToLower(name) {
	case "stripe":
		return s.Stripe
	case "github":
		return s.GitHub
	default:
		return nil
	}
}
