package slack_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	sdkevents "github.com/slack-go/slack/slackevents"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
	"github.com/surehook/surehook/providers/slack"
)

// callback is a body with the inner event.
func callback(inner string) string {
	return fmt.Sprintf(`{"token": "x", "team_id": "T123ABC456", "api_app_id": "A123ABC456", "event": %s, `+
		`"type": "event_callback", "event_id": "Ev123ABC456", "event_time": 1767323045}`, inner)
}

func eventIn(t *testing.T, body string) providers.Event {
	t.Helper()
	return providertest.OneEvent(t, open(t), request(body))
}

func TestEventsReadsAnEvent(t *testing.T) {
	want := providers.Event{
		ID:         "Ev123ABC456",
		Type:       "channel_rename",
		Ref:        providers.Ref{Type: "channel", ID: "C02ELGNBH", Account: "T123ABC456"},
		OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	require.Empty(t, cmp.Diff(want, eventIn(t, renamed)))
}

// The bodies are those of Slack's documentation, shortened.
func TestEventsNameTheirObjects(t *testing.T) {
	for _, c := range []struct{ inner, typ, ref string }{
		{`{"type": "message", "channel": "C2147483705", "user": "U2147483697", "text": "Hello", "ts": "1355517523.000005", "channel_type": "channel"}`,
			"message", "message/C2147483705/1355517523.000005"},
		{`{"type": "message", "subtype": "message_changed", "hidden": true, "channel": "C2147483705", "ts": "1358878755.000001", ` +
			`"message": {"type": "message", "ts": "1355517523.000005", "edited": {"ts": "1358878755.000001"}}, "previous_message": {"ts": "1355517523.000005"}}`,
			"message.message_changed", "message/C2147483705/1355517523.000005"},
		{`{"type": "message", "subtype": "message_deleted", "hidden": true, "channel": "C2147483705", "ts": "1358878755.000001", ` +
			`"deleted_ts": "1355517523.000005", "event_ts": "1358878755.000002"}`,
			"message.message_deleted", "message/C2147483705/1355517523.000005"},
		{`{"type": "message", "message": {"type": "message", "thread_ts": "1482960137.003543", "ts": "1482960137.003543"}, "channel": "C061EG9SL", ` +
			`"event_ts": "1483037604.017506", "ts": "1483037604.017506"}`, // a message_replied, which lacks its subtype
			"message", "message/C061EG9SL/1482960137.003543"},
		{`{"type": "message", "subtype": "channel_join", "text": "<@U1> has joined", "ts": "1403051575.000407", "user": "U1", "channel": "G1"}`,
			"message.channel_join", "message/G1/1403051575.000407"},
		{`{"type": "message", "channel": "D024BE91L", "user": "U1", "ts": "1355517523.000005", "channel_type": "im", "thread_ts": "1355517520.000001"}`,
			"message", "message/D024BE91L/1355517523.000005"},
		{`{"type": "app_mention", "user": "W021FGA1Z", "text": "<@U0LAN0Z89>", "ts": "1515449483.000108", "channel": "C0LAN2Q65"}`,
			"app_mention", "message/C0LAN2Q65/1515449483.000108"},
		{`{"type": "reaction_added", "user": "U1", "reaction": "thumbsup", "item_user": "U2", "item": {"type": "message", "channel": "C0G9QF9GZ", "ts": "1360782400.498405"}}`,
			"reaction_added", "message/C0G9QF9GZ/1360782400.498405"},
		{`{"type": "reaction_removed", "user": "U1", "item": {"type": "file", "file": "F0HS27V1Z"}}`,
			"reaction_removed", "file/F0HS27V1Z"},
		{`{"type": "reaction_added", "user": "U1", "item": {"type": "canvas_section", "id": "x"}}`,
			"reaction_added", ""},
		{`{"type": "pin_added", "user": "U1", "channel_id": "C02ELGNBH", "item": {"type": "message", "message": {"ts": "1360782804.083113", "text": "x"}}}`,
			"pin_added", "message/C02ELGNBH/1360782804.083113"},
		{`{"type": "channel_created", "channel": {"id": "C024BE91L", "name": "fun", "created": 1360782804, "creator": "U024BE7LH"}}`,
			"channel_created", "channel/C024BE91L"},
		{`{"type": "channel_archive", "channel": "C024BE91L", "user": "U024BE7LH"}`, "channel_archive", "channel/C024BE91L"},
		{`{"type": "channel_deleted", "channel": "C024BE91L"}`, "channel_deleted", "channel/C024BE91L"},
		{`{"type": "channel_id_changed", "old_channel_id": "G012Y48650T", "new_channel_id": "C012Y48650T"}`,
			"channel_id_changed", "channel/C012Y48650T"},
		{`{"type": "member_joined_channel", "user": "W06GH7XHN", "channel": "C0698JE0H", "channel_type": "C", "team": "T024BE7LD"}`,
			"member_joined_channel", "channel/C0698JE0H"},
		{`{"type": "im_created", "user": "U024BE7LH", "channel": {"id": "D024BE91L"}}`, "im_created", "channel/D024BE91L"},
		{`{"type": "user_change", "user": {"id": "U1", "name": "jenny", "deleted": false}, "cache_ts": 1648596421}`, "user_change", "user/U1"},
		{`{"type": "team_join", "user": {"id": "WNEWUSER"}}`, "team_join", "user/WNEWUSER"},
		{`{"type": "file_created", "file_id": "F2147483862", "file": {"id": "F2147483862"}}`, "file_created", "file/F2147483862"},
		{`{"type": "file_change", "file": {"id": "F2147483862"}}`, "file_change", "file/F2147483862"},
		{`{"type": "file_deleted", "file_id": "F2147483862", "event_ts": "1361482916.000004"}`, "file_deleted", "file/F2147483862"},
		{`{"type": "team_rename", "name": "New Team Name Inc."}`, "team_rename", "team/T123ABC456"},
		{`{"type": "tokens_revoked", "tokens": {"oauth": ["UXXXXXXXX"], "bot": ["UXXXXXXXX"]}}`, "tokens_revoked", ""},
		{`{"type": "to_come", "channel": 1, "user": [], "ts": 7, "message": "x", "item": null, "file": true, "subtype": "y"}`, "to_come", ""},
	} {
		e := eventIn(t, callback(c.inner))
		require.Equal(t, c.typ, e.Type, c.inner)
		require.Equal(t, c.ref, e.Ref.String(), c.inner)
		if c.ref != "" {
			require.Equal(t, "T123ABC456", e.Ref.Account, c.inner)
		}
		require.Equal(t, strings.HasSuffix(c.typ, "_deleted"), e.Deleted, c.inner)
		require.Empty(t, e.Review)
	}
}

func TestAnEventThatNamesItsObjectByNoIDIsMalformed(t *testing.T) {
	for _, inner := range []string{
		`{"type": "message", "ts": "1355517523.000005"}`,
		`{"type": "message", "channel": "C1"}`,
		`{"type": "message", "channel": "C1", "ts": 1355517523.000005}`,
		`{"type": "message", "channel": "C1/../C2", "ts": "1355517523.000005"}`,
		`{"type": "message", "channel": "C1", "ts": "1355517523.000005&limit=9"}`,
		`{"type": "message", "channel": "C1", "ts": "1355517523.000005", "subtype": "a b"}`,
		`{"type": "message", "channel": "C1", "ts": "1355517523.000005", "subtype": "` + strings.Repeat("x", 91) + `"}`,
		`{"type": "` + strings.Repeat("x", 91) + `"}`,
		`{"type": "reaction_added"}`,
		`{"type": "reaction_added", "item": "x"}`,
		`{"type": "reaction_added", "item": {"type": "message", "channel": "C1"}}`,
		`{"type": "reaction_added", "item": {"type": "file"}}`,
		`{"type": "user_change", "user": {"name": "jenny"}}`,
		`{"type": "user_change", "user": "C1"}`,
		`{"type": "file_created", "file": {}}`,
	} {
		_, err := open(t).Events(request(callback(inner)))
		require.ErrorIs(t, err, providers.ErrMalformed, inner)
	}
	_, err := open(t).Events(request(strings.Replace(callback(`{"type": "team_rename"}`), `"team_id"`, `"x"`, 1)))
	require.ErrorIs(t, err, providers.ErrMalformed, "an event about a workspace that is not named")
}

func TestAnEventOfAnOrganizationIsItsOwn(t *testing.T) {
	body := strings.Replace(callback(`{"type": "user_change", "user": {"id": "W1"}}`), `"team_id": "T123ABC456"`, `"team_id": null, "enterprise_id": "E123"`, 1)
	require.Equal(t, "E123", eventIn(t, body).Ref.Account)
}

func TestARetryIsTheSameEvent(t *testing.T) {
	again := request(renamed)
	again.Header.Set("X-Slack-Retry-Num", "3")
	again.Header.Set("X-Slack-Retry-Reason", "http_error")
	events, err := open(t).Events(again)
	require.NoError(t, err)
	require.Equal(t, eventIn(t, renamed), events[0])
}

// limited is the body of Slack's documentation.
const limited = `{"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "type": "app_rate_limited", "team_id": "T123456", "minute_rate_limited": 1518467820, "api_app_id": "A123456"}`

func TestARateLimitOfTheAppIsShownToAnOperator(t *testing.T) {
	want := providers.Event{
		ID:         "app_rate_limited-A123456-T123456-1518467820",
		Type:       "app_rate_limited",
		OccurredAt: time.Date(2018, 2, 12, 20, 37, 0, 0, time.UTC),
		Review:     "Slack limited the app's events of workspace T123456 from 2018-02-12T20:37:00Z on: events were lost and reconciliation must run",
	}
	require.Empty(t, cmp.Diff(want, eventIn(t, limited)))
	next := eventIn(t, strings.Replace(limited, "1518467820", "1518467880", 1))
	require.NotEqual(t, want.ID, next.ID, "the next minute is another event")
	other := eventIn(t, strings.Replace(limited, "T123456", "T123457", 1))
	require.NotEqual(t, want.ID, other.ID, "another workspace is another event")
}

func TestARateLimitWithoutItsNamesIsMalformed(t *testing.T) {
	for _, member := range []string{"team_id", "minute_rate_limited", "api_app_id"} {
		_, err := open(t).Events(request(strings.Replace(limited, member, "x", 1)))
		require.ErrorIs(t, err, providers.ErrMalformed, member)
	}
}

func TestAnEventOfAnotherAppOrWorkspaceIsShownToAnOperator(t *testing.T) {
	for _, c := range []struct {
		settings slack.Settings
		body     string
		review   string
	}{
		{slack.Settings{}, renamed, ""},
		{slack.Settings{AppID: "A123ABC456", TeamID: "T123ABC456"}, renamed, ""},
		{slack.Settings{AppID: "A1"}, renamed, `an event of app "A123ABC456": the source's app_id is A1`},
		{slack.Settings{AppID: "A1"}, strings.Replace(renamed, `"api_app_id"`, `"x"`, 1), `an event of app "": the source's app_id is A1`},
		{slack.Settings{TeamID: "T1"}, renamed, `an event of workspace "T123ABC456": the source's team_id is T1`},
		{slack.Settings{TeamID: "T1"}, strings.Replace(renamed, `"token"`, `"context_team_id": "T1", "token"`, 1), ""},
		{slack.Settings{TeamID: "E1"}, strings.Replace(renamed, `"token"`, `"enterprise_id": "E1", "token"`, 1), ""},
		{slack.Settings{AppID: "A1"}, limited, "Slack limited the app's events of workspace T123456 from 2018-02-12T20:37:00Z on: " +
			"events were lost and reconciliation must run"},
	} {
		p, err := slack.New(providers.APIConfig{}, c.settings)
		require.NoError(t, err)
		events, err := p.Events(request(c.body))
		require.NoError(t, err)
		require.Equal(t, c.review, events[0].Review)
	}
}

func TestAnUnsignedCertificateCheckIsAnsweredWhateverElseItHolds(t *testing.T) {
	for _, form := range []string{"ssl_check=1", "ssl_check=1&token=x", "token=x&ssl_check=1&command=%2Fdeploy&text=production"} {
		answer, ok := open(t).Probe(formRequest(form))
		require.True(t, ok, form)
		require.Equal(t, providers.Response{Status: http.StatusOK}, answer)
		_, err := open(t).Events(formRequest(form))
		require.ErrorIs(t, err, providers.ErrMalformed, "nothing in it is an event")
	}
}

func TestWhatIsMoreThanACertificateCheckHasToBeSigned(t *testing.T) {
	for _, r := range []providers.Request{
		formRequest("ssl_check=0"),
		formRequest("ssl_check=1&ssl_check=1"),
		formRequest("ssl_check=1&ssl_check=0"),
		formRequest("ssl_check=1;x=1"),
		formRequest("ssl_check=1&x=" + strings.Repeat("x", 4<<10)),
		formRequest("ssl_check=1&x=%zz"),
		formRequest("command=%2Fdeploy&text=ssl_check%3D1"),
		formRequest("ssl_check=1&payload=%7B%22type%22%3A%22block_actions%22%7D"),
		formRequest("ssl_check=1&event_id=Ev1&event=%7B%7D"),
		formRequest(strings.Replace(renamed, "new_name", "&ssl_check=1&", 1)),
		formRequest("\n " + strings.Replace(renamed, "new_name", "&ssl_check=1&", 1)),
		request("ssl_check=1"),
		request(`{"ssl_check": 1}`),
		{Method: http.MethodGet, Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, Body: []byte("ssl_check=1")},
	} {
		_, ok := open(t).Probe(r)
		require.False(t, ok, string(r.Body))
	}
}

func TestAChallengeIsAnsweredAsJSONWhateverItHolds(t *testing.T) {
	answer, ok := open(t).Handshake(request(`{"type": "url_verification", "challenge": "a\"b\n\u003c"}`))
	require.True(t, ok)
	require.JSONEq(t, `{"challenge": "a\"b\n<"}`, string(answer.Body))
	for _, body := range []string{`{"type": "url_verification"}`, `{"type": "url_verification", "challenge": 1}`, `{"challenge": "x"}`} {
		_, ok := open(t).Handshake(request(body))
		require.False(t, ok, body)
	}
}

func TestTheSDKReadsTheSameEvent(t *testing.T) {
	theirs, err := sdkevents.ParseEvent([]byte(renamed), sdkevents.OptionNoVerifyToken())
	require.NoError(t, err)
	ours := eventIn(t, renamed)
	require.Equal(t, theirs.InnerEvent.Type, ours.Type)
	require.Equal(t, theirs.TeamID, ours.Ref.Account)
	outer, ok := theirs.Data.(*sdkevents.EventsAPICallbackEvent)
	require.True(t, ok)
	require.Equal(t, outer.EventID, ours.ID)
	require.Equal(t, int64(outer.EventTime), ours.OccurredAt.Unix())
	inner, ok := theirs.InnerEvent.Data.(*sdkevents.ChannelRenameEvent)
	require.True(t, ok)
	require.Equal(t, inner.Channel.ID, ours.Ref.ID)
}

func FuzzEvents(f *testing.F) {
	for _, body := range []string{
		renamed, limited, "", "{}", "null", "[]", "ssl_check=1", `{"type": "event_callback"}`, `{"type": "url_verification", "challenge": "x"}`,
		callback(`{"type": "message", "channel": "C1", "ts": "1355517523.000005", "message": {"ts": "1355517520.000001"}}`),
		callback(`{"type": "reaction_added", "item": {"type": "message", "channel": "C1", "ts": "1360782400.498405"}}`),
		callback(`{"type": "to_come", "channel": {"id": 1}}`),
	} {
		f.Add([]byte(body))
	}
	p := open(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := p.Events(request(string(body)))
		_, challenge := p.Handshake(request(string(body)))
		_, probe := p.Probe(formRequest(string(body)))
		if err != nil {
			require.ErrorIs(t, err, providers.ErrMalformed)
			require.Empty(t, events)
			return
		}
		require.False(t, challenge || probe, "an event is neither a challenge nor a check")
		require.Len(t, events, 1)
		require.Regexp(t, `^[!-~]{1,200}$`, events[0].ID)
		require.Regexp(t, `^[!-~]{1,200}$`, events[0].Type)
		require.Regexp(t, `^[0-9A-Z/.]{0,80}$`, events[0].Ref.ID)
		require.Equal(t, events[0].Ref.Type == "", events[0].Ref.ID == "")
		require.False(t, events[0].OccurredAt.IsZero())
	})
}
