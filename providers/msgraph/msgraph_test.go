package msgraph_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/msgraph"
	"github.com/surehook/surehook/providers/providertest"
)

const (
	secret = "state-7Hq2Vx9Kd4Lm"

	tenant      = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
	otherTenant = "bbbbcccc-1111-dddd-2222-eeee3333ffff"
	user        = "0e1d6b7a-3b0c-4d36-8a5e-6d3c4a8d1f20"
	mail        = "AAMkAGI2NGVhZTVlLTI1OGMtNDI4My1iZmE5LTA5OGJiZGEzMTc0YQBGAAAAAADUuTJK1K9aTpCdqXop_4NaBwCd9nJ-tVysQYj2Cekan9XRAAAAAAEMAACd9nJ-tVysQYj2Cekan9XRAAAtPCn2AAA="
	first       = "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"
	second      = "5cfe2387-163c-4006-81bb-1b5e1e060afe"

	mailUpdated = `{
  "id": "lsgTZMr9KwAAA", "subscriptionId": "` + first + `", "subscriptionExpirationDateTime": "2026-03-19T22:11:09.952Z",
  "clientState": "", "changeType": "updated", "tenantId": "` + tenant + `",
  "resource": "Users/` + user + `@` + tenant + `/Messages/` + mail + `",
  "resourceData": {
    "@odata.type": "#Microsoft.Graph.Message", "@odata.id": "Users/` + user + `@` + tenant + `/Messages/` + mail + `",
    "@odata.etag": "W/\"CQAAABYAAADkrWGo7bouTKlsgTZMr9KwAAAUWRHf\"", "id": "` + mail + `"
  }
}`
	userDeleted = `{
  "subscriptionId": "` + second + `", "subscriptionExpirationDateTime": "2026-03-19T22:11:09.952Z",
  "clientState": "", "changeType": "deleted", "tenantId": "` + otherTenant + `", "resource": "Users/` + user + `",
  "resourceData": {
    "@odata.type": "#Microsoft.Graph.User", "@odata.id": "Users/` + user + `", "id": "` + user + `",
    "organizationId": "` + otherTenant + `", "eventTime": "2026-03-04T05:06:05.1234567Z", "sequenceNumber": 639081639651234567
  }
}`
	chatUpdated = `{
  "subscriptionId": "` + first + `", "subscriptionExpirationDateTime": "2026-03-19T22:11:09.952Z",
  "clientState": "", "changeType": "updated", "tenantId": "` + tenant + `",
  "resource": "chats('19:8ea0e38b-efb3-4757-924a-5f94061cf8c2_97f62344@unq.gbl.spaces')/messages('1612289765949')",
  "resourceData": {"@odata.type": "#Microsoft.Graph.chatMessage", "id": "1612289765949"}
}`
	missed = `{
  "subscriptionId": "` + first + `", "subscriptionExpirationDateTime": "2026-03-19T22:11:09.952Z",
  "tenantId": "` + tenant + `", "clientState": "", "lifecycleEvent": "missed"
}`
)

func batch(items ...string) string { return `{"value": [` + strings.Join(items, ",\n") + `]}` }

// open returns a provider for tests that call no API.
func open(t testing.TB, s msgraph.Settings) *msgraph.Provider {
	t.Helper()
	p, err := msgraph.New(providers.APIConfig{}, s)
	require.NoError(t, err)
	return p
}

// request is one with the body, as Graph sends it but without a clientState.
func request(body string) providers.Request {
	return providers.Request{
		Method:     http.MethodPost,
		URL:        &url.URL{Scheme: "https", Host: "hooks.example.com", Path: "/webhooks/msgraph"},
		Header:     http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		Body:       []byte(body),
		ReceivedAt: time.Date(2026, 3, 4, 5, 6, 7, 89, time.UTC),
	}
}

var states = regexp.MustCompile(`"clientState": "[^"]*"`)

// stated is the body with the same clientState in all items.
func stated(body, state string) string {
	return states.ReplaceAllString(body, fmt.Sprintf(`"clientState": %q`, state))
}

func signAsDocumented(r *providers.Request, secret string) {
	r.Body = []byte(stated(string(r.Body), secret))
}

func TestConforms(t *testing.T) {
	without := func(member string) string { return strings.Replace(batch(mailUpdated), `"`+member+`"`, `"x"`, 1) }
	providertest.Exercise(t, providertest.Suite{
		Provider: open(t, msgraph.Settings{}),
		Request:  func() providers.Request { return request(batch(mailUpdated, userDeleted)) },
		Oracle:   signAsDocumented,
		InBody:   true,
		Malformed: map[string]string{
			"a body without notifications":          `{"value": []}`,
			"a body without a list":                 `{"value": null}`,
			"a notification that is null":           batch("null"),
			"a notification that is a string":       batch(`"x"`),
			"a notification without a subscription": without("subscriptionId"),
			"a notification without a change":       without("changeType"),
			"a notification without a resource":     without("resource"),
			"a subscription that is no id":          strings.Replace(batch(mailUpdated), first, "../x", 1),
			"a tenant that is no id":                strings.Replace(batch(mailUpdated), `"`+tenant+`"`, `"a/b"`, 1),
			"a change that is no word":              strings.Replace(batch(mailUpdated), `"updated"`, `"up dated"`, 1),
			"a lifecycle event that is no word":     strings.Replace(batch(missed), `"missed"`, `"mis sed"`, 1),
			"a name twice in a notification":        strings.Replace(batch(mailUpdated), `"changeType"`, `"clientState": "x", "changeType"`, 1),
			"one bad notification of two":           batch(userDeleted, `{}`),
			"tokens that are no list":               `{"validationTokens": "x", "value": [` + mailUpdated + `]}`,
		},
		Probes: map[string]providertest.Handshake{
			"a validation": {
				Request: func() providers.Request {
					return probe("validationToken=Validation%3a+Testing+client+application%20reachability+%2b+%c3%a9")
				},
				Want: text200("Validation: Testing client application reachability + é"),
			},
			"a validation beside a query of ours": {
				Request: func() providers.Request { return probe("a=b&validationToken=x") },
				Want:    text200("x"),
			},
		},
		Fetch: fetchSuite(),
		List:  listSuite(),
	})
}

func probe(query string) providers.Request {
	r := request("")
	r.URL.RawQuery = query
	r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	return r
}

func text200(body string) providers.Response {
	return providers.Response{Status: http.StatusOK, ContentType: "text/plain; charset=utf-8", Body: []byte(body)}
}

func TestAProbeWithScriptComesBackAsPlainText(t *testing.T) {
	p := open(t, msgraph.Settings{})
	answer, ok := p.Probe(probe("validationToken=" + url.QueryEscape("<script>alert(1)</script>")))
	require.True(t, ok)
	require.Equal(t, text200("<script>alert(1)</script>"), answer)
}

func TestWhatIsNoProbeIsNotAnsweredAsOne(t *testing.T) {
	p := open(t, msgraph.Settings{})
	withBody := probe("validationToken=x")
	withBody.Body = []byte(" ")
	get := probe("validationToken=x")
	get.Method = http.MethodGet
	without := probe("")
	without.URL = nil
	for name, r := range map[string]providers.Request{
		"with a body":        withBody,
		"a GET":              get,
		"without a URL":      without,
		"without a token":    probe(""),
		"an empty token":     probe("validationToken="),
		"two tokens":         probe("validationToken=x&validationToken=y"),
		"in other letters":   probe("ValidationToken=x"),
		"an unreadable one":  probe("validationToken=%zz"),
		"longer than bounds": probe("validationToken=" + strings.Repeat("x", 2049)),
	} {
		_, ok := p.Probe(r)
		require.False(t, ok, name)
	}
}

func TestNotificationsAreAnsweredWith202(t *testing.T) {
	require.Equal(t, providers.Endpoint{SecretBody: true, Accepted: providers.Response{Status: 202}}, open(t, msgraph.Settings{}).Endpoint())
}

func TestSeveralSubscriptionsAndTenantsInOneRequestEachProveThemselves(t *testing.T) {
	p := open(t, msgraph.Settings{Subscriptions: map[string]providers.Secret{strings.ToUpper(first): "state one", second: "state two"}})
	body := func(one, two string) providers.Request {
		return request(batch(stated(mailUpdated, one), stated(userDeleted, two)))
	}
	require.NoError(t, p.Verify(body("state one", "state two"), providers.Secrets{secret}))
	for name, r := range map[string]providers.Request{
		"the state of the other": body("state one", "state one"),
		"both swapped":           body("state two", "state one"),
		"a secret of the source": body(secret, "state two"),
		"no state":               body("state one", ""),
	} {
		require.ErrorIs(t, p.Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated, name)
	}
	events, err := p.Events(body("state one", "state two"))
	require.NoError(t, err)
	require.Len(t, events, 2)
	require.Equal(t, []string{tenant, otherTenant}, []string{events[0].Ref.Account, events[1].Ref.Account})
}

func TestASubscriptionThatIsNotDeclaredIsRefused(t *testing.T) {
	p := open(t, msgraph.Settings{Subscriptions: map[string]providers.Secret{first: secret}})
	require.NoError(t, p.Verify(request(stated(batch(mailUpdated), secret)), nil))
	err := p.Verify(request(stated(batch(mailUpdated, userDeleted), secret)), providers.Secrets{secret})
	require.ErrorIs(t, err, providers.ErrUnauthenticated)
	require.EqualError(t, err, "msgraph: verify: not authentic: item 2 of 2, subscription "+second+": not declared in settings.subscriptions")
}

func TestOneForgedItemSpoilsTheRequest(t *testing.T) {
	r := request(batch(stated(mailUpdated, secret), stated(userDeleted, "guess")))
	require.ErrorIs(t, open(t, msgraph.Settings{}).Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated)
}

func TestAnItemOfAnotherTenantIsRefused(t *testing.T) {
	p := open(t, msgraph.Settings{Tenants: []string{strings.ToUpper(tenant)}})
	require.NoError(t, p.Verify(request(stated(batch(mailUpdated), secret)), providers.Secrets{secret}))
	for _, item := range []string{userDeleted, strings.Replace(mailUpdated, `"tenantId"`, `"x"`, 1)} {
		err := p.Verify(request(stated(batch(mailUpdated, item), secret)), providers.Secrets{secret})
		require.ErrorIs(t, err, providers.ErrUnauthenticated)
		require.ErrorContains(t, err, "tenant is not in settings.tenants")
	}
}

// Anybody can have Graph send to our URL what changes in a tenant of his own, in
// one request with what is ours.
func TestAStrangersSubscriptionDoesNotCostUsOurItems(t *testing.T) {
	p := open(t, msgraph.Settings{Tenants: []string{tenant}})
	r := request(batch(stated(userDeleted, "the stranger's"), stated(mailUpdated, secret)))
	require.NoError(t, p.Verify(r, providers.Secrets{secret}))
	events, err := p.Events(r)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, tenant, events[0].Ref.Account)

	for name, body := range map[string]string{
		"none of ours":                  batch(stated(userDeleted, "the stranger's")),
		"none of ours that is proven":   batch(stated(userDeleted, "the stranger's"), stated(mailUpdated, "guess")),
		"a tenant that is not declared": batch(stated(userDeleted, secret), stated(mailUpdated, secret)),
	} {
		require.ErrorIs(t, p.Verify(request(body), providers.Secrets{secret}), providers.ErrUnauthenticated, name)
	}
}

func TestSignGivesEachSubscriptionItsState(t *testing.T) {
	p := open(t, msgraph.Settings{Subscriptions: map[string]providers.Secret{second: "state two"}})
	r := request(batch(mailUpdated, userDeleted))
	require.NoError(t, p.Sign(&r, providers.Secrets{secret}))
	require.JSONEq(t, batch(stated(mailUpdated, secret), stated(userDeleted, "state two")), string(r.Body))
	require.Contains(t, string(r.Body), "639081639651234567", "a large number keeps its digits")
}

func TestSignRefusesWhatGraphWouldNotSend(t *testing.T) {
	p := open(t, msgraph.Settings{})
	for name, body := range map[string]string{
		"no JSON": "", "no list": `{"value": 1}`, "no subscription": batch(`{}`), "a null": batch("null"), "a number": batch(`{"subscriptionId": 1}`),
	} {
		r := request(body)
		require.Error(t, p.Sign(&r, providers.Secrets{secret}), name)
	}
	r := request(batch(missed))
	require.Error(t, p.Sign(&r, providers.Secrets{strings.Repeat("x", 256)}))
}

func TestImports(t *testing.T) {
	providertest.CheckImports(t, deptest.Rule{})
}

func FuzzVerify(f *testing.F) {
	for _, body := range []string{batch(mailUpdated), batch(mailUpdated, missed), `{"value": [{}]}`, "", `{"validationTokens": ["x"]}`} {
		f.Add(stated(body, secret))
		f.Add(stated(body, "guess"))
	}
	p := open(f, msgraph.Settings{AppID: "app", JWKSURL: "http://127.0.0.1:1/"})
	f.Fuzz(func(t *testing.T, body string) {
		r := request(body)
		err := p.Verify(r, providers.Secrets{secret})
		if err != nil {
			require.ErrorIs(t, err, providers.ErrUnauthenticated)
			return
		}
		require.Contains(t, body, secret)
		events, err := p.Events(r)
		require.NoError(t, err, "what was verified can be read")
		require.NotEmpty(t, events)
	})
}

func BenchmarkVerifyAndEvents(b *testing.B) {
	r := request(stated(batch(mailUpdated, userDeleted, chatUpdated), secret))
	p := open(b, msgraph.Settings{})
	providertest.Benchmark(b, p, r, providers.Secrets{secret})
}
