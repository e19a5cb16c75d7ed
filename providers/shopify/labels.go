package shopify

import (
	"fmt"
	"net/http"
	"strings"
)

// label is one of the things that a delivery's headers say, by the name of the
// header that webhooks have. Events, their successors, leave the X- away, and
// send some of the old headers as well.
//
// Source: shopify.dev/docs/apps/build/webhooks/delivery-structure and
// shopify.dev/docs/apps/build/events/delivery-structure.
type label string

const (
	labelHMAC        label = "X-Shopify-Hmac-Sha256"
	labelTopic       label = "X-Shopify-Topic"
	labelAction      label = "X-Shopify-Action"
	labelShop        label = "X-Shopify-Shop-Domain"
	labelVersion     label = "X-Shopify-Api-Version"
	labelWebhookID   label = "X-Shopify-Webhook-Id"
	labelEventID     label = "X-Shopify-Event-Id"
	labelResourceID  label = "X-Shopify-Resource-Id"
	labelTriggeredAt label = "X-Shopify-Triggered-At"
)

var allLabels = []label{
	labelHMAC, labelTopic, labelAction, labelShop, labelVersion, labelWebhookID, labelEventID, labelResourceID, labelTriggeredAt,
}

// header is the name of the header, in the form of Events or of webhooks.
func (l label) header(ofEvents bool) string {
	if ofEvents {
		return strings.TrimPrefix(string(l), "X-")
	}
	return string(l)
}

// labels are what a delivery's headers say. What they do not say is not in it.
type labels map[label]string

// readLabels reads both sets of headers. They must not contradict each other:
// whoever looks at one set only would understand another delivery.
func readLabels(h http.Header) (labels, error) {
	read := make(labels, len(allLabels))
	for _, l := range allLabels {
		for _, header := range [...]string{l.header(false), l.header(true)} {
			values := h[header]
			if len(values) == 0 {
				continue
			}
			if len(values) > 1 {
				return nil, fmt.Errorf("more than one %s header", header)
			}
			if before, had := read[l]; had && before != values[0] {
				return nil, fmt.Errorf("the headers %s and %s differ", l.header(false), l.header(true))
			}
			read[l] = values[0]
		}
	}
	return read, nil
}
