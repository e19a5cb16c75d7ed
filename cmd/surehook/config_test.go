package main

import (
	"os"
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
