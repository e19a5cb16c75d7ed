package sandbox

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

const msgraphMedia = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"

func msgraphAnswer(status int, body fields) *answer { return jsonAnswer(status, msgraphMedia, body) }

func msgraphError(status int, code, message string) *answer {
	inner := fields{"date": "2027-01-02T03:04:05", "request-id": "00000000-0000-0000-0000-000000000000"}
	return msgraphAnswer(status, fields{"error": fields{"code": code, "message": message, "innerError": inner}})
}

// isTokenCall reports whether a call is one for an access token. (In truth it
// would go to another host: settings.token_url is <sandbox>/msgraph/{tenant}/oauth2/v2.0/token.)
func isTokenCall(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token")
}

// refuse takes the key as an access token, and as the secret of any application
// that asks for one: it is given the key.
func (*msgraph) refuse(r *http.Request, key string) *answer {
	if isTokenCall(r) {
		if r.PostFormValue("grant_type") == "client_credentials" && r.PostFormValue("client_secret") == key && key != "" {
			return nil
		}
		return msgraphAnswer(http.StatusUnauthorized, fields{
			"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.", "error_codes": []int{7000215},
		})
	}
	if given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && given == key && key != "" {
		return nil
	}
	a := msgraphError(http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token is empty or invalid.")
	a.header.Set("WWW-Authenticate", `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"`)
	return a
}

func (g *msgraph) object(r *http.Request, o *Object) *answer {
	switch {
	case r.Method == http.MethodPost && r.URL.Path == msgraphSubscriptionsPath:
		return g.order(r)
	case isTokenCall(r):
		return msgraphAnswer(http.StatusOK, fields{
			"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": r.PostFormValue("client_secret"),
		})
	case o == nil || o.Deleted || r.Method != http.MethodGet:
		return msgraphMissing(r.URL.Path)
	}
	return stateAnswer(msgraphMedia, o)
}

// msgraphMissing answers as the service behind the path does.
func msgraphMissing(path string) *answer {
	parts := strings.Split(strings.TrimPrefix(path, "/v1.0/"), "/")
	switch {
	case parts[0] == "users" && len(parts) == 2:
		return msgraphError(http.StatusNotFound, "Request_ResourceNotFound",
			fmt.Sprintf("Resource '%s' does not exist or one of its queried reference-property objects are not present.", parts[1]))
	case parts[0] == "users" && len(parts) == 4:
		return msgraphError(http.StatusNotFound, "ErrorItemNotFound", "The specified object was not found in the store.")
	case parts[0] == "subscriptions" && len(parts) == 2:
		return msgraphError(http.StatusNotFound, "ResourceNotFound", "The object was not found.")
	default:
		return msgraphError(http.StatusBadRequest, "BadRequest", "Resource not found for the segment '"+parts[len(parts)-1]+"'.")
	}
}

func (*msgraph) fault(f APIFault, _ time.Time) *answer {
	a := msgraphError(orDefault(f.Status, http.StatusInternalServerError), "generalException", "General exception while processing")
	if f.Kind == FaultRateLimit {
		// Some services omit the Retry-After.
		a = msgraphError(http.StatusTooManyRequests, "TooManyRequests", "Application is over its quota.")
	}
	addRetryAfter(a.header, f)
	return a
}

func (*msgraph) sign(h http.Header, call callInfo) {
	h.Set("Date", call.Now.UTC().Format(http.TimeFormat))
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", call.Number)
	h.Set("request-id", id)
	h.Set("client-request-id", id)
}
