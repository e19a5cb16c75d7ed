package sandbox

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

func (mailchimp) faultKinds() []FaultKind {
	return []FaultKind{FaultLatency, FaultHang, FaultError, FaultTruncate, FaultRateLimit}
}

// mailchimpProblem is an error as the API writes it (RFC 9457).
func mailchimpProblem(status int, title, detail string) *answer {
	return jsonAnswer(status, "application/problem+json; charset=utf-8", fields{
		"type": "https://mailchimp.com/developer/marketing/docs/errors/", "title": title, "status": status,
		"detail": detail, "instance": "00000000-0000-4000-8000-000000000000",
	})
}

// refuse accepts the key as the password of any user, and as a bearer token.
func (mailchimp) refuse(r *http.Request, key string) *answer {
	given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		_, given, _ = r.BasicAuth()
	}
	switch {
	case given == key && key != "":
		return nil
	case given == "":
		return mailchimpProblem(http.StatusUnauthorized, "API Key Missing", "Your request did not include an API key.")
	default:
		return mailchimpProblem(http.StatusUnauthorized, "API Key Invalid",
			"Your API key may be invalid, or you've attempted to access the wrong datacenter.")
	}
}

func (mailchimp) object(_ *http.Request, o *Object) *answer {
	if o == nil || o.Deleted {
		return mailchimpProblem(http.StatusNotFound, "Resource Not Found", "The requested resource could not be found.")
	}
	return stateAnswer("application/json; charset=utf-8", o)
}

func (mailchimp) fault(f APIFault, _ time.Time) *answer {
	a := mailchimpProblem(orDefault(f.Status, http.StatusInternalServerError), "Internal Server Error",
		"An unexpected internal error has occurred.")
	if f.Kind == FaultRateLimit {
		a = mailchimpProblem(http.StatusTooManyRequests, "Too Many Requests", "You have exceeded the limit of 10 simultaneous connections.")
	}
	addRetryAfter(a.header, f)
	return a
}

func (mailchimp) sign(h http.Header, call callInfo) {
	h.Set("Server", "openresty")
	h.Set("X-Request-Id", fmt.Sprintf("00000000-0000-4000-8000-%012d", call.Number))
}
