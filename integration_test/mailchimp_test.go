package integration_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/mailchimp"
	"github.com/surehook/surehook/providers/mandrill"
	"github.com/surehook/surehook/sandbox"
)

const mailSecret = "mail_integration_secret"

func startMailchimp(t *testing.T, s mailchimp.Settings) (*system, *sandbox.Platform) {
	t.Helper()
	made := start(t, options{platforms: map[string]platform{"mailchimp": {secret: mailSecret, settings: &s}}})
	return made, made.platforms["mailchimp"]
}

func TestAMailchimpMemberWhoMovesLeavesATombstoneBehind(t *testing.T) {
	t.Parallel()
	s, p := startMailchimp(t, mailchimp.Settings{})
	joined := s.trigger(p, "subscribe")
	s.untilStatus("mailchimp", joined.ID, providers.StatusProcessed)
	s.requireTrue(p, "mailchimp", joined.Object)

	moved := s.trigger(p, "upemail", sandbox.On(joined.Object))
	s.untilStatus("mailchimp", moved.ID, providers.StatusProcessed)
	s.untilStatus("mailchimp", moved.ID+".old", providers.StatusProcessed)
	require.NotEqual(t, joined.Object, moved.Object)
	s.requireTrue(p, "mailchimp", moved.Object)
	s.requireTrue(p, "mailchimp", joined.Object)
	old, err := s.store.Record(t.Context(), "mailchimp", joined.Object.Type, joined.Object.ID)
	require.NoError(t, err)
	require.True(t, old.Deleted)

	fetches := p.TotalCalls()
	again := s.post(p, "mailchimp", moved.ID)
	require.Equal(t, http.StatusOK, again.Status)
	require.Contains(t, again.Body, `"duplicate"`)
	s.rest()
	require.Equal(t, fetches, p.TotalCalls(), "both halves took effect before")
}

func TestMailchimpIsAskedAgainWhenItHasTooManyConnections(t *testing.T) {
	t.Parallel()
	s, p := startMailchimp(t, mailchimp.Settings{})
	s.fail(p, sandbox.APIFault{Kind: sandbox.FaultRateLimit, Next: 2})
	ev := s.trigger(p, "campaign")
	s.untilRun("mailchimp", ev.ID, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	require.Equal(t, 3, p.Fetches(ev.Object))
	s.requireTrue(p, "mailchimp", ev.Object)
}

func TestAnUnsignedMailchimpWebhookIsProvenByItsURL(t *testing.T) {
	t.Parallel()
	s, p := startMailchimp(t, mailchimp.Settings{Unsigned: true})
	ev := s.trigger(p, "subscribe")
	s.untilStatus("mailchimp", ev.ID, providers.StatusProcessed)
	s.requireTrue(p, "mailchimp", ev.Object)

	forged := s.request(p, ev.ID)
	forged.Body = []byte(strings.Replace(string(forged.Body), "Ada", "Eve", 1))
	require.Equal(t, http.StatusNotFound, s.send("mailchimp", forged).Status, "without the secret there is no such source")
	require.Equal(t, http.StatusNotFound, s.send("mailchimp/"+mailSecret+"x", forged).Status)
	forged.Header.Set("X-Mailchimp-Signature", "t=1,v1=00")
	require.Equal(t, http.StatusUnauthorized, s.send("mailchimp/"+mailSecret, forged).Status, "a signature has to be right")

	check := providers.Request{Method: http.MethodGet, Header: http.Header{}}
	require.Equal(t, http.StatusOK, s.send("mailchimp/"+mailSecret, check).Status)
	require.Equal(t, http.StatusNotFound, s.send("mailchimp", check).Status)
	require.Len(t, s.mailEvents("mailchimp"), 1)
}

// mailEvents are all that the inbox holds of a source.
func (s *system) mailEvents(source string) []store.EventRow {
	s.t.Helper()
	rows, err := s.store.Events(s.t.Context(), store.EventFilter{Source: source})
	require.NoError(s.t, err)
	return rows
}

// mandrillSignature signs as Mandrill's guide says, also with a key that Sign refuses.
func mandrillSignature(text, key string) string {
	mac := hmac.New(sha1.New, []byte(key))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func startMandrill(t *testing.T) (*system, *sandbox.Platform) {
	t.Helper()
	made := start(t, options{platforms: map[string]platform{"mandrill": {secret: mailSecret}}})
	return made, made.platforms["mandrill"]
}

// mandrillBatch is one request with the elements of several, signed anew.
func (s *system) mandrillBatch(p *sandbox.Platform, secret string, ids ...string) providers.Request {
	s.t.Helper()
	var elements []string
	var r providers.Request
	for _, id := range ids {
		r = s.request(p, id)
		form, err := url.ParseQuery(string(r.Body))
		require.NoError(s.t, err)
		elements = append(elements, strings.Trim(form.Get("mandrill_events"), "[]"))
	}
	r.Body = []byte(url.Values{"mandrill_events": {"[" + strings.Join(elements, ",") + "]"}}.Encode())
	signer, err := mandrill.New(providers.APIConfig{}, mandrill.Settings{})
	require.NoError(s.t, err)
	require.NoError(s.t, signer.Sign(&r, providers.Secrets{secret}))
	return r
}

func TestAMandrillBatchIsWorkedOnEventByEvent(t *testing.T) {
	t.Parallel()
	s, p := startMandrill(t)
	sent := s.trigger(p, "send", sandbox.Undelivered())
	opened := s.trigger(p, "open", sandbox.On(sent.Object), sandbox.Undelivered())
	bounced := s.trigger(p, "hard_bounce", sandbox.Undelivered())
	listed := s.trigger(p, "blacklist.add", sandbox.Undelivered())
	whole := s.mandrillBatch(p, mailSecret, sent.ID, opened.ID, bounced.ID, listed.ID)

	require.Equal(t, http.StatusOK, s.send("mandrill", whole).Status)
	for _, ev := range []sandbox.Event{sent, opened, bounced, listed} {
		s.untilStatus("mandrill", ev.ID, providers.StatusProcessed)
	}
	s.requireTrue(p, "mandrill", sent.Object)
	s.requireTrue(p, "mandrill", bounced.Object)
	entry, err := s.store.Record(t.Context(), "mandrill", listed.Object.Type, listed.Object.ID)
	require.NoError(t, err)
	require.Contains(t, string(entry.State), `"blacklist"`, "the event is all there is to know of an address on a list")

	require.Contains(t, s.send("mandrill", whole).Body, `"duplicate"`)
	again := s.send("mandrill", s.mandrillBatch(p, mailSecret, bounced.ID, sent.ID))
	require.Contains(t, again.Body, `"duplicate"`, "in another batch they are the same events")
	require.Equal(t, http.StatusUnauthorized, s.send("mandrill", s.mandrillBatch(p, "wrong", sent.ID)).Status)
	require.Len(t, s.mailEvents("mandrill"), 4)
}

func TestAMessageThatMandrillForgotKeepsItsLastState(t *testing.T) {
	t.Parallel()
	s, p := startMandrill(t)
	sent := s.trigger(p, "send")
	s.untilStatus("mandrill", sent.ID, providers.StatusProcessed)
	before, err := s.store.Record(t.Context(), "mandrill", "message", sent.Object.ID)
	require.NoError(t, err)

	opened := s.trigger(p, "open", sandbox.On(sent.Object), sandbox.Undelivered())
	require.NoError(t, p.Delete(sent.Object))
	require.Equal(t, http.StatusOK, s.post(p, "mandrill", opened.ID).Status)
	s.untilStatus("mandrill", opened.ID, providers.StatusProcessed)
	after, err := s.store.Record(t.Context(), "mandrill", "message", sent.Object.ID)
	require.NoError(t, err)
	require.True(t, after.Deleted)
	require.JSONEq(t, string(before.State), string(after.State))
}

func TestMandrillsCheckOfAURLIsAnsweredAndLeavesNothing(t *testing.T) {
	t.Parallel()
	s, p := startMandrill(t)
	require.Equal(t, http.StatusOK, s.send("mandrill", providers.Request{Method: http.MethodHead, Header: http.Header{}}).Status)

	ev := s.trigger(p, "send", sandbox.Undelivered())
	test := s.request(p, ev.ID)
	test.Body = []byte("mandrill_events=%5B%5D")
	test.ReceivedAt = time.Now()
	test.Header.Set("X-Mandrill-Signature", mandrillSignature(test.URL.String()+"mandrill_events[]", "test-webhook"))
	require.Equal(t, http.StatusOK, s.send("mandrill", test).Status)

	forged := s.request(p, ev.ID)
	form, err := url.ParseQuery(string(forged.Body))
	require.NoError(t, err)
	forged.Header.Set("X-Mandrill-Signature",
		mandrillSignature(forged.URL.String()+"mandrill_events"+form.Get("mandrill_events"), "test-webhook"))
	require.Equal(t, http.StatusUnauthorized, s.send("mandrill", forged).Status, "an event under the key that everybody knows")
	require.Empty(t, s.mailEvents("mandrill"))
}
