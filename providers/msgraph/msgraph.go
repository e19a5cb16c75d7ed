// Package msgraph is the Microsoft Graph platform: change notifications and
// lifecycle notifications in, the REST API (v1.0) out.
//
// Graph signs no request. What proves a notification is its clientState, a
// secret that was given to the subscription and that comes back, as it is, with
// every item; notifications with resource data also carry JSON Web Tokens that
// Microsoft signed. A notification is therefore a hint and no more: nothing it
// says is believed, the object is fetched. The clientState stays in the body
// that the inbox keeps, so the inbox is as secret as it is.
//
// One request may carry items of several subscriptions and tenants. All of them
// have to prove themselves: Graph only sends what somebody subscribed to this
// URL, so an item that does not is either forged or of a subscription nobody
// here knows of, and the rejection names it. Where the settings name the tenants,
// strangers who subscribe to the URL cannot have our items refused with theirs.
//
// Microsoft advises to answer 2xx even to what fails validation, so as to be no
// oracle and to be spared retries. Surehook refuses it all the same: its 2xx
// promises that the request has been stored, and what is not authentic has no
// effect. An oracle it is only for whole secrets: the answer is the same for
// every reason, and compared in a time that tells nothing.
//
// Source: learn.microsoft.com/graph/change-notifications-delivery-webhooks,
// learn.microsoft.com/graph/change-notifications-with-resource-data,
// learn.microsoft.com/graph/change-notifications-lifecycle-events.
package msgraph

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/surehook/surehook/providers"
)

const (
	name           = "msgraph"
	defaultBaseURL = "https://graph.microsoft.com"

	// maxProbeBytes bounds the token that is sent back to whoever asks. Graph's
	// are a few hundred bytes; it does not document a bound.
	maxProbeBytes = 2048
)

// Provider is Microsoft Graph. Create one with New.
type Provider struct {
	settings checked
	client   *providers.Client
	key      string
	app      *application // nil when the key is an access token
	tokens   *tokens      // nil without an app id
}

var (
	_ providers.Provider   = (*Provider)(nil)
	_ providers.Prober     = (*Provider)(nil)
	_ providers.Endpointer = (*Provider)(nil)
	_ providers.Fetcher    = (*Provider)(nil)
	_ providers.Lister     = (*Provider)(nil)
	_ providers.Keeper     = (*Provider)(nil)
)

// New returns a provider that fetches from the API at cfg.BaseURL, by default
// https://graph.microsoft.com. cfg.Key is the client secret of the application
// that the settings name or, when they name none, an access token.
func New(cfg providers.APIConfig, s Settings) (*Provider, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = defaultBaseURL
	}
	client, errClient := providers.NewClient(name, cfg, classify)
	settings, errSettings := s.check()
	if err := errors.Join(errClient, errSettings); err != nil {
		return nil, err
	}
	p := &Provider{settings: settings, client: client, key: cfg.Key}
	if s.ClientID != "" {
		p.app = newApplication(cfg, s)
	}
	if settings.appID != "" {
		keys, err := newKeySet(settings.jwks)
		if err != nil {
			return nil, err
		}
		p.tokens = &tokens{audience: settings.appID, keys: keys}
	}
	return p, nil
}

// Endpoint implements providers.Endpointer: Graph wants 202 for what is stored
// now and worked on later. The clientState is in the body.
func (p *Provider) Endpoint() providers.Endpoint {
	return providers.Endpoint{SecretBody: true, Accepted: providers.Response{Status: http.StatusAccepted}}
}

// Probe implements providers.Prober. Graph validates an endpoint, before the
// subscription exists, with a POST that has a validationToken in its query and
// nothing in its body, and wants the decoded token back. The token is opaque
// and anybody can send one, so what goes back is plain text of bounded length.
func (p *Provider) Probe(r providers.Request) (providers.Response, bool) {
	if r.Method != http.MethodPost || r.URL == nil || len(r.Body) > 0 {
		return providers.Response{}, false
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return providers.Response{}, false
	}
	token := query["validationToken"]
	if len(token) != 1 || token[0] == "" || len(token[0]) > maxProbeBytes {
		return providers.Response{}, false
	}
	return providers.Response{
		Status:      http.StatusOK,
		ContentType: "text/plain; charset=utf-8",
		Body:        []byte(token[0]),
	}, true
}
