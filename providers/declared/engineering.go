package declared

import (
	"net/http"
	"time"

	"github.com/surehook/surehook/providers/generic"
)

// discordProof is how Discord proves both kinds of requests. Its timestamps are in
// seconds. It does not say how old one may be; what it sends comes at once or, with
// events, is tried again for ten minutes.
func discordProof() generic.Verify {
	return generic.Verify{
		Scheme:    generic.SchemeEd25519,
		Signed:    "{timestamp}{body}",
		Signature: generic.Signature{Header: "X-Signature-Ed25519"},
		Timestamp: generic.Timestamp{Header: "X-Signature-Timestamp", Tolerance: 15 * time.Minute},
	}
}

// Discord is the interactions endpoint of an application: commands, components and
// forms. It sends badly signed requests now and then, and switches an endpoint off
// that does not answer 401. A user waits for the answer; ours (type 5) shows that
// one is on the way, and a workflow has 15 minutes to send it with the token of the
// interaction.
//
// Source: discord.com/developers/docs/interactions/receiving-and-responding and
// .../interactions/overview; npm discord-interactions.
func Discord() generic.Settings {
	return generic.Settings{
		Verify: discordProof(),
		Event: generic.Event{
			ID:   generic.Value{"json:id"},
			Type: generic.Value{"const:interaction", "json:type"}, // interaction.2 is a command
			Ref: generic.Ref{
				Type:    generic.Value{"const:interaction"},
				ID:      generic.Value{"json:id"},
				Account: "json:guild_id",
			},
		},
		Handshakes: []generic.Handshake{{
			Signed: true, When: "json:type", Is: "1", // PING, answered with PONG
			Answer: generic.Answer{Status: http.StatusOK, ContentType: "application/json", Body: `{"type":1}`},
		}},
		Accepted: generic.Answer{Status: http.StatusOK, ContentType: "application/json", Body: `{"type":5}`},
	}
}

// DiscordEvents is the webhook-events endpoint of an application. Its numbers mean
// other things than those of interactions (1 is an event), so it is a platform of
// its own. Discord names no event: one is what its body says.
//
// Source: discord.com/developers/docs/events/webhook-events.
func DiscordEvents() generic.Settings {
	noContent := generic.Answer{Status: http.StatusNoContent, ContentType: "application/json"}
	return generic.Settings{
		Verify: discordProof(),
		Event: generic.Event{
			IDHash: generic.Value{"body"},
			Type:   generic.Value{"json:event.type"}, // its timestamp has no time zone
		},
		Handshakes: []generic.Handshake{{Signed: true, When: "json:type", Is: "0", Answer: noContent}},
		Accepted:   noContent,
	}
}

// GitLab is a webhook with a signing token (GitLab 19.0 and later), which follows
// Standard Webhooks. The ID of a delivery is also its Idempotency-Key, and stays when
// GitLab tries again.
//
// Source: gitlab.com/gitlab-org/gitlab/-/merge_requests/230944 and
// docs.gitlab.com/user/project/integrations/webhooks.
func GitLab() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{
			Scheme:    generic.SchemeHMACSHA256,
			Key:       "whsec",
			Signed:    "{id}.{timestamp}.{body}",
			Signature: generic.Signature{Header: "Webhook-Signature", Encoding: "base64", Prefix: "v1,", Separator: " "},
			Timestamp: generic.Timestamp{Header: "Webhook-Timestamp", Tolerance: 5 * time.Minute},
		},
		Event: gitLabEvent("header:Webhook-Id"),
	}
}

// GitLabToken is a webhook with a secret token, which GitLab sends as it is. It
// proves the sender and nothing else, so prefer the signing token. They are two
// platforms, because one that took both would let the sender choose the weaker.
//
// Source: docs.gitlab.com/user/project/integrations/webhooks.
func GitLabToken() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{
			Scheme: generic.SchemeToken,
			Token:  generic.Token{In: "header", Name: "X-Gitlab-Token"},
		},
		// GitLab before 17.4 sends no Idempotency-Key. The other one is the same for
		// all webhooks that an event causes.
		Event: gitLabEvent("header:Idempotency-Key ?? header:X-Gitlab-Event-UUID"),
	}
}

func gitLabEvent(id string) generic.Event {
	return generic.Event{
		ID:   generic.Value{id},
		Type: generic.Value{"json:object_kind ?? json:event_name", "json:object_attributes.action"},
		Ref: generic.Ref{
			Type:    generic.Value{"json:object_kind"},
			ID:      generic.Value{"json:object_attributes.id"},
			Account: "json:project.id ?? json:project_id",
		},
	}
}

// LaunchDarkly sends entries of its audit log.
//
// Source: launchdarkly.com/docs/home/infrastructure/webhooks and .../docs/api/webhooks.
func LaunchDarkly() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{
			Scheme:    generic.SchemeHMACSHA256,
			Signature: generic.Signature{Header: "X-LD-Signature"},
		},
		Event: generic.Event{
			ID:       generic.Value{"json:_id"},
			Type:     generic.Value{"json:kind", "json:accesses[0].action"},
			Time:     "json:date",
			TimeUnit: "ms",
			Ref:      generic.Ref{Type: generic.Value{"json:kind"}, ID: generic.Value{"json:accesses[0].resource"}},
		},
	}
}

// Linear has the time in the body. There is one in a header, too, but it is not
// signed. Linear's library allows a minute, which says that each attempt is signed
// anew.
//
// Source: linear.app/developers/webhooks; npm @linear/sdk.
func Linear() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{
			Scheme:    generic.SchemeHMACSHA256,
			Signature: generic.Signature{Header: "Linear-Signature"},
			Timestamp: generic.Timestamp{Field: "json:webhookTimestamp", Unit: "ms", Tolerance: time.Minute},
		},
		Event: generic.Event{
			ID:   generic.Value{"header:Linear-Delivery"},
			Type: generic.Value{"json:type", "json:action"},
			Time: "json:createdAt",
			Ref: generic.Ref{
				Type:    generic.Value{"json:type"},
				ID:      generic.Value{"json:data.id"},
				Account: "json:organizationId",
			},
			Deleted: []string{"*.remove"},
		},
	}
}

// PagerDuty is its webhooks, version 3. While a secret is being replaced it signs
// with both.
//
// Source: developer.pagerduty.com/docs/verifying-webhook-signatures and
// .../docs/webhooks-overview; go-pagerduty, webhookv3.
func PagerDuty() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{
			Scheme:    generic.SchemeHMACSHA256,
			Signature: generic.Signature{Header: "X-PagerDuty-Signature", Prefix: "v1=", Separator: ","},
		},
		Event: generic.Event{
			ID:      generic.Value{"json:event.id"},
			Type:    generic.Value{"json:event.event_type"},
			Time:    "json:event.occurred_at",
			Ref:     generic.Ref{Type: generic.Value{"json:event.data.type"}, ID: generic.Value{"json:event.data.id"}},
			Deleted: []string{"*.deleted"},
		},
		Handshakes: []generic.Handshake{{
			Signed: true, When: "json:event.event_type", Is: "pagey.ping", // a test from its user interface
			Answer: generic.Answer{Status: http.StatusOK},
		}},
	}
}
