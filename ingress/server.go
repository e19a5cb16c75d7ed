// Package ingress is the door for webhooks and the way from there to Temporal.
// A request is answered with 2xx only when its events are durable: committed to
// the inbox or, while the database is away, started as workflows that carry them.
//
// Read in the order of an event: server.go (listeners, limits, shutdown),
// receive.go (the request), source.go (what its source takes), answers.go (what
// is answered), rejections.go (what is kept of a refusal), relay.go, joint.go and
// breaker.go (the start of the workflow), sweep.go (what that has missed).
// health.go and metrics.go are for operators.
package ingress

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/surehook/surehook/providers"
)

// The limits of a connection. The public listener faces everybody, and Go's
// defaults have none of them.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second // head and body: 25 MB from GitHub at 1 MB/s
	writeTimeout      = 45 * time.Second // from the end of the head: the body, the commit, the answer
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
	// A profile of a minute has to fit.
	adminWriteTimeout = 2 * time.Minute
)

// Inbox makes events durable and knows what the relay still has to do.
type Inbox interface {
	// Accept commits the events and answers for each, in the same order. The
	// error wraps providers.ErrUnavailable when the database cannot be reached.
	Accept(ctx context.Context, events []providers.Received) ([]providers.Accepted, error)
	// MarkStarted records that Temporal has the events.
	MarkStarted(ctx context.Context, events []providers.Started) error
	// Coalesce leaves pending events to a newer one about the same object.
	Coalesce(ctx context.Context, covers []providers.Cover) error
	// ClaimDue returns pending events to look after, oldest first, and hides
	// them from other claims for the lease. The sources share the limit.
	ClaimDue(ctx context.Context, limit int, lease time.Duration) ([]providers.Due, error)
	// Settle gives an event that is pending or in review another status.
	Settle(ctx context.Context, s providers.Settlement) error
	// AddRejections adds the counts to those already stored.
	AddRejections(ctx context.Context, rejections []providers.Rejection) error
	// Ping returns nil when the inbox can be used, and an error that wraps
	// providers.ErrUnavailable when the database cannot be reached.
	Ping(ctx context.Context) error
}

// Config says where ingress listens and how much it takes.
type Config struct {
	// Listen is the public address, for webhooks only.
	Listen string `env:"SUREHOOK_LISTEN, default=:8080"`
	// AdminListen is the private address: health, metrics, profiles. Nothing
	// there is authenticated.
	AdminListen string `env:"SUREHOOK_ADMIN_LISTEN, default=127.0.0.1:8081"`
	// TLSCert and TLSKey are PEM files for the public address; without them it
	// speaks plain HTTP, behind a proxy that terminates TLS.
	TLSCert string `env:"SUREHOOK_TLS_CERT"`
	TLSKey  string `env:"SUREHOOK_TLS_KEY"`
	// TrustedProxies are the addresses or networks whose X-Forwarded-For and
	// X-Forwarded-Proto are believed.
	TrustedProxies []string `env:"SUREHOOK_TRUSTED_PROXIES"`
	// PublicURL is what the senders' requests start with, for platforms that
	// sign it. Without it, it is read off the request.
	PublicURL string `env:"SUREHOOK_PUBLIC_URL"`
	// MaxBytesInFlight bounds the memory for the bodies of all requests together.
	MaxBytesInFlight int64 `env:"SUREHOOK_MAX_BYTES_IN_FLIGHT, default=268435456"`
	// ObjectsPerRun is the most objects in one joint run. With 0 or 1 each object has a
	// run of its own.
	ObjectsPerRun int `env:"SUREHOOK_OBJECTS_PER_RUN, default=16"`
	// ShutdownDelay is how long requests are still taken after readiness has
	// begun to fail, for the load balancer to notice.
	ShutdownDelay time.Duration `env:"SUREHOOK_SHUTDOWN_DELAY, default=0s"`
	// ShutdownTimeout is how long requests in progress may take to finish.
	ShutdownTimeout time.Duration `env:"SUREHOOK_SHUTDOWN_TIMEOUT, default=20s"`
}

// Validate reports everything that is wrong, by the variable's name.
func (c Config) Validate() error {
	var errs []error
	check := func(variable string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", variable, err))
		}
	}
	check("SUREHOOK_LISTEN", checkAddress(c.Listen))
	check("SUREHOOK_ADMIN_LISTEN", checkAddress(c.AdminListen))
	if (c.TLSCert == "") != (c.TLSKey == "") {
		check("SUREHOOK_TLS_CERT", errors.New("set it together with SUREHOOK_TLS_KEY"))
	}
	_, err := parsePrefixes(c.TrustedProxies)
	check("SUREHOOK_TRUSTED_PROXIES", err)
	_, err = parsePublicURL(c.PublicURL)
	check("SUREHOOK_PUBLIC_URL", err)
	if c.MaxBytesInFlight < 1<<20 {
		check("SUREHOOK_MAX_BYTES_IN_FLIGHT", errors.New("want at least 1048576 (1 MiB)"))
	}
	if c.ObjectsPerRun < 0 || c.ObjectsPerRun > maxObjectsPerRun {
		check("SUREHOOK_OBJECTS_PER_RUN", fmt.Errorf("want 0 to %d", maxObjectsPerRun))
	}
	if c.ShutdownDelay < 0 {
		check("SUREHOOK_SHUTDOWN_DELAY", errors.New("want 0 or more"))
	}
	if c.ShutdownTimeout <= 0 {
		check("SUREHOOK_SHUTDOWN_TIMEOUT", errors.New("want more than 0"))
	}
	return errors.Join(errs...)
}

func checkAddress(address string) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return errors.New("want host:port or :port")
	}
	return nil
}

func parsePublicURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("want an address such as https://hooks.example.com")
	}
	return u, nil
}

// Server receives webhooks for its sources. Set the fields, then call Listen
// and Serve once.
type Server struct {
	Config  Config
	Sources []Source
	Inbox   Inbox
	Relay   *Relay // Serve runs it, and stops it last
	Logger  *slog.Logger
	// Registry takes the metrics, and /metrics shows everything in it.
	Registry *prometheus.Registry

	sources    map[string]*source
	proxies    []netip.Prefix
	publicURL  *url.URL
	budget     *budget
	rejections *rejections
	metrics    *serverMetrics
	draining   atomic.Bool

	public, admin                 *http.Server
	publicListener, adminListener net.Listener
}

// Listen checks the configuration and binds both addresses, so that what
// cannot work is known before anything runs.
func (s *Server) Listen() error {
	if err := s.setup(); err != nil {
		return err
	}
	public, err := net.Listen("tcp", s.Config.Listen)
	if err != nil {
		return fmt.Errorf("listen for webhooks: %w", err)
	}
	admin, err := net.Listen("tcp", s.Config.AdminListen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for admins: %w", err), public.Close())
	}
	s.publicListener, s.adminListener = public, admin
	return nil
}

// Addr is the public address that Listen bound.
func (s *Server) Addr() net.Addr { return s.publicListener.Addr() }

// AdminAddr is the private address that Listen bound.
func (s *Server) AdminAddr() net.Addr { return s.adminListener.Addr() }

func (s *Server) setup() error {
	if err := s.Config.Validate(); err != nil {
		return fmt.Errorf("configure ingress: %w", err)
	}
	s.Logger = cmp.Or(s.Logger, slog.Default())
	s.proxies, _ = parsePrefixes(s.Config.TrustedProxies)
	s.publicURL, _ = parsePublicURL(s.Config.PublicURL)
	s.sources = map[string]*source{}
	for _, declared := range s.Sources {
		if _, twice := s.sources[declared.Name]; twice {
			return fmt.Errorf("configure ingress: source %q is declared twice", declared.Name)
		}
		s.sources[declared.Name] = newSource(declared)
	}
	s.metrics = newServerMetrics(s.Registry)
	s.budget = &budget{limit: s.Config.MaxBytesInFlight, used: s.metrics.bytesInFlight}
	s.rejections = &rejections{inbox: s.Inbox, logger: s.Logger, dropped: s.metrics.rejectionsDropped}
	s.public = s.publicServer()
	s.admin = s.adminServer()
	if s.Config.TLSCert == "" {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(s.Config.TLSCert, s.Config.TLSKey)
	if err != nil {
		return fmt.Errorf("configure ingress: SUREHOOK_TLS_CERT: %w", err)
	}
	s.public.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	return nil
}

// webhooks is the first part of every path that leads to a source.
const webhooks = "webhooks"

func (s *Server) publicServer() *http.Server {
	// Nothing is ever redirected: platforms count a redirect as a failure. So
	// paths are matched as they are, without being cleaned first.
	router := mux.NewRouter().SkipClean(true)
	router.HandleFunc("/"+webhooks+"/{source}", s.receive)
	router.HandleFunc("/"+webhooks+"/{source}/{token}", s.receive)
	router.NotFoundHandler = http.HandlerFunc(s.receive) // as a source that does not exist
	return &http.Server{
		Handler:           router,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// What scanners do to a public port is nothing to wake anybody for.
		ErrorLog: slog.NewLogLogger(s.Logger.Handler(), slog.LevelDebug),
	}
}

// Serve answers requests and runs the relay until ctx ends, then shuts down so
// that nothing accepted is lost and nothing in progress is cut: readiness
// fails, the listener closes, requests finish, rejections are stored, the relay
// hands over what it holds. The admin address answers until the end.
func (s *Server) Serve(ctx context.Context) error {
	background := context.WithoutCancel(ctx)
	relayCtx, stopRelay := context.WithCancel(background)
	rejectionsCtx, stopRejections := context.WithCancel(background)
	var relay, rejections sync.WaitGroup
	relay.Go(func() { s.Relay.Run(relayCtx) })
	rejections.Go(func() { s.rejections.run(rejectionsCtx) })

	failed := make(chan error, 2)
	go func() { failed <- s.servePublic() }()
	go func() { failed <- s.admin.Serve(s.adminListener) }()
	var err error
	select {
	case <-ctx.Done():
		s.draining.Store(true)
		time.Sleep(s.Config.ShutdownDelay)
	case err = <-failed:
		s.draining.Store(true)
	}

	err = errors.Join(err, s.finishRequests(background))
	stopRejections()
	rejections.Wait()
	stopRelay()
	relay.Wait()
	return errors.Join(err, s.admin.Close())
}

func (s *Server) servePublic() error {
	if s.public.TLSConfig != nil {
		return s.public.ServeTLS(s.publicListener, "", "")
	}
	return s.public.Serve(s.publicListener)
}

func (s *Server) finishRequests(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.Config.ShutdownTimeout)
	defer cancel()
	if err := s.public.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("finish requests: %w", err), s.public.Close())
	}
	return nil
}
