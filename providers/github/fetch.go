package github

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// Fetch returns the object below /repos/ that the ref's id is the path of. It
// sends the ETag we hold: the answer "not modified" costs nothing of the
// token's hourly quota.
//
// 404 and 410 make the object deleted, and so does 422 for a commit, which is
// GitHub's word for a SHA that no commit has. GitHub also answers 404, so as
// not to tell that they exist, for objects of private repositories that the
// token may not see. A token that loses its access thus turns the records it
// can no longer read into tombstones; they keep their last state, and come
// back with the next fetch that succeeds. Where the token sees the repository
// but lacks one permission, the answer is 403, which is an error and not a
// deletion.
//
// Objects that were renamed or transferred are found through GitHub's
// redirects, under the ref they were asked for by.
func (p *Provider) Fetch(ctx context.Context, q providers.FetchQuery) (providers.Object, error) {
	kindPath, ok := apiPaths[q.Ref.Type]
	if !ok {
		return providers.Object{}, providers.ErrNotFetchable
	}
	path, ok := checkPath(kindPath, q.Ref.ID)
	if !ok {
		return providers.Object{}, providers.ErrNotFetchable
	}
	r, err := p.client.Get(ctx, "fetch "+q.Ref.String(), "/repos/"+path, p.header(q.ETag))
	switch {
	case isGone(q.Ref.Type, r.Status):
		return providers.Object{Ref: q.Ref, Deleted: true}, nil
	case err != nil:
		return providers.Object{}, err
	case r.Status == http.StatusNotModified:
		return providers.Object{Ref: q.Ref, ETag: q.ETag, NotModified: true}, nil
	}
	return object(q.Ref, r)
}

func (p *Provider) header(etag string) http.Header {
	h := http.Header{}
	h.Set("Accept", "application/vnd.github+json")
	h.Set("X-GitHub-Api-Version", "2022-11-28")
	h.Set("User-Agent", "surehook") // GitHub refuses calls without one
	if p.authorization != "" {
		h.Set("Authorization", p.authorization)
	}
	if etag != "" {
		h.Set("If-None-Match", etag)
	}
	return h
}

func isGone(kind string, status int) bool {
	return status == http.StatusNotFound || status == http.StatusGone ||
		status == http.StatusUnprocessableEntity && kind == "commit"
}

var updatedAt = newTree([]string{"updated_at"})

func object(ref providers.Ref, r providers.APIResponse) (providers.Object, error) {
	found, err := read(r.Body, updatedAt)
	if err != nil {
		// Something between us and GitHub answered, or cut the answer short.
		return providers.Object{}, r.Unusable(providers.RetrySoon, err)
	}
	return providers.Object{
		Ref:       ref,
		State:     r.Body,
		UpdatedAt: moment(found["updated_at"]),
		ETag:      r.Header.Get("ETag"),
	}, nil
}

// How long to wait when GitHub limits the rate of calls.
const (
	secondaryWait = time.Minute // at least, where it does not say
	longestWait   = time.Hour   // the period of its quotas
)

// classify reads GitHub's rules for failed calls. Both of its rate limits come
// as 403 or 429, so these are told from a lack of permission by their headers
// and, for the secondary limit, by their message.
//
// Source: docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api.
func classify(r providers.APIResponse) (retry providers.Retry, after time.Duration, code string) {
	code = errorCode(r.Body)
	switch {
	case r.Status == http.StatusForbidden || r.Status == http.StatusTooManyRequests:
		if after = rateLimit(r, code); after > 0 {
			return providers.RetryLater, after, code
		}
	case r.Status >= http.StatusInternalServerError:
		return providers.RetrySoon, 0, code
	}
	return providers.RetryNever, 0, code
}

// rateLimit returns how long to wait, or 0 when no limit was the reason.
func rateLimit(r providers.APIResponse, code string) time.Duration {
	now := r.SentAt()
	if after := providers.RetryAfter(r.Header, now); after > 0 {
		return after
	}
	if r.Header.Get("X-RateLimit-Remaining") == "0" {
		reset, err := strconv.ParseInt(r.Header.Get("X-RateLimit-Reset"), 10, 64)
		if err != nil {
			return secondaryWait
		}
		return min(max(time.Unix(reset, 0).Sub(now), time.Second), longestWait)
	}
	if r.Status == http.StatusTooManyRequests || code == codePrimary || code == codeSecondary {
		return secondaryWait
	}
	return 0
}

const (
	codePrimary   = "API rate limit exceeded"
	codeSecondary = "secondary rate limit"
)

// knownMessages are those of GitHub's error messages that are constants. The
// others may name users, addresses and branches, so they are not passed on.
var knownMessages = []string{
	"Bad credentials",
	"Git Repository is empty.",
	"Must have admin rights to Repository.",
	"Repository access blocked",
	"Requires authentication",
	"Resource not accessible by integration",
	"Resource not accessible by personal access token",
	"Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this organization.",
	"Server Error",
	"Validation Failed",
}

var message = newTree([]string{"message"})

// errorCode returns a constant that says what GitHub's message says, or
// nothing.
func errorCode(body []byte) string {
	found, err := read(body, message)
	if err != nil {
		return ""
	}
	text := found["message"]
	switch {
	case strings.HasPrefix(text, codePrimary):
		return codePrimary
	case strings.Contains(text, codeSecondary), strings.Contains(text, "abuse detection mechanism"):
		return codeSecondary
	case slices.Contains(knownMessages, text):
		return text
	}
	return ""
}
