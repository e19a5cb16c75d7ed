// Package devserver runs a Temporal server, and its Web UI if wanted, inside
// this process, with its data in memory or in one SQLite file. It is what
// `surehook dev` and the integration tests use, so that both need nothing
// installed besides Go; production uses a Temporal cluster or Temporal Cloud.
package devserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/server/common/testing/freeport"
	"go.temporal.io/server/temporal"
)

// loopback is the only address the server and its Web UI listen on: they know
// no passwords.
const loopback = "127.0.0.1"

// readyTimeout bounds the wait for a started server to answer. It takes well
// under a second on an idle machine.
const readyTimeout = 30 * time.Second

// Options say what to start. The zero value is a server on a free port that
// forgets everything when it stops, without Web UI.
type Options struct {
	// DatabaseFile keeps the server's data between runs. The file is made
	// when it is missing, its folder is not. Empty means in memory.
	DatabaseFile string

	// Port is the frontend's port, 0 a free one.
	Port int

	// UI says whether to serve the Web UI, on UIPort or, when that is 0, on
	// a free port.
	UI     bool
	UIPort int

	// Namespace is registered when it is missing. Empty means "default".
	Namespace string

	// SearchAttributes are the custom ones the namespace has, by name.
	SearchAttributes map[string]enumspb.IndexedValueType

	// Logger gets what the server logs at LogLevel and above; nil discards
	// it. The server is talkative, so a nil LogLevel means warnings.
	Logger   *slog.Logger
	LogLevel slog.Leveler
}

// Server is a running Temporal server.
type Server struct {
	temporal temporal.Server
	ui       *webUI
	logger   *logger
	port     int
}

// Start starts a server and returns when it accepts workflows. Cancelling ctx
// ends the start, not the server: that is for [Server.Stop] to do. Any number
// of servers can run in one process.
func Start(ctx context.Context, o Options) (*Server, error) {
	o = o.withDefaults()
	// Tell before anything is started: the server treats a port that is
	// taken as fatal, and the Web UI would end the process.
	if err := portIsFree(ctx, o.Port); err != nil {
		return nil, fmt.Errorf("start temporal: %w", err)
	}
	if err := portIsFree(ctx, o.UIPort); err != nil {
		return nil, fmt.Errorf("start temporal web ui: %w", err)
	}
	s := &Server{logger: newLogger(o.Logger, o.LogLevel), port: o.Port}
	if err := s.start(ctx, o); err != nil {
		s.Stop()
		return nil, fmt.Errorf("start temporal: %w", err)
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Port == 0 {
		o.Port = freeport.MustGetFreePort()
	}
	if o.UI && o.UIPort == 0 {
		o.UIPort = freeport.MustGetFreePort()
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.LogLevel == nil {
		o.LogLevel = slog.LevelWarn
	}
	return o
}

func portIsFree(ctx context.Context, port int) error {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address(port))
	if err != nil {
		return err
	}
	return l.Close()
}

func (s *Server) start(ctx context.Context, o Options) (err error) {
	// The server's own code ends the process through the logger when it
	// cannot go on; here that becomes an error.
	defer func() {
		switch r := recover().(type) {
		case nil:
		case fatalError:
			err = r
		default:
			panic(r)
		}
	}()
	options, err := serverOptions(ctx, o, s.logger)
	if err != nil {
		return err
	}
	if s.temporal, err = temporal.NewServer(options...); err != nil {
		return err
	}
	if err := s.temporal.Start(); err != nil {
		return err
	}
	if err := s.awaitReady(ctx, o); err != nil {
		return err
	}
	if o.UI {
		s.ui, err = startUI(ctx, o.UIPort, s.HostPort(), o.Namespace)
	}
	return err
}

// awaitReady waits until the server answers and the namespace has all its
// search attributes. A namespace from an earlier run may lack newer ones.
func (s *Server) awaitReady(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	c, err := dial(ctx, client.Options{
		HostPort:  s.HostPort(),
		Namespace: o.Namespace,
		Logger:    sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return err
	}
	defer c.Close()

	return addSearchAttributes(ctx, c, o)
}

// dial connects to a server that is about to listen.
func dial(ctx context.Context, o client.Options) (c client.Client, err error) {
	err = until(ctx, "connect to "+o.HostPort, func() error {
		c, err = client.DialContext(ctx, o)
		return err
	})
	return c, err
}

func addSearchAttributes(ctx context.Context, c client.Client, o Options) error {
	operator := c.OperatorService()
	known, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: o.Namespace})
	if err != nil {
		return fmt.Errorf("list search attributes: %w", err)
	}
	missing := map[string]enumspb.IndexedValueType{}
	var uses []string
	for name, kind := range o.SearchAttributes {
		if _, ok := known.CustomAttributes[name]; !ok {
			missing[name] = kind
			uses = append(uses, "`"+name+"` IS NULL")
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace:        o.Namespace,
		SearchAttributes: missing,
	})
	if err != nil {
		return fmt.Errorf("add search attributes: %w", err)
	}
	// They can be used when the server has refreshed its caches.
	query := &workflowservice.CountWorkflowExecutionsRequest{Query: strings.Join(uses, " OR ")}
	return until(ctx, "use new search attributes", func() error {
		_, err := c.CountWorkflow(ctx, query)
		return err
	})
}

// until tries again, for a server that is coming up.
func until(ctx context.Context, what string, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, errors.Join(ctx.Err(), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// HostPort is where clients and workers connect to.
func (s *Server) HostPort() string { return address(s.port) }

// UIURL is the address of the Web UI, empty if there is none.
func (s *Server) UIURL() string {
	if s.ui == nil {
		return ""
	}
	return s.ui.url
}

// Stop stops the server and the Web UI. What the server logs while it goes
// down is dropped: its parts complain about each other's absence. Clients and
// workers should be closed before; a worker that still polls delays the stop
// by a second. Stop may be called again.
func (s *Server) Stop() {
	s.logger.mute()
	if s.ui != nil {
		s.ui.stop()
		s.ui = nil
	}
	if s.temporal != nil {
		// It fails only when a part does not stop, and there is nothing
		// that the caller could do about it.
		_ = s.temporal.Stop()
		s.temporal = nil
	}
}

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
