package declared_test

import (
	"net/http"
	"time"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
)

// platforms are the declarations' platforms, with what the examples in their
// documentation show.
func platforms() map[string]platform {
	return map[string]platform{
		"calendly":       calendly(),
		"discord":        discord(),
		"discord-events": discordEvents(),
		"gitlab":         gitLab(),
		"gitlab-token":   gitLabToken(),
		"hubspot":        hubSpot(),
		"intercom":       intercom(),
		"launchdarkly":   launchDarkly(),
		"linear":         linear(),
		"paddle":         paddle(),
		"pagerduty":      pagerDuty(),
		"sendgrid":       sendGrid(),
		"square":         square(),
		"typeform":       typeform(),
		"zendesk":        zendesk(),
	}
}

func at(text string) time.Time {
	parsed, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return parsed.UTC()
}

func calendly() platform {
	const invitee = "https://api.calendly.com/scheduled_events/GBGBDCAADAEDCRZ2/invitees/AAAAAAAAAAAAAAAA"
	return platform{
		body: `{"event": "invitee.created", "created_at": "2020-11-23T17:51:19.000000Z",
 "created_by": "https://api.calendly.com/users/AAAAAAAAAAAAAAAA",
 "payload": {"uri": "` + invitee + `", "email": "test@example.com", "rescheduled": false}}`,
		oracle: signCalendly, signature: []string{"Calendly-Webhook-Signature"}, tolerance: 3 * time.Minute,
		malformed: map[string]string{
			`"event": → "x": `:             "an event without a type",
			`2020-11-23T → 2020/11/23 `:    "a time that is none",
			`/invitees/AAAA → /invitees/ `: "a resource with a blank",
		},
		events: []providers.Event{{
			ID:   providers.Fingerprint([]byte("invitee.created"), []byte("2020-11-23T17:51:19.000000Z"), []byte(invitee)),
			Type: "invitee.created", OccurredAt: at("2020-11-23T17:51:19Z"), Ref: providers.Ref{Type: "resource", ID: invitee},
		}},
	}
}

func discord() platform {
	p := platform{
		body: `{"type": 2, "token": "A_UNIQUE_TOKEN", "id": "786008729715212338", "guild_id": "290926798626357999",
 "application_id": "845027738276462632", "data": {"type": 1, "name": "cardsearch", "id": "771825006014889984"}, "version": 1}`,
		secrets: ed25519Keys(), oracle: signDiscord, tolerance: 15 * time.Minute,
		signature: []string{"X-Signature-Ed25519", "X-Signature-Timestamp"},
		malformed: map[string]string{`"id": "786008729715212338" → "x": 1`: "an interaction without an id"},
		events: []providers.Event{{
			ID: "786008729715212338", Type: "interaction.2",
			Ref: providers.Ref{Type: "interaction", ID: "786008729715212338", Account: "290926798626357999"},
		}},
	}
	p.handshake = &providertest.Handshake{
		Request: func() providers.Request {
			r := p.request()
			r.Body = []byte(`{"application_id": "845027738276462632", "id": "1", "token": "t", "type": 1, "version": 1}`)
			return r
		},
		Want: providers.Response{Status: http.StatusOK, ContentType: "application/json", Body: []byte(`{"type":1}`)},
	}
	return p
}

func discordEvents() platform {
	p := platform{
		body: `{"version": 1, "application_id": "1234560123453231555", "type": 1,
 "event": {"type": "APPLICATION_AUTHORIZED", "timestamp": "2024-10-18T14:42:53.064834", "data": {"integration_type": 1}}}`,
		secrets: ed25519Keys(), oracle: signDiscord, tolerance: 15 * time.Minute,
		signature: []string{"X-Signature-Ed25519", "X-Signature-Timestamp"},
		malformed: map[string]string{`"type": "APPLICATION_AUTHORIZED" → "x": 1`: "an event without a type"},
	}
	p.events = []providers.Event{{ID: providers.Fingerprint([]byte(p.body)), Type: "APPLICATION_AUTHORIZED"}}
	p.handshake = &providertest.Handshake{
		Request: func() providers.Request {
			r := p.request()
			r.Body = []byte(`{"version": 1, "application_id": "1234560123453231555", "type": 0}`)
			return r
		},
		Want: providers.Response{Status: http.StatusNoContent, ContentType: "application/json"},
	}
	return p
}

func gitLabIssue() platform {
	return platform{
		headers: map[string]string{
			"X-Gitlab-Event":      "Issue Hook",
			"X-Gitlab-Event-UUID": "13792a34-cac6-4fda-95a8-c58e00a3954e",
			"Idempotency-Key":     "f5e5f430-f57b-4e6e-9fac-d9128cd7232f",
		},
		body: `{"object_kind": "issue", "event_type": "issue", "project": {"id": 1, "path_with_namespace": "gitlabhq/gitlab-test"},
 "object_attributes": {"id": 301, "title": "New API", "iid": 23, "project_id": 1, "state": "opened", "action": "open"}}`,
		malformed: map[string]string{`"object_kind": "issue" → "object_kind": "an issue"`: "a kind with a blank", `"open"} → "o p"}`: "an action with a blank"},
		events: []providers.Event{{
			ID: "f5e5f430-f57b-4e6e-9fac-d9128cd7232f", Type: "issue.open", Ref: providers.Ref{Type: "issue", ID: "301", Account: "1"},
		}},
	}
}

func gitLab() platform {
	p := gitLabIssue()
	p.headers["Webhook-Id"] = "f5e5f430-f57b-4e6e-9fac-d9128cd7232f"
	p.secrets, p.oracle, p.tolerance = whsecKeys(), signGitLab, 5*time.Minute
	p.signature = []string{"Webhook-Signature", "Webhook-Id", "Webhook-Timestamp"}
	return p
}

func gitLabToken() platform {
	p := gitLabIssue()
	p.oracle, p.signature, p.bare = showGitLabToken, []string{"X-Gitlab-Token"}, true
	return p
}

func hubSpot() platform {
	return platform{
		url: "https://hooks.example.com/webhooks/hubspot",
		body: `[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,"subscriptionType":"contact.creation","attemptNumber":0,` +
			`"objectId":123,"objectTypeId":"0-1","changeSource":"CRM","changeFlag":"NEW","appId":54321},
{"eventId":1,"subscriptionId":12346,"portalId":62515,"occurredAt":1564113600001,"subscriptionType":"deal.deletion","attemptNumber":1,"objectId":123}]`,
		oracle: signHubSpot, signature: []string{"X-HubSpot-Signature-v3", "X-HubSpot-Request-Timestamp"}, tolerance: 5 * time.Minute,
		malformed: map[string]string{
			`"eventId":1, → `: "an event without an id",
			`"portalId":62515,"occurredAt":1564113600001 → "occurredAt":1564113600001`: "an event of nobody",
		},
		events: []providers.Event{
			{
				ID: "62515:12345:1:123:1564113600000", Type: "contact.creation", OccurredAt: at("2019-07-26T04:00:00Z"),
				Ref: providers.Ref{Type: "0-1", ID: "123", Account: "62515"},
			},
			// The same object id is another object of another type, and this one is not said.
			{ID: "62515:12346:1:123:1564113600001", Type: "deal.deletion", OccurredAt: at("2019-07-26T04:00:00.001Z"), Deleted: true},
		},
	}
}

func intercom() platform {
	p := platform{
		body: `{"type": "notification_event", "app_id": "a86dr8yl", "id": "notif_78c122d0-23ba-11e4-9464-79b01267cc2e", "topic": "user.created",
 "created_at": 1392731331, "delivery_attempts": 1, "data": {"type": "notification_event_data", "item": {"type": "user", "id": "530370b477ad7120001d"}}}`,
		oracle: signIntercom, signature: []string{"X-Hub-Signature"},
		malformed: map[string]string{`"id": "notif_78c122d0-23ba-11e4-9464-79b01267cc2e" → "id": null`: "a notification without an id"},
		events: []providers.Event{{
			ID: "notif_78c122d0-23ba-11e4-9464-79b01267cc2e", Type: "user.created", OccurredAt: at("2014-02-18T13:48:51Z"),
			Ref: providers.Ref{Type: "user", ID: "530370b477ad7120001d", Account: "a86dr8yl"},
		}},
		probes: map[string]providertest.Handshake{"a HEAD": {
			Request: func() providers.Request { return providers.Request{Method: http.MethodHead, Header: http.Header{}} },
			Want:    providers.Response{Status: http.StatusOK},
		}},
	}
	p.handshake = &providertest.Handshake{
		Request: func() providers.Request {
			r := p.request()
			r.Body = []byte(`{"type": "notification_event", "topic": "ping", "id": null, "data": {"item": {"type": "ping", "message": "hi"}}}`)
			return r
		},
		Want: providers.Response{Status: http.StatusOK},
	}
	return p
}

func launchDarkly() platform {
	return platform{
		body: `{"_links": {"self": {"href": "/api/v2/auditlog/57c0a8e29969090743529965"}}, "_id": "57c0a8e29969090743529965", "date": 1472243938774,
 "accesses": [{"action": "updateName", "resource": "proj/alexis:env/test"}], "kind": "environment", "name": "Testing"}`,
		oracle: signLaunchDarkly, signature: []string{"X-LD-Signature"},
		malformed: map[string]string{`"_id": → "id": `: "an entry without an id"},
		events: []providers.Event{{
			ID: "57c0a8e29969090743529965", Type: "environment.updateName", OccurredAt: at("2016-08-26T20:38:58.774Z"),
			Ref: providers.Ref{Type: "environment", ID: "proj/alexis:env/test"},
		}},
	}
}

func linear() platform {
	return platform{
		headers: map[string]string{"Linear-Delivery": "234d1a4e-b617-4388-90fe-adc3633d6b72", "Linear-Event": "Issue"},
		// The time is the conformance suite's.
		body: `{"action": "remove", "type": "Issue", "createdAt": "2026-03-04T05:06:06.911Z", "data": {"id": "539068e2-ae88-4d09-bd75-22eb4a59612f"},
 "organizationId": "bd4f7d3e-6f5b-4a4a-8a1e-4a1a2e0a6c11", "webhookTimestamp": 1772600767000, "webhookId": "000042e3-d123-4980-b49f-8e140eef9329"}`,
		oracle: signLinear, signature: []string{"Linear-Signature"}, tolerance: time.Minute,
		malformed: map[string]string{`"createdAt": "2026-03-04 → "createdAt": "04.03.2026`: "a time that is none"},
		events: []providers.Event{{
			ID: "234d1a4e-b617-4388-90fe-adc3633d6b72", Type: "Issue.remove", OccurredAt: at("2026-03-04T05:06:06.911Z"), Deleted: true,
			Ref: providers.Ref{Type: "Issue", ID: "539068e2-ae88-4d09-bd75-22eb4a59612f", Account: "bd4f7d3e-6f5b-4a4a-8a1e-4a1a2e0a6c11"},
		}},
		fingerprint: true,
	}
}

func paddle() platform {
	return platform{
		body: `{"event_id": "evt_01hv8x29kz0t586xy6zn1a62ny", "event_type": "subscription.created", "occurred_at": "2024-04-12T10:18:49.621022Z",
 "notification_id": "ntf_01hv8x29qs8j5cd3b0ptzmqcbp", "data": {"id": "sub_01hv8x29kz0t586xy6zn1a62ny", "status": "active"}}`,
		oracle: signPaddle, signature: []string{"Paddle-Signature"}, tolerance: 5 * time.Minute,
		malformed: map[string]string{`"event_id": → "id": `: "an event without an id", `"event_type": → "type": `: "an event without a type"},
		events: []providers.Event{{
			ID: "evt_01hv8x29kz0t586xy6zn1a62ny", Type: "subscription.created", OccurredAt: at("2024-04-12T10:18:49.621022Z"),
			Ref: providers.Ref{Type: "entity", ID: "sub_01hv8x29kz0t586xy6zn1a62ny"},
		}},
	}
}

func pagerDuty() platform {
	p := platform{
		body: `{"event": {"id": "01BWDWL3NY7LUFPZCC28QUCMK", "event_type": "incident.priority_updated", "resource_type": "incident",
 "occurred_at": "2021-04-26T17:36:27.458Z", "data": {"id": "PGR0VU2", "type": "incident", "status": "triggered"}}}`,
		oracle: signPagerDuty, signature: []string{"X-PagerDuty-Signature"},
		malformed: map[string]string{`"id": "01BWDWL3NY7LUFPZCC28QUCMK" → "id": {}`: "an event without an id"},
		events: []providers.Event{{
			ID: "01BWDWL3NY7LUFPZCC28QUCMK", Type: "incident.priority_updated", OccurredAt: at("2021-04-26T17:36:27.458Z"),
			Ref: providers.Ref{Type: "incident", ID: "PGR0VU2"},
		}},
	}
	p.handshake = &providertest.Handshake{
		Request: func() providers.Request {
			r := p.request()
			r.Body = []byte(`{"event": {"id": "01CH754SM17TWPE2V2H4VPBRO7", "event_type": "pagey.ping", "data": {"message": "Hello from your friend Pagey!", "type": "ping"}}}`)
			return r
		},
		Want: providers.Response{Status: http.StatusOK},
	}
	return p
}

func sendGrid() platform {
	return platform{
		// Behind the array SendGrid has a line end, which it signs.
		body: `[{"email":"hello@world.com","event":"dropped","sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",` +
			`"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0","timestamp":1600112492},` +
			`{"email":"hello@world.com","event":"open","sg_event_id":"b3Blbi0x","timestamp":1600112493}]` + "\r\n",
		secrets: ecdsaKeys(), oracle: signSendGrid, tolerance: 24 * time.Hour,
		signature: []string{"X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"},
		malformed: map[string]string{`"sg_event_id":"b3Blbi0x", → `: "an event without an id"},
		events: []providers.Event{
			{
				ID: "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA", Type: "dropped", OccurredAt: at("2020-09-14T19:41:32Z"),
				Ref: providers.Ref{Type: "message", ID: "LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0"},
			},
			{ID: "b3Blbi0x", Type: "open", OccurredAt: at("2020-09-14T19:41:33Z")},
		},
	}
}

func square() platform {
	return platform{
		url:     "https://hooks.example.com/webhooks/square",
		headers: map[string]string{"Square-Environment": "Sandbox", "Square-Retry-Number": "1"},
		body: `{"merchant_id": "6SSW7HV8K2ST5", "type": "catalog.item.deleted", "event_id": "13b867cf-db3d-4b1c-90b6-2f32a9d78124",
 "created_at": "2020-02-06T21:27:34.308Z", "data": {"type": "catalog_item", "id": "hYy9pRFVxpDsO1FB05SunFWUe9JZY", "deleted": true}}`,
		oracle: signSquare, signature: []string{"X-Square-HmacSha256-Signature"},
		malformed: map[string]string{`"event_id": → "id": `: "an event without an id"},
		events: []providers.Event{{
			ID: "13b867cf-db3d-4b1c-90b6-2f32a9d78124", Type: "catalog.item.deleted", OccurredAt: at("2020-02-06T21:27:34.308Z"),
			Mode: providers.ModeTest, Deleted: true,
			Ref: providers.Ref{Type: "catalog_item", ID: "hYy9pRFVxpDsO1FB05SunFWUe9JZY", Account: "6SSW7HV8K2ST5"},
		}},
	}
}

func typeform() platform {
	return platform{
		body: `{"event_id": "LtWXD3crgy", "event_type": "form_response", "form_response": {"form_id": "lT4Z3j", "token": "a3a12ec67a1365927098a606107fac15",
 "submitted_at": "2018-01-18T18:17:02Z", "landed_at": "2018-01-18T18:07:02Z"}}`,
		oracle: signTypeform, signature: []string{"Typeform-Signature"},
		malformed: map[string]string{`"event_id": → "id": `: "an event without an id"},
		events: []providers.Event{{
			ID: "LtWXD3crgy", Type: "form_response", OccurredAt: at("2018-01-18T18:17:02Z"),
			Ref: providers.Ref{Type: "response", ID: "a3a12ec67a1365927098a606107fac15", Account: "lT4Z3j"},
		}},
	}
}

func zendesk() platform {
	return platform{
		headers: map[string]string{"X-Zendesk-Webhook-Invocation-Id": "01GK8E6BKWMJZD2T8Y5AXJQMG5"},
		body: `{"type": "zen:event-type:user.active_changed", "account_id": 12514403, "id": "2b24ef10-19d4-4740-93cf-8f98ec4776c0",
 "time": "2099-07-04T05:33:18Z", "zendesk_event_version": "2022-06-20", "subject": "zen:user:6596848315901", "detail": {"id": "6596848315901"}}`,
		oracle: signZendesk, tolerance: 5 * time.Minute,
		signature: []string{"X-Zendesk-Webhook-Signature", "X-Zendesk-Webhook-Signature-Timestamp"},
		malformed: map[string]string{`2099-07-04 → 2099-07-04 `: "a time that is none"},
		events: []providers.Event{{
			ID: "01GK8E6BKWMJZD2T8Y5AXJQMG5", Type: "zen:event-type:user.active_changed", APIVersion: "2022-06-20",
			OccurredAt: at("2099-07-04T05:33:18Z"), Ref: providers.Ref{Type: "subject", ID: "zen:user:6596848315901"},
		}},
		fingerprint: true,
	}
}
