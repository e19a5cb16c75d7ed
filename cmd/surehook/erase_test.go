package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/surehook/surehook/internal/devserver"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// yes is what an erasure needs besides what it is about.
var yes = []string{"--yes", "--by", "ann", "--reason", "ticket 4711"}

// acceptFrom accepts a finished event of a person.
func (c *cli) acceptFrom(id, address string) {
	c.t.Helper()
	_, err := c.store.Accept(c.t.Context(), []providers.Received{{
		Source: "stripe",
		Event:  providers.Event{ID: id, Type: "customer.created", Ref: providers.Ref{Type: "customer", ID: "cus_" + id}},
		Status: providers.StatusIgnored,
		Reason: "not accepted",
		Body:   []byte(`{"email":"` + address + `"}`),
	}})
	require.NoError(c.t, err)
}

func (c *cli) bodyOf(id string) string {
	c.t.Helper()
	e, err := c.store.Event(c.t.Context(), "stripe", id)
	require.NoError(c.t, err)
	return string(e.Body)
}

func TestEraseFirstSaysWhatItWouldErase(t *testing.T) {
	c := newCLI(t)
	c.save("in_1")
	text, code := c.run("erase", "stripe", "invoice/in_1")
	require.Equal(t, exitOK, code, text)
	require.Regexp(t, `(?s)would be erased:\nevents +1: stripe/evt_in_1\nrecords +1: stripe invoice/in_1\n.*--yes`, text)
	require.NotEmpty(t, c.bodyOf("evt_in_1"))
	_, code = c.run("records", "show", "stripe", "invoice/in_1")
	require.Equal(t, exitOK, code, "nothing was changed")

	text, code = c.run(append([]string{"erase", "stripe", "invoice/in_1"}, yes...)...)
	require.Equal(t, exitOK, code, text)
	require.Regexp(t, `(?s)^Erased, by ann because of "ticket 4711" \(erasure 1\):\nevents +1: .*\nrecords +1: `, text)
	require.Empty(t, c.bodyOf("evt_in_1"))
	_, code = c.run("records", "show", "stripe", "invoice/in_1")
	require.Equal(t, exitNotFound, code)
	text, code = c.run("events", "show", "evt_in_1")
	require.Equal(t, exitOK, code)
	require.Regexp(t, `body removed at +20`, text)

	text, code = c.run("erase", "stripe", "invoice/in_1")
	require.Equal(t, exitOK, code)
	require.Regexp(t, `left, an hour too early +1: stripe invoice/in_1`, text, "all that is left, and it stays for now")
	require.NotContains(t, text, "names of records")
	text, _ = c.run("erasures", "list")
	require.Regexp(t, `(?s)^ID +BEGUN .*\n1 +20\S+ +ann +object +stripe +1 +1 +0 +0 +ticket 4711\n`, text)
}

func TestEraseOfAnObjectFindsTheErrorsOfReconciliationsThatNameIt(t *testing.T) {
	c := newCLI(t)
	c.save("in_1")
	for run, problem := range map[string]string{"one": "fetch invoice/in_1: status 403", "two": "fetch invoice/in_2: status 403"} {
		r, err := c.store.BeginReconciliation(t.Context(), providers.ReconciliationStart{Source: "stripe", List: run, WorkflowID: run, RunID: run})
		require.NoError(t, err)
		require.NoError(t, c.store.EndReconciliation(t.Context(), r.ID, problem))
	}
	text, code := c.run("erase", "stripe", "invoice/in_1")
	require.Equal(t, exitOK, code, text)
	require.Regexp(t, `notes +1: reconciliation \d\n`, text)
}

func TestEraseFindsAPersonByAText(t *testing.T) {
	c := newCLI(t)
	c.acceptFrom("evt_1", "ann@example.org")
	c.acceptFrom("evt_2", "bob@example.org")
	lines, code := c.run(append([]string{"erase", "--matching", "Ann@Example.org", "--json"}, yes...)...)
	require.Equal(t, exitOK, code, lines)
	var report struct {
		Erased bool
		Events []struct{ ID string }
	}
	_, object, _ := strings.Cut(lines, "{") // after the progress, which goes to standard error
	require.NoError(t, json.Unmarshal([]byte("{"+object), &report), lines)
	require.True(t, report.Erased)
	require.Len(t, report.Events, 1)
	require.Equal(t, "evt_1", report.Events[0].ID)
	require.Empty(t, c.bodyOf("evt_1"))
	require.NotEmpty(t, c.bodyOf("evt_2"))
	text, _ := c.run("erasures", "list", "--json")
	require.NotContains(t, strings.ToLower(text), "example.org", "whose data it was is not kept")
}

func TestEraseReadsATextFromStandardInput(t *testing.T) {
	c := newCLI(t)
	c.acceptFrom("evt_1", "ann@example.org")
	text, code := c.runWith("ann@example.org\n", "erase", "--matching", "-")
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "1: stripe/evt_1")
	require.Contains(t, text, "reading all events", "it says that it takes its time")
}

func TestEraseLeavesWhatIsNotFinishedUnlessItIsTold(t *testing.T) {
	c := newCLI(t)
	c.accept("evt_1", providers.StatusPending)
	c.accept("evt_2", providers.StatusReview)
	text, code := c.run(append([]string{"erase", "stripe", "invoice/in_1"}, yes...)...)
	require.Equal(t, exitFailed, code)
	require.Regexp(t, `left, still needed +2: stripe/evt_1 \(pending\), stripe/evt_2 \(review\)`, text)
	require.Contains(t, text, "--unfinished")
	require.NotEmpty(t, c.bodyOf("evt_1"))

	text, code = c.run(append([]string{"erase", "stripe", "invoice/in_1", "--unfinished"}, yes...)...)
	require.Equal(t, exitOK, code, text)
	for _, id := range []string{"evt_1", "evt_2"} {
		require.Empty(t, c.bodyOf(id))
		e, err := c.store.EventRow(t.Context(), "stripe", id)
		require.NoError(t, err)
		require.Equal(t, providers.StatusFailed, e.Status)
		require.Equal(t, "erased: ticket 4711", e.Reason)
	}
}

func TestEraseIsExactAboutHowItIsCalled(t *testing.T) {
	c := newCLI(t)
	c.acceptFrom("evt_1", "ann@example.org")
	for _, line := range []struct {
		args []string
		want string
	}{
		{[]string{"erase"}, "want a source and an object, or --matching"},
		{[]string{"erase", "stripe"}, "want a source and an object"},
		{[]string{"erase", "stripe", "in_1"}, "want <type>/<id>"},
		{[]string{"erase", "stripe", "invoice/in_1", "--source", "stripe"}, "want a source and an object"},
		{[]string{"erase", "stripe", "--matching", "ann@example.org"}, `unexpected argument "stripe"`},
		{[]string{"erase", "--matching", "ann"}, "at least 4 characters"},
		{[]string{"erase", "--matching", ""}, "at least 4 characters"},
		{[]string{"erase", "--matching", "ann@example.org", "--yes"}, "--reason is missing"},
		{[]string{"erase", "--matching", "ann@example.org", "--yes", "--reason", "ANN@example.org asked"}, "must not hold the text"},
		{[]string{"erasures", "list", "--limit", "0"}, "--limit"},
	} {
		text, code := c.run(line.args...)
		require.Equal(t, exitUsage, code, "%v: %s", line.args, text)
		require.Contains(t, text, line.want)
	}
	require.NotEmpty(t, c.bodyOf("evt_1"))
	text, code := c.run("erase", "--matching", "nobody@example.org")
	require.Equal(t, exitNotFound, code, text)
}

func TestEraseTellsASourceThatIsNotDeclared(t *testing.T) {
	c := newCLI(t)
	file := filepath.Join(t.TempDir(), "surehook.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`sources: {stripe: {provider: stripe, secrets: ["${S}"]}}`), 0o600))
	t.Setenv("SUREHOOK_CONFIG", file)
	t.Setenv("S", "whsec_1")
	text, code := c.run("erase", "strip", "customer/cus_1")
	require.Equal(t, exitUsage, code, text)
	require.Contains(t, text, `source "strip" is not declared`)
	text, code = c.run("erase", "stripe", "customer/cus_1")
	require.Equal(t, exitNotFound, code, text)
	require.Contains(t, text, "nothing is held of stripe customer/cus_1")
}

// startTemporal starts a server for the commands of the test.
func startTemporal(t *testing.T) client.Client {
	t.Helper()
	server, err := devserver.Start(t.Context(), devserver.Options{})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	t.Setenv("TEMPORAL_ADDRESS", server.HostPort())
	temporal, err := client.Dial(client.Options{HostPort: server.HostPort(), Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	return temporal
}

func TestEraseNamesRunsThatCarryAnEventAndCancelsThoseItEnds(t *testing.T) {
	temporal := startTemporal(t)
	c := newCLI(t)
	for id, event := range map[string]struct {
		status providers.Status
		inline *providers.InlineEvent
	}{
		"evt_carried":  {providers.StatusIgnored, &providers.InlineEvent{Body: []byte(`{"email":"ann@example.org"}`)}},
		"evt_replayed": {providers.StatusIgnored, &providers.InlineEvent{Body: []byte(`{"email":"ann@example.org"}`)}},
		"evt_thin":     {providers.StatusIgnored, nil},
		"evt_running":  {providers.StatusPending, nil},
		"evt_gone":     {providers.StatusIgnored, nil},
	} {
		ref := providers.EventRef{Source: "stripe", ID: id, Inline: event.inline}
		latest := workflows.ID("stripe", id)
		if event.inline != nil {
			latest += "/replay/again" // which does not carry it
		}
		_, err := c.store.Accept(t.Context(), []providers.Received{{
			Source: "stripe", Event: providers.Event{ID: id}, Status: event.status, WorkflowID: latest,
			Body: []byte(`{"email":"ann@example.org"}`),
		}})
		require.NoError(t, err)
		if id == "evt_gone" {
			continue
		}
		_, err = temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: workflows.ID("stripe", id), TaskQueue: workflows.TaskQueue},
			workflows.Name(workflows.Sync), ref)
		require.NoError(t, err)
	}
	text, code := c.run("replay", "evt_replayed", "--batch", "again", "--reason", "the rule was wrong", "--yes")
	require.Equal(t, exitOK, code, text)
	text, code = c.run(append([]string{"erase", "--matching", "ann@example.org", "--unfinished"}, yes...)...)
	require.Equal(t, exitOK, code, text)
	require.Regexp(t, `events +5: `, text)
	require.Regexp(t, `left in Temporal +(stripe/evt_carried, stripe/evt_replayed|stripe/evt_replayed, stripe/evt_carried)\n`, text)
	require.Equal(t, providers.StatusFailed, c.status("evt_replayed"))
	require.Contains(t, text, "temporal workflow delete --workflow-id")
	require.NotContains(t, text, "not seen")
	for id, want := range map[string]bool{"evt_running": true, "evt_thin": false} {
		asked := false
		history := temporal.GetWorkflowHistory(t.Context(), workflows.ID("stripe", id), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for history.HasNext() {
			event, err := history.Next()
			require.NoError(t, err)
			asked = asked || event.EventType == enums.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
		}
		require.Equal(t, want, asked, id)
	}
}

func TestEraseLeavesAJointRunToItsOtherEvents(t *testing.T) {
	temporal := startTemporal(t)
	c := newCLI(t)
	events := []providers.EventRef{{Source: "stripe", ID: "evt_1"}, {Source: "stripe", ID: "evt_2"}}
	joint := workflows.JointID(events)
	_, err := c.store.Accept(t.Context(), []providers.Received{{
		Source: "stripe", Event: providers.Event{ID: "evt_1"}, Status: providers.StatusPending, WorkflowID: joint,
		Body: []byte(`{"email":"ann@example.org"}`),
	}})
	require.NoError(t, err)
	_, err = temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: joint, TaskQueue: workflows.JointQueue},
		workflows.Name(workflows.SyncMany), events)
	require.NoError(t, err)

	text, code := c.run(append([]string{"erase", "--matching", "ann@example.org", "--unfinished"}, yes...)...)
	require.Equal(t, exitOK, code, text)
	require.NotContains(t, text, "in Temporal")
	require.Equal(t, providers.StatusFailed, c.status("evt_1"))
	history := temporal.GetWorkflowHistory(t.Context(), joint, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(t, err)
		require.NotEqual(t, enums.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED, event.EventType)
	}
}

func TestEraseEndsAnEventThatIsBeingReplayed(t *testing.T) {
	c := newCLI(t)
	c.save("in_1")
	_, err := c.store.BeginBatch(t.Context(), store.Batch{Name: "again", What: store.BatchReplay, AskedBy: "bob", Reason: "why not"})
	require.NoError(t, err)
	b, err := c.store.Reopen(t.Context(), "again", 10, func(providers.EventRef) string { return "" })
	require.NoError(t, err)
	require.EqualValues(t, 1, b.Events)
	text, code := c.run(append([]string{"erase", "stripe", "invoice/in_1", "--unfinished"}, yes...)...)
	require.Equal(t, exitOK, code, text)
	require.Empty(t, c.bodyOf("evt_in_1"))
	e, err := c.store.EventRow(t.Context(), "stripe", "evt_in_1")
	require.NoError(t, err)
	require.Equal(t, providers.StatusFailed, e.Status)
}
