package msgraph

import (
	"cmp"
	"context"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// Fetch returns the object at the path that the ref's id stands for. It is
// asked for without a condition: Graph documents If-None-Match for files only.
//
// 410, and 404 with one of the codes that mean the object itself, make it
// deleted. Other 404s are errors: a mailbox that has no API, a path Graph does
// not know, a proxy's page.
func (p *Provider) Fetch(ctx context.Context, q providers.FetchQuery) (providers.Object, error) {
	path, ok := objectPath(q.Ref)
	if !ok {
		return providers.Object{}, providers.ErrNotFetchable
	}
	r, err := p.call(ctx, request{op: "fetch " + q.Ref.String(), path: version + path, tenant: q.Ref.Account})
	switch {
	case isGone(r):
		return providers.Object{Ref: q.Ref, Deleted: true}, nil
	case err != nil:
		return providers.Object{}, err
	}
	return object(q.Ref, r)
}

// version is that of the API, before each of its paths.
const version = "/v1.0/"

// request is a call of the API.
type request struct {
	op     string
	method string // GET when empty
	path   string // below the base URL
	body   []byte // JSON, or nothing
	prefer string // the header of that name, or nothing
	tenant string // whose object it is about; that of the settings when empty
}

// call makes it with the application's access token for the tenant.
func (p *Provider) call(ctx context.Context, c request) (providers.APIResponse, error) {
	authorization, err := p.authorization(ctx, c.tenant)
	if err != nil {
		return providers.APIResponse{}, err
	}
	header := http.Header{"Accept": {"application/json"}, "User-Agent": {"surehook"}}
	for name, value := range map[string]string{"Authorization": authorization, "Prefer": c.prefer} {
		if value != "" {
			header.Set(name, value)
		}
	}
	if c.body != nil {
		header.Set("Content-Type", "application/json")
	}
	r, err := p.client.Call(ctx, c.op, cmp.Or(c.method, http.MethodGet), c.path, header, c.body)
	if r.Status == http.StatusUnauthorized && p.app != nil {
		p.app.forget(ctx, c.tenant) // whoever tries again gets a new token
	}
	return r, err
}

// object reads a fetched state. The body's @odata.etag is a validator, but not
// one to ask again with.
func object(ref providers.Ref, r providers.APIResponse) (providers.Object, error) {
	var found struct {
		LastModified string `json:"lastModifiedDateTime"`
	}
	if err := r.ReadJSON(&found); err != nil {
		return providers.Object{}, err
	}
	o := providers.Object{Ref: ref, State: r.Body, UpdatedAt: moment(found.LastModified)}
	if ref.Type == subscription {
		var err error
		if o.State, err = withoutState(r.Body); err != nil {
			return providers.Object{}, r.Unusable(providers.RetrySoon, err)
		}
	}
	return o, nil
}

// moment reads a time as Graph writes it. It is zero for anything else.
func moment(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// withoutState drops the secret that a subscription shows to its owner: our
// record is no place for it.
func withoutState(body []byte) ([]byte, error) {
	var members map[string]jsontext.Value
	if err := providers.ReadJSON(body, &members); err != nil {
		return nil, err
	}
	delete(members, "clientState")
	return json.Marshal(members, json.Deterministic(true))
}

// goneCodes are the codes with which the services behind Graph say that they
// have no such object: Outlook, OneDrive and SharePoint, the directory, the
// subscriptions, Teams.
var goneCodes = []string{"ErrorItemNotFound", "itemNotFound", "Request_ResourceNotFound", "ResourceNotFound", "NotFound"}

func isGone(r providers.APIResponse) bool {
	return r.Status == http.StatusGone || r.Status == http.StatusNotFound && slices.Contains(goneCodes, errorCode(r.Body))
}

// classify reads Graph's rules for failed calls: 429 and 503 say in Retry-After
// when to call again; where a service omits it, and for the other failures of
// its own, calling again with a back-off is what Microsoft asks for.
//
// Source: learn.microsoft.com/graph/errors, learn.microsoft.com/graph/throttling.
func classify(r providers.APIResponse) (retry providers.Retry, after time.Duration, code string) {
	code = errorCode(r.Body)
	if r.Status != http.StatusTooManyRequests && r.Status < http.StatusInternalServerError {
		return providers.RetryNever, 0, code
	}
	if after = providers.RetryAfter(r.Header, time.Now()); after > 0 {
		return providers.RetryLater, after, code
	}
	return providers.RetrySoon, 0, code
}

// codes are words, such as "ErrorItemNotFound" and "invalid_client"; anything
// else is text that may be private.
var codes = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z_.-]{0,63}$`)

// errorCode reads the code of an error: Graph's error.code, or the error of a
// token endpoint.
func errorCode(body []byte) string {
	var answer struct {
		Error jsontext.Value `json:"error"`
	}
	if providers.ReadJSON(body, &answer) != nil {
		return ""
	}
	var graph struct {
		Code string `json:"code"`
	}
	code := text(answer.Error)
	if providers.ReadJSON(answer.Error, &graph) == nil {
		code = graph.Code
	}
	if !codes.MatchString(code) {
		return ""
	}
	return code
}
