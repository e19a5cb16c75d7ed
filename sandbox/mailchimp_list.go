package sandbox

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var mailchimpMembers = regexp.MustCompile(`^/3\.0/lists/([0-9A-Za-z]{1,32})/members$`)

// The sizes of pages.
const (
	mailchimpPage    = 10
	maxMailchimpPage = 1000
)

// list answers a call for the members of an audience. Archived ones are listed
// for callers that ask for them. An audience that has no members does not exist,
// but for the one that things happen in when none is named.
func (mailchimp) list(t *tx, r *http.Request, _ []byte) (*answer, bool) {
	asked := mailchimpMembers.FindStringSubmatch(r.URL.Path)
	if asked == nil || r.Method != http.MethodGet {
		return nil, false
	}
	query := r.URL.Query()
	var since time.Time
	if text := query.Get("since_last_changed"); text != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, text); err != nil {
			return mailchimpProblem(http.StatusBadRequest, "Invalid Resource", "since_last_changed: Invalid date."), true
		}
	}
	all := t.mailchimpMembers(asked[1])
	if len(all) == 0 && asked[1] != mailchimpList {
		return mailchimpProblem(http.StatusNotFound, "Resource Not Found", "The requested resource could not be found."), true
	}
	found := slices.DeleteFunc(all, func(m mailchimpListed) bool {
		return m.deleted || !m.changed.After(since) || !m.has(query.Get("status"))
	})
	if query.Get("sort_field") == "last_changed" {
		slices.SortStableFunc(found, func(a, b mailchimpListed) int { return a.changed.Compare(b.changed) })
	}
	if query.Get("sort_dir") == "DESC" {
		slices.Reverse(found)
	}
	return mailchimpListOf(asked[1], query, found), true
}

// mailchimpListed is a member with what decides whether and where it is listed.
type mailchimpListed struct {
	state   fields
	changed time.Time // last_changed
	created time.Time
	deleted bool
}

// has reports whether a list of members with a status shows it.
func (m mailchimpListed) has(status string) bool {
	if status == "" {
		return m.state["status"] != "archived"
	}
	return m.state["status"] == status
}

// mailchimpMembers returns all that an audience ever had, the oldest first.
func (t *tx) mailchimpMembers(list string) []mailchimpListed {
	var found []mailchimpListed
	for ref, o := range t.p.objects {
		if ref.Type != "member" || !strings.HasPrefix(ref.ID, list+"/") {
			continue
		}
		state, err := decode(o.State)
		if err != nil {
			continue
		}
		text, _ := state["last_changed"].(string)
		changed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			continue
		}
		found = append(found, mailchimpListed{state, changed, o.CreatedAt, o.Deleted})
	}
	slices.SortFunc(found, func(a, b mailchimpListed) int {
		return cmp.Or(a.created.Compare(b.created), cmp.Compare(plain(a.state["id"]), plain(b.state["id"])))
	})
	return found
}

// mailchimpListOf is a page, with those of its members that the query asks for.
func mailchimpListOf(list string, query url.Values, found []mailchimpListed) *answer {
	count, err := strconv.Atoi(query.Get("count"))
	if err != nil || count < 0 {
		count = mailchimpPage
	}
	offset, _ := strconv.Atoi(query.Get("offset"))
	begin := min(max(offset, 0), len(found))
	end := min(begin+min(count, maxMailchimpPage), len(found))
	only := strings.Split(query.Get("fields"), ",")
	members := make([]any, 0, end-begin)
	for _, m := range found[begin:end] {
		members = append(members, picked(m.state, "members.", only))
	}
	return jsonAnswer(http.StatusOK, "application/json; charset=utf-8", picked(fields{
		"members": members, "list_id": list, "total_items": len(found), "_links": []any{},
	}, "", only))
}

// picked returns the members whose names, after the prefix, are wanted or have
// members of their own that are; all of them when the query named none.
func picked(state fields, prefix string, wanted []string) fields {
	if slices.Equal(wanted, []string{""}) {
		return state
	}
	some := fields{}
	for name, value := range state {
		full := prefix + name
		if slices.ContainsFunc(wanted, func(w string) bool { return w == full || strings.HasPrefix(w, full+".") }) {
			some[name] = value
		}
	}
	return some
}
