package sandbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stripeEventDays is how far Stripe's list of events goes back.
const stripeEventDays = 30

// list answers calls for a collection as a whole, newest first.
func (s stripe) list(t *tx, r *http.Request, _ []byte) (*answer, bool) {
	collection, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	if !ok || r.Method != http.MethodGet {
		return nil, false
	}
	q := r.URL.Query()
	if collection == "events" {
		return stripeList(r, q, t.p.stripeEvents(t.now, q)), true
	}
	for typ, kind := range stripeTypes {
		if kind.collection == collection {
			return stripeList(r, q, t.p.stripeObjects(typ, q)), true
		}
	}
	return nil, false
}

// stripeItem is something in a collection. A list does not show what its filters
// hide, but a page can start after it.
type stripeItem struct {
	id     string
	body   json.RawMessage
	hidden bool
}

func (p *Platform) stripeObjects(typ string, q url.Values) []stripeItem {
	var found []*Object
	for ref, o := range p.objects {
		if ref.Type == typ && !o.Deleted {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(a, b *Object) int {
		return cmp.Or(cmp.Compare(b.CreatedAt.Unix(), a.CreatedAt.Unix()), cmp.Compare(b.Ref.ID, a.Ref.ID))
	})
	created := stripeCreated(q)
	items := make([]stripeItem, len(found))
	for i, o := range found {
		items[i] = stripeItem{id: o.Ref.ID, body: o.State, hidden: !created.has(o.CreatedAt) || !stripeStatus(o, q)}
	}
	return items
}

// stripeEvents returns the events of the last 30 days.
func (p *Platform) stripeEvents(now time.Time, q url.Values) []stripeItem {
	created, oldest := stripeCreated(q), now.AddDate(0, 0, -stripeEventDays)
	var items []stripeItem
	for _, ev := range slices.Backward(p.events) {
		if ev.webhook.ID == "" || ev.CreatedAt.Before(oldest) {
			continue
		}
		otherwise := q.Has("delivery_success") && q.Get("delivery_success") != strconv.FormatBool(ev.Acknowledged)
		items = append(items, stripeItem{id: ev.ID, body: ev.webhook.Body, hidden: otherwise || !created.has(ev.CreatedAt)})
	}
	return items
}

// stripeRange is the filter "created", in Unix seconds, both ends included.
type stripeRange struct{ from, to int64 }

func stripeCreated(q url.Values) stripeRange {
	r := stripeRange{from: math.MinInt64, to: math.MaxInt64}
	read := func(param string, set func(second int64)) {
		if second, err := strconv.ParseInt(q.Get(param), 10, 64); err == nil {
			set(second)
		}
	}
	read("created", func(second int64) { r = stripeRange{from: second, to: second} })
	read("created[gte]", func(second int64) { r.from = max(r.from, second) })
	read("created[gt]", func(second int64) { r.from = max(r.from, second+1) })
	read("created[lte]", func(second int64) { r.to = min(r.to, second) })
	read("created[lt]", func(second int64) { r.to = min(r.to, second-1) })
	return r
}

func (r stripeRange) has(at time.Time) bool { return r.from <= at.Unix() && at.Unix() <= r.to }

// stripeStatus reads the filter "status", which subscriptions have: without it,
// the list leaves out those that were canceled.
func stripeStatus(o *Object, q url.Values) bool {
	asked := q.Get("status")
	if o.Ref.Type != "subscription" || asked == "all" {
		return true
	}
	state, err := decode(o.State)
	if err != nil {
		return false
	}
	if asked == "" {
		return state["status"] != "canceled"
	}
	return state["status"] == asked
}

// stripeList answers with the page of the items that the query asks for.
func stripeList(r *http.Request, q url.Values, items []stripeItem) *answer {
	limit := 10
	if given := q.Get("limit"); given != "" {
		var err error
		if limit, err = strconv.Atoi(given); err != nil || limit < 1 || limit > 100 {
			return stripeError(http.StatusBadRequest, fields{
				"message": fmt.Sprintf("Invalid limit: %.20q must be an integer from 1 to 100", given), "param": "limit", "type": "invalid_request_error",
			})
		}
	}
	if after := q.Get("starting_after"); after != "" {
		at := slices.IndexFunc(items, func(item stripeItem) bool { return item.id == after })
		if at < 0 {
			return stripeError(http.StatusBadRequest, fields{
				"code": "resource_missing", "doc_url": stripeErrorPages + "resource-missing",
				"message": fmt.Sprintf("No such object: '%.100s'", after), "param": "starting_after", "type": "invalid_request_error",
			})
		}
		items = items[at+1:]
	}
	items = slices.DeleteFunc(items, func(item stripeItem) bool { return item.hidden })
	data := []json.RawMessage{}
	for _, item := range items[:min(limit, len(items))] {
		data = append(data, item.body)
	}
	raw, err := encode(fields{"object": "list", "url": r.URL.Path, "has_more": len(items) > limit, "data": data})
	if err != nil {
		return stripeError(http.StatusInternalServerError, fields{"type": "api_error"})
	}
	return &answer{status: http.StatusOK, body: indented(raw), header: http.Header{"Content-Type": {"application/json"}}}
}
