package shopify

import (
	"errors"
	"math"
	"net/http"
	"regexp"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// response is a GraphQL answer. Where a call fails as a whole, errors is a
// text.
type response struct {
	Data       map[string]jsontext.Value `json:"data"`
	Errors     jsontext.Value            `json:"errors"`
	Extensions struct {
		Cost struct {
			Requested float64 `json:"requestedQueryCost"`
			Throttle  struct {
				Available   float64 `json:"currentlyAvailable"`
				RestoreRate float64 `json:"restoreRate"`
			} `json:"throttleStatus"`
		} `json:"cost"`
	} `json:"extensions"`
}

// graphQLError is one of a response's errors.
type graphQLError struct {
	Message    string `json:"message"`
	Extensions struct {
		Code string `json:"code"`
	} `json:"extensions"`
}

// failure is what has to be done about a call that failed.
type failure struct {
	retry providers.Retry
	after time.Duration
	code  string
}

// The codes of GraphQL errors
// (https://shopify.dev/docs/api/admin-graphql#status-and-error-codes).
const (
	codeThrottled = "THROTTLED"
	codeInternal  = "INTERNAL_SERVER_ERROR"
	codeTimeout   = "TIMEOUT"
)

// codes keep texts that are none out of logs and out of Temporal's history.
var codes = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z_]{0,63}$`)

// field returns what the answer holds under the query's field, or the failure
// that it tells of.
func (r response) field(name string, answer providers.APIResponse) (jsontext.Value, error) {
	if failed, ok := r.failure(); ok {
		return nil, answer.Failure(failed.retry, failed.after, failed.code)
	}
	value, answered := r.Data[name]
	if !answered {
		return nil, answer.Unusable(providers.RetrySoon, errors.New("answer has no "+name))
	}
	return value, nil
}

// failure reads the errors that Shopify answers inside an HTTP 200. The first
// one that has a remedy decides: a throttled query has no other, and one that
// broke is worth another call. What the token may not see, what costs too much
// and a query that this API version does not understand fail again.
func (r response) failure() (failure, bool) {
	if len(r.Errors) == 0 || r.Errors.Kind() == jsontext.KindNull {
		return failure{}, false
	}
	errs := readErrors(r.Errors)
	for _, e := range errs {
		switch {
		case e.code() == codeThrottled:
			return failure{providers.RetryLater, r.wait(), codeThrottled}, true
		case e.code() == codeInternal, e.code() == codeTimeout:
			return failure{retry: providers.RetrySoon, code: e.code()}, true
		}
	}
	if len(errs) == 0 {
		return failure{retry: providers.RetryNever}, !isEmptyList(r.Errors)
	}
	return failure{retry: providers.RetryNever, code: errs[0].code()}, true
}

// readErrors returns the errors of a list; none when it is something else.
func readErrors(list jsontext.Value) []graphQLError {
	var r struct {
		Errors []graphQLError `json:"errors"`
	}
	if providers.ReadJSON([]byte(`{"errors":`+string(list)+`}`), &r) != nil {
		return nil
	}
	return r.Errors
}

func isEmptyList(v jsontext.Value) bool {
	v = v.Clone()
	return v.Compact() == nil && string(v) == "[]"
}

// code is the error's code. Shopify documents the error of a throttled query
// with its message alone.
func (e graphQLError) code() string {
	switch {
	case codes.MatchString(e.Extensions.Code):
		return e.Extensions.Code
	case e.Message == "Throttled":
		return codeThrottled
	default:
		return ""
	}
}

// How long to wait for the quota, where Shopify does not say or says what
// cannot be.
const (
	shortestWait = time.Second
	longestWait  = 5 * time.Minute
)

// wait is how long the shop's quota takes until it holds what the query may
// cost. It fills continuously.
//
// Source: shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits.
func (r response) wait() time.Duration {
	cost := r.Extensions.Cost
	if cost.Throttle.RestoreRate <= 0 {
		return shortestWait
	}
	seconds := math.Ceil((cost.Requested - cost.Throttle.Available) / cost.Throttle.RestoreRate)
	seconds = min(max(seconds, shortestWait.Seconds()), longestWait.Seconds())
	return time.Duration(seconds) * time.Second
}

// classify reads Shopify's rules for calls that fail below GraphQL. 402 and 423
// are shops that are frozen or locked, 430 is a caller that looks malicious:
// all of them until somebody does something about it.
//
// Source: shopify.dev/docs/api/usage/response-codes.
func classify(r providers.APIResponse) (providers.Retry, time.Duration, string) {
	code := ""
	var body response
	if providers.ReadJSON(r.Body, &body) == nil {
		failed, _ := body.failure()
		code = failed.code
	}
	switch {
	case r.Status == http.StatusTooManyRequests:
		after := max(providers.RetryAfter(r.Header, time.Now()), shortestWait)
		return providers.RetryLater, after, code
	case r.Status >= http.StatusInternalServerError:
		return providers.RetrySoon, 0, code
	default:
		return providers.RetryNever, 0, code
	}
}
