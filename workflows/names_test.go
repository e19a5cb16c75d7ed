package workflows_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

var update = flag.Bool("update", false, "add new lines to testdata/*.golden")

// Temporal and the inbox keep these names in what is already running.
func TestStoredNamesStay(t *testing.T) {
	var now []string
	for _, w := range workflows.All() {
		now = append(now, "workflow "+workflows.Name(w))
	}
	methods := reflect.TypeFor[*activities.Activities]()
	for i := range methods.NumMethod() {
		now = append(now, "activity "+methods.Method(i).Name)
	}
	for _, key := range workflows.SearchAttributeKeys {
		now = append(now, "search attribute "+key.GetName()+" "+key.GetValueType().String())
	}
	for _, s := range []providers.Status{
		providers.StatusPending, providers.StatusProcessed, providers.StatusIgnored, providers.StatusReview, providers.StatusFailed,
	} {
		now = append(now, "status "+string(s))
	}
	for _, o := range []providers.Origin{providers.OriginFetch, providers.OriginPayload} {
		now = append(now, "origin "+string(o))
	}
	for _, m := range []providers.Mode{providers.ModeLive, providers.ModeTest} {
		now = append(now, "mode "+string(m))
	}
	for _, action := range []workflows.Action{workflows.Retry, workflows.Skip, workflows.Fail} {
		now = append(now, "action "+string(action))
	}
	for _, did := range []providers.Upkeep{providers.UpkeepNone, providers.UpkeepCreated, providers.UpkeepRenewed} {
		now = append(now, "upkeep "+string(did))
	}
	now = append(now,
		"schedule "+workflows.KeepID("<source>"),
		strings.TrimRight("workflow id "+workflows.JointID([]providers.EventRef{{Source: "<source>"}}), "0123456789abcdef")+"<hash>",
		"signal "+workflows.SignalResolve,
		"schedule "+workflows.RetentionSchedule(time.Hour).ID,
		"task queue "+workflows.TaskQueue,
		"task queue "+workflows.JointQueue,
		"fetch queue "+workflows.FetchQueue("<source>"),
		"workflow id "+workflows.ID("<source>", "<event id>"),
		"reconcile id "+workflows.ReconcileID("<source>", "<list>"),
		"backfill id "+workflows.BackfillID("<source>", "<list>", received),
		"backfill id "+workflows.BackfillID("<source>", "<list>", time.Time{}),
		"list "+providers.Unseen,
		"workflow id "+workflows.IDOf(providers.EventRef{Source: "<source>", ID: "<event id>", Replay: "<batch>"}),
		"notice key "+activities.Notice{Source: "<source>", Event: "<event id>"}.Key(),
	)
	for _, line := range golden(t, "names.golden", now) {
		if !slices.Contains(now, line) {
			t.Errorf("%q is gone or has changed: this breaks running workflows.\n"+
				"Runs started by a release still ask for it, and a parked one may do so for months.\n"+
				"Keep the old name beside the new one, or, if it was in no release, delete the line from testdata/names.golden.", line)
		}
	}
}

func TestIDIsOneForOneEvent(t *testing.T) {
	long := strings.Repeat("x", 300)
	require.Equal(t, "stripe/evt_1", workflows.ID("stripe", "evt_1"))
	require.Equal(t, "s/"+strings.Repeat("x", 253), workflows.ID("s", strings.Repeat("x", 253)), "255 bytes fit")
	require.Equal(t,
		"s/"+strings.Repeat("x", 188)+"#c1bef4e6834e38adc8264c552a92cf3579817dca46a5899e2e87c3aca28f3895",
		workflows.ID("s", long), "the form of a long ID is stored too")
	require.NotEqual(t, workflows.ID("s", long+"a"), workflows.ID("s", long+"b"), "they differ at the end only")
	require.NotEqual(t, workflows.ID("s", "\xff"), workflows.ID("s", "\xfe"), "dropping what is no UTF-8 would make them one")
}

func TestEachReplayHasAnIDOfItsOwn(t *testing.T) {
	ev := providers.EventRef{Source: "stripe", ID: "evt_1"}
	require.Equal(t, workflows.ID("stripe", "evt_1"), workflows.IDOf(ev))
	ev.Replay = "again"
	require.Equal(t, "stripe/evt_1/replay/again", workflows.IDOf(ev))
	ev.ID = strings.Repeat("x", 300)
	first := workflows.IDOf(ev)
	storable(t, first, 255)
	ev.Replay = "once-more"
	require.NotEqual(t, first, workflows.IDOf(ev), "they differ at the end only")
}

func TestNamesAreWhatTemporalCanStore(t *testing.T) {
	for _, id := range []string{
		"", "evt_1", strings.Repeat("x", 252), strings.Repeat("x", 253), strings.Repeat("x", 254), strings.Repeat("x", 10_000),
		strings.Repeat("é", 300), "x" + strings.Repeat("é", 300), strings.Repeat("世", 300), "x" + strings.Repeat("世", 300), strings.Repeat("😀", 300),
		"xxx" + strings.Repeat("😀", 300), "\xff\xfe", strings.Repeat("\xff", 300),
	} {
		storable(t, workflows.ID("stripe", id), 255)
		ev := providers.EventRef{Source: "stripe", Type: id, ID: id, Ref: providers.Ref{Type: "object", ID: id}}
		storable(t, workflows.Summary(ev), 400)
		attributes := workflows.SearchAttributes(ev)
		for _, key := range workflows.SearchAttributeKeys {
			value, _ := attributes.GetKeyword(key)
			storable(t, value, 255)
		}
	}
}

func storable(t *testing.T, s string, limit int) {
	t.Helper()
	require.LessOrEqual(t, len(s), limit)
	require.True(t, utf8.ValidString(s), "%q", s)
}

func TestSummarySaysWhatHappenedToWhat(t *testing.T) {
	require.Equal(t, "stripe invoice.paid · invoice/in_1", workflows.Summary(paid))
	require.Equal(t, "stripe ping", workflows.Summary(providers.EventRef{Source: "stripe", Type: "ping"}))
}

func TestSearchAttributesNameTheObjectOnlyIfThereIsOne(t *testing.T) {
	require.Equal(t, 3, workflows.SearchAttributes(paid).Size())
	require.Equal(t, 2, workflows.SearchAttributes(providers.EventRef{Source: "stripe", Type: "ping"}).Size())
}

// golden returns the lines of a file that every one of now must be in: a new
// one is added with -update. It never takes one away.
func golden(t *testing.T, name string, now []string) []string {
	t.Helper()
	path := filepath.Join("testdata", name)
	content, err := os.ReadFile(path)
	if !*update {
		require.NoError(t, err)
	}
	lines := strings.Split(strings.TrimSpace(string(bytes.TrimSpace(content))), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return line == "" })
	for _, line := range now {
		switch {
		case slices.Contains(lines, line):
		case *update:
			lines = append(lines, line)
		default:
			t.Errorf("%q is new: if it is meant to be stored, add it with go test ./workflows -update", line)
		}
	}
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	}
	return lines
}
