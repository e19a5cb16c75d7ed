//go:build unix

// Local runs a Temporal server on a Postgres that is already there, and a
// sandbox that plays the platforms, until it is interrupted. It prints what to
// type to run `surehook serve` with them. The script beside it starts a
// throwaway Postgres first.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/surehook/surehook/deploy/temporal"
	"github.com/surehook/surehook/internal/devserver/pgserver"
)

func main() {
	var o pgserver.Options
	flag.StringVar(&o.Postgres, "postgres", "", "URL of a Postgres whose user may create databases")
	flag.StringVar(&o.Dir, "dir", "", "existing folder for configuration and log")
	flag.IntVar(&o.Port, "port", 7233, "port of the frontend, 0 for a free one")
	flag.IntVar(&o.Shards, "shards", 16, "history shards")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o pgserver.Options, out io.Writer) error {
	var err error
	if o.DynamicConfig, err = temporal.DynamicConfig(); err != nil {
		return err
	}
	o.VisibilityIndexes = temporal.VisibilityIndexes
	o.Env = []string{"GOGC=" + temporal.GOGC}
	server, err := pgserver.Start(ctx, o)
	if err != nil {
		return err
	}
	err = serve(ctx, o, server, out)
	return errors.Join(err, server.Stop())
}

// serve prepares what `surehook serve` needs besides Temporal, says how to call
// it, and returns when it is interrupted or Temporal has ended.
func serve(ctx context.Context, o pgserver.Options, server *pgserver.Server, out io.Writer) error {
	env, err := newEnvironment(o.Dir, o.Postgres, server.HostPort())
	if err != nil {
		return err
	}
	stopSandbox, err := startSandbox(env)
	if err != nil {
		return err
	}
	explain(out, env, server.LogFile())
	return errors.Join(await(ctx, server), stopSandbox())
}

func explain(out io.Writer, env environment, log string) {
	fmt.Fprintf(out, `
Temporal runs on Postgres; its log is %s.
A sandbox plays Stripe and GitHub. In a second terminal:

  . %[2]s
  go run ./cmd/surehook migrate && go run ./cmd/surehook serve

In a third one:

  . %[2]s
  go run ./cmd/surehook send stripe invoice.paid
  go run ./cmd/surehook events list

What %[2]s sets, with throwaway secrets:

%[3]s
Ctrl-C stops Temporal, the sandbox and Postgres, and removes their data.
`, log, env.file(), indented(env.String()))
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

// await returns nil when ctx ends, and the reason when Temporal ends before.
// The server is not our child, so that it can only be looked at.
func await(ctx context.Context, server *pgserver.Server) error {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			if err := syscall.Kill(server.PID(), 0); errors.Is(err, syscall.ESRCH) && ctx.Err() == nil {
				return fmt.Errorf("the Temporal server has ended; its last words:\n%s", lastWords(server.LogFile()))
			}
		}
	}
}

// lastWords is the end of the log, which is about to be removed.
func lastWords(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-10):]
	for i, line := range lines {
		lines[i] = line[:min(len(line), 300)] // the rest is a stack trace
	}
	return strings.Join(lines, "\n")
}
