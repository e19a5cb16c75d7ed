package sandbox

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	jiraMyself = "/rest/api/3/myself"
	jiraUnseen = "Issue does not exist or you do not have permission to see it."
)

const jiraMedia = "application/json;charset=UTF-8"

func jiraAnswer(status int, body fields) *answer { return jsonAnswer(status, jiraMedia, body) }

func jiraError(status int, message string) *answer {
	return jiraAnswer(status, fields{"errorMessages": []string{message}, "errors": fields{}})
}

// refuse accepts the key as "EMAIL:API-TOKEN" in basic authentication, and as an
// access token. It treats anybody else as Jira does: as a visitor who has not
// signed in, to whom the objects of a private site do not exist.
func (jira) refuse(r *http.Request, key string) *answer {
	given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if user, password, basic := r.BasicAuth(); basic {
		given = user + ":" + password
	} else if !bearer {
		given = ""
	}
	if given == key && key != "" {
		return nil
	}
	a := jiraError(http.StatusNotFound, jiraUnseen)
	if r.URL.Path == jiraMyself {
		a = jiraError(http.StatusUnauthorized, "Client must be authenticated to access this resource.")
	}
	if given != "" {
		a.header.Set("X-Seraph-LoginReason", "AUTHENTICATED_FAILED")
	}
	return a
}

func (jira) object(r *http.Request, o *Object) *answer {
	var a *answer
	switch {
	case r.Method == http.MethodGet && r.URL.Path == jiraMyself:
		caller := jiraUser()
		caller["accountId"] = jiraCaller
		a = jiraAnswer(http.StatusOK, caller)
	case r.Method == http.MethodGet && o != nil && !o.Deleted:
		a = stateAnswer(jiraMedia, o)
	default:
		a = jiraError(http.StatusNotFound, jiraMissing(r.URL.Path))
	}
	a.header.Set("X-AAccountId", jiraCaller)
	return a
}

// jiraMissing is what Jira says of an object that it does not have, or not for the caller.
func jiraMissing(path string) string {
	parts := strings.Split(path, "/")
	kind, id := parts[max(0, len(parts)-2)], parts[len(parts)-1]
	switch kind {
	case "comment":
		return fmt.Sprintf("Can not find a comment for the id: %s.", id)
	case "worklog":
		return fmt.Sprintf("Cannot find worklog with id: '%s'.", id)
	case "project":
		return fmt.Sprintf("No project could be found with id '%s'.", id)
	case "version":
		return fmt.Sprintf("Could not find version for id '%s'", id)
	case "sprint":
		return "Sprint does not exist"
	default:
		return jiraUnseen
	}
}

func (jira) fault(f APIFault, now time.Time) *answer {
	if f.Kind != FaultRateLimit {
		a := jiraError(orDefault(f.Status, http.StatusInternalServerError), "Internal server error")
		addRetryAfter(a.header, f)
		return a
	}
	a := jiraError(http.StatusTooManyRequests, "Rate limit exceeded.")
	reason := f.Reason
	if reason == "" {
		reason = "jira-burst-based"
	}
	a.header.Set("RateLimit-Reason", reason)
	a.header.Set("X-RateLimit-Remaining", "0")
	// Some of Jira's limits tell when they end, and not how long that is.
	if f.RetryAfter > 0 && strings.HasPrefix(reason, "jira-quota-") {
		a.header.Set("X-RateLimit-Reset", now.Add(f.RetryAfter+time.Second-1).UTC().Format(time.RFC3339))
		return a
	}
	addRetryAfter(a.header, f)
	return a
}

func (jira) sign(h http.Header, call callInfo) {
	h.Set("Date", call.Now.UTC().Format(http.TimeFormat))
	h.Set("Server", "AtlassianEdge")
	h.Set("X-ARequestId", fmt.Sprintf("%032x", call.Number))
	h.Set("X-RateLimit-Limit", "350")
	h.Set("X-RateLimit-Remaining", "349")
}
