package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/surehook/surehook/providers"
)

// The numbers of messages on a page of a history.
const (
	slackPage    = 100
	slackMaxPage = 999
)

// list answers a call for what was written in a channel. One for a single message,
// by its ts, is answered as for an object.
func (*slack) list(t *tx, r *http.Request, _ []byte) (*answer, bool) {
	q := r.URL.Query()
	if slackMethod(r) != "conversations.history" || q.Get("latest") != "" {
		return nil, false
	}
	channel := providers.Ref{Type: "channel", ID: q.Get("channel")}
	if in := t.p.objects[channel]; in == nil || in.Deleted {
		return slackError("channel_not_found"), true
	}
	before, err := base64.RawURLEncoding.DecodeString(q.Get("cursor"))
	if err != nil {
		return slackError("invalid_cursor"), true
	}
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 {
		limit = slackPage
	}
	history := slackHistory(t, channel.ID, q.Get("oldest"), string(before))
	answer := fields{"ok": true, "has_more": false, "pin_count": 0, "response_metadata": fields{"next_cursor": ""}}
	if limit = min(limit, slackMaxPage); len(history) > limit {
		history = history[:limit]
		next := base64.RawURLEncoding.EncodeToString([]byte(slackTime(history[limit-1])))
		answer["has_more"], answer["response_metadata"] = true, fields{"next_cursor": next}
	}
	messages := []json.RawMessage{}
	for _, o := range history {
		messages = append(messages, o.body)
	}
	answer["messages"] = messages
	return slackAnswer(http.StatusOK, answer), true
}

// slackHistory returns the messages of a channel from oldest on and before the
// other, the newest first, without the replies in threads.
func slackHistory(t *tx, channel, oldest, before string) []*Object {
	var history []*Object
	for _, o := range t.p.objects {
		ts := slackTime(o)
		in, _, _ := strings.Cut(o.Ref.ID, "/")
		if o.Ref.Type != "message" || in != channel || o.Deleted || ts < oldest || before != "" && ts >= before {
			continue
		}
		if thread := member(o, "thread_ts"); thread == "" || thread == ts {
			history = append(history, o)
		}
	}
	slices.SortFunc(history, func(a, b *Object) int { return strings.Compare(slackTime(b), slackTime(a)) })
	return history
}

// slackTime is a message's ts. They have equally many digits until the year 2286.
func slackTime(o *Object) string {
	_, ts, _ := strings.Cut(o.Ref.ID, "/")
	return ts
}
