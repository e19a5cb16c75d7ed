package sandbox

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// jiraSite is the site that the sandbox plays; a source of it says so in its
// setting "site".
const jiraSite = "sandbox.atlassian.net"

// jiraAccount is the account that everything is done by, and jiraCaller the one
// that the API key belongs to.
const (
	jiraAccount = "557058:1f2e3d4c-0000-4000-8000-5a6b7c8d9e0f"
	jiraCaller  = "712020:0f9e8d7c-0000-4000-8000-6b5a4f3e2d1c"
)

// NewJira returns a fake of one site of Jira Cloud.
//
// A ref's ID is the object's number; that of a comment or worklog has its
// issue's before it, such as "10002/10100". Objects show their version as the
// member sandbox_version, which Jira's do not have. What Set gives an issue are
// its fields.
//
// Create also makes a "webhook", one that an app has registered: it lasts 30 days
// from then on, and sends nothing, for nobody could prove what it sent.
//
// On may also name the object to which something new is added: the issue of a
// comment, the project of an issue.
func NewJira(cfg PlatformConfig) *Platform {
	return newPlatform(cfg, jira{})
}

type jira struct{}

func (jira) name() string { return "jira" }

func (j jira) api() api { return j }

func (jira) faultKinds() []FaultKind {
	return []FaultKind{FaultLatency, FaultHang, FaultError, FaultTruncate, FaultRateLimit}
}

// parent is the issue of a comment or worklog: they go with it.
func (jira) parent(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) != 8 || parts[4] != "issue" {
		return ""
	}
	return strings.Join(parts[:6], "/")
}

func (jira) stamp(state fields, version int64, now time.Time) {
	state["sandbox_version"] = version
	of := state
	if inner, ok := state["fields"].(fields); ok {
		of = inner
	}
	if _, ok := of["updated"]; ok {
		of["updated"] = jiraTime(now)
	}
}

// layout is none: Jira's API answers in one line.
func (jira) layout(state json.RawMessage) []byte { return state }

func jiraTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }

func jiraUser() fields {
	return fields{
		"self": "https://" + jiraSite + "/rest/api/3/user?accountId=" + jiraAccount, "accountId": jiraAccount,
		"avatarUrls": fields{}, "displayName": "Sam Sandbox", "active": true, "timeZone": "Etc/UTC", "accountType": "atlassian",
	}
}

func (j jira) create(t *tx, kind string, set fields) (providers.Ref, error) {
	if kind == jiraWebhook {
		return createJiraWebhook(t, set)
	}
	return j.createIn(t, kind, providers.Ref{}, set)
}

// createIn adds an object to the one given, or to another of the kind it needs.
func (j jira) createIn(t *tx, name string, in providers.Ref, set fields) (providers.Ref, error) {
	kind, ok := jiraKindOf(name)
	if !ok {
		return providers.Ref{}, fmt.Errorf("jira: the sandbox has no objects of type %q", name)
	}
	vars, err := j.vars(t, kind, in)
	if err != nil {
		return providers.Ref{}, err
	}
	state, err := fill("jira/"+name, vars, nil)
	if err != nil {
		return providers.Ref{}, err
	}
	jiraSet(name, state, set)
	ref := providers.Ref{Type: name, ID: plain(state["id"])}
	if kind.needs == "issue" {
		ref.ID = plain(vars["issue_id"]) + "/" + ref.ID
	}
	return ref, t.put(ref, []string{kind.apiPath(ref.ID)}, state)
}

// vars are the values a template can use.
func (j jira) vars(t *tx, kind jiraKind, in providers.Ref) (fields, error) {
	number := int(t.p.ids.next(kind.name))
	vars := fields{
		"site": "https://" + jiraSite, "user": jiraUser(), "now": jiraTime(t.now), "today": t.now.UTC().Format(time.DateOnly),
		"number": number, "id": strconv.Itoa(10_000 + number), "key": fmt.Sprintf("SBX%d", number),
	}
	if kind.needs == "" {
		return vars, nil
	}
	owner, err := j.owner(t, kind.needs, in)
	if err != nil {
		return nil, err
	}
	id := plain(owner["id"])
	vars[kind.needs+"_id"] = id
	if kind.needs == "project" {
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, fmt.Errorf("jira: project %q: %w", id, err)
		}
		vars["project_id"], vars["key"] = n, fmt.Sprintf("%v-%d", owner["key"], number)
		vars["project"] = fields{"self": owner["self"], "id": id, "key": owner["key"], "name": owner["name"], "projectTypeKey": owner["projectTypeKey"]}
	}
	return vars, nil
}

// owner returns the object that a new one goes into, and creates it if none is given.
func (j jira) owner(t *tx, kind string, in providers.Ref) (fields, error) {
	if in.Type != kind {
		var err error
		if in, err = j.create(t, kind, nil); err != nil {
			return nil, err
		}
	}
	return t.state(in)
}

var jiraTypes = regexp.MustCompile(`^[a-z]+(:[a-z]+)?(_[a-z]+)+$`)

func (j jira) happen(t *tx, typ string, on providers.Ref, set fields) (occurrence, error) {
	kind, verb := splitJiraType(typ)
	switch {
	case !jiraTypes.MatchString(typ):
		return occurrence{}, fmt.Errorf("jira: event type %q: want one such as jira:issue_created or comment_created", typ)
	case kind.name == "":
		return occurrence{Type: typ, After: fields{}}, nil // about no object that the sandbox has
	case !on.IsZero() && on.Type != kind.name && on.Type != kind.needs:
		return occurrence{}, fmt.Errorf("jira: %s happens to objects of type %s, and %s is none", typ, kind.name, on)
	}
	var err error
	begins := on.Type != kind.name && verb == "created"
	if begins {
		on, err = j.createIn(t, kind.name, on, set)
	} else if on.Type != kind.name {
		on, err = j.createIn(t, kind.name, on, nil) // set is what the event changes
	}
	if err != nil {
		return occurrence{}, err
	}
	what := occurrence{Type: typ, Ref: on}
	if begins {
		what.After, err = t.state(on)
	} else {
		what.Before, what.After, err = j.apply(t, typ, on, set)
	}
	if err == nil && verb == "deleted" {
		err = t.remove(on)
	}
	return what, err
}

// apply changes the object as the event says, and returns its members before and after.
func (jira) apply(t *tx, typ string, ref providers.Ref, set fields) (before, after fields, err error) {
	if before, err = t.state(ref); err != nil {
		return nil, nil, err
	}
	after, err = t.change(ref, func(o fields) {
		if effect := jiraEffects[typ]; effect != nil {
			effect(o, jiraTime(t.now))
		}
		jiraSet(ref.Type, o, set)
	})
	return before, after, err
}
