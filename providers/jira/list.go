package jira

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// issueList is the list of issues by their last change.
const issueList = "issue"

const (
	searchPath = "/rest/api/3/search/jql"
	// searchPage is how many issues a page is to have. Jira would give thousands
	// of so few fields, and each may have to be fetched before the next page.
	searchPage = 100
)

// Lists implements providers.Lister.
func (p *Provider) Lists() []providers.List {
	return []providers.List{{Name: issueList, Event: "jira:issue_updated"}}
}

// search is a query for issues.
//
// Source: developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search,
// "Search for issues using JQL enhanced search (POST)".
type search struct {
	JQL        string   `json:"jql"`
	Fields     []string `json:"fields"`
	MaxResults int      `json:"maxResults"`
	Token      string   `json:"nextPageToken,omitempty"`
}

// List implements providers.Lister. It asks for the issues that changed last, the
// oldest change first, and for nothing of them but when that was: what differs is
// fetched, as a search does not return all that a fetch does.
//
// The index that is searched runs some seconds behind, so an issue may be missing
// from it, or be shown as it was. (reconcileIssues would bring up to date those
// that are named, and nobody knows which were missed.) The next run finds them
// because it looks back. An issue that was deleted, or that the account may no
// longer see, is not listed.
func (p *Provider) List(ctx context.Context, q providers.ListQuery) (providers.Page, error) {
	if q.List != issueList {
		return providers.Page{}, fmt.Errorf("%s: list %.50q: %w", name, q.List, providers.ErrNoSuchList)
	}
	op := "list " + issueList
	if p.client == nil {
		return providers.Page{}, &providers.APIError{Provider: name, Op: op, Retry: providers.RetryNever, Err: errNoAPI}
	}
	at, err := readPosition(q, time.Now())
	if err != nil {
		return providers.Page{}, err
	}
	r, err := p.send(ctx, op, http.MethodPost, searchPath, search{
		JQL: p.jql(at.minutes), Fields: []string{"updated"}, MaxResults: searchPage, Token: at.token,
	})
	switch {
	case at.token != "" && r.Status == http.StatusBadRequest: // the query was good for the page before
		return providers.Page{}, fmt.Errorf("%w: %w", providers.ErrStaleCursor, err)
	case err != nil:
		return providers.Page{}, err
	}
	if at.token == "" {
		// To whoever it does not know, Jira shows what is public: nothing, mostly.
		if err := p.authenticated(ctx, op, r.Header); err != nil {
			return providers.Page{}, err
		}
	}
	return at.page(r)
}

// send makes a call with a JSON body.
func (p *Provider) send(ctx context.Context, op, method, path string, body any) (providers.APIResponse, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return providers.APIResponse{}, &providers.APIError{Provider: name, Op: op, Retry: providers.RetryNever, Err: err}
	}
	header := p.header()
	header.Set("Content-Type", "application/json")
	return p.client.Call(ctx, op, method, path, header, text)
}

// jql is the query for what changed in the last minutes, or for everything when
// that is 0. (A query without any condition is refused.) JQL has times in whole
// minutes of the account's own time zone, which we do not know; how long ago
// something was means the same everywhere.
func (p *Provider) jql(minutes int64) string {
	condition := `updated >= "2000-01-01"` // before there was a Jira
	if minutes > 0 {
		condition = fmt.Sprintf(`updated >= "-%dm"`, minutes)
	}
	if len(p.settings.Projects) > 0 {
		condition = `project in ("` + strings.Join(p.settings.Projects, `", "`) + `") AND ` + condition
	}
	return condition + " ORDER BY updated ASC"
}

// position is where a run over the list stands: how far back its query goes, which
// has to stay the same from page to page, and Jira's token for the page.
type position struct {
	minutes int64
	token   string
}

var errPosition = errors.New("not a cursor of this list")

func readPosition(q providers.ListQuery, now time.Time) (position, error) {
	if q.Cursor == "" {
		return position{minutes: minutesSince(q.Since, now)}, nil
	}
	minutes, token, _ := strings.Cut(q.Cursor, ":")
	n, err := strconv.ParseInt(minutes, 10, 64)
	if err != nil || n < 0 || token == "" {
		return position{}, fmt.Errorf("%s: list %s: %w: %w", name, issueList, providers.ErrStaleCursor, errPosition)
	}
	return position{minutes: n, token: token}, nil
}

// minutesSince rounds up, and adds a minute in which our clock and Jira's may differ.
func minutesSince(since, now time.Time) int64 {
	if since.IsZero() {
		return 0
	}
	past := max(now.Sub(since), 0)
	return int64((past+time.Minute-1)/time.Minute) + 1
}

// page reads one answer, and says where to go on.
func (at position) page(r providers.APIResponse) (providers.Page, error) {
	var found struct {
		Issues []jsontext.Value `json:"issues"`
		Token  string           `json:"nextPageToken"`
	}
	if err := r.ReadJSON(&found); err != nil {
		return providers.Page{}, err
	}
	if found.Issues == nil {
		return providers.Page{}, r.Unusable(providers.RetrySoon, errors.New("answer is not a search's"))
	}
	var page providers.Page
	for _, raw := range found.Issues {
		var issue struct {
			ID     number `json:"id"`
			Fields struct {
				Updated string `json:"updated"`
			} `json:"fields"`
		}
		if err := providers.ReadJSON(raw, &issue); err != nil || issue.ID == "" {
			return providers.Page{}, r.Unusable(providers.RetryNever, errors.New("an issue without its number"))
		}
		page.Objects = append(page.Objects, providers.Listed{
			Object: providers.Object{
				Ref:       providers.Ref{Type: "issue", ID: string(issue.ID)},
				State:     []byte(raw),
				UpdatedAt: moment(issue.Fields.Updated),
			},
			Partial: true,
		})
	}
	if found.Token != "" {
		page.Next = strconv.FormatInt(at.minutes, 10) + ":" + found.Token
	}
	return page, nil
}
