package declared

import (
	"net/http"
	"time"

	"github.com/surehook/surehook/providers/generic"
)

// Calendly names no event. Two that happened to the same thing at the same moment
// and are called the same are one. Its documentation advises 3 minutes.
//
// Source: developer.calendly.com/api-docs/overview/webhooks/webhook-signatures.
func Calendly() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{
			Scheme:    generic.SchemeHMACSHA256,
			Signed:    "{timestamp}.{body}",
			Signature: generic.Signature{Header: "Calendly-Webhook-Signature", Prefix: "v1=", Separator: ","},
			Timestamp: generic.Timestamp{Prefix: "t=", Tolerance: 3 * time.Minute},
		},
		Event: generic.Event{
			IDHash: generic.Value{"json:event", "json:created_at", "json:payload.uri"},
			Type:   generic.Value{"json:event"},
			Time:   "json:created_at",
			// A resource's URI is its id at Calendly.
			Ref: generic.Ref{Type: generic.Value{"const:resource"}, ID: generic.Value{"json:payload.uri"}},
		},
	}
}

// HubSpot signs the method, the URL, the body and the time, and sends up to 100
// events at once. An eventId "is not guaranteed to be unique", so that an event is
// named by whose it is, what it is about and when it happened as well. Ids of
// objects are unique among objects of the same type only: without its type an
// object has no name.
//
// Source: developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
// and .../docs/api/webhooks; npm @hubspot/api-client.
func HubSpot() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{
			Scheme:    generic.SchemeHMACSHA256,
			Signed:    "{method}{url}{body}{timestamp}",
			Signature: generic.Signature{Header: "X-HubSpot-Signature-v3", Encoding: "base64"},
			Timestamp: generic.Timestamp{Header: "X-HubSpot-Request-Timestamp", Unit: "ms", Tolerance: 5 * time.Minute},
		},
		Batch: ".",
		Event: generic.Event{
			ID: generic.Value{
				"json:portalId", "json:subscriptionId", "json:eventId", "json:objectId ?? const:-", "json:occurredAt",
			},
			Type:     generic.Value{"json:subscriptionType"},
			Time:     "json:occurredAt",
			TimeUnit: "ms",
			Ref: generic.Ref{
				Type:    generic.Value{"json:objectTypeId"},
				ID:      generic.Value{"json:objectId"},
				Account: "json:portalId",
			},
			Deleted: []string{"*.deletion", "*.privacyDeletion"},
		},
	}
}

// Intercom still signs with SHA-1; no weakness of SHA-1 reaches an HMAC. It asks
// with HEAD whether an endpoint is there, and sends a ping when it is tested.
//
// Source: developers.intercom.com/docs/webhooks/setting-up-webhooks and
// .../webhook-notifications.
func Intercom() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{
			Scheme:    generic.SchemeHMACSHA1,
			Signature: generic.Signature{Header: "X-Hub-Signature", Prefix: "sha1="},
		},
		Event: generic.Event{
			ID:       generic.Value{"json:id"},
			Type:     generic.Value{"json:topic"},
			Time:     "json:created_at",
			TimeUnit: "s",
			Ref: generic.Ref{
				Type:    generic.Value{"json:data.item.type"},
				ID:      generic.Value{"json:data.item.id"},
				Account: "json:app_id",
			},
			Deleted: []string{"*.deleted"},
		},
		Handshakes: []generic.Handshake{
			{Method: http.MethodHead, Answer: generic.Answer{Status: http.StatusOK}},
			{Signed: true, When: "json:topic", Is: "ping", Answer: generic.Answer{Status: http.StatusOK}},
		},
	}
}

// Typeform writes the digest in base64 behind "sha256=", where others write hex.
//
// Source: www.typeform.com/developers/webhooks/secure-your-webhooks and
// .../example-payload.
func Typeform() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{
			Scheme:    generic.SchemeHMACSHA256,
			Signature: generic.Signature{Header: "Typeform-Signature", Encoding: "base64", Prefix: "sha256="},
		},
		Event: generic.Event{
			ID:   generic.Value{"json:event_id"},
			Type: generic.Value{"json:event_type"},
			Time: "json:form_response.submitted_at",
			Ref: generic.Ref{
				Type:    generic.Value{"const:response"},
				ID:      generic.Value{"json:form_response.token"},
				Account: "json:form_response.form_id",
			},
		},
	}
}

// Zendesk signs the time as it writes it, before the body. (In the preview of 2021
// it was behind the body, as a page of its documentation still has it.) A webhook
// that a trigger calls has whatever body somebody composed, so that nothing in it
// names the event: the invocation does, which keeps its ID when it is tried again.
//
// Source: developer.zendesk.com/documentation/webhooks/verifying and
// .../api-reference/webhooks/event-types/webhook-event-types.
func Zendesk() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{
			Scheme:    generic.SchemeHMACSHA256,
			Signed:    "{timestamp}{body}",
			Signature: generic.Signature{Header: "X-Zendesk-Webhook-Signature", Encoding: "base64"},
			Timestamp: generic.Timestamp{Header: "X-Zendesk-Webhook-Signature-Timestamp", Unit: "rfc3339", Tolerance: 5 * time.Minute},
		},
		Event: generic.Event{
			ID:         generic.Value{"header:X-Zendesk-Webhook-Invocation-Id"},
			Type:       generic.Value{"json:type ?? const:trigger"},
			Time:       "json:time",
			APIVersion: "json:zendesk_event_version",
			Ref:        generic.Ref{Type: generic.Value{"const:subject"}, ID: generic.Value{"json:subject"}}, // "zen:ticket:35436"
			Deleted:    []string{"*.deleted", "*.permanently_deleted"},
		},
	}
}
