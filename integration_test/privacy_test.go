package integration_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/proto"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/workflows"
)

// personal is what a payload and an API's answers hold here of a person.
var personal = []string{"marker.person@example.org", "Marker Personname", "+49-1555-MARKER"}

// markers is what must be in the database, or in nobody's hands, and never in
// Temporal or in a log.
var markers = append([]string{stripeSecret, githubSecret, apiKey, notifyToken}, personal...)

// tellTale gives an object the personal data.
func tellTale() sandbox.Option {
	return sandbox.Set(map[string]any{
		"email": personal[0], "customer_email": personal[0], "name": personal[1], "phone": personal[2],
		"title": personal[1], "body": strings.Join(personal, " "),
	})
}

// indiscreet is an API that repeats in its errors whatever it knows.
func indiscreet(platform http.Handler, status func() int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault := status()
		if fault == 0 {
			platform.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Request-Id", personal[0])
		w.WriteHeader(fault)
		body, _ := json.Marshal(map[string]any{"error": map[string]string{
			"type":    "invalid_request_error",
			"message": "key " + r.Header.Get("Authorization") + " may not read " + strings.Join(personal, " "),
			"code":    "not for " + personal[0],
		}})
		_, _ = w.Write(body)
	})
}

func TestNoPayloadSecretOrPersonalDataIsInTemporalOrInALog(t *testing.T) {
	t.Parallel()
	faults := make(chan int, 10) // what the next calls are answered
	s := start(t, options{maxAttempts: 2, stripeAPI: func(platform http.Handler) http.Handler {
		return indiscreet(platform, func() int {
			select {
			case status := <-faults:
				return status
			default:
				return 0
			}
		})
	}})

	well := s.trigger(s.stripe, "invoice.paid", tellTale())
	s.untilStatus("stripe", well.ID, providers.StatusProcessed)
	require.Contains(t, s.state("stripe", well.Object), personal[0], "the story has personal data in it")

	fetched := s.trigger(s.github, "issues", tellTale())
	s.untilStatus("github", fetched.ID, providers.StatusProcessed)
	payload := s.trigger(s.github, "discussion", tellTale())
	s.untilStatus("github", payload.ID, providers.StatusProcessed)
	require.Contains(t, s.state("github", payload.Object), personal[1])

	faults <- http.StatusUnauthorized
	refused := s.trigger(s.stripe, "customer.created", tellTale())
	s.untilStatus("stripe", refused.ID, providers.StatusReview)
	for range 3 {
		faults <- http.StatusInternalServerError
	}
	down := s.trigger(s.stripe, "customer.created", tellTale())
	s.untilStatus("stripe", down.ID, providers.StatusReview)

	s.receiver.FailNext(2, http.StatusServiceUnavailable)
	untold := s.trigger(s.stripe, "invoice.paid", tellTale())
	require.Contains(t, s.untilStatus("stripe", untold.ID, providers.StatusReview).Reason, "notify: ")

	forged := s.request(s.stripe, s.trigger(s.stripe, "customer.created", tellTale(), sandbox.Undelivered()).ID)
	require.Equal(t, http.StatusUnauthorized, s.send("stripe", s.signed(forged, stripeSecret+"?", time.Now())).Status)
	forged.Body = forged.Body[:len(forged.Body)/2]
	unreadable := s.signed(forged, stripeSecret, time.Now())
	require.Equal(t, http.StatusOK, s.send("stripe", unreadable).Status)
	s.untilRejected("stripe", "bad_signature", 1)
	for _, parked := range []sandbox.Event{refused, down, untold} {
		require.Contains(t, s.details(parked), "**Parked for review**")
		requireDiscreet(t, "the details of a parked run", s.details(parked))
	}
	s.halt()

	for name, everything := range s.everythingInTemporal(6) {
		requireDiscreet(t, name, everything)
	}
	log := s.log.String()
	require.Contains(t, log, "level=DEBUG", "all is logged")
	require.Contains(t, log, "reason=bad_signature")
	requireDiscreet(t, "the log", log)
}

// state is that of our record.
func (s *system) state(source string, ref providers.Ref) string {
	s.t.Helper()
	record, err := s.store.Record(s.t.Context(), source, ref.Type, ref.ID)
	require.NoError(s.t, err)
	return string(record.State)
}

// everythingInTemporal is, for each run, the bytes of all that Temporal stores of
// it: its history, its description with memo and search attributes.
func (s *system) everythingInTemporal(runs int) map[string]string {
	s.t.Helper()
	var list *workflowservice.ListWorkflowExecutionsResponse
	s.eventually(func() bool {
		var err error
		list, err = s.client.ListWorkflow(s.t.Context(), &workflowservice.ListWorkflowExecutionsRequest{PageSize: 100})
		return err == nil && len(list.Executions) == runs
	}, "not %d runs are listed", runs)
	all := map[string]string{}
	for _, listed := range list.Executions {
		name := listed.Execution.WorkflowId
		described, err := s.client.DescribeWorkflowExecution(s.t.Context(), name, listed.Execution.RunId)
		require.NoError(s.t, err)
		source, id, _ := strings.Cut(name, "/")
		for _, message := range []proto.Message{listed, described, s.history(source, id)} {
			raw, err := proto.Marshal(message)
			require.NoError(s.t, err)
			all[name] += string(raw)
		}
		require.Contains(s.t, all[name], workflows.SourceKey.GetName())
	}
	return all
}

func requireDiscreet(t *testing.T, where, text string) {
	t.Helper()
	for _, marker := range markers {
		// Not require.NotContains, which would print all of it.
		require.False(t, reveals(text, marker), "%s reveals %q", where, marker)
	}
}

// reveals also finds a marker within bytes that JSON has made base64 of: at
// each of the three places where the marker can begin in a group of letters.
func reveals(text, marker string) bool {
	if strings.Contains(text, marker) {
		return true
	}
	for offset := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", offset) + marker))
		first := (offset*8 + 5) / 6 // the letters before also depend on what stands there
		last := (offset + len(marker)) * 8 / 6
		if strings.Contains(text, encoded[first:last]) {
			return true
		}
	}
	return false
}

// The search above would find what must not be there, because here it may be:
// while the database is away, the history is the only place for the event.
func TestOnlyAnInlineEventIsInItsHistory(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.trigger(s.stripe, "customer.created", tellTale(), sandbox.Undelivered())
	s.carry(ev)
	s.untilRun("stripe", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	for name, everything := range s.everythingInTemporal(1) {
		for _, marker := range personal {
			require.True(t, reveals(everything, marker), "%s: %s", name, marker)
		}
		require.False(t, reveals(everything, stripeSecret))
		require.False(t, reveals(everything, apiKey))
	}
}
