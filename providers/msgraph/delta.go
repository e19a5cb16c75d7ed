package msgraph

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// deltaList is the one list: all delta functions of the settings, one after the other.
const deltaList = "delta"

// deltaPage is how many objects a page is to have. Outlook keeps to it; the
// directory has pages of its own size.
const deltaPage = "odata.maxpagesize=100"

// Lists implements providers.Lister. The list has no type of event, for it shows
// what the settings subscribe to.
func (p *Provider) Lists() []providers.List {
	if len(p.deltas()) == 0 {
		return nil
	}
	return []providers.List{{Name: deltaList}}
}

// deltas are the functions of the settings, each once.
func (p *Provider) deltas() []delta {
	var all []delta
	for _, s := range p.settings.subscribe {
		for _, d := range s.deltas {
			if !slices.Contains(all, d) {
				all = append(all, d)
			}
		}
	}
	return all
}

// round is where the list stands. It is its cursor, as JSON.
type round struct {
	Function string `json:"function"`       // the delta function whose turn it is
	Link     string `json:"link,omitempty"` // its next page; empty where its turn begins
	// Whole says that the function shows everything, rather than what has changed
	// since the round before.
	Whole bool `json:"whole,omitempty"`
	// Marks are where the functions that have had their turn go on in the next round.
	Marks marks `json:"marks,omitempty"`
}

// marks are links by the delta function. They are the list's mark, as JSON.
type marks map[string]string

// List implements providers.Lister. A round without a mark shows all there is,
// whatever its Since: delta functions know no times. With the mark of the round
// before it shows what has changed since, deletions included, and an object that
// changed twice may come twice.
//
// The links in Graph's answers hold the state of a round. They are kept without
// their host, and lead to nothing but a delta function of our own API. Graph
// forgets those of the directory after seven days and those of Outlook when it
// needs the room; ErrStaleCursor then begins the list anew.
//
// A message that was moved is gone from the delta of its old folder: whatever a
// delta calls removed is therefore asked for, and it is the fetch that decides.
//
// Source: learn.microsoft.com/graph/delta-query-overview.
func (p *Provider) List(ctx context.Context, q providers.ListQuery) (providers.Page, error) {
	functions := p.deltas()
	if q.List != deltaList || len(functions) == 0 {
		return providers.Page{}, fmt.Errorf("%s: list %.50q: %w", name, q.List, providers.ErrNoSuchList)
	}
	at, link, err := begin(functions, q)
	if err != nil {
		return providers.Page{}, err
	}
	turn := slices.IndexFunc(functions, func(d delta) bool { return d.path == at.Function })
	if turn < 0 {
		return providers.Page{}, stale(errors.New("the settings no longer have its delta function"))
	}
	r, err := p.call(ctx, request{op: "list " + deltaList + " of " + functions[turn].kind, path: version + link, prefer: deltaPage})
	switch {
	case err != nil && link != at.Function && isStale(r):
		return providers.Page{}, stale(err)
	case err != nil:
		return providers.Page{}, err
	}
	return p.page(functions, turn, at, r)
}

// begin reads where the list stands, and the path to call there.
func begin(functions []delta, q providers.ListQuery) (at round, link string, err error) {
	at.Function = functions[0].path
	if q.Cursor != "" {
		if err := providers.ReadJSON([]byte(q.Cursor), &at); err != nil {
			return round{}, "", stale(err)
		}
	}
	if at.Link == "" {
		before := marks{}
		if q.Mark != "" {
			if err := providers.ReadJSON([]byte(q.Mark), &before); err != nil {
				return round{}, "", stale(err)
			}
		}
		at.Link = before[at.Function]
		at.Whole = at.Link == ""
	}
	if at.Link == "" {
		return at, at.Function, nil
	}
	if call, _, _ := strings.Cut(at.Link, "?"); !isDelta(call) {
		return round{}, "", stale(errNoDelta)
	}
	return at, at.Link, nil
}

func stale(err error) error {
	return fmt.Errorf("%s: list %s: %w: %w", name, deltaList, providers.ErrStaleCursor, err)
}

// staleCodes are the codes with which the services behind Graph say that they no
// longer know the state of a round; a 410 says it without them.
//
// Source: learn.microsoft.com/graph/delta-query-overview, "Synchronization reset",
// learn.microsoft.com/graph/api/driveitem-delta.
var staleCodes = []string{
	"syncStateNotFound", "syncStateInvalid", "resyncRequired", "fullSyncRequired", "Directory_ResyncRequired", "Directory_ExpiredPageToken",
}

func isStale(r providers.APIResponse) bool {
	code := errorCode(r.Body)
	return r.Status == http.StatusGone ||
		r.Status/100 == 4 && slices.ContainsFunc(staleCodes, func(c string) bool { return strings.EqualFold(c, code) })
}

// changed is one object of a page.
type changed struct {
	ID           string         `json:"id"`
	Type         string         `json:"type"` // of an event of a calendar
	LastModified string         `json:"lastModifiedDateTime"`
	Removed      jsontext.Value `json:"@removed"`
}

// occurrence is the type of a series' single date. Notifications are about the series.
const occurrence = "occurrence"

// page reads one answer, and says where to go on.
func (p *Provider) page(functions []delta, turn int, at round, r providers.APIResponse) (providers.Page, error) {
	var body struct {
		Value []jsontext.Value `json:"value"`
		Next  string           `json:"@odata.nextLink"`
		Delta string           `json:"@odata.deltaLink"`
	}
	if err := r.ReadJSON(&body); err != nil {
		return providers.Page{}, err
	}
	page := providers.Page{Objects: functions[turn].objects(body.Value, at.Whole)}
	switch {
	case body.Next != "":
		link, ok := p.deltaLink(body.Next)
		if !ok {
			return providers.Page{}, r.Unusable(providers.RetryNever, errForeignLink)
		}
		at.Link = link
	case body.Delta != "":
		link, ok := p.deltaLink(body.Delta)
		if !ok {
			return providers.Page{}, r.Unusable(providers.RetryNever, errForeignLink)
		}
		after := maps.Clone(at.Marks)
		if after == nil {
			after = marks{}
		}
		after[at.Function] = link
		if turn == len(functions)-1 {
			page.Mark = encode(after)
			return page, nil
		}
		at = round{Function: functions[turn+1].path, Marks: after}
	default:
		return providers.Page{}, r.Unusable(providers.RetrySoon, errors.New("neither a next page nor an end"))
	}
	page.Next = encode(at)
	return page, nil
}

var errForeignLink = errors.New("the answer's link is not one of a delta function below api.base_url")

// deltaLink returns what of a link leads to a delta function of our own API: the
// path below its version, and the query.
func (p *Provider) deltaLink(link string) (string, bool) {
	path, ok := p.client.Below(link)
	if !ok {
		return "", false
	}
	path, ok = strings.CutPrefix(path, version)
	call, _, _ := strings.Cut(path, "?")
	return path, ok && isDelta(call)
}

// encode writes a cursor or mark, which can always be written.
func encode(v any) string {
	text, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return ""
	}
	return string(text)
}

// objects names what a page shows. What cannot be named has no record either:
// the events about it wait for an operator.
//
// A delta shows a selection of the members, so that only times could be compared.
// In a whole round they are. But they have whole seconds, and what a later round
// shows has changed: that is fetched whatever they say.
func (d delta) objects(all []jsontext.Value, whole bool) []providers.Listed {
	var listed []providers.Listed
	for _, raw := range all {
		var c changed
		if providers.ReadJSON(raw, &c) != nil {
			continue
		}
		ref := providers.Ref{Type: d.kind, ID: d.prefix + c.ID}
		if _, ok := objectPath(ref); !ok || c.Type == occurrence {
			continue
		}
		one := providers.Listed{Object: providers.Object{Ref: ref}, Partial: true}
		if one.Deleted = c.Removed.Kind() == jsontext.KindBeginObject; !one.Deleted {
			one.State = []byte(raw)
		}
		if whole && !one.Deleted {
			one.UpdatedAt = moment(c.LastModified)
		}
		listed = append(listed, one)
	}
	return listed
}
