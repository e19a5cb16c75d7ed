package mailchimp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

var memberID = regexp.MustCompile(`^[0-9A-Za-z]{1,32}/[0-9a-f]{32}$`)

// Fetch returns a member or a campaign. A member who was archived or cleaned is
// still there, with that status; only one deleted for good, or known by another
// address now, is gone. The API knows no conditional requests.
func (p *Provider) Fetch(ctx context.Context, q providers.FetchQuery) (providers.Object, error) {
	path, err := apiPath(q.Ref)
	if err != nil {
		return providers.Object{}, err
	}
	answer, err := p.client.Get(ctx, "fetch "+q.Ref.String(), path, p.header())
	switch {
	case err != nil && isGone(answer):
		return providers.Object{Ref: q.Ref, Deleted: true}, nil
	case err != nil:
		return providers.Object{}, err
	}
	return readObject(q.Ref, answer)
}

// apiPath returns the API path of an object, for refs that cannot lead anywhere else.
func apiPath(ref providers.Ref) (string, error) {
	switch {
	case ref.Type == refMember && memberID.MatchString(ref.ID):
		list, hash, _ := strings.Cut(ref.ID, "/")
		return "/3.0/lists/" + list + "/members/" + hash, nil
	case ref.Type == refCampaign && objectName.MatchString(ref.ID):
		return "/3.0/campaigns/" + ref.ID, nil
	}
	return "", fmt.Errorf("%s: fetch %.50q: %w", name, ref.Type, providers.ErrNotFetchable)
}

// header holds the key as the password of any user, as Mailchimp wants it.
func (p *Provider) header() http.Header {
	h := http.Header{}
	h.Set("Accept", "application/json")
	h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("surehook:"+p.key)))
	return h
}

// readObject checks that the answer is the object that was asked for, and
// keeps it as it came.
func readObject(ref providers.Ref, answer providers.APIResponse) (providers.Object, error) {
	var state struct {
		ID          string `json:"id"`
		ListID      string `json:"list_id"`
		LastChanged string `json:"last_changed"` // members have it, in whole seconds
	}
	if err := answer.ReadJSON(&state); err != nil {
		return providers.Object{}, err
	}
	id := state.ID
	if ref.Type == refMember {
		id = state.ListID + "/" + state.ID
	}
	if id != ref.ID {
		return providers.Object{}, answer.Unusable(providers.RetryNever, errors.New("answer is another object"))
	}
	return providers.Object{Ref: ref, State: answer.Body, UpdatedAt: changedAt(state.LastChanged)}, nil
}

// changedAt reads a last_changed. It is zero for what is none.
func changedAt(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// titleNotFound is what the API calls an object that it does not have.
const titleNotFound = "Resource Not Found"

// knownTitles are the titles of the API's problem documents. A title is passed
// on only if it is one of these: nothing promises that others hold no more than
// a name.
//
// Source: mailchimp.com/developer/marketing/docs/errors.
var knownTitles = []string{
	"API Key Invalid",
	"API Key Missing",
	"Bad Request",
	"Compliance Related",
	"Forbidden",
	"Internal Server Error",
	"Invalid Action",
	"Invalid Resource",
	"Method Not Allowed",
	titleNotFound,
	"Too Many Requests",
	"User Disabled",
	"Wrong Datacenter",
}

// title returns the title of a problem document (RFC 9457), if it is a known one.
func title(body []byte) string {
	var problem struct {
		Title string `json:"title"`
	}
	if providers.ReadJSON(body, &problem) != nil || !slices.Contains(knownTitles, problem.Title) {
		return ""
	}
	return problem.Title
}

// isGone reports whether Mailchimp says that it has no such object. A 404 that
// is not in its words does not: a proxy's page, or a wrong base URL, would mark
// every record deleted.
func isGone(r providers.APIResponse) bool {
	return r.Status == http.StatusGone || r.Status == http.StatusNotFound && title(r.Body) == titleNotFound
}

// classify reads Mailchimp's rules for failed calls. It refuses an eleventh
// simultaneous call of a user with 429 and does not say when to come again: the
// calls that are in the way end soon, so backing off is right.
//
// Source: mailchimp.com/developer/marketing/docs/fundamentals.
func classify(r providers.APIResponse) (retry providers.Retry, after time.Duration, code string) {
	code = title(r.Body)
	if after = providers.RetryAfter(r.Header, time.Now()); after > 0 {
		return providers.RetryLater, after, code
	}
	if r.Status == http.StatusTooManyRequests || r.Status >= http.StatusInternalServerError {
		return providers.RetrySoon, 0, code
	}
	return providers.RetryNever, 0, code
}
