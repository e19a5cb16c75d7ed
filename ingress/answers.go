package ingress

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

// reason says in one word why a request was not accepted: in the rejections,
// the metrics and the log. The sender gets less; see statusOf and errorText.
type reason string

const (
	unknownSource   reason = "unknown_source"
	wrongPathToken  reason = "wrong_path_token"
	wrongMethod     reason = "wrong_method"
	wrongAddress    reason = "address_not_allowed"
	wrongEncoding   reason = "content_encoding"
	wrongMediaType  reason = "media_type"
	tooLarge        reason = "too_large"
	overloaded      reason = "overloaded"
	incompleteBody  reason = "incomplete_body"
	badSignature    reason = "bad_signature"
	staleSignature  reason = "stale"
	overRate        reason = "over_rate"
	notDurable      reason = "not_durable"
	internalFailure reason = "internal_failure"
)

// refusal is an error that ends a request: nothing of it was accepted.
type refusal struct {
	reason reason
	detail string        // for the operator; see providers.Rejection
	after  time.Duration // when to send it again, where that can help
	allow  string        // of wrongMethod: the methods that are right
}

func (r *refusal) Error() string { return string(r.reason) + ": " + r.detail }

// statusOf is the only place that picks the status of a refusal. Platforms send
// again after 5xx and 429, and may switch an endpoint off that keeps answering
// 4xx: so 4xx is only for requests that will never be right.
func statusOf(r reason) int {
	switch r {
	case unknownSource, wrongPathToken:
		return http.StatusNotFound
	case wrongMethod:
		return http.StatusMethodNotAllowed
	case wrongAddress:
		return http.StatusForbidden
	case wrongEncoding, wrongMediaType:
		return http.StatusUnsupportedMediaType
	case tooLarge:
		return http.StatusRequestEntityTooLarge
	case incompleteBody:
		return http.StatusBadRequest
	case badSignature, staleSignature:
		return http.StatusUnauthorized
	case overRate:
		return http.StatusTooManyRequests
	default: // overloaded, notDurable, internalFailure: our fault, nothing happened
		return http.StatusServiceUnavailable
	}
}

// answer is the body of a 200.
type answer struct {
	Status string          `json:"status"` // accepted or duplicate
	Events []answeredEvent `json:"events"`

	handshake *providers.Response // answered instead of the above
	accepted  providers.Response  // the platform's own words for the above, or zero
}

// answeredEvent is one event of the request. The workflow ID is that of a run of its
// own, which it need not have; it is empty when no workflow is started for it.
type answeredEvent struct {
	ID         string `json:"id"`
	WorkflowID string `json:"workflow_id,omitempty"`
}

// What answer.Status can be, and what metrics call a handshake.
const (
	statusAccepted  = "accepted"
	statusDuplicate = "duplicate"
	statusHandshake = "handshake"
)

// answerFor describes what has been accepted. The request counts as a
// duplicate when all of it had been delivered before.
func (s *source) answerFor(received []providers.Received, accepted []providers.Accepted) answer {
	a := answer{Status: statusAccepted, Events: make([]answeredEvent, len(accepted)), accepted: s.endpoint.Accepted}
	fresh := len(accepted) == 0
	for i, ev := range accepted {
		a.Events[i].ID = ev.ID
		if received[i].Status == providers.StatusPending {
			a.Events[i].WorkflowID = workflows.IDOf(ev.EventRef) // it may be known under another ID
		}
		fresh = fresh || !ev.Duplicate
	}
	if !fresh {
		a.Status = statusDuplicate
	}
	return a
}

func writeAnswer(w http.ResponseWriter, a answer) {
	switch {
	case a.handshake != nil:
		writeResponse(w, *a.handshake)
	case !a.accepted.IsZero():
		writeResponse(w, a.accepted)
	default:
		writeJSON(w, http.StatusOK, a)
	}
}

func writeResponse(w http.ResponseWriter, r providers.Response) {
	if r.ContentType != "" {
		w.Header().Set("Content-Type", r.ContentType)
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(r.Status)
	_, _ = w.Write(r.Body)
}

// writeRefusal tells the sender the status and no more: the text depends on
// nothing but the status, so it helps nobody to forge.
func writeRefusal(w http.ResponseWriter, r *refusal) {
	status := statusOf(r.reason)
	if r.reason == wrongMethod {
		w.Header().Set("Allow", r.allow)
	}
	if r.after > 0 {
		seconds := int64((r.after + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	writeJSON(w, status, map[string]string{"error": http.StatusText(status)})
}

// writeJSON has no error to return: when the sender has gone, nobody is left
// to tell.
func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		text, status = nil, http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
