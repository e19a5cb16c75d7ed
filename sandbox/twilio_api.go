package sandbox

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const twilioMedia = "application/json"

func twilioError(status, code int, message string) *answer {
	return jsonAnswer(status, twilioMedia, fields{
		"code": code, "message": message, "more_info": "https://www.twilio.com/docs/errors/" + strconv.Itoa(code), "status": status,
	})
}

// refuse accepts the key as user and password, or a key that is only a token as
// the password.
func (twilio) refuse(r *http.Request, key string) *answer {
	user, password, given := r.BasicAuth()
	if given && key != "" && (user+":"+password == key || password == key) {
		return nil
	}
	a := twilioError(http.StatusUnauthorized, 20003, "Authenticate")
	a.header.Set("WWW-Authenticate", `Basic realm="Twilio API"`)
	return a
}

func (w twilio) object(r *http.Request, o *Object) *answer {
	if o == nil || o.Deleted || r.Method != http.MethodGet {
		return w.missing(r)
	}
	return stateAnswer(twilioMedia, o)
}

func (twilio) missing(r *http.Request) *answer {
	return twilioError(http.StatusNotFound, 20404, fmt.Sprintf("The requested resource %s was not found", r.URL.Path))
}

func (twilio) fault(f APIFault, _ time.Time) *answer {
	if f.Kind == FaultRateLimit {
		a := twilioError(http.StatusTooManyRequests, 20429, "Too Many Requests")
		addRetryAfter(a.header, f) // Twilio promises none
		return a
	}
	a := twilioError(orDefault(f.Status, http.StatusInternalServerError), 20500, "An internal server error has occurred")
	addRetryAfter(a.header, f)
	return a
}

func (twilio) sign(h http.Header, call callInfo) {
	h.Set("Twilio-Concurrent-Requests", "1")
	h.Set("Twilio-Request-Duration", "0.021")
	h.Set("Twilio-Request-Id", "RQ"+strings.Repeat("0", 18)+fmt.Sprintf("%014x", call.Number))
	h.Set("X-Powered-By", "AT-5000")
}
