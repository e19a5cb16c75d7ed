package sources

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/goccy/go-yaml/parser"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

// exampleSettings has every kind of field that a provider's settings can have.
type exampleSettings struct {
	App   string                      `yaml:"app"`
	Token providers.Secret            `yaml:"token"`
	Shops map[string]providers.Secret `yaml:"shops"`
	Keys  []providers.Secret          `yaml:"keys"`
	Certs []exampleCert               `yaml:"certs"`
	Hosts []string                    `yaml:"hosts"`
}

type exampleCert struct {
	ID  string           `yaml:"id"`
	Key providers.Secret `yaml:"key"`
}

func decodeExample(t *testing.T, text string) (exampleSettings, error) {
	t.Helper()
	tree, err := parser.ParseBytes([]byte(text), 0)
	require.NoError(t, err)
	env := map[string]string{"A": "secret a", "B": "secret b"}
	r := reader{file: "f.yaml", source: "s", unread: map[string]bool{}, lookup: func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}}
	var got exampleSettings
	r.decode("settings", tree.Docs[0].Body, reflect.ValueOf(&got).Elem())
	return got, errors.Join(r.errs...)
}

func TestSettingsHoldReferencesToSecretsEverywhere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(file, []byte("from a file\n"), 0o600))
	got, err := decodeExample(t, `
app: one
token: ${A}
shops: {a.example: "${A}", b.example: "${B}"}
keys: ["${A}", "${NONE:-}"]
certs: [{id: old, key: "${A}"}, {id: new, key: "file:`+file+`"}]
hosts: [x, y]
`)
	require.NoError(t, err)
	require.Equal(t, exampleSettings{
		App:   "one",
		Token: "secret a",
		Shops: map[string]providers.Secret{"a.example": "secret a", "b.example": "secret b"},
		Keys:  []providers.Secret{"secret a", ""},
		Certs: []exampleCert{{ID: "old", Key: "secret a"}, {ID: "new", Key: "from a file"}},
		Hosts: []string{"x", "y"},
	}, got)
}

func TestMistakesInSettingsAreNamed(t *testing.T) {
	_, err := decodeExample(t, `
app: [one]
token: literal
shops: {a.example: "${NONE}"}
keys: none
certs: [{id: old, kye: x}, 7]
`)
	for _, want := range []string{
		"f.yaml: sources.s.settings.app: line 2: ",
		"sources.s.settings.token: a secret must not stand in the file",
		"sources.s.settings.shops.a.example: variable NONE is not set or empty",
		"sources.s.settings.keys: want a list",
		"sources.s.settings.certs[0].kye: unknown field, in line 6",
		"sources.s.settings.certs[1]: want a mapping of fields",
	} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "literal\n", "a value that may be a secret is not repeated")
}
