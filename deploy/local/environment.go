//go:build unix

package main

import (
	"crypto/rand"
	_ "embed"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// surehookYAML declares sources whose API is the sandbox's.
//
//go:embed surehook.yaml
var surehookYAML []byte

// environment is what `surehook serve` is started with here.
type environment struct {
	dir  string
	vars map[string]string
}

// newEnvironment chooses the variables, and writes them and the sources' file
// into the folder.
func newEnvironment(dir, postgres, temporal string) (environment, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return environment{}, err
	}
	env := environment{dir: dir, vars: map[string]string{
		"DATABASE_URL":          postgres,
		"TEMPORAL_ADDRESS":      temporal,
		"SUREHOOK_CONFIG":       filepath.Join(dir, "surehook.yaml"),
		"SUREHOOK_LISTEN":       freeAddress("127.0.0.1:8080"),
		"SUREHOOK_ADMIN_LISTEN": freeAddress("127.0.0.1:8081"),
		"SUREHOOK_SANDBOX_URL":  "http://" + freeAddress("127.0.0.1:8090"),
		"STRIPE_WEBHOOK_SECRET": "whsec_" + rand.Text(),
		"GITHUB_WEBHOOK_SECRET": rand.Text(),
		"SANDBOX_API_KEY":       "sandbox_" + rand.Text(),
	}}
	env.vars["SUREHOOK_NOTIFY_URL"] = env.vars["SUREHOOK_SANDBOX_URL"] + "/receiver"
	if err := os.WriteFile(env.vars["SUREHOOK_CONFIG"], surehookYAML, 0o600); err != nil {
		return env, fmt.Errorf("write sources: %w", err)
	}
	if err := os.WriteFile(env.file(), []byte(env.String()), 0o600); err != nil {
		return env, fmt.Errorf("write environment: %w", err)
	}
	return env, nil
}

// file is for a shell to read, in each of its terminals.
func (e environment) file() string { return filepath.Join(e.dir, "env") }

func (e environment) String() string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(e.vars)) {
		fmt.Fprintf(&text, "export %s='%s'\n", name, e.vars[name])
	}
	return text.String()
}

func (e environment) lookup(name string) (string, bool) {
	value, ok := e.vars[name]
	return value, ok
}

// freeAddress returns the usual address or, where another program has it (such
// as `surehook dev`), a free one.
func freeAddress(usual string) string {
	l, err := net.Listen("tcp", usual)
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return usual // whoever listens there will say what is wrong
	}
	defer l.Close()
	return l.Addr().String()
}
