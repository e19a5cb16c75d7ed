//go:build !nodev

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/sources"
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
	_, err := sources.Load(file, func(string) (string, bool) { return "http://127.0.0.1:8090", true })
	require.NoError(t, err)
}
