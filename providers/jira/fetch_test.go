package jira_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/jira"
	"github.com/surehook/surehook/providers/providertest"
)

var anIssue = providers.Ref{Type: "issue", ID: "10002"}

const missing = `{"errorMessages":["Issue does not exist or you do not have permission to see it. private text"],"errors":{}}`

func fetchSuite() *providertest.Fetch {
	answer := func(name string, status int, body string, header map[string]string) providertest.Answer {
		return providertest.Answer{Name: name, Status: status, Header: header, Body: body}
	}
	limited := func(name string, after time.Duration, code string, header map[string]string) providertest.Failure {
		return providertest.Failure{
			Answer: answer(name, http.StatusTooManyRequests, "private text", header),
			Retry:  providers.RetryLater, After: after, Code: code,
		}
	}
	const sent = "Fri, 02 Jan 2026 03:00:00 GMT"
	return &providertest.Fetch{
		New:         func(cfg providers.APIConfig) (providers.Fetcher, error) { return jira.New(cfg, jira.Settings{}) },
		Ref:         providers.Ref{Type: "comment", ID: "10002/10100"},
		Path:        "/rest/api/3/issue/10002/comment/10100",
		State:       `{"id": "10100", "updated": "2026-01-02T04:04:05.678+0100", "body": {"type": "doc", "text": "Über"}}`,
		Unfetchable: providers.Ref{Type: "user", ID: "1"},
		Gone: []providertest.Answer{
			answer("404 to a caller whom Jira knows", 404, missing, map[string]string{"X-AAccountId": "557058:bf39"}),
		},
		Failures: []providertest.Failure{
			{
				Answer: answer("a 404 to anybody", 404, missing, nil),
				Retry:  providers.RetryNever,
			},
			{
				Answer: answer("a 404 to a caller whose login failed", 404, missing, map[string]string{"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}),
				Retry:  providers.RetryNever, Code: "AUTHENTICATED_FAILED",
			},
			{
				Answer: answer("a wrong token", 401, "private text", map[string]string{"X-Seraph-LoginReason": "AUTHENTICATED_FAILED,AUTHENTICATED_FAILED"}),
				Retry:  providers.RetryNever, Code: "AUTHENTICATED_FAILED",
			},
			{
				Answer: answer("a login that asks for a captcha", 403, "private text", map[string]string{"X-Seraph-LoginReason": "AUTHENTICATION_DENIED"}),
				Retry:  providers.RetryNever, Code: "AUTHENTICATION_DENIED",
			},
			{
				Answer: answer("reasons that are no constants", 403, "", map[string]string{"X-Seraph-LoginReason": "private text", "RateLimit-Reason": "private text"}),
				Retry:  providers.RetryNever,
			},
			{
				Answer: answer("a 503 that says when", 503, "", map[string]string{"Retry-After": "30"}),
				Retry:  providers.RetryLater, After: 30 * time.Second,
			},
			limited("the hourly quota is used up", 1800*time.Second, "jira-quota-tenant-based", map[string]string{
				"Retry-After": "1800", "X-RateLimit-Reset": "2026-01-02T03:59:00Z", "Date": sent, "RateLimit-Reason": "jira-quota-tenant-based",
			}),
			limited("a burst", time.Second, "jira-burst-based", map[string]string{"Retry-After": "1", "RateLimit-Reason": "jira-burst-based"}),
			limited("a quota that tells its end only", 59*time.Minute, "jira-quota-global-based", map[string]string{
				"X-RateLimit-Reset": "2026-01-02T03:59:00Z", "Date": sent, "RateLimit-Reason": "jira-quota-global-based",
			}),
			limited("a quota that tells its end without seconds", 59*time.Minute, "", map[string]string{"X-RateLimit-Reset": "2026-01-02T03:59Z", "Date": sent}),
			limited("a quota that is back by now", time.Second, "", map[string]string{"X-RateLimit-Reset": "2026-01-02T02:00Z", "Date": sent}),
			limited("a quota that ends in another age", time.Hour, "", map[string]string{"X-RateLimit-Reset": "2126-01-02T02:00Z", "Date": sent}),
			limited("a limit that does not say when", time.Minute, "", map[string]string{"X-RateLimit-Reset": "soon"}),
		},
	}
}

// play asks a Jira whose answers handler gives.
func play(t *testing.T, key string, ref providers.Ref, handler http.HandlerFunc) (providers.Object, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	p, err := jira.New(providers.APIConfig{BaseURL: server.URL, Key: key}, jira.Settings{})
	require.NoError(t, err)
	return p.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
}

func TestFetchCallsTheDocumentedPaths(t *testing.T) {
	for ref, want := range map[providers.Ref]string{
		anIssue:                              "/rest/api/3/issue/10002",
		{Type: "comment", ID: "10002/10100"}: "/rest/api/3/issue/10002/comment/10100",
		{Type: "worklog", ID: "10531/10146"}: "/rest/api/3/issue/10531/worklog/10146",
		{Type: "attachment", ID: "10200"}:    "/rest/api/3/attachment/10200",
		{Type: "issue_link", ID: "10300"}:    "/rest/api/3/issueLink/10300",
		{Type: "project", ID: "10181"}:       "/rest/api/3/project/10181",
		{Type: "version", ID: "10000"}:       "/rest/api/3/version/10000",
		{Type: "sprint", ID: "37"}:           "/rest/agile/1.0/sprint/37",
		{Type: "board", ID: "5"}:             "/rest/agile/1.0/board/5",
	} {
		var got string
		_, err := play(t, "", ref, func(w http.ResponseWriter, r *http.Request) {
			got = r.URL.RequestURI()
			_, _ = w.Write([]byte(`{}`))
		})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestTheCredentialIsAnAPITokenOrAnAccessToken(t *testing.T) {
	for key, want := range map[string]string{
		"":                        "",
		"bot@acme.example:ATATT3": "Basic Ym90QGFjbWUuZXhhbXBsZTpBVEFUVDM=",
		"eyJhbGciOi.eyJp.c2ln":    "Bearer eyJhbGciOi.eyJp.c2ln",
	} {
		var got http.Header
		_, err := play(t, key, anIssue, func(w http.ResponseWriter, r *http.Request) {
			got = r.Header
			_, _ = w.Write([]byte(`{}`))
		})
		require.NoError(t, err)
		require.Equal(t, want, got.Get("Authorization"))
		require.Equal(t, "application/json", got.Get("Accept"))
	}
}

func TestFetchReadsWhenAnObjectWasUpdated(t *testing.T) {
	for body, want := range map[string]time.Time{
		`{"fields": {"updated": "2026-01-02T04:04:05.678+0100"}}`:                                            time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
		`{"updated": "2026-01-02T03:04:05.000+0000"}`:                                                        time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		`{"updated": "2026-01-02T03:04:05.000+0000", "fields": {"updated": "2026-01-02T03:04:06.000+0000"}}`: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC),
		`{"fields": {"created": "2026-01-02T03:04:05.000+0000"}}`:                                            {},
		`{"fields": null}`:                      {},
		`{"fields": {"updated": "yesterday"}}`:  {},
		`{"id": 37, "state": "active"}`:         {},
		`{"issue": {"fields": {"updated": 1}}}`: {},
	} {
		object, err := play(t, "", anIssue, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
		require.NoError(t, err)
		require.Equal(t, want, object.UpdatedAt, body)
	}
}

// Jira answers a call with a bad token as if nobody had signed in.
func TestAnObjectThatNobodyMaySeeIsNotTakenForDeleted(t *testing.T) {
	notFound := func(whoAmI int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/rest/api/3/myself" {
				w.WriteHeader(whoAmI)
				return
			}
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(missing))
		}
	}
	for status, want := range map[int]providers.Retry{401: providers.RetryNever, 403: providers.RetryNever, 429: providers.RetryLater, 503: providers.RetrySoon} {
		_, err := play(t, "bot@acme.example:expired", anIssue, notFound(status))
		var failed *providers.APIError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, want, failed.Retry)
		require.Equal(t, status, failed.Status)
		require.ErrorContains(t, err, "fetch issue/10002: not found, and asked who is asking")
	}
	object, err := play(t, "bot@acme.example:valid", anIssue, notFound(200))
	require.NoError(t, err)
	require.Equal(t, providers.Object{Ref: anIssue, Deleted: true}, object)
}

func TestARefWhoseIDIsOfAnotherKindIsNotFetchable(t *testing.T) {
	for _, ref := range []providers.Ref{
		{Type: "issue", ID: "ED-1"},
		{Type: "issue", ID: "10002/comment/1"},
		{Type: "issue", ID: "10002/1"},
		{Type: "issue", ID: "10002/"},
		{Type: "issue", ID: "*"},
		{Type: "comment", ID: "10100"},
		{Type: "comment", ID: "10002/*"},
		{Type: "comment", ID: "/10100"},
		{Type: "sprint", ID: "123456789012345678901"},
		{Type: "user", ID: "557058:bf39"},
		{Type: "", ID: "1"},
		{},
	} {
		require.False(t, fetchable(t, open(t), ref), ref)
	}
}

func TestASourceThatIsNotToldWhereTheAPIIsSaysSo(t *testing.T) {
	p, err := jira.New(providers.APIConfig{}, jira.Settings{})
	require.NoError(t, err)
	_, err = p.Fetch(t.Context(), providers.FetchQuery{Ref: anIssue})
	var failed *providers.APIError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, providers.RetryNever, failed.Retry)
	require.ErrorContains(t, err, "set api.base_url or the setting site")
}
