package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// stripeAPIVersion is the version of Stripe's API whose members the templates have.
const stripeAPIVersion = "2026-08-26.dahlia"

// NewStripe returns a fake of Stripe.
//
// Its objects show their version as metadata.sandbox_version. Stripe has no
// such member, and none of its own from which two states could be ordered.
func NewStripe(cfg PlatformConfig) *Platform {
	return newPlatform(cfg, stripe{livemode: cfg.Livemode})
}

type stripe struct{ livemode bool }

func (stripe) name() string { return "stripe" }

func (stripe) parent(string) string { return "" }

func (s stripe) api() api { return s }

func (stripe) faultKinds() []FaultKind {
	return []FaultKind{FaultLatency, FaultHang, FaultError, FaultTruncate, FaultRateLimit, FaultLockTimeout}
}

func (stripe) layout(state json.RawMessage) []byte { return indented(state) }

func (stripe) stamp(state fields, version int64, now time.Time) {
	if _, ok := state["updated"]; ok { // products have it
		state["updated"] = now.Unix()
	}
	metadata, ok := state["metadata"].(fields)
	if !ok {
		metadata = fields{}
		state["metadata"] = metadata
	}
	metadata["sandbox_version"] = strconv.FormatInt(version, 10)
}

func (s stripe) create(t *tx, typ string, set fields) (providers.Ref, error) {
	kind := stripeTypeOf(typ)
	vars := fields{"now": t.now.Unix(), "livemode": s.livemode, "type": typ}
	for _, need := range kind.needs {
		id, ok := set[need].(string)
		if !ok {
			ref, err := s.create(t, need, nil)
			if err != nil {
				return providers.Ref{}, err
			}
			id = ref.ID
		}
		vars[need] = id
	}
	id, ok := set["id"].(string)
	if !ok {
		id = s.id(t, kind.prefix)
	}
	vars["id"] = id
	vars["secret"] = t.p.ids.draw("secret", base62, 25)
	vars["number"] = fmt.Sprintf("%04d", t.p.ids.next("number"))
	for name, days := range map[string]int{"tomorrow": 1, "next_week": 7, "next_month": 30} {
		vars[name] = t.now.AddDate(0, 0, days).Unix()
	}
	name := "stripe/" + typ
	if !hasTemplate(name) {
		name = "stripe/generic"
	}
	state, err := fill(name, vars, set)
	if err != nil {
		return providers.Ref{}, err
	}
	ref := providers.Ref{Type: typ, ID: id}
	return ref, t.put(ref, []string{"/v1/" + kind.collection + "/" + id}, state)
}

// id returns an identifier as long as Stripe's own of that prefix.
func (stripe) id(t *tx, prefix string) string {
	switch prefix {
	case "cus_", "prod_", "sub_sched_":
		return prefix + t.p.ids.draw(prefix, base62, 14)
	case "cs_test_":
		return prefix + "a1" + t.p.ids.draw(prefix, base62, 56)
	default:
		return prefix + "1" + t.p.ids.draw(prefix, base62, 23)
	}
}

func (s stripe) happen(t *tx, typ string, on providers.Ref, set fields) (occurrence, error) {
	objectType, verb := splitStripeType(typ)
	if objectType == "" || strings.HasPrefix(typ, "v2.") {
		return occurrence{}, t.p.unknownType(typ)
	}
	if objectType == "balance" || typ == "invoice.upcoming" {
		return s.view(t, typ, objectType, set)
	}
	on, created, err := t.subject(typ, objectType, on, set)
	if err != nil {
		return occurrence{}, err
	}
	what := occurrence{Type: typ, Ref: on}
	if created && verb == "created" {
		what.After, err = t.state(on)
	} else {
		what.Before, what.After, err = s.apply(t, typ, on, set)
	}
	if err != nil {
		return occurrence{}, err
	}
	if verb == "deleted" && objectType != "subscription" {
		return what, t.remove(on)
	}
	return what, nil
}

// view is an event about something that has no identifier and is no object of
// its own: the account's balance, or the preview of an invoice.
func (s stripe) view(t *tx, typ, objectType string, set fields) (occurrence, error) {
	ref, err := s.create(t, objectType, set)
	if err != nil {
		return occurrence{}, err
	}
	state, err := t.state(ref)
	t.forget(ref)
	delete(state, "id")
	return occurrence{Type: typ, After: state}, err
}

// apply changes the object as the event type says, and returns its members
// before, where the event tells of them, and after.
func (stripe) apply(t *tx, typ string, ref providers.Ref, set fields) (before, after fields, err error) {
	if strings.HasSuffix(typ, ".updated") {
		if before, err = t.state(ref); err != nil {
			return nil, nil, err
		}
	}
	after, err = t.change(ref, func(o fields) {
		if effect := stripeEffects[typ]; effect != nil {
			effect(o, t.now.Unix())
		}
		maps.Copy(o, set)
	})
	return before, after, err
}

func (s stripe) webhook(t *tx, what occurrence) (webhook, error) {
	if object, _ := splitStripeType(what.Type); !what.Ref.IsZero() && what.Ref.Type != object {
		return webhook{}, fmt.Errorf("stripe: %s is no event about %s", what.Type, what.Ref)
	}
	id := s.id(t, "evt_")
	data := fields{"object": what.After}
	if what.Before != nil {
		data["previous_attributes"] = changed(what.Before, what.After)
	}
	event := fields{
		"id":               id,
		"object":           "event",
		"api_version":      stripeAPIVersion,
		"created":          t.now.Unix(),
		"data":             data,
		"livemode":         s.livemode,
		"pending_webhooks": 1,
		"request":          fields{"id": "req_" + t.p.ids.draw("req_", base62, 14), "idempotency_key": t.p.ids.guid("idempotency_key")},
		"type":             what.Type,
	}
	maps.Copy(event, what.Envelope)
	raw, err := encode(event)
	if err != nil {
		return webhook{}, err
	}
	return webhook{
		ID:   id,
		Type: what.Type,
		Header: http.Header{
			"Accept":        {"*/*; q=0.5, application/xml"},
			"Cache-Control": {"no-cache"},
			"Content-Type":  {"application/json; charset=utf-8"},
			"User-Agent":    {"Stripe/1.0 (+https://stripe.com/docs/webhooks)"},
		},
		Body: indented(raw),
	}, nil
}

// changed returns the old values of the members that differ. Like Stripe it
// goes into objects, but not into lists.
func changed(before, after fields) fields {
	diff := fields{}
	for name, is := range after {
		was, had := before[name]
		wasObject, ok1 := was.(fields)
		isObject, ok2 := is.(fields)
		switch {
		case had && ok1 && ok2:
			if inner := changed(wasObject, isObject); len(inner) > 0 {
				diff[name] = inner
			}
		case !had || !sameJSON(was, is):
			diff[name] = was
		}
	}
	return diff
}

func sameJSON(a, b any) bool {
	rawA, errA := encode(a)
	rawB, errB := encode(b)
	return errA == nil && errB == nil && bytes.Equal(rawA, rawB)
}

// indented lays JSON out as Stripe does.
func indented(raw []byte) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return raw
	}
	b.WriteByte('\n')
	return b.Bytes()
}
