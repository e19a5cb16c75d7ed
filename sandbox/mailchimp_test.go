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
	"github.com/surehook/surehook/providers/mailchimp"
	"github.com/surehook/surehook/providers/mandrill"
	"github.com/surehook/surehook/sandbox"
)

const (
	mailSecret = "mail_sandbox_secret"
	mailKey    = "0123456789abcdef-us6"
)

// mail is one of Mailchimp's two platforms.
type mail struct{ *played[fetching] }

func openMailchimp(t *testing.T, s mailchimp.Settings) mail {
	t.Helper()
	return mail{play(t, "mailchimp", mailKey, mailSecret, func(cfg providers.APIConfig) (fetching, error) { return mailchimp.New(cfg, s) })}
}

func openMandrill(t *testing.T) mail {
	t.Helper()
	return mail{play(t, "mandrill", mailKey, mailSecret, func(cfg providers.APIConfig) (fetching, error) {
		return mandrill.New(cfg, mandrill.Settings{})
	})}
}

// arrived is the last request, as the ingress would hand it to the provider.
func (m mail) arrived(t *testing.T) providers.Request {
	t.Helper()
	r := m.inbox.last(t)
	endpoint, err := url.Parse(m.endpoint)
	require.NoError(t, err)
	r.PathToken = strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, endpoint.Path), "/")
	r.URL = endpoint
	return r
}

// sent lets it happen and returns the events that the provider reads.
func (m mail) sent(t *testing.T, typ string, o ...sandbox.Option) (sandbox.Event, []providers.Event) {
	t.Helper()
	ev, err := m.Trigger(t.Context(), typ, o...)
	require.NoError(t, err)
	require.True(t, ev.Acknowledged)
	r := m.arrived(t)
	require.NoError(t, m.provider.Verify(r, providers.Secrets{mailSecret}))
	events, err := m.provider.Events(r)
	require.NoError(t, err)
	require.NotEmpty(t, events)
	require.Equal(t, ev.ID, events[0].ID)
	require.Equal(t, typ, events[0].Type)
	require.Equal(t, ev.Object, events[0].Ref)
	return ev, events
}

// fetched asks the fake's API, and expects what the fake holds.
func (m mail) fetched(t *testing.T, ref providers.Ref) providers.Object {
	t.Helper()
	got, err := m.fetch(t, ref)
	require.NoError(t, err)
	kept, ok := m.Object(ref)
	require.True(t, ok)
	require.Equal(t, kept.Deleted, got.Deleted)
	if !got.Deleted {
		require.JSONEq(t, string(kept.State), string(got.State))
	}
	return got
}

// fails returns what the provider makes of an answer that goes wrong.
func (m mail) fails(t *testing.T, ref providers.Ref, fault sandbox.APIFault) *providers.APIError {
	t.Helper()
	fault.Next = 1
	require.NoError(t, m.SetFaults(sandbox.Faults{API: []sandbox.APIFault{fault}}))
	_, err := m.fetch(t, ref)
	var failed *providers.APIError
	require.ErrorAs(t, err, &failed)
	m.fetched(t, ref) // the next one is well
	return failed
}

func TestMailchimpEventsAreWhatTheRealProviderAccepts(t *testing.T) {
	m := openMailchimp(t, mailchimp.Settings{})
	for typ, status := range map[string]string{
		"subscribe": "subscribed", "unsubscribe": "unsubscribed", "profile": "subscribed", "cleaned": "cleaned", "upemail": "subscribed", "campaign": "sent",
	} {
		t.Run(typ, func(t *testing.T) {
			require.True(t, m.Knows(typ))
			ev, _ := m.sent(t, typ)
			require.Contains(t, string(m.fetched(t, ev.Object).State), `"status":"`+status+`"`)
			again, _ := m.sent(t, typ, sandbox.On(ev.Object))
			require.NotEqual(t, ev.ID, again.ID, "the same again is another event")
		})
	}
	t.Run("a type that nobody knows changes nothing", func(t *testing.T) {
		require.False(t, m.Knows("tagged"))
		m.sent(t, "tagged")
	})
	t.Run("a type that is no name is refused", func(t *testing.T) {
		_, err := m.Trigger(t.Context(), "no name")
		require.Error(t, err)
	})
}

func TestMailchimpUpemailEndsTheFormerMember(t *testing.T) {
	m := openMailchimp(t, mailchimp.Settings{})
	old, err := m.Create("member", map[string]any{"email_address": "Ada@example.com"})
	require.NoError(t, err)
	ev, events := m.sent(t, "upemail", sandbox.On(old), sandbox.Set(map[string]any{"email_address": "ada@example.org"}))
	require.Len(t, events, 2)
	require.Equal(t, old, events[1].Ref)
	require.True(t, m.fetched(t, old).Deleted)
	require.False(t, m.fetched(t, ev.Object).Deleted)
	require.NotEqual(t, old, ev.Object)
}

func TestMailchimpMemberIsToldDeleted(t *testing.T) {
	m := openMailchimp(t, mailchimp.Settings{})
	ref, err := m.Create("member", nil)
	require.NoError(t, err)
	require.NoError(t, m.Delete(ref))
	_, err = m.Emit(t.Context(), "unsubscribe", ref)
	require.NoError(t, err)
	require.Contains(t, string(m.arrived(t).Body), url.QueryEscape("data[action]")+"=delete")
	require.True(t, m.fetched(t, ref).Deleted)
	_, err = m.Emit(t.Context(), "upemail", ref)
	require.ErrorContains(t, err, "trigger it")
	_, err = m.Emit(t.Context(), "campaign", ref)
	require.ErrorContains(t, err, "no event about")
}

func TestMailchimpUnsignedWebhooksCarryTheSecretInTheirURL(t *testing.T) {
	m := openMailchimp(t, mailchimp.Settings{Unsigned: true})
	m.sent(t, "subscribe")
	r := m.arrived(t)
	require.Equal(t, mailSecret, r.PathToken)
	require.Empty(t, r.Header.Get("X-Mailchimp-Signature"))
}

func TestMailchimpFaultsAreUnderstood(t *testing.T) {
	m := openMailchimp(t, mailchimp.Settings{})
	ref, err := m.Create("member", nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		fault sandbox.APIFault
		retry providers.Retry
		code  string
	}{
		"too many connections":  {sandbox.APIFault{Kind: sandbox.FaultRateLimit}, providers.RetrySoon, "Too Many Requests"},
		"a limit that has time": {sandbox.APIFault{Kind: sandbox.FaultRateLimit, RetryAfter: time.Second}, providers.RetryLater, "Too Many Requests"},
		"an error":              {sandbox.APIFault{Kind: sandbox.FaultError}, providers.RetrySoon, "Internal Server Error"},
		"half an answer":        {sandbox.APIFault{Kind: sandbox.FaultTruncate}, providers.RetrySoon, ""},
	} {
		t.Run(name, func(t *testing.T) {
			failed := m.fails(t, ref, c.fault)
			require.Equal(t, c.retry, failed.Retry)
			require.Equal(t, c.code, failed.Code)
		})
	}
}

func TestMailchimpRefusesAWrongKey(t *testing.T) {
	m := openMailchimp(t, mailchimp.Settings{})
	ref, err := m.Create("campaign", nil)
	require.NoError(t, err)
	for key, code := range map[string]string{"wrong-us6": "API Key Invalid", "": "API Key Missing"} {
		p, err := mailchimp.New(providers.APIConfig{BaseURL: m.url, Key: key}, mailchimp.Settings{})
		require.NoError(t, err)
		_, err = p.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
		var failed *providers.APIError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, code, failed.Code)
	}
}

func TestMandrillEventsAreWhatTheRealProviderAccepts(t *testing.T) {
	m := openMandrill(t)
	for typ, shows := range map[string]string{
		"send": `"state":"sent"`, "deferral": `"state":"deferred"`, "delivered": `"state":"delivered"`, "hard_bounce": `"state":"bounced"`,
		"soft_bounce": `"state":"soft-bounced"`, "open": `"opens":1`, "click": `"clicks":1`, "spam": `"state":"spam"`,
		"unsub": `"state":"unsub"`, "reject": `"state":"rejected"`,
	} {
		t.Run(typ, func(t *testing.T) {
			require.True(t, m.Knows(typ))
			ev, _ := m.sent(t, typ)
			require.Contains(t, string(m.fetched(t, ev.Object).State), shows)
		})
	}
	t.Run("two openings in a second are two events", func(t *testing.T) {
		first, _ := m.sent(t, "open")
		second, _ := m.sent(t, "open", sandbox.On(first.Object))
		require.NotEqual(t, first.ID, second.ID)
		require.Contains(t, string(m.fetched(t, first.Object).State), `"opens":2`)
	})
	t.Run("a type that nobody knows changes nothing", func(t *testing.T) {
		require.False(t, m.Knows("forwarded"))
		m.sent(t, "forwarded")
	})
	t.Run("a list that nobody knows is refused", func(t *testing.T) {
		_, err := m.Trigger(t.Context(), "greylist.add")
		require.Error(t, err)
	})
}

func TestMandrillListsAreToldOfWithTheirAddress(t *testing.T) {
	m := openMandrill(t)
	for _, list := range []string{"blacklist", "whitelist"} {
		added, _ := m.sent(t, list+".add")
		require.Equal(t, list, added.Object.Type)
		removed, events := m.sent(t, list+".remove", sandbox.On(added.Object))
		require.True(t, removed.Deleted)
		require.True(t, events[0].Deleted)
		_, err := m.fetch(t, added.Object)
		require.ErrorIs(t, err, providers.ErrNotFetchable)
	}
}

func TestMandrillFaultsAreUnderstood(t *testing.T) {
	m := openMandrill(t)
	ref, err := m.Create("message", nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		fault sandbox.APIFault
		retry providers.Retry
		code  string
	}{
		"an error":       {sandbox.APIFault{Kind: sandbox.FaultError}, providers.RetrySoon, "GeneralError"},
		"an error named": {sandbox.APIFault{Kind: sandbox.FaultError, Reason: "PaymentRequired"}, providers.RetryNever, "PaymentRequired"},
		"half an answer": {sandbox.APIFault{Kind: sandbox.FaultTruncate}, providers.RetrySoon, ""},
	} {
		t.Run(name, func(t *testing.T) {
			failed := m.fails(t, ref, c.fault)
			require.Equal(t, c.retry, failed.Retry)
			require.Equal(t, c.code, failed.Code)
		})
	}
}

func TestMandrillAnswersAsTheAPIDoes(t *testing.T) {
	m := openMandrill(t)
	ref, err := m.Create("message", nil)
	require.NoError(t, err)
	call := func(method, path, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, m.url+path, strings.NewReader(body))
		require.NoError(t, err)
		resp := httptest.NewRecorder()
		m.ServeHTTP(resp, req)
		return resp.Code, resp.Body.String()
	}
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		says               string
	}{
		"a message":          {"POST", "/1.0/messages/info.json", `{"key": "` + mailKey + `", "id": "` + ref.ID + `"}`, 200, `"_id":"` + ref.ID + `"`},
		"an unknown message": {"POST", "/1.0/messages/info.json", `{"key": "` + mailKey + `", "id": "x"}`, 500, `"Unknown_Message"`},
		"a wrong key":        {"POST", "/1.0/messages/info.json", `{"key": "x", "id": "` + ref.ID + `"}`, 500, `"Invalid_Key"`},
		"no key":             {"POST", "/1.0/messages/info.json", `nonsense`, 500, `"ValidationError"`},
		"another call":       {"POST", "/1.0/messages/search.json", `{"key": "` + mailKey + `"}`, 404, "Not Found"},
		"a GET":              {"GET", "/1.0/messages/info.json", `{"key": "` + mailKey + `", "id": "` + ref.ID + `"}`, 404, "Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := call(c.method, c.path, c.body)
			require.Equal(t, c.status, status)
			require.Contains(t, body, c.says)
		})
	}
	require.NoError(t, m.Delete(ref))
	require.True(t, m.fetched(t, ref).Deleted, "a message ends when Mandrill no longer knows it")
}
