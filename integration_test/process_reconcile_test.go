//go:build unix

package integration_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os/exec"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

// fails runs a command of the binary that must end with the code, and returns
// what it prints.
func (s *stage) fails(code int, args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), binary(s.t), args...)
	cmd.Env, cmd.Dir = s.env, s.dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.Error(s.t, cmd.Run())
	require.Equal(s.t, code, cmd.ProcessState.ExitCode(), "surehook %v: %s", args, &out)
	return out.String()
}

func TestAnOperatorReconcilesFromTheCommandLine(t *testing.T) {
	s := newStage(t, embedded)
	p := s.serve()
	p.untilLogged("schedules written")
	missed, err := s.platform("stripe").Trigger(t.Context(), "customer.created", sandbox.Undelivered())
	require.NoError(t, err)
	quiet, err := s.platform("stripe").Create("customer", nil)
	require.NoError(t, err)

	out := s.surehook("reconcile", "run", "stripe")
	require.Regexp(t, `stripe events: complete in \S+: 1 page, 1 object, 1 missed event, 0 repaired records, 0 failed, `, out)
	require.Regexp(t, `stripe customer: complete in \S+: 1 page, 2 objects, 0 missed events, [12] repaired records?, 0 failed, `, out,
		"the event's own run may have been the first for one of them")
	s.untilTrue("stripe", missed.Object)
	s.untilTrue("stripe", quiet)
	require.Regexp(t, `(?m)^stripe +events .* complete +-$`, s.surehook("reconcile", "list", "--source", "stripe"))

	out = s.surehook("reconcile", "run", "stripe", "--list", "product")
	require.Contains(t, out, "stripe product: complete in ", "which has no schedule")

	metrics := s.metrics()
	require.Contains(t, metrics, `surehook_reconcile_complete_timestamp_seconds{list="events",source="stripe"} 1.`)
	require.NotContains(t, metrics, `surehook_reconcile_complete_timestamp_seconds{list="product"`, "nobody expects it again")
	require.Contains(t, metrics, `surehook_reconcile_missed_events_total{list="events",source="stripe"} 1`)

	require.NoError(t, s.platform("stripe").Delete(quiet))
	args := []string{"reconcile", "backfill", "stripe", "--list", "unseen", "--since", "all", "--reason", "deleted by hand", "--by", "ann"}
	out = s.surehook(args...)
	require.Contains(t, out, "1 page, 2 objects, 0 missed events, 1 repaired record, 0 failed, 2 calls")
	s.untilTrue("stripe", quiet)
	require.Contains(t, s.surehook("reconcile", "list", "--list", "unseen", "--json"), `"requested_by":"ann","requested_reason":"deleted by hand"`)

	require.NoError(t, s.platform("stripe").SetFaults(sandbox.Faults{API: []sandbox.APIFault{{Kind: sandbox.FaultError, Status: http.StatusUnauthorized, Next: 1}}}))
	out = s.fails(1, "reconcile", "run", "stripe", "--list", "customer")
	require.Contains(t, out, "stripe customer: failed in ")
	require.Contains(t, out, "surehook: reconcile stripe customer: stripe: list customer: status 401")
}

func (s *stage) metrics() string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.admin+"/metrics", nil)
	require.NoError(s.t, err)
	got, err := do(req)
	require.NoError(s.t, err)
	return got.Body
}

// untilTrue waits until our record equals the platform's object.
func (s *stage) untilTrue(source string, ref providers.Ref) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		object, _ := s.platform(source).Object(ref)
		r, err := s.store.Record(s.t.Context(), source, ref.Type, ref.ID)
		if err != nil || r.Deleted != object.Deleted {
			return false
		}
		return object.Deleted || sameJSON(s.t, object.State, r.State)
	}, patience, 20*time.Millisecond, "the record of %s is not true", ref)
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	require.NoError(t, json.Unmarshal(a, &x))
	require.NoError(t, json.Unmarshal(b, &y))
	return reflect.DeepEqual(x, y)
}
