package integration_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/slack"
	"github.com/surehook/surehook/sandbox"
)

const slackSecret = "slack_integration_first"

func startSlack(t *testing.T) (*system, *sandbox.Platform) {
	t.Helper()
	s := start(t, options{platforms: map[string]platform{
		"slack": {secret: slackSecret, settings: &slack.Settings{AppID: "A0SANDBOX", TeamID: "T0SANDBOX"}},
	}})
	return s, s.platforms["slack"]
}

func TestASlackMessageIsFollowedUntilItIsDeleted(t *testing.T) {
	t.Parallel()
	s, platform := startSlack(t)
	// Slack says that it failed with the status that says it did not.
	s.fail(platform, sandbox.APIFault{Kind: sandbox.FaultErrorIn200, Next: 1})
	written := s.trigger(platform, "message")
	s.untilStatus("slack", written.ID, providers.StatusProcessed)
	s.requireTrue(platform, "slack", written.Object)
	require.Equal(t, 2, platform.Fetches(written.Object))

	edited := s.trigger(platform, "message_changed", sandbox.On(written.Object), sandbox.Set(map[string]any{"text": "Never mind"}))
	require.Equal(t, written.Object, edited.Object)
	s.untilStatus("slack", edited.ID, providers.StatusProcessed)
	s.requireTrue(platform, "slack", written.Object)
	record, err := s.store.Record(t.Context(), "slack", "message", written.Object.ID)
	require.NoError(t, err)
	require.Contains(t, string(record.State), "Never mind")

	removed := s.trigger(platform, "message_deleted", sandbox.On(written.Object))
	s.untilStatus("slack", removed.ID, providers.StatusProcessed)
	record, err = s.store.Record(t.Context(), "slack", "message", written.Object.ID)
	require.NoError(t, err)
	require.True(t, record.Deleted)
	require.Contains(t, string(record.State), "Never mind", "a tombstone keeps the last state")
}

func TestAReactionToASlackReplyDoesNotDeleteTheReply(t *testing.T) {
	t.Parallel()
	s, platform := startSlack(t)
	question := s.trigger(platform, "message", sandbox.Undelivered())
	channel, ts, _ := strings.Cut(question.Object.ID, "/")
	reply, err := platform.Create("message", map[string]any{"channel": channel, "thread_ts": ts})
	require.NoError(t, err)
	reaction := s.trigger(platform, "reaction_added", sandbox.On(reply))
	s.untilStatus("slack", reaction.ID, providers.StatusProcessed)
	s.requireTrue(platform, "slack", reply)
}

func TestSlacksRetriesAreOneEvent(t *testing.T) {
	t.Parallel()
	s, platform := startSlack(t)
	ev := s.trigger(platform, "channel_rename", sandbox.Undelivered())
	for _, retry := range []string{"", "1", "2"} {
		r := s.request(platform, ev.ID)
		if retry != "" {
			r.Header.Set("X-Slack-Retry-Num", retry)
			r.Header.Set("X-Slack-Retry-Reason", "http_timeout")
		}
		require.Equal(t, http.StatusOK, s.send("slack", r).Status)
	}
	e := s.untilStatus("slack", ev.ID, providers.StatusProcessed)
	require.EqualValues(t, 3, e.Deliveries)
	require.Equal(t, 1, platform.Fetches(ev.Object))
	s.requireTrue(platform, "slack", ev.Object)
}

func TestASlackAppThatIsRateLimitedIsShownToAnOperator(t *testing.T) {
	t.Parallel()
	s, platform := startSlack(t)
	ev := s.trigger(platform, "app_rate_limited")
	require.True(t, ev.Acknowledged)
	e := s.untilStatus("slack", ev.ID, providers.StatusReview)
	require.Contains(t, e.Reason, "events were lost and reconciliation must run")
}

func TestAnEventOfAnotherSlackAppIsShownToAnOperator(t *testing.T) {
	t.Parallel()
	s, platform := startSlack(t)
	ev := s.trigger(platform, "message", sandbox.Envelope(map[string]any{"api_app_id": "A0OTHER"}))
	e := s.untilStatus("slack", ev.ID, providers.StatusReview)
	require.Contains(t, e.Reason, "A0OTHER")
	require.Zero(t, platform.TotalCalls())
}

func TestSlacksProbesAreAnsweredAndStartNothing(t *testing.T) {
	t.Parallel()
	s, platform := startSlack(t)
	form := func(body string) providers.Request {
		return providers.Request{
			Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
			Body: []byte(body), ReceivedAt: time.Now(),
		}
	}
	sign := func(r providers.Request) providers.Request {
		signer, err := slack.New(providers.APIConfig{}, slack.Settings{})
		require.NoError(t, err)
		require.NoError(t, signer.Sign(&r, providers.Secrets{slackSecret}))
		return r
	}
	ev := s.trigger(platform, "message", sandbox.Undelivered())
	event := s.request(platform, ev.ID)

	got := s.send("slack", form("ssl_check=1&token=x"))
	require.Equal(t, http.StatusOK, got.Status, "nobody signs the check of a certificate")
	require.Empty(t, got.Body)
	require.Equal(t, http.StatusOK, s.send("slack", form("ssl_check=1&command=%2Fdeploy&text=production")).Status)
	smuggled := form("ssl_check=1&payload=" + string(bytes.ReplaceAll(event.Body, []byte("&"), nil)))
	require.Equal(t, http.StatusUnauthorized, s.send("slack", smuggled).Status, "an event has to be signed")

	challenge := event
	challenge.Body = []byte(`{"token":"x","challenge":"3eZbrw1a","type":"url_verification"}`)
	require.Equal(t, http.StatusUnauthorized, s.send("slack", challenge).Status, "so has a challenge")
	got = s.send("slack", sign(challenge))
	require.Equal(t, http.StatusOK, got.Status)
	require.JSONEq(t, `{"challenge":"3eZbrw1a"}`, got.Body)

	s.rest()
	s.requireNoEvent("slack", ev.ID)
	kept, err := s.store.Events(t.Context(), store.EventFilter{Source: "slack"})
	require.NoError(t, err)
	require.Empty(t, kept)

	// What is signed and is no event is kept, so that an operator learns of it; an
	// event within a form is still none.
	for _, r := range []providers.Request{smuggled, form("command=%2Fdeploy&text=production")} {
		require.Equal(t, http.StatusOK, s.send("slack", sign(r)).Status)
	}
	kept, err = s.store.Events(t.Context(), store.EventFilter{Source: "slack"})
	require.NoError(t, err)
	require.Len(t, kept, 2)
	for _, e := range kept {
		require.Equal(t, providers.StatusReview, e.Status)
	}
	s.requireNoEvent("slack", ev.ID)
}
