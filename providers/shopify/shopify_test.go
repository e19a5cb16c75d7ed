package shopify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
	"github.com/surehook/surehook/providers/shopify"
)

const (
	secret    = "shpss_0123456789abcdef0123456789abcdef"
	domain    = "snowdevil.myshopify.com"
	webhookID = "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"

	orderUpdated = `{"id": 820982911946154508, "admin_graphql_api_id": "gid://shopify/Order/820982911946154508", ` +
		`"name": "#9999", "test": false, "updated_at": "2026-01-02T03:04:05-05:00", "customer": {"id": 115310627314723954}}`

	productChanged = `{
  "topic": "Product",
  "action": "update",
  "handle": "prices",
  "fields_changed": {"added": [], "updated": ["product[id: 'gid://shopify/Product/123'].title"], "removed": []},
  "query_variables": {"productId": "gid://shopify/Product/123"}
}`
)

// open returns a provider of one shop, for tests that call no API.
func open(t testing.TB) *shopify.Provider {
	t.Helper()
	p, err := shopify.New(providers.APIConfig{}, shopify.Settings{Shop: domain})
	require.NoError(t, err)
	return p
}

// request is a webhook as Shopify sends it, but unsigned.
func request(topic, body string) providers.Request {
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "Shopify-Captain-Hook")
	h.Set("X-Shopify-Topic", topic)
	h.Set("X-Shopify-Shop-Domain", domain)
	h.Set("X-Shopify-API-Version", "2026-07")
	h.Set("X-Shopify-Webhook-Id", webhookID)
	h.Set("X-Shopify-Event-Id", "98880550-7158-44d4-b7cd-2c97c8a091b5")
	h.Set("X-Shopify-Triggered-At", "2026-01-02T03:04:05.123456789Z")
	return providers.Request{
		Method: http.MethodPost,
		URL:    &url.URL{Scheme: "https", Host: "hooks.example.com", Path: "/webhooks/shopify"},
		Header: h,
		Body:   []byte(body),
	}
}

// changeRequest is a delivery of Events, with the new headers only.
func changeRequest(body string) providers.Request {
	r := request("Product", body)
	for _, name := range []string{"Topic", "Shop-Domain", "Api-Version", "Webhook-Id", "Triggered-At"} {
		r.Header.Set("Shopify-"+name, r.Header.Get("X-Shopify-"+name))
		r.Header.Del("X-Shopify-" + name)
	}
	r.Header.Del("X-Shopify-Event-Id")
	r.Header.Set("Shopify-Handle", "prices")
	r.Header.Set("Shopify-Action", "update")
	return r
}

// signature is Shopify's documentation in code.
func signature(body []byte, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func signAsDocumented(r *providers.Request, secret string) {
	r.Header.Set("X-Shopify-Hmac-Sha256", signature(r.Body, secret))
}

func signAsEventsDocument(r *providers.Request, secret string) {
	r.Header.Set("Shopify-Hmac-Sha256", signature(r.Body, secret))
}

func TestConforms(t *testing.T) {
	providertest.Exercise(t, providertest.Suite{
		Provider:         open(t),
		Request:          func() providers.Request { return request("orders/updated", orderUpdated) },
		Oracle:           signAsDocumented,
		SignatureHeaders: []string{"X-Shopify-Hmac-Sha256"},
		Malformed: map[string]string{
			"an order without an id":   strings.Replace(orderUpdated, `"id"`, `"x"`, 1),
			"an id with a slash":       strings.Replace(orderUpdated, `820982911946154508,`, `"1/2",`, 1),
			"an id with a fraction":    strings.Replace(orderUpdated, `820982911946154508,`, `1.5,`, 1),
			"an id with an exponent":   strings.Replace(orderUpdated, `820982911946154508,`, `1e3,`, 1),
			"an id below zero":         strings.Replace(orderUpdated, `820982911946154508,`, `-1,`, 1),
			"an id that is an object":  strings.Replace(orderUpdated, `820982911946154508,`, `{},`, 1),
			"an order of another id":   strings.Replace(orderUpdated, `Order/820982911946154508`, `Order/1`, 1),
			"an order that is no such": strings.Replace(orderUpdated, `Order/`, `Product/`, 1),
		},
		Fetch: fetchSuite(),
		List:  listSuite(),
	})
}

func TestConformsWithTheHeadersOfEvents(t *testing.T) {
	providertest.Exercise(t, providertest.Suite{
		Provider:         open(t),
		Request:          func() providers.Request { return changeRequest(productChanged) },
		Oracle:           signAsEventsDocument,
		SignatureHeaders: []string{"Shopify-Hmac-Sha256"},
		Malformed: map[string]string{
			"a change of nothing":       strings.Replace(productChanged, `"productId"`, `"variantsId"`, 1),
			"a change without an id":    strings.Replace(productChanged, `"gid://shopify/Product/123"}`, `null}`, 1),
			"a change of another topic": strings.Replace(productChanged, `"Product"`, `"Customer"`, 1),
			"another type's id":         strings.Replace(productChanged, `gid://shopify/Product/123"}`, `gid://shopify/Customer/123"}`, 1),
			"another action":            strings.Replace(productChanged, `"update"`, `"delete"`, 1),
			"no action":                 strings.Replace(productChanged, `"update"`, `""`, 1),
		},
		Fetch: fetchSuite(),
		List:  listSuite(),
	})
}

// The example of shopify-api-js, lib/webhooks/__tests__/validate.test.ts.
func TestVerifyAcceptsThePublishedSignature(t *testing.T) {
	r := request("app/uninstalled", `{"foo": "bar"}`)
	r.Header.Set("X-Shopify-Hmac-Sha256", "B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g=")
	require.NoError(t, open(t).Verify(r, providers.Secrets{"test_secret_key"}))
}

func TestEitherOfTheTwoHeaderSetsCarriesTheSignature(t *testing.T) {
	p := open(t)
	for name, r := range map[string]providers.Request{
		"webhooks": request("orders/updated", orderUpdated),
		"events":   changeRequest(productChanged),
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, p.Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated)
			for _, header := range []string{"X-Shopify-Hmac-Sha256", "Shopify-Hmac-Sha256"} {
				one := r
				one.Header = r.Header.Clone()
				one.Header.Set(header, signature(r.Body, secret))
				require.NoError(t, p.Verify(one, providers.Secrets{secret}))
				require.ErrorIs(t, p.Verify(one, providers.Secrets{"another"}), providers.ErrUnauthenticated)
			}
		})
	}
}

// Deliveries of Events repeat some of the old headers.
func TestBothHeaderSetsAreAcceptedWhereTheyAgree(t *testing.T) {
	r := changeRequest(productChanged)
	signAsDocumented(&r, secret)
	signAsEventsDocument(&r, secret)
	for _, name := range []string{"Topic", "Shop-Domain", "Api-Version", "Webhook-Id"} {
		r.Header.Set("X-Shopify-"+name, r.Header.Get("Shopify-"+name))
	}
	require.NoError(t, open(t).Verify(r, providers.Secrets{secret}))
	events, err := open(t).Events(r)
	require.NoError(t, err)
	require.Equal(t, "Product/update", events[0].Type)
}

func TestARequestWhoseTwoHeaderSetsDisagreeIsRefused(t *testing.T) {
	p := open(t)
	for name, other := range map[string]string{
		"Hmac-Sha256": signature([]byte(orderUpdated), "another"), "Topic": "orders/delete", "Shop-Domain": "evil.myshopify.com",
		"Api-Version": "2026-04", "Webhook-Id": "another", "Event-Id": "another", "Triggered-At": "2026-01-03T00:00:00Z",
	} {
		r := request("orders/updated", orderUpdated)
		signAsDocumented(&r, secret)
		require.NoError(t, p.Verify(r, providers.Secrets{secret}), name)

		r.Header.Set("Shopify-"+name, other)
		err := p.Verify(r, providers.Secrets{secret})
		require.ErrorIs(t, err, providers.ErrUnauthenticated, name)
		require.NotContains(t, err.Error(), other, "errors quote no header")
		_, err = p.Events(r)
		require.ErrorIs(t, err, providers.ErrMalformed, name)

		r.Header.Del("Shopify-" + name)
		r.Header.Add("X-Shopify-"+name, other)
		require.ErrorIs(t, p.Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated, "%s twice", name)
	}
}

func TestTheOldClientSecretStaysGoodForAsLongAsItIsInTheList(t *testing.T) {
	r := request("orders/updated", orderUpdated)
	signAsDocumented(&r, "the old client secret")
	r.ReceivedAt = time.Now()
	p := open(t)
	require.ErrorIs(t, p.Verify(r, providers.Secrets{"the new client secret"}), providers.ErrUnauthenticated)
	require.NoError(t, p.Verify(r, providers.Secrets{"the new client secret", "the old client secret"}))

	r.ReceivedAt = r.ReceivedAt.Add(time.Hour)
	require.NoError(t, p.Verify(r, providers.Secrets{"the new client secret", "the old client secret"}))
}

// Base64 has several texts for the same bytes, and Go's decoder skips line
// breaks: only the one that Shopify writes is accepted.
func TestVerifyAcceptsOneTextOfASignatureOnly(t *testing.T) {
	r := request("orders/updated", orderUpdated)
	genuine := signature(r.Body, secret)
	for _, other := range []string{
		genuine[:42] + string(genuine[42]+1) + "=", strings.TrimSuffix(genuine, "="), genuine[:20] + "\n" + genuine[20:],
		strings.NewReplacer("+", "-", "/", "_").Replace(genuine) + "=", " " + genuine, genuine + " ",
	} {
		r.Header.Set("X-Shopify-Hmac-Sha256", other)
		require.ErrorIs(t, open(t).Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated, "%q", other)
	}
}

func TestVerifyTellsTheOperatorWhyNothingFits(t *testing.T) {
	unsigned, signed := request("orders/updated", orderUpdated), request("orders/updated", orderUpdated)
	signAsDocumented(&signed, "another secret")
	for _, c := range []struct {
		request providers.Request
		secrets providers.Secrets
		want    string
	}{
		{unsigned, providers.Secrets{secret}, "the header X-Shopify-Hmac-Sha256 is missing"},
		{signed, providers.Secrets{secret}, "the signature does not fit the secret"},
		{signed, providers.Secrets{secret, "old"}, "the signature fits none of the 2 secrets"},
	} {
		err := open(t).Verify(c.request, c.secrets)
		require.ErrorIs(t, err, providers.ErrUnauthenticated)
		require.ErrorContains(t, err, c.want)
	}
}

func TestSignSignsInTheHeadersTheRequestHas(t *testing.T) {
	p := open(t)
	bare := providers.Request{Body: []byte(`{"id": 1}`)}
	require.NoError(t, p.Sign(&bare, providers.Secrets{secret}))
	require.Equal(t, signature(bare.Body, secret), bare.Header.Get("X-Shopify-Hmac-Sha256"))
	require.Len(t, bare.Header, 1)

	change := changeRequest(productChanged)
	require.NoError(t, p.Sign(&change, providers.Secrets{secret}))
	require.Equal(t, signature(change.Body, secret), change.Header.Get("Shopify-Hmac-Sha256"))
	require.Empty(t, change.Header.Get("X-Shopify-Hmac-Sha256"))
}

func TestLabelNamesWhatIsNotSigned(t *testing.T) {
	p := open(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for eventType, body := range map[string]string{"orders/updated": orderUpdated, "Product/update": productChanged} {
		r := providers.Request{Body: []byte(body), ReceivedAt: at}
		p.Label(&r, "id-1", eventType)
		require.NoError(t, p.Sign(&r, providers.Secrets{secret}))
		require.NoError(t, p.Verify(r, providers.Secrets{secret}))
		events, err := p.Events(r)
		require.NoError(t, err)
		require.Equal(t, "id-1", events[0].ID)
		require.Equal(t, eventType, events[0].Type)
		require.Equal(t, domain, events[0].Ref.Account)
		require.Equal(t, at, events[0].OccurredAt)
		require.Equal(t, "2026-07", events[0].APIVersion)
		require.Empty(t, events[0].Review)
	}
}

func TestImports(t *testing.T) {
	providertest.CheckImports(t, deptest.Rule{})
}

func FuzzVerify(f *testing.F) {
	genuine := signature([]byte(orderUpdated), secret)
	f.Add(genuine, "", []byte(orderUpdated))
	f.Add("", genuine, []byte(orderUpdated))
	f.Add(genuine, genuine, []byte(orderUpdated))
	f.Add("=", genuine, []byte{})
	p := open(f)
	f.Fuzz(func(t *testing.T, old, unprefixed string, body []byte) {
		r := request("orders/updated", string(body))
		want := signature(body, secret)
		fits := old != "" || unprefixed != ""
		for header, value := range map[string]string{"X-Shopify-Hmac-Sha256": old, "Shopify-Hmac-Sha256": unprefixed} {
			if value != "" {
				r.Header.Set(header, value)
				fits = fits && value == want
			}
		}
		err := p.Verify(r, providers.Secrets{secret})
		require.Equal(t, fits, err == nil, err)
		require.True(t, fits || errors.Is(err, providers.ErrUnauthenticated))
	})
}

func BenchmarkVerifyAndEvents(b *testing.B) {
	body, err := os.ReadFile("testdata/order.json")
	require.NoError(b, err)
	r := request("orders/updated", string(body))
	signAsDocumented(&r, secret)
	p := open(b)
	providertest.Benchmark(b, p, r, providers.Secrets{secret})
}
