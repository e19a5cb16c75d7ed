package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

func githubUser() fields {
	const user = "https://api.github.com/users/octocat"
	return fields{
		"login": "octocat", "id": 583231, "node_id": "MDQ6VXNlcjU4MzIzMQ==",
		"avatar_url": "https://avatars.githubusercontent.com/u/583231?v=4", "gravatar_id": "",
		"url": user, "html_url": "https://github.com/octocat",
		"followers_url": user + "/followers", "following_url": user + "/following{/other_user}",
		"gists_url": user + "/gists{/gist_id}", "starred_url": user + "/starred{/owner}{/repo}",
		"subscriptions_url": user + "/subscriptions", "organizations_url": user + "/orgs", "repos_url": user + "/repos",
		"events_url": user + "/events{/privacy}", "received_events_url": user + "/received_events",
		"type": "User", "user_view_type": "public", "site_admin": false,
	}
}

func githubOrganization(login string) fields {
	org := "https://api.github.com/orgs/" + login
	return fields{
		"login": login, "id": 9919, "node_id": "MDEyOk9yZ2FuaXphdGlvbjk5MTk=", "url": org,
		"repos_url": org + "/repos", "events_url": org + "/events", "hooks_url": org + "/hooks", "issues_url": org + "/issues",
		"members_url": org + "/members{/member}", "public_members_url": org + "/public_members{/member}",
		"avatar_url": "https://avatars.githubusercontent.com/u/9919?v=4", "description": "An organization of the sandbox",
	}
}

func (g github) webhook(t *tx, what occurrence) (webhook, error) {
	event, action := splitGithubType(what.Type)
	if event.name == "" || !what.Ref.IsZero() && what.Ref.Type != event.kind {
		return webhook{}, fmt.Errorf("github: %s is no event about %s", what.Type, what.Ref)
	}
	typ := strings.TrimSuffix(event.name+"."+action, ".")
	repo := repositoryOf(what.Ref)
	if what.Ref.IsZero() {
		repo, _ = what.After["full_name"].(string)
	}
	repository, err := g.repositoryState(t, repo, what)
	if err != nil {
		return webhook{}, err
	}
	login, _, _ := strings.Cut(repo, "/")
	body := fields{"repository": repository, "organization": githubOrganization(login), "sender": githubUser()}
	if action != "" {
		body["action"] = action
	}
	if event.member != "" {
		body[event.member] = what.After
	}
	if err := g.extras(t, body, event, what); err != nil {
		return webhook{}, err
	}
	maps.Copy(body, what.Envelope)
	raw, err := encode(body)
	if err != nil {
		return webhook{}, err
	}
	guid := t.p.ids.guid("delivery")
	return webhook{ID: guid, Type: typ, Header: githubHeader(event.name, guid, repository), Body: raw}, nil
}

func githubHeader(event, guid string, repository fields) http.Header {
	h := http.Header{}
	h.Set("Accept", "*/*")
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "GitHub-Hookshot/5a4d2b1")
	h.Set("X-GitHub-Delivery", guid)
	h.Set("X-GitHub-Event", event)
	h.Set("X-GitHub-Hook-ID", strconv.Itoa(githubHookID))
	h.Set("X-GitHub-Hook-Installation-Target-ID", plain(repository["id"]))
	h.Set("X-GitHub-Hook-Installation-Target-Type", "repository")
	return h
}

// repositoryState returns the repository as the payload shows it: as it was
// last, when the event tells of its end.
func (github) repositoryState(t *tx, repo string, what occurrence) (fields, error) {
	if what.Ref.Type == "repository" || what.Ref.IsZero() {
		return what.After, nil
	}
	o := t.p.objects[providers.Ref{Type: "repository", ID: repo}]
	if o == nil {
		if o = t.p.at("/repos/" + repo); o == nil {
			o = t.p.byPath[t.p.moved["/repos/"+repo]]
		}
	}
	if o == nil {
		return nil, fmt.Errorf("github repository %s: %w", repo, ErrNoObject)
	}
	return decode(o.State)
}

// extras adds what the payloads of single events have besides.
func (g github) extras(t *tx, body fields, event githubEvent, what occurrence) error {
	o := what.After
	switch event.name {
	case "pull_request":
		body["number"] = o["number"]
	case "issue_comment":
		return g.commented(t, body, o, what.Ref)
	case "pull_request_review", "pull_request_review_comment":
		url, _ := o["pull_request_url"].(string)
		body["pull_request"] = g.stateAt(t, url)
	case "deployment_status":
		url, _ := o["deployment_url"].(string)
		body["deployment"] = g.stateAt(t, url)
	case "star":
		body["starred_at"] = nil
		if body["action"] == "created" {
			body["starred_at"] = githubTime(t.now)
		}
	case "fork":
		body["forkee"] = forkOf(o, t.now)
	case "workflow_run":
		body["workflow"] = workflowOf(o)
	case "create", "delete":
		githubRef(body, o)
	case "push":
		githubPush(body, o, t.now)
	case "ping":
		githubPing(body, repositoryURL(o))
	}
	switch body["action"] {
	case "edited", "renamed":
		body["changes"] = githubChanges(what)
	}
	return nil
}

func repositoryURL(repository fields) string {
	url, _ := repository["url"].(string)
	return url
}

// commented adds the issue of a comment, and makes one up for a comment on
// nothing: comments of pull requests are comments of issues as well.
func (g github) commented(t *tx, body, comment fields, ref providers.Ref) error {
	url, _ := comment["issue_url"].(string)
	if body["issue"] = g.stateAt(t, url); body["issue"].(fields)["id"] != nil {
		return nil
	}
	vars, err := g.vars(t, "issue", ref)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(url[strings.LastIndexByte(url, '/')+1:])
	if err != nil {
		return fmt.Errorf("github: issue_url %q: %w", url, err)
	}
	vars["number"] = number
	body["issue"], err = fill("github/issue", vars, nil)
	return err
}

// stateAt returns the object with that URL of GitHub's API, or just the URL
// and number when the sandbox has none.
func (github) stateAt(t *tx, url string) fields {
	if o := t.p.at(strings.TrimPrefix(url, "https://api.github.com")); o != nil {
		if state, err := decode(o.State); err == nil {
			return state
		}
	}
	known := fields{"url": url}
	if n, err := strconv.Atoi(url[strings.LastIndexByte(url, '/')+1:]); err == nil {
		known["number"] = n
	}
	return known
}

func forkOf(repository fields, now time.Time) fields {
	fork := maps.Clone(repository)
	fork["id"], _ = repository["id"].(float64)
	fork["id"] = fork["id"].(float64) + 1
	fork["full_name"], fork["fork"] = "octocat/"+fmt.Sprint(repository["name"]), true
	fork["owner"], fork["created_at"] = githubUser(), githubTime(now)
	return fork
}

func workflowOf(run fields) fields {
	return fields{
		"id": run["workflow_id"], "node_id": "W_kwDOAsandbox", "name": run["name"], "path": run["path"], "state": "active",
		"created_at": run["created_at"], "updated_at": run["created_at"], "url": run["workflow_url"],
	}
}

// githubRef adds the bare name of a branch or tag, as create and delete have it.
func githubRef(body, o fields) {
	full, _ := o["ref"].(string)
	body["ref"], body["ref_type"] = strings.TrimPrefix(full, "refs/heads/"), "branch"
	if tag, ok := strings.CutPrefix(full, "refs/tags/"); ok {
		body["ref"], body["ref_type"] = tag, "tag"
	}
	body["master_branch"], body["pusher_type"] = "main", "user"
	body["description"] = nil
}

// githubPush adds a push of one commit. In this payload alone the repository's
// times are Unix seconds.
func githubPush(body, commit fields, now time.Time) {
	parents, _ := commit["parents"].([]any)
	var before any = strings.Repeat("0", 40)
	if len(parents) > 0 {
		before = parents[0].(fields)["sha"]
	}
	details, _ := commit["commit"].(fields)
	pushed := fields{
		"id": commit["sha"], "tree_id": details["tree"].(fields)["sha"], "distinct": true, "message": details["message"],
		"timestamp": githubTime(now), "url": commit["html_url"], "author": pusher(true), "committer": pusher(true),
		"added": []string{}, "removed": []string{}, "modified": []string{"README.md"},
	}
	repository := maps.Clone(body["repository"].(fields))
	for _, member := range []string{"created_at", "pushed_at"} {
		text, _ := repository[member].(string)
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			repository[member] = at.Unix()
		}
	}
	maps.Copy(body, fields{
		"repository": repository, "ref": "refs/heads/main", "before": before, "after": commit["sha"], "base_ref": nil,
		"created": false, "deleted": false, "forced": false, "pusher": pusher(false),
		"compare": fmt.Sprintf("%v/compare/%.12s...%.12s", repository["html_url"], before, commit["sha"]),
		"commits": []any{pushed}, "head_commit": pushed,
	})
}

func pusher(withUsername bool) fields {
	p := fields{"name": "octocat", "email": "octocat@example.com"}
	if withUsername {
		p["username"] = "octocat"
	}
	return p
}

func githubPing(body fields, repositoryURL string) {
	hook := fmt.Sprintf("%s/hooks/%d", repositoryURL, githubHookID)
	body["zen"], body["hook_id"] = "Practicality beats purity.", githubHookID
	body["hook"] = fields{
		"type": "Repository", "id": githubHookID, "name": "web", "active": true, "events": []string{"*"},
		"config":         fields{"content_type": "json", "insecure_ssl": "0", "secret": "********"},
		"updated_at":     "2026-01-01T00:00:00Z",
		"created_at":     "2026-01-01T00:00:00Z",
		"url":            hook,
		"test_url":       hook + "/test",
		"ping_url":       hook + "/pings",
		"deliveries_url": hook + "/deliveries",
		"last_response":  fields{"code": nil, "status": "unused", "message": nil},
	}
}

// githubChanges tells the former values, as far as GitHub does.
func githubChanges(what occurrence) fields {
	if what.Type == "repository.renamed" {
		return fields{"repository": fields{"name": fields{"from": what.Before["name"]}}}
	}
	changes := fields{}
	for _, member := range []string{"title", "body", "name", "description"} {
		was, had := what.Before[member]
		if had && !sameJSON(was, what.After[member]) {
			changes[member] = fields{"from": was}
		}
	}
	return changes
}
