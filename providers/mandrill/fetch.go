package mandrill

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/surehook/surehook/providers"
)

// infoPath is where the API tells of one message. It is asked with a POST whose
// body holds the key.
//
// Source: mailchimp.com/developer/transactional/api/messages/get-message-info.
const infoPath = "/1.0/messages/info.json"

// Fetch returns a message. Nothing else can be fetched: inbound messages are
// not kept by Mandrill, and an address on a list has no name but itself.
//
// Mandrill tells of a message only for a while after it was sent. Then it does
// not know the message any more, and the record becomes a tombstone that keeps
// the last state. The same holds for one so new that it is not found yet: the
// next event about it brings it back.
func (p *Provider) Fetch(ctx context.Context, q providers.FetchQuery) (providers.Object, error) {
	if q.Ref.Type != refMessage || !messageID.MatchString(q.Ref.ID) {
		return providers.Object{}, fmt.Errorf("%s: fetch %.50q: %w", name, q.Ref.Type, providers.ErrNotFetchable)
	}
	op := "fetch " + q.Ref.String()
	call, err := json.Marshal(struct {
		Key string `json:"key"`
		ID  string `json:"id"`
	}{p.key, q.Ref.ID})
	if err != nil {
		return providers.Object{}, errors.New(name + ": " + op + ": the key is no text") // the error may quote it
	}
	answer, err := p.client.Post(ctx, op, infoPath, http.Header{"Content-Type": {"application/json"}}, call)
	switch {
	case err != nil && isGone(answer):
		return providers.Object{Ref: q.Ref, Deleted: true}, nil
	case err != nil:
		return providers.Object{}, err
	}
	return readObject(q.Ref, answer)
}

// readObject checks that the answer is the message that was asked for, and
// keeps it as it came. It has a time only of when it was sent.
func readObject(ref providers.Ref, answer providers.APIResponse) (providers.Object, error) {
	var state struct {
		ID string `json:"_id"`
	}
	if err := answer.ReadJSON(&state); err != nil {
		return providers.Object{}, err
	}
	if state.ID != ref.ID {
		return providers.Object{}, answer.Unusable(providers.RetryNever, errors.New("answer is another object"))
	}
	return providers.Object{Ref: ref, State: answer.Body}, nil
}

const codeUnknownMessage = "Unknown_Message"

// retries are the names of the API's errors, and whether it helps to call
// again. The API answers all of them with status 500. An error of another name
// is judged by its status, and its name is not passed on.
//
// Source: mailchimp.com/developer/transactional/docs/fundamentals and the
// errors of each call at mandrillapp.com/api/docs.
var retries = map[string]providers.Retry{
	codeUnknownMessage:   providers.RetryNever,
	"GeneralError":       providers.RetrySoon,
	"Invalid_Key":        providers.RetryNever,
	"PaymentRequired":    providers.RetryNever,
	"ServiceUnavailable": providers.RetrySoon,
	"Unknown_Subaccount": providers.RetryNever,
	"ValidationError":    providers.RetryNever,
}

// codeOf returns the name of the API's error, if it is a known one.
func codeOf(body []byte) string {
	var failed struct {
		Status string `json:"status"`
		Name   string `json:"name"`
	}
	if providers.ReadJSON(body, &failed) != nil || failed.Status != "error" {
		return ""
	}
	if _, known := retries[failed.Name]; !known {
		return ""
	}
	return failed.Name
}

// isGone reports whether Mandrill says that it has no such message. A status
// alone does not, since it has one for all errors.
func isGone(r providers.APIResponse) bool {
	return r.Status == http.StatusGone || codeOf(r.Body) == codeUnknownMessage
}

// classify reads Mandrill's rules for failed calls. No rate limit is documented
// for its API; a 429 is backed off from all the same.
func classify(r providers.APIResponse) (retry providers.Retry, after time.Duration, code string) {
	code = codeOf(r.Body)
	if after = providers.RetryAfter(r.Header, time.Now()); after > 0 {
		return providers.RetryLater, after, code
	}
	if retry, known := retries[code]; known {
		return retry, 0, code
	}
	if r.Status == http.StatusTooManyRequests || r.Status >= http.StatusInternalServerError {
		return providers.RetrySoon, 0, ""
	}
	return providers.RetryNever, 0, ""
}
