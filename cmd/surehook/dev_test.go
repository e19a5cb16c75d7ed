//go:build !nodev

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/sandbox"
)

func TestDevNamesItsFolderInTheNextStep(t *testing.T) {
	for folder, want := range map[string]string{
		".surehook": "\n  surehook send stripe invoice.paid     (or: go run ./cmd/surehook send stripe invoice.paid)\n",
		"/tmp/x":    "\n  surehook send stripe invoice.paid --data /tmp/x     (or: go run ./cmd/surehook send stripe invoice.paid --data /tmp/x)\n",
	} {
		var out bytes.Buffer
		(&dev{folder: folder, out: &out}).greet(time.Second)
		require.Contains(t, out.String(), want)
	}
}

func TestTheExampleSourcesAreValid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "surehook.yaml")
	require.NoError(t, os.WriteFile(file, []byte(exampleSources), 0o600))
	d := &dev{folder: t.TempDir()}
	vars, err := d.secrets()
	require.NoError(t, err)
	vars["SUREHOOK_SANDBOX_URL"] = "http://127.0.0.1:8090"
	declared, err := loadSources(file, environment{dev: vars}.Lookup)
	require.NoError(t, err)
	var played []string
	for _, s := range declared {
		played = append(played, s.Provider)
	}
	require.Equal(t, sandbox.Names(), played, "each platform that the sandbox plays can be tried")
}

func TestSecretsStayAndAreAddedTo(t *testing.T) {
	d := &dev{folder: t.TempDir()}
	require.NoError(t, os.WriteFile(filepath.Join(d.folder, "secrets.env"), []byte("SANDBOX_STRIPE_SECRET=whsec_old\n"), 0o600))
	first, err := d.secrets()
	require.NoError(t, err)
	require.Equal(t, "whsec_old", first["SANDBOX_STRIPE_SECRET"])
	require.NotEmpty(t, first["SANDBOX_GITHUB_SECRET"])
	again, err := d.secrets()
	require.NoError(t, err)
	require.Equal(t, first, again)
}
