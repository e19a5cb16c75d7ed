package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

var errLimit = errors.New("--limit: want at least 1")

func checkLimit(limit int) error {
	if limit < 1 {
		return errLimit
	}
	return nil
}

// checkBy and checkReason are for what is kept with the name of who asked for it.
func checkBy(name string) error {
	if strings.TrimSpace(name) == "" {
		return errors.New("--by is empty: say who asks for it")
	}
	return nil
}

func checkReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return errors.New("--reason is missing: say why, it is kept")
	}
	return nil
}

// parseObject reads <type>/<id>; ids may hold further slashes.
func parseObject(text string) (providers.Ref, error) {
	if text == "" {
		return providers.Ref{}, nil
	}
	typ, id, _ := strings.Cut(text, "/")
	if typ == "" || id == "" {
		return providers.Ref{}, fmt.Errorf("object %q: want <type>/<id>, such as invoice/in_1", text)
	}
	return providers.Ref{Type: typ, ID: id}, nil
}

func addTimeFlags(cmd *cobra.Command, since, until *string) {
	cmd.Flags().StringVar(since, "since", "", "only those received then or later: 2026-11-21, 2026-11-21T14:00:00Z, or an age such as 2h or 7d")
	cmd.Flags().StringVar(until, "until", "", "only those received before that")
}

// parseTimes reads --since and --until.
func parseTimes(since, until string, now time.Time) (from, to time.Time, err error) {
	from, badSince := parseTime("--since", since, now)
	to, badUntil := parseTime("--until", until, now)
	err = errors.Join(badSince, badUntil)
	if err == nil && since != "" && until != "" && !from.Before(to) {
		err = errors.New("--until is not after --since")
	}
	return from, to, err
}

// parseTime reads a time, a date, which begins at midnight UTC, or an age. An empty
// text is the zero time.
func parseTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	if days, err := strconv.Atoi(strings.TrimSuffix(text, "d")); err == nil && strings.HasSuffix(text, "d") && days >= 0 {
		return now.UTC().AddDate(0, 0, -days).Truncate(time.Second), nil
	}
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return now.UTC().Add(-age).Truncate(time.Second), nil
	}
	return time.Time{}, fmt.Errorf("%s %q: want a time such as 2026-11-21T14:00:00Z, a date such as 2026-11-21, or an age such as 2h or 7d", flag, text)
}

func statuses() []string {
	return []string{
		string(providers.StatusPending), string(providers.StatusProcessed), string(providers.StatusIgnored),
		string(providers.StatusReview), string(providers.StatusFailed),
	}
}

func statusNames() string { return strings.Join(statuses(), ", ") }

func parseStatus(text string) (providers.Status, error) {
	if text != "" && !slices.Contains(statuses(), text) {
		return "", fmt.Errorf("--status %q: want one of %s", text, statusNames())
	}
	return providers.Status(text), nil
}

// withRows lists rows of the source, or of all when that is empty.
func withRows[T any](cmd *cobra.Command, source string, list func(context.Context, *store.Store) ([]T, error), show func([]T) error) error {
	env, cfg, err := operatorConfig(cmd)
	if err != nil {
		return err
	}
	return env.withStore(cmd.Context(), cfg, func(ctx context.Context, s *store.Store) error {
		rows, err := list(ctx, s)
		if err != nil {
			return err
		}
		if len(rows) == 0 && source != "" {
			// One that has left the configuration may still have rows.
			if err := checkSource(cfg.Sources, env, source); err != nil {
				return err
			}
		}
		return show(rows)
	})
}

// checkSource refuses a name that is not declared, where it is known what is:
// an operator's machine may have neither the file nor its secrets.
func checkSource(file string, env environment, name string) error {
	declared, err := loadSources(file, env.Lookup)
	if err != nil {
		return nil //nolint:nilerr // then it is not known
	}
	_, err = sourceNamed(declared, file, name)
	return err
}
