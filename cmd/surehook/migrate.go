package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/surehook/surehook/internal/store"
)

func migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date",
		Long:  "Migrate creates or updates Surehook's tables in the database at DATABASE_URL. It may run while\nSurehook serves, and several at once wait for each other.",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			env := environment{}
			cfg := env.load(cmd.Context())
			if err := validate(cfg.unreadable, cfg.Store.Validate()); err != nil {
				return err
			}
			return env.withStore(cmd.Context(), cfg, func(ctx context.Context, s *store.Store) error {
				if err := s.Migrate(ctx); err != nil {
					return err
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "the schema is up to date")
				return err
			})
		},
	}
}
