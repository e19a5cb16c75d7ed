package sandbox

import (
	"maps"
	"strings"
	"time"
)

// githubEvent describes one of GitHub's webhook events.
type githubEvent struct {
	name   string // X-GitHub-Event
	kind   string // of the object it is about, the type of its ref
	member string // the payload's member that holds the object; none when empty
	action string // the usual one, used when none is asked for; none when empty
}

// owns says that the event tells of the object's own beginning and end.
func (e githubEvent) owns() bool { return e.kind != "repository" || e.name == "repository" }

var githubEvents = []githubEvent{
	{"check_run", "check_run", "check_run", "completed"},
	{"check_suite", "check_suite", "check_suite", "completed"},
	{"commit_comment", "commit_comment", "comment", "created"},
	{"create", "ref", "", ""},
	{"delete", "ref", "", ""},
	{"deploy_key", "deploy_key", "key", "created"},
	{"deployment", "deployment", "deployment", "created"},
	{"deployment_status", "deployment_status", "deployment_status", "created"},
	{"fork", "repository", "", ""},
	{"issue_comment", "issue_comment", "comment", "created"},
	{"issues", "issue", "issue", "opened"},
	{"label", "label", "label", "created"},
	{"milestone", "milestone", "milestone", "created"},
	{"ping", "repository", "", ""},
	{"public", "repository", "", ""},
	{"pull_request", "pull_request", "pull_request", "opened"},
	{"pull_request_review", "pull_request_review", "review", "submitted"},
	{"pull_request_review_comment", "pull_request_review_comment", "comment", "created"},
	{"push", "commit", "", ""},
	{"release", "release", "release", "published"},
	{"repository", "repository", "", "created"},
	{"star", "repository", "", "created"},
	{"watch", "repository", "", "started"},
	{"workflow_job", "workflow_job", "workflow_job", "completed"},
	{"workflow_run", "workflow_run", "workflow_run", "completed"},
}

// githubEventOf returns the event of a name. One that is not listed is about
// an object of the same name.
func githubEventOf(name string) githubEvent {
	for _, e := range githubEvents {
		if e.name == name {
			return e
		}
	}
	return githubEvent{name: name, kind: name, member: name, action: "created"}
}

// splitGithubType reads "issues.closed", or "issues" for its usual action.
func splitGithubType(typ string) (event githubEvent, action string) {
	name, action, _ := strings.Cut(typ, ".")
	if name == "" || strings.Contains(action, ".") {
		return githubEvent{}, ""
	}
	event = githubEventOf(name)
	if action == "" {
		action = event.action
	}
	return event, action
}

// githubPaths says where in its repository the API has the objects of a kind.
var githubPaths = map[string]string{
	"check_run":                   "check-runs/{id}",
	"check_suite":                 "check-suites/{id}",
	"commit":                      "commits/{sha}",
	"commit_comment":              "comments/{id}",
	"deploy_key":                  "keys/{id}",
	"deployment":                  "deployments/{id}",
	"deployment_status":           "deployments/{deployment}/statuses/{id}",
	"issue":                       "issues/{number}",
	"issue_comment":               "issues/comments/{id}",
	"label":                       "labels/{name}",
	"milestone":                   "milestones/{number}",
	"pull_request":                "pulls/{number}",
	"pull_request_review":         "pulls/{pull_request}/reviews/{id}",
	"pull_request_review_comment": "pulls/comments/{id}",
	"ref":                         "git/ref/{ref}",
	"release":                     "releases/{id}",
	"workflow_job":                "actions/jobs/{id}",
	"workflow_run":                "actions/runs/{id}",
}

// githubOwners says which kinds belong to an object other than the repository.
// Comments of pull requests are comments of issues as well.
var githubOwners = map[string]string{
	"deployment_status":           "deployment",
	"issue_comment":               "issue",
	"pull_request_review":         "pull_request",
	"pull_request_review_comment": "pull_request",
}

// githubPathOf returns the path of a kind. What the API does not have is kept
// at its bare number, where nobody looks for it.
func githubPathOf(kind string) string {
	if path, ok := githubPaths[kind]; ok {
		return path
	}
	return "{id}"
}

// githubApply changes an object as an event says, and then sets the members
// that were asked for.
func githubApply(o fields, typ, action string, set fields, now time.Time) {
	if effect := githubEffects[typ]; effect != nil {
		effect(o, githubTime(now))
	} else if effect := githubActions[action]; effect != nil {
		effect(o, githubTime(now))
	}
	maps.Copy(o, set)
	if o["merged"] == true && o["merged_at"] == nil {
		o["merged_at"], o["merged_by"] = githubTime(now), githubUser()
	}
}

// githubEffects says what an event means for its object. Events that are
// neither here nor in githubActions change nothing but the version.
var githubEffects = map[string]func(o fields, now string){
	"fork":                     func(o fields, _ string) { count(o, 1, "forks", "forks_count") },
	"issues.closed":            closeIssue,
	"public":                   publicized,
	"release.prereleased":      func(o fields, now string) { publish(o, now); o["prerelease"] = true },
	"release.unpublished":      func(o fields, _ string) { o["draft"], o["published_at"] = true, nil },
	"repository.archived":      func(o fields, _ string) { o["archived"] = true },
	"repository.privatized":    func(o fields, _ string) { o["private"], o["visibility"] = true, "private" },
	"repository.publicized":    publicized,
	"repository.renamed":       renamed,
	"repository.unarchived":    func(o fields, _ string) { o["archived"] = false },
	"pull_request.synchronize": func(o fields, _ string) { count(o, 1, "commits") },
	"star.created":             func(o fields, _ string) { count(o, 1, "stargazers_count", "watchers", "watchers_count") },
	"star.deleted":             func(o fields, _ string) { count(o, -1, "stargazers_count", "watchers", "watchers_count") },
}

// githubActions says what an action means for an object of any kind.
var githubActions = map[string]func(o fields, now string){
	"closed":             func(o fields, now string) { o["state"], o["closed_at"] = "closed", now },
	"completed":          complete,
	"converted_to_draft": func(o fields, _ string) { o["draft"] = true },
	"in_progress":        func(o fields, _ string) { o["status"], o["conclusion"] = "in_progress", nil },
	"locked":             func(o fields, _ string) { o["locked"] = true },
	"published":          publish,
	"queued":             func(o fields, _ string) { o["status"], o["conclusion"] = "queued", nil },
	"ready_for_review":   func(o fields, _ string) { o["draft"] = false },
	"reopened":           func(o fields, _ string) { o["state"], o["closed_at"] = "open", nil },
	"requested":          func(o fields, _ string) { o["status"], o["conclusion"] = "queued", nil },
	"unlocked":           func(o fields, _ string) { o["locked"] = false },
}

func closeIssue(o fields, now string) {
	o["state"], o["closed_at"], o["state_reason"] = "closed", now, "completed"
}

func complete(o fields, now string) {
	o["status"], o["conclusion"] = "completed", "success"
	if _, ok := o["completed_at"]; ok {
		o["completed_at"] = now
	}
}

func publish(o fields, now string) { o["draft"], o["published_at"] = false, now }

func publicized(o fields, _ string) { o["private"], o["visibility"] = false, "public" }

// renamed changes the name, and not the addresses in the other members, which
// nobody should follow.
func renamed(o fields, _ string) {
	o["name"] = plain(o["name"]) + "-renamed"
	o["full_name"] = plain(o["full_name"]) + "-renamed"
}

func count(o fields, by float64, members ...string) {
	for _, member := range members {
		n, _ := o[member].(float64)
		o[member] = max(0, n+by)
	}
}
