package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/slack"
	"github.com/surehook/surehook/sandbox"
)

const (
	slackSecret = "8f742231b10e8888abcd99yyyzzz85a5"
	slackKey    = "xoxb-sandbox"
)

// slackTypes are all that the sandbox knows, under the provider's names.
var slackTypes = []string{
	"app_mention", "channel_archive", "channel_created", "channel_deleted", "channel_rename", "channel_unarchive", "file_change",
	"file_created", "file_deleted", "file_public", "file_shared", "member_joined_channel", "member_left_channel", "message",
	"message.message_changed", "message.message_deleted", "reaction_added", "reaction_removed", "team_join", "team_rename", "user_change",
}

type slackWorld struct{ *played[*slack.Provider] }

func openSlack(t *testing.T) slackWorld {
	t.Helper()
	return slackWorld{play(t, "slack", slackKey, slackSecret, func(cfg providers.APIConfig) (*slack.Provider, error) {
		if cfg.BaseURL != "" {
			cfg.BaseURL += "/api"
		}
		return slack.New(cfg, slack.Settings{})
	})}
}

func TestSlackEventsAreWhatTheRealProviderAccepts(t *testing.T) {
	w := openSlack(t)
	for _, typ := range slackTypes {
		t.Run(typ, func(t *testing.T) {
			require.True(t, w.Knows(typ))
			sent, err := w.Trigger(t.Context(), typ)
			require.NoError(t, err)
			require.True(t, sent.Acknowledged)

			got := w.received(t)
			require.Equal(t, sent.ID, got.ID)
			require.Equal(t, typ, got.Type)
			require.Equal(t, sent.Object.String(), got.Ref.String())
			require.Equal(t, "T0SANDBOX", got.Ref.Account)
			require.Equal(t, sent.Deleted, got.Deleted)
			require.Empty(t, got.Review)

			object, err := w.fetch(t, got.Ref)
			require.NoError(t, err)
			require.Equal(t, sent.Deleted, object.Deleted)
			kept, ok := w.Object(sent.Object)
			require.True(t, ok)
			require.Equal(t, sent.Version, kept.Version)
			if !object.Deleted {
				require.JSONEq(t, string(kept.State), string(object.State))
			}
		})
	}
}

func TestSlackKnowsItsOwnNamesOfSubtypes(t *testing.T) {
	w := openSlack(t)
	require.True(t, w.Knows("message_changed"))
	sent, err := w.Trigger(t.Context(), "message_changed")
	require.NoError(t, err)
	require.Equal(t, "message.message_changed", sent.Type)
}

func TestSlackTellsThatItsEventsAreLimited(t *testing.T) {
	w := openSlack(t)
	require.True(t, w.Knows("app_rate_limited"))
	sent, err := w.Trigger(t.Context(), "app_rate_limited")
	require.NoError(t, err)
	got := w.received(t)
	require.Equal(t, sent.ID, got.ID)
	require.Zero(t, got.Ref)
	require.Contains(t, got.Review, "events were lost")
	require.NotContains(t, string(w.inbox.last(t).Body), "event_id")
}

func TestSlackEnvelopeCarriesTheAppAndTheWorkspace(t *testing.T) {
	w := openSlack(t)
	_, err := w.Trigger(t.Context(), "message", sandbox.Envelope(map[string]any{"api_app_id": "A1", "team_id": "T1"}))
	require.NoError(t, err)
	require.Equal(t, "T1", w.received(t).Ref.Account)
	var body struct {
		AppID string `json:"api_app_id"`
	}
	require.NoError(t, json.Unmarshal(w.inbox.last(t).Body, &body))
	require.Equal(t, "A1", body.AppID)
}

func TestSlackKeepsWhatIsWrittenInAChannelWithTheChannel(t *testing.T) {
	w := openSlack(t)
	channel, err := w.Create("channel", nil)
	require.NoError(t, err)
	sent, err := w.Trigger(t.Context(), "message", sandbox.On(channel), sandbox.Set(map[string]any{"text": "Ship it"}))
	require.NoError(t, err)
	require.Contains(t, sent.Object.ID, channel.ID+"/")
	object, err := w.fetch(t, sent.Object)
	require.NoError(t, err)
	require.Contains(t, string(object.State), "Ship it")
	require.NotContains(t, string(object.State), channel.ID, "an answer does not say where the message is")

	require.NoError(t, w.Delete(channel))
	object, err = w.fetch(t, sent.Object)
	require.NoError(t, err)
	require.True(t, object.Deleted)
}

func TestSlackKeepsAReplyInItsThreadOnly(t *testing.T) {
	w := openSlack(t)
	question, err := w.Trigger(t.Context(), "message")
	require.NoError(t, err)
	channel := question.Object.ID[:len("C0123456789")]
	ts := question.Object.ID[len(channel)+1:]
	reply, err := w.Create("message", map[string]any{"channel": channel, "thread_ts": ts, "text": "yes"})
	require.NoError(t, err)

	_, err = w.Trigger(t.Context(), "reaction_added", sandbox.On(reply))
	require.NoError(t, err)
	got := w.received(t)
	require.Equal(t, reply.String(), got.Ref.String())
	object, err := w.fetch(t, got.Ref)
	require.NoError(t, err)
	require.False(t, object.Deleted)
	require.Contains(t, string(object.State), "thumbsup")
	require.Equal(t, 1, w.Calls("/conversations.history/"+reply.ID))
	require.Equal(t, 1, w.Calls("/conversations.replies/"+reply.ID))

	require.NoError(t, w.Delete(question.Object))
	object, err = w.fetch(t, got.Ref)
	require.NoError(t, err)
	require.False(t, object.Deleted, "a reply outlives what it answers")
}

func TestSlackAPIAnswersAsSlackDoes(t *testing.T) {
	w := openSlack(t)
	message, err := w.Trigger(t.Context(), "message")
	require.NoError(t, err)
	channel, ts := message.Object.ID[:11], message.Object.ID[12:]
	file, err := w.Create("file", nil)
	require.NoError(t, err)
	require.NoError(t, w.Delete(file))

	for name, test := range map[string]struct{ path, key, body string }{
		"a channel":          {"/conversations.info?channel=" + channel, slackKey, `{"channel":{"context_team_id":"T0SANDBOX",`},
		"with /api":          {"/api/conversations.info?channel=" + channel, slackKey, `{"channel":{"context_team_id":"T0SANDBOX",`},
		"no channel":         {"/conversations.info?channel=C1", slackKey, `{"error":"channel_not_found","ok":false}`},
		"no user":            {"/users.info?user=U1", slackKey, `{"error":"user_not_found","ok":false}`},
		"no file":            {"/files.info?file=F1", slackKey, `{"error":"file_not_found","ok":false}`},
		"a deleted file":     {"/files.info?file=" + file.ID, slackKey, `{"error":"file_deleted","ok":false}`},
		"no workspace":       {"/team.info?team=T1", slackKey, `{"error":"team_not_found","ok":false}`},
		"a history":          {"/conversations.history?channel=" + channel + "&latest=" + ts, slackKey, `{"has_more":false,"messages":[{`},
		"an empty history":   {"/conversations.history?channel=" + channel + "&latest=1.000001", slackKey, `{"has_more":false,"messages":[],"ok":true}`},
		"a history of none":  {"/conversations.history?channel=C1&latest=" + ts, slackKey, `{"error":"channel_not_found","ok":false}`},
		"no thread":          {"/conversations.replies?channel=" + channel + "&ts=1.000001", slackKey, `{"error":"thread_not_found","ok":false}`},
		"an unknown method":  {"/conversations.inform", slackKey, `{"error":"unknown_method","ok":false,"req_method":"conversations.inform"}`},
		"no token":           {"/users.info?user=U1", "", `{"error":"not_authed","ok":false}`},
		"a token that isn't": {"/users.info?user=U1", "xoxb-wrong", `{"error":"invalid_auth","ok":false}`},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := w.get(t, test.path, test.key)
			require.Equal(t, http.StatusOK, resp.StatusCode, "errors, too, have status 200")
			require.Contains(t, body, test.body)
			require.Equal(t, "application/json; charset=utf-8", resp.Header.Get("Content-Type"))
			require.NotEmpty(t, resp.Header.Get("X-Slack-Req-Id"))
		})
	}
}

func (w slackWorld) get(t *testing.T, path, key string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
	require.NoError(t, err)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func TestSlackFaultsAreUnderstood(t *testing.T) {
	for name, test := range map[string]struct {
		fault sandbox.APIFault
		want  providers.APIError
	}{
		"a rate limit": {
			sandbox.APIFault{Kind: sandbox.FaultRateLimit, RetryAfter: 1500 * time.Millisecond},
			providers.APIError{Status: 429, Code: "ratelimited", Retry: providers.RetryLater, After: 2 * time.Second},
		},
		"a rate limit that does not say when": {
			sandbox.APIFault{Kind: sandbox.FaultRateLimit},
			providers.APIError{Status: 429, Code: "ratelimited", Retry: providers.RetryLater, After: time.Minute},
		},
		"an error with status 200": {
			sandbox.APIFault{Kind: sandbox.FaultErrorIn200},
			providers.APIError{Status: 200, Code: "internal_error", Retry: providers.RetrySoon},
		},
		"an error with status 200 that stays": {
			sandbox.APIFault{Kind: sandbox.FaultErrorIn200, Reason: "token_revoked"},
			providers.APIError{Status: 200, Code: "token_revoked", Retry: providers.RetryNever},
		},
		"a rate limit with status 200": {
			sandbox.APIFault{Kind: sandbox.FaultErrorIn200, Reason: "ratelimited", RetryAfter: 3 * time.Second},
			providers.APIError{Status: 200, Code: "ratelimited", Retry: providers.RetryLater, After: 3 * time.Second},
		},
		"an error": {
			sandbox.APIFault{Kind: sandbox.FaultError},
			providers.APIError{Status: 500, Code: "internal_error", Retry: providers.RetrySoon},
		},
		"another error": {
			sandbox.APIFault{Kind: sandbox.FaultError, Status: 503},
			providers.APIError{Status: 503, Code: "internal_error", Retry: providers.RetrySoon},
		},
		"an answer that breaks off": {
			sandbox.APIFault{Kind: sandbox.FaultTruncate},
			providers.APIError{Retry: providers.RetrySoon},
		},
	} {
		t.Run(name, func(t *testing.T) {
			// Each with a connection of its own: net/http repeats a call by itself
			// when one that it has used before breaks off.
			w := openSlack(t)
			user, err := w.Create("user", nil)
			require.NoError(t, err)
			test.fault.Next = 1
			require.NoError(t, w.SetFaults(sandbox.Faults{API: []sandbox.APIFault{test.fault}}))
			_, err = w.fetch(t, user)
			var got *providers.APIError
			require.ErrorAs(t, err, &got)
			test.want.Provider, test.want.Op, test.want.Err = got.Provider, got.Op, got.Err
			require.Equal(t, test.want, *got)
			_, err = w.fetch(t, user)
			require.NoError(t, err, "it is over")
		})
	}
	require.Error(t, openSlack(t).SetFaults(sandbox.Faults{API: []sandbox.APIFault{{Kind: sandbox.FaultLockTimeout}}}))
}

func TestSlackRefusesWhatCannotHappen(t *testing.T) {
	w := openSlack(t)
	user, err := w.Create("user", nil)
	require.NoError(t, err)
	for name, trigger := range map[string]func() (sandbox.Event, error){
		"a type that does not exist":  func() (sandbox.Event, error) { return w.Trigger(t.Context(), "channel_renamed") },
		"an event about another type": func() (sandbox.Event, error) { return w.Trigger(t.Context(), "channel_rename", sandbox.On(user)) },
		"an event sent about another": func() (sandbox.Event, error) { return w.Emit(t.Context(), "channel_rename", user) },
		"a message in no channel": func() (sandbox.Event, error) {
			return w.Trigger(t.Context(), "message", sandbox.Set(map[string]any{"channel": "C1"}))
		},
		"an object that does not exist": func() (sandbox.Event, error) {
			return w.Trigger(t.Context(), "user_change", sandbox.On(providers.Ref{Type: "user", ID: "U1"}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := trigger()
			require.Error(t, err)
			require.Empty(t, w.Events())
		})
	}
	_, err = w.Create("usergroup", nil)
	require.ErrorContains(t, err, "want channel, file, message, team or user")
	require.False(t, w.Knows("channel_renamed"))
}

func TestSlackSaysWhenItsObjectsChanged(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p := sandbox.NewSlack(sandbox.PlatformConfig{Seed: 1, Now: func() time.Time { return now }})
	t.Cleanup(p.Close)
	for typ, want := range map[string]float64{"user": 1_800_000_060, "channel": 1_800_000_060_000} {
		now = time.Unix(1_800_000_000, 0)
		ref, err := p.Create(typ, nil)
		require.NoError(t, err)
		now = now.Add(time.Minute)
		_, err = p.Update(ref, func(map[string]any) {})
		require.NoError(t, err)
		object, _ := p.Object(ref)
		var state struct{ Updated float64 }
		require.NoError(t, json.Unmarshal(object.State, &state))
		require.InDelta(t, want, state.Updated, 0)
	}
}
