package sandbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// githubRetention is how long GitHub keeps deliveries.
const githubRetention = 3 * 24 * time.Hour

// githubDelivery is an attempt to deliver an event, as the hook's log has it.
type githubDelivery struct {
	id      int64
	ev      *emitted
	attempt Attempt
	again   bool // not the first of the event
}

// githubHook answers calls below a hook's deliveries: for the list, for one of
// them, and to have one sent again.
func (t *tx) githubHook(r *http.Request, in githubScope, parts []string) *answer {
	log := t.githubDeliveries(in)
	if parts[0] == "" && r.Method == http.MethodGet {
		return githubDeliveryPage(r, log)
	}
	at := slices.IndexFunc(log, func(d githubDelivery) bool { return strconv.FormatInt(d.id, 10) == parts[0] })
	switch {
	case at < 0:
	case len(parts) == 1 && r.Method == http.MethodGet:
		return t.githubDetails(r, log[at])
	case len(parts) == 2 && parts[1] == "attempts" && r.Method == http.MethodPost:
		id := log[at].ev.ID
		t.p.goInBackground(func() { _, _ = t.p.Redeliver(t.p.background, id) }) // the log tells what came of it
		return githubAnswer(http.StatusAccepted, fields{})
	}
	return githubError(http.StatusNotFound, "Not Found", githubDocs)
}

// githubDeliveries returns what the hook has sent, the newest first. An event
// that was never tried is there as one that could not be delivered.
func (t *tx) githubDeliveries(in githubScope) []githubDelivery {
	var log []githubDelivery
	for _, ev := range t.p.events {
		if ev.webhook.ID == "" || !t.githubSends(in, ev) {
			continue
		}
		attempts := ev.Attempts
		if len(attempts) == 0 {
			attempts = []Attempt{{At: ev.CreatedAt}}
		}
		for n, a := range attempts {
			if t.now.Sub(a.At) <= githubRetention {
				log = append(log, githubDelivery{id: githubDeliveryID(ev.ID, n), ev: ev, attempt: a, again: n > 0})
			}
		}
	}
	slices.SortStableFunc(log, func(a, b githubDelivery) int {
		return cmp.Or(b.attempt.At.Compare(a.attempt.At), cmp.Compare(b.id, a.id))
	})
	return log
}

// githubSends reports whether the event is of the hook's repository or organization.
func (t *tx) githubSends(in githubScope, ev *emitted) bool {
	path := "/repositories/" + ev.webhook.Header.Get("X-GitHub-Hook-Installation-Target-ID")
	if in.org == "" {
		return path == in.repo
	}
	repository := t.p.byPath[path]
	return repository != nil && strings.HasPrefix(repository.Ref.ID, in.org+"/")
}

// githubDeliveryID is the same whenever it is asked for, and small enough for
// every reader of JSON.
func githubDeliveryID(guid string, attempt int) int64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s/%d", guid, attempt) // a hash takes everything
	return int64(h.Sum64()>>12) + 1
}

// githubDeliveryPage answers with a page of the log. Its cursor names the
// delivery that the page begins after.
func githubDeliveryPage(r *http.Request, log []githubDelivery) *answer {
	q := r.URL.Query()
	if cursor := q.Get("cursor"); cursor != "" {
		at := slices.IndexFunc(log, func(d githubDelivery) bool { return d.cursor() == cursor })
		if at < 0 {
			return githubError(http.StatusUnprocessableEntity, "Validation Failed", githubDocs+"/repos/webhooks#list-deliveries-for-a-repository-webhook")
		}
		log = log[at+1:]
	}
	size := min(githubPageSize(q), len(log))
	var items []fields
	for _, d := range log[:size] {
		items = append(items, d.summary())
	}
	a := githubListAnswer(items)
	if size < len(log) {
		q.Set("cursor", log[size-1].cursor())
		githubLink(a, r, q)
	}
	return a
}

func (d githubDelivery) cursor() string { return fmt.Sprintf("v1_%d", d.id) }

func (d githubDelivery) summary() fields {
	h := d.ev.webhook.Header
	repository, err := strconv.ParseInt(h.Get("X-GitHub-Hook-Installation-Target-ID"), 10, 64)
	if err != nil {
		repository = 0
	}
	var action any
	if _, after, ok := strings.Cut(d.ev.Type, "."); ok {
		action = after
	}
	status := "OK"
	switch {
	case d.attempt.Status == 0:
		status = "failed to connect to host"
	case !d.attempt.acknowledged():
		status = fmt.Sprintf("Invalid HTTP Response: %d", d.attempt.Status)
	}
	return fields{
		"id": d.id, "guid": d.ev.ID, "delivered_at": githubTime(d.attempt.At), "redelivery": d.again, "duration": 0.03,
		"status": status, "status_code": d.attempt.Status, "event": h.Get("X-GitHub-Event"), "action": action,
		"installation_id": nil, "repository_id": repository, "throttled_at": nil,
	}
}

// githubDetails answers with a delivery, and with what it sent.
func (t *tx) githubDetails(r *http.Request, d githubDelivery) *answer {
	sent := providers.Request{Method: http.MethodPost, URL: r.URL, Header: d.ev.webhook.Header.Clone(), Body: d.ev.webhook.Body, ReceivedAt: d.attempt.At}
	if t.p.cfg.Provider != nil {
		if err := t.p.sign(&sent, t.p.cfg.Secrets); err != nil {
			return githubError(http.StatusInternalServerError, "Server Error", githubDocs)
		}
	}
	headers := fields{}
	for name := range sent.Header {
		headers[name] = sent.Header.Get(name)
	}
	delivery := d.summary()
	delivery["url"] = t.p.target
	delivery["request"] = fields{"headers": headers, "payload": json.RawMessage(sent.Body)}
	delivery["response"] = fields{"headers": fields{}, "payload": ""}
	return githubAnswer(http.StatusOK, delivery)
}
