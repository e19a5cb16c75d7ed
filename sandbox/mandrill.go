package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// NewMandrill returns a fake of Mailchimp Transactional: messages, and the
// addresses on the two lists, of which the API has no calls here.
//
// Objects show their version as the member sandbox_version. Events of a message
// have no ID but their kind and second, so that a kind happens to a message once
// a second; only opens and clicks have more that tells them apart.
func NewMandrill(cfg PlatformConfig) *Platform {
	return newPlatform(cfg, mandrill{})
}

type mandrill struct{}

func (mandrill) name() string { return "mandrill" }

func (m mandrill) api() api { return m }

func (mandrill) parent(string) string { return "" }

// layout is none: the API answers in one line.
func (mandrill) layout(state json.RawMessage) []byte { return state }

func (mandrill) stamp(state fields, version int64, _ time.Time) { state["sandbox_version"] = version }

// mandrillEffects are the events of a message with what they do to it.
var mandrillEffects = map[string]func(o fields, now int64){
	"send":        func(o fields, _ int64) { o["state"] = "sent" },
	"deferral":    func(o fields, _ int64) { o["state"] = "deferred" },
	"delivered":   func(o fields, _ int64) { o["state"] = "delivered" },
	"hard_bounce": func(o fields, _ int64) { o["state"] = "bounced" },
	"soft_bounce": func(o fields, _ int64) { o["state"] = "soft-bounced" },
	"spam":        func(o fields, _ int64) { o["state"] = "spam" },
	"unsub":       func(o fields, _ int64) { o["state"] = "unsub" },
	"reject": func(o fields, _ int64) {
		o["state"], o["reject"] = "rejected", fields{"reason": "hard-bounce", "last_event_at": nil}
	},
	"open": func(o fields, now int64) { mandrillCount(o, "opens", fields{"ts": now, "ua": mandrillAgent}) },
	"click": func(o fields, now int64) {
		mandrillCount(o, "clicks", fields{"ts": now, "ua": mandrillAgent, "url": mandrillLink})
	},
}

const (
	mandrillAgent = "Mozilla/5.0 (Sandbox)"
	mandrillLink  = "https://example.com/order"
)

func mandrillCount(o fields, counter string, detail fields) {
	count, _ := o[counter].(float64)
	o[counter] = int(count) + 1
	details, _ := o[counter+"_detail"].([]any)
	o[counter+"_detail"] = append(details, detail)
}

// mandrillLists are the lists of addresses, with what can be done to them.
var mandrillLists = map[string][]string{"blacklist": {"add", "change", "remove"}, "whitelist": {"add", "remove"}}

func (mandrill) knows(typ string) bool {
	list, action, _ := strings.Cut(typ, ".")
	return mandrillEffects[typ] != nil || slices.Contains(mandrillLists[list], action)
}

func (m mandrill) create(t *tx, typ string, set fields) (providers.Ref, error) {
	email, ok := set["email"].(string)
	if !ok {
		email = fmt.Sprintf("customer%d@example.com", t.p.ids.next("address"))
	}
	if _, isList := mandrillLists[typ]; isList {
		// The provider names an address by its hash.
		ref := providers.Ref{Type: typ, ID: providers.Fingerprint([]byte(strings.ToLower(email)), nil)}
		state := fields{"email": email, "detail": "added by hand", "created_at": t.now.UTC().Format("2006-01-02 15:04:05")}
		if typ == "blacklist" {
			state["reason"], state["expired"], state["subaccount"] = "custom", false, nil
		}
		maps.Copy(state, set)
		return ref, t.put(ref, nil, state)
	}
	if typ != "message" {
		return providers.Ref{}, fmt.Errorf("mandrill: there are no objects of type %q", typ)
	}
	id := t.p.ids.hex("message", 32)
	vars := fields{"id": id, "now": t.now.Unix(), "email": email, "n": int(t.p.ids.next("order"))}
	state, err := fill("mandrill/message", vars, set)
	if err != nil {
		return providers.Ref{}, err
	}
	ref := providers.Ref{Type: typ, ID: id}
	return ref, t.put(ref, []string{mandrillPath(id)}, state)
}

func (m mandrill) happen(t *tx, typ string, on providers.Ref, set fields) (occurrence, error) {
	kind, action := mandrillKind(typ)
	if !m.knows(typ) && (kind != "message" || strings.ContainsAny(typ, ". -") || typ == "") {
		return occurrence{}, fmt.Errorf("mandrill: event type %q: want one such as send or blacklist.add", typ)
	}
	on, _, err := t.subject(typ, kind, on, set)
	if err != nil {
		return occurrence{}, err
	}
	after, err := t.change(on, func(o fields) {
		if effect := mandrillEffects[typ]; effect != nil {
			effect(o, t.now.Unix())
		}
		maps.Copy(o, set)
	})
	if err == nil && action == "remove" {
		err = t.remove(on)
	}
	return occurrence{Type: typ, Ref: on, After: after}, err
}

// mandrillKind returns the type of the object that an event is about, and what
// was done to it if that is an address on a list.
func mandrillKind(typ string) (kind, action string) {
	if list, action, isList := strings.Cut(typ, "."); isList {
		return list, action
	}
	return "message", ""
}

func (mandrill) webhook(t *tx, what occurrence) (webhook, error) {
	kind, action := mandrillKind(what.Type)
	if what.Ref.Type != kind {
		return webhook{}, fmt.Errorf("mandrill: %s is no event about %s", what.Type, what.Ref)
	}
	event := fields{"ts": t.now.Unix()}
	if action == "" {
		mandrillMessage(t, event, what)
	} else {
		event["type"], event["action"] = kind, action
		event[map[string]string{"blacklist": "reject", "whitelist": "entry"}[kind]] = what.After
	}
	maps.Copy(event, what.Envelope)
	raw, err := encode([]fields{event})
	if err != nil {
		return webhook{}, err
	}
	return t.formWebhook(what.Type, "Mandrill-Webhook/1.0", url.Values{"mandrill_events": {string(raw)}})
}

func mandrillMessage(t *tx, event fields, what occurrence) {
	msg := maps.Clone(what.After)
	// A webhook lists what the API counts.
	msg["opens"], msg["clicks"] = msg["opens_detail"], msg["clicks_detail"]
	delete(msg, "opens_detail")
	delete(msg, "clicks_detail")
	event["event"], event["_id"], event["msg"] = what.Type, what.Ref.ID, msg
	switch what.Type {
	case "click":
		event["url"] = mandrillLink
		fallthrough
	case "open":
		event["ip"] = fmt.Sprintf("192.0.2.%d", t.p.ids.next("reader")%254+1)
		event["user_agent"] = mandrillAgent
		event["location"], event["user_agent_parsed"] = nil, nil
	}
}
