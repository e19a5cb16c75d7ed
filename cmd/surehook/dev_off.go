//go:build nodev

package main

import "github.com/spf13/cobra"

// devCommand is empty in binaries for production: the Temporal server that
// `dev` embeds would make them 200 MB larger.
func devCommand() []*cobra.Command { return nil }
