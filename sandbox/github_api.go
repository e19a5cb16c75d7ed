package sandbox

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const githubDocs = "https://docs.github.com/rest"

// githubHourly is the primary rate limit that answers show. Calls are counted
// against it for show only: calls are refused by Faults, not by their number.
const githubHourly = 5000

func githubAnswer(status int, body fields) *answer {
	return jsonAnswer(status, "application/json; charset=utf-8", body)
}

func githubError(status int, message, docs string) *answer {
	return githubAnswer(status, fields{"message": message, "documentation_url": docs, "status": strconv.Itoa(status)})
}

func (github) refuse(r *http.Request, key string) *answer {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	known := strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "token")
	switch {
	case known && given == key && key != "":
		return nil
	case given == "":
		return githubError(http.StatusUnauthorized, "Requires authentication", githubDocs)
	default:
		return githubError(http.StatusUnauthorized, "Bad credentials", githubDocs)
	}
}

// object also answers 404 for what exists but may not be read, as GitHub does.
func (github) object(r *http.Request, o *Object) *answer {
	switch {
	case o == nil || o.Deleted && o.Ref.Type != "issue" || r.Method != http.MethodGet:
		return githubError(http.StatusNotFound, "Not Found", githubDocs)
	case o.Deleted:
		return githubError(http.StatusGone, "This issue was deleted", githubDocs+"/issues/issues#get-an-issue")
	}
	etag := `W/"` + o.etag() + `"`
	if matchesETag(r.Header.Values("If-None-Match"), etag) {
		return &answer{status: http.StatusNotModified, header: http.Header{"Etag": {etag}}}
	}
	return &answer{status: http.StatusOK, body: o.body, header: http.Header{
		"Content-Type":  {"application/json; charset=utf-8"},
		"Cache-Control": {"private, max-age=60, s-maxage=60"},
		"Etag":          {etag},
	}}
}

// matchesETag compares weakly (RFC 9110, 13.1.2).
func matchesETag(headers []string, etag string) bool {
	for candidate := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}

// redirect points to the same server under whatever name and prefix it was called.
func (github) redirect(r *http.Request, path string) *answer {
	to := strings.TrimSuffix(requestPath(r), r.URL.Path) + path
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	a := githubAnswer(http.StatusMovedPermanently, fields{
		"message": "Moved Permanently", "url": to,
		"documentation_url": githubDocs + "/guides/best-practices-for-using-the-rest-api#follow-redirects",
	})
	a.header.Set("Location", to)
	return a
}

// requestPath is the path as it came in, before a prefix was stripped off it.
func requestPath(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	return path
}

func (github) fault(f APIFault, now time.Time) *answer {
	switch f.Kind {
	case FaultRateLimit:
		a := githubError(orDefault(f.Status, http.StatusForbidden), "API rate limit exceeded for user ID 583231.",
			githubDocs+"/using-the-rest-api/rate-limits-for-the-rest-api")
		a.header.Set("X-RateLimit-Remaining", "0")
		a.header.Set("X-RateLimit-Used", strconv.Itoa(githubHourly))
		a.header.Set("X-RateLimit-Reset", strconv.FormatInt(now.Add(f.RetryAfter+time.Second-1).Unix(), 10))
		return a
	case FaultSecondaryLimit:
		a := githubError(orDefault(f.Status, http.StatusForbidden),
			"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
			githubDocs+"/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits")
		addRetryAfter(a.header, f)
		return a
	default:
		a := githubError(orDefault(f.Status, http.StatusInternalServerError), "Server Error", githubDocs)
		addRetryAfter(a.header, f)
		return a
	}
}

func (github) sign(h http.Header, call callInfo) {
	hour := call.Now.Truncate(time.Hour).Add(time.Hour)
	used := min(call.Number, githubHourly-1)
	h.Set("Server", "github.com")
	h.Set("X-GitHub-Api-Version-Selected", "2022-11-28")
	h.Set("X-GitHub-Media-Type", "github.v3; format=json")
	h.Set("X-GitHub-Request-Id", fmt.Sprintf("5A4D:%X", call.Number))
	h.Set("X-RateLimit-Limit", strconv.Itoa(githubHourly))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(githubHourly-used))
	h.Set("X-RateLimit-Used", strconv.Itoa(used))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(hour.Unix(), 10))
	h.Set("X-RateLimit-Resource", "core")
}
