package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/twilio"
	"github.com/surehook/surehook/sandbox"
)

const (
	twilioSecret     = "5e8f1c2a7b9d40363f2e1d0c9b8a7654"
	twilioSubaccount = "AC00000000000000000000000000000002"
)

// twilioWorld is Twilio's sandbox that is being served, with the real provider
// pointed at it.
type twilioWorld struct {
	*sandbox.Platform
	inbox    *inbox
	endpoint string
	api      string
	provider *twilio.Provider
}

// openTwilio serves a sandbox; change may alter its configuration.
func openTwilio(t *testing.T, change func(*sandbox.PlatformConfig)) *twilioWorld {
	t.Helper()
	w := &twilioWorld{inbox: &inbox{}}
	endpoint := httptest.NewServer(w.inbox)
	t.Cleanup(endpoint.Close)
	w.endpoint = endpoint.URL
	signer, err := twilio.New(providers.APIConfig{}, twilio.Settings{})
	require.NoError(t, err)
	cfg := sandbox.PlatformConfig{
		Provider: signer, Secrets: providers.Secrets{twilioSecret}, Seed: 1,
		Key: sandbox.TwilioAccount + ":token", Target: endpoint.URL + "/webhooks/twilio?order=5",
	}
	if change != nil {
		change(&cfg)
	}
	w.Platform = sandbox.NewTwilio(cfg)
	t.Cleanup(w.Close)
	api := httptest.NewServer(w.Platform)
	t.Cleanup(api.Close)
	w.api = api.URL
	w.provider = w.open(t, cfg.Key)
	return w
}

func (w *twilioWorld) open(t *testing.T, key string) *twilio.Provider {
	t.Helper()
	p, err := twilio.New(providers.APIConfig{BaseURL: w.api, Key: key, Timeout: 5 * time.Second},
		twilio.Settings{AccountSID: sandbox.TwilioAccount, Subaccounts: []string{twilioSubaccount}})
	require.NoError(t, err)
	return p
}

// last is the last webhook, with the URL that it was sent to.
func (w *twilioWorld) last(t *testing.T) providers.Request {
	t.Helper()
	r := w.inbox.last(t)
	host, err := url.Parse(w.endpoint)
	require.NoError(t, err)
	r.URL = host.ResolveReference(r.URL)
	return r
}

// twilioTypes are all there are.
var twilioTypes = []string{
	"message.accepted", "message.scheduled", "message.queued", "message.sending", "message.sent", "message.delivered",
	"message.undelivered", "message.failed", "message.read", "message.canceled", "message.received",
	"call.incoming", "call.initiated", "call.ringing", "call.in-progress", "call.completed", "call.busy", "call.failed",
	"call.no-answer", "call.canceled",
	"recording.in-progress", "recording.completed", "recording.absent", "recording.failed",
	"conference.conference-start", "conference.participant-join", "conference.participant-leave", "conference.conference-end",
}

func TestTwilioWebhooksAreWhatTheRealProviderAccepts(t *testing.T) {
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		w := openTwilio(t, func(c *sandbox.PlatformConfig) { c.Method = method })
		for _, typ := range twilioTypes {
			t.Run(method+" "+typ, func(t *testing.T) {
				require.True(t, w.Knows(typ))
				sent, err := w.Trigger(t.Context(), typ)
				require.NoError(t, err)
				require.True(t, sent.Acknowledged)

				r := w.last(t)
				require.Equal(t, method, r.Method)
				require.Equal(t, method == http.MethodGet, len(r.Body) == 0)
				require.NoError(t, w.provider.Verify(r, providers.Secrets{twilioSecret}))
				require.Error(t, w.provider.Verify(r, providers.Secrets{twilioSecret + "x"}))
				events, err := w.provider.Events(r)
				require.NoError(t, err)
				require.Len(t, events, 1)
				require.Equal(t, typ, events[0].Type)
				require.Equal(t, sent.Object.String(), events[0].Ref.String())
				require.Equal(t, sandbox.TwilioAccount, events[0].Ref.Account)
				if method == http.MethodPost { // a GET adds the URL's own parameter
					require.Equal(t, sent.ID, events[0].ID)
				}

				object, err := w.provider.Fetch(t.Context(), providers.FetchQuery{Ref: events[0].Ref})
				require.NoError(t, err)
				kept, ok := w.Object(sent.Object)
				require.True(t, ok)
				require.JSONEq(t, string(kept.State), string(object.State))
				require.WithinDuration(t, time.Now(), object.UpdatedAt, time.Minute)
			})
		}
	}
}

func TestTwilioWebhooksHaveTheDocumentedParameters(t *testing.T) {
	w := openTwilio(t, nil)
	parameters := func(typ string, options ...sandbox.Option) url.Values {
		_, err := w.Trigger(t.Context(), typ, options...)
		require.NoError(t, err)
		form, err := url.ParseQuery(string(w.last(t).Body))
		require.NoError(t, err)
		return form
	}
	failed := parameters("message.undelivered")
	require.Equal(t, "30003", failed.Get("ErrorCode"))
	require.Equal(t, failed.Get("MessageSid"), failed.Get("SmsSid"))
	require.Regexp(t, `^\d{10}$`, failed.Get("RawDlrDoneDate"))

	received := parameters("message.received", sandbox.Set(map[string]any{"body": "Ünder & über"}))
	require.Equal(t, "received", received.Get("SmsStatus"))
	require.False(t, received.Has("MessageStatus"))
	require.Equal(t, "Ünder & über", received.Get("Body"))
	require.True(t, received.Has("FromCity"), "sent although it is empty")

	incoming := parameters("call.incoming")
	require.Equal(t, []string{"ringing", "inbound"}, []string{incoming.Get("CallStatus"), incoming.Get("Direction")})
	require.False(t, incoming.Has("CallbackSource"))

	call, err := w.Create("call", nil)
	require.NoError(t, err)
	for number, typ := range []string{"call.initiated", "call.ringing", "call.completed"} {
		form := parameters(typ, sandbox.On(call))
		require.Equal(t, []string{"0", "1", "2"}[number], form.Get("SequenceNumber"))
		require.Equal(t, "call-progress-events", form.Get("CallbackSource"))
		_, err := time.Parse(time.RFC1123Z, form.Get("Timestamp"))
		require.NoError(t, err)
	}
	recording := parameters("recording.completed", sandbox.Set(map[string]any{"call_sid": call.ID}))
	require.Equal(t, call.ID, recording.Get("CallSid"))
	require.Equal(t, "11", recording.Get("RecordingDuration"))

	header := w.last(t).Header
	require.Equal(t, "TwilioProxy/1.1", header.Get("User-Agent"))
	require.NotEmpty(t, header.Get("I-Twilio-Idempotency-Token"))
}

func TestTwilioAPIAnswersAsTwilioDoes(t *testing.T) {
	w := openTwilio(t, nil)
	message, err := w.Create("message", nil)
	require.NoError(t, err)
	gone, err := w.Create("message", nil)
	require.NoError(t, err)
	require.NoError(t, w.Delete(gone))
	messages := "/2010-04-01/Accounts/" + sandbox.TwilioAccount + "/Messages/"

	for name, c := range map[string]struct {
		path, user, password string
		status               int
		body                 string
	}{
		"an object":         {messages + message.ID + ".json", sandbox.TwilioAccount, "token", 200, `"sid":"` + message.ID + `"`},
		"a deleted one":     {messages + gone.ID + ".json", sandbox.TwilioAccount, "token", 404, `"code":20404`},
		"an unknown one":    {messages + "SM1.json", sandbox.TwilioAccount, "token", 404, `"message":"The requested resource ` + messages + `SM1.json was not found"`},
		"another account's": {strings.Replace(messages, sandbox.TwilioAccount, twilioSubaccount, 1) + message.ID + ".json", sandbox.TwilioAccount, "token", 404, `"code":20404`},
		"a wrong token":     {messages + message.ID + ".json", sandbox.TwilioAccount, "wrong", 401, `"code":20003`},
		"no token":          {messages + message.ID + ".json", "", "", 401, `"code":20003`},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, w.api+c.path, nil)
			if c.user != "" {
				req.SetBasicAuth(c.user, c.password)
			}
			answer := httptest.NewRecorder()
			w.ServeHTTP(answer, req)
			require.Equal(t, c.status, answer.Code)
			require.Contains(t, answer.Body.String(), c.body)
			require.Equal(t, "application/json", answer.Header().Get("Content-Type"))
			require.Regexp(t, `^RQ[0-9a-f]{32}$`, answer.Header().Get("Twilio-Request-Id"))
		})
	}
}

func TestTwilioProviderUnderstandsEveryFault(t *testing.T) {
	w := openTwilio(t, nil)
	message, err := w.Create("message", nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		fault sandbox.APIFault
		retry providers.Retry
		code  string
	}{
		"too many calls at a time": {sandbox.APIFault{Kind: sandbox.FaultRateLimit}, providers.RetrySoon, "20429"},
		"a limit that says when":   {sandbox.APIFault{Kind: sandbox.FaultRateLimit, RetryAfter: time.Second}, providers.RetryLater, "20429"},
		"an error":                 {sandbox.APIFault{Kind: sandbox.FaultError}, providers.RetrySoon, "20500"},
		"an answer that ends":      {sandbox.APIFault{Kind: sandbox.FaultTruncate}, providers.RetrySoon, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.fault.Next = 2 // net/http repeats a call whose connection was closed while idle
			require.NoError(t, w.SetFaults(sandbox.Faults{API: []sandbox.APIFault{c.fault}}))
			_, err := w.provider.Fetch(t.Context(), providers.FetchQuery{Ref: message})
			var apiErr *providers.APIError
			require.ErrorAs(t, err, &apiErr)
			require.Equal(t, c.retry, apiErr.Retry)
			require.Equal(t, c.code, apiErr.Code)
		})
	}
	require.NoError(t, w.SetFaults(sandbox.Faults{}))
	_, err = w.open(t, "SK0123456789abcdef0123456789abcdef:wrong").Fetch(t.Context(), providers.FetchQuery{Ref: message})
	var apiErr *providers.APIError
	require.ErrorAs(t, err, &apiErr)
	require.Equal(t, "20003", apiErr.Code)
	require.Error(t, w.SetFaults(sandbox.Faults{API: []sandbox.APIFault{{Kind: sandbox.FaultLockTimeout}}}), "a fault of Stripe's")
}

func TestTwilioObjectsOfSubaccountsAreFetchedThere(t *testing.T) {
	w := openTwilio(t, nil)
	sent, err := w.Trigger(t.Context(), "recording.completed", sandbox.Set(map[string]any{"account_sid": twilioSubaccount}))
	require.NoError(t, err)
	events, err := w.provider.Events(w.last(t))
	require.NoError(t, err)
	require.Equal(t, twilioSubaccount, events[0].Ref.Account)
	object, err := w.provider.Fetch(t.Context(), providers.FetchQuery{Ref: events[0].Ref})
	require.NoError(t, err)
	require.False(t, object.Deleted)
	require.Equal(t, 1, w.Fetches(sent.Object))
}

func TestTwilioDeletedMessagesAreGone(t *testing.T) {
	w := openTwilio(t, nil)
	message, err := w.Create("message", nil)
	require.NoError(t, err)
	require.NoError(t, w.Delete(message))
	object, err := w.provider.Fetch(t.Context(), providers.FetchQuery{Ref: message})
	require.NoError(t, err)
	require.True(t, object.Deleted)
}

func TestTwilioRefusesWhatCannotHappen(t *testing.T) {
	w := openTwilio(t, nil)
	message, err := w.Create("message", nil)
	require.NoError(t, err)
	for name, trigger := range map[string]func() (sandbox.Event, error){
		"a type without a status":       func() (sandbox.Event, error) { return w.Trigger(t.Context(), "message") },
		"a type it does not play":       func() (sandbox.Event, error) { return w.Trigger(t.Context(), "transcription.completed") },
		"an event about another type":   func() (sandbox.Event, error) { return w.Trigger(t.Context(), "call.busy", sandbox.On(message)) },
		"an event sent about the wrong": func() (sandbox.Event, error) { return w.Emit(t.Context(), "call.busy", message) },
		"an object that does not exist": func() (sandbox.Event, error) {
			return w.Trigger(t.Context(), "message.sent", sandbox.On(providers.Ref{Type: "message", ID: "SM0"}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := trigger()
			require.Error(t, err)
			require.Empty(t, w.Events())
		})
	}
	_, err = w.Create("transcription", nil)
	require.Error(t, err)
}

func TestTheAddressThatIsSignedMayBeAnotherThanTheTarget(t *testing.T) {
	w := &inbox{}
	endpoint := httptest.NewServer(w)
	t.Cleanup(endpoint.Close)
	signer, err := twilio.New(providers.APIConfig{}, twilio.Settings{})
	require.NoError(t, err)
	p := sandbox.NewTwilio(sandbox.PlatformConfig{
		Provider: signer, Secrets: providers.Secrets{"token"}, Target: endpoint.URL + "/webhooks/twilio", Public: "https://hooks.example.com/webhooks/twilio", Seed: 1,
	})
	t.Cleanup(p.Close)
	_, err = p.Trigger(t.Context(), "message.delivered")
	require.NoError(t, err)
	got := w.last(t)
	got.URL, err = url.Parse("https://hooks.example.com/webhooks/twilio")
	require.NoError(t, err)
	require.NoError(t, signer.Verify(got, providers.Secrets{"token"}))
	got.URL, err = url.Parse(endpoint.URL + "/webhooks/twilio")
	require.NoError(t, err)
	require.Error(t, signer.Verify(got, providers.Secrets{"token"}))
}
