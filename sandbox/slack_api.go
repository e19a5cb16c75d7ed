package sandbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// slackAnswer is one of the Web API: its status is 200 whatever has happened.
func slackAnswer(status int, body fields) *answer {
	return jsonAnswer(status, "application/json; charset=utf-8", body)
}

func slackError(code string) *answer {
	return slackAnswer(http.StatusOK, fields{"ok": false, "error": code})
}

// locate returns the path of the object that a call names by its parameters:
// its method, and the object's ID.
func (*slack) locate(r *http.Request) string {
	method, q := slackMethod(r), r.URL.Query()
	switch method {
	case "conversations.info":
		return "/" + method + "/" + q.Get("channel")
	case "conversations.history":
		return "/" + method + "/" + q.Get("channel") + "/" + q.Get("latest")
	case "conversations.replies":
		return "/" + method + "/" + q.Get("channel") + "/" + q.Get("ts")
	case "users.info":
		return "/" + method + "/" + q.Get("user")
	case "files.info":
		return "/" + method + "/" + q.Get("file")
	case "team.info":
		return "/" + method + "/" + q.Get("team")
	default:
		return r.URL.Path
	}
}

// slackMethod is the method that is called, with or without the /api of Slack's
// own address.
func slackMethod(r *http.Request) string {
	return strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api"), "/")
}

func (*slack) refuse(r *http.Request, key string) *answer {
	given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case bearer && given == key && key != "":
		return nil
	case given == "":
		return slackError("not_authed")
	default:
		return slackError("invalid_auth")
	}
}

func (s *slack) object(r *http.Request, o *Object) *answer {
	switch method := slackMethod(r); method {
	case "conversations.info":
		return slackOne("channel", o, "channel_not_found", "channel_not_found")
	case "users.info":
		return slackOne("user", o, "user_not_found", "user_not_found")
	case "files.info":
		return slackOne("file", o, "file_not_found", "file_deleted")
	case "team.info":
		return slackOne("team", o, "team_not_found", "team_not_found")
	case "conversations.history", "conversations.replies":
		return s.messages(r, method, o)
	default:
		return slackAnswer(http.StatusOK, fields{"ok": false, "error": "unknown_method", "req_method": method})
	}
}

// slackOne answers with an object, under its name.
func slackOne(name string, o *Object, unknown, deleted string) *answer {
	switch {
	case o == nil:
		return slackError(unknown)
	case o.Deleted:
		return slackError(deleted)
	default:
		return slackAnswer(http.StatusOK, fields{"ok": true, name: json.RawMessage(o.body)})
	}
}

// messages answers with a message. A history that lacks it is no error; of a
// thread the first message comes as well.
func (s *slack) messages(r *http.Request, method string, o *Object) *answer {
	channel := r.URL.Query().Get("channel")
	in, known := s.platform.Object(providers.Ref{Type: "channel", ID: channel})
	if !known || in.Deleted {
		return slackError("channel_not_found")
	}
	found := []json.RawMessage{}
	switch {
	case o != nil && !o.Deleted:
		found = append(s.first(method, channel, o), o.body)
	case method == "conversations.replies":
		return slackError("thread_not_found")
	}
	return slackAnswer(http.StatusOK, fields{"ok": true, "messages": found, "has_more": false})
}

// first returns the message that a reply's thread begins with.
func (s *slack) first(method, channel string, reply *Object) []json.RawMessage {
	var state struct {
		TS       string `json:"ts"`
		ThreadTS string `json:"thread_ts"`
	}
	if method != "conversations.replies" || json.Unmarshal(reply.State, &state) != nil || state.ThreadTS == state.TS {
		return nil
	}
	parent, known := s.platform.Object(providers.Ref{Type: "message", ID: channel + "/" + state.ThreadTS})
	if !known || parent.Deleted {
		return nil
	}
	return []json.RawMessage{parent.body}
}

func (*slack) fault(f APIFault, _ time.Time) *answer {
	var a *answer
	switch f.Kind {
	case FaultRateLimit:
		a = slackAnswer(http.StatusTooManyRequests, fields{"ok": false, "error": "ratelimited"})
	case FaultErrorIn200:
		a = slackError(cmp.Or(f.Reason, "internal_error"))
	default:
		a = slackAnswer(orDefault(f.Status, http.StatusInternalServerError), fields{"ok": false, "error": "internal_error"})
	}
	addRetryAfter(a.header, f)
	return a
}

func (*slack) sign(h http.Header, call callInfo) {
	h.Set("Server", "Apache")
	h.Set("X-Slack-Req-Id", fmt.Sprintf("%032x", call.Number))
}
