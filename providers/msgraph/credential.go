package msgraph

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/surehook/surehook/providers"
)

// tokenTimeout bounds a call of the token endpoint, where the configuration does not.
const tokenTimeout = 20 * time.Second

// authorization returns the header of that name for a call about an object of
// the tenant, or nothing without a credential.
func (p *Provider) authorization(ctx context.Context, tenant string) (string, error) {
	token := p.key
	if p.app != nil {
		var err error
		if token, err = p.app.token(ctx, tenant); err != nil {
			return "", err
		}
	}
	if token == "" {
		return "", nil
	}
	return "Bearer " + token, nil
}

// application gets access tokens with its own secret (OAuth 2.0 client
// credentials) and keeps them until they expire.
//
// Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow.
type application struct {
	config  clientcredentials.Config // its TokenURL still has the tenant's mark
	home    string
	tenants map[string]bool // others it gets tokens of
	http    *http.Client

	mu   sync.Mutex
	kept map[string]*keptToken // by tenant
}

// keptToken is a tenant's token. Its turn is held by who reads or renews it.
type keptToken struct {
	turn  chan struct{}
	token *oauth2.Token
}

func newApplication(cfg providers.APIConfig, s Settings) *application {
	a := &application{
		config: clientcredentials.Config{
			ClientID:     s.ClientID,
			ClientSecret: cfg.Key,
			TokenURL:     cmp.Or(s.TokenURL, defaultTokenURL),
			Scopes:       []string{scope(cfg.BaseURL)},
			AuthStyle:    oauth2.AuthStyleInParams,
		},
		home:    strings.ToLower(s.Tenant),
		tenants: map[string]bool{},
		http: &http.Client{
			Transport: http.DefaultTransport.(*http.Transport).Clone(),
			Timeout:   cmp.Or(cfg.Timeout, tokenTimeout),
			// The request carries the secret: it goes nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		kept: map[string]*keptToken{},
	}
	for _, tenant := range s.Tenants {
		a.tenants[strings.ToLower(tenant)] = true
	}
	return a
}

// scope asks for all that the application has been granted at the API's host.
func scope(baseURL string) string {
	u, err := url.Parse(baseURL)
	if err != nil {
		return defaultBaseURL + "/.default" // New has refused such a URL
	}
	return u.Scheme + "://" + u.Host + "/.default"
}

// of returns the place of the token for an account: only tenants that the
// settings name are asked for one.
func (a *application) of(account string) (tenant string, kept *keptToken) {
	tenant = strings.ToLower(account)
	if !a.tenants[tenant] {
		tenant = a.home
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept[tenant] == nil {
		a.kept[tenant] = &keptToken{turn: make(chan struct{}, 1)}
	}
	return tenant, a.kept[tenant]
}

func (a *application) token(ctx context.Context, account string) (string, error) {
	tenant, kept := a.of(account)
	op := "get a token of tenant " + tenant
	select {
	case kept.turn <- struct{}{}:
		defer func() { <-kept.turn }()
	case <-ctx.Done():
		return "", &providers.APIError{Provider: name, Op: op, Retry: providers.RetrySoon, Err: ctx.Err()}
	}
	if kept.token.Valid() {
		return kept.token.AccessToken, nil
	}
	config := clientcredentials.Config{
		ClientID: a.config.ClientID, ClientSecret: a.config.ClientSecret, Scopes: a.config.Scopes, AuthStyle: a.config.AuthStyle,
		TokenURL: strings.ReplaceAll(a.config.TokenURL, tenantMark, tenant),
	}
	token, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, a.http))
	if err != nil {
		return "", tokenError(op, err)
	}
	kept.token = token
	return token.AccessToken, nil
}

// forget drops a token that the API does not take (any longer).
func (a *application) forget(ctx context.Context, account string) {
	_, kept := a.of(account)
	select {
	case kept.turn <- struct{}{}:
		kept.token = nil
		<-kept.turn
	case <-ctx.Done(): // somebody renews it anyway
	}
}

// tokenError keeps of a failed call what an APIError may hold: the library's own
// error quotes the answer.
func tokenError(op string, err error) error {
	failed := &providers.APIError{Provider: name, Op: op, Retry: providers.RetrySoon}
	answered, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		failed.Err = errors.New("an answer without a token")
		if call, ok := errors.AsType[*url.Error](err); ok {
			failed.Err = call.Err
		}
		return failed
	}
	r := providers.APIResponse{Status: answered.Response.StatusCode, Header: answered.Response.Header, Body: answered.Body}
	failed.Status = r.Status
	failed.Retry, failed.After, failed.Code = classify(r)
	return failed
}
