package mailchimp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// pageSize is a quarter of what Mailchimp allows: a page is repeated as a whole
// when what follows from it fails halfway.
const pageSize = 250

// Lists returns the list of members, for a source whose settings name audiences.
func (p *Provider) Lists() []providers.List {
	if len(p.audiences) == 0 {
		return nil
	}
	return []providers.List{{Name: refMember, Event: "profile"}}
}

// List returns a page of the members of one of the audiences, those that were
// changed first before the others. The cursor says of which audience. Members who
// were deleted for good are not listed.
//
// Source: mailchimp.com/developer/marketing/api/list-members/list-members-info.
func (p *Provider) List(ctx context.Context, q providers.ListQuery) (providers.Page, error) {
	if q.List != refMember || len(p.audiences) == 0 {
		return providers.Page{}, fmt.Errorf("%s: list %.50q: %w", name, q.List, providers.ErrNoSuchList)
	}
	sections := p.sections()
	at, err := readPosition(q, sections)
	if err != nil {
		return providers.Page{}, fmt.Errorf("%s: list %s: %w", name, refMember, err)
	}
	answer, err := p.client.Get(ctx, "list members of "+at.audience(), at.path(), p.header())
	if err != nil {
		return providers.Page{}, err
	}
	var found members
	if err := answer.ReadJSON(&found); err != nil {
		return providers.Page{}, err
	}
	objects, err := found.objects(at.audience())
	if err != nil {
		return providers.Page{}, answer.Unusable(providers.RetryNever, err)
	}
	next, more, err := at.after(objects, found.Total)
	if err != nil {
		return providers.Page{}, answer.Unusable(providers.RetrySoon, err)
	}
	page := ""
	if more {
		page = next.page()
	}
	return providers.Page{Objects: objects, Next: sections.Next(at.section, page)}, nil
}

// archived members have to be asked for: nothing says that a list without a status
// holds them, and to miss that somebody left would be the worst of all.
const archived = "archived"

// sections are what is listed at a time: the members of an audience with those
// statuses that are listed where none is named, and its archived ones.
func (p *Provider) sections() providers.Places {
	var all providers.Places
	for _, audience := range p.audiences {
		all = append(all, audience, audience+"/"+archived)
	}
	return all
}

// position is where a page is.
//
// Members move to the end of the list when they change, so that counting rows
// from its beginning would skip as many as left their place between two calls.
// A page therefore begins where the one before it ended by the time of change,
// and not by a number of rows. The times are whole seconds, and nothing says
// whether since_last_changed includes the second that it names: it is set to the
// second before, and rows come twice.
type position struct {
	section string
	from    int64 // since_last_changed, in seconds since 1970; 0 for all
	offset  int   // rows to leave out, when all of a page were changed at that time
}

func (at position) audience() string {
	audience, _, _ := strings.Cut(at.section, "/")
	return audience
}

// page is where in its section the position is, for a cursor.
func (at position) page() string { return fmt.Sprintf("%d %d", at.from, at.offset) }

// readPosition reads a cursor.
func readPosition(q providers.ListQuery, sections providers.Places) (position, error) {
	section, page, err := sections.At(q.Cursor)
	at := position{section: section}
	switch {
	case err != nil:
		return at, err
	case page == "" && q.Since.IsZero():
		return at, nil
	case page == "":
		at.from = max(q.Since.Unix()-1, 0)
		return at, nil
	}
	since, rows, _ := strings.Cut(page, " ")
	from, badFrom := strconv.ParseUint(since, 10, 40)
	offset, badOffset := strconv.ParseUint(rows, 10, 31)
	if badFrom != nil || badOffset != nil {
		return at, providers.ErrStaleCursor
	}
	at.from, at.offset = int64(from), int(offset)
	return at, nil
}

// path asks for no more than what tells whether we have the member as it is.
func (at position) path() string {
	query := url.Values{
		"count":      {strconv.Itoa(pageSize)},
		"fields":     {"members.id,members.list_id,members.last_changed,total_items"},
		"offset":     {strconv.Itoa(at.offset)},
		"sort_dir":   {"ASC"},
		"sort_field": {"last_changed"},
	}
	if at.from > 0 {
		query.Set("since_last_changed", time.Unix(at.from, 0).UTC().Format("2006-01-02T15:04:05-07:00"))
	}
	if at.section != at.audience() {
		query.Set("status", archived)
	}
	return "/3.0/lists/" + at.audience() + "/members?" + query.Encode()
}

// after is the position of the next page of the section, if there is one. Where
// all of a page were changed at about the same time, as by an import, the time
// does not lead on, and rows have to be counted after all; then the next page
// holds half of this one again, so that only if more members than that left their
// place in between could one be skipped.
func (at position) after(objects []providers.Listed, total *int) (next position, more bool, err error) {
	switch n := len(objects); {
	case total == nil:
		return at, false, errors.New("answer has no total_items")
	case at.offset+n >= *total:
		return at, false, nil
	case n == 0:
		return at, false, errors.New("answer has no members, though there are more")
	default:
		if from := objects[n-1].UpdatedAt.Unix() - 1; from > at.from {
			return position{section: at.section, from: from}, true, nil
		}
		at.offset += (n + 1) / 2
		return at, true, nil
	}
}

// members is a page as the API writes it.
type members struct {
	Members []jsontext.Value `json:"members"`
	Total   *int             `json:"total_items"`
}

// objects are the listed members, named as webhooks name them.
func (m members) objects(audience string) ([]providers.Listed, error) {
	objects := make([]providers.Listed, 0, len(m.Members))
	for _, state := range m.Members {
		var one struct {
			ID          string `json:"id"`
			ListID      string `json:"list_id"`
			LastChanged string `json:"last_changed"`
		}
		err := providers.ReadJSON(state, &one)
		ref := providers.Ref{Type: refMember, ID: one.ListID + "/" + one.ID}
		if err != nil || one.ListID != audience || !memberID.MatchString(ref.ID) {
			return nil, errors.New("answer lists something else")
		}
		objects = append(objects, providers.Listed{
			Object:  providers.Object{Ref: ref, State: []byte(state), UpdatedAt: changedAt(one.LastChanged)},
			Partial: true,
		})
	}
	return objects, nil
}
