package sandbox

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// twilioKind describes one type of Twilio's objects.
type twilioKind struct {
	collection string   // where below its account the API has them
	prefix     string   // of their SIDs
	statuses   []string // that there are callbacks for
}

var twilioKinds = map[string]twilioKind{
	"message": {"Messages", "SM", []string{
		"accepted", "scheduled", "queued", "sending", "sent", "delivered", "undelivered", "failed", "read", "canceled", "received",
	}},
	"call": {"Calls", "CA", []string{
		"incoming", "initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled",
	}},
	"recording":  {"Recordings", "RE", []string{"in-progress", "completed", "absent", "failed"}},
	"conference": {"Conferences", "CF", []string{"conference-start", "participant-join", "participant-leave", "conference-end"}},
}

// splitTwilioType reads "message.delivered".
func splitTwilioType(typ string) (kind, status string) {
	kind, status, _ = strings.Cut(typ, ".")
	return kind, status
}

func (twilio) knows(typ string) bool {
	kind, status := splitTwilioType(typ)
	return slices.Contains(twilioKinds[kind].statuses, status)
}

// twilioStatus is what an object's status is called. Only we call a call that
// waits for instructions incoming: it rings. Of a conference the callbacks tell
// events, and no statuses.
func twilioStatus(status string) string {
	switch status {
	case "incoming":
		return "ringing"
	case "conference-start", "participant-join", "participant-leave":
		return "in-progress"
	case "conference-end":
		return "completed"
	default:
		return status
	}
}

// twilioEffects says what an event type means for its object besides its status.
var twilioEffects = map[string]func(o fields, now string){
	"message.received":    func(o fields, now string) { turned(o, "inbound"); o["date_sent"] = now },
	"message.sent":        func(o fields, now string) { o["date_sent"] = now },
	"message.delivered":   func(o fields, now string) { sentBy(o, now); o["price"] = "-0.00790" },
	"message.read":        sentBy,
	"message.undelivered": func(o fields, now string) { sentBy(o, now); failedWith(o, 30003, "Unreachable destination handset") },
	"message.failed":      func(o fields, _ string) { failedWith(o, 30007, "Carrier violation") },
	"call.incoming":       func(o fields, _ string) { turned(o, "inbound") },
	"call.in-progress":    func(o fields, now string) { o["start_time"] = now },
	"call.completed":      func(o fields, now string) { ended(o, now); o["duration"], o["price"] = "12", "-0.01400" },
	"call.busy":           ended,
	"call.failed":         ended,
	"call.no-answer":      ended,
	"call.canceled":       ended,
	"recording.completed": func(o fields, _ string) { o["duration"], o["price"] = "11", "-0.00250" },
	"recording.absent":    func(o fields, _ string) { o["error_code"] = 16101 },
	"recording.failed":    func(o fields, _ string) { o["error_code"] = 16104 },

	"conference.conference-end": func(o fields, _ string) { o["reason_conference_ended"] = "last-participant-left" },
}

func sentBy(o fields, now string) {
	if o["date_sent"] == nil {
		o["date_sent"] = now
	}
}

func failedWith(o fields, code int, message string) {
	o["error_code"], o["error_message"] = code, message
}

func ended(o fields, now string) {
	if o["start_time"] == nil {
		o["start_time"] = now
	}
	o["end_time"] = now
}

// turned lets an object go in the other direction than the one it was made for.
func turned(o fields, direction string) {
	if o["direction"] != direction {
		o["direction"], o["from"], o["to"] = direction, o["to"], o["from"]
	}
}

// twilioParameters makes a webhook's parameters from the object's members.
var twilioParameters = map[string]func(t *tx, status string, o fields) url.Values{
	"message": messageParameters, "call": callParameters, "recording": recordingParameters, "conference": conferenceParameters,
}

func twilioForm(o fields, pairs ...string) url.Values {
	form := url.Values{"AccountSid": {plain(o["account_sid"])}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

func messageParameters(t *tx, status string, o fields) url.Values {
	sid := plain(o["sid"])
	form := twilioForm(o, "ApiVersion", "2010-04-01", "MessageSid", sid, "SmsSid", sid, "SmsStatus", status,
		"From", plain(o["from"]), "To", plain(o["to"]))
	if status == "received" {
		places(form, "From", "To")
		form.Set("SmsMessageSid", sid)
		for name, member := range map[string]string{"Body": "body", "NumMedia": "num_media", "NumSegments": "num_segments"} {
			form.Set(name, plain(o[member]))
		}
		return form
	}
	form.Set("MessageStatus", status)
	if o["error_code"] != nil {
		form.Set("ErrorCode", plain(o["error_code"]))
	}
	if status == "delivered" || status == "undelivered" {
		form.Set("RawDlrDoneDate", t.now.UTC().Format("0601021504"))
	}
	return form
}

func callParameters(t *tx, status string, o fields) url.Values {
	sid := plain(o["sid"])
	from, to := plain(o["from"]), plain(o["to"])
	form := twilioForm(o, "ApiVersion", "2010-04-01", "CallSid", sid, "CallStatus", twilioStatus(status),
		"Direction", plain(o["direction"]), "From", from, "Caller", from, "To", to, "Called", to)
	places(form, "From", "Caller", "To", "Called")
	if status == "incoming" {
		return form
	}
	form.Set("CallbackSource", "call-progress-events")
	form.Set("SequenceNumber", t.twilioSequence(sid))
	form.Set("Timestamp", twilioTime(t.now))
	if status == "completed" {
		form.Set("CallDuration", plain(o["duration"]))
		form.Set("Duration", "1") // in minutes that are billed
		form.Set("SipResponseCode", "200")
	}
	return form
}

func recordingParameters(_ *tx, status string, o fields) url.Values {
	form := twilioForm(o, "RecordingSid", plain(o["sid"]), "RecordingStatus", status, "CallSid", plain(o["call_sid"]),
		"RecordingChannels", plain(o["channels"]), "RecordingSource", plain(o["source"]), "RecordingTrack", "both",
		"RecordingStartTime", plain(o["start_time"]), "ErrorCode", "0")
	if o["error_code"] != nil {
		form.Set("ErrorCode", plain(o["error_code"]))
	}
	if status == "completed" {
		form.Set("RecordingDuration", plain(o["duration"]))
		form.Set("RecordingUrl", plain(o["media_url"]))
	}
	return form
}

func conferenceParameters(t *tx, event string, o fields) url.Values {
	sid := plain(o["sid"])
	return twilioForm(o, "ConferenceSid", sid, "FriendlyName", plain(o["friendly_name"]), "StatusCallbackEvent", event,
		"SequenceNumber", t.twilioSequence(sid), "Timestamp", twilioTime(t.now))
}

// twilioSequence numbers an object's callbacks from 0.
func (t *tx) twilioSequence(sid string) string {
	return strconv.FormatUint(t.p.ids.next("sequence of "+sid)-1, 10)
}

// places adds where the numbers are from, as far as Twilio knows; it sends the
// parameters empty where it does not.
func places(form url.Values, sides ...string) {
	for _, side := range sides {
		form.Set(side+"Country", "US")
		for _, part := range []string{"City", "State", "Zip"} {
			form.Set(side+part, "")
		}
	}
}
