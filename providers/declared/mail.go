package declared

import (
	"time"

	"github.com/surehook/surehook/providers/generic"
)

// SendGrid is the signed Event Webhook: many events a request, and a line end behind
// the array that is signed with it. The secret is the verification key that SendGrid
// shows. SendGrid tries for 24 hours and does not say that it signs again, nor does
// its library judge the time: to refuse an old one could lose events, and one that
// comes again is a duplicate by its sg_event_id, so all of that time is allowed.
//
// Source: www.twilio.com/docs/sendgrid/for-developers/tracking-events/event and
// .../getting-started-event-webhook-security-features; sendgrid-go.
func SendGrid() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{
			Scheme:    generic.SchemeECDSA,
			Signed:    "{timestamp}{body}",
			Signature: generic.Signature{Header: "X-Twilio-Email-Event-Webhook-Signature", Encoding: "base64"},
			Timestamp: generic.Timestamp{Header: "X-Twilio-Email-Event-Webhook-Timestamp", Tolerance: 24 * time.Hour},
		},
		Batch: ".",
		Event: generic.Event{
			ID:       generic.Value{"json:sg_event_id"},
			Type:     generic.Value{"json:event"},
			Time:     "json:timestamp",
			TimeUnit: "s",
			Ref:      generic.Ref{Type: generic.Value{"const:message"}, ID: generic.Value{"json:sg_message_id"}},
		},
	}
}
