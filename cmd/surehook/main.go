// Command surehook receives webhooks durably and works on each one in a
// Temporal workflow. This package only wires the others together: flags,
// configuration, exit codes.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/surehook/surehook/providers"
)

// The exit codes, for scripts.
const (
	exitOK       = 0
	exitFailed   = 1 // the operation failed
	exitUsage    = 2 // flags, arguments or configuration are wrong
	exitNotFound = 3 // what was asked for does not exist
)

// garbage is how much the heap may grow between two collections, in percent of
// what is alive, unless GOGC says otherwise. What is alive is little (some ten
// MiB, and a relay's memory that is bounded), so Go's default of 100 collects
// many times a second under load and saves memory that nobody lacks.
const garbage = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run runs one command line and says with which code the process ends.
func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(root.ErrOrStderr(), "surehook:", plain(err.Error()))
	return exitCode(err)
}

// usageError marks an error that the user mends by calling differently.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// notFoundError marks an error of another process that says so in its own words.
type notFoundError struct{ error }

func (notFoundError) Is(target error) bool { return target == providers.ErrNotFound }

func exitCode(err error) int {
	var wrong usageError
	switch {
	case errors.As(err, &wrong), strings.HasPrefix(err.Error(), "unknown command"): // cobra has no type for it
		return exitUsage
	case isNotFound(err):
		return exitNotFound
	default:
		return exitFailed
	}
}
