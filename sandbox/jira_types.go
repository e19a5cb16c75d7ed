package sandbox

import (
	"maps"
	"slices"
	"strings"
)

// jiraKind describes one kind of Jira's objects.
type jiraKind struct {
	name   string // the type of its refs
	prefix string // of the names of its events
	member string // of a webhook's body that holds the object
	path   string // where the API has it; %s is the ref's ID, or each of its parts
	needs  string // the kind of object that it is in; none when empty
}

var jiraKinds = []jiraKind{
	{"issue", "jira:issue_", "issue", "/rest/api/3/issue/%s", "project"},
	{"comment", "comment_", "comment", "/rest/api/3/issue/%s/comment/%s", "issue"},
	{"worklog", "worklog_", "worklog", "/rest/api/3/issue/%s/worklog/%s", "issue"},
	{"project", "project_", "project", "/rest/api/3/project/%s", ""},
	{"version", "jira:version_", "version", "/rest/api/3/version/%s", "project"},
	{"sprint", "sprint_", "sprint", "/rest/agile/1.0/sprint/%s", ""},
}

func jiraKindOf(name string) (jiraKind, bool) {
	i := slices.IndexFunc(jiraKinds, func(k jiraKind) bool { return k.name == name })
	if i < 0 {
		return jiraKind{}, false
	}
	return jiraKinds[i], true
}

// splitJiraType returns the kind of object that an event is about, and what
// happens to it. The kind is zero for an event about none that the sandbox has.
func splitJiraType(typ string) (kind jiraKind, verb string) {
	for _, k := range jiraKinds {
		if verb, ok := strings.CutPrefix(typ, k.prefix); ok {
			return k, verb
		}
	}
	return jiraKind{}, ""
}

// apiPath fills the path of a kind with the parts of a ref's ID.
func (k jiraKind) apiPath(id string) string {
	path := k.path
	for part := range strings.SplitSeq(id, "/") {
		path = strings.Replace(path, "%s", part, 1)
	}
	return path
}

// jiraEffects says what an event means for its object. Events that are not
// listed change nothing but the version.
var jiraEffects = map[string]func(o fields, now string){
	"jira:version_archived":     func(o fields, _ string) { o["archived"] = true },
	"jira:version_released":     func(o fields, now string) { o["released"], o["releaseDate"] = true, now[:len("2006-01-02")] },
	"jira:version_unarchived":   func(o fields, _ string) { o["archived"] = false },
	"jira:version_unreleased":   func(o fields, _ string) { o["released"] = false; delete(o, "releaseDate") },
	"project_archived":          func(o fields, _ string) { o["archived"] = true },
	"project_restored_archived": func(o fields, _ string) { o["archived"] = false },
	"sprint_closed":             func(o fields, now string) { o["state"], o["completeDate"] = "closed", now },
	"sprint_started":            func(o fields, now string) { o["state"], o["startDate"] = "active", now },
}

func (jira) knows(typ string) bool {
	kind, verb := splitJiraType(typ)
	return jiraEffects[typ] != nil || kind.name != "" && slices.Contains([]string{"created", "updated", "deleted"}, verb)
}

// jiraSet gives an object the members that were asked for. Those of an issue are
// its fields.
func jiraSet(kind string, o, set fields) {
	if of, ok := o["fields"].(fields); ok && kind == "issue" {
		o = of
	}
	maps.Copy(o, set)
}
