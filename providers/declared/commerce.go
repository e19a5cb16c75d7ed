package declared

import (
	"time"

	"github.com/surehook/surehook/providers/generic"
)

// Paddle signs the time and the body; while a secret is being replaced, with both.
// Its library refuses what is older than 5 s, so it signs each attempt anew; it is
// also known to refuse genuine requests for that. A request that waits in a queue
// before us is not to be lost, and one that is sent again within our 5 minutes is a
// duplicate by its event_id, so we allow what other platforms do.
//
// Source: developer.paddle.com/webhooks/signature-verification; npm @paddle/paddle-node-sdk.
func Paddle() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{
			Scheme:    generic.SchemeHMACSHA256,
			Signed:    "{timestamp}:{body}",
			Signature: generic.Signature{Header: "Paddle-Signature", Prefix: "h1=", Separator: ";"},
			Timestamp: generic.Timestamp{Prefix: "ts=", Tolerance: 5 * time.Minute},
		},
		Event: generic.Event{
			ID:   generic.Value{"json:event_id"}, // notification_id is one delivery's
			Type: generic.Value{"json:event_type"},
			Time: "json:occurred_at",
			// Ids tell what they are of (sub_, txn_, ctm_), and nothing else does.
			Ref: generic.Ref{Type: generic.Value{"const:entity"}, ID: generic.Value{"json:data.id"}},
		},
	}
}

// Square signs the URL that the subscription names, as it stands there, before the
// body.
//
// Source: developer.squareup.com/docs/webhooks/step3validate; npm square.
func Square() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{
			Scheme:    generic.SchemeHMACSHA256,
			Signed:    "{url}{body}",
			Signature: generic.Signature{Header: "X-Square-HmacSha256-Signature", Encoding: "base64"},
		},
		Event: generic.Event{
			ID:   generic.Value{"json:event_id"},
			Type: generic.Value{"json:type"},
			Time: "json:created_at",
			Ref: generic.Ref{
				Type:    generic.Value{"json:data.type"},
				ID:      generic.Value{"json:data.id"},
				Account: "json:merchant_id",
			},
			Mode:    generic.Mode{From: "header:Square-Environment", Live: []string{"Production"}, Test: []string{"Sandbox"}},
			Deleted: []string{"*.deleted"},
		},
	}
}
