package shopify_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
	"github.com/surehook/surehook/providers/shopify"
	"github.com/surehook/surehook/sandbox"
)

func listSuite() *providertest.List {
	suite := &providertest.List{
		New: func(cfg providers.APIConfig) (providers.Lister, error) {
			return shopify.New(cfg, shopify.Settings{Shop: sandbox.ShopifyShop})
		},
		Worlds:   map[string]func(t *testing.T, key string) providertest.World{},
		Failures: callFailures(),
	}
	for list, typ := range map[string]string{
		"order": "order", "customer": "customer", "product": "product", "draft-order": "draft_order",
		"collection": "collection", "variant": "variant", "inventory-item": "inventory_item",
	} {
		suite.Worlds[list] = func(t *testing.T, key string) providertest.World { return world(t, key, typ) }
	}
	return suite
}

// world is a shop with objects of a type, some of which were changed of late.
func world(t *testing.T, key, typ string) providertest.World {
	t.Helper()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	api := sandbox.NewShopify(sandbox.PlatformConfig{Provider: open(t), Secrets: providers.Secrets{secret}, Key: key, Now: func() time.Time { return now }})
	t.Cleanup(api.Close)
	var refs []providers.Ref
	for range 260 {
		ref, err := api.Create(typ, nil)
		require.NoError(t, err)
		refs = append(refs, ref)
	}
	require.NoError(t, api.Delete(refs[0]))
	now = now.Add(time.Hour)
	w := providertest.World{API: api, Since: now, Stale: []providertest.Answer{{
		Name: "an invalid cursor", Status: http.StatusOK,
		Body: `{"errors": [{"message": "Invalid cursor for current pagination sort."}], "data": null}`,
	}}}
	for i, ref := range refs[1:] {
		if i%100 == 0 {
			_, err := api.Update(ref, func(o map[string]any) { o["changed"] = true })
			require.NoError(t, err)
			w.Recent = append(w.Recent, ref.String())
		} else {
			w.Old = append(w.Old, ref.String())
		}
	}
	return w
}

// shopsAPI plays the API of all shops: it answers the calls one after the other
// with what is scripted, and keeps them.
type shopsAPI struct {
	*httptest.Server
	answers []string
	calls   []shopsCall
}

type shopsCall struct {
	Token     string `json:"-"`
	Query     string
	Variables map[string]any
}

func script(t *testing.T, answers ...string) *shopsAPI {
	t.Helper()
	a := &shopsAPI{answers: answers}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := shopsCall{Token: r.Header.Get("X-Shopify-Access-Token")}
		if json.NewDecoder(r.Body).Decode(&call) != nil || len(a.calls) >= len(a.answers) {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		a.calls = append(a.calls, call)
		_, _ = io.WriteString(w, a.answers[len(a.calls)-1])
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *shopsAPI) list(t *testing.T, s shopify.Settings, q providers.ListQuery) (providers.Page, error) {
	t.Helper()
	p, err := shopify.New(providers.APIConfig{BaseURL: a.URL, Key: "shpat_key"}, s)
	require.NoError(t, err)
	return p.List(t.Context(), q)
}

// ordersPage is an answer with orders of these ids.
func ordersPage(pageInfo string, ids ...string) string {
	nodes := make([]string, 0, len(ids))
	for _, id := range ids {
		nodes = append(nodes, `{"id": "gid://shopify/Order/`+id+`", "updatedAt": "2026-01-02T03:04:05Z"}`)
	}
	return `{"data": {"orders": {"nodes": [` + strings.Join(nodes, ", ") + `], "pageInfo": ` + pageInfo + `}}, ` + costs + `}`
}

const (
	lastPage   = `{"hasNextPage": false, "endCursor": "end"}`
	furtherOn  = `{"hasNextPage": true, "endCursor": "abc=="}`
	otherShop  = "other.myshopify.com"
	thirdShop  = "third.myshopify.com"
	sinceQuery = "updated_at:>='2026-01-02T03:04:05Z'"
)

var (
	oneShop      = shopify.Settings{Shop: domain}
	severalShops = shopify.Settings{Shops: []shopify.Shop{
		{Domain: domain, AccessToken: "shpat_one"}, {Domain: otherShop, AccessToken: "shpat_two"},
	}}
	orders = providers.ListQuery{List: "order"}
)

func TestListAsksAsShopifyDocuments(t *testing.T) {
	a := script(t, ordersPage(furtherOn, "1", "2"), ordersPage(lastPage, "3"))
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	q := providers.ListQuery{List: "order", Since: at.Add(time.Millisecond).In(time.FixedZone("", 3600))}
	page, err := a.list(t, oneShop, q)
	require.NoError(t, err)
	require.Len(t, page.Objects, 2)
	require.Equal(t, providers.Listed{
		Object: providers.Object{
			Ref:       providers.Ref{Type: "order", ID: "1", Account: domain},
			State:     json.RawMessage(`{"id": "gid://shopify/Order/1", "updatedAt": "2026-01-02T03:04:05Z"}`),
			UpdatedAt: at,
		},
		Partial: true,
	}, page.Objects[0])
	require.Equal(t, "shpat_key", a.calls[0].Token)
	require.Equal(t, "query List($after: String, $query: String) { "+
		"orders(first: 250, after: $after, query: $query, sortKey: UPDATED_AT) "+
		"{ nodes { id updatedAt } pageInfo { hasNextPage endCursor } } }", a.calls[0].Query)
	require.Equal(t, map[string]any{"after": nil, "query": sinceQuery}, a.calls[0].Variables)

	q.Cursor = page.Next
	page, err = a.list(t, oneShop, q)
	require.NoError(t, err)
	require.Empty(t, page.Next)
	require.Equal(t, map[string]any{"after": "abc==", "query": sinceQuery}, a.calls[1].Variables)
}

func TestWithoutASinceEverythingIsListed(t *testing.T) {
	a := script(t, ordersPage(lastPage))
	_, err := a.list(t, oneShop, orders)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"after": nil, "query": nil}, a.calls[0].Variables)
}

// The refs of a list are those of the webhooks that its event stands for.
func TestEveryListShowsWhatItsTopicIsAbout(t *testing.T) {
	p := open(t)
	for _, l := range p.Lists() {
		t.Run(l.Name, func(t *testing.T) {
			event := eventIn(t, request(l.Event, `{"id": 7}`))
			a := script(t, `{}`, ``)
			_, err := a.list(t, oneShop, providers.ListQuery{List: l.Name})
			require.Error(t, err, "an answer to nothing")
			query := a.calls[0].Query
			require.Equal(t, strings.Count(query, "{"), strings.Count(query, "}"))
			field, _, _ := strings.Cut(query[strings.Index(query, "{ ")+2:], "(")

			gid := "gid://shopify/" + strings.ToUpper(field[:1]) + strings.TrimSuffix(field[1:], "s") + "/7"
			a.answers[1] = `{"data": {"` + field + `": {"nodes": [{"id": "` + gid + `", "updatedAt": null}], "pageInfo": ` + lastPage + `}}}`
			page, err := a.list(t, oneShop, providers.ListQuery{List: l.Name})
			require.NoError(t, err)
			require.Equal(t, event.Ref, page.Objects[0].Ref)
		})
	}
}

func TestAListReadsOneShopAfterTheOther(t *testing.T) {
	a := script(t, ordersPage(furtherOn, "1"), ordersPage(lastPage, "2"), ordersPage(furtherOn, "1"), ordersPage(lastPage))
	var refs []providers.Ref
	var tokens []string
	q := orders
	for i := range 4 {
		page, err := a.list(t, severalShops, q)
		require.NoError(t, err)
		require.Equal(t, i == 3, page.Next == "")
		for _, o := range page.Objects {
			refs = append(refs, o.Ref)
		}
		tokens = append(tokens, a.calls[i].Token)
		q.Cursor = page.Next
	}
	require.Equal(t, []string{"shpat_one", "shpat_one", "shpat_two", "shpat_two"}, tokens)
	require.Nil(t, a.calls[2].Variables["after"], "a shop begins at its beginning")
	require.Equal(t, []providers.Ref{
		{Type: "order", ID: "1", Account: domain}, {Type: "order", ID: "2", Account: domain}, {Type: "order", ID: "1", Account: otherShop},
	}, refs)
}

func TestACursorLeadsToNoShopThatIsNotDeclared(t *testing.T) {
	a := script(t)
	for _, cursor := range []string{thirdShop, thirdShop + " ", "evil.example abc", " ", " abc", domain + "/ x", domain + "\x00 x"} {
		_, err := a.list(t, severalShops, providers.ListQuery{List: "order", Cursor: cursor})
		require.ErrorIs(t, err, providers.ErrStaleCursor, cursor)
	}
	require.Empty(t, a.calls)
}

func TestThereIsNoListOfWhatShopifyDoesNotList(t *testing.T) {
	a := script(t)
	for _, name := range []string{"", "refund", "fulfillment", "location", "orders", "draft_order"} {
		_, err := a.list(t, oneShop, providers.ListQuery{List: name})
		require.ErrorIs(t, err, providers.ErrNoSuchList, name)
	}
	_, err := a.list(t, shopify.Settings{}, orders)
	require.ErrorIs(t, err, providers.ErrNoSuchList, "no shop")
	require.Empty(t, a.calls)
	p, err := shopify.New(providers.APIConfig{}, shopify.Settings{})
	require.NoError(t, err)
	require.Empty(t, p.Lists())
}

func TestAnAnswerThatIsNoPageIsNotTakenForOne(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		retry  providers.Retry
	}{
		"no connection":                         {`{"data": {"orders": null}}`, providers.RetrySoon},
		"an answer to another question":         {`{"data": {"order": {}}}`, providers.RetrySoon},
		"a list of something else":              {strings.ReplaceAll(ordersPage(lastPage, "1"), "Order/", "Product/"), providers.RetryNever},
		"an id that leads elsewhere":            {ordersPage(lastPage, "1/../2"), providers.RetryNever},
		"more, and no cursor":                   {ordersPage(`{"hasNextPage": true, "endCursor": null}`, "1"), providers.RetrySoon},
		"more, and the cursor that was sent":    {ordersPage(`{"hasNextPage": true, "endCursor": "sent"}`, "1"), providers.RetrySoon},
		"a scope that the token lacks":          {`{"data": null, "errors": [{"message": "x", "extensions": {"code": "ACCESS_DENIED"}}]}`, providers.RetryNever},
		"a throttled query":                     {throttled("752", "666", "50.0"), providers.RetryLater},
		"an error beside the page, as of a row": {`{"errors": [{"message": "x"}], "data": {"orders": {"nodes": []}}}`, providers.RetryNever},
	} {
		t.Run(name, func(t *testing.T) {
			a := script(t, c.answer)
			_, err := a.list(t, oneShop, providers.ListQuery{List: "order", Cursor: domain + " sent"})
			var failed *providers.APIError
			require.ErrorAs(t, err, &failed)
			require.Equal(t, c.retry, failed.Retry)
			require.Equal(t, "list order of "+domain, failed.Op)
			require.Equal(t, error(failed), err, "it is wrapped in nothing, since it says all")
		})
	}
}

func TestACursorThatShopifyNoLongerTakesIsStale(t *testing.T) {
	a := script(t, `{"errors": [{"message": "Invalid cursor for current pagination sort.", "path": ["orders"]}], "data": {"orders": null}}`)
	_, err := a.list(t, oneShop, providers.ListQuery{List: "order", Cursor: domain + " old"})
	require.ErrorIs(t, err, providers.ErrStaleCursor)
}
