package sandbox

import (
	"crypto/md5" // it names members in Mailchimp's API
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// mailchimpList is the audience in which things happen when none is named.
const mailchimpList = "a6b5da1054"

// NewMailchimp returns a fake of Mailchimp's audiences: members, named by their
// audience and the hash of their address, and campaigns.
//
// Objects show their version as the member sandbox_version, and webhooks count
// themselves as data[sandbox_event]. Mailchimp has neither: there, two webhooks
// with the same body are the same event.
func NewMailchimp(cfg PlatformConfig) *Platform {
	return newPlatform(cfg, mailchimp{})
}

type mailchimp struct{}

func (mailchimp) name() string { return "mailchimp" }

func (m mailchimp) api() api { return m }

func (mailchimp) parent(string) string { return "" }

// layout is none: the API answers in one line.
func (mailchimp) layout(state json.RawMessage) []byte { return state }

func (mailchimp) stamp(state fields, version int64, now time.Time) {
	state["sandbox_version"] = version
	if _, ok := state["last_changed"]; ok { // members have it
		state["last_changed"] = mailchimpTime(now)
	}
}

func mailchimpTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05-07:00") }

// mailchimpEffects are the event types with what they do to their object.
var mailchimpEffects = map[string]func(o fields, now string){
	"subscribe":   func(o fields, _ string) { o["status"] = "subscribed" },
	"unsubscribe": func(o fields, _ string) { o["status"] = "unsubscribed" },
	"cleaned":     func(o fields, _ string) { o["status"] = "cleaned" },
	"profile": func(o fields, _ string) {
		if merges, ok := o["merge_fields"].(fields); ok {
			merges["LNAME"] = "King"
		}
	},
	"upemail": func(fields, string) {}, // see move
	"campaign": func(o fields, now string) {
		o["status"], o["send_time"], o["emails_sent"] = "sent", now, 120
	},
}

func (mailchimp) knows(typ string) bool { return mailchimpEffects[typ] != nil }

func (m mailchimp) create(t *tx, typ string, set fields) (providers.Ref, error) {
	vars := fields{"now": mailchimpTime(t.now), "list": mailchimpList, "web": int(t.p.ids.next("web_id")) + 500_000_000}
	if list, ok := set["list_id"].(string); ok {
		vars["list"] = list
	}
	var ref providers.Ref
	var path string
	switch typ {
	case "member":
		email, ok := set["email_address"].(string)
		if !ok {
			email = m.address(t)
		}
		vars["email"], vars["unique"], vars["contact"] = email, t.p.ids.hex("unique", 10), t.p.ids.hex("contact", 32)
		ref, path = mailchimpMember(plain(vars["list"]), email)
	case "campaign":
		ref = providers.Ref{Type: typ, ID: t.p.ids.hex("campaign", 10)}
		path = "/3.0/campaigns/" + ref.ID
	default:
		return providers.Ref{}, fmt.Errorf("mailchimp: there are no objects of type %q", typ)
	}
	vars["id"] = ref.ID[strings.LastIndexByte(ref.ID, '/')+1:]
	state, err := fill("mailchimp/"+typ, vars, set)
	if err != nil {
		return providers.Ref{}, err
	}
	return ref, t.put(ref, []string{path}, state)
}

func (mailchimp) address(t *tx) string {
	return fmt.Sprintf("Reader%d@example.com", t.p.ids.next("address"))
}

// mailchimpMember returns how the API names a member, and where it has it.
func mailchimpMember(list, email string) (ref providers.Ref, path string) {
	sum := md5.Sum([]byte(strings.ToLower(email)))
	hash := hex.EncodeToString(sum[:])
	return providers.Ref{Type: "member", ID: list + "/" + hash}, "/3.0/lists/" + list + "/members/" + hash
}

// mailchimpType keeps a made-up type from being no name.
var mailchimpType = regexp.MustCompile(`^[a-z][a-z_]{0,49}$`)

func (m mailchimp) happen(t *tx, typ string, on providers.Ref, set fields) (occurrence, error) {
	kind := mailchimpKind(typ)
	if !mailchimpType.MatchString(typ) {
		return occurrence{}, fmt.Errorf("mailchimp: event type %q: want one such as subscribe", typ)
	}
	with := set
	if typ == "upemail" {
		with = nil // the address set is the new one
	}
	on, _, err := t.subject(typ, kind, on, with)
	if err != nil {
		return occurrence{}, err
	}
	if typ == "upemail" {
		return m.move(t, on, set)
	}
	after, err := t.change(on, func(o fields) {
		if effect := mailchimpEffects[typ]; effect != nil {
			effect(o, mailchimpTime(t.now))
		}
		maps.Copy(o, set)
	})
	return occurrence{Type: typ, Ref: on, After: after}, err
}

func mailchimpKind(typ string) string {
	if typ == "campaign" {
		return "campaign"
	}
	return "member"
}

// move gives a member another address: to the API that ends one member and
// begins another.
func (m mailchimp) move(t *tx, on providers.Ref, set fields) (occurrence, error) {
	before, err := t.state(on)
	if err != nil {
		return occurrence{}, err
	}
	after := maps.Clone(before)
	after["email_address"] = m.address(t)
	maps.Copy(after, set)
	ref, path := mailchimpMember(plain(after["list_id"]), plain(after["email_address"]))
	after["id"] = ref.ID[strings.LastIndexByte(ref.ID, '/')+1:]
	if ref != on {
		if err := t.remove(on); err != nil {
			return occurrence{}, err
		}
	}
	if err := t.put(ref, []string{path}, after); err != nil {
		return occurrence{}, err
	}
	return occurrence{Type: "upemail", Ref: ref, Before: before, After: after}, nil
}

func (mailchimp) webhook(t *tx, what occurrence) (webhook, error) {
	if what.Ref.Type != mailchimpKind(what.Type) {
		return webhook{}, fmt.Errorf("mailchimp: %s is no event about %s", what.Type, what.Ref)
	}
	data, err := mailchimpData(t, what)
	if err != nil {
		return webhook{}, err
	}
	data["sandbox_event"] = int(t.p.ids.next("webhook"))
	form := url.Values{"type": {what.Type}, "fired_at": {t.now.UTC().Format("2006-01-02 15:04:05")}}
	flatten(form, "data", data)
	for name, value := range what.Envelope {
		form.Set(name, plain(value))
	}
	return t.formWebhook(what.Type, "MailChimp", form)
}

// mailchimpData is what a webhook of the type tells of its object.
func mailchimpData(t *tx, what occurrence) (fields, error) {
	o := what.After
	if what.Type == "campaign" {
		settings, _ := o["settings"].(fields)
		recipients, _ := o["recipients"].(fields)
		return fields{
			"id": o["id"], "subject": settings["subject_line"], "status": o["status"], "reason": "", "list_id": recipients["list_id"],
		}, nil
	}
	data := fields{"list_id": o["list_id"]}
	switch what.Type {
	case "upemail":
		if what.Before == nil {
			return nil, fmt.Errorf("mailchimp: upemail tells of a change: trigger it")
		}
		data["new_id"], data["new_email"], data["old_email"] = o["unique_email_id"], o["email_address"], what.Before["email_address"]
		return data, nil
	case "cleaned":
		data["campaign_id"], data["reason"], data["email"] = "4fa1ma9xd0", "hard", o["email_address"]
		return data, nil
	case "unsubscribe":
		data["action"], data["reason"] = "unsub", "manual"
		if t.p.objects[what.Ref].Deleted {
			data["action"] = "delete"
		}
	}
	maps.Copy(data, fields{
		"id": o["unique_email_id"], "email": o["email_address"], "email_type": o["email_type"],
		"ip_opt": o["ip_opt"], "web_id": o["web_id"], "merges": mailchimpMerges(o),
	})
	return data, nil
}

// mailchimpMerges are the merge fields with the address first among them.
func mailchimpMerges(o fields) fields {
	merges := fields{"EMAIL": o["email_address"]}
	if set, ok := o["merge_fields"].(fields); ok {
		maps.Copy(merges, set)
	}
	return merges
}

// flatten writes members as a form does: data[merges][FNAME]=Ada.
func flatten(form url.Values, name string, value any) {
	members, ok := value.(fields)
	if !ok {
		form.Set(name, plain(value))
		return
	}
	for member, below := range members {
		flatten(form, name+"["+member+"]", below)
	}
}
