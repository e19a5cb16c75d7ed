package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
