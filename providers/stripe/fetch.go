package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// v2Version is sent with calls of API v2: each call in its documentation names
// a version. Calls of v1 name none: Stripe then answers in the account's default
// version, which its owner changes in one place, and which new webhook endpoints
// use as well, so that events, records and the owner's other code show the same
// shapes.
const v2Version = "2026-03-25.dahlia"

// Fetch implements providers.Fetcher. Stripe knows no conditional requests, so
// the query's ETag is not used.
func (p *Provider) Fetch(ctx context.Context, q providers.FetchQuery) (providers.Object, error) {
	path, err := pathOf(q.Ref)
	if err != nil {
		return providers.Object{}, err
	}
	answer, err := p.client.Get(ctx, "fetch "+q.Ref.String(), path, p.header(path, q.Ref))
	switch {
	case err != nil && isGone(answer):
		return providers.Object{Ref: q.Ref, Deleted: true}, nil
	case err != nil:
		return providers.Object{}, err
	}
	return readObject(q.Ref, answer)
}

// pathOf returns the API path of an object. An id that could change which path
// is called is not fetchable: Stripe's own hold no such characters, and those
// that users choose for coupons and the like hardly ever.
func pathOf(ref providers.Ref) (string, error) {
	collection, known := collections[ref.Type]
	if !known || !isPathSegment(ref.ID) {
		return "", fmt.Errorf("%s: fetch %.50q: %w", name, ref.Type, providers.ErrNotFetchable)
	}
	return collection + "/" + url.PathEscape(ref.ID), nil
}

func isPathSegment(id string) bool {
	return providers.IsName(id) && !strings.ContainsAny(id, `/\?#%`) && id != "." && id != ".."
}

// header says who asks, and for which account. An account's own path implies
// the account (https://docs.stripe.com/connect/authentication). Contexts with
// several parts, and API v2, know only the newer header
// (https://docs.stripe.com/context).
func (p *Provider) header(path string, ref providers.Ref) http.Header {
	h := http.Header{}
	h.Set("Authorization", "Bearer "+p.key)
	v2 := strings.HasPrefix(path, "/v2/")
	if v2 {
		h.Set("Stripe-Version", v2Version)
	}
	switch {
	case ref.Account == "" || ref.Account == ref.ID:
	case v2 || strings.Contains(ref.Account, "/"):
		h.Set("Stripe-Context", ref.Account)
	default:
		h.Set("Stripe-Account", ref.Account)
	}
	return h
}

// state is what is read of an object, or of an event in a list.
type state struct {
	ID      string         `json:"id"`
	Object  string         `json:"object"`
	Deleted bool           `json:"deleted"`
	Created jsontext.Value `json:"created"`
	Updated jsontext.Value `json:"updated"`
}

// objectOf returns the object of which raw is the JSON.
func (s state) objectOf(ref providers.Ref, raw []byte) providers.Object {
	if s.Deleted {
		return providers.Object{Ref: ref, Deleted: true}
	}
	return providers.Object{Ref: ref, State: raw, UpdatedAt: unixTime(s.Updated)}
}

// readObject checks that the answer is the object that was asked for, and
// keeps it as it came.
func readObject(ref providers.Ref, answer providers.APIResponse) (providers.Object, error) {
	var s state
	if err := answer.ReadJSON(&s); err != nil {
		return providers.Object{}, err
	}
	if s.ID != ref.ID || s.Object != ref.Type {
		return providers.Object{}, answer.Unusable(providers.RetryNever, errors.New("answer is another object"))
	}
	return s.objectOf(ref, answer.Body), nil
}

// unixTime reads a time in Unix seconds, and is zero for everything else. Of the
// types of objects only products and a few rare ones tell when they were updated.
func unixTime(value jsontext.Value) time.Time {
	seconds, err := strconv.ParseUint(string(value), 10, 40)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

// apiError is the body of Stripe's error responses
// (https://docs.stripe.com/api/errors).
type apiError struct {
	Error struct {
		Type    string `json:"type"`
		Code    string `json:"code"`
		Message string `json:"message"`
		Param   string `json:"param"`
	} `json:"error"`
}

func readError(body []byte) apiError {
	var e apiError
	if providers.ReadJSON(body, &e) != nil {
		return apiError{} // a proxy's page, for one: the status says enough
	}
	return e
}

// isGone reports whether Stripe says that it has no such object. A 404 alone
// does not: Stripe also answers it for a path it does not know. Nor does
// "missing" when the object exists in the other mode: then our key is wrong,
// and believing it would mark every record deleted.
func isGone(r providers.APIResponse) bool {
	if r.Status == http.StatusGone {
		return true
	}
	e := readError(r.Body).Error
	return r.Status == http.StatusNotFound && e.Code == "resource_missing" && !strings.Contains(e.Message, "similar object exists in")
}

// classify is Stripe's own retry rule, as its SDKs have it: the header decides
// first, then 409 and 5xx are worth another call. Rate limits are not the
// SDKs' matter (https://github.com/stripe/stripe-dotnet/issues/1886), so a
// "false" there only means "not at once": a 429 is always tried again. Stripe
// does not promise a Retry-After; where there is one, it is obeyed.
func classify(r providers.APIResponse) (providers.Retry, time.Duration, string) {
	e := readError(r.Body).Error
	code := e.Code
	if code == "" {
		code = e.Type
	}
	if !providers.IsName(code) {
		code = "" // stands in logs and in Temporal's history
	}
	after := providers.RetryAfter(r.Header, time.Now())
	should := r.Header.Get("Stripe-Should-Retry")
	switch {
	case r.Status == http.StatusTooManyRequests && after > 0:
		return providers.RetryLater, after, code
	case r.Status == http.StatusTooManyRequests, r.Status >= http.StatusInternalServerError, should == "true":
		// A 5xx is tried again even when Stripe says not to: that is about
		// requests whose failure it has stored under an idempotency key, and a
		// GET has none. Otherwise an incident at Stripe would park every event.
		return providers.RetrySoon, 0, code
	case r.Status == http.StatusConflict && should != "false":
		return providers.RetrySoon, 0, code
	default:
		return providers.RetryNever, 0, code
	}
}
