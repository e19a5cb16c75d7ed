package github

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// The names of GitHub's lists.
const (
	deliveryList    = "deliveries"
	issueList       = "issue"
	pullRequestList = "pull-request"
)

// pageSize is the largest that GitHub allows.
const pageSize = "100"

// Lists implements providers.Lister.
func (p *Provider) Lists() []providers.List {
	var lists []providers.List
	if len(p.settings.Hooks) > 0 {
		lists = append(lists, providers.List{Name: deliveryList})
	}
	if len(p.settings.Repositories) > 0 {
		lists = append(lists,
			providers.List{Name: issueList, Event: "issues.edited"},
			providers.List{Name: pullRequestList, Event: "pull_request.edited"})
	}
	return lists
}

// List implements providers.Lister. Where the settings name several hooks or
// repositories, it reads one after the other.
func (p *Provider) List(ctx context.Context, q providers.ListQuery) (providers.Page, error) {
	if !slices.ContainsFunc(p.Lists(), func(l providers.List) bool { return l.Name == q.List }) {
		return providers.Page{}, fmt.Errorf("%s: list %.50q: %w", name, q.List, providers.ErrNoSuchList)
	}
	switch q.List {
	case deliveryList:
		return p.listDeliveries(ctx, q)
	case issueList:
		return p.listIssues(ctx, q, "issue")
	default:
		return p.listIssues(ctx, q, "pull_request")
	}
}

// place is where a list is: in which hook or repository, and the parameters that
// GitHub wants for the page. Nothing that a cursor says gets into a path: "in" is
// one of those that the settings name.
type place struct {
	in   string
	page url.Values
}

// The parameters that a page can need, of those in the links GitHub answers with.
var pageParams = []string{"after", "cursor", "page", "since"}

// readPlace reads a cursor, in which the page is written like a URL's query.
func readPlace(cursor string, places providers.Places) (place, error) {
	in, page, err := places.At(cursor)
	if err != nil {
		return place{}, err
	}
	values, err := url.ParseQuery(page)
	if err != nil {
		return place{}, providers.ErrStaleCursor // the parser's error quotes it
	}
	return place{in: in, page: pick(values)}, nil
}

func pick(values url.Values) url.Values {
	picked := url.Values{}
	for _, param := range pageParams {
		if v := values.Get(param); v != "" {
			picked.Set(param, v)
		}
	}
	return picked
}

// get asks for the page of a list that is at path.
func (p *Provider) get(ctx context.Context, list, path string, at place, more url.Values) (providers.APIResponse, error) {
	params := pick(at.page)
	params.Set("per_page", pageSize)
	maps.Copy(params, more)
	r, err := p.client.Get(ctx, "list "+list, path+"?"+params.Encode(), p.header(""))
	if r.Status == http.StatusUnprocessableEntity && at.goesOn() {
		return r, fmt.Errorf("%s: list %s: %w", name, list, providers.ErrStaleCursor)
	}
	return r, err
}

// goesOn reports whether GitHub itself has said where the page begins.
func (at place) goesOn() bool {
	return at.page.Has("after") || at.page.Has("cursor") || at.page.Has("page")
}

// nextLink finds the next page among the links of an answer
// (docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api).
var nextLink = regexp.MustCompile(`<([^>]*)>; rel="next"`)

// linked returns the parameters of the page after this one, or nil when this is
// the last. Only they are taken from the link, not where it leads.
func linked(r providers.APIResponse) (url.Values, error) {
	match := nextLink.FindStringSubmatch(r.Header.Get("Link"))
	if match == nil {
		return nil, nil
	}
	link, err := url.Parse(match[1])
	if err != nil {
		return nil, r.Unusable(providers.RetryNever, errLink)
	}
	page := place{page: pick(link.Query())}
	if !page.goesOn() {
		return nil, r.Unusable(providers.RetryNever, errLink)
	}
	return page.page, nil
}

var errLink = errors.New("an unreadable link to the next page")

// issue is what is read of an entry in a list of issues, and its own JSON.
type issue struct {
	Number        int64          `json:"number"`
	UpdatedAt     time.Time      `json:"updated_at"`
	RepositoryURL string         `json:"repository_url"`
	PullRequest   jsontext.Value `json:"pull_request"`

	raw []byte
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (i *issue) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	type members issue // without this method
	i.raw = raw.Clone()
	return providers.ReadJSON(i.raw, (*members)(i))
}

// kind tells the type of the entry's ref: GitHub lists pull requests as issues.
func (i *issue) kind() string {
	if i.PullRequest.Kind() == jsontext.KindBeginObject {
		return "pull_request"
	}
	return "issue"
}

// listed returns the object under the name that webhooks have for it, which is
// made of the repository's name as it is now and not as the settings spell it.
func (i *issue) listed() (providers.Listed, error) {
	repository := i.RepositoryURL
	if slash := strings.LastIndexByte(repository, '/'); slash >= 0 {
		repository = repository[strings.LastIndexByte(repository[:slash], '/')+1:]
	}
	kind := i.kind()
	path, err := fillPath(apiPaths[kind], repository, func(string) string { return strconv.FormatInt(i.Number, 10) })
	if err != nil || i.Number <= 0 || i.UpdatedAt.IsZero() {
		return providers.Listed{}, errors.New("an issue without repository, number or time")
	}
	return providers.Listed{
		Object:  providers.Object{Ref: providers.Ref{Type: kind, ID: path}, State: i.raw, UpdatedAt: i.UpdatedAt.UTC()},
		Partial: true,
	}, nil
}

// listIssues lists the issues, or the pull requests, of the repositories. GitHub
// has one list of both that can say what was updated since; that of pull
// requests alone cannot. So a source that follows both asks for it twice, and one
// that follows one of them gets no records of the other.
//
// The entries lack members that a fetch returns, so only their times can be
// compared, in whole seconds. Deleted issues are not listed, and transferred
// ones are, in their new repository.
//
// Source: docs.github.com/rest/issues/issues#list-repository-issues.
func (p *Provider) listIssues(ctx context.Context, q providers.ListQuery, kind string) (providers.Page, error) {
	repositories := providers.Places(p.settings.Repositories)
	at, err := readPlace(q.Cursor, repositories)
	if err != nil {
		return providers.Page{}, fmt.Errorf("%s: list %s: %w", name, q.List, err)
	}
	if len(at.page) == 0 && !q.Since.IsZero() {
		at.page.Set("since", sinceParam(q.Since))
	}
	repository, err := escapeRepository(at.in)
	if err != nil {
		return providers.Page{}, fmt.Errorf("%s: list %s: %w", name, q.List, err)
	}
	r, err := p.get(ctx, q.List, "/repos/"+repository+"/issues", at, url.Values{"state": {"all"}, "sort": {"updated"}, "direction": {"asc"}})
	if err != nil {
		return providers.Page{}, err
	}
	var issues []issue
	if err := r.ReadJSONArray(&issues); err != nil {
		return providers.Page{}, err
	}
	link, err := linked(r)
	if err != nil {
		return providers.Page{}, err
	}
	page := providers.Page{Next: repositories.Next(at.in, pageAfter(at, issues, link).Encode())}
	for _, i := range issues {
		listed, err := i.listed()
		if err != nil {
			return providers.Page{}, r.Unusable(providers.RetryNever, err)
		}
		if listed.Ref.Type == kind {
			page.Objects = append(page.Objects, listed)
		}
	}
	return page, nil
}

// pageAfter goes on from the time of the last entry and not from the number of
// the page: an issue that is updated meanwhile moves to the end, so that all
// that come after it would move up, and one of them from a page that is still to
// come to one that has been read. (GitHub also refuses high numbers.) Where all
// of a page is from the second that it began with, the link has to do.
func pageAfter(at place, issues []issue, link url.Values) url.Values {
	if link == nil || len(issues) == 0 {
		return link
	}
	began, since := at.page.Get("since"), sinceParam(issues[len(issues)-1].UpdatedAt)
	if since > began { // as texts they compare as the times do
		return url.Values{"since": {since}}
	}
	link.Set("since", began) // the number counts from there
	return link
}

// sinceParam asks for what was updated at t or later. A second more is asked for:
// whether GitHub takes in the second that it is told is not documented.
func sinceParam(t time.Time) string { return t.Add(-time.Second).UTC().Format(time.RFC3339) }
