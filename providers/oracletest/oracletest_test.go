// Package oracletest compares the providers with what the platforms publish for
// Node: their own libraries, which sign and verify, and GitHub's payloads. They
// come from npm's registry, in the versions and with the hashes of
// testdata/npm/package-lock.json, and are kept in the user's cache folder. Where
// Node, npm or the registry is not there, the tests are skipped, unless
// SUREHOOK_TEST_REQUIRE contains "npm": then they fail.
package oracletest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"
)

const envRequire = "SUREHOOK_TEST_REQUIRE"

// errAbsent says that something is not there which a machine need not have.
var errAbsent = errors.New("not there")

// installed is the folder that holds node_modules.
var installed = sync.OnceValues(install)

// modules returns the folder that holds node_modules.
func modules(t *testing.T) string {
	t.Helper()
	dir, err := installed()
	if errors.Is(err, errAbsent) && !strings.Contains(os.Getenv(envRequire), "npm") {
		t.Skipf("needs npm's packages: %v", err)
	}
	require.NoError(t, err)
	return dir
}

// install fetches the packages unless an earlier run has done so. Of test
// processes that come at the same time one does it, and the others wait.
func install() (string, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("%w: %w", errAbsent, err)
		}
	}
	files, hash, err := lockFiles()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errAbsent, err)
	}
	dir := filepath.Join(cache, "surehook-test", "npm-"+hash)
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", fmt.Errorf("keep npm's packages: %w", err)
	}
	lock := flock.New(dir + ".lock")
	if err := lock.Lock(); err != nil {
		return "", fmt.Errorf("keep npm's packages: %w", err)
	}
	defer func() { _ = lock.Unlock() }()
	complete := filepath.Join(dir, "complete")
	if _, err := os.Stat(complete); err == nil {
		return dir, nil
	}
	if err := fill(dir, files); err != nil {
		return "", err
	}
	return dir, os.WriteFile(complete, nil, 0o600)
}

// lockFiles returns what npm installs from, and a name for it.
func lockFiles() (files map[string][]byte, hash string, err error) {
	files = map[string][]byte{}
	all := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", "npm", name))
		if err != nil {
			return nil, "", err
		}
		files[name] = data
		all.Write(data)
	}
	return files, hex.EncodeToString(all.Sum(nil)[:8]), nil
}

// fill installs into the folder. What a run left there that was cut short is
// removed. The packages' install scripts do not run.
func fill(dir string, files map[string][]byte) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	npm := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier",
		"--fetch-retries=3", "--fetch-retry-factor=2", "--fetch-retry-mintimeout=1000") // or a machine without network waits for minutes
	npm.Dir = dir
	output, err := npm.CombinedOutput()
	if err == nil {
		return nil
	}
	if why := unreachable.Find(output); why != nil {
		return fmt.Errorf("npm's registry is %w: %s", errAbsent, why)
	}
	return fmt.Errorf("npm ci: %w: %s", err, bytes.TrimSpace(output))
}

// unreachable fits what npm says of a registry that it cannot talk to. A package
// that is not what the lock file says is another matter.
var unreachable = regexp.MustCompile(
	`(?m)^npm (error|ERR!) (code )?(EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|ENOTFOUND|ERR_SOCKET_TIMEOUT|ETIMEDOUT|FETCH_ERROR|E[45]\d\d)$`)
