package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// msgraphDeltas are the delta functions, by the kind of what they show.
var msgraphDeltas = []struct {
	path *regexp.Regexp
	kind string
}{
	{regexp.MustCompile(`^/v1\.0/users/delta$`), "user"},
	{regexp.MustCompile(`^/v1\.0/users/` + msgraphMailbox + `/mailFolders/[^/]+/messages/delta$`), "message"},
	{regexp.MustCompile(`^/v1\.0/users/` + msgraphMailbox + `/calendarView/delta$`), "event"},
}

// msgraphShown are the members that a delta shows of an object.
var msgraphShown = []string{"@odata.etag", "id", "displayName", "mail", "subject", "lastModifiedDateTime", "type"}

const (
	msgraphPage = 100
	// msgraphDeltaAge is how long the directory knows the state of a round.
	msgraphDeltaAge = 7 * 24 * time.Hour
)

// deltaRound is what a link's token holds. Times are the sandbox's.
type deltaRound struct {
	From  time.Time `json:"from,omitzero"` // of the changes to show; zero for everything
	Began time.Time `json:"began"`
	After string    `json:"after,omitempty"` // the object that the last page ended with
	Done  bool      `json:"done,omitempty"`  // this is a deltaLink's
}

// list answers calls for a delta, and those for subscriptions that need not call anybody.
func (*msgraph) list(t *tx, r *http.Request, body []byte) (*answer, bool) {
	for _, d := range msgraphDeltas {
		if r.Method == http.MethodGet && d.path.MatchString(r.URL.Path) {
			return msgraphDelta(t, r, d.kind), true
		}
	}
	return msgraphSubscriptions(t, r, body)
}

func msgraphDelta(t *tx, r *http.Request, kind string) *answer {
	round, ok := readDelta(t, r.URL.Query())
	if !ok {
		return msgraphError(http.StatusBadRequest, "SyncStateNotFound", "The sync state generation is not found. The delta token is expired.")
	}
	size := msgraphPage
	if n, err := strconv.Atoi(strings.TrimPrefix(r.Header.Get("Prefer"), "odata.maxpagesize=")); err == nil && n > 0 {
		size = n
	}
	shown, more := t.changedSince(kind, round, size)
	value := []any{}
	for _, o := range shown {
		item, err := msgraphChange(o)
		if err != nil {
			return msgraphError(http.StatusInternalServerError, "generalException", "General exception while processing")
		}
		value = append(value, item)
	}
	link, name := "@odata.deltaLink", "$deltatoken"
	if more {
		link, name = "@odata.nextLink", "$skiptoken"
		round.After = shown[len(shown)-1].Ref.ID
	} else {
		round = deltaRound{From: round.Began, Began: round.Began, Done: true}
	}
	return msgraphAnswer(http.StatusOK, fields{
		"@odata.context": selfURL(r, "/v1.0/$metadata#Collection("+kind+")"),
		link:             selfURL(r, r.URL.Path+"?"+name+"="+url.QueryEscape(round.token())),
		"value":          value,
	})
}

// readDelta reads where a round is, or begins one.
func readDelta(t *tx, query url.Values) (deltaRound, bool) {
	token := query.Get("$skiptoken") + query.Get("$deltatoken")
	if token == "" {
		return deltaRound{Began: t.now}, true
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	var round deltaRound
	if err != nil || json.Unmarshal(raw, &round) != nil || t.now.Sub(round.Began) > msgraphDeltaAge {
		return deltaRound{}, false
	}
	if round.Done {
		round = deltaRound{From: round.From, Began: t.now}
	}
	return round, true
}

func (d deltaRound) token() string {
	raw, err := encode(d)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// changedSince returns the objects of a page of the round, in the order of their
// IDs. A change at the very moment in which the round before began is shown again.
func (t *tx) changedSince(kind string, round deltaRound, size int) (shown []*Object, more bool) {
	for _, o := range t.p.objects {
		if o.Ref.Type == kind && o.Ref.ID > round.After && !o.ChangedAt.Before(round.From) && !(o.Deleted && round.From.IsZero()) {
			shown = append(shown, o)
		}
	}
	slices.SortFunc(shown, func(a, b *Object) int { return compareRefs(a.Ref, b.Ref) })
	if len(shown) > size {
		return shown[:size], true
	}
	return shown, false
}

// msgraphChange is what a delta shows of an object.
func msgraphChange(o *Object) (fields, error) {
	state, err := decode(o.State)
	if err != nil {
		return nil, err
	}
	if o.Deleted {
		return fields{"id": state["id"], "@removed": fields{"reason": "deleted"}}, nil
	}
	item := fields{}
	for _, name := range msgraphShown {
		if value, ok := state[name]; ok {
			item[name] = value
		}
	}
	return item, nil
}

// selfURL is the address of a path of the API, as its caller reaches it.
func selfURL(r *http.Request, path string) string {
	called, _, _ := strings.Cut(r.RequestURI, "?")
	return fmt.Sprintf("http://%s%s%s", r.Host, strings.TrimSuffix(called, r.URL.EscapedPath()), path)
}
