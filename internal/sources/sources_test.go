package sources_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/internal/sources"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/all"
)

func load(t *testing.T, text string, env map[string]string) ([]sources.Source, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "surehook.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return sources.Load(path, func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	})
}

func TestLoadReadsEveryField(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte("from a file\n"), 0o600))
	got, err := load(t, `
sources:
  stripe:
    provider: stripe
    secrets: ["${STRIPE_WEBHOOK_SECRET}", "${STRIPE_WEBHOOK_SECRET_OLD:-}", "file:`+file+`"]
    api: { base_url: https://api.stripe.com, key: "${STRIPE_API_KEY}", rate: 20/s }
    mode: live                       # events of the other mode are ignored
    events: { accept: ["payment_intent.*", "invoice.*"], other: review }
    limits: { body: 2MiB, rate: 300/m, allow: ["3.18.12.63/32", "10.1.2.3/8", "2001:db8::1", "::ffff:192.0.2.1"] }
    reconcile: { cron: "*/15 * * * *", lookback: 2h, lists: [events, invoice], unseen: 24h }
    owner: payments-team
    purpose: Keeps invoices and payments true.
    runbook: docs/runbooks/stripe.md
`, map[string]string{"STRIPE_WEBHOOK_SECRET": "whsec_1", "STRIPE_API_KEY": "sk_1"})
	require.NoError(t, err)
	want := []sources.Source{{
		Name:     "stripe",
		Provider: "stripe",
		Secrets:  providers.Secrets{"whsec_1", "from a file"},
		API:      providers.APIConfig{BaseURL: "https://api.stripe.com", Key: "sk_1"},
		APIRate:  20,
		Mode:     providers.ModeLive,
		Accept:   []string{"payment_intent.*", "invoice.*"},
		Other:    providers.StatusReview,
		Body:     2 << 20,
		Rate:     5,
		Burst:    300,
		Allow: []netip.Prefix{
			netip.MustParsePrefix("3.18.12.63/32"),
			netip.MustParsePrefix("10.0.0.0/8"),
			netip.MustParsePrefix("2001:db8::1/128"),
			netip.MustParsePrefix("192.0.2.1/32"),
		},
		Reconcile: sources.Reconcile{
			Cron: "*/15 * * * *", Lookback: 2 * time.Hour, Lists: []string{"events", "invoice"}, Unseen: 24 * time.Hour,
		},
		Owner:   "payments-team",
		Purpose: "Keeps invoices and payments true.",
		Runbook: "docs/runbooks/stripe.md",
	}}
	require.Empty(t, cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})))
}

func TestLoadFillsInTheDefaults(t *testing.T) {
	got, err := load(t, `
sources:
  tools: {provider: stripe, secrets: ["${S}"]}
  code: {provider: github, secrets: ["${S}"]}
`, map[string]string{"S": "x"})
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, "code", got[0].Name, "sources come in the order of their names")
	require.EqualValues(t, 25<<20, got[0].Body)
	require.EqualValues(t, 1<<20, got[1].Body)
	require.Equal(t, []string{"*"}, got[1].Accept)
	require.Equal(t, providers.StatusIgnored, got[1].Other)
	require.Equal(t, providers.ModeUnknown, got[1].Mode)
	require.Equal(t, rate.Inf, got[1].Rate)
	require.Zero(t, got[1].APIRate)
	require.Empty(t, got[1].Allow)
	require.Equal(t, sources.Reconcile{Lookback: time.Hour}, got[1].Reconcile)
}

func TestLoadRefuses(t *testing.T) {
	const good = "provider: stripe, secrets: ['${S}']"
	for name, c := range map[string]struct{ text, want string }{
		"a field it does not know, by name and line": {
			"sources:\n  a:\n    provider: stripe\n    secrets: ['${S}']\n    ownr: me\n",
			`sources.a.ownr: unknown field, in line 5`,
		},
		"an unknown field inside a group":     {"sources:\n  a:\n    limits:\n      bdy: 1MiB\n", `sources.a.limits.bdy: unknown field, in line 4`},
		"an unknown field at the top":         {"source:\n  a: {" + good + "}\n", `line 1: unknown field "source"`},
		"a source that is declared twice":     {"sources:\n  a: {" + good + "}\n  a: {" + good + "}\n", `line 3: mapping key "a" already defined`},
		"a field that stands there twice":     {"sources:\n  a:\n    mode: live\n    mode: test\n", `line 4: mapping key "mode" already defined`},
		"text that is not YAML":               {"sources: [", "line 1: "},
		"an empty file":                       {"", "sources: none declared"},
		"a file without sources":              {"sources: {}", "sources: none declared"},
		"two documents":                       {"sources: {}\n---\nsources: {}\n", "want one YAML document, found 2"},
		"an empty source":                     {"sources:\n  a:\n", `sources.a.provider: missing`},
		"a name in capitals":                  {"sources: {Stripe: {" + good + "}}", `sources.Stripe: bad name: want a-z`},
		"a name that is too long":             {"sources: {" + strings.Repeat("a", 64) + ": {" + good + "}}", "at most 63 characters"},
		"a name that our own runs have":       {"sources: {reconcile: {" + good + "}}", "sources.reconcile: reserved name"},
		"a name that starts with -":           {"sources: {-a: {" + good + "}}", "sources.-a: bad name: want a-z"},
		"a provider it does not know":         {"sources: {a: {provider: strip, secrets: ['${S}']}}", `sources.a.provider: "strip": want one of ` + strings.Join(all.Names(), ", ")},
		"a group that is a value":             {"sources: {a: {" + good + ", limits: none}}", `sources.a.limits: want a mapping`},
		"a value of another kind":             {"sources: {a: {" + good + ", events: {accept: {x: y}}}}", `sources.a.events.accept: line 1: `},
		"a reconciliation that never runs":    {"sources: {a: {" + good + ", reconcile: {lookback: 1h}}}", "sources.a.reconcile.cron: missing"},
		"a time that nobody can read":         {"sources: {a: {" + good + ", reconcile: {cron: 'every day'}}}", `sources.a.reconcile.cron: "every day": expected exactly 5 fields`},
		"a minute that there is not":          {"sources: {a: {" + good + ", reconcile: {cron: '60 * * * *'}}}", `sources.a.reconcile.cron: "60 * * * *": end of range (60) above maximum (59)`},
		"a day that there is not":             {"sources: {a: {" + good + ", reconcile: {cron: '0 0 31 2 *'}}}", `sources.a.reconcile.cron: "0 0 31 2 *": there is no such time`},
		"a time zone and nothing else":        {"sources: {a: {" + good + ", reconcile: {cron: 'TZ=UTC'}}}", `sources.a.reconcile.cron: "TZ=UTC": there is nothing after the time zone`},
		"what Temporal would not understand":  {"sources: {a: {" + good + ", reconcile: {cron: '0 0 ? * *'}}}", `sources.a.reconcile.cron: "0 0 ? * *": ? is not known to Temporal`},
		"a lookback that is no time":          {"sources: {a: {" + good + ", reconcile: {cron: '@daily', lookback: far}}}", "sources.a.reconcile.lookback: line 1: want a time such as 5m"},
		"a lookback into the future":          {"sources: {a: {" + good + ", reconcile: {cron: '@daily', lookback: -1h}}}", "sources.a.reconcile.lookback: -1h0m0s: want"},
		"an age of parts of a second":         {"sources: {a: {" + good + ", reconcile: {cron: '@daily', unseen: 10ms}}}", "sources.a.reconcile.unseen: 10ms: want whole seconds"},
		"an empty list of lists":              {"sources: {a: {" + good + ", reconcile: {cron: '@daily', lists: []}}}", "sources.a.reconcile.lists: empty"},
		"an unknown field of reconciliations": {"sources: {a: {" + good + ", reconcile: {crom: '@daily'}}}", "sources.a.reconcile.crom: unknown field"},
		"settings where there are none":       {"sources: {a: {" + good + ", settings: {x: y}}}", "sources.a.settings: provider stripe has none"},
		"a mode it does not know":             {"sources: {a: {" + good + ", mode: prod}}", `sources.a.mode: "prod"`},
		"an unknown rule for the others":      {"sources: {a: {" + good + ", events: {other: drop}}}", `events.other: "drop": want ignore or review`},
		"an empty list of types":              {"sources: {a: {" + good + ", events: {accept: []}}}", "events.accept: empty"},
		"a type with a blank":                 {"sources: {a: {" + good + ", events: {accept: ['a b']}}}", "events.accept[0]"},
		"a size without meaning":              {"sources: {a: {" + good + ", limits: {body: big}}}", `limits.body: "big"`},
		"a size of nothing":                   {"sources: {a: {" + good + ", limits: {body: 0B}}}", `limits.body: "0B"`},
		"a rate without a unit":               {"sources: {a: {" + good + ", limits: {rate: '500'}}}", `limits.rate: "500"`},
		"a rate of nothing":                   {"sources: {a: {" + good + ", limits: {rate: 0/s}}}", `limits.rate: "0/s"`},
		"a rate in days":                      {"sources: {a: {" + good + ", api: {rate: 5/d}}}", `api.rate: "5/d"`},
		"an address that is none":             {"sources: {a: {" + good + ", limits: {allow: [example.com]}}}", `limits.allow[0]: "example.com"`},
		"a base URL without a scheme":         {"sources: {a: {" + good + ", api: {base_url: api.stripe.com}}}", "api.base_url: want an http"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.text, map[string]string{"S": "x"})
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestLoadReportsAllErrorsTogether(t *testing.T) {
	_, err := load(t, `
sources:
  one: {provider: stripe, secrets: ["${A}"], mode: prod, limits: {body: big}}
  two: {provider: stripe, secrets: ["${B}"], oops: true}
  three: {secrets: ["${C:-}"]}
  five: {provider: stripe, secrets: ["${A}"], api: {base_url: "${HOST}/stripe"}}
  four: {provider: strip, secrets: {x: y}, oops: true, limits: {bdy: 1MiB, rate: fast}, mode: prod}
`, nil)
	for _, want := range []string{
		`sources.one.secrets[0]: variable A is not set or empty`,
		`sources.one.mode:`,
		`sources.one.limits.body:`,
		`sources.two.oops: unknown field, in line 4`,
		`sources.three.provider: missing`,
		`sources.three.secrets: none is set: set C`,
		`sources.four.provider: "strip"`,
		`sources.four.secrets: line 7:`,
		`sources.four.oops: unknown field`,
		`sources.four.limits.bdy: unknown field`,
		`sources.four.limits.rate: "fast"`,
		`sources.four.mode: "prod"`,
	} {
		require.ErrorContains(t, err, want)
	}
	for line := range strings.Lines(err.Error()) {
		require.Contains(t, line, "surehook.yaml: sources.", "each line says where")
	}
	require.ErrorContains(t, err, "sources.five.api.base_url: variable HOST is not set or empty")
	require.NotContains(t, err.Error(), "want an http", "an address that is not known is not wrong, too")
	require.NotContains(t, err.Error(), "sources.four.secrets: missing", "what is not readable is not missing")
}

func TestLoadNeverRepeatsASecret(t *testing.T) {
	const literal = "whsec_literal"
	for name, text := range map[string]string{
		"as a secret":                    `sources: {a: {provider: stripe, secrets: ["` + literal + `"]}}`,
		"as the default of a variable":   `sources: {a: {provider: stripe, secrets: ["${S:-` + literal + `}"]}}`,
		"behind a reference":             `sources: {a: {provider: stripe, secrets: ["${S}` + literal + `"]}}`,
		"as an API key":                  `sources: {a: {provider: stripe, secrets: ["${S}"], api: {key: ` + literal + `}}}`,
		"in a base URL":                  `sources: {a: {provider: stripe, secrets: ["${S}"], api: {base_url: "https://me:` + literal + `@h"}}}`,
		"beside a field it doesn't know": "sources:\n  a:\n    secrets: [" + literal + "]\n    oops: 1\n",
		"in a list where a map belongs":  "sources:\n  a: [" + literal + "]\n",
		"in a map where a list belongs":  "sources:\n  a: {secrets: {x: " + literal + "}}\n",
		"where a group belongs":          "sources:\n  a: {api: " + literal + "}\n",
		"in text that is not YAML":       "sources:\n  a:\n    secrets: [" + literal + "\n  b: }\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, text, map[string]string{"S": "live"})
			require.Error(t, err)
			require.NotContains(t, err.Error(), literal)
		})
	}
}

func TestLoadSecrets(t *testing.T) {
	t.Run("an optional one that is not set is dropped", func(t *testing.T) {
		got, err := load(t, `sources: {a: {provider: stripe, secrets: ["${OLD:-}", "${NEW}"]}}`, map[string]string{"NEW": "n"})
		require.NoError(t, err)
		require.Equal(t, providers.Secrets{"n"}, got[0].Secrets)
	})
	t.Run("an API key may be optional", func(t *testing.T) {
		got, err := load(t, `sources: {a: {provider: stripe, secrets: ["${NEW}"], api: {key: "${KEY:-}"}}}`, map[string]string{"NEW": "n"})
		require.NoError(t, err)
		require.Empty(t, got[0].API.Key)
	})
	t.Run("an API key that is not set is an error", func(t *testing.T) {
		_, err := load(t, `sources: {a: {provider: stripe, secrets: ["${NEW}"], api: {key: "${KEY}"}}}`, map[string]string{"NEW": "n"})
		require.ErrorContains(t, err, `sources.a.api.key: variable KEY is not set or empty`)
	})
	t.Run("a variable that is set to nothing counts as not set", func(t *testing.T) {
		_, err := load(t, `sources: {a: {provider: stripe, secrets: ["${NEW}"]}}`, map[string]string{"NEW": ""})
		require.ErrorContains(t, err, "variable NEW is not set or empty")
	})
	t.Run("a file that is missing is an error", func(t *testing.T) {
		_, err := load(t, `sources: {a: {provider: stripe, secrets: ["file:/does/not/exist"]}}`, nil)
		require.ErrorContains(t, err, "secrets[0]: read secret")
	})
	t.Run("an empty file is an error", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "empty")
		require.NoError(t, os.WriteFile(path, []byte("\n"), 0o600))
		_, err := load(t, `sources: {a: {provider: stripe, secrets: ["file:`+path+`"]}}`, nil)
		require.ErrorContains(t, err, "is empty")
	})
	t.Run("no secrets at all is an error", func(t *testing.T) {
		_, err := load(t, `sources: {a: {provider: stripe}}`, nil)
		require.ErrorContains(t, err, `sources.a.secrets: missing`)
	})
}

func TestLoadNamesTheFileItCannotRead(t *testing.T) {
	_, err := sources.Load("does-not-exist.yaml", os.LookupEnv)
	require.ErrorContains(t, err, "read sources: open does-not-exist.yaml")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestImports(t *testing.T) {
	deptest.Check(t, deptest.Rule{
		Package: ".",
		Ban: []string{
			"go.temporal.io/...", "database/sql", "github.com/gorilla/mux",
			"github.com/surehook/surehook/ingress", "github.com/surehook/surehook/workflows",
			"github.com/surehook/surehook/activities", "github.com/surehook/surehook/worker",
		},
	})
}
