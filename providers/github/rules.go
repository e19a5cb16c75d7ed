package github

import "strings"

// rule says which object an event is about, and where the payload names it.
type rule struct {
	// kind is a key of apiPaths for an object that can be fetched. Empty, the
	// payload is all there is: the ref's type is then the event's name.
	kind string
	// object is the member that is the object: by default the one called like
	// the event. It is payload for the payload as a whole.
	object string
	// id makes the id of an object that cannot be fetched, which the
	// repository precedes where the payload has one. By default it is the
	// object's id, else its node_id, else the owner of the hook.
	id string
	// global says that the repository in the payload is not what the object
	// belongs to.
	global bool
	// times are the members to take OccurredAt from, the best first. By default
	// they are those of the object.
	times []string
	// ends are the actions after which the object is no more.
	ends []string
	// choose decides on the kind where it depends on the payload. It may set
	// the members that the kind's path asks for, from those in reads.
	choose func(found members) (kind string)
	reads  []string
}

// payload is the rule.object of an event whose payload is the object itself.
const payload = "."

// none is the action of an event that has none.
const none = "-"

var deleted = []string{"deleted"}

// rules lists the events of docs.github.com/webhooks/webhook-events-and-payloads
// whose object is not simply an unfetchable one called like the event.
var rules = map[string]rule{
	// Objects that the API returns.
	"check_run":                   {kind: "check_run"},
	"check_suite":                 {kind: "check_suite"},
	"code_scanning_alert":         {kind: "code_scanning_alert", object: "alert"},
	"commit_comment":              {kind: "commit_comment", object: "comment"},
	"dependabot_alert":            {kind: "dependabot_alert", object: "alert"},
	"deploy_key":                  {kind: "deploy_key", object: "key", ends: deleted},
	"deployment":                  {kind: "deployment"},
	"deployment_protection_rule":  {kind: "deployment", object: "deployment"},
	"deployment_status":           {kind: "deployment_status"},
	"issue_comment":               {kind: "issue_comment", object: "comment", ends: deleted},
	"issues":                      {kind: "issue", object: "issue", ends: deleted},
	"label":                       {kind: "label", ends: deleted},
	"milestone":                   {kind: "milestone", ends: deleted},
	"page_build":                  {kind: "page_build", object: payload, times: []string{"build.updated_at", "build.created_at"}},
	"pull_request":                {kind: "pull_request"},
	"pull_request_review":         {kind: "pull_request_review", object: "review"},
	"pull_request_review_comment": {kind: "pull_request_review_comment", object: "comment", ends: deleted},
	"release":                     {kind: "release", ends: deleted},
	"repository_advisory":         {kind: "repository_advisory"},
	"workflow_job":                {kind: "workflow_job"},
	"workflow_run":                {kind: "workflow_run"},

	// A single status has no path of its own; the status of its commit has.
	"status": {kind: "commit_status", object: payload},
	// What a member may do is the state that the event changes.
	"member": {kind: "collaborator", object: "member", ends: []string{"removed"}},

	// What these change is seen in the repository: counts, settings, properties.
	"custom_property_values": {kind: "repository", object: "repository"},
	"fork":                   {kind: "repository", object: "repository", times: []string{"forkee.created_at"}},
	"public":                 {kind: "repository", object: "repository"},
	"repository":             {kind: "repository", ends: deleted},
	"repository_import":      {kind: "repository", object: "repository"},
	"security_and_analysis":  {kind: "repository", object: "repository"},
	"star":                   {kind: "repository", object: "repository", times: []string{"starred_at", "repository.updated_at"}},
	"watch":                  {kind: "repository", object: "repository"},

	// The time of a commit is its author's clock, so the repository's comes first.
	"push": {
		object: payload, choose: pushed, reads: []string{"ref", "after", "deleted"},
		times: []string{"repository.pushed_at", "head_commit.timestamp"},
	},
	"create": {object: payload, choose: named, reads: []string{"ref", "ref_type"}, times: []string{"repository.pushed_at"}},
	"delete": {
		object: payload, choose: named, reads: []string{"ref", "ref_type"}, times: []string{"repository.pushed_at"},
		ends: []string{none},
	},
	"deployment_review":  {object: "workflow_run", choose: reviewedRun, reads: []string{"workflow_run.id"}, times: []string{"since"}},
	"repository_ruleset": {choose: rulesetOfRepository, ends: deleted},

	// Objects that the API does not return by a path of their repository.
	"branch_protection_rule":         {object: "rule", ends: deleted},
	"custom_property":                {object: "definition", id: "{property_name}", ends: deleted},
	"discussion":                     {ends: deleted},
	"discussion_comment":             {object: "comment", ends: deleted},
	"github_app_authorization":       {object: "sender", ends: []string{"revoked"}},
	"installation":                   {ends: deleted},
	"installation_repositories":      {object: "installation"},
	"installation_target":            {object: "installation"},
	"marketplace_purchase":           {id: "{marketplace_purchase.account.id}", times: []string{"effective_date"}, ends: []string{"cancelled"}},
	"membership":                     {id: "{team.id}/{member.id}", global: true, ends: []string{"removed"}},
	"merge_group":                    {id: "{head_sha}", times: []string{"merge_group.head_commit.timestamp"}, ends: []string{"destroyed"}},
	"meta":                           {object: "hook", ends: deleted},
	"organization":                   {ends: deleted},
	"org_block":                      {id: "{organization.login}/{blocked_user.id}", ends: []string{"unblocked"}},
	"pull_request_review_thread":     {object: "thread", times: []string{"updated_at", "pull_request.updated_at"}},
	"repository_vulnerability_alert": {object: "alert"},
	"security_advisory":              {id: "{ghsa_id}", global: true},
	"sponsorship":                    {ends: []string{"cancelled"}},
	"team":                           {global: true, ends: deleted},
	"team_add":                       {object: "team"},
	"workflow_dispatch":              {object: payload, id: "{workflow}"},

	// The API would return these, but with the leaked secret in plain text,
	// which must not end up among our records.
	"secret_scanning_alert":          {object: "alert", id: "{number}"},
	"secret_scanning_alert_location": {object: "alert", id: "{number}"},
}

// unlisted is the rule for all other events, also those that GitHub has yet to
// invent.
var unlisted = rule{ends: deleted}

// pushed names what a push changed: the commit that a branch now stands at, or,
// where a branch was deleted or a tag pushed, the branch or tag. (A tag's
// "after" need not be a commit.)
func pushed(found members) string {
	ref, ok := strings.CutPrefix(found["ref"], "refs/")
	if ok && strings.HasPrefix(ref, "heads/") && found["deleted"] != "true" {
		found["sha"] = found["after"]
		return "commit"
	}
	found["ref"] = ref
	return "ref"
}

// named names a branch or tag that was created or deleted. Old hooks also tell
// of a created repository so.
func named(found members) string {
	switch found["ref_type"] {
	case "branch":
		found["ref"] = "heads/" + found["ref"]
	case "tag":
		found["ref"] = "tags/" + found["ref"]
	default:
		return "repository"
	}
	return "ref"
}

// reviewedRun names the run that waits for a review, which may be missing.
func reviewedRun(found members) string {
	if found["workflow_run.id"] == "" {
		return ""
	}
	return "workflow_run"
}

// rulesetOfRepository leaves out the rulesets of organizations, which have no
// path below a repository.
func rulesetOfRepository(found members) string {
	if found[fullName] == "" {
		return ""
	}
	return "ruleset"
}

// fullName is the member that names the repository.
const fullName = "repository.full_name"

// owners are who a hook can belong to, the nearest first: what an object
// without any id is named by.
var owners = []string{"organization.login", "installation.id", "sender.id"}
