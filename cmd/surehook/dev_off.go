//go:build nodev

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// devCommand only says where `dev` is: the Temporal server that it embeds would
// make a binary for production 200 MB larger.
func devCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "dev",
		Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("this binary was built without dev (tag nodev): go run ./cmd/surehook dev")}
		},
	}
}
