//go:build unix

// Local runs a Temporal server on a Postgres that is already there, until it is
// interrupted, and prints the environment for `surehook serve`. The script
// beside it starts a throwaway Postgres first.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

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
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o pgserver.Options) error {
	s, err := pgserver.Start(ctx, o)
	if err != nil {
		return err
	}
	fmt.Printf("\nTemporal runs on Postgres; its log is %s. In another terminal:\n\n", s.LogFile())
	fmt.Printf("  export TEMPORAL_ADDRESS=%s DATABASE_URL='%s'\n", s.HostPort(), o.Postgres)
	fmt.Print("  go run ./cmd/surehook migrate && go run ./cmd/surehook serve\n\nCtrl-C stops it and removes its data.\n")
	<-ctx.Done()
	return s.Stop()
}
