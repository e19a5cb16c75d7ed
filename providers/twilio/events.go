package twilio

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// kind is a sort of object that Twilio sends callbacks about.
type kind struct {
	name       string
	sids       []string       // the parameters that may name it, the first that is there counts
	fits       *regexp.Regexp // its SIDs
	statuses   []string       // the parameters that may say what became of it
	collection string         // where the API has it below its account
	// sequenced says that a status can be told of more than once. SequenceNumber
	// then numbers the callbacks, as far as Twilio sends it.
	sequenced bool
}

// kinds are the sorts of objects, the most special first: a callback about a
// recording also names its call. The parameters are those of
// twilio.com/docs/messaging/guides/webhook-request,
// …/messaging/guides/outbound-message-status-in-status-callbacks,
// …/voice/twiml (TwiML requests), …/voice/api/call-resource#statuscallback,
// …/voice/api/recording#recordingstatuscallback and …/voice/twiml/conference.
var kinds = []kind{
	{
		name: "transcription", sids: []string{"TranscriptionSid"}, fits: sids("TR"),
		statuses: []string{"TranscriptionStatus"}, collection: "Transcriptions",
	},
	{
		name: "recording", sids: []string{"RecordingSid"}, fits: sids("RE"),
		statuses: []string{"RecordingStatus"}, collection: "Recordings",
	},
	{
		name: "conference", sids: []string{"ConferenceSid"}, fits: sids("CF"),
		statuses: []string{"StatusCallbackEvent"}, collection: "Conferences", sequenced: true,
	},
	{
		name: "message", sids: []string{"MessageSid", "SmsSid"}, fits: sids("SM|MM"),
		statuses: []string{"MessageStatus", "SmsStatus"}, collection: "Messages",
	},
	{
		name: "call", sids: []string{"CallSid"}, fits: sids("CA"),
		statuses: []string{"CallStatus"}, collection: "Calls", sequenced: true,
	},
}

func sids(prefixes string) *regexp.Regexp {
	return regexp.MustCompile(`^(?:` + prefixes + `)[0-9a-fA-F]{32}$`)
}

// What else an event is named by. What does not fit is left out of its type and
// id, and the hash stands in.
var (
	words    = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z._-]{0,59}$`)
	numbers  = regexp.MustCompile(`^[0-9]{1,9}$`)
	versions = regexp.MustCompile(`^[0-9A-Za-z._-]{1,40}$`)
)

// unlisted is the type of an event about none of the kinds.
const unlisted = "callback"

// incoming is what we call the status of a call that waits for instructions.
const incoming = "incoming"

// Events returns the one event of a webhook. Its type is the kind of its object
// and the status, such as "message.delivered" and "call.completed". An incoming
// message has the status "received"; the request that an incoming call makes for
// its instructions is "call.incoming". What is about none of the kinds is a
// "callback", with the EventType where there is one.
//
// The id is made of the SID, the status, the error's code and, for calls and
// conferences, the number of the callback. Where one of them is missing, as in the
// many requests for instructions that one call can make, a hash of the parameters
// takes its place. Twilio repeats a request with the same parameters.
//
// OccurredAt is the Timestamp, which callbacks of calls and conferences have. The
// RawDlrDoneDate of a message is not used: its time zone "varies between carrier
// partners and even within the same carrier" (Twilio's changelog of 2023-02-14).
func (p *Provider) Events(r providers.Request) ([]providers.Event, error) {
	e, err := event(r)
	if err != nil {
		return nil, fmt.Errorf("%s: read event: %w", name, err)
	}
	return []providers.Event{e}, nil
}

func event(r providers.Request) (providers.Event, error) {
	sent, payload, signed, err := read(r)
	if err != nil {
		return providers.Event{}, err
	}
	found, err := sent.facts()
	if err != nil {
		return providers.Event{}, err
	}
	if !accountSIDs.MatchString(found["AccountSid"]) {
		return providers.Event{}, fmt.Errorf("%w: AccountSid is missing or unreadable", providers.ErrMalformed)
	}
	e := providers.Event{
		OccurredAt:  moment(found["Timestamp"]),
		Payload:     payload,
		Fingerprint: providers.Fingerprint(signed),
	}
	if versions.MatchString(found["ApiVersion"]) {
		e.APIVersion = found["ApiVersion"]
	}
	err = nameEvent(&e, found)
	return e, err
}

// facts are the parameters that events are named by.
type facts map[string]string

// looked are the parameters that facts holds besides those of the kinds.
var looked = []string{
	"AccountSid", "ApiVersion", "CallbackSource", "Direction", "ErrorCode", "EventType", "SequenceNumber", "Timestamp",
}

func (p params) facts() (facts, error) {
	found := facts{}
	take := func(names []string) error {
		for _, name := range names {
			value, err := p.one(name)
			if err != nil {
				return err
			}
			found[name] = value
		}
		return nil
	}
	if err := take(looked); err != nil {
		return nil, err
	}
	for _, k := range kinds {
		for _, names := range [][]string{k.sids, k.statuses} {
			if err := take(names); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// first returns the first of the parameters that is there.
func (f facts) first(names []string) string {
	for _, name := range names {
		if f[name] != "" {
			return f[name]
		}
	}
	return ""
}

// nameEvent sets the id, the type and the ref.
func nameEvent(e *providers.Event, found facts) error {
	for _, k := range kinds {
		sid := found.first(k.sids)
		if sid == "" {
			continue
		}
		if !k.fits.MatchString(sid) {
			return fmt.Errorf("%w: unreadable SID of a %s", providers.ErrMalformed, k.name)
		}
		status := k.status(found)
		e.Type = dotted(k.name, status)
		e.ID = k.eventID(sid, status, found, e.Fingerprint)
		e.Ref = providers.Ref{Type: k.name, ID: sid, Account: found["AccountSid"]}
		return nil
	}
	e.Type = dotted(unlisted, word(found["EventType"]))
	e.ID = unlisted + ":" + e.Fingerprint
	return nil
}

// status returns what became of the object, or nothing where that is not told in
// a word. A call rings on both of its ends; the request for instructions is told
// from a callback by CallbackSource, which only callbacks have.
func (k kind) status(found facts) string {
	status := word(found.first(k.statuses))
	if k.name == "call" && status == "ringing" && found["Direction"] == "inbound" && found["CallbackSource"] == "" {
		return incoming
	}
	return status
}

func (k kind) eventID(sid, status string, found facts, fingerprint string) string {
	parts := []string{sid}
	if status != "" {
		parts = append(parts, status)
	}
	number := found["SequenceNumber"]
	switch {
	case status == "", k.sequenced && !numbers.MatchString(number):
		return strings.Join(append(parts, fingerprint), ":")
	case k.sequenced:
		parts = append(parts, number)
	}
	if numbers.MatchString(found["ErrorCode"]) {
		parts = append(parts, found["ErrorCode"])
	}
	return strings.Join(parts, ":")
}

func word(text string) string {
	if !words.MatchString(text) {
		return ""
	}
	return text
}

func dotted(kind, word string) string {
	if word == "" {
		return kind
	}
	return kind + "." + word
}

// moment reads a time of Twilio's, which is written as in RFC 2822. It is zero for
// everything else.
func moment(text string) time.Time {
	t, err := time.Parse("Mon, 2 Jan 2006 15:04:05 -0700", text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
