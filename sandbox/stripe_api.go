package sandbox

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// stripeErrorPages is where Stripe explains its error codes.
const stripeErrorPages = "https://stripe.com/docs/error-codes/"

func stripeError(status int, e fields) *answer {
	raw, err := encode(fields{"error": e})
	if err != nil {
		raw = []byte(`{"error":{"type":"api_error"}}`)
	}
	a := &answer{status: status, body: indented(raw), header: http.Header{"Content-Type": {"application/json"}}}
	// Stripe says with every error whether its own libraries should try again.
	retry := status == http.StatusConflict || status == http.StatusTooManyRequests || status >= 500
	a.header.Set("Stripe-Should-Retry", strconv.FormatBool(retry))
	return a
}

// refuse accepts the key as a bearer token, and as the user of basic
// authentication as in Stripe's own examples.
func (stripe) refuse(r *http.Request, key string) *answer {
	given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		given, _, _ = r.BasicAuth()
	}
	if given == key && key != "" {
		return nil
	}
	message := "You did not provide an API key. You need to provide your API key in the Authorization header, " +
		"using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
	if given != "" {
		message = "Invalid API Key provided: " + strings.Repeat("*", min(len(given), 20))
	}
	a := stripeError(http.StatusUnauthorized, fields{"message": message, "type": "invalid_request_error"})
	a.header.Set("WWW-Authenticate", `Basic realm="Stripe"`)
	return a
}

func (stripe) object(r *http.Request, o *Object) *answer {
	switch {
	case o == nil:
		return stripeMissing(r)
	case !o.Deleted:
		return stateAnswer("application/json", o)
	case o.Ref.Type == "customer":
		// Of the objects that events are about, only customers leave this behind.
		raw, err := encode(fields{"id": o.Ref.ID, "object": "customer", "deleted": true})
		if err != nil {
			return stripeError(http.StatusInternalServerError, fields{"type": "api_error"})
		}
		return &answer{status: http.StatusOK, body: indented(raw), header: http.Header{"Content-Type": {"application/json"}}}
	default:
		return stripeMissing(r)
	}
}

// stripeMissing tells a path that has no such object from one that Stripe does not have.
func stripeMissing(r *http.Request) *answer {
	typ, id := stripeObjectAt(r.URL.Path)
	if typ == "" || r.Method != http.MethodGet {
		return stripeError(http.StatusNotFound, fields{
			"message": fmt.Sprintf("Unrecognized request URL (%s: %s). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.", r.Method, r.URL.Path),
			"type":    "invalid_request_error",
		})
	}
	param := "id"
	if typ == "payment_intent" || typ == "setup_intent" {
		param = "intent"
	}
	return stripeError(http.StatusNotFound, fields{
		"code":    "resource_missing",
		"doc_url": stripeErrorPages + "resource-missing",
		"message": fmt.Sprintf("No such %s: '%s'", typ, id),
		"param":   param,
		"type":    "invalid_request_error",
	})
}

// stripeObjectAt reads an API path as /v1/<collection>/<id>; typ is empty when
// it is none.
func stripeObjectAt(path string) (typ, id string) {
	rest, ok := strings.CutPrefix(path, "/v1/")
	slash := strings.LastIndexByte(rest, '/')
	if !ok || slash <= 0 || slash == len(rest)-1 {
		return "", ""
	}
	typ, plural := strings.CutSuffix(strings.ReplaceAll(rest[:slash], "/", "."), "s")
	if !plural {
		return "", ""
	}
	return typ, rest[slash+1:]
}

func (stripe) fault(f APIFault, _ time.Time) *answer {
	switch f.Kind {
	case FaultRateLimit:
		return stripeRateLimit(f)
	case FaultLockTimeout:
		return stripeError(http.StatusTooManyRequests, fields{
			"code":    "lock_timeout",
			"doc_url": stripeErrorPages + "lock-timeout",
			"message": "This object cannot be accessed right now because another API request or Stripe process is currently accessing it.",
			"type":    "invalid_request_error",
		})
	default:
		a := stripeError(orDefault(f.Status, http.StatusInternalServerError), fields{
			"message": "An unknown error occurred.",
			"type":    "api_error",
		})
		addRetryAfter(a.header, f)
		return a
	}
}

func stripeRateLimit(f APIFault) *answer {
	a := stripeError(http.StatusTooManyRequests, fields{
		"code":    "rate_limit",
		"doc_url": stripeErrorPages + "rate-limit",
		"message": "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
		"type":    "invalid_request_error",
	})
	reason := f.Reason
	if reason == "" {
		reason = "global-rate"
	}
	a.header.Set("Stripe-Rate-Limited-Reason", reason)
	addRetryAfter(a.header, f)
	return a
}

func (stripe) sign(h http.Header, call callInfo) {
	h.Set("Request-Id", fmt.Sprintf("req_%014d", call.Number))
	h.Set("Stripe-Version", stripeAPIVersion)
	h.Set("Server", "nginx")
}

func addRetryAfter(h http.Header, f APIFault) {
	if seconds := int((f.RetryAfter + time.Second - 1) / time.Second); seconds > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds))
	}
}
