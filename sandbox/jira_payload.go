package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/surehook/surehook/providers"
)

func (j jira) webhook(t *tx, what occurrence) (webhook, error) {
	kind, verb := splitJiraType(what.Type)
	if what.Ref.Type != kind.name {
		return webhook{}, fmt.Errorf("jira: %s is no event about %s", what.Type, what.Ref)
	}
	body := fields{"timestamp": t.now.UnixMilli(), "webhookEvent": what.Type}
	if kind.name != "" {
		body[kind.member] = jiraOld(what.After)
	}
	if err := j.extras(t, body, kind.name, verb, what); err != nil {
		return webhook{}, err
	}
	maps.Copy(body, what.Envelope)
	raw, err := encode(body)
	if err != nil {
		return webhook{}, err
	}
	id := t.p.ids.guid("webhook")
	return webhook{
		ID:   id,
		Type: what.Type,
		Header: http.Header{
			"Content-Type":                   {"application/json; charset=UTF-8"},
			"User-Agent":                     {"Atlassian Webhook HTTP Client"},
			"X-Atlassian-Webhook-Flow":       {"Primary"},
			"X-Atlassian-Webhook-Identifier": {id},
		},
		Body: raw,
	}, nil
}

// extras adds what the bodies of single events have besides.
func (j jira) extras(t *tx, body fields, kind, verb string, what occurrence) error {
	switch kind {
	case "issue":
		body["user"] = jiraOld(jiraUser())
		body["issue_event_type_name"] = "issue_" + verb
		if verb == "updated" {
			body["issue_event_type_name"] = "issue_generic"
			body["changelog"] = fields{"id": strconv.FormatUint(10_000+t.p.ids.next("changelog"), 10), "items": jiraChanges(what)}
		}
	case "comment":
		issue, err := j.issueOf(t, what.Ref)
		if err != nil {
			return err
		}
		body["issue"], body["eventType"] = issue, "primaryAction"
	case "project":
		// In this body alone the id of a project is a number.
		id, err := strconv.Atoi(plain(what.After["id"]))
		if err != nil {
			return fmt.Errorf("jira: %s: %w", what.Ref, err)
		}
		body["project"].(fields)["id"] = id
	}
	return nil
}

// issueOf returns as much of a comment's issue as its events show.
func (jira) issueOf(t *tx, comment providers.Ref) (any, error) {
	id, _, _ := strings.Cut(comment.ID, "/")
	o := t.p.objects[providers.Ref{Type: "issue", ID: id}]
	if o == nil {
		return nil, fmt.Errorf("jira issue %s: %w", id, ErrNoObject)
	}
	issue, err := decode(o.State)
	if err != nil {
		return nil, err
	}
	all, _ := issue["fields"].(fields)
	shown := fields{}
	for _, name := range []string{"summary", "issuetype", "project", "assignee", "priority", "status"} {
		shown[name] = all[name]
	}
	return jiraOld(fields{"id": issue["id"], "self": issue["self"], "key": issue["key"], "fields": shown}), nil
}

// jiraChanges lists the fields of an issue that differ. What people read of a
// value and what machines do are the same here.
func jiraChanges(what occurrence) []fields {
	before, _ := what.Before["fields"].(fields)
	after, _ := what.After["fields"].(fields)
	items := []fields{}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if name == "updated" || sameJSON(before[name], after[name]) {
			continue
		}
		items = append(items, fields{
			"field": name, "fieldtype": "jira", "fieldId": name,
			"from": nil, "fromString": jiraText(before[name]), "to": nil, "toString": jiraText(after[name]),
		})
	}
	return items
}

// jiraOld returns a value as version 2 of the API writes it, which webhooks still
// do: with its own addresses, and texts where version 3 has documents.
func jiraOld(v any) any {
	switch v := v.(type) {
	case string:
		return strings.Replace(v, "https://"+jiraSite+"/rest/api/3/", "https://"+jiraSite+"/rest/api/2/", 1)
	case fields:
		if v["type"] == "doc" {
			return jiraText(v)
		}
		old := fields{}
		for name, value := range v {
			old[name] = jiraOld(value)
		}
		return old
	case []any:
		old := make([]any, len(v))
		for i := range v {
			old[i] = jiraOld(v[i])
		}
		return old
	default:
		return v
	}
}

// jiraText is a value as people read it: the text of a document, the name of an object.
func jiraText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case fields:
		if text, ok := v["text"].(string); ok {
			return text
		}
		if content, ok := v["content"].([]any); ok {
			return jiraText(content)
		}
		return jiraText(v["name"])
	case []any:
		var texts []string
		for _, inner := range v {
			texts = append(texts, jiraText(inner))
		}
		return strings.Join(texts, " ")
	default:
		return plain(v)
	}
}
