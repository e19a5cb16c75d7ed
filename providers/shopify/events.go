package shopify

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// timeFormat is how deliveries say when they were triggered.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// What the headers may hold. The bounds leave room, and keep out what would not
// fit into a workflow's id or an API path.
var (
	webhookIDs  = regexp.MustCompile(`^[!-~]{1,200}$`)
	topics      = regexp.MustCompile(`^[a-z][a-z0-9_]{0,60}([/.][a-z0-9_]{1,60}){1,2}$`) // orders/updated, customer.tags_added
	resources   = regexp.MustCompile(`^[A-Z][0-9A-Za-z]{0,60}$`)                         // of Events: Product
	actions     = regexp.MustCompile(`^[a-z_]{1,60}$`)
	apiVersions = regexp.MustCompile(`^[0-9a-z-]{0,30}$`)
)

// Events returns the one event of a delivery. Its id is the webhook id, which
// stays the same when Shopify delivers again; the event id would not do,
// because all that follows from one action of a merchant shares it. Its type is
// the topic, "orders/updated", or, where the topic is a resource of Shopify's
// Events, that with the action: "Product/update".
//
// An event of a shop that the source does not declare is for an operator to
// look at: the shop stands in a header that is not signed, and nothing may be
// fetched, or be taken to be gone, because of it.
func (p *Provider) Events(r providers.Request) ([]providers.Event, error) {
	event, err := p.event(r)
	if err != nil {
		return nil, fmt.Errorf("%s: read event: %w", name, err)
	}
	return []providers.Event{event}, nil
}

func (p *Provider) event(r providers.Request) (providers.Event, error) {
	said, err := readLabels(r.Header)
	if err != nil {
		return providers.Event{}, malformed(err)
	}
	if err := said.check(); err != nil {
		return providers.Event{}, malformed(err)
	}
	read := readWebhook
	if isResource(said[labelTopic]) {
		read = readChange
	}
	event, err := read(r.Body, said)
	if err != nil {
		return providers.Event{}, err
	}
	event.ID = said[labelWebhookID]
	event.OccurredAt = moment(said[labelTriggeredAt])
	event.APIVersion = said[labelVersion]
	// Shopify may send one body under two topics, such as orders/create and
	// orders/paid, and each of them may have a workflow.
	event.Fingerprint = providers.Fingerprint(r.Body, []byte(said[labelTopic]))
	event.Review = p.review(said[labelShop])
	if !event.Ref.IsZero() {
		event.Ref.Account = said[labelShop]
	}
	return event, nil
}

func malformed(err error) error { return fmt.Errorf("%w: %w", providers.ErrMalformed, err) }

// check refuses headers without which there is no event, and those that no
// delivery of Shopify's can have.
func (l labels) check() error {
	topic := l[labelTopic]
	switch {
	case l[labelWebhookID] == "":
		return errors.New("no X-Shopify-Webhook-Id header")
	case !webhookIDs.MatchString(l[labelWebhookID]):
		return errors.New("unreadable X-Shopify-Webhook-Id header")
	case topic == "":
		return errors.New("no X-Shopify-Topic header")
	case !topics.MatchString(topic) && !isResource(topic):
		return errors.New("unreadable X-Shopify-Topic header")
	case l[labelShop] == "":
		return errors.New("no X-Shopify-Shop-Domain header")
	case !domains.MatchString(l[labelShop]):
		return errors.New("unreadable X-Shopify-Shop-Domain header")
	case !apiVersions.MatchString(l[labelVersion]):
		return errors.New("unreadable X-Shopify-Api-Version header")
	}
	return nil
}

// isResource tells the topics of Events, "Product", from those of webhooks.
func isResource(topic string) bool {
	resource, _ := splitType(topic)
	return resources.MatchString(resource)
}

// splitType takes an event's type apart into the topic and, for those of
// Events, the action that the headers name beside it.
func splitType(eventType string) (topic, action string) {
	resource, action, _ := strings.Cut(eventType, "/")
	if !resources.MatchString(resource) {
		return eventType, ""
	}
	return resource, action
}

// review says why an event of the shop is not worked on, if it is not.
func (p *Provider) review(domain string) string {
	if _, declared := p.shops[domain]; declared {
		return ""
	}
	return "settings: the shop " + domain + " is not declared"
}

// moment reads the time of a delivery. It is zero for what is none: the time is
// not signed, and an event without one is as good.
func moment(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// text is a member that is a text or a number, as it is written; empty for all
// others.
func text(v jsontext.Value) string {
	switch v.Kind() {
	case jsontext.KindNumber:
		return string(v)
	case jsontext.KindString:
		unquoted, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return ""
		}
		return string(unquoted)
	default:
		return ""
	}
}
