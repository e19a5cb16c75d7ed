package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

// reconciled makes the row of a run, as the activities would.
func (c *cli) reconciled(list string, tally providers.Tally, problem string) {
	c.t.Helper()
	r, err := c.store.BeginReconciliation(c.t.Context(), providers.ReconciliationStart{
		Source: "stripe", List: list, Lookback: time.Hour, WorkflowID: "reconcile/stripe/" + list, RunID: list + problem,
	})
	require.NoError(c.t, err)
	if problem != "" {
		require.NoError(c.t, c.store.EndReconciliation(c.t.Context(), r.ID, problem))
		return
	}
	require.NoError(c.t, c.store.SaveReconciledPage(c.t.Context(), providers.ReconciledPage{ID: r.ID, Done: tally}))
}

func TestReconciliationsAreListedAsATableAndAsJSON(t *testing.T) {
	c := newCLI(t)
	c.reconciled("events", providers.Tally{Objects: 40, Missed: 3, Failed: 1, Calls: 4}, "")
	c.reconciled("invoice", providers.Tally{}, "stripe: list invoice: status 401")

	table, code := c.run("reconcile", "list")
	require.Equal(t, exitOK, code)
	require.Regexp(t, `(?s)^SOURCE +LIST +SINCE +UNTIL +PAGES.*\nstripe +invoice .* failed +stripe: list invoice: status 401\n`+
		`stripe +events +20\S+Z +20\S+Z +1 +40 +3 +0 +1 +4 +\S+ +complete +-\n$`, table)

	lines, code := c.run("reconcile", "list", "--list", "events", "--json")
	require.Equal(t, exitOK, code)
	var row map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines), &row), "one object a line: %s", lines)
	for _, field := range []string{
		"id", "source", "list", "backfill", "since", "until", "pages", "objects", "missed", "repaired", "failed", "calls",
		"complete", "error", "workflow_id", "run_id", "requested_by", "requested_reason", "started_at", "finished_at",
	} {
		require.Contains(t, row, field, "scripts rely on it")
	}
	require.EqualValues(t, 3, row["missed"])
}

func TestWrongUsageOfReconcileIsNamed(t *testing.T) {
	c := newCLI(t)
	file := filepath.Join(t.TempDir(), "surehook.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`
sources:
  stripe: {provider: stripe, secrets: ["${S}"], api: {key: "${S}"}, reconcile: {cron: "@hourly", lists: [invoice]}}
  plain: {provider: stripe, secrets: ["${S}"], api: {key: "${S}"}}
`), 0o600))
	t.Setenv("SUREHOOK_CONFIG", file)
	t.Setenv("S", "whsec_1")
	for want, args := range map[string][]string{
		"missing <source>: surehook reconcile run":                     {"reconcile", "run"},
		`--list "unicorns": source stripe has events, charge, `:        {"reconcile", "run", "stripe", "--list", "unicorns"},
		"source plain declares no reconcile: name a list with --list,": {"reconcile", "run", "plain"},
		"the source declares no reconcile.unseen: say with":            {"reconcile", "run", "stripe", "--list", "unseen"},
		`source "shop"`:                        {"reconcile", "run", "shop"},
		"did you mean backfill?":               {"reconcile", "backfil"},
		"--since is missing: say how far back": {"reconcile", "backfill", "stripe", "--reason", "r"},
		`--since "-5h": want a time`:           {"reconcile", "backfill", "stripe", "--reason", "r", "--since", "-5h"},
		"--reason is missing: say why":         {"reconcile", "backfill", "stripe", "--since", "all"},
		"--limit: want at least 1":             {"reconcile", "list", "--limit", "0"},
	} {
		text, code := c.run(args...)
		require.Equal(t, exitUsage, code, "%v: %s", args, text)
		require.Contains(t, text, want, "%v", args)
	}
}

func TestSinceOfABackfill(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 34, 56, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"all":                  {},
		"2026-01-01":           time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		"2026-01-01T10:00:00Z": time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC),
		"72h":                  time.Date(2026, 2, 26, 12, 34, 0, 0, time.UTC),
		"7d":                   time.Date(2026, 2, 22, 12, 34, 0, 0, time.UTC),
	} {
		got, err := parseSince(text, now)
		require.NoError(t, err)
		require.True(t, want.Equal(got), "%s: %s", text, got)
	}
}

func TestWhatASourceDeclaresOfReconciliationsIsCheckedAgainstItsPlatform(t *testing.T) {
	file := filepath.Join(t.TempDir(), "surehook.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`
sources:
  a: {provider: stripe, secrets: ["${S}"], reconcile: {cron: "@hourly", lists: [invoices]}}
  b: {provider: adyen, secrets: ["${S}"], reconcile: {cron: "@hourly"}}
`), 0o600))
	_, err := loadSources(file, func(string) (string, bool) {
		return "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056", true
	})
	require.ErrorContains(t, err, file+`: sources.a.reconcile.lists[0]: "invoices": want one of events, charge, `)
	require.ErrorContains(t, err, file+": sources.b.reconcile: provider adyen has no lists with these settings")
}
