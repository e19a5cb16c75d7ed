package shopify

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// errNotDeclared keeps the credential of one shop, and our network position,
// from being sent to whatever shop an event names.
var errNotDeclared = errors.New("its shop is not declared in the settings")

// Fetch returns the object that the Admin GraphQL API has under the ref's id, in
// the shop that is the ref's account. GraphQL knows no conditional requests, so
// the query's ETag is not used.
//
// Shopify answers null for an object that it no longer has, and also for one
// that the token may not see: an order older than 60 days where the app lacks
// read_all_orders. Both are tombstones, which keep their last state. A 404 is
// the answer for a shop or an API version that does not exist, and says nothing
// of the object.
func (p *Provider) Fetch(ctx context.Context, q providers.FetchQuery) (providers.Object, error) {
	kind, ok := kinds[q.Ref.Type]
	if !ok || !ids.MatchString(q.Ref.ID) {
		return providers.Object{}, fmt.Errorf("%s: fetch %.50q: %w", name, q.Ref.Type, providers.ErrNotFetchable)
	}
	op := "fetch " + q.Ref.String()
	from, ok := p.shopOf(q.Ref)
	if !ok {
		return providers.Object{}, &providers.APIError{Provider: name, Op: op, Retry: providers.RetryNever, Err: errNotDeclared}
	}
	answer, err := p.ask(ctx, op, from, call{Query: kind.query(), Variables: objectVariables{ID: kind.globalID(q.Ref.ID)}})
	switch {
	case answer.Status == http.StatusGone:
		return providers.Object{Ref: q.Ref, Deleted: true}, nil
	case err != nil:
		return providers.Object{}, err
	}
	return readObject(q.Ref, kind, answer)
}

// call is a GraphQL request.
type call struct {
	Query     string `json:"query"`
	Variables any    `json:"variables"`
}

type objectVariables struct {
	ID string `json:"id"`
}

// ask sends a GraphQL request to a shop.
func (p *Provider) ask(ctx context.Context, op string, from shop, c call) (providers.APIResponse, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return providers.APIResponse{}, fmt.Errorf("%s: %s: %w", name, op, err)
	}
	return from.client.Post(ctx, op, "/admin/api/"+p.version+"/graphql.json", from.header(), body)
}

// shopOf returns the shop of an object. A ref without an account is of the only
// one.
func (p *Provider) shopOf(ref providers.Ref) (shop, bool) {
	domain := ref.Account
	if domain == "" && len(p.domains) == 1 {
		domain = p.domains[0]
	}
	from, ok := p.shops[domain]
	return from, ok
}

func (s shop) header() http.Header {
	h := http.Header{}
	h.Set("Accept", "application/json")
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "surehook")
	h.Set("X-Shopify-Access-Token", s.token)
	return h
}

// readObject keeps the state as it came, once it is the object that was asked
// for.
func readObject(ref providers.Ref, k kind, answer providers.APIResponse) (providers.Object, error) {
	var r response
	if err := answer.ReadJSON(&r); err != nil {
		return providers.Object{}, err
	}
	state, err := r.field(k.field, answer)
	switch {
	case err != nil:
		return providers.Object{}, err
	case state.Kind() == jsontext.KindNull:
		return providers.Object{Ref: ref, Deleted: true}, nil
	}
	var object struct {
		ID        string `json:"id"`
		UpdatedAt string `json:"updatedAt"`
	}
	if err := providers.ReadJSON(state, &object); err != nil {
		return providers.Object{}, answer.Unusable(providers.RetryNever, errors.New("answer is no object"))
	}
	if object.ID != k.globalID(ref.ID) {
		return providers.Object{}, answer.Unusable(providers.RetryNever, errors.New("answer is another object"))
	}
	return providers.Object{Ref: ref, State: []byte(state), UpdatedAt: moment(object.UpdatedAt)}, nil
}
