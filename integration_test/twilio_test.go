package integration_test

import (
	"bytes"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/twilio"
	"github.com/surehook/surehook/sandbox"
)

const (
	twilioSecret = "5e8f1c2a7b9d40363f2e1d0c9b8a7654"
	// doNothing is what Twilio understands as no instructions.
	doNothing = `<?xml version="1.0" encoding="UTF-8"?><Response></Response>`
)

func startTwilio(t *testing.T, alter func(*ingress.Config)) (*system, *sandbox.Platform) {
	t.Helper()
	s := start(t, options{
		platforms: map[string]platform{
			"twilio": {secret: twilioSecret, settings: &twilio.Settings{AccountSID: sandbox.TwilioAccount}},
		},
		ingress: alter,
	})
	return s, s.platforms["twilio"]
}

// requireDoNothing checks that Twilio is told so in its own language.
func requireDoNothing(t *testing.T, got answer) {
	t.Helper()
	require.Equal(t, http.StatusOK, got.Status)
	require.Equal(t, "text/xml", got.Header.Get("Content-Type"))
	require.Equal(t, doNothing, got.Body)
}

// Twilio's callbacks overtake each other, and no callback tells that a message was
// deleted: what counts is what the API says.
func TestTwilioMessagesAreAsTheAPISaysWhateverTheCallbacksSay(t *testing.T) {
	t.Parallel()
	s, p := startTwilio(t, nil)
	sent := s.trigger(p, "message.sent", sandbox.Undelivered())
	delivered := s.trigger(p, "message.delivered", sandbox.On(sent.Object))
	s.untilStatus("twilio", delivered.ID, providers.StatusProcessed)

	requireDoNothing(t, s.post(p, "twilio", sent.ID))
	s.untilStatus("twilio", sent.ID, providers.StatusProcessed)
	s.requireTrue(p, "twilio", sent.Object)
	record, err := s.store.Record(t.Context(), "twilio", "message", sent.Object.ID)
	require.NoError(t, err)
	require.Contains(t, string(record.State), `"status":"delivered"`)

	require.NoError(t, p.Delete(sent.Object))
	read, err := p.Emit(t.Context(), "message.read", sent.Object)
	require.NoError(t, err)
	s.untilStatus("twilio", read.ID, providers.StatusProcessed)
	s.requireTrue(p, "twilio", sent.Object)
}

// Neither the token of a retry nor the borders between parameters are signed.
func TestATwilioCallbackTakesEffectOnceWhateverIsNotSigned(t *testing.T) {
	t.Parallel()
	s, p := startTwilio(t, nil)
	ev := s.trigger(p, "call.completed", sandbox.Undelivered())
	r := s.request(p, ev.ID)
	requireDoNothing(t, s.send("twilio", r))
	s.untilStatus("twilio", ev.ID, providers.StatusProcessed)

	again := r
	again.Header = r.Header.Clone()
	again.Header.Set("I-Twilio-Idempotency-Token", "another")
	requireDoNothing(t, s.send("twilio", again))

	redrawn := r
	redrawn.Body = bytes.Replace(r.Body, []byte("SequenceNumber=0"), []byte("Sequence=Number0"), 1)
	require.NotEqual(t, r.Body, redrawn.Body)
	provider := s.provider("twilio", "", platform{settings: &twilio.Settings{AccountSID: sandbox.TwilioAccount}})
	require.NoError(t, provider.Verify(redrawn, providers.Secrets{twilioSecret}), "the signature fits")
	events, err := provider.Events(redrawn)
	require.NoError(t, err)
	require.NotEqual(t, ev.ID, events[0].ID)
	requireDoNothing(t, s.send("twilio", redrawn))

	s.until("twilio", ev.ID, "delivered three times", func(e store.EventRow) bool { return e.Deliveries == 3 })
	s.rest()
	s.requireNoEvent("twilio", events[0].ID)
	require.Equal(t, 1, p.Fetches(ev.Object))
	s.requireTrue(p, "twilio", ev.Object)
}

// Twilio signs the URL that it was given, which a proxy that ends TLS changes.
func TestTwilioIsVerifiedBehindAProxy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		alter  func(*ingress.Config)
		header http.Header
		public string // what Twilio was given; HOST stands for the server's address
	}{
		"that rewrites all of the URL": {
			func(c *ingress.Config) { c.PublicURL = "https://example.com/in" }, nil, "https://example.com/in/webhooks/twilio",
		},
		"whose port Twilio signs": {
			func(c *ingress.Config) { c.PublicURL = "https://example.com" }, nil, "https://example.com:443/webhooks/twilio",
		},
		"that says that it ends TLS": {
			func(c *ingress.Config) { c.TrustedProxies = []string{"127.0.0.0/8"} },
			http.Header{"X-Forwarded-Proto": {"https"}}, "https://HOST/webhooks/twilio",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := startTwilio(t, c.alter)
			here, err := url.Parse(s.URL)
			require.NoError(t, err)
			public, err := url.Parse(c.public)
			require.NoError(t, err)
			if public.Host == "HOST" {
				public.Host = here.Host
			}
			// send posts an event, signed for the public URL, to where we listen.
			send := func(method, id string, signedFor url.URL) answer {
				r := s.request(p, id)
				r.Method = method
				query := ""
				if method == http.MethodGet {
					query, r.Body = string(r.Body), nil
					r.Header.Del("Content-Type")
				}
				signedFor.RawQuery = query
				r.URL = &signedFor
				require.NoError(t, s.provider("twilio", "", platform{settings: &twilio.Settings{AccountSID: sandbox.TwilioAccount}}).
					Sign(&r, providers.Secrets{twilioSecret}))
				req, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/webhooks/twilio", bytes.NewReader(r.Body))
				require.NoError(t, err)
				req.URL.RawQuery = query
				req.Header = r.Header
				for name, values := range c.header {
					req.Header[name] = values
				}
				got, err := do(req)
				require.NoError(t, err)
				return got
			}
			for method, typ := range map[string]string{http.MethodPost: "message.received", http.MethodGet: "call.incoming"} {
				ev := s.trigger(p, typ, sandbox.Undelivered())
				require.Equal(t, http.StatusUnauthorized, send(method, ev.ID, *here.JoinPath("/webhooks/twilio")).Status, "another URL")
				s.requireNoEvent("twilio", ev.ID)

				requireDoNothing(t, send(method, ev.ID, *public))
				s.untilStatus("twilio", ev.ID, providers.StatusProcessed)
				s.requireTrue(p, "twilio", ev.Object)
			}
		})
	}
}

// Fetched from the wrong account, every message would seem to be deleted.
func TestATwilioEventOfAnAccountThatIsNotListedIsParked(t *testing.T) {
	t.Parallel()
	s, p := startTwilio(t, nil)
	ev := s.trigger(p, "message.sent", sandbox.Set(map[string]any{"account_sid": "AC00000000000000000000000000000002"}))
	parked := s.untilStatus("twilio", ev.ID, providers.StatusReview)
	require.Contains(t, parked.Reason, "its account is neither account_sid nor one of the subaccounts")
	require.Zero(t, p.TotalCalls())
}
