package slack_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
	"github.com/surehook/surehook/providers/slack"
	"github.com/surehook/surehook/sandbox"
)

var listed = slack.Settings{Channels: []string{"C0FIRST", "C0SECOND"}, TeamID: "T0SANDBOX"}

func listSuite() *providertest.List {
	return &providertest.List{
		New:    func(cfg providers.APIConfig) (providers.Lister, error) { return slack.New(cfg, listed) },
		Worlds: map[string]func(t *testing.T, key string) providertest.World{"message": messages},
		Failures: []providertest.Failure{
			{Answer: providertest.Answer{Name: "a channel that the bot is not in", Status: 200, Body: `{"ok": false, "error": "not_in_channel"}`}, Code: "not_in_channel"},
			{Answer: providertest.Answer{Name: "a channel that is gone", Status: 200, Body: `{"ok": false, "error": "channel_not_found"}`}, Code: "channel_not_found"},
			{Answer: providertest.Answer{Name: "an error that is no code", Status: 200, Body: `{"ok": false, "error": "private text"}`}},
			{
				Answer: providertest.Answer{Name: "a limit", Status: 200, Body: `{"ok": false, "error": "ratelimited"}`},
				Retry:  providers.RetryLater, After: time.Minute, Code: "ratelimited",
			},
			{Answer: providertest.Answer{Name: "a history without messages", Status: 200, Body: `{"ok": true}`}, Retry: providers.RetrySoon},
		},
	}
}

// messages were written in two channels, before and after a time, more than fill a
// page in the first one, with replies that no history shows.
func messages(t *testing.T, key string) providertest.World {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	p := sandbox.NewSlack(sandbox.PlatformConfig{Provider: open(t), Key: key, Now: func() time.Time { return now }})
	t.Cleanup(p.Close)
	for _, channel := range listed.Channels {
		_, err := p.Create("channel", map[string]any{"id": channel})
		require.NoError(t, err)
	}
	write := func(n int) (names []string) {
		for i := range n {
			ref, err := p.Create("message", map[string]any{"channel": listed.Channels[i%10/9]})
			require.NoError(t, err)
			names = append(names, ref.String())
		}
		reply, err := p.Create("message", map[string]any{"channel": listed.Channels[0], "thread_ts": path.Base(names[0])})
		require.NoError(t, err)
		require.NotContains(t, names, reply.String())
		deleted, err := p.Create("message", map[string]any{"channel": listed.Channels[0]})
		require.NoError(t, err)
		require.NoError(t, p.Delete(deleted))
		return names
	}
	old := write(110)
	now = now.Add(time.Hour)
	return providertest.World{
		API: p, Since: now, Recent: write(20), Old: old,
		Stale: []providertest.Answer{{Name: "a cursor that Slack does not know", Status: 200, Body: `{"ok": false, "error": "invalid_cursor"}`}},
	}
}

func TestEachChannelsHistoryIsReadFromThenOn(t *testing.T) {
	var asked []url.Values
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query())
		_, _ = fmt.Fprint(w, `{"ok": true, "messages": [
			{"type": "message", "ts": "1772600000.000200", "text": "now", "edited": {"user": "U1", "ts": "1772600300.000000"}},
			{"type": "message", "ts": "1772600000.000100", "subtype": "tombstone", "text": "This message was deleted."},
			{"type": "message", "text": "without a name"}
		]}`)
	}))
	defer server.Close()
	p, err := slack.New(providers.APIConfig{BaseURL: server.URL}, listed)
	require.NoError(t, err)
	since := time.Date(2026, 3, 4, 5, 6, 7, 890_000, time.UTC)
	page, err := p.List(t.Context(), providers.ListQuery{List: "message", Since: since})
	require.NoError(t, err)
	require.Len(t, page.Objects, 2)
	require.Equal(t, providers.Ref{Type: "message", ID: "C0FIRST/1772600000.000200", Account: "T0SANDBOX"}, page.Objects[0].Ref)
	require.Equal(t, time.Unix(1772600300, 0).UTC(), page.Objects[0].UpdatedAt)
	require.Contains(t, string(page.Objects[0].State), `"text": "now"`)
	require.False(t, page.Objects[0].Partial)
	require.True(t, page.Objects[1].Deleted)

	page, err = p.List(t.Context(), providers.ListQuery{List: "message", Since: since, Cursor: page.Next})
	require.NoError(t, err)
	require.Empty(t, page.Next, "there is no third channel")
	require.Len(t, asked, 2)
	for i, channel := range listed.Channels {
		require.Equal(t, url.Values{"channel": {channel}, "inclusive": {"true"}, "limit": {"100"}, "oldest": {"1772600767.000890"}}, asked[i])
	}
}

func TestACursorOfAChannelThatIsNoLongerListedIsStale(t *testing.T) {
	p, err := slack.New(providers.APIConfig{}, listed)
	require.NoError(t, err)
	_, err = p.List(t.Context(), providers.ListQuery{List: "message", Cursor: "C0THIRD abc"})
	require.ErrorIs(t, err, providers.ErrStaleCursor)
}

func TestASourceWithoutChannelsHasNoList(t *testing.T) {
	require.Empty(t, open(t).Lists())
	_, err := open(t).List(t.Context(), providers.ListQuery{List: "message"})
	require.ErrorIs(t, err, providers.ErrNoSuchList)
}

func TestChannelsAreIDs(t *testing.T) {
	for _, channel := range []string{"", "general", "C0&limit=1", "c0first"} {
		_, err := slack.New(providers.APIConfig{}, slack.Settings{Channels: []string{"C0FIRST", channel}})
		require.ErrorContains(t, err, "channels[1]: want a channel's id", channel)
	}
}
