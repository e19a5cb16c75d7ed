package sandbox

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var twilioCollection = regexp.MustCompile(`^/2010-04-01/Accounts/(AC[0-9a-f]{32})/(Messages|Calls|Recordings|Conferences)\.json$`)

// twilioDays are the parameters that filter by days.
var twilioDays = map[string][]string{
	"message":    {"DateSent"},
	"call":       {"StartTime", "EndTime"},
	"recording":  {"DateCreated"},
	"conference": {"DateCreated", "DateUpdated"},
}

// The sizes of pages.
const (
	twilioPageSize    = 50
	maxTwilioPageSize = 1000
)

// list answers a call for what an account has of a kind, the newest first. A
// filter knows days only, and shows nothing that has not the day it asks for, such
// as a message that was never sent.
func (twilio) list(t *tx, r *http.Request, _ []byte) (*answer, bool) {
	asked := twilioCollection.FindStringSubmatch(r.URL.Path)
	if asked == nil || r.Method != http.MethodGet {
		return nil, false
	}
	typ := strings.ToLower(strings.TrimSuffix(asked[2], "s"))
	query := r.URL.Query()
	found := t.twilioObjects(typ, asked[1])
	if token := query.Get("PageToken"); token != "" {
		last := slices.IndexFunc(found, func(o twilioListed) bool { return "PA"+o.sid == token })
		if last < 0 {
			return twilioError(http.StatusBadRequest, 20001, "Invalid PageToken"), true
		}
		found = found[last+1:]
	}
	found = slices.DeleteFunc(found, func(o twilioListed) bool { return o.deleted || !o.fits(twilioDays[typ], query) })
	return twilioPage(r.URL.Path, strings.ToLower(asked[2]), query, found), true
}

// twilioListed is an object with what decides whether and where it is listed.
type twilioListed struct {
	sid     string
	body    json.RawMessage
	state   twilioState
	created time.Time
	deleted bool
}

// twilioState are the members of a state that filters look at. What has not
// happened is null, and empty here.
type twilioState struct {
	AccountSID  string `json:"account_sid"`
	DateSent    string `json:"date_sent"`
	StartTime   string `json:"start_time"`
	EndTime     string `json:"end_time"`
	DateCreated string `json:"date_created"`
	DateUpdated string `json:"date_updated"`
}

// day is the one that a parameter filters by.
func (s twilioState) day(parameter string) (string, bool) {
	at, err := time.Parse(time.RFC1123Z, map[string]string{
		"DateSent": s.DateSent, "StartTime": s.StartTime, "EndTime": s.EndTime, "DateCreated": s.DateCreated, "DateUpdated": s.DateUpdated,
	}[parameter])
	return at.UTC().Format(time.DateOnly), err == nil
}

// twilioObjects returns all that an account ever had of a type, the newest first.
func (t *tx) twilioObjects(typ, account string) []twilioListed {
	var found []twilioListed
	for ref, o := range t.p.objects {
		if ref.Type != typ {
			continue
		}
		var state twilioState
		if err := json.Unmarshal(o.State, &state); err != nil || state.AccountSID != account {
			continue
		}
		found = append(found, twilioListed{ref.ID, o.body, state, o.CreatedAt, o.Deleted})
	}
	slices.SortFunc(found, func(a, b twilioListed) int {
		return cmp.Or(b.created.Compare(a.created), cmp.Compare(a.sid, b.sid))
	})
	return found
}

// fits reports whether the object is within the days that the query asks for.
func (o twilioListed) fits(days []string, query url.Values) bool {
	for _, name := range days {
		for comparison, allowed := range map[string][]int{"": {0}, "<": {-1, 0}, ">": {0, 1}} {
			asked := query.Get(name + comparison)
			if asked == "" {
				continue
			}
			asked = asked[:min(len(asked), len(time.DateOnly))] // of a time the day counts
			day, has := o.state.day(name)
			if !has || !slices.Contains(allowed, cmp.Compare(day, asked)) {
				return false
			}
		}
	}
	return true
}

func twilioPage(path, member string, query url.Values, found []twilioListed) *answer {
	size, err := strconv.Atoi(query.Get("PageSize"))
	if err != nil || size < 1 {
		size = twilioPageSize
	}
	size = min(size, maxTwilioPageSize)
	number, _ := strconv.Atoi(query.Get("Page"))
	items := make([]any, 0, size)
	for _, o := range found[:min(size, len(found))] {
		items = append(items, o.body)
	}
	address := func(page int, token string) string {
		to := maps.Clone(query)
		to.Set("PageSize", strconv.Itoa(size))
		to.Set("Page", strconv.Itoa(page))
		to.Set("PageToken", token)
		return path + "?" + to.Encode()
	}
	var next any
	if len(found) > size {
		next = address(number+1, "PA"+found[size-1].sid)
	}
	return jsonAnswer(http.StatusOK, twilioMedia, fields{
		member: items, "first_page_uri": address(0, ""), "next_page_uri": next, "previous_page_uri": nil,
		"page": number, "page_size": size, "start": number * size, "end": number*size + max(len(items)-1, 0), "uri": path,
	})
}
