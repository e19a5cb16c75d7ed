package stripe_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-mock/spec"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
	"github.com/surehook/surehook/providers/stripe"
	"github.com/surehook/surehook/sandbox"
)

// before and since are when the sandbox's objects come to be: what there is to
// list, and what a Since leaves out.
var (
	before = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	since  = before.Add(time.Hour)
)

func listSuite() *providertest.List {
	list := &providertest.List{
		New:    func(cfg providers.APIConfig) (providers.Lister, error) { return stripe.New(cfg) },
		Worlds: map[string]func(t *testing.T, key string) providertest.World{},
		Failures: []providertest.Failure{
			failure("a rate limit", 429, map[string]string{"Stripe-Should-Retry": "false"}, errorBody("rate_limit", "private text"), providers.RetrySoon, "rate_limit"),
			failure("a key that may not read it", 403, nil, errorBody("", "private text"), providers.RetryNever, "invalid_request_error"),
			failure("a single object", 200, nil, `{"id": "in_1", "object": "invoice"}`, providers.RetryNever, ""),
			failure("a list without names", 200, nil, `{"object": "list", "data": [{"object": "private text"}]}`, providers.RetryNever, ""),
			failure("a page before none", 200, nil, `{"object": "list", "has_more": true, "data": []}`, providers.RetryNever, ""),
		},
	}
	for name, objectType := range stripe.ListedTypes() {
		list.Worlds[name] = func(t *testing.T, key string) providertest.World { return objects(t, key, objectType) }
	}
	list.Worlds["events"] = undelivered
	return list
}

// gone is the answer to a cursor whose object was deleted.
var gone = []providertest.Answer{{
	Name: "the object is gone", Status: http.StatusBadRequest,
	Body: `{"error": {"type": "invalid_request_error", "code": "resource_missing", "param": "starting_after", "message": "No such invoice"}}`,
}}

// play returns an API, and lets the test set its clock.
func play(t *testing.T, key string) (*sandbox.Platform, *time.Time) {
	t.Helper()
	now := before
	p := sandbox.NewStripe(sandbox.PlatformConfig{Provider: open(t), Secrets: providers.Secrets{secret}, Key: key, Now: func() time.Time { return now }})
	t.Cleanup(p.Close)
	return p, &now
}

// objects are of one type, and some of them deleted.
func objects(t *testing.T, key, objectType string) providertest.World {
	api, now := play(t, key)
	create := func(n int) (names []string) {
		for range n {
			ref, err := api.Create(objectType, nil)
			require.NoError(t, err)
			names = append(names, ref.String())
		}
		deleted, err := api.Create(objectType, nil)
		require.NoError(t, err)
		require.NoError(t, api.Delete(deleted))
		return names
	}
	old := create(70)
	*now = since
	return providertest.World{API: api, Since: since, Recent: create(40), Old: old, Stale: gone}
}

// undelivered are events that nobody took, among some that an endpoint did.
func undelivered(t *testing.T, key string) providertest.World {
	api, now := play(t, key)
	endpoint := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(endpoint.Close)
	send := func(n int) (ids []string) {
		for i := range n {
			api.SetTarget("")
			if i%10 == 0 {
				api.SetTarget(endpoint.URL)
			}
			sent, err := api.Trigger(t.Context(), "invoice.paid")
			require.NoError(t, err)
			if !sent.Acknowledged {
				ids = append(ids, sent.ID)
			}
		}
		return ids
	}
	old := send(150)
	*now = since
	return providertest.World{API: api, Since: since, Recent: send(110), Old: old, Stale: gone}
}

// compareLists holds our lists against Stripe's specification.
func compareLists(t *testing.T, api *spec.Spec) {
	collections := stripe.Collections()
	for name, objectType := range stripe.ListedTypes() {
		operation := api.Paths[spec.Path(collections[objectType])]["get"]
		require.NotNil(t, operation, "Stripe has no list of %s", name)
		var params []string
		for _, p := range operation.Parameters {
			params = append(params, p.Name)
		}
		require.Subset(t, params, []string{"created", "limit", "starting_after"}, name)
	}
	for _, p := range api.Paths["/v1/events"]["get"].Parameters {
		if p.Name == "delivery_success" {
			return
		}
	}
	t.Error("Stripe's list of events has no delivery_success")
}

// asked returns the query that a list is asked for with.
func asked(t *testing.T, q providers.ListQuery) url.Values {
	t.Helper()
	var query url.Values
	p := fetcherFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query = r.URL.Query()
		_, _ = w.Write([]byte(`{"object": "list", "data": [], "has_more": false}`))
	}))
	page, err := p.List(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, providers.Page{}, page)
	return query
}

func TestListsAskForWhatStripeDocuments(t *testing.T) {
	for name, c := range map[string]struct {
		query providers.ListQuery
		want  string
	}{
		"everything":     {providers.ListQuery{List: "invoice"}, "limit=100"},
		"since":          {providers.ListQuery{List: "invoice", Since: since}, "created[gte]=1772604367&limit=100"},
		"the next page":  {providers.ListQuery{List: "invoice", Since: since, Cursor: "in_1"}, "created[gte]=1772604367&limit=100&starting_after=in_1"},
		"subscriptions":  {providers.ListQuery{List: "subscription"}, "limit=100&status=all"},
		"missing events": {providers.ListQuery{List: "events", Since: since}, "created[gte]=1772604367&delivery_success=false&limit=100"},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := url.ParseQuery(c.want)
			require.NoError(t, err)
			require.Equal(t, want, asked(t, c.query))
		})
	}
}

func TestCanceledSubscriptionsAreListed(t *testing.T) {
	api, _ := play(t, "sk_test_123")
	canceled, err := api.Trigger(t.Context(), "customer.subscription.deleted")
	require.NoError(t, err)
	page, err := fetcherFor(t, api).List(t.Context(), providers.ListQuery{List: "subscription"})
	require.NoError(t, err)
	require.Len(t, page.Objects, 1)
	require.Equal(t, canceled.Object, page.Objects[0].Ref)
	require.Contains(t, string(page.Objects[0].State), `"canceled"`)
}

func TestAMissedEventIsTheOneThatWasSent(t *testing.T) {
	api, _ := play(t, "sk_test_123")
	sent, err := api.Trigger(t.Context(), "invoice.paid", sandbox.Envelope(map[string]any{"account": "acct_1"}))
	require.NoError(t, err)
	webhook, err := api.Request(sent.ID)
	require.NoError(t, err)
	p := fetcherFor(t, api)
	page, err := p.List(t.Context(), providers.ListQuery{List: "events"})
	require.NoError(t, err)
	require.Len(t, page.Events, 1)
	missed, err := page.Events[0].Request(t.Context())
	require.NoError(t, err)
	require.Equal(t, providertest.OneEvent(t, p, webhook), providertest.OneEvent(t, p, missed))
	require.Equal(t, before, missed.ReceivedAt)
}

func TestEventsOfLongAgoAreNoLongerListed(t *testing.T) {
	api, now := play(t, "sk_test_123")
	_, err := api.Trigger(t.Context(), "invoice.paid")
	require.NoError(t, err)
	*now = before.AddDate(0, 0, 31)
	page, err := fetcherFor(t, api).List(t.Context(), providers.ListQuery{List: "events"})
	require.NoError(t, err)
	require.Empty(t, page.Events)
}

// An object whose ID its owner chose may be one that no call can name.
func TestWhatCannotBeFetchedIsNotListed(t *testing.T) {
	p := fetcherFor(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"object": "list", "has_more": true, "data": [
			{"id": "gold", "object": "product", "updated": 1772604367}, {"id": "a/b", "object": "product"}]}`))
	}))
	page, err := p.List(t.Context(), providers.ListQuery{List: "product"})
	require.NoError(t, err)
	require.Len(t, page.Objects, 1)
	require.Equal(t, providers.Ref{Type: "product", ID: "gold"}, page.Objects[0].Ref)
	require.Equal(t, since, page.Objects[0].UpdatedAt)
	require.Equal(t, "a/b", page.Next)
}

// A page whose last entry has no ID would end the list too early.
func TestAListOfWhatHasNoNameIsNone(t *testing.T) {
	p := fetcherFor(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"object": "list", "has_more": true, "data": [{"object": "event", "created": 1772604367}]}`))
	}))
	_, err := p.List(t.Context(), providers.ListQuery{List: "events"})
	var failed *providers.APIError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, providers.RetryNever, failed.Retry)
}

func TestEveryListIsOfATypeThatIsFetched(t *testing.T) {
	for name, objectType := range stripe.ListedTypes() {
		require.Contains(t, stripe.Collections(), objectType)
		require.Equal(t, name, strings.NewReplacer("_", "-", ".", "-").Replace(objectType), "one list, one type, one name")
	}
}

// Stripe's own library pages through the fake's lists, and finds what we find:
// what passes on the fake is likely to be right at Stripe.
func TestStripesLibraryFindsWhatWeFind(t *testing.T) {
	world := undelivered(t, "sk_test_123")
	server := httptest.NewServer(world.API)
	t.Cleanup(server.Close)
	client := sdk.NewClient("sk_test_123", sdk.WithBackends(sdk.NewBackendsWithConfig(&sdk.BackendConfig{URL: sdk.String(server.URL)})))

	params := &sdk.EventListParams{DeliverySuccess: sdk.Bool(false), CreatedRange: &sdk.RangeQueryParams{GreaterThanOrEqual: since.Unix()}}
	params.Limit = sdk.Int64(100)
	var ids []string
	for event, err := range client.V1Events.List(t.Context(), params).All(t.Context()) {
		require.NoError(t, err)
		ids = append(ids, event.ID)
	}
	require.ElementsMatch(t, world.Recent, ids)

	var invoices, ours []string
	for invoice, err := range client.V1Invoices.List(t.Context(), &sdk.InvoiceListParams{}).All(t.Context()) {
		require.NoError(t, err)
		invoices = append(invoices, invoice.ID)
	}
	for query, pages := (providers.ListQuery{List: "invoice"}), 0; pages == 0 || query.Cursor != ""; pages++ {
		page, err := fetcherFor(t, world.API).List(t.Context(), query)
		require.NoError(t, err)
		for _, o := range page.Objects {
			ours = append(ours, o.Ref.ID)
		}
		query.Cursor = page.Next
	}
	require.Len(t, ours, 260)
	require.Equal(t, invoices, ours)
}
