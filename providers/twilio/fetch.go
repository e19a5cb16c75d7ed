package twilio

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/surehook/surehook/providers"
)

// Fetch returns a message, call, recording, conference or transcription. Twilio
// knows no conditional requests, so the query's ETag is not used.
//
// An event may name any account in its parameters. What is called is the account
// of the settings, or one of the subaccounts listed there; another one is an error
// that parks the event, since "not found" in the wrong account would be taken for
// a deletion.
func (p *Provider) Fetch(ctx context.Context, q providers.FetchQuery) (providers.Object, error) {
	k, ok := kindNamed(q.Ref.Type)
	if !ok || !k.fits.MatchString(q.Ref.ID) {
		return providers.Object{}, fmt.Errorf("%s: fetch %.50q: %w", name, q.Ref.Type, providers.ErrNotFetchable)
	}
	op := "fetch " + q.Ref.String()
	account, err := p.accountOf(q.Ref)
	if err != nil {
		return providers.Object{}, &providers.APIError{Provider: name, Op: op, Retry: providers.RetryNever, Err: err}
	}
	path := "/" + apiVersion + "/Accounts/" + account + "/" + k.collection + "/" + q.Ref.ID + ".json"
	answer, err := p.client.Get(ctx, op, path, p.header())
	switch {
	case err != nil && isGone(answer):
		return providers.Object{Ref: q.Ref, Deleted: true}, nil
	case err != nil:
		return providers.Object{}, err
	}
	return object(q.Ref, answer)
}

func kindNamed(name string) (kind, bool) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return kinds[i], true
}

// The ways in which there is no account to ask, in words for the operator.
var (
	errNoKey        = errors.New("the source has no API key")
	errOtherAccount = errors.New("its account is neither account_sid nor one of the subaccounts")
)

func (p *Provider) accountOf(ref providers.Ref) (string, error) {
	switch {
	case p.account == "":
		return "", errNoKey
	case ref.Account == "" || ref.Account == p.account:
		return p.account, nil
	case slices.Contains(p.subaccounts, ref.Account):
		return ref.Account, nil
	default:
		return "", errOtherAccount
	}
}

func (p *Provider) header() http.Header {
	h := http.Header{}
	h.Set("Accept", "application/json")
	h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(p.user+":"+p.token)))
	return h
}

// object checks that the answer is the object that was asked for, and keeps it as
// it came.
func object(ref providers.Ref, answer providers.APIResponse) (providers.Object, error) {
	var state struct {
		SID         string `json:"sid"`
		DateUpdated string `json:"date_updated"`
	}
	if err := answer.ReadJSON(&state); err != nil {
		return providers.Object{}, err
	}
	if state.SID != ref.ID {
		return providers.Object{}, answer.Unusable(providers.RetryNever, errors.New("answer is another object"))
	}
	return providers.Object{Ref: ref, State: answer.Body, UpdatedAt: moment(state.DateUpdated)}, nil
}

// The codes of Twilio's errors that mean something here.
const codeNotFound = "20404" // twilio.com/docs/api/errors/20404

// errorCode returns the code in the body of Twilio's error responses, or nothing
// (twilio.com/docs/usage/twilios-response).
func errorCode(body []byte) string {
	var e struct {
		Code int `json:"code"`
	}
	if providers.ReadJSON(body, &e) != nil || e.Code <= 0 {
		return "" // a proxy's page, for one: the status says enough
	}
	return strconv.Itoa(e.Code)
}

// isGone reports whether Twilio says that it has no such object. A 404 alone does
// not: it is also what a wrong base URL or a proxy answers, and believing it would
// mark every record deleted.
func isGone(r providers.APIResponse) bool {
	return r.Status == http.StatusGone ||
		r.Status == http.StatusNotFound && errorCode(r.Body) == codeNotFound
}

// classify reads Twilio's rules for failed calls. A 429 is about calls at the same
// time and is safe to repeat after backing off (twilio.com/docs/api/errors/20429).
// Twilio promises no Retry-After; where there is one, it is obeyed.
func classify(r providers.APIResponse) (providers.Retry, time.Duration, string) {
	code := errorCode(r.Body)
	after := providers.RetryAfter(r.Header, time.Now())
	switch {
	case r.Status == http.StatusTooManyRequests && after > 0:
		return providers.RetryLater, after, code
	case r.Status == http.StatusTooManyRequests, r.Status >= http.StatusInternalServerError:
		return providers.RetrySoon, 0, code
	default:
		return providers.RetryNever, 0, code
	}
}
