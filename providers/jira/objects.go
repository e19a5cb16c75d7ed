package jira

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/surehook/surehook/providers"
)

// group is the events about one kind of object: those whose name has the prefix.
type group struct {
	prefix string
	kind   string
	// part says that the events tell of a part of the object, so that the end of
	// the part is not the end of the object.
	part bool
}

// groups lists the events of developer.atlassian.com/cloud/jira/platform/webhooks
// that are about an object. Not among them:
//
//   - "user_…": Atlassian's privacy guide asks not to keep profiles but to fetch
//     them when they are used, so no record is made of a user;
//   - "filter_…", "issuetype_…", "option_…" and "issue_property_…", whose
//     payloads are not documented and name no object in a known place.
var groups = []group{
	{prefix: "jira:issue_", kind: "issue"},
	{prefix: "jira:worklog_", kind: "issue", part: true}, // old name of an update of the issue
	{prefix: "comment_", kind: "comment"},
	{prefix: "worklog_", kind: "worklog"},
	{prefix: "attachment_", kind: "attachment"},
	{prefix: "issuelink_", kind: "issue_link"},
	{prefix: "project_", kind: "project"},
	{prefix: "jira:version_", kind: "version"},
	{prefix: "sprint_", kind: "sprint"},
	{prefix: "board_", kind: "board"},
}

// object names the object that an event is about, and says whether the event
// tells its end. An event that should have an object, but does not name it, is
// malformed.
func (p *payload) object() (ref providers.Ref, deleted bool, err error) {
	for _, g := range groups {
		what, ok := strings.CutPrefix(p.WebhookEvent, g.prefix)
		if !ok {
			continue
		}
		id := p.id(g.kind)
		if id == "" {
			return providers.Ref{}, false, fmt.Errorf("%w: %s event does not name its %s", providers.ErrMalformed, p.WebhookEvent, g.kind)
		}
		// "soft_deleted" is a project that lies in the trash, and "restored_deleted" one that came back.
		ended := what == "deleted" || what == "soft_deleted"
		return providers.Ref{Type: g.kind, ID: id}, ended && !g.part, nil
	}
	return providers.Ref{}, false, nil
}

// id returns the id of the object of a kind, or nothing when the payload lacks
// it. It is never the key of an issue or project: those change when it moves.
func (p *payload) id(kind string) string {
	switch kind {
	case "issue":
		return string(p.Issue.ID)
	case "comment":
		return within(p.Issue.ID, p.Comment.ID)
	case "worklog":
		return within(cmp.Or(p.Worklog.IssueID, p.Issue.ID), p.Worklog.ID)
	case "attachment":
		return string(p.Attachment.ID)
	case "issue_link":
		return string(p.IssueLink.ID)
	case "project":
		return string(p.Project.ID)
	case "version":
		return string(p.Version.ID)
	case "sprint":
		return string(p.Sprint.ID)
	default:
		return string(p.Board.ID)
	}
}

// within names what the API has below an issue only.
func within(issue, id number) string {
	if issue == "" || id == "" {
		return ""
	}
	return string(issue) + "/" + string(id)
}

// apiPaths says where the API has the objects of a kind. Each * stands for a
// number, and these together are the ref's id.
//
// Source: developer.atlassian.com/cloud/jira/platform/rest/v3 and
// developer.atlassian.com/cloud/jira/software/rest.
var apiPaths = map[string]string{
	"issue":      "/rest/api/3/issue/*",
	"comment":    "/rest/api/3/issue/*/comment/*",
	"worklog":    "/rest/api/3/issue/*/worklog/*",
	"attachment": "/rest/api/3/attachment/*",
	"issue_link": "/rest/api/3/issueLink/*",
	"project":    "/rest/api/3/project/*",
	"version":    "/rest/api/3/version/*",
	"sprint":     "/rest/agile/1.0/sprint/*",
	"board":      "/rest/agile/1.0/board/*",
}

// apiPath returns where the API has the object. It takes nothing for granted: a
// ref may come from an operator's keyboard.
func apiPath(ref providers.Ref) (string, bool) {
	path, ok := apiPaths[ref.Type]
	ids := strings.Split(ref.ID, "/")
	if !ok || len(ids) != strings.Count(path, "*") {
		return "", false
	}
	for _, id := range ids {
		if !isNumber(id) {
			return "", false
		}
		path = strings.Replace(path, "*", id, 1)
	}
	return path, true
}
