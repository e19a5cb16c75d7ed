package stripe_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "github.com/stripe/stripe-go/v85"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
	"github.com/surehook/surehook/providers/stripe"
)

const (
	secret = "whsec_test-2Lk7Qw9Zx4Vb"

	snapshot = `{
  "id": "evt_1Pgc7n", "object": "event", "api_version": "2026-08-26.dahlia", "created": 1767323045,
  "data": {"object": {"id": "in_1Pgc7m", "object": "invoice", "amount_due": 1200}, "previous_attributes": {"status": "draft"}},
  "livemode": true, "pending_webhooks": 1, "request": {"id": null, "idempotency_key": null}, "type": "invoice.paid"
}
`
	thin = `{
  "id": "evt_test_65R9Ijk8", "object": "v2.core.event", "type": "v1.billing.meter.error_report_triggered", "livemode": false,
  "created": "2026-01-02T03:04:05.123456Z", "context": "acct_1Nv0FG",
  "related_object": {"id": "mtr_test_61R9IeP0", "type": "billing.meter", "url": "https://evil.example/v1/billing/meters/mtr_test_61R9IeP0"}
}`
)

// open returns a provider for tests that call no API.
func open(t testing.TB) *stripe.Provider {
	t.Helper()
	p, err := stripe.New(providers.APIConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// request is one with the body, as Stripe sends it but unsigned.
func request(body string) providers.Request {
	return providers.Request{
		Method: http.MethodPost,
		URL:    &url.URL{Scheme: "https", Host: "hooks.example.com", Path: "/webhooks/stripe"},
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}, "User-Agent": {"Stripe/1.0 (+https://stripe.com/docs/webhooks)"}},
		Body:   []byte(body),
	}
}

// signAsSDK signs with Stripe's own library.
func signAsSDK(r *providers.Request, secret string) {
	signed := sdk.GenerateTestSignedPayload(&sdk.UnsignedPayload{Payload: r.Body, Secret: secret, Timestamp: r.ReceivedAt})
	r.Header.Set("Stripe-Signature", signed.Header)
}

func TestConformsAsSnapshotEvent(t *testing.T) { providertest.Exercise(t, suite(t, snapshot)) }

func TestConformsAsThinEvent(t *testing.T) { providertest.Exercise(t, suite(t, thin)) }

func suite(t *testing.T, body string) providertest.Suite {
	without := func(member string) string { return strings.Replace(body, `"`+member+`":`, `"x":`, 1) }
	return providertest.Suite{
		Provider:         open(t),
		Request:          func() providers.Request { return request(body) },
		Oracle:           signAsSDK,
		SignatureHeaders: []string{"Stripe-Signature"},
		Tolerance:        300 * time.Second,
		Malformed: map[string]string{
			"an event without an id":       without("id"),
			"an event without a type":      strings.NewReplacer(`"type": "invoice.paid"`, `"x": 1`, `"type": "v1.`, `"x": "v1.`).Replace(body),
			"an event without a kind":      without("object"),
			"an event without a time":      without("created"),
			"an event without a mode":      without("livemode"),
			"an event with a number as id": strings.Replace(body, `"id": "evt_`, `"id": 1, "x": "`, 1),
			"an id with a blank":           strings.Replace(body, `"id": "evt_`, `"id": "evt `, 1),
			"an id with a line break":      strings.Replace(body, `"id": "evt_`, `"id": "evt\n`, 1),
			"an id that is not ASCII":      strings.Replace(body, `"id": "evt_`, `"id": "evt\u00e9`, 1),
			"an id of 201 bytes":           strings.Replace(body, `"id": "evt_`, `"id": "`+strings.Repeat("e", 201), 1),
			"a mode that is a string":      strings.NewReplacer(`"livemode": true, "p`, `"livemode": "true", "p`, `"livemode": false`, `"livemode": "false"`).Replace(body),
			"an unknown kind of event":     strings.NewReplacer(`"object": "event"`, `"object": "list"`, `"v2.core.event"`, `"v3.core.event"`).Replace(body),
			"the other kind's time":        strings.NewReplacer(`1767323045`, `"2026-01-02T03:04:05Z"`, `"2026-01-02T03:04:05.123456Z"`, `1767323045`).Replace(body),
			"a time before 1970":           strings.NewReplacer(`1767323045`, `-1`, `"2026-01-02T03:04:05.123456Z"`, `"yesterday"`).Replace(body),
			"an object with a bad id":      strings.NewReplacer(`"in_1Pgc7m"`, `"in\u0000"`, `"mtr_test_61R9IeP0"`, `"mtr\u0000"`).Replace(body),
		},
		Fetch: fetchSuite(),
		List:  listSuite(),
	}
}

func fetchSuite() *providertest.Fetch {
	return &providertest.Fetch{
		New:         func(cfg providers.APIConfig) (providers.Fetcher, error) { return stripe.New(cfg) },
		Ref:         providers.Ref{Type: "invoice", ID: "in_1Pgc7m", Account: "acct_1Nv0FG"},
		Path:        "/v1/invoices/in_1Pgc7m",
		State:       "{\n  \"id\": \"in_1Pgc7m\",\n  \"object\": \"invoice\",\n  \"amount_due\": 1200\n}\n",
		Unfetchable: providers.Ref{Type: "balance", ID: "ba_1"},
		Gone: []providertest.Answer{
			{Name: "resource_missing", Status: 404, Body: errorBody("resource_missing", "No such invoice: 'in_1Pgc7m'")},
			{Name: "a deleted object", Status: 200, Body: `{"id": "in_1Pgc7m", "object": "invoice", "deleted": true}`},
		},
		Failures: []providertest.Failure{
			failure("a URL Stripe does not know", 404, nil, errorBody("", "private text"), providers.RetryNever, "invalid_request_error"),
			failure("a 404 from a proxy", 404, nil, "<html>private text</html>", providers.RetryNever, ""),
			failure("an object of the other mode", 404, nil, errorBody("resource_missing",
				"No such invoice: 'in_1Pgc7m'; a similar object exists in live mode, but a test mode key was used to make this request."),
				providers.RetryNever, "resource_missing"),
			failure("a key that may not read it", 403, nil, errorBody("", "private text"), providers.RetryNever, "invalid_request_error"),
			failure("a lock timeout", 429, nil, errorBody("lock_timeout", "private text"), providers.RetrySoon, "lock_timeout"),
			failure("a rate limit", 429, map[string]string{"Stripe-Rate-Limited-Reason": "endpoint-rate", "Stripe-Should-Retry": "false"},
				errorBody("rate_limit", "private text"), providers.RetrySoon, "rate_limit"),
			failure("a conflict", 409, nil, errorBody("", "private text"), providers.RetrySoon, "invalid_request_error"),
			failure("a conflict not to retry", 409, map[string]string{"Stripe-Should-Retry": "false"}, "", providers.RetryNever, ""),
			failure("a 500 that is stored for its idempotency key", 500, map[string]string{"Stripe-Should-Retry": "false"}, "", providers.RetrySoon, ""),
			failure("a 400 to retry", 400, map[string]string{"Stripe-Should-Retry": "true"}, "", providers.RetrySoon, ""),
			failure("a code that is no code", 400, nil, errorBody("private text "+strings.Repeat("x", 300), ""), providers.RetryNever, ""),
			failure("another object", 200, nil, `{"id": "in_2", "object": "invoice"}`, providers.RetryNever, ""),
			failure("an object of another type", 200, nil, `{"id": "in_1Pgc7m", "object": "charge"}`, providers.RetryNever, ""),
		},
	}
}

func failure(name string, status int, header map[string]string, body string, retry providers.Retry, code string) providertest.Failure {
	return providertest.Failure{
		Answer: providertest.Answer{Name: name, Status: status, Header: header, Body: body},
		Retry:  retry,
		Code:   code,
	}
}

// errorBody is the body of a Stripe error of the commonest type.
func errorBody(code, message string) string {
	return fmt.Sprintf(`{"error": {"type": "invalid_request_error", "code": %q, "message": %q}}`, code, message)
}

func TestVerifyTellsTheOperatorWhyNothingFits(t *testing.T) {
	p := open(t)
	unsigned := request(snapshot)
	unsigned.ReceivedAt = time.Unix(1767323045, 0)
	signed := request(snapshot)
	signed.ReceivedAt = unsigned.ReceivedAt
	signAsSDK(&signed, "another secret")
	for _, c := range []struct {
		request providers.Request
		secrets providers.Secrets
		want    string
	}{
		{unsigned, providers.Secrets{secret}, "the header Stripe-Signature is missing"},
		{signed, providers.Secrets{secret}, "the signature does not fit the secret"},
		{signed, providers.Secrets{secret, "old"}, "the signature fits none of the 2 secrets"},
	} {
		err := p.Verify(c.request, c.secrets)
		require.ErrorIs(t, err, providers.ErrUnauthenticated)
		require.ErrorContains(t, err, c.want)
	}
}
