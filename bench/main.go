//go:build unix

// Bench measures Surehook against what a team would use instead, on the same
// machine and in the same run, and writes the report in docs/benchmarks.md.
//
// Everything real is real: a Postgres whose commits wait for the disk, the
// Temporal server on it, `surehook serve` in a process of its own, a platform to
// fetch from. Figures of different machines cannot be compared, and those of a
// noisy machine only within a run; so each is measured in turns with its
// yardstick, several times, and what is judged is the ratio.
//
// Read main.go, then a case: ack.go (A), endtoend.go (B), cost.go (C), burst.go
// (D), growth.go (E), coalesce.go (F). The yardsticks are in yardstick.go and
// textbook.go, the load in load.go, the machinery in stack.go and stage.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// cases are the cases by their names.
var cases = map[string]func(*stack, context.Context, *caseResult) error{
	"A": (*stack).ack,
	"B": (*stack).endToEnd,
	"C": (*stack).cost,
	"D": (*stack).burst,
	"E": (*stack).growth,
	"F": (*stack).coalesce,
}

func run(ctx context.Context, args []string, out, problems io.Writer) error {
	if len(args) == 1 {
		switch kind := args[0]; kind {
		case bare, insertOne, group, indexed:
			return runYardstick(ctx, kind, os.Getenv)
		case "textbook":
			return runTextbook(ctx, os.Getenv)
		}
	}
	s, err := parse(args, problems)
	if err != nil {
		return err
	}
	return measure(ctx, s, out, slog.New(slog.NewTextHandler(problems, nil)))
}

// measure runs the cases and reports them. A case that fails does not keep the
// others from being reported.
func measure(ctx context.Context, s *settings, out io.Writer, log *slog.Logger) (err error) {
	all := results{}
	if s.out != "" {
		if all, err = readResults(s.out + ".json"); err != nil {
			return err
		}
	}
	if s.profiles != "" {
		if err := os.MkdirAll(s.profiles, 0o750); err != nil {
			return err
		}
	}
	st, err := openStack(ctx, s, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	for _, name := range caseNames {
		if !slices.Contains(s.cases, name) || ctx.Err() != nil {
			continue
		}
		result, caseErr := st.runCase(ctx, name)
		if caseErr != nil {
			err = errors.Join(err, fmt.Errorf("case %s: %w", name, caseErr))
			log.Error("case failed", "case", name, "error", caseErr)
			continue
		}
		all[name] = result
		// After each one: what was measured survives what fails later.
		if err := save(s, all); err != nil {
			return err
		}
	}
	if s.out == "" {
		_, writeErr := io.WriteString(out, report(all))
		return errors.Join(err, writeErr)
	}
	return err
}

func save(s *settings, all results) error {
	if s.out == "" {
		return nil
	}
	if err := all.write(s.out + ".json"); err != nil {
		return err
	}
	return os.WriteFile(s.out+".md", []byte(report(all)), 0o644)
}

func (st *stack) runCase(ctx context.Context, name string) (*caseResult, error) {
	st.log.Info("case", "name", name)
	result := &caseResult{Case: name, Began: time.Now().UTC().Truncate(time.Second), Sizes: st.settings.sizes(name)}
	var err error
	if result.Environment, err = describe(ctx, st.admin, st.settings); err != nil {
		return nil, err
	}
	if err := st.fetchLatency(0); err != nil {
		return nil, err
	}
	err = cases[name](st, ctx, result)
	result.Took = time.Since(result.Began).Round(time.Second).String()
	return result, err
}
