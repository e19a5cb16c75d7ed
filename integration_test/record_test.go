package integration_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/workflows"
)

// recordings is where the replay test of the definitions finds histories.
const recordings = "../workflows/testdata/replay"

// TestRecordHistories writes the histories that workflows/replay_test.go
// replays. It is run on the commit of a release, and what it has written for
// one release is kept for as long as a run of it may be open:
//
//	SUREHOOK_RECORD_HISTORIES=1 go test -run TestRecordHistories ./integration_test/
//
// A recording that exists is not written again: it stands for code that has
// been released. (Until the first release, delete it to renew it.)
func TestRecordHistories(t *testing.T) {
	if os.Getenv("SUREHOOK_RECORD_HISTORIES") == "" {
		t.Skip("writes files; set SUREHOOK_RECORD_HISTORIES=1 to record histories for the replay test")
	}
	require.NoError(t, os.MkdirAll(recordings, 0o755))
	const (
		running   = enums.WORKFLOW_EXECUTION_STATUS_RUNNING
		completed = enums.WORKFLOW_EXECUTION_STATUS_COMPLETED
		failed    = enums.WORKFLOW_EXECUTION_STATUS_FAILED
		canceled  = enums.WORKFLOW_EXECUTION_STATUS_CANCELED
	)
	for name, story := range map[string]struct {
		tell func(*system) sandbox.Event
		ends enums.WorkflowExecutionStatus
	}{
		"sync": {func(s *system) sandbox.Event {
			return s.trigger(s.stripe, "customer.created")
		}, completed},
		"sync_by_regular_activity": {func(s *system) sandbox.Event {
			s.fail(s.stripe, sandbox.APIFault{Kind: sandbox.FaultError, Next: 2})
			return s.trigger(s.stripe, "customer.created")
		}, completed},
		"sync_after_a_rate_limit": {func(s *system) sandbox.Event {
			s.fail(s.stripe, sandbox.APIFault{Kind: sandbox.FaultRateLimit, RetryAfter: time.Second, Next: 1})
			return s.trigger(s.stripe, "customer.created")
		}, completed},
		"sync_parked": {func(s *system) sandbox.Event {
			return s.park("customer.created")
		}, running},
		"sync_parked_and_retried": {func(s *system) sandbox.Event {
			ev := s.park("customer.created")
			s.fail(s.stripe)
			s.resolve(ev, workflows.Retry)
			return ev
		}, completed},
		"sync_parked_and_skipped": {func(s *system) sandbox.Event {
			ev := s.park("customer.created")
			s.resolve(ev, workflows.Skip)
			return ev
		}, completed},
		"sync_parked_and_given_up": {func(s *system) sandbox.Event {
			ev := s.park("customer.created")
			s.resolve(ev, workflows.Fail)
			return ev
		}, failed},
		"sync_parked_and_cancelled": {func(s *system) sandbox.Event {
			ev := s.park("customer.created")
			s.untilListed(providers.StatusReview, 1)
			require.NoError(s.t, s.client.CancelWorkflow(s.t.Context(), workflows.ID("stripe", ev.ID), ""))
			return ev
		}, canceled},
		"sync_inline": {func(s *system) sandbox.Event {
			ev := s.trigger(s.stripe, "customer.created", sandbox.Undelivered())
			s.carry(ev)
			return ev
		}, completed},
		"sync_inline_finished_before": {func(s *system) sandbox.Event {
			ev := s.trigger(s.stripe, "customer.created")
			s.untilRun("stripe", ev.ID, completed)
			s.forgetRun("stripe", ev.ID)
			s.carry(ev)
			return ev
		}, completed},
		"invoice_paid": {func(s *system) sandbox.Event {
			return s.trigger(s.stripe, "invoice.paid")
		}, completed},
		"invoice_paid_parked_at_notify_and_retried": {func(s *system) sandbox.Event {
			s.receiver.FailNext(1, http.StatusBadRequest)
			ev := s.trigger(s.stripe, "invoice.paid")
			s.untilStatus("stripe", ev.ID, providers.StatusReview)
			s.resolve(ev, workflows.Retry)
			return ev
		}, completed},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(recordings, name+".json")
			if _, err := os.Stat(file); err == nil {
				t.Skipf("%s has been recorded", file)
			}
			s := start(t, options{})
			ev := story.tell(s)
			if story.ends == running {
				s.untilListed(providers.StatusReview, 1)
			}
			s.untilRun("stripe", ev.ID, story.ends)
			require.NoError(t, os.WriteFile(file, s.recording(workflows.ID("stripe", ev.ID)), 0o644))
		})
	}
	for name, alter := range map[string]func(*system, []sandbox.Event){
		"sync_many": func(*system, []sandbox.Event) {},
		"sync_many_leaves_one": func(s *system, events []sandbox.Event) {
			s.refuse(events[1])
		},
		"sync_many_leaves_all": func(s *system, events []sandbox.Event) {
			s.refuse(events...)
		},
		"sync_many_leaves_one_that_has_a_run": func(s *system, events []sandbox.Event) {
			s.refuse(events[1])
			require.Equal(s.t, 200, s.post(s.stripe, "stripe", events[1].ID).Status)
			s.untilStatus("stripe", events[1].ID, providers.StatusReview)
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(recordings, name+".json")
			if _, err := os.Stat(file); err == nil {
				t.Skipf("%s has been recorded", file)
			}
			s := start(t, options{})
			var events []sandbox.Event
			for range 3 {
				events = append(events, s.trigger(s.stripe, "customer.created", sandbox.Undelivered()))
			}
			alter(s, events)
			id := s.startJoint(events...)
			s.untilRunOf(id, completed)
			require.NoError(t, os.WriteFile(file, s.recording(id), 0o644))
		})
	}
	for name, tell := range map[string]func(*system){
		"reconcile": func(s *system) {
			s.trigger(s.stripe, "customer.created", sandbox.Undelivered())
			_, err := s.run(activities.ReconcileStart{Source: "stripe", List: "customer", LookbackSeconds: 3600})
			require.NoError(s.t, err)
		},
		"reconcile_over_several_pages": func(s *system) {
			s.drift(250, 3)
			_, err := s.run(activities.ReconcileStart{Source: "stripe", List: "invoice", Backfill: true, By: "ann", Reason: "a new list"})
			require.NoError(s.t, err)
		},
		"reconcile_refused": func(s *system) {
			s.fail(s.stripe, sandbox.APIFault{Kind: sandbox.FaultError, Status: http.StatusUnauthorized, Next: 1})
			_, err := s.run(activities.ReconcileStart{Source: "stripe", List: "customer"})
			require.Error(s.t, err)
		},
		"reconcile_incomplete": func(s *system) {
			ref, err := s.stripe.Create("customer", nil)
			require.NoError(s.t, err)
			object, _ := s.stripe.Object(ref)
			s.fail(s.stripe, sandbox.APIFault{Kind: sandbox.FaultError, Path: object.Paths[0], Probability: 1})
			_, err = s.run(activities.ReconcileStart{Source: "stripe", List: "customer", LookbackSeconds: 3600})
			require.ErrorContains(s.t, err, "status 500")
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(recordings, name+".json")
			if _, err := os.Stat(file); err == nil {
				t.Skipf("%s has been recorded", file)
			}
			s := start(t, options{maxAttempts: 1})
			tell(s)
			require.NoError(t, os.WriteFile(file, s.recording(storyRun), 0o644))
		})
	}
	lifecycle := func(s *system, graph *sandbox.Platform) string {
		made := s.keep()
		ev := s.trigger(graph, "lifecycle.missed", sandbox.On(providers.Ref{Type: "subscription", ID: made[0].ID}))
		s.untilRun("msgraph", ev.ID, completed)
		return workflows.ID("msgraph", ev.ID)
	}
	for name, tell := range map[string]func(*system, *sandbox.Platform) string{
		"keep": func(s *system, _ *sandbox.Platform) string {
			s.keep()
			return storyKeep
		},
		"subscription_lifecycle": lifecycle,
		"subscription_lifecycle_beside_a_running_reconciliation": func(s *system, graph *sandbox.Platform) string {
			s.occupyDelta()
			return lifecycle(s, graph)
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(recordings, name+".json")
			if _, err := os.Stat(file); err == nil {
				t.Skipf("%s has been recorded", file)
			}
			s, graph, _ := startKept(t)
			id := tell(s, graph)
			require.NoError(t, os.WriteFile(file, s.recording(id), 0o644))
		})
	}
}

// startJoint accepts events and starts their joint run, without the relay.
func (s *system) startJoint(events ...sandbox.Event) (workflowID string) {
	s.t.Helper()
	var received []providers.Received
	for _, ev := range events {
		received = append(received, providers.Received{
			Source:     "stripe",
			Event:      providers.Event{ID: ev.ID, Type: ev.Type, Ref: ev.Object},
			Status:     providers.StatusPending,
			WorkflowID: workflows.ID("stripe", ev.ID),
		})
	}
	rows, err := s.store.Accept(s.t.Context(), received)
	require.NoError(s.t, err)
	var refs []providers.EventRef
	for _, row := range rows {
		refs = append(refs, row.EventRef)
	}
	run, err := s.client.ExecuteWorkflow(s.t.Context(), client.StartWorkflowOptions{
		ID:                    workflows.JointID(refs),
		TaskQueue:             workflows.JointQueue,
		TypedSearchAttributes: workflows.JointSearchAttributes(refs),
		StaticSummary:         workflows.JointSummary(refs),
		StaticDetails:         workflows.JointDetails(refs),
	}, workflows.SyncMany, refs)
	require.NoError(s.t, err)
	return run.GetID()
}

// recording is the history of the latest run of a workflow ID as JSON, without what
// names the machine it ran on.
func (s *system) recording(workflowID string) []byte {
	s.t.Helper()
	raw, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(s.historyOf(workflowID))
	require.NoError(s.t, err)
	var h any
	require.NoError(s.t, json.Unmarshal(raw, &h))
	scrub(h)
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	require.NoError(s.t, encoder.Encode(h))
	return text.Bytes()
}

// scrub drops process ids, host names and the binary's checksum. A sticky task
// queue is named after the host; its normalName is the queue's own.
func scrub(node any) {
	switch node := node.(type) {
	case map[string]any:
		for _, name := range []string{"identity", "workerVersion", "binaryChecksum", "stackTrace"} {
			delete(node, name)
		}
		if name, sticky := node["normalName"]; sticky {
			node["name"] = name
		}
		for _, child := range node {
			scrub(child)
		}
	case []any:
		for _, child := range node {
			scrub(child)
		}
	}
}
