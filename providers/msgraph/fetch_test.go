package msgraph_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/msgraph"
	"github.com/surehook/surehook/providers/providertest"
)

var aMail = providers.Ref{Type: "message", ID: user + "/Messages/" + mail, Account: tenant}

func graphError(code string) string {
	return fmt.Sprintf(`{"error": {"code": %q, "message": "private text", "innerError": {"request-id": "1"}}}`, code)
}

func fetchSuite() *providertest.Fetch {
	failure := func(name string, status int, code, body string, retry providers.Retry) providertest.Failure {
		return providertest.Failure{Answer: providertest.Answer{Name: name, Status: status, Body: body}, Retry: retry, Code: code}
	}
	return &providertest.Fetch{
		New: func(cfg providers.APIConfig) (providers.Fetcher, error) {
			return msgraph.New(cfg, msgraph.Settings{})
		},
		Ref:         aMail,
		Path:        "/v1.0/users/" + user + "/Messages/" + mail,
		State:       `{"@odata.etag": "W/\"CQ\"", "id": "` + mail + `", "subject": "Über", "lastModifiedDateTime": "2026-03-04T05:06:05Z"}`,
		Unfetchable: providers.Ref{Type: "weather", ID: "today"},
		Gone: []providertest.Answer{
			{Name: "Outlook has none", Status: 404, Body: graphError("ErrorItemNotFound")},
			{Name: "OneDrive has none", Status: 404, Body: graphError("itemNotFound")},
			{Name: "the directory has none", Status: 404, Body: graphError("Request_ResourceNotFound")},
			{Name: "there is no such subscription", Status: 404, Body: graphError("ResourceNotFound")},
			{Name: "Teams has none", Status: 404, Body: graphError("NotFound")},
		},
		Failures: []providertest.Failure{
			failure("a mailbox without an API", 404, "MailboxNotEnabledForRESTAPI", graphError("MailboxNotEnabledForRESTAPI"), providers.RetryNever),
			failure("a 404 from a proxy", 404, "", "<html>private text</html>", providers.RetryNever),
			failure("an expired token", 401, "InvalidAuthenticationToken", graphError("InvalidAuthenticationToken"), providers.RetryNever),
			failure("a missing permission", 403, "ErrorAccessDenied", graphError("ErrorAccessDenied"), providers.RetryNever),
			failure("a limit that does not say when", 429, "TooManyRequests", graphError("TooManyRequests"), providers.RetrySoon),
			failure("a gateway's timeout", 504, "", "", providers.RetrySoon),
			failure("a code that is no code", 400, "", graphError("private text"), providers.RetryNever),
			failure("a code that is a number", 400, "", `{"error": {"code": 7}}`, providers.RetryNever),
			{
				Answer: providertest.Answer{Name: "a service that says when", Status: 503, Header: map[string]string{"Retry-After": "10"}, Body: graphError("serviceNotAvailable")},
				Retry:  providers.RetryLater, After: 10 * time.Second, Code: "serviceNotAvailable",
			},
		},
	}
}

// graph plays an API and a token endpoint.
type graph struct {
	*httptest.Server
	tokens, calls atomic.Int32
	expired       atomic.Bool  // the API takes no token
	broken        atomic.Int32 // the status with which the token endpoint fails
	seen          []string     // paths, tokens and forms, in order
}

func newGraph(t *testing.T) *graph {
	g := &graph{}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

func (g *graph) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if tenant, isToken := strings.CutPrefix(r.URL.Path, "/token/"); isToken {
		if status := int(g.broken.Load()); status != 0 {
			w.WriteHeader(status)
			fmt.Fprint(w, `{"error": "invalid_client", "error_description": "private text"}`)
			return
		}
		_ = r.ParseForm()
		g.seen = append(g.seen, tenant+" "+r.PostForm.Encode())
		fmt.Fprintf(w, `{"token_type": "Bearer", "expires_in": 3599, "access_token": "token %d of %s"}`, g.tokens.Add(1), tenant)
		return
	}
	g.calls.Add(1)
	if g.expired.Load() {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, graphError("InvalidAuthenticationToken"))
		return
	}
	g.seen = append(g.seen, r.URL.Path+" "+r.Header.Get("Authorization"))
	fmt.Fprint(w, `{"id": "x"}`)
}

func (g *graph) provider(t *testing.T, alter func(*msgraph.Settings)) *msgraph.Provider {
	t.Helper()
	s := msgraph.Settings{Tenant: tenant, ClientID: "client", TokenURL: g.URL + "/token/{tenant}"}
	if alter != nil {
		alter(&s)
	}
	p, err := msgraph.New(providers.APIConfig{BaseURL: g.URL, Key: "client-secret"}, s)
	require.NoError(t, err)
	return p
}

func fetch(t *testing.T, p *msgraph.Provider, account string) error {
	t.Helper()
	_, err := p.Fetch(t.Context(), providers.FetchQuery{Ref: providers.Ref{Type: "user", ID: user, Account: account}})
	return err
}

func TestTheApplicationGetsItsTokenOnceAndUsesIt(t *testing.T) {
	g := newGraph(t)
	p := g.provider(t, nil)
	for range 3 {
		require.NoError(t, fetch(t, p, tenant))
	}
	call := "/v1.0/users/" + user + " Bearer token 1 of " + tenant
	form := "client_id=client&client_secret=client-secret&grant_type=client_credentials&scope=" + strings.NewReplacer(":", "%3A", "/", "%2F").Replace(g.URL+"/.default")
	require.Equal(t, []string{tenant + " " + form, call, call, call}, g.seen)
}

func TestEachDeclaredTenantHasItsOwnToken(t *testing.T) {
	g := newGraph(t)
	p := g.provider(t, func(s *msgraph.Settings) { s.Tenants = []string{otherTenant} })
	for _, account := range []string{otherTenant, "c0ffee00-0000-4000-8000-000000000000", "", otherTenant} {
		require.NoError(t, fetch(t, p, account))
	}
	var used []string
	for _, call := range g.seen {
		if _, token, isCall := strings.Cut(call, " Bearer "); isCall {
			used = append(used, token)
		}
	}
	other, home := "token 1 of "+otherTenant, "token 2 of "+tenant
	require.Equal(t, []string{other, home, home, other}, used, "a tenant nobody declared is no reason to ask it for a token")
}

func TestATokenTheAPIRefusesIsNotUsedAgain(t *testing.T) {
	g := newGraph(t)
	p := g.provider(t, nil)
	g.expired.Store(true)
	var failed *providers.APIError
	require.ErrorAs(t, fetch(t, p, tenant), &failed)
	require.Equal(t, providers.RetryNever, failed.Retry)
	g.expired.Store(false)
	require.NoError(t, fetch(t, p, tenant))
	require.EqualValues(t, 2, g.tokens.Load())
}

func TestAFailedTokenIsUnderstoodAndQuotesNothing(t *testing.T) {
	for status, want := range map[int]providers.Retry{400: providers.RetryNever, 401: providers.RetryNever, 429: providers.RetrySoon, 503: providers.RetrySoon, 307: providers.RetryNever} {
		g := newGraph(t)
		g.broken.Store(int32(status))
		err := fetch(t, g.provider(t, nil), tenant)
		var failed *providers.APIError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, want, failed.Retry, status)
		require.Equal(t, "invalid_client", failed.Code)
		require.NotContains(t, err.Error(), "private text")
		require.NotContains(t, err.Error(), "client-secret")
		require.Zero(t, g.calls.Load())
	}
}

func TestATokenEndpointThatHangsIsAskedAgainLater(t *testing.T) {
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not notice that the caller has gone
		<-r.Context().Done()
	}))
	defer hanging.Close()
	g := newGraph(t)
	p := g.provider(t, func(s *msgraph.Settings) { s.TokenURL = hanging.URL })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := p.Fetch(ctx, providers.FetchQuery{Ref: providers.Ref{Type: "user", ID: user}})
	var failed *providers.APIError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, providers.RetrySoon, failed.Retry)
	require.NotContains(t, err.Error(), hanging.URL)
}

// served fetches an object that the API answers with the body.
func served(t *testing.T, ref providers.Ref, body string) providers.Object {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
	defer server.Close()
	p, err := msgraph.New(providers.APIConfig{BaseURL: server.URL}, msgraph.Settings{})
	require.NoError(t, err)
	object, err := p.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
	require.NoError(t, err)
	return object
}

func TestFetchReadsWhenAnObjectWasChanged(t *testing.T) {
	for body, want := range map[string]time.Time{
		`{"lastModifiedDateTime": "2026-03-04T05:06:05.123Z"}`: time.Date(2026, 3, 4, 5, 6, 5, 123e6, time.UTC),
		`{"lastModifiedDateTime": null}`:                       {},
		`{"lastModifiedDateTime": "yesterday"}`:                {},
		`{"createdDateTime": "2026-03-04T05:06:05Z"}`:          {},
	} {
		require.Equal(t, want, served(t, aMail, body).UpdatedAt, body)
	}
}

func TestASubscriptionIsRecordedWithoutItsSecret(t *testing.T) {
	object := served(t, providers.Ref{Type: "subscription", ID: first}, `{"id": "x", "clientState": "`+secret+`", "resource": "users"}`)
	require.JSONEq(t, `{"id": "x", "resource": "users"}`, string(object.State))
}

func TestARefLeadsToAnObjectOfItsTypeOnly(t *testing.T) {
	p := open(t, msgraph.Settings{})
	for _, ref := range []providers.Ref{
		{Type: "message", ID: user + "/Events/" + mail},
		{Type: "message", ID: user + "/Messages"},
		{Type: "message", ID: "Messages"},
		{Type: "message", ID: user + "/Messages/" + mail + "/attachments"},
		{Type: "message", ID: user + "/Messages/" + mail + "/$value"},
		{Type: "message", ID: user + "/Messages/.."},
		{Type: "message", ID: user + "/Messages/a%2fb"},
		{Type: "message", ID: user + "//Messages/a"},
		{Type: "message", ID: user + "/Messages/a;b"},
		{Type: "chatMessage", ID: "chats('x')/members('y')"},
		{Type: "chatMessage", ID: "chats('x')/messages('a/b')"},
		{Type: "chatMessage", ID: "chats('x')/messages('a'b')"},
		{Type: "user", ID: user + "/Messages/" + mail},
		{Type: "subscription", ID: first + "/reauthorize"},
		{Type: "subscription", ID: ""},
		{Type: "root", ID: "root"},
		{},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := p.Fetch(ctx, providers.FetchQuery{Ref: ref})
		require.ErrorIs(t, err, providers.ErrNotFetchable, ref)
	}
}
