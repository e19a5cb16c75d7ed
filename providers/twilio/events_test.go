package twilio_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
)

// eventIn reads the one event of r.
func eventIn(t testing.TB, r providers.Request) providers.Event {
	t.Helper()
	return providertest.OneEvent(t, open(t), r)
}

// with is a form of an account with further parameters.
func with(pairs ...string) providers.Request {
	form := url.Values{"AccountSid": {account}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return request(form.Encode())
}

func TestAStatusCallbackIsNamedByItsParameters(t *testing.T) {
	require.Equal(t, providers.Event{
		ID:         message + ":delivered",
		Type:       "message.delivered",
		Ref:        providers.Ref{Type: "message", ID: message, Account: account},
		APIVersion: "2010-04-01",
		Payload: []byte(`{"AccountSid":"` + account + `","ApiVersion":"2010-04-01","From":"+15017122661","MessageSid":"` + message +
			`","MessageStatus":"delivered","RawDlrDoneDate":"2601020304","SmsSid":"` + message + `","SmsStatus":"delivered","To":"+15558675310"}`),
		Fingerprint: providers.Fingerprint([]byte("AccountSid" + account + "ApiVersion2010-04-01From+15017122661MessageSid" + message +
			"MessageStatusdeliveredRawDlrDoneDate2601020304SmsSid" + message + "SmsStatusdeliveredTo+15558675310")),
	}, eventIn(t, request(delivered)))
}

func TestACallsCallbackIsNamedByItsNumberToo(t *testing.T) {
	got := eventIn(t, request(completed))
	require.Equal(t, call+":completed:3", got.ID)
	require.Equal(t, "call.completed", got.Type)
	require.Equal(t, providers.Ref{Type: "call", ID: call, Account: account}, got.Ref)
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), got.OccurredAt)
}

func TestEveryKindOfCallbackHasATypeAndAStableID(t *testing.T) {
	const hex = "0123456789abcdef0123456789abcdef"
	hashed := func(prefix string) string { return "^" + prefix + ":[0-9a-f]{40}$" }
	for name, c := range map[string]struct {
		request providers.Request
		typ, id string // id as a pattern
		ref     string
	}{
		"an incoming message":       {with("MessageSid", message, "SmsSid", message, "SmsStatus", "received", "Body", "hi"), "message.received", "^" + message + ":received$", "message/" + message},
		"an old message":            {with("SmsSid", message, "SmsStatus", "sent"), "message.sent", "^" + message + ":sent$", "message/" + message},
		"a message that failed":     {with("MessageSid", message, "MessageStatus", "undelivered", "ErrorCode", "30003"), "message.undelivered", "^" + message + ":undelivered:30003$", "message/" + message},
		"a message with pictures":   {with("MessageSid", "MM"+hex, "MessageStatus", "read"), "message.read", "^MM" + hex + ":read$", "message/MM" + hex},
		"a click in a message":      {with("MessageSid", message, "EventType", "click"), "message", hashed(message), "message/" + message},
		"an odd status":             {with("MessageSid", message, "MessageStatus", "on its way"), "message", hashed(message), "message/" + message},
		"an odd error":              {with("MessageSid", message, "MessageStatus", "failed", "ErrorCode", "x y"), "message.failed", "^" + message + ":failed$", "message/" + message},
		"an incoming call":          {with("CallSid", call, "CallStatus", "ringing", "Direction", "inbound"), "call.incoming", hashed(call + ":incoming"), "call/" + call},
		"a call that rings there":   {with("CallSid", call, "CallStatus", "ringing", "Direction", "outbound-api"), "call.ringing", hashed(call + ":ringing"), "call/" + call},
		"a call that rings here":    {with("CallSid", call, "CallStatus", "ringing", "Direction", "inbound", "CallbackSource", "call-progress-events", "SequenceNumber", "1"), "call.ringing", "^" + call + ":ringing:1$", "call/" + call},
		"a call that nobody took":   {with("CallSid", call, "CallStatus", "no-answer", "SequenceNumber", "0"), "call.no-answer", "^" + call + ":no-answer:0$", "call/" + call},
		"a call that failed":        {with("CallSid", call, "CallStatus", "failed", "SequenceNumber", "2", "ErrorCode", "13224"), "call.failed", "^" + call + ":failed:2:13224$", "call/" + call},
		"an answering machine":      {with("CallSid", call, "AnsweredBy", "machine_start"), "call", hashed(call), "call/" + call},
		"a number that is none":     {with("CallSid", call, "CallStatus", "busy", "SequenceNumber", "1x"), "call.busy", hashed(call + ":busy"), "call/" + call},
		"a recording of a call":     {with("RecordingSid", "RE"+hex, "RecordingStatus", "completed", "CallSid", call), "recording.completed", "^RE" + hex + ":completed$", "recording/RE" + hex},
		"what was recorded":         {with("RecordingSid", "RE"+hex, "CallSid", call, "CallStatus", "in-progress"), "recording", hashed("RE" + hex), "recording/RE" + hex},
		"a transcription":           {with("TranscriptionSid", "TR"+hex, "TranscriptionStatus", "completed", "RecordingSid", "RE"+hex), "transcription.completed", "^TR" + hex + ":completed$", "transcription/TR" + hex},
		"somebody joins":            {with("ConferenceSid", "CF"+hex, "CallSid", call, "StatusCallbackEvent", "participant-join", "SequenceNumber", "2"), "conference.participant-join", "^CF" + hex + ":participant-join:2$", "conference/CF" + hex},
		"an event of a chat":        {with("EventType", "onMessageAdded", "ConversationSid", "CH"+hex), "callback.onMessageAdded", hashed("callback"), ""},
		"something of another sort": {with("Sid", "NO"+hex, "Level", "ERROR"), "callback", hashed("callback"), ""},
		"JSON":                      {jsonRequest(document), "message.delivered", "^" + message + ":delivered$", "message/" + message},
		"a GET":                     {getRequest(delivered), "message.delivered", "^" + message + ":delivered$", "message/" + message},
	} {
		t.Run(name, func(t *testing.T) {
			got := eventIn(t, c.request)
			require.Equal(t, c.typ, got.Type)
			require.Regexp(t, c.id, got.ID)
			require.Equal(t, c.ref, got.Ref.String())
			require.Equal(t, got, eventIn(t, c.request))
			require.Equal(t, providers.ModeUnknown, got.Mode)
		})
	}
}

// One call asks for instructions again and again, with the same status.
func TestRequestsForInstructionsThatDifferAreDifferentEvents(t *testing.T) {
	gathered := func(digits string) string {
		return eventIn(t, with("CallSid", call, "CallStatus", "in-progress", "Digits", digits)).ID
	}
	first := gathered("1")
	require.NotEqual(t, first, gathered("2"))
	require.Equal(t, first, gathered("1"))
}

// Twilio sends a request again with the same parameters, and says so in a header
// that it does not sign.
func TestARetryIsTheSameEvent(t *testing.T) {
	again := request(delivered)
	again.Header.Set("I-Twilio-Idempotency-Token", "another")
	again.ReceivedAt = time.Now()
	require.Equal(t, eventIn(t, request(delivered)), eventIn(t, again))
}

// The order of the parameters and how often one is repeated are not signed.
func TestWhatIsNotSignedMakesNoDifference(t *testing.T) {
	pairs := strings.Split(delivered, "&")
	pairs = append(pairs[1:], pairs[0], pairs[0], pairs[2])
	require.Equal(t, eventIn(t, request(delivered)), eventIn(t, request(strings.Join(pairs, "&"))))
}

// Twilio puts nothing between names and values, so one signature fits them all.
func TestParametersWithOtherBordersHaveTheSameFingerprint(t *testing.T) {
	genuine := signed(with("MessageSid", message, "MessageStatus", "sent", "To", "+1"))
	redrawn := with("MessageSid", message, "MessageStatus", "s", "entTo+1", "")
	redrawn.Header = genuine.Header
	require.NoError(t, verify(t, redrawn, secret), "the scheme cannot tell")

	first, second := eventIn(t, genuine), eventIn(t, redrawn)
	require.NotEqual(t, first.ID, second.ID)
	require.Equal(t, first.Fingerprint, second.Fingerprint)
}

func TestRepeatedParametersAreListsInThePayload(t *testing.T) {
	got := eventIn(t, with("MessageSid", message, "MessageStatus", "sent", "Tag", "b", "Tag", "a", "Tag", "b", "Empty", ""))
	require.Equal(t, `{"AccountSid":"`+account+`","Empty":"","MessageSid":"`+message+`","MessageStatus":"sent","Tag":["a","b"]}`, string(got.Payload))
}

func TestABodyThatIsJSONIsThePayload(t *testing.T) {
	require.Nil(t, eventIn(t, jsonRequest(document)).Payload)
}

// The inbox keeps headers and a body; a GET's query is then the form.
func TestEventsAreReadFromTheInboxAsTheyCame(t *testing.T) {
	for name, r := range map[string]providers.Request{"a form": request(delivered), "a GET": getRequest(delivered), "JSON": jsonRequest(document)} {
		kept := providers.Request{Header: r.Header.Clone(), Body: r.Body, ReceivedAt: r.ReceivedAt}
		if r.Method == http.MethodGet {
			kept.Body = []byte(r.URL.RawQuery)
			kept.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		require.Equal(t, eventIn(t, r), eventIn(t, kept), name)
	}
}

func TestTheQueryOfAPOSTIsNotPartOfTheEvent(t *testing.T) {
	r := at(endpoint+"?MessageStatus=failed&AccountSid="+subaccount, request(delivered))
	require.Equal(t, eventIn(t, request(delivered)), eventIn(t, r))

	r.Body = nil
	_, err := open(t).Events(r)
	require.ErrorIs(t, err, providers.ErrMalformed)
}

func FuzzEvents(f *testing.F) {
	for _, r := range genuine() {
		f.Add(r.Header.Get("Content-Type"), r.URL.RawQuery, r.Body)
	}
	f.Add("application/json", "", []byte(`[{"AccountSid": null}]`))
	p := open(f)
	f.Fuzz(func(t *testing.T, media, query string, body []byte) {
		r := request(string(body))
		r.Method, r.URL.RawQuery = http.MethodGet, query
		r.Header.Set("Content-Type", media)
		events, err := p.Events(r)
		if err != nil {
			require.ErrorIs(t, err, providers.ErrMalformed)
			require.Empty(t, events)
			return
		}
		require.Len(t, events, 1)
		e := events[0]
		require.Regexp(t, `^[!-~]{1,200}$`, e.ID)
		require.Regexp(t, `^[a-z]+(\.[0-9A-Za-z._-]+)?$`, e.Type)
		require.Regexp(t, `^([A-Z]{2}[0-9a-fA-F]{32})?$`, e.Ref.ID)
		require.Equal(t, e.Ref.IsZero(), e.Ref.Account == "")
		require.NotEmpty(t, e.Fingerprint)
		if e.Payload != nil {
			require.True(t, json.Valid(e.Payload))
		}
	})
}
