package sandbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// githubLargest is from where on GitHub refuses to count pages of issues.
const githubLargest = 10_000

// list answers calls for the issues of a repository, and for what its hook, or
// that of its organization, has sent. Every repository and organization has one
// hook, whose number is githubHookID.
func (g github) list(t *tx, r *http.Request, _ []byte) (*answer, bool) {
	if withPrefix(r.URL.Path, t.p.moved) != "" {
		return nil, false // the answer is a redirect
	}
	in, rest, ok := t.githubScope(r.URL.Path)
	if !ok {
		return nil, false
	}
	if rest == "issues" && in.org == "" && r.Method == http.MethodGet {
		return t.githubIssues(r, in), true
	}
	hook, found := strings.CutPrefix(rest, fmt.Sprintf("hooks/%d/deliveries", githubHookID))
	if !found {
		return nil, false
	}
	return t.githubHook(r, in, strings.Split(strings.TrimPrefix(hook, "/"), "/")), true
}

// githubScope is what a list covers: a repository or an organization.
type githubScope struct {
	org  string
	repo string // the API path of a repository by its number; empty for one in which nothing has happened yet
}

// githubScope reads a path's beginning, and returns the rest of it.
func (t *tx) githubScope(path string) (in githubScope, rest string, ok bool) {
	parts := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 4)
	if len(parts) == 4 && parts[0] == "repos" {
		owner := "/repos/" + parts[1] + "/" + parts[2]
		o := t.p.at(owner)
		if o == nil || o.Deleted {
			return in, parts[3], owner == "/repos/"+githubRepository && o == nil
		}
		return githubScope{repo: o.Paths[1]}, parts[3], true
	}
	parts = strings.SplitN(strings.TrimPrefix(path, "/"), "/", 3)
	if len(parts) < 3 {
		return in, "", false
	}
	o := t.p.byPath["/repositories/"+parts[1]]
	switch {
	case parts[0] == "orgs":
		return githubScope{org: parts[1]}, parts[2], true
	case parts[0] == "repositories" && o != nil && !o.Deleted:
		return githubScope{repo: o.Paths[1]}, parts[2], true
	}
	return in, "", false
}

// githubIssues lists issues and pull requests, which GitHub shows as issues.
func (t *tx) githubIssues(r *http.Request, in githubScope) *answer {
	q := r.URL.Query()
	size, page := githubPageSize(q), 1
	if given, err := strconv.Atoi(q.Get("page")); err == nil && given > 0 {
		page = given
	}
	if page*size >= githubLargest {
		return githubError(http.StatusUnprocessableEntity,
			"Pagination with the page parameter is not supported for large datasets, please use cursor based pagination (after/before)",
			githubDocs+"/issues/issues#list-repository-issues")
	}
	found := t.githubFound(in, q)
	from := min((page-1)*size, len(found))
	to := min(from+size, len(found))
	var items []json.RawMessage
	for _, o := range found[from:to] {
		item, err := githubAsIssue(o)
		if err != nil {
			return githubError(http.StatusInternalServerError, "Server Error", githubDocs)
		}
		items = append(items, item)
	}
	a := githubListAnswer(items)
	if to < len(found) {
		q.Set("page", strconv.Itoa(page+1))
		githubLink(a, r, q)
	}
	return a
}

// githubFound returns what the query asks for, in its order.
func (t *tx) githubFound(in githubScope, q url.Values) []*Object {
	since, err := time.Parse(time.RFC3339, q.Get("since"))
	if err != nil {
		since = time.Time{}
	}
	var found []*Object
	for _, o := range t.p.objects {
		listed := !o.Deleted && (o.Ref.Type == "issue" || o.Ref.Type == "pull_request")
		here := listed && in.repo != "" && strings.HasPrefix(o.Paths[1], in.repo+"/")
		if here && !o.ChangedAt.Truncate(time.Second).Before(since) && githubInState(o, cmp.Or(q.Get("state"), "open")) {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(a, b *Object) int {
		order := cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Ref.ID, b.Ref.ID))
		if q.Get("sort") == "updated" {
			order = cmp.Or(a.ChangedAt.Truncate(time.Second).Compare(b.ChangedAt.Truncate(time.Second)), order)
		}
		if q.Get("direction") != "asc" {
			order = -order
		}
		return order
	})
	return found
}

func githubInState(o *Object, wanted string) bool {
	if wanted == "all" {
		return true
	}
	members, err := decode(o.State)
	return err == nil && members["state"] == wanted
}

func githubPageSize(q url.Values) int {
	size, err := strconv.Atoi(q.Get("per_page"))
	if err != nil || size < 1 {
		return 30
	}
	return min(size, 100)
}

func githubListAnswer[T any](items []T) *answer {
	if items == nil {
		items = []T{} // an empty list, and not null
	}
	raw, err := encode(items)
	if err != nil {
		return githubError(http.StatusInternalServerError, "Server Error", githubDocs)
	}
	return &answer{status: http.StatusOK, body: raw, header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}}
}

// githubLink tells where the next page is: always at GitHub itself.
func githubLink(a *answer, r *http.Request, q url.Values) {
	a.header.Set("Link", fmt.Sprintf(`<https://api.github.com%s?%s>; rel="next"`, r.URL.Path, q.Encode()))
}

// githubAsIssue returns an object as the list of issues shows it.
func githubAsIssue(o *Object) (json.RawMessage, error) {
	members, err := decode(o.State)
	if err != nil {
		return nil, err
	}
	if o.Ref.Type == "issue" {
		delete(members, "closed_by") // a fetch alone returns it
		return encode(members)
	}
	issue := fields{
		"url": members["issue_url"], "repository_url": "https://api.github.com/repos/" + repositoryOf(o.Ref), "draft": members["draft"],
		"pull_request": fields{
			"url": members["url"], "html_url": members["html_url"], "diff_url": members["diff_url"], "patch_url": members["patch_url"],
			"merged_at": members["merged_at"],
		},
	}
	for _, member := range []string{
		"id", "node_id", "html_url", "number", "title", "user", "labels", "state", "locked", "assignee", "assignees", "milestone", "comments",
		"created_at", "updated_at", "closed_at", "author_association", "active_lock_reason", "body", "comments_url", "sandbox_version",
	} {
		issue[member] = members[member]
	}
	return encode(issue)
}
