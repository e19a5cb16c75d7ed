package msgraph

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// maxClientState is what Graph takes of one.
const maxClientState = 255

// Verify accepts a request when every item in it has the clientState of its
// subscription and comes from a tenant that the source takes. Where items carry
// resource data, Microsoft must have signed for their tenants, too.
//
// Items of tenants that the settings do not name, and that know no clientState of
// ours, are left out, here and by Events, if there are others: whoever learns the
// URL can subscribe to it in a tenant of his own, and Graph would mix his items
// with ours.
//
// A clientState never changes and no time is signed with it, so only the tokens
// of notifications with resource data can be stale.
func (p *Provider) Verify(r providers.Request, s providers.Secrets) error {
	if err := p.verify(r, s); err != nil {
		return fmt.Errorf("%s: verify: %w", name, err)
	}
	return nil
}

func (p *Provider) verify(r providers.Request, s providers.Secrets) error {
	c, err := read(r.Body)
	if err != nil {
		return refused(err)
	}
	var strangers error
	for i, n := range c.items {
		err := p.checkItem(n, s)
		if err == nil {
			continue
		}
		strangers = refused(fmt.Errorf("item %d of %d, subscription %s: %w", i+1, len(c.items), n.SubscriptionID, err))
		if !p.isForeign(n) || errors.Is(err, errOtherTenant) {
			return strangers
		}
	}
	c.items = p.ours(c.items)
	if len(c.items) == 0 {
		return strangers
	}
	// Last, because only who knows a clientState may make us ask for keys.
	return p.checkTokens(c, strangers != nil, r.ReceivedAt)
}

// isForeign reports whether an item is of a tenant that the source does not take.
func (p *Provider) isForeign(n item) bool {
	return len(p.settings.tenants) > 0 && !p.settings.tenants[n.tenant()]
}

func (p *Provider) ours(items []item) []item { return slices.DeleteFunc(items, p.isForeign) }

func refused(err error) error { return fmt.Errorf("%w: %w", providers.ErrUnauthenticated, err) }

// The ways in which an item proves nothing, in words for the operator.
var (
	errNoState      = errors.New("no clientState")
	errOtherState   = errors.New("the clientState is not the one declared for it in settings.subscriptions")
	errUndeclared   = errors.New("not declared in settings.subscriptions")
	errOtherTenant  = errors.New("its tenant is not in settings.tenants")
	errNoAppID      = errors.New("resource data, but settings.app_id says not who it is for")
	errNoValidToken = errors.New("resource data, but no validation token of its tenant")
)

func (p *Provider) checkItem(n item, s providers.Secrets) error {
	if n.ClientState == "" {
		return errNoState
	}
	if len(p.settings.subscriptions) > 0 {
		want, declared := p.settings.subscriptions[strings.ToLower(n.SubscriptionID)]
		if !declared {
			return errUndeclared
		}
		if !(providers.Secrets{want}).Contain(n.ClientState) {
			return errOtherState
		}
	} else if !s.Contain(n.ClientState) {
		return fmt.Errorf("the clientState fits none of %d secrets", len(s))
	}
	if p.isForeign(n) {
		return errOtherTenant
	}
	return nil
}

// checkTokens holds every validation token to be good, and each item with
// resource data to have one of its tenant: Graph sends one for each pair of an
// application and a tenant. Those of strangers, whose items were left out, are
// made out to their own applications.
func (p *Provider) checkTokens(c collection, strangers bool, now time.Time) error {
	rich := slices.ContainsFunc(c.items, func(n item) bool { return n.EncryptedContent != nil })
	switch {
	case !rich && (strangers || len(c.ValidationTokens) == 0):
		return nil
	case p.tokens == nil:
		return refused(errNoAppID)
	case len(c.ValidationTokens) > maxTokens:
		return refused(fmt.Errorf("%d validation tokens: more than %d", len(c.ValidationTokens), maxTokens))
	}
	signedFor := map[string]bool{}
	for i, token := range c.ValidationTokens {
		tenant, err := p.tokens.verify(token, now)
		if strangers && errors.Is(err, errTokenAudience) {
			continue
		}
		if err != nil {
			return fmt.Errorf("validation token %d of %d: %w", i+1, len(c.ValidationTokens), err)
		}
		signedFor[tenant] = true
	}
	for _, n := range c.items {
		if n.EncryptedContent != nil && !signedFor[n.tenant()] {
			return refused(fmt.Errorf("subscription %s: %w", n.SubscriptionID, errNoValidToken))
		}
	}
	return nil
}

// Sign puts the clientState of its subscription, or else the first of the
// secrets, into every item of the body. Validation tokens only Microsoft can
// sign: those in the body stay as they are.
func (p *Provider) Sign(r *providers.Request, s providers.Secrets) error {
	if len(s) == 0 || s[0] == "" {
		return errors.New(name + ": sign: no secret")
	}
	if len(s[0]) > maxClientState {
		return fmt.Errorf("%s: sign: a clientState has %d characters at most", name, maxClientState)
	}
	var body map[string]jsontext.Value
	if err := providers.ReadJSON(r.Body, &body); err != nil {
		return fmt.Errorf("%s: sign: %w", name, err)
	}
	var items []map[string]jsontext.Value
	if err := json.Unmarshal(body["value"], &items); err != nil {
		return fmt.Errorf("%s: sign: %w: value is no list of notifications", name, providers.ErrMalformed)
	}
	for _, n := range items {
		if n == nil {
			return fmt.Errorf("%s: sign: %w: a notification is null", name, providers.ErrMalformed)
		}
		if err := p.setState(n, s[0]); err != nil {
			return fmt.Errorf("%s: sign: %w", name, err)
		}
	}
	signed, err := json.Marshal(items, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("%s: sign: %w", name, err)
	}
	body["value"] = signed
	if r.Body, err = json.Marshal(body, json.Deterministic(true)); err != nil {
		return fmt.Errorf("%s: sign: %w", name, err)
	}
	return nil
}

func (p *Provider) setState(n map[string]jsontext.Value, secret string) error {
	var id string
	if err := json.Unmarshal(n["subscriptionId"], &id); err != nil {
		return fmt.Errorf("%w: a notification has no subscriptionId", providers.ErrMalformed)
	}
	if declared, ok := p.settings.subscriptions[strings.ToLower(id)]; ok {
		secret = declared
	}
	state, err := json.Marshal(secret)
	if err != nil {
		return errors.New("the secret is no text")
	}
	n["clientState"] = state
	return nil
}
