package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

// status is where an event stands.
func (c *cli) status(id string) providers.Status {
	c.t.Helper()
	e, err := c.store.EventRow(c.t.Context(), "stripe", id)
	require.NoError(c.t, err)
	return e.Status
}

func TestAReplayWithoutYesSaysWhatItWouldDo(t *testing.T) {
	c := newCLI(t)
	c.save("in_1")
	c.accept("evt_ignored", providers.StatusIgnored)
	c.accept("evt_pending", providers.StatusPending)
	c.accept("evt_review", providers.StatusReview)
	text, code := c.run("replay", "--source", "stripe", "--type", "invoice.*", "--since", "2h", "--reason", "the receiver's disk")
	require.Equal(t, exitOK, code, text)
	require.Regexp(t, `stripe +invoice.paid +processed +1 +yes\n`, text)
	require.Regexp(t, `stripe +invoice.paid +ignored +1 +yes\n`, text)
	require.Regexp(t, `stripe +invoice.paid +pending +1 +no: they are under way\n`, text)
	require.Regexp(t, "stripe +invoice.paid +review +1 +no: they wait for `surehook resolve`\n", text)
	require.Contains(t, text, "2 events would be run again, at 50/s. Nothing has been changed.")
	require.Regexp(t, `  surehook replay --source stripe --type 'invoice\.\*' --since \S+Z --batch \S+ --rate 50/s --reason 'the receiver'\\''s disk' --yes\n`, text)
	require.Equal(t, providers.StatusIgnored, c.status("evt_ignored"))
	all, err := c.store.Batches(t.Context(), "", 10)
	require.NoError(t, err)
	require.Empty(t, all)

	text, code = c.run("replay", "--source", "stripe", "--status", "failed")
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "No event would be run again.")
}

func TestAReplayOpensEachEventOnceAndKeepsWhoAskedForIt(t *testing.T) {
	c := newCLI(t)
	c.save("in_1")
	c.accept("evt_ignored", providers.StatusIgnored)
	command := []string{"replay", "--source", "stripe", "--batch", "again", "--by", "ann", "--reason", "the rule was wrong", "--rate", "1000/s", "--yes"}
	text, code := c.run(command...)
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "2 events reopened")
	require.Equal(t, providers.StatusPending, c.status("evt_ignored"))
	require.Equal(t, providers.StatusPending, c.status("evt_in_1"))
	show, _ := c.run("events", "show", "evt_ignored")
	require.Regexp(t, `replayed by +again\n`, show)
	require.Contains(t, show, "stripe/evt_ignored/replay/again")

	require.NoError(t, c.store.Settle(t.Context(), providers.Settlement{Source: "stripe", ID: "evt_ignored", Status: providers.StatusProcessed, Replay: "again"}))
	for _, same := range [][]string{command, {"replay", "--batch", "again", "--yes"}} {
		text, code = c.run(same...)
		require.Equal(t, exitOK, code, text)
		require.Contains(t, text, "2 events reopened; nothing is left to do")
		require.Equal(t, providers.StatusProcessed, c.status("evt_ignored"))
	}
	text, code = c.run("replay", "--source", "stripe", "--status", "failed", "--batch", "again", "--yes")
	require.Equal(t, exitUsage, code)
	require.Contains(t, text, "batch again is another one: replay of --source stripe, asked for by ann")

	table, code := c.run("replay", "list")
	require.Equal(t, exitOK, code)
	require.Regexp(t, `again +replay +2 +0 +finished +\S+ +ann +the rule was wrong +--source stripe`, table)
	lines, _ := c.run("replay", "list", "--json")
	var row map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines), &row))
	for _, field := range []string{"name", "what", "filter", "asked_by", "reason", "asked_at", "events", "failed", "finished_at"} {
		require.Contains(t, row, field, "scripts rely on it")
	}
}

func TestAReplayTakesIDsFromTheStandardInput(t *testing.T) {
	c := newCLI(t)
	for _, id := range []string{"evt_1", "evt_2", "evt_3"} {
		c.accept(id, providers.StatusIgnored)
	}
	text, code := c.runWith("evt_1\n\nevt_3\nevt_1\n", "replay", "-", "--reason", "why not", "--yes")
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "2 events reopened")
	require.Equal(t, providers.StatusIgnored, c.status("evt_2"))
	text, code = c.runWith("\n", "replay", "-")
	require.Equal(t, exitUsage, code, text)
	text, _ = c.runWith("evt_2\nevt_9", "replay", "-")
	require.Contains(t, text, "… | surehook replay - --batch ")
	require.Contains(t, text, "Not in the inbox: 1 event.")
	_, code = c.run("replay", "evt_9")
	require.Equal(t, exitNotFound, code)
}

func TestAStoppedReplaySaysHowToGoOn(t *testing.T) {
	c := newCLI(t)
	for _, id := range []string{"evt_1", "evt_2", "evt_3"} {
		c.accept(id, providers.StatusIgnored)
	}
	// One an hour: the second step has to wait for its turn.
	stopped, stop := c.start("replay", "--source", "stripe", "--batch", "slow", "--reason", "why not", "--rate", "1/h", "--yes")
	require.Eventually(t, func() bool { return c.status("evt_1") == providers.StatusPending }, 30*time.Second, 10*time.Millisecond)
	stop()
	got := <-stopped
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.text, "stopped after 1 event; go on with: surehook replay --batch slow --yes")
	require.Equal(t, providers.StatusIgnored, c.status("evt_2"))
	list, _ := c.run("replay", "list")
	require.Regexp(t, `slow +replay +1 +0 +unfinished`, list)
	text, code := c.run("replay", "--batch", "slow")
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "1 event reopened so far. To go on:\n  surehook replay --batch slow --yes")
	require.Equal(t, providers.StatusIgnored, c.status("evt_2"))

	text, code = c.run("replay", "--batch", "slow", "--yes")
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "3 events reopened")
	require.Equal(t, providers.StatusPending, c.status("evt_3"))
}

func TestManyParkedEventsAreResolvedAtOnce(t *testing.T) {
	c := newCLI(t)
	for _, id := range []string{"evt_1", "evt_2"} {
		c.accept(id, providers.StatusReview)
	}
	c.accept("evt_ignored", providers.StatusIgnored)
	text, code := c.run("resolve", "--all", "--source", "stripe", "skip")
	require.Equal(t, exitOK, code, text)
	require.Regexp(t, `stripe +invoice.paid +2 +skip\n`, text)
	require.Contains(t, text, "2 events would be resolved")
	require.Contains(t, text, "surehook resolve --all --source stripe skip --batch ")
	require.Equal(t, providers.StatusReview, c.status("evt_1"))

	_, code = c.run("resolve", "--all", "--source", "stripe", "skip", "--yes")
	require.Equal(t, exitUsage, code, "it wants a reason")
	text, code = c.run("resolve", "--all", "--source", "stripe", "skip", "--by", "ann", "--reason", "tests", "--yes")
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "2 events resolved")
	for _, id := range []string{"evt_1", "evt_2"} {
		e, err := c.store.EventRow(t.Context(), "stripe", id)
		require.NoError(t, err)
		require.Equal(t, []any{providers.StatusIgnored, "ann", "tests"}, []any{e.Status, e.ResolvedBy, e.ResolvedReason})
	}
	text, code = c.run("resolve", "--all", "--source", "stripe", "skip", "--reason", "tests", "--yes")
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "0 events resolved")
	list, _ := c.run("replay", "list")
	require.Regexp(t, `resolve skip +2 +0 +finished`, list)
}

func TestEventsThatCouldNotBeReadAreLeftWhenAllAreRetried(t *testing.T) {
	c := newCLI(t)
	_, err := c.store.Accept(t.Context(), []providers.Received{{Source: "stripe", Status: providers.StatusReview,
		Event: providers.Event{ID: "unreadable-1", Type: providers.UnreadableType}}})
	require.NoError(t, err)
	text, code := c.run("resolve", "--all", "--source", "stripe", "retry")
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "no: their requests could not be read")
	text, code = c.run("resolve", "--all", "--source", "stripe", "retry", "--reason", "why not", "--yes")
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "0 events resolved")
	require.Equal(t, providers.StatusReview, c.status("unreadable-1"))
}

func TestWrongUseOfBatchesIsToldFromFailure(t *testing.T) {
	c := newCLI(t)
	for _, example := range []struct{ line, want string }{
		{"replay", "say which events"},
		{"replay --yes --reason x", "say which events"},
		{"replay --source stripe --yes", "--reason is missing"},
		{"replay --source stripe --rate fast", `--rate: "fast": want a whole number`},
		{"replay --source stripe --since yesterday", `--since "yesterday": want a time`},
		{"replay --source stripe --since 1h --until 2h", "--until is not after --since"},
		{"replay --status review", "want one of processed, ignored, failed"},
		{"replay --status reviw", "want one of pending"},
		{"replay --source stripe --batch A/B", "--batch"},
		{"replay --source stripe --by=", "--by is empty"},
		{"replay list more", `unknown command "more"`},
		{"resolve --all skip", "--source is missing"},
		{"resolve --all stripe evt_1 skip --source stripe", `unexpected argument`},
		{"resolve evt_1 skip --source stripe", "--source goes with --all"},
		{"events list --since nonsense", "--since"},
	} {
		text, code := c.run(strings.Fields(example.line)...)
		require.Equal(t, exitUsage, code, "%s: %s", example.line, text)
		require.Contains(t, text, example.want, example.line)
	}
	text, code := c.run("replay", "--batch", "absent", "--yes")
	require.Equal(t, exitNotFound, code, text)
}

func TestTimesAreDatesTimesOrAges(t *testing.T) {
	now := time.Date(2026, 11, 21, 14, 30, 0, 500, time.UTC)
	for text, want := range map[string]time.Time{
		"":                          {},
		"2026-11-20":                time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC),
		"2026-11-20T10:00:00Z":      time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC),
		"2026-11-20T10:00:00+01:00": time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC),
		"90m":                       time.Date(2026, 11, 21, 13, 0, 0, 0, time.UTC),
		"7d":                        time.Date(2026, 11, 14, 14, 30, 0, 0, time.UTC),
	} {
		got, err := parseTime("--since", text, now)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"-2h", "d", "-1d", "2026", "soon"} {
		_, err := parseTime("--since", text, now)
		require.Error(t, err, text)
	}
}

func TestEventsAreListedByWhenTheyWereReceived(t *testing.T) {
	c := newCLI(t)
	c.accept("evt_1", providers.StatusPending)
	text, _ := c.run("events", "list", "--since", "1h")
	require.Contains(t, text, "evt_1")
	text, _ = c.run("events", "list", "--until", "1h")
	require.NotContains(t, text, "evt_1")
}

func TestWordsOfAPrintedCommandAreOneWordEach(t *testing.T) {
	for word, want := range map[string]string{
		"invoice.paid": "invoice.paid", "invoice.*": "'invoice.*'", "it's": `'it'\''s'`, "": "''", "a b": "'a b'",
	} {
		require.Equal(t, want, quote(word))
	}
	require.Equal(t, "all events", filterText(store.BatchFilter{}))
	require.Equal(t, "evt_1", filterText(store.BatchFilter{IDs: []string{"evt_1"}}))
	require.Equal(t, "2 ids", filterText(store.BatchFilter{IDs: []string{"evt_1", "evt_2"}}))
}
