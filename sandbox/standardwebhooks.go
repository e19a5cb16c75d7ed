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

// NewStandardWebhooks returns a fake of a sender of Standard Webhooks. The
// specification says nothing of what there is to tell about, so any type of
// object does, and its recommendation is followed for bodies and event types:
// <object>.<verb>.
//
// It has no API to imitate either; the sandbox's is /objects/<type>/<id>, which
// a source declares as fetch.paths: {"*": "/objects/{ref.type}/{ref.id}"}.
func NewStandardWebhooks(cfg PlatformConfig) *Platform {
	return newPlatform(cfg, standardWebhooks{})
}

type standardWebhooks struct{}

func (standardWebhooks) name() string { return "standard-webhooks" }

func (standardWebhooks) parent(string) string { return "" }

func (s standardWebhooks) api() api { return s }

func (standardWebhooks) faultKinds() []FaultKind {
	return []FaultKind{FaultLatency, FaultHang, FaultError, FaultTruncate, FaultRateLimit}
}

func (standardWebhooks) layout(state json.RawMessage) []byte { return state }

func (standardWebhooks) stamp(state fields, version int64, now time.Time) {
	state["version"] = version
	state["updated_at"] = now.UTC().Format(time.RFC3339Nano)
}

func (standardWebhooks) create(t *tx, typ string, set fields) (providers.Ref, error) {
	id, ok := set["id"].(string)
	if !ok {
		id = strings.ReplaceAll(typ, ".", "_") + "_" + t.p.ids.draw(typ, base62, 24)
	}
	name := "standardwebhooks/" + typ
	if !hasTemplate(name) {
		name = "standardwebhooks/generic"
	}
	state, err := fill(name, fields{
		"id": id, "type": typ, "now": t.now.UTC().Format(time.RFC3339Nano), "number": fmt.Sprintf("%04d", t.p.ids.next("number")),
	}, set)
	if err != nil {
		return providers.Ref{}, err
	}
	ref := providers.Ref{Type: typ, ID: id}
	return ref, t.put(ref, []string{"/objects/" + typ + "/" + id}, state)
}

// splitStandardType returns the object of an event type and what happens to it;
// nothing when it is not made of both.
func splitStandardType(typ string) (object, verb string) {
	dot := strings.LastIndexByte(typ, '.')
	if dot <= 0 || dot == len(typ)-1 {
		return "", ""
	}
	return typ[:dot], typ[dot+1:]
}

func (standardWebhooks) knows(typ string) bool {
	switch object, verb := splitStandardType(typ); verb {
	case "created", "updated", "deleted":
		return object != ""
	}
	return false
}

func (standardWebhooks) happen(t *tx, typ string, on providers.Ref, set fields) (occurrence, error) {
	object, verb := splitStandardType(typ)
	if object == "" {
		return occurrence{}, t.p.unknownType(typ)
	}
	on, created, err := t.subject(typ, object, on, set)
	if err != nil {
		return occurrence{}, err
	}
	what := occurrence{Type: typ, Ref: on}
	if created && verb == "created" {
		what.After, err = t.state(on)
	} else {
		what.After, err = t.change(on, func(o fields) { maps.Copy(o, set) })
	}
	if err == nil && verb == "deleted" {
		err = t.remove(on)
	}
	return what, err
}

func (standardWebhooks) webhook(t *tx, what occurrence) (webhook, error) {
	if object, _ := splitStandardType(what.Type); what.Ref.Type != object {
		return webhook{}, fmt.Errorf("standard-webhooks: %s is no event about %s", what.Type, what.Ref)
	}
	id := "msg_" + t.p.ids.draw("msg_", base62, 27)
	event := fields{"type": what.Type, "timestamp": t.now.UTC().Format(time.RFC3339Nano), "data": what.After}
	maps.Copy(event, what.Envelope)
	raw, err := encode(event)
	if err != nil {
		return webhook{}, err
	}
	return webhook{
		ID:   id,
		Type: what.Type,
		Header: http.Header{
			"Content-Type": {"application/json"},
			"User-Agent":   {"Standard-Webhooks-Sandbox/1.0"},
			"Webhook-Id":   {id},
		},
		Body: raw,
	}, nil
}

const standardMedia = "application/json"

func standardAnswer(status int, body fields) *answer { return jsonAnswer(status, standardMedia, body) }

func (standardWebhooks) refuse(r *http.Request, key string) *answer {
	if key != "" && r.Header.Get("Authorization") == "Bearer "+key {
		return nil
	}
	return standardAnswer(http.StatusUnauthorized, fields{"code": "unauthorized"})
}

func (standardWebhooks) object(r *http.Request, o *Object) *answer {
	switch {
	case r.Method != http.MethodGet:
		return standardAnswer(http.StatusMethodNotAllowed, fields{"code": "method_not_allowed"})
	case o == nil:
		return standardAnswer(http.StatusNotFound, fields{"code": "not_found"})
	case o.Deleted:
		return standardAnswer(http.StatusGone, fields{"code": "gone"})
	}
	return stateAnswer(standardMedia, o)
}

func (standardWebhooks) fault(f APIFault, _ time.Time) *answer {
	a := standardAnswer(orDefault(f.Status, http.StatusInternalServerError), fields{"code": "internal"})
	if f.Kind == FaultRateLimit {
		a = standardAnswer(orDefault(f.Status, http.StatusTooManyRequests), fields{"code": "rate_limited"})
	}
	addRetryAfter(a.header, f)
	return a
}

func (standardWebhooks) sign(http.Header, callInfo) {}
