// Package shopify is the Shopify platform: an app's webhooks and Events in, the
// Admin GraphQL API out.
//
// Shopify signs the raw body and nothing else. The topic, the shop and the ids
// stand in headers that anybody who has got hold of one signed body could
// change, so little depends on them alone: the fingerprint of topic and body
// joins the dedupe, the body must not contradict the topic, and only shops that
// the source declares are called. What a changed topic can still do, once, is to
// have the true object fetched by another topic's workflow.
package shopify

import (
	"net/http"

	"github.com/surehook/surehook/providers"
)

const name = "shopify"

// Provider is Shopify. Create one with New.
type Provider struct {
	shops   map[string]shop  // by domain
	domains providers.Places // of the shops, in the order of the settings
	version string           // of the API
}

// shop is one store whose events are taken, and the access to its API.
type shop struct {
	client *providers.Client
	token  string
}

var (
	_ providers.Provider = (*Provider)(nil)
	_ providers.Fetcher  = (*Provider)(nil)
	_ providers.Lister   = (*Provider)(nil)
	_ providers.Labeler  = (*Provider)(nil)
)

// New returns a provider for the shops in s. It fetches from each shop's own
// host, https://{shop}, or from cfg.BaseURL for all of them where that is set: a
// sandbox. Without any shop it can verify and read, but every event is for an
// operator to look at, and nothing is fetched.
func New(cfg providers.APIConfig, s Settings) (*Provider, error) {
	declared, err := s.check(cfg.Key)
	if err != nil {
		return nil, err
	}
	p := &Provider{shops: map[string]shop{}, version: s.version()}
	if cfg.BaseURL != "" {
		if _, err := providers.NewClient(name, cfg, classify); err != nil {
			return nil, err // also where no shop uses it
		}
	}
	for _, d := range declared {
		at := cfg
		if at.BaseURL == "" {
			at.BaseURL = "https://" + d.Domain
		}
		client, err := providers.NewClient(name, at, classify)
		if err != nil {
			return nil, err
		}
		p.shops[d.Domain] = shop{client: client, token: string(d.AccessToken)}
		p.domains = append(p.domains, d.Domain)
	}
	return p, nil
}

// Label sets the headers that a delivery has besides its signature: the event's
// id and type, the first of the declared shops, and the time.
func (p *Provider) Label(r *providers.Request, id, eventType string) {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	set := func(field label, value string) {
		if value != "" {
			r.Header.Set(field.header(isResource(eventType)), value)
		}
	}
	topic, action := splitType(eventType)
	set(labelTopic, topic)
	set(labelAction, action)
	set(labelWebhookID, id)
	if len(p.domains) > 0 {
		set(labelShop, p.domains[0])
	}
	set(labelVersion, p.version)
	set(labelTriggeredAt, r.ReceivedAt.UTC().Format(timeFormat))
}
