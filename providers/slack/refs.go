package slack

import (
	"cmp"
	"errors"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// The types of refs. A message has no id of its own: its ref's is the channel's
// and the message's ts, which is unique within the channel, as in
// "C0123ABCD/1355517523.000005".
const (
	channelRef = "channel"
	userRef    = "user"
	messageRef = "message"
	fileRef    = "file"
	teamRef    = "team"
)

// inner is the event within the envelope. Members stay raw: between the types
// of events the same name stands for an id, for an object, or for nothing we
// know, and no event of an unknown type may fail for that.
type inner struct {
	Type         string         `json:"type"`
	Subtype      jsontext.Value `json:"subtype"`
	Channel      jsontext.Value `json:"channel"` // id or object
	ChannelID    jsontext.Value `json:"channel_id"`
	NewChannelID jsontext.Value `json:"new_channel_id"`
	TS           jsontext.Value `json:"ts"`
	DeletedTS    jsontext.Value `json:"deleted_ts"`
	Message      jsontext.Value `json:"message"` // the one that was changed
	Item         jsontext.Value `json:"item"`    // what was reacted to, or pinned
	User         jsontext.Value `json:"user"`    // id or object
	FileID       jsontext.Value `json:"file_id"`
	File         jsontext.Value `json:"file"` // object
}

// subjects says what the types of events are about
// (https://docs.slack.dev/reference/events). Other types are about nothing that
// can be fetched.
var subjects = map[string]func(inner) providers.Ref{
	"message":          inner.message,
	"app_mention":      inner.message,
	"reaction_added":   inner.item,
	"reaction_removed": inner.item,
	"pin_added":        inner.item,
	"pin_removed":      inner.item,

	"channel_archive":         inner.channel,
	"channel_created":         inner.channel,
	"channel_deleted":         inner.channel,
	"channel_history_changed": inner.channel,
	"channel_id_changed":      inner.channel,
	"channel_left":            inner.channel,
	"channel_rename":          inner.channel,
	"channel_shared":          inner.channel,
	"channel_unarchive":       inner.channel,
	"channel_unshared":        inner.channel,
	"group_archive":           inner.channel,
	"group_close":             inner.channel,
	"group_deleted":           inner.channel,
	"group_history_changed":   inner.channel,
	"group_left":              inner.channel,
	"group_open":              inner.channel,
	"group_rename":            inner.channel,
	"group_unarchive":         inner.channel,
	"im_close":                inner.channel,
	"im_created":              inner.channel,
	"im_history_changed":      inner.channel,
	"im_open":                 inner.channel,
	"member_joined_channel":   inner.channel,
	"member_left_channel":     inner.channel,

	"team_join":            inner.user,
	"user_change":          inner.user,
	"user_huddle_changed":  inner.user,
	"user_profile_changed": inner.user,
	"user_status_changed":  inner.user,

	"file_change":   inner.file,
	"file_created":  inner.file,
	"file_deleted":  inner.file,
	"file_public":   inner.file,
	"file_shared":   inner.file,
	"file_unshared": inner.file,

	"email_domain_changed": inner.team,
	"team_domain_change":   inner.team,
	"team_rename":          inner.team,
}

// ref names the object that the event is about, in the workspace team.
func (in inner) ref(team string) (providers.Ref, error) {
	subject := subjects[in.Type]
	if subject == nil {
		return providers.Ref{}, nil
	}
	ref := subject(in)
	if ref.Type == teamRef {
		ref.ID = team
	}
	if !ref.IsZero() && !kinds[ref.Type].id.MatchString(ref.ID) {
		return providers.Ref{}, errors.New("event names its " + ref.Type + " by no id")
	}
	return ref, nil
}

// message is the one that was written, changed or deleted, not the note that
// says so, which has a ts as well.
func (in inner) message() providers.Ref {
	ts := cmp.Or(text(in.DeletedTS), text(member(in.Message, "ts")), text(in.TS))
	return providers.Ref{Type: messageRef, ID: text(in.Channel) + "/" + ts}
}

func (in inner) channel() providers.Ref {
	return providers.Ref{Type: channelRef, ID: cmp.Or(text(in.NewChannelID), idOf(in.Channel))}
}

func (in inner) user() providers.Ref { return providers.Ref{Type: userRef, ID: idOf(in.User)} }

func (in inner) file() providers.Ref {
	return providers.Ref{Type: fileRef, ID: cmp.Or(text(in.FileID), idOf(in.File))}
}

func (inner) team() providers.Ref { return providers.Ref{Type: teamRef} }

// item is what an event points to: a message or a file, if nothing newer. A
// pinned message comes whole.
func (in inner) item() providers.Ref {
	switch text(member(in.Item, "type")) {
	case "message", "": // without a type it has to look like a message
		channel := cmp.Or(text(member(in.Item, "channel")), text(in.ChannelID))
		ts := cmp.Or(text(member(in.Item, "ts")), text(member(member(in.Item, "message"), "ts")))
		return providers.Ref{Type: messageRef, ID: channel + "/" + ts}
	case "file", "file_comment":
		return providers.Ref{Type: fileRef, ID: cmp.Or(text(member(in.Item, "file_id")), idOf(member(in.Item, "file")))}
	default:
		return providers.Ref{}
	}
}

// idOf returns an id that stands alone or within its object.
func idOf(v jsontext.Value) string { return cmp.Or(text(v), text(member(v, "id"))) }

// text returns a string, or nothing when v is none.
func text(v jsontext.Value) string {
	if v.Kind() != jsontext.KindString {
		return ""
	}
	unquoted, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return ""
	}
	return string(unquoted)
}

// member returns one member of an object, or nothing when v is none.
func member(v jsontext.Value, name string) jsontext.Value {
	var members map[string]jsontext.Value
	if v.Kind() != jsontext.KindBeginObject || providers.ReadJSON(v, &members) != nil {
		return nil
	}
	return members[name]
}

// kind is how objects of a type are named and fetched.
type kind struct {
	id   *regexp.Regexp
	call func(id string) string  // the API path that returns one
	gone []string                // the errors by which Slack says that there is none
	pick func(answer) rawObjects // where the answer has it
}

// rawObjects are what an answer holds: one, but for messages.
type rawObjects []jsontext.Value

// kinds are the objects that can be fetched. The patterns keep ids from leading
// to another call.
var kinds = map[string]kind{
	channelRef: {
		id:   regexp.MustCompile(`^[CDG][0-9A-Z]{1,40}$`),
		call: query("conversations.info", "channel"),
		gone: []string{"channel_not_found"},
		pick: func(a answer) rawObjects { return rawObjects{a.Channel} },
	},
	userRef: {
		id:   regexp.MustCompile(`^[UW][0-9A-Z]{1,40}$`),
		call: query("users.info", "user"),
		gone: []string{"user_not_found"},
		pick: func(a answer) rawObjects { return rawObjects{a.User} },
	},
	messageRef: {
		id:   regexp.MustCompile(`^[CDG][0-9A-Z]{1,40}/[0-9]{1,20}\.[0-9]{1,10}$`),
		call: historyCall,
		gone: []string{"channel_not_found", "message_not_found", "thread_not_found"},
		pick: func(a answer) rawObjects { return a.Messages },
	},
	fileRef: {
		id:   regexp.MustCompile(`^F[0-9A-Z]{1,40}$`),
		call: query("files.info", "file"),
		gone: []string{"file_not_found", "file_deleted"},
		pick: func(a answer) rawObjects { return rawObjects{a.File} },
	},
	teamRef: {
		id:   teamID,
		call: query("team.info", "team"),
		gone: []string{"team_not_found"},
		pick: func(a answer) rawObjects { return rawObjects{a.Team} },
	},
}

func query(method, parameter string) func(string) string {
	return func(id string) string { return "/" + method + "?" + parameter + "=" + id }
}

// historyCall asks for the one message of a channel with that ts
// (https://docs.slack.dev/messaging/retrieving-messages).
func historyCall(id string) string {
	channel, ts, _ := strings.Cut(id, "/")
	return "/conversations.history?channel=" + channel + "&inclusive=true&latest=" + ts + "&limit=1&oldest=" + ts
}

// repliesCall asks for the same within the message's thread, which a history
// leaves out. It may be called with the ts of any message of the thread
// (https://docs.slack.dev/reference/methods/conversations.replies), and returns
// the first one as well.
func repliesCall(id string) string {
	channel, ts, _ := strings.Cut(id, "/")
	return "/conversations.replies?channel=" + channel + "&inclusive=true&latest=" + ts + "&oldest=" + ts + "&ts=" + ts
}
