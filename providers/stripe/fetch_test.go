package stripe_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"
	"github.com/stripe/stripe-mock/spec"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/stripe"
)

// The three parts share the specification: reading it takes longer than they do.
func TestFetchAndListsAgreeWithStripesPublishedAPI(t *testing.T) {
	published, err := server.LoadSpec(embedded.OpenAPISpec, "")
	require.NoError(t, err)
	t.Run("every object that it serves by its id can be fetched", func(t *testing.T) { compareCollections(t, published) })
	t.Run("every list can be asked for since a time", func(t *testing.T) { compareLists(t, published) })
	t.Run("the mock that Stripe publishes serves every object", func(t *testing.T) { fetchFromMock(t, published) })
}

// fetchFromMock asks Stripe's mock, started as its own main does.
func fetchFromMock(t *testing.T, published *spec.Spec) {
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	require.NoError(t, err)
	stub, err := server.NewStubServer(fixtures, published, false, false)
	require.NoError(t, err)
	fetcher := fetcherFor(t, http.HandlerFunc(stub.HandleRequest))
	for objectType, collection := range stripe.Collections() {
		if strings.HasPrefix(collection, "/v2/") {
			continue // the mock knows only API v1
		}
		t.Run(objectType, func(t *testing.T) {
			ref := providers.Ref{Type: objectType, ID: "obj_123"}
			got, err := fetcher.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
			require.NoError(t, err)
			require.Equal(t, ref, got.Ref)
			require.False(t, got.Deleted)
			var state struct{ ID, Object string }
			require.NoError(t, json.Unmarshal(got.State, &state))
			require.Equal(t, objectType, state.Object)
			require.Equal(t, "obj_123", state.ID)
		})
	}
}

func fetcherFor(t *testing.T, api http.Handler) *stripe.Provider {
	t.Helper()
	s := httptest.NewServer(api)
	t.Cleanup(s.Close)
	p, err := stripe.New(providers.APIConfig{BaseURL: s.URL, Key: "sk_test_123"})
	require.NoError(t, err)
	return p
}

func compareCollections(t *testing.T, api *spec.Spec) {
	published := publishedCollections(api)
	require.Greater(t, len(published), 80, "the specification was not understood")
	collections := stripe.Collections()
	for objectType, paths := range published {
		require.Contains(t, paths, collections[objectType], "type %s", objectType)
	}
	for objectType, collection := range collections {
		if strings.HasPrefix(collection, "/v1/") {
			require.Contains(t, published, objectType, "%s is in the table but not in the specification", objectType)
		}
	}
}

var byID = regexp.MustCompile(`^(/v1/[^{}]+)/\{\w+\}$`)

// publishedCollections reads Stripe's specification: for each object type the
// paths that return one by nothing but its id.
func publishedCollections(s *spec.Spec) map[string][]string {
	collections := map[string][]string{}
	for path, operations := range s.Paths {
		match := byID.FindStringSubmatch(string(path))
		get := operations["get"]
		if match == nil || get == nil {
			continue
		}
		for _, objectType := range objectTypes(s, get.Responses["200"].Content["application/json"].Schema) {
			collections[objectType] = append(collections[objectType], match[1])
		}
	}
	return collections
}

// objectTypes returns the values that "object" can have in a response.
func objectTypes(s *spec.Spec, schema *spec.Schema) []string {
	if name, isRef := strings.CutPrefix(schema.Ref, "#/components/schemas/"); isRef {
		schema = s.Components.Schemas[name]
	}
	var types []string
	for _, choice := range schema.AnyOf {
		types = append(types, objectTypes(s, choice)...)
	}
	if object := schema.Properties["object"]; object != nil && schema.Properties["id"] != nil {
		for _, value := range object.Enum {
			types = append(types, value.(string))
		}
	}
	return types
}

// sentFor returns the headers of the call that fetches the ref.
func sentFor(t *testing.T, ref providers.Ref) http.Header {
	t.Helper()
	var sent http.Header
	p := fetcherFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header
		_ = json.NewEncoder(w).Encode(map[string]string{"id": ref.ID, "object": ref.Type})
	}))
	_, err := p.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
	require.NoError(t, err)
	return sent
}

func TestFetchSaysForWhichAccountItAsks(t *testing.T) {
	for _, c := range []struct {
		name             string
		ref              providers.Ref
		account, context string
	}{
		{"the key's own account", providers.Ref{Type: "charge", ID: "ch_1"}, "", ""},
		{"a connected account", providers.Ref{Type: "charge", ID: "ch_1", Account: "acct_1"}, "acct_1", ""},
		{"a connected account itself", providers.Ref{Type: "account", ID: "acct_1", Account: "acct_1"}, "", ""},
		{"an account within an organization", providers.Ref{Type: "charge", ID: "ch_1", Account: "org_1/acct_1"}, "", "org_1/acct_1"},
		{"API v2", providers.Ref{Type: "v2.core.account", ID: "acct_2", Account: "acct_1"}, "", "acct_1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent := sentFor(t, c.ref)
			require.Equal(t, "Bearer sk_test_123", sent.Get("Authorization"))
			require.Equal(t, c.account, sent.Get("Stripe-Account"))
			require.Equal(t, c.context, sent.Get("Stripe-Context"))
		})
	}
}

func TestFetchNamesAVersionOnlyToAPIV2(t *testing.T) {
	require.Empty(t, sentFor(t, providers.Ref{Type: "charge", ID: "ch_1"}).Values("Stripe-Version"))
	require.NotEmpty(t, sentFor(t, providers.Ref{Type: "v2.core.account", ID: "acct_1"}).Get("Stripe-Version"))
}

func TestFetchTakesTheTimeOfTheLastChangeWhereStripeHasOne(t *testing.T) {
	for body, want := range map[string]time.Time{
		`{"id": "prod_1", "object": "product", "updated": 1767323045}`:               time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		`{"id": "prod_1", "object": "product"}`:                                      {},
		`{"id": "prod_1", "object": "product", "updated": null}`:                     {},
		`{"id": "prod_1", "object": "product", "updated": -1}`:                       {},
		`{"id": "prod_1", "object": "product", "updated": "2026-01-02T03:04:05Z"}`:   {},
		`{"id": "prod_1", "object": "product", "updated": 99999999999999999999}`:     {},
		`{"id": "prod_1", "object": "product", "metadata": {"updated": 1767323045}}`: {},
	} {
		p := fetcherFor(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		got, err := p.Fetch(t.Context(), providers.FetchQuery{Ref: providers.Ref{Type: "product", ID: "prod_1"}})
		require.NoError(t, err)
		require.Equal(t, want, got.UpdatedAt, body)
	}
}

func TestFetchEscapesIDsThatUsersChose(t *testing.T) {
	var called string
	p := fetcherFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called = r.URL.EscapedPath()
		_, _ = w.Write([]byte(`{"id": "25\u002boff;<now>", "object": "coupon"}`))
	}))
	_, err := p.Fetch(t.Context(), providers.FetchQuery{Ref: providers.Ref{Type: "coupon", ID: "25+off;<now>"}})
	require.NoError(t, err)
	require.Equal(t, "/v1/coupons/25+off%3B%3Cnow%3E", called)
}
