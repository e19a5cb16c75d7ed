package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryVariableIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	found := variables(reflect.TypeFor[config](), "")
	require.Contains(t, found, "DATABASE_URL")
	require.Contains(t, found, "SUREHOOK_LOG_LEVEL")
	for _, name := range found {
		require.Contains(t, string(page), "`"+name+"`", "docs/configuration.md does not mention it")
	}
}

// variables lists the environment variables that a configuration is read from.
func variables(typ reflect.Type, prefix string) []string {
	var names []string
	for field := range typ.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("env"), ",")
		_, inner, _ := strings.Cut(options, "prefix=")
		switch {
		case name != "":
			names = append(names, prefix+name)
		case field.Type.Kind() == reflect.Struct:
			names = append(names, variables(field.Type, prefix+strings.TrimSpace(inner))...)
		}
	}
	return names
}

func TestEverythingWrongWithTheConfigurationIsReportedTogether(t *testing.T) {
	c := newCLI(t)
	for name, value := range map[string]string{
		"DATABASE_URL":            "oracle://x",
		"SUREHOOK_CONFIG":         filepath.Join(t.TempDir(), "surehook.yaml"),
		"SUREHOOK_LOG_LEVEL":      "loud",
		"SUREHOOK_LOG_FORMAT":     "xml",
		"SUREHOOK_MAX_ATTEMPTS":   "x",
		"SUREHOOK_SHUTDOWN_DELAY": "5",
	} {
		t.Setenv(name, value)
	}
	text, code := c.run("serve")
	require.Equal(t, exitUsage, code)
	for _, line := range []string{
		`  - SUREHOOK_LOG_LEVEL: "loud": want debug, info, warn or error`,
		`  - SUREHOOK_LOG_FORMAT: "xml": want text or json`,
		`  - SUREHOOK_MAX_ATTEMPTS: "x": want a whole number`,
		`  - SUREHOOK_SHUTDOWN_DELAY: "5": want a duration such as 30s or 5m`,
		`  - DATABASE_URL: `,
		`  - SUREHOOK_CONFIG: read sources: `,
	} {
		require.Contains(t, text, "\n"+line)
	}
	require.Equal(t, 6, strings.Count(text, "\n"), "a variable that is not readable is reported once: %s", text)
}

func TestAMistakeInTheSourcesDoesNotHideOneInTheEnvironment(t *testing.T) {
	c := newCLI(t)
	file := filepath.Join(t.TempDir(), "surehook.yaml")
	require.NoError(t, os.WriteFile(file, []byte("sources: {stripe: {provider: strip, oops: 1}}"), 0o600))
	t.Setenv("SUREHOOK_CONFIG", file)
	t.Setenv("SUREHOOK_LOG_LEVEL", "loud")
	text, code := c.run("serve")
	require.Equal(t, exitUsage, code)
	for _, line := range []string{"SUREHOOK_LOG_LEVEL: ", file + ": sources.stripe.provider: ", file + ": sources.stripe.oops: "} {
		require.Contains(t, text, "\n  - "+line)
	}
}

func TestVariablesFallBackOnTheirDefaults(t *testing.T) {
	cfg := environment{dev: map[string]string{"SUREHOOK_LOG_LEVEL": "debug", "SUREHOOK_TRUSTED_PROXIES": "10.0.0.1,10.0.0.2"}}.load(t.Context())
	require.NoError(t, cfg.unreadable)
	require.Equal(t, slog.LevelDebug, cfg.Log.Level)
	require.Equal(t, "text", cfg.Log.Format)
	require.Equal(t, []string{"10.0.0.1", "10.0.0.2"}, cfg.Ingress.TrustedProxies)
	require.Equal(t, ":8080", cfg.Ingress.Listen)
	require.EqualValues(t, 15, cfg.Worker.MaxAttempts)
}
