package workflows_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// What any release has stored in a history must be read by every later one.
// The golden file holds what releases wrote; lines are added, never changed.
func TestStoredJSONStaysReadable(t *testing.T) {
	ref := providers.Ref{Type: "invoice", ID: "in_1", Account: "acct_1"}
	event := providers.EventRef{Source: "stripe", ID: "evt_1", Type: "invoice.paid", Ref: ref, ReceivedAt: received,
		Replay: "again", ReplayedAt: received.Add(time.Hour), NotBefore: received.Add(2 * time.Hour)}
	inline := event
	inline.Inline = &providers.InlineEvent{
		OccurredAt: received.Add(-time.Second),
		Mode:       providers.ModeLive,
		APIVersion: "2026-01-01",
		Header:     http.Header{"Stripe-Signature": {"t=1,v1=0"}},
		Body:       []byte(`{"id":"evt_1"}`),

		Fingerprint: "28a7b370b2ce034092e4d184ebcaff819db611b7",
	}
	start := activities.ReconcileStart{
		Source: "stripe", List: "invoice", LookbackSeconds: 3600, Backfill: true, Since: received, By: "ann", Reason: "a new list", RunID: "run_1",
	}
	tally := providers.Tally{Pages: 1, Objects: 2, Missed: 3, Repaired: 4, Failed: 5, Calls: 6}
	at := activities.ReconcilePosition{
		ID: 7, Source: "stripe", List: "invoice", Since: received, Mark: "m", Cursor: "c", Checkpoint: "c0", Last: true, Resync: true,
		Done: tally, Problem: "status 500",
	}
	values := []any{
		start,
		at,
		workflows.ReconcileInput{ReconcileStart: start, At: &at},
		activities.ReconcileEnd{ID: 7, Source: "stripe", List: "invoice", Problem: "status 401"},
		tally,
		inline,
		activities.SyncInput{Event: event, Finish: true},
		activities.SyncManyResult{Left: []activities.LeftEvent{{ID: "evt_1", AfterSeconds: 42}}},
		providers.Started{Source: "stripe", ID: "evt_1", Replay: "again", WorkflowID: "stripe/evt_1", RunID: "run_1", LeftBy: "stripe/joint/1f"},
		providers.Saved{Ref: ref, Changed: true, Deleted: true, Covered: true},
		providers.Accepted{EventRef: event, Status: providers.StatusPending, Duplicate: true},
		providers.Settlement{Source: "stripe", ID: "evt_1", Status: providers.StatusIgnored, Reason: "looked at it", ResolvedBy: "ann", Replay: "again"},
		activities.Notice{Source: "stripe", Event: "evt_1", Type: "invoice.paid", Ref: ref},
		activities.KeepInput{Source: "msgraph", EventType: "lifecycle.missed", Subscription: "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"},
		providers.Subscription{ID: "1", What: "users (updated,deleted)", Expires: received, Did: providers.UpkeepCreated, List: "delta"},
		activities.RetainInput{OlderThanSeconds: 3600, Done: activities.Retained{Bodies: 41, Rejections: 2, After: 9, More: true}},
		activities.Retained{Bodies: 41, Rejections: 2, After: 9, More: true},
		workflows.Resolution{Action: workflows.Retry, By: "ann", Reason: "the key has been renewed"},
	}
	var now []string
	types := map[string]reflect.Type{}
	for _, v := range values {
		requireNoZero(t, reflect.ValueOf(v))
		body, err := json.Marshal(v)
		require.NoError(t, err)
		typ := reflect.TypeOf(v)
		types[typ.Name()] = typ
		now = append(now, typ.Name()+" "+string(body))
	}
	for _, line := range golden(t, "stored.golden", now) {
		name, body, _ := strings.Cut(line, " ")
		if types[name] == nil {
			t.Errorf("%s is gone: this breaks running workflows", name)
			continue
		}
		var was, is any
		require.NoError(t, json.Unmarshal([]byte(body), &was))
		v := reflect.New(types[name])
		require.NoError(t, json.Unmarshal([]byte(body), v.Interface()), "this breaks running workflows: %s", line)
		again, err := json.Marshal(v.Interface())
		require.NoError(t, err)
		require.NoError(t, json.NewDecoder(bytes.NewReader(again)).Decode(&is))
		if !within(was, is) {
			t.Errorf("this breaks running workflows: a member of %s is not read any more:\nstored %s\nread   %s", name, body, again)
		}
	}
}

// within reports whether everything in was is also in is.
func within(was, is any) bool {
	object, ok := was.(map[string]any)
	if !ok {
		return reflect.DeepEqual(was, is)
	}
	other, _ := is.(map[string]any)
	for name, value := range object {
		if !within(value, other[name]) {
			return false
		}
	}
	return true
}

// requireNoZero makes sure that a new field gets a value here, and with it a
// line in the golden file.
func requireNoZero(t *testing.T, v reflect.Value) {
	t.Helper()
	for field, value := range v.Fields() {
		if field.Name == "Inline" && value.IsNil() {
			continue // it has a line of its own, within EventRef
		}
		if field.Tag.Get("json") == "-" {
			continue
		}
		require.False(t, value.IsZero(), "%s.%s has no value in this test", v.Type(), field.Name)
		value = reflect.Indirect(value)
		if value.Kind() == reflect.Struct && value.Type() != reflect.TypeFor[time.Time]() {
			requireNoZero(t, value)
		}
	}
}
