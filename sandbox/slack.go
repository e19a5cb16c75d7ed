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

// The workspace, and the app that is installed in it.
const (
	slackTeam = "T0SANDBOX"
	slackApp  = "A0SANDBOX"
)

const base36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// NewSlack returns a fake of Slack.
//
// A message's ref is its channel's ID and its ts, "C0123ABCD/1355517523.000005".
// One that is created with a thread_ts is a reply: it is in no history, only in
// its thread. Objects show their version as the member sandbox_version, which
// Slack's do not have.
//
// On may also name the channel in which a message is written. The types are those
// of the provider, "message.message_changed", or Slack's own names of them,
// "message_changed".
func NewSlack(cfg PlatformConfig) *Platform {
	d := &slack{}
	d.platform = newPlatform(cfg, d)
	return d.platform
}

// slack knows its platform, because what it answers about a message depends on
// the message's channel and thread.
type slack struct{ platform *Platform }

func (*slack) name() string { return "slack" }

func (s *slack) api() api { return s }

func (*slack) faultKinds() []FaultKind {
	return []FaultKind{FaultLatency, FaultHang, FaultError, FaultTruncate, FaultRateLimit, FaultErrorIn200}
}

func (*slack) stamp(state fields, version int64, now time.Time) {
	state["sandbox_version"] = version
	id, _ := state["id"].(string)
	switch _, dated := state["updated"]; {
	case !dated:
	case strings.HasPrefix(id, "U"):
		state["updated"] = now.Unix()
	default:
		state["updated"] = now.UnixMilli() // of channels
	}
}

// layout is none: Slack's API answers in one line.
func (*slack) layout(state json.RawMessage) []byte { return state }

func (s *slack) create(t *tx, typ string, set fields) (providers.Ref, error) {
	vars := fields{
		"now": t.now.Unix(), "team": slackTeam, "guid": t.p.ids.guid("client_msg_id"), "block": t.p.ids.draw("block", base62, 5),
		"number": t.p.ids.next("number"),
	}
	set = maps.Clone(set)
	var channel string
	if typ == "message" {
		var err error
		if channel, err = s.needed(t, "channel", set); err != nil {
			return providers.Ref{}, err
		}
		delete(set, "channel") // a message in an answer does not say where it is
	}
	if typ != "user" && typ != "team" {
		user, err := s.needed(t, "user", set)
		if err != nil {
			return providers.Ref{}, err
		}
		vars["user"] = user
	}
	vars["id"] = slackID(t, typ, set)
	if !hasTemplate("slack/" + typ) {
		return providers.Ref{}, fmt.Errorf("slack: object type %q: want channel, file, message, team or user", typ)
	}
	state, err := fill("slack/"+typ, vars, set)
	if err != nil {
		return providers.Ref{}, err
	}
	ref := providers.Ref{Type: typ, ID: fmt.Sprint(vars["id"])}
	if typ == "message" {
		ref.ID = channel + "/" + ref.ID
	}
	return ref, t.put(ref, slackPaths(ref, state), state)
}

// needed returns the ID of an object that another one cannot be without: the
// one that is named, or a new one.
func (s *slack) needed(t *tx, typ string, set fields) (string, error) {
	if id, ok := set[typ].(string); ok {
		_, err := t.live(providers.Ref{Type: typ, ID: id})
		return id, err
	}
	ref, err := s.create(t, typ, nil)
	return ref.ID, err
}

// slackID returns the identifier of a new object: of a message its ts.
func slackID(t *tx, typ string, set fields) string {
	name := "id"
	if typ == "message" {
		name = "ts"
	}
	if id, ok := set[name].(string); ok {
		return id
	}
	switch typ {
	case "team":
		return slackTeam
	case "message":
		return slackTS(t)
	default:
		return strings.ToUpper(typ[:1]) + "0" + t.p.ids.draw(typ, base36, 9)
	}
}

// slackTS returns a time that names something that happens now.
func slackTS(t *tx) string {
	return fmt.Sprintf("%d.%06d", t.now.Unix(), t.p.ids.next("ts")%1_000_000)
}

// slackMethods are the calls that return one object, by its type.
var slackMethods = map[string]string{
	"channel": "conversations.info", "file": "files.info", "message": "conversations.history", "team": "team.info", "user": "users.info",
}

// slackPaths says by which calls an object is found, as locate writes them.
func slackPaths(ref providers.Ref, state fields) []string {
	history := "/" + slackMethods[ref.Type] + "/" + ref.ID
	if ref.Type != "message" {
		return []string{history}
	}
	thread := "/conversations.replies/" + ref.ID
	if parent, _ := state["thread_ts"].(string); parent != "" && parent != state["ts"] {
		return []string{thread}
	}
	return []string{history, thread}
}

// parent is the channel of a message: with it goes all that was written in it.
func (*slack) parent(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) != 4 {
		return ""
	}
	return "/" + slackMethods["channel"] + "/" + parts[2]
}

func (s *slack) happen(t *tx, typ string, on providers.Ref, set fields) (occurrence, error) {
	typ = slackType(typ)
	event, known := slackEvents[typ]
	switch {
	case typ == slackLimited:
		return occurrence{Type: typ}, nil
	case !known:
		return occurrence{}, fmt.Errorf("slack: event type %q: want one such as message, channel_rename or %s", typ, slackLimited)
	}
	created := on.IsZero()
	if event.object == "message" && on.Type == "channel" {
		set = maps.Clone(set)
		if set == nil {
			set = fields{}
		}
		set["channel"], created = on.ID, true
	}
	if created {
		var err error
		if on, err = s.subject(t, event.object, set); err != nil {
			return occurrence{}, err
		}
		set = nil
	} else if on.Type != event.object {
		return occurrence{}, fmt.Errorf("slack: %s happens to objects of type %s, and %s is none", typ, event.object, on)
	}
	what, err := event.apply(t, occurrence{Type: typ, Ref: on}, created, set)
	if err == nil && event.removes {
		err = t.remove(on)
	}
	return what, err
}

// subject creates the object of an event. There is one workspace only.
func (s *slack) subject(t *tx, typ string, set fields) (providers.Ref, error) {
	if team := (providers.Ref{Type: "team", ID: slackTeam}); typ == team.Type && t.p.objects[team] != nil {
		return team, nil
	}
	return s.create(t, typ, set)
}

// apply changes the object as the event says, and returns it before and after.
func (e slackEvent) apply(t *tx, what occurrence, created bool, set fields) (occurrence, error) {
	var err error
	if what.Before, err = t.state(what.Ref); err != nil {
		return what, err
	}
	if created && e.effect == nil || e.removes {
		what.After = what.Before
		return what, nil
	}
	what.After, err = t.change(what.Ref, func(o fields) {
		if e.effect != nil {
			e.effect(o, slackTS(t))
		}
		maps.Copy(o, set)
	})
	return what, err
}

func (s *slack) webhook(t *tx, what occurrence) (webhook, error) {
	what.Type = slackType(what.Type)
	body := fields{"token": "SandboxVerificationToken", "team_id": slackTeam, "api_app_id": slackApp}
	id := "Ev0" + t.p.ids.draw("event", base36, 9)
	if what.Type == slackLimited {
		body["type"], body["minute_rate_limited"] = slackLimited, t.now.Truncate(time.Minute).Unix()
	} else {
		event, known := slackEvents[what.Type]
		if !known || what.Ref.Type != event.object {
			return webhook{}, fmt.Errorf("slack: %s is no event about %s", what.Type, what.Ref)
		}
		maps.Copy(body, slackEnvelope(t, id))
		body["event"] = slackInner(what, slackTS(t))
	}
	maps.Copy(body, what.Envelope)
	if what.Type == slackLimited { // which has no id of its own
		id = fmt.Sprintf("%s-%v-%v-%v", slackLimited, body["api_app_id"], body["team_id"], body["minute_rate_limited"])
	}
	raw, err := encode(body)
	if err != nil {
		return webhook{}, err
	}
	return webhook{
		ID:   id,
		Type: what.Type,
		Header: http.Header{
			"Accept":       {"*/*"},
			"Content-Type": {"application/json"},
			"User-Agent":   {"Slackbot 1.0 (+https://api.slack.com/robots)"},
		},
		Body: raw,
	}, nil
}

// slackEnvelope is what an event comes in, without the event.
func slackEnvelope(t *tx, id string) fields {
	return fields{
		"context_team_id":       slackTeam,
		"context_enterprise_id": nil,
		"type":                  "event_callback",
		"event_id":              id,
		"event_time":            t.now.Unix(),
		"authorizations": []any{fields{
			"enterprise_id": nil, "team_id": slackTeam, "user_id": "U0SANDBOX", "is_bot": true, "is_enterprise_install": false,
		}},
		"is_ext_shared_channel": false,
		"event_context":         "4-" + t.p.ids.draw("context", base62, 32),
	}
}
