package sandbox

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

const (
	jiraSearch  = "/rest/api/3/search/jql"
	jiraHooks   = "/rest/api/3/webhook"
	jiraWebhook = "webhook" // the type of refs of webhooks that an app has registered

	jiraWebhookLife = 30 * 24 * time.Hour
	jiraPage        = 50
)

// jiraQuery is the one form of JQL that the sandbox understands.
var jiraQuery = regexp.MustCompile(`^(?:project in \(([^)]*)\) AND )?updated >= "(?:-([0-9]+)m|2000-01-01)" ORDER BY updated ASC$`)

// list answers a search for issues, and calls about an app's webhooks.
func (j jira) list(t *tx, r *http.Request, body []byte) (a *answer, ok bool) {
	switch r.Method + " " + r.URL.Path {
	case http.MethodPost + " " + jiraSearch:
		a = j.search(t, body)
	case http.MethodGet + " " + jiraHooks:
		a = jiraWebhooks(t, r)
	case http.MethodPut + " " + jiraHooks + "/refresh":
		a = jiraRefresh(t, body)
	default:
		return nil, false
	}
	a.header.Set("X-AAccountId", jiraCaller)
	return a, true
}

// jiraSearchCall is the body of a search.
type jiraSearchCall struct {
	JQL        string   `json:"jql"`
	Fields     []string `json:"fields"`
	MaxResults int      `json:"maxResults"`
	Token      string   `json:"nextPageToken"`
}

func (jira) search(t *tx, body []byte) *answer {
	var call jiraSearchCall
	if json.Unmarshal(body, &call) != nil {
		return jiraError(http.StatusBadRequest, "Invalid request payload. Refer to the REST API documentation and try again.")
	}
	query := jiraQuery.FindStringSubmatch(call.JQL)
	if query == nil {
		return jiraError(http.StatusBadRequest, "Error in the JQL Query.")
	}
	after, err := base64.RawURLEncoding.DecodeString(call.Token)
	if err != nil {
		return jiraError(http.StatusBadRequest, "The provided next page token is invalid or expired.")
	}
	found := t.issues(query[1], query[2])
	found = slices.DeleteFunc(found, func(o *Object) bool { return jiraPlace(o) <= string(after) })
	answer := fields{"isLast": true}
	if size := jiraSize(call.MaxResults); len(found) > size {
		found = found[:size]
		answer["isLast"], answer["nextPageToken"] = false, base64.RawURLEncoding.EncodeToString([]byte(jiraPlace(found[size-1])))
	}
	issues := []any{}
	for _, o := range found {
		issue, err := jiraShown(o, call.Fields)
		if err != nil {
			return jiraError(http.StatusInternalServerError, "Internal server error")
		}
		issues = append(issues, issue)
	}
	answer["issues"] = issues
	return jiraAnswer(http.StatusOK, answer)
}

func jiraSize(asked int) int {
	if asked == 0 {
		return jiraPage
	}
	return asked
}

// issues returns those of the projects that changed in the last minutes, or all of
// them, in the order of their changes.
func (t *tx) issues(projects, minutes string) []*Object {
	var from time.Time
	if n, err := strconv.Atoi(minutes); err == nil {
		from = t.now.Add(-time.Duration(n) * time.Minute)
	}
	var found []*Object
	for _, o := range t.p.objects {
		if o.Ref.Type != "issue" || o.Deleted || o.ChangedAt.Before(from) {
			continue
		}
		if key, _, _ := strings.Cut(member(o, "key"), "-"); projects == "" || strings.Contains(projects, `"`+key+`"`) {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(a, b *Object) int {
		return cmp.Or(a.ChangedAt.Compare(b.ChangedAt), strings.Compare(a.Ref.ID, b.Ref.ID))
	})
	return found
}

// jiraPlace orders issues by their last change.
func jiraPlace(o *Object) string { return fmt.Sprintf("%020d/%s", o.ChangedAt.UnixNano(), o.Ref.ID) }

// jiraShown is an issue with the fields that were asked for, and no others.
func jiraShown(o *Object, names []string) (fields, error) {
	state, err := decode(o.State)
	if err != nil {
		return nil, err
	}
	all, _ := state["fields"].(fields)
	shown := fields{}
	for _, name := range names {
		if value, ok := all[name]; ok {
			shown[name] = value
		}
	}
	return fields{"expand": state["expand"], "id": state["id"], "self": state["self"], "key": state["key"], "fields": shown}, nil
}

func createJiraWebhook(t *tx, set fields) (providers.Ref, error) {
	id := 1000 + t.p.ids.next(jiraWebhook)
	state := fields{
		"id": id, "jqlFilter": "project = SBX1", "events": []any{"jira:issue_created", "jira:issue_updated"},
		"expirationDate": t.now.Add(jiraWebhookLife).UnixMilli(),
	}
	maps.Copy(state, set)
	ref := providers.Ref{Type: jiraWebhook, ID: plain(state["id"])}
	return ref, t.put(ref, nil, state)
}

// jiraWebhooks lists the webhooks that have not expired.
func jiraWebhooks(t *tx, r *http.Request) *answer {
	var live []*Object
	for _, o := range t.p.objects {
		if o.Ref.Type == jiraWebhook && !o.Deleted && jiraExpires(o).After(t.now) {
			live = append(live, o)
		}
	}
	slices.SortFunc(live, func(a, b *Object) int { return compareRefs(a.Ref, b.Ref) })
	query := r.URL.Query()
	start, _ := strconv.Atoi(query.Get("startAt"))
	size, _ := strconv.Atoi(query.Get("maxResults"))
	total := len(live)
	live = live[min(max(start, 0), total):]
	live = live[:min(jiraSize(size), len(live))]
	values := []any{}
	for _, o := range live {
		values = append(values, o.State)
	}
	return jiraAnswer(http.StatusOK, fields{
		"startAt": start, "maxResults": jiraSize(size), "total": total, "isLast": start+len(live) >= total, "values": values,
	})
}

// jiraExpires is when a webhook ends.
func jiraExpires(o *Object) time.Time {
	var state struct {
		Expires int64 `json:"expirationDate"`
	}
	if json.Unmarshal(o.State, &state) != nil {
		return time.Time{}
	}
	return time.UnixMilli(state.Expires)
}

// jiraRefresh lets webhooks last for another 30 days. Those that the app does not
// have are passed over.
func jiraRefresh(t *tx, body []byte) *answer {
	var call struct {
		IDs []int64 `json:"webhookIds"`
	}
	if json.Unmarshal(body, &call) != nil || len(call.IDs) == 0 {
		return jiraError(http.StatusBadRequest, "The webhook ids are missing.")
	}
	until := t.now.Add(jiraWebhookLife).UnixMilli()
	for _, id := range call.IDs {
		ref := providers.Ref{Type: jiraWebhook, ID: strconv.FormatInt(id, 10)}
		if o := t.p.objects[ref]; o == nil || !jiraExpires(o).After(t.now) {
			continue
		}
		if _, err := t.change(ref, func(o fields) { o["expirationDate"] = until }); err != nil {
			return jiraError(http.StatusInternalServerError, "Internal server error")
		}
	}
	return jiraAnswer(http.StatusOK, fields{"expirationDate": until})
}
