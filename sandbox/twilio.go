package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// TwilioAccount owns what happens at the sandbox's Twilio, unless the API key
// begins with another account. A single object may be given another one as its
// member account_sid, as that of a subaccount.
const TwilioAccount = "AC5a4db0c05a4db0c05a4db0c05a4db0c0"

// NewTwilio returns a fake of Twilio: its messages, calls, recordings and conferences.
//
// Objects show their version as the member sandbox_version, which Twilio's do not
// have; date_updated has whole seconds there and here. PlatformConfig.Key is
// "AC…:token", or just the token.
//
// Twilio gives its webhooks no ID. That of an event is the one the provider reads
// off it.
func NewTwilio(cfg PlatformConfig) *Platform {
	account := TwilioAccount
	if user, _, pair := strings.Cut(cfg.Key, ":"); pair && strings.HasPrefix(user, "AC") {
		account = user
	}
	return newPlatform(cfg, twilio{account: account})
}

type twilio struct{ account string }

func (twilio) name() string { return "twilio" }

func (twilio) parent(string) string { return "" }

func (w twilio) api() api { return w }

func (twilio) faultKinds() []FaultKind {
	return []FaultKind{FaultLatency, FaultHang, FaultError, FaultTruncate, FaultRateLimit}
}

// layout is none: Twilio's API answers in one line.
func (twilio) layout(state json.RawMessage) []byte { return state }

func (twilio) stamp(state fields, version int64, now time.Time) {
	state["sandbox_version"] = version
	state["date_updated"] = twilioTime(now)
}

// twilioTime is RFC 2822, in UTC.
func twilioTime(t time.Time) string { return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700") }

func (w twilio) create(t *tx, typ string, set fields) (providers.Ref, error) {
	kind, ok := twilioKinds[typ]
	if !ok {
		return providers.Ref{}, fmt.Errorf("twilio: the sandbox makes no objects of type %q", typ)
	}
	vars := fields{"now": twilioTime(t.now), "account": w.account}
	if account, ok := set["account_sid"].(string); ok {
		vars["account"] = account
	}
	if typ == "recording" {
		if _, named := set["call_sid"]; !named {
			call, err := w.create(t, "call", fields{"account_sid": vars["account"], "status": "in-progress"})
			if err != nil {
				return providers.Ref{}, err
			}
			vars["call"] = call.ID
		}
	}
	id, ok := set["sid"].(string)
	if !ok {
		id = kind.prefix + t.p.ids.hex(kind.prefix, 32)
	}
	below := "/2010-04-01/Accounts/" + plain(vars["account"]) + "/" + kind.collection + "/" + id
	vars["id"], vars["below"], vars["path"] = id, below, below+".json"
	state, err := fill("twilio/"+typ, vars, set)
	if err != nil {
		return providers.Ref{}, err
	}
	ref := providers.Ref{Type: typ, ID: id}
	return ref, t.put(ref, []string{below + ".json"}, state)
}

func (w twilio) happen(t *tx, typ string, on providers.Ref, set fields) (occurrence, error) {
	kind, status := splitTwilioType(typ)
	if status == "" || twilioKinds[kind].collection == "" {
		return occurrence{}, t.p.unknownType(typ)
	}
	on, _, err := t.subject(typ, kind, on, set)
	if err != nil {
		return occurrence{}, err
	}
	after, err := t.change(on, func(o fields) {
		o["status"] = twilioStatus(status)
		if effect := twilioEffects[typ]; effect != nil {
			effect(o, twilioTime(t.now))
		}
		maps.Copy(o, set)
	})
	return occurrence{Type: typ, Ref: on, After: after}, err
}

func (w twilio) webhook(t *tx, what occurrence) (webhook, error) {
	kind, status := splitTwilioType(what.Type)
	if status == "" || what.Ref.Type != kind {
		return webhook{}, fmt.Errorf("twilio: %s is no event about %s", what.Type, what.Ref)
	}
	form := twilioParameters[kind](t, status, what.After)
	for name, value := range what.Envelope {
		form.Set(name, plain(value))
	}
	hook := webhook{
		Type: what.Type,
		Header: http.Header{
			"Accept":                     {"*/*"},
			"Content-Type":               {"application/x-www-form-urlencoded; charset=utf-8"},
			"I-Twilio-Idempotency-Token": {t.p.ids.guid("idempotency_token")},
			"User-Agent":                 {"TwilioProxy/1.1"},
			"X-Home-Region":              {"us1"},
		},
		Body: []byte(form.Encode()),
	}
	hook.ID = w.eventID(t, hook)
	return hook, nil
}

// eventID is what the receiver calls an event.
func (twilio) eventID(t *tx, hook webhook) string {
	if t.p.cfg.Provider != nil {
		events, err := t.p.cfg.Provider.Events(providers.Request{Header: hook.Header, Body: hook.Body})
		if err == nil && len(events) == 1 {
			return events[0].ID
		}
	}
	return "unread:" + hook.Header.Get("I-Twilio-Idempotency-Token")
}
