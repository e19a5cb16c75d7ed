package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

const (
	msgraphTenant = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
	// msgraphMailbox is the user in whose mailbox and calendar things happen.
	msgraphMailbox = "0e1d6b7a-3b0c-4d36-8a5e-6d3c4a8d1f20"

	msgraphTime = "2006-01-02T15:04:05Z"
)

// NewMSGraph returns a fake of Microsoft Graph: a tenant with users, one of whom
// has mail and a calendar, and a subscription to each kind of them.
//
// A ref's ID is the object's API path, without the users/ before a user's ID.
// Objects show their version as the member sandbox_version, which Graph's do
// not have. A notification is named as the provider names it: Graph gives it
// no ID.
//
// Subscriptions can also be made through its API, which calls their endpoint
// first. From then on what is sent about that resource is sent for them, and
// nothing is while they have expired: Trigger then fails, although the change it
// was to tell of has happened.
func NewMSGraph(cfg PlatformConfig) *Platform {
	d := &msgraph{}
	d.platform = newPlatform(cfg, d)
	return d.platform
}

// msgraph knows its platform, because it calls an endpoint before it changes
// anything.
type msgraph struct{ platform *Platform }

// msgraphKind describes one kind of Graph's objects.
type msgraphKind struct {
	odata        string // its type in notifications
	collection   string // of a user; empty for users themselves
	resource     string // what its subscription is to
	subscription string // the id of that
}

var msgraphKinds = map[string]msgraphKind{
	"message": {"#Microsoft.Graph.Message", "Messages", "/users/" + msgraphMailbox + "/messages", "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"},
	"event":   {"#Microsoft.Graph.Event", "Events", "/users/" + msgraphMailbox + "/events", "5cfe2387-163c-4006-81bb-1b5e1e060afe"},
	"user":    {"#Microsoft.Graph.User", "", "/users", "76619225-ff6b-4489-96ca-4ef547e78b22"},
}

const (
	msgraphSubscription = "subscription"
	// msgraphOwnURL is what a subscription that the sandbox has made says it sends to.
	msgraphOwnURL    = "https://hooks.example.com/webhooks/msgraph"
	msgraphLifecycle = "lifecycle"
	msgraphRemoved   = "subscriptionRemoved"
)

var (
	msgraphChanges    = []string{"created", "updated", "deleted"}
	msgraphLifecycles = []string{"reauthorizationRequired", msgraphRemoved, "missed"}
)

func (*msgraph) name() string { return "msgraph" }

func (g *msgraph) api() api { return g }

func (*msgraph) faultKinds() []FaultKind {
	return []FaultKind{FaultLatency, FaultHang, FaultError, FaultTruncate, FaultRateLimit}
}

// parent is the user whose mailbox it is.
func (*msgraph) parent(path string) string {
	parts := strings.SplitN(path, "/", 5)
	if len(parts) == 5 && parts[2] == "users" {
		return strings.Join(parts[:4], "/")
	}
	return ""
}

func (*msgraph) layout(state json.RawMessage) []byte { return state }

func (*msgraph) stamp(state fields, version int64, now time.Time) {
	state["sandbox_version"] = version
	if _, ok := state["@odata.etag"]; ok {
		key := fmt.Sprintf("CQAAABYAAADsandbox%08d", version)
		state["changeKey"], state["@odata.etag"] = key, `W/"`+key+`"`
		state["lastModifiedDateTime"] = now.UTC().Format(msgraphTime)
	}
}

func (*msgraph) knows(typ string) bool {
	kind, verb, _ := strings.Cut(typ, ".")
	if kind == msgraphLifecycle {
		return slices.Contains(msgraphLifecycles, verb)
	}
	return msgraphKinds[kind].odata != "" && slices.Contains(msgraphChanges, verb)
}

func (g *msgraph) create(t *tx, typ string, set fields) (providers.Ref, error) {
	kind, known := msgraphKinds[typ]
	switch {
	case typ == msgraphSubscription:
		return g.subscribe(t, t.p.ids.guid(typ), msgraphKinds["message"].resource, set)
	case !known:
		return providers.Ref{}, fmt.Errorf("msgraph: object type %q: want message, event, user or subscription", typ)
	case kind.collection == "":
		return g.createUser(t, t.p.ids.guid(typ), set)
	}
	if t.p.objects[providers.Ref{Type: "user", ID: msgraphMailbox}] == nil {
		if _, err := g.createUser(t, msgraphMailbox, nil); err != nil {
			return providers.Ref{}, err
		}
	}
	// As long as Outlook's own.
	id := "AAMkAGVmMDEzMTM4LTZmYWUtNDdkNC1hMDZi" + t.p.ids.draw(typ, base62, 115) + "="
	path := msgraphMailbox + "/" + kind.collection + "/" + id
	return g.put(t, typ, path, "/v1.0/users/"+path, fields{"id": id, "user": msgraphMailbox}, set)
}

func (g *msgraph) createUser(t *tx, id string, set fields) (providers.Ref, error) {
	return g.put(t, "user", id, "/v1.0/users/"+id, fields{"id": id}, set)
}

func (g *msgraph) subscribe(t *tx, id, resource string, set fields) (providers.Ref, error) {
	vars := fields{"id": id, "resource": resource, "expires": msgraphExpiry(t)}
	return g.put(t, msgraphSubscription, id, "/v1.0/subscriptions/"+id, vars, set)
}

func (*msgraph) put(t *tx, typ, id, path string, vars, set fields) (providers.Ref, error) {
	vars["now"] = t.now.UTC().Format(msgraphTime)
	vars["number"] = fmt.Sprintf("%06d", t.p.ids.next("number "+typ))
	state, err := fill("msgraph/"+typ, vars, set)
	if err != nil {
		return providers.Ref{}, err
	}
	ref := providers.Ref{Type: typ, ID: id}
	return ref, t.put(ref, []string{path}, state)
}

// msgraphExpiry is when a subscription of now ends: Outlook's may last a week.
func msgraphExpiry(t *tx) string { return t.now.AddDate(0, 0, 7).UTC().Format(msgraphTime) }

func (g *msgraph) happen(t *tx, typ string, on providers.Ref, set fields) (occurrence, error) {
	kind, verb, _ := strings.Cut(typ, ".")
	if !g.knows(typ) {
		return occurrence{}, t.p.unknownType(typ)
	}
	if kind == msgraphLifecycle {
		kind = msgraphSubscription
	}
	on, created, err := t.subject(typ, kind, on, set)
	if err != nil {
		return occurrence{}, err
	}
	what := occurrence{Type: typ, Ref: on}
	if verb == "updated" || !created && len(set) > 0 {
		what.After, err = t.change(on, func(o fields) { maps.Copy(o, set) })
	} else {
		what.After, err = t.state(on)
	}
	if err == nil && (verb == "deleted" || verb == msgraphRemoved) {
		err = t.remove(on)
	}
	return what, err
}

func (g *msgraph) webhook(t *tx, what occurrence) (webhook, error) {
	item, err := g.item(t, what)
	if err != nil {
		return webhook{}, err
	}
	maps.Copy(item, what.Envelope)
	body, err := encode(fields{"value": []any{item}})
	if err != nil {
		return webhook{}, err
	}
	hook := webhook{Type: what.Type, Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, Body: body}
	hook.ID, err = t.derivedID(hook.Header, hook.Body)
	return hook, err
}

// item is the notification without its clientState, which the provider adds.
func (g *msgraph) item(t *tx, what occurrence) (fields, error) {
	verb := what.Type[strings.LastIndexByte(what.Type, '.')+1:]
	item := fields{"subscriptionExpirationDateTime": msgraphExpiry(t), "tenantId": msgraphTenant, "clientState": ""}
	if what.Ref.Type == msgraphSubscription {
		item["id"], item["subscriptionId"], item["lifecycleEvent"] = t.p.ids.guid("notification"), what.Ref.ID, verb
		return item, nil
	}
	kind, known := msgraphKinds[what.Ref.Type]
	if !known || !strings.HasPrefix(what.Type, what.Ref.Type+".") {
		return nil, fmt.Errorf("msgraph: %s is no event about %s", what.Type, what.Ref)
	}
	subscription, err := g.subscriptionOf(t, kind)
	if err != nil {
		return nil, fmt.Errorf("msgraph: %s: %w", what.Type, err)
	}
	path := "Users/" + what.Ref.ID
	data := fields{"@odata.type": kind.odata, "@odata.id": path, "id": what.After["id"]}
	if kind.collection == "" {
		data["organizationId"] = msgraphTenant
		data["sequenceNumber"] = t.now.UTC().UnixMicro()*1000 + int64(t.p.ids.next("sequence")%1000)
		data["eventTime"] = t.now.UTC().Format(time.RFC3339Nano)
	} else {
		// Outlook names a user with the tenant.
		path = strings.Replace(path, msgraphMailbox, msgraphMailbox+"@"+msgraphTenant, 1)
		data["@odata.id"], data["@odata.etag"] = path, what.After["@odata.etag"]
	}
	item["subscriptionId"], item["changeType"], item["resource"], item["resourceData"] = subscription, verb, path, data
	return item, nil
}
