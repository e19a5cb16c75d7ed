package shopify_test

import (
	"encoding/json"
	"errors"
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
)

const (
	orderState = `{"id": "gid://shopify/Order/1", "legacyResourceId": "1", "updatedAt": "2026-01-02T03:04:05Z", "name": "Über"}`
	costs      = `"extensions": {"cost": {"requestedQueryCost": 12, "actualQueryCost": 9, "throttleStatus": ` +
		`{"maximumAvailable": 2000.0, "currentlyAvailable": 1991, "restoreRate": 100.0}}}`
)

var anOrder = providers.Ref{Type: "order", ID: "1", Account: domain}

// throttled is Shopify's answer when the shop's quota is used up.
func throttled(requested, available, rate string) string {
	return `{"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"}}], ` +
		`"extensions": {"cost": {"requestedQueryCost": ` + requested + `, "actualQueryCost": null, "throttleStatus": ` +
		`{"maximumAvailable": 1000.0, "currentlyAvailable": ` + available + `, "restoreRate": ` + rate + `}}}}`
}

// failure is an answer of the API, and what it means.
func failure(name string, status int, body string, retry providers.Retry, after time.Duration, code string) providertest.Failure {
	return providertest.Failure{
		Answer: providertest.Answer{Name: name, Status: status, Body: body},
		Retry:  retry, After: after, Code: code,
	}
}

// callFailures are those of calls for objects and for lists alike.
func callFailures() []providertest.Failure {
	coded := func(code string) string {
		return `{"errors": [{"message": "private text", "extensions": {"code": "` + code + `"}}], "data": {"order": null}}`
	}
	return []providertest.Failure{
		failure("a throttled query", 200, throttled("752", "666", "50.0"), providers.RetryLater, 2*time.Second, "THROTTLED"),
		failure("a quota that is empty", 200, throttled("1000", "0", "50.0"), providers.RetryLater, 20*time.Second, "THROTTLED"),
		failure("a quota in debt", 200, throttled("50", "-950", "50"), providers.RetryLater, 20*time.Second, "THROTTLED"),
		failure("a quota that is there again", 200, throttled("10", "66", "50"), providers.RetryLater, time.Second, "THROTTLED"),
		failure("a quota that never fills", 200, throttled("752", "0", "0"), providers.RetryLater, time.Second, "THROTTLED"),
		failure("a quota for another age", 200, throttled("1e300", "0", "1e-300"), providers.RetryLater, 5*time.Minute, "THROTTLED"),
		failure("a throttled query in a 429", 429, throttled("752", "666", "50.0"), providers.RetryLater, time.Second, "THROTTLED"),
		failure("a throttled query as documented once", 200, `{"errors": [{"message": "Throttled"}]}`, providers.RetryLater, time.Second, "THROTTLED"),
		failure("throttled, among other errors", 200,
			`{"errors": [{"message": "x", "extensions": {"code": "ACCESS_DENIED"}}, {"message": "Throttled", "extensions": {"code": "THROTTLED"}}]}`,
			providers.RetryLater, time.Second, "THROTTLED"),
		failure("a scope that the token lacks", 200, coded("ACCESS_DENIED"), providers.RetryNever, 0, "ACCESS_DENIED"),
		failure("a shop that is inactive", 200, coded("SHOP_INACTIVE"), providers.RetryNever, 0, "SHOP_INACTIVE"),
		failure("a query that costs too much", 200, coded("MAX_COST_EXCEEDED"), providers.RetryNever, 0, "MAX_COST_EXCEEDED"),
		failure("a field that the version lacks", 200, coded("undefinedField"), providers.RetryNever, 0, "undefinedField"),
		failure("an error at Shopify", 200, coded("INTERNAL_SERVER_ERROR"), providers.RetrySoon, 0, "INTERNAL_SERVER_ERROR"),
		failure("a query that took too long", 200, coded("TIMEOUT"), providers.RetrySoon, 0, "TIMEOUT"),
		failure("a code that is a text", 200, coded("private text"), providers.RetryNever, 0, ""),
		failure("an error that is a text", 200, `{"errors": "private text"}`, providers.RetryNever, 0, ""),
		failure("an error beside the object", 200,
			`{"errors": [{"message": "private text"}], "data": {"order": `+orderState+`}}`, providers.RetryNever, 0, ""),
		failure("a wrong token", 401, `{"errors": "[API] Invalid API key or access token (private text)"}`, providers.RetryNever, 0, ""),
		failure("a shop that is frozen", 402, `{"errors": "private text"}`, providers.RetryNever, 0, ""),
		failure("a shop that does not exist", 404, `{"errors": "Not Found"}`, providers.RetryNever, 0, ""),
		failure("a shop that is locked", 423, `{"errors": "private text"}`, providers.RetryNever, 0, ""),
		failure("a 429 without a word", 429, "", providers.RetryLater, time.Second, ""),
		failure("a caller that is shut out", 430, "private text", providers.RetryNever, 0, ""),
	}
}

func fetchSuite() *providertest.Fetch {
	return &providertest.Fetch{
		New: func(cfg providers.APIConfig) (providers.Fetcher, error) {
			return shopify.New(cfg, shopify.Settings{Shop: domain})
		},
		Ref:         anOrder,
		Method:      http.MethodPost,
		Path:        "/admin/api/2026-07/graphql.json",
		State:       orderState,
		Wrap:        `{"data": {"order": %s}, ` + costs + `}`,
		Unfetchable: providers.Ref{Type: "carts", ID: "1", Account: domain},
		Gone:        []providertest.Answer{{Name: "null", Status: 200, Body: `{"data": {"order": null}, ` + costs + `}`}},
		Failures: append(callFailures(),
			failure("another object", 200, `{"data": {"order": {"id": "gid://shopify/Order/2"}}}`, providers.RetryNever, 0, ""),
			failure("no object", 200, `{"data": {"order": "private text"}}`, providers.RetryNever, 0, ""),
			failure("an answer to another question", 200, `{"data": {"product": null}}`, providers.RetrySoon, 0, ""),
			failure("no data", 200, `{"data": null}`, providers.RetrySoon, 0, ""),
		),
	}
}

// api plays the API of one shop, which answers alike to every call, and keeps
// the last one.
type api struct {
	*httptest.Server
	header http.Header
	body   []byte
}

func serve(t *testing.T, answer string) *api {
	t.Helper()
	a := &api{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.header = r.Header
		a.body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *api) fetch(t *testing.T, s shopify.Settings, ref providers.Ref) (providers.Object, error) {
	t.Helper()
	p, err := shopify.New(providers.APIConfig{BaseURL: a.URL, Key: "shpat_key"}, s)
	require.NoError(t, err)
	return p.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
}

func TestFetchAsksAsShopifyDocuments(t *testing.T) {
	a := serve(t, `{"data": {"order": `+orderState+`}}`)
	object, err := a.fetch(t, shopify.Settings{Shop: domain}, anOrder)
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), object.UpdatedAt)
	require.Equal(t, "shpat_key", a.header.Get("X-Shopify-Access-Token"))
	require.Equal(t, "application/json", a.header.Get("Content-Type"))

	var call struct {
		Query     string
		Variables map[string]string
	}
	require.NoError(t, json.Unmarshal(a.body, &call))
	require.Equal(t, map[string]string{"id": "gid://shopify/Order/1"}, call.Variables)
	require.Contains(t, call.Query, "order(id: $id) { id legacyResourceId updatedAt ")
	require.Equal(t, strings.Count(call.Query, "{"), strings.Count(call.Query, "}"))
}

func TestEveryKindIsAskedForByItsOwnField(t *testing.T) {
	for typ, want := range map[string]struct{ field, gid string }{
		"collection": {"collection", "Collection"}, "customer": {"customer", "Customer"}, "draft_order": {"draftOrder", "DraftOrder"},
		"fulfillment": {"fulfillment", "Fulfillment"}, "inventory_item": {"inventoryItem", "InventoryItem"},
		"location": {"location", "Location"}, "order": {"order", "Order"}, "product": {"product", "Product"},
		"refund": {"refund", "Refund"}, "variant": {"productVariant", "ProductVariant"},
	} {
		gid := "gid://shopify/" + want.gid + "/7"
		a := serve(t, `{"data": {"`+want.field+`": {"id": "`+gid+`", "updatedAt": null}}}`)
		object, err := a.fetch(t, shopify.Settings{Shop: domain}, providers.Ref{Type: typ, ID: "7", Account: domain})
		require.NoError(t, err, typ)
		require.True(t, object.UpdatedAt.IsZero())
		require.Contains(t, string(a.body), " "+want.field+"(id: $id)")
		require.Contains(t, string(a.body), gid)
		require.Equal(t, strings.Count(string(a.body), "{"), strings.Count(string(a.body), "}"), typ)
	}
}

func TestEachShopIsCalledWithItsOwnToken(t *testing.T) {
	a := serve(t, `{"data": {"order": `+orderState+`}}`)
	s := shopify.Settings{Shops: []shopify.Shop{
		{Domain: domain, AccessToken: "shpat_one"}, {Domain: "other.myshopify.com", AccessToken: "shpat_two"},
	}}
	for shop, token := range map[string]string{domain: "shpat_one", "other.myshopify.com": "shpat_two"} {
		_, err := a.fetch(t, s, providers.Ref{Type: "order", ID: "1", Account: shop})
		require.NoError(t, err)
		require.Equal(t, token, a.header.Get("X-Shopify-Access-Token"))
	}
}

func TestNothingIsFetchedFromAShopThatIsNotDeclared(t *testing.T) {
	several := shopify.Settings{Shops: []shopify.Shop{
		{Domain: domain, AccessToken: "shpat_one"}, {Domain: "other.myshopify.com", AccessToken: "shpat_two"},
	}}
	for name, c := range map[string]struct {
		settings shopify.Settings
		account  string
	}{
		"another shop than the only one": {shopify.Settings{Shop: domain}, "evil.myshopify.com"},
		"a host":                         {shopify.Settings{Shop: domain}, "evil.example"},
		"no shop among several":          {several, ""},
		"a shop where none is declared":  {shopify.Settings{}, domain},
		"no shop where none is declared": {shopify.Settings{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := serve(t, `{"data": {"order": `+orderState+`}}`)
			_, err := a.fetch(t, c.settings, providers.Ref{Type: "order", ID: "1", Account: c.account})
			failed, ok := errors.AsType[*providers.APIError](err)
			require.True(t, ok, err)
			require.Equal(t, providers.RetryNever, failed.Retry)
			require.Nil(t, a.header, "it was called")
		})
	}
}

func TestARefWithoutAnAccountIsOfTheOnlyShop(t *testing.T) {
	a := serve(t, `{"data": {"order": `+orderState+`}}`)
	object, err := a.fetch(t, shopify.Settings{Shop: domain}, providers.Ref{Type: "order", ID: "1"})
	require.NoError(t, err)
	require.Equal(t, orderState, string(object.State))
}

func TestSettingsChooseTheVersionOfTheAPI(t *testing.T) {
	var path string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.Path
		_, _ = io.WriteString(w, `{"data": {"order": `+orderState+`}}`)
	}))
	defer server.Close()
	p, err := shopify.New(providers.APIConfig{BaseURL: server.URL}, shopify.Settings{Shop: domain, APIVersion: "2027-01"})
	require.NoError(t, err)
	_, err = p.Fetch(t.Context(), providers.FetchQuery{Ref: anOrder})
	require.NoError(t, err)
	require.Equal(t, "/admin/api/2027-01/graphql.json", path)
}

func TestNewNamesEverySettingThatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		settings shopify.Settings
		want     []string
	}{
		"a host that is no shop":       {shopify.Settings{Shop: "shop.example.com"}, []string{"shop"}},
		"a URL":                        {shopify.Settings{Shop: "https://" + domain}, []string{"shop"}},
		"a version that never was":     {shopify.Settings{Shop: domain, APIVersion: "2026-08"}, []string{"api_version"}},
		"a version with a path in it":  {shopify.Settings{Shop: domain, APIVersion: "2026-07/.."}, []string{"api_version"}},
		"one shop and several":         {shopify.Settings{Shop: domain, Shops: []shopify.Shop{{Domain: domain, AccessToken: "t"}}}, []string{"shop"}},
		"a shop without a token":       {shopify.Settings{Shops: []shopify.Shop{{Domain: domain}}}, []string{"shops[0].access_token"}},
		"a shop twice":                 {shopify.Settings{Shops: []shopify.Shop{{Domain: domain, AccessToken: "t"}, {Domain: domain, AccessToken: "t"}}}, []string{"shops[1].domain"}},
		"everything that can be wrong": {shopify.Settings{Shops: []shopify.Shop{{Domain: "x"}}, APIVersion: "x"}, []string{"api_version", "shops[0].domain", "shops[0].access_token"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := shopify.New(providers.APIConfig{}, c.settings)
			require.Error(t, err)
			var fields []string
			for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
				setting, ok := errors.AsType[*providers.SettingError](e)
				require.True(t, ok, e)
				fields = append(fields, setting.Field)
			}
			require.Equal(t, c.want, fields)
		})
	}
}

func TestNewRefusesABaseURLThatIsNone(t *testing.T) {
	for _, s := range []shopify.Settings{{}, {Shop: domain}} {
		_, err := shopify.New(providers.APIConfig{BaseURL: domain}, s)
		require.Error(t, err)
	}
}
