package jira

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// headerAccount names who a call was made by, in Jira's answers.
const headerAccount = "X-AAccountId"

var errNoAPI = errors.New("it is not known where the API is: set api.base_url or the setting site")

// Fetch returns the object that the ref names by its numbers, as version 3 of
// the API has it.
//
// 410 makes the object deleted, and so does 404 if the credential is good. Jira
// also answers 404, and not 401, to a call whose credential it does not accept:
// it treats it as an anonymous one, and to nobody the object does not exist. An
// expired token would thus turn every record into a tombstone. So a 404 counts
// only when the answer names the caller, or when a second call shows that Jira
// knows him; otherwise it is an error.
//
// Jira's 404 may still mean that the caller has lost the permission to see the
// object ("Issue does not exist or you do not have permission to see it"): the
// API tells these two apart for nobody. The record then becomes a tombstone,
// keeps its last state, and comes back with the next fetch that succeeds.
func (p *Provider) Fetch(ctx context.Context, q providers.FetchQuery) (providers.Object, error) {
	path, ok := apiPath(q.Ref)
	if !ok {
		return providers.Object{}, providers.ErrNotFetchable
	}
	op := "fetch " + q.Ref.String()
	if p.client == nil {
		return providers.Object{}, &providers.APIError{Provider: name, Op: op, Retry: providers.RetryNever, Err: errNoAPI}
	}
	r, err := p.client.Get(ctx, op, path, p.header())
	switch {
	case r.Status == http.StatusGone:
		return providers.Object{Ref: q.Ref, Deleted: true}, nil
	case r.Status == http.StatusNotFound:
		if err := p.authenticated(ctx, op+": not found", r.Header); err != nil {
			return providers.Object{}, err
		}
		return providers.Object{Ref: q.Ref, Deleted: true}, nil
	case err != nil:
		return providers.Object{}, err
	}
	return object(q.Ref, r)
}

func (p *Provider) header() http.Header {
	h := http.Header{}
	h.Set("Accept", "application/json")
	h.Set("User-Agent", "surehook")
	if p.authorization != "" {
		h.Set("Authorization", p.authorization)
	}
	return h
}

// authenticated returns an error unless Jira knew who made the call that was
// answered with this header. Where the answer does not say, Jira is asked.
func (p *Provider) authenticated(ctx context.Context, op string, h http.Header) error {
	if h.Get(headerAccount) != "" {
		return nil
	}
	_, err := p.client.Get(ctx, op+", and asked who is asking", "/rest/api/3/myself", p.header())
	return err
}

// state is what is read of an object: when it last changed. Issues have it among
// their fields, comments and worklogs at the top; the other kinds do not say.
type state struct {
	Updated string `json:"updated"`
	Fields  struct {
		Updated string `json:"updated"`
	} `json:"fields"`
}

func object(ref providers.Ref, r providers.APIResponse) (providers.Object, error) {
	var found state
	if err := r.ReadJSON(&found); err != nil {
		return providers.Object{}, err
	}
	return providers.Object{Ref: ref, State: r.Body, UpdatedAt: moment(cmp.Or(found.Fields.Updated, found.Updated))}, nil
}

// moment reads a time such as 2026-01-02T03:04:05.678+0100. It is zero for
// anything else.
func moment(text string) time.Time {
	t, err := time.Parse("2006-01-02T15:04:05.999-0700", text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// How long to wait when Jira limits the rate of calls.
const (
	defaultWait = time.Minute // where it does not say
	longestWait = time.Hour   // the period of its quotas
)

// classify reads Jira's rules for failed calls. A limit is told by 429, and by
// nothing else; some 503 also say when to come back.
//
// Source: developer.atlassian.com/cloud/jira/platform/rate-limiting.
func classify(r providers.APIResponse) (retry providers.Retry, after time.Duration, code string) {
	code = errorCode(r.Header)
	now := r.SentAt()
	after = providers.RetryAfter(r.Header, now)
	switch {
	case r.Status == http.StatusTooManyRequests:
		return providers.RetryLater, cmp.Or(after, untilReset(r.Header, now), defaultWait), code
	case r.Status >= http.StatusInternalServerError && after > 0:
		return providers.RetryLater, after, code
	case r.Status >= http.StatusInternalServerError:
		return providers.RetrySoon, 0, code
	}
	return providers.RetryNever, 0, code
}

// untilReset returns how long it is until the window of a quota ends, or 0 when
// the answer does not say. Atlassian's examples have the time without seconds.
func untilReset(h http.Header, now time.Time) time.Duration {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if at, err := time.Parse(layout, h.Get("X-RateLimit-Reset")); err == nil {
			return min(max(at.Sub(now), time.Second), longestWait)
		}
	}
	return 0
}

// Jira's error messages are translated and name objects, so they are not passed
// on. These are constants that its headers give as reasons: for a limit, and for
// a login that failed.
var (
	limitReasons = []string{"jira-quota-global-based", "jira-quota-tenant-based", "jira-burst-based", "jira-per-issue-on-write"}
	loginReasons = []string{"AUTHENTICATED_FAILED", "AUTHENTICATION_DENIED", "AUTHORISATION_FAILED"}
)

// errorCode returns the reason that the headers give, or nothing.
func errorCode(h http.Header) string {
	if reason := h.Get("RateLimit-Reason"); slices.Contains(limitReasons, reason) {
		return reason
	}
	reason, _, _ := strings.Cut(h.Get("X-Seraph-LoginReason"), ",") // every filter adds its own
	if slices.Contains(loginReasons, reason) {
		return reason
	}
	return ""
}
