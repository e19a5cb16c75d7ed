package sandbox

import (
	"maps"
	"strings"
)

// slackLimited is the one event without an object and an envelope of its own.
const slackLimited = "app_rate_limited"

// slackEvent is what an event type means.
type slackEvent struct {
	object  string                      // the type of what it is about
	effect  func(o fields, now string)  // on the object's members, if any
	removes bool                        // the object is gone then
	inner   func(slackHappening) fields // what the event says of it
}

// slackHappening is what an inner event is written from.
type slackHappening struct {
	id            string // the object's; of a message the channel's
	ts            string // of a message
	now           string
	before, after fields
}

var slackEvents = map[string]slackEvent{
	"message":                 {object: "message", inner: slackWritten},
	"message.message_changed": {object: "message", effect: slackEdit, inner: slackChanged},
	"message.message_deleted": {object: "message", removes: true, inner: slackRemoved},
	"app_mention":             {object: "message", inner: slackMention},
	"reaction_added":          {object: "message", effect: slackReact, inner: slackReaction},
	"reaction_removed":        {object: "message", effect: func(o fields, _ string) { delete(o, "reactions") }, inner: slackReaction},

	"channel_archive":       {object: "channel", effect: slackSet("is_archived", true), inner: slackChannelID},
	"channel_created":       {object: "channel", inner: slackChannel},
	"channel_deleted":       {object: "channel", removes: true, inner: slackChannelID},
	"channel_rename":        {object: "channel", effect: slackRename, inner: slackChannel},
	"channel_unarchive":     {object: "channel", effect: slackSet("is_archived", false), inner: slackChannelID},
	"member_joined_channel": {object: "channel", inner: slackMember},
	"member_left_channel":   {object: "channel", inner: slackMember},

	"team_join":   {object: "user", inner: slackUser},
	"user_change": {object: "user", effect: slackStatus, inner: slackUser},

	"file_change":  {object: "file", effect: slackSet("title", "Report, second edition"), inner: slackFile},
	"file_created": {object: "file", inner: slackFile},
	"file_deleted": {object: "file", removes: true, inner: slackFileGone},
	"file_public":  {object: "file", effect: slackSet("is_public", true), inner: slackFile},
	"file_shared":  {object: "file", inner: slackFile},

	"team_rename": {object: "team", effect: slackSet("name", "Sandbox & Sons"), inner: slackTeamName},
}

// slackType is the full type of an event: messages have subtypes, which Slack
// lists under their own names.
func slackType(typ string) string {
	if strings.HasPrefix(typ, "message_") {
		return "message." + typ
	}
	return typ
}

func (*slack) knows(typ string) bool {
	typ = slackType(typ)
	_, listed := slackEvents[typ]
	return listed || typ == slackLimited
}

func slackSet(name string, value any) func(fields, string) {
	return func(o fields, _ string) { o[name] = value }
}

func slackEdit(o fields, now string) {
	o["text"] = "Is the build green again?"
	o["edited"] = fields{"user": o["user"], "ts": now}
}

func slackReact(o fields, _ string) {
	o["reactions"] = []any{fields{"name": "thumbsup", "users": []any{o["user"]}, "count": 1}}
}

func slackRename(o fields, _ string) {
	former, _ := o["name"].(string)
	o["previous_names"] = []any{former}
	o["name"], o["name_normalized"] = former+"-renamed", former+"-renamed"
}

func slackStatus(o fields, _ string) {
	if profile, ok := o["profile"].(fields); ok {
		profile["status_text"], profile["status_emoji"] = "In a meeting", ":spiral_calendar_pad:"
	}
}

// slackInner is the event within the envelope.
func slackInner(what occurrence, now string) fields {
	h := slackHappening{id: what.Ref.ID, now: now, before: what.Before, after: what.After}
	h.id, h.ts, _ = strings.Cut(what.Ref.ID, "/")
	inner := slackEvents[what.Type].inner(h)
	inner["type"], _, _ = strings.Cut(what.Type, ".")
	inner["event_ts"] = now
	return inner
}

func slackWritten(h slackHappening) fields {
	inner := maps.Clone(h.after)
	inner["channel"], inner["channel_type"] = h.id, "channel"
	return inner
}

func slackMention(h slackHappening) fields {
	inner := maps.Clone(h.after)
	inner["channel"] = h.id
	return inner
}

func slackChanged(h slackHappening) fields {
	return fields{
		"subtype": "message_changed", "hidden": true, "channel": h.id, "channel_type": "channel", "ts": h.now,
		"message": h.after, "previous_message": h.before,
	}
}

func slackRemoved(h slackHappening) fields {
	return fields{
		"subtype": "message_deleted", "hidden": true, "channel": h.id, "channel_type": "channel", "ts": h.now,
		"deleted_ts": h.ts, "previous_message": h.after,
	}
}

func slackReaction(h slackHappening) fields {
	return fields{
		"user": h.after["user"], "reaction": "thumbsup", "item_user": h.after["user"],
		"item": fields{"type": "message", "channel": h.id, "ts": h.ts},
	}
}

func slackChannel(h slackHappening) fields {
	channel := fields{}
	for _, name := range []string{"id", "name", "name_normalized", "created", "creator", "is_channel", "context_team_id"} {
		channel[name] = h.after[name]
	}
	return fields{"channel": channel}
}

func slackChannelID(h slackHappening) fields {
	return fields{"channel": h.id, "user": h.after["creator"]}
}

func slackMember(h slackHappening) fields {
	return fields{"channel": h.id, "channel_type": "C", "user": h.after["creator"], "team": slackTeam}
}

func slackUser(h slackHappening) fields {
	return fields{"user": h.after, "cache_ts": h.after["updated"]}
}

func slackFile(h slackHappening) fields {
	return fields{"file_id": h.id, "user_id": h.after["user"], "file": fields{"id": h.id}}
}

func slackFileGone(h slackHappening) fields { return fields{"file_id": h.id} }

func slackTeamName(h slackHappening) fields {
	return fields{"name": h.after["name"], "team_id": slackTeam}
}
