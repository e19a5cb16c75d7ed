package slack_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/slack"
)

// fetch asks an API that answers each method with a body, and returns what was called.
func fetch(t *testing.T, ref providers.Ref, answers map[string]string) (providers.Object, []string, error) {
	t.Helper()
	var called []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called = append(called, r.URL.RequestURI())
		_, _ = w.Write([]byte(answers[r.URL.Path]))
	}))
	defer server.Close()
	p, err := slack.New(providers.APIConfig{BaseURL: server.URL, Key: "xoxb-1"}, slack.Settings{})
	require.NoError(t, err)
	object, err := p.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
	return object, called, err
}

var reply = providers.Ref{Type: "message", ID: "C1/1767323044.000200"}

const (
	inNoHistory = `{"ok": true, "messages": [], "has_more": false}`
	theReply    = `{"type": "message", "ts": "1767323044.000200", "thread_ts": "1767323000.000100", "text": "yes"}`
	theParent   = `{"type": "message", "ts": "1767323000.000100", "thread_ts": "1767323000.000100", "text": "who?"}`
)

func TestAReplyInAThreadIsFetchedFromThere(t *testing.T) {
	got, called, err := fetch(t, reply, map[string]string{
		"/conversations.history": inNoHistory,
		"/conversations.replies": `{"ok": true, "messages": [` + theParent + `, ` + theReply + `], "has_more": false}`,
	})
	require.NoError(t, err)
	require.False(t, got.Deleted)
	require.Equal(t, theReply, string(got.State))
	require.Equal(t, []string{
		"/conversations.history?channel=C1&inclusive=true&latest=1767323044.000200&limit=1&oldest=1767323044.000200",
		"/conversations.replies?channel=C1&inclusive=true&latest=1767323044.000200&oldest=1767323044.000200&ts=1767323044.000200",
	}, called)
}

func TestAMessageIsGoneOnlyWhenNoThreadHasItEither(t *testing.T) {
	for name, answer := range map[string]string{
		"no thread":                  `{"ok": false, "error": "thread_not_found"}`,
		"a thread without it":        `{"ok": true, "messages": [` + theParent + `], "has_more": false}`,
		"its tombstone":              `{"ok": true, "messages": [{"type": "message", "subtype": "tombstone", "ts": "1767323044.000200"}]}`,
		"no channel in the meantime": `{"ok": false, "error": "channel_not_found"}`,
	} {
		got, _, err := fetch(t, reply, map[string]string{"/conversations.history": inNoHistory, "/conversations.replies": answer})
		require.NoError(t, err, name)
		require.True(t, got.Deleted, name)
	}
}

func TestAMessageIsNotCalledGoneWhenItsThreadCannotBeRead(t *testing.T) {
	for answer, retry := range map[string]providers.Retry{
		`{"ok": false, "error": "ratelimited"}`:                           providers.RetryLater,
		`{"ok": false, "error": "internal_error"}`:                        providers.RetrySoon,
		`{"ok": false, "error": "missing_scope"}`:                         providers.RetryNever,
		`{"ok": true, "messages": [` + theParent + `], "has_more": true}`: providers.RetryNever,
		"<html>": providers.RetrySoon,
	} {
		_, _, err := fetch(t, reply, map[string]string{"/conversations.history": inNoHistory, "/conversations.replies": answer})
		var failed *providers.APIError
		require.ErrorAs(t, err, &failed, answer)
		require.Equal(t, retry, failed.Retry, answer)
	}
}

func TestAUserWhoWasDeactivatedStillExists(t *testing.T) {
	state := `{"id": "U1", "deleted": true, "updated": 1767323045}`
	got, _, err := fetch(t, providers.Ref{Type: "user", ID: "U1"}, map[string]string{"/users.info": `{"ok": true, "user": ` + state + `}`})
	require.NoError(t, err)
	require.False(t, got.Deleted)
	require.Equal(t, state, string(got.State))
}

func TestFetchReadsWhenAnObjectWasUpdated(t *testing.T) {
	for _, c := range []struct {
		ref    providers.Ref
		method string
		body   string
		want   time.Time
	}{
		{providers.Ref{Type: "user", ID: "U1"}, "/users.info", `"user": {"id": "U1", "updated": 1767323045}`, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		{providers.Ref{Type: "user", ID: "U1"}, "/users.info", `"user": {"id": "U1", "updated": "soon"}`, time.Time{}},
		{providers.Ref{Type: "user", ID: "U1"}, "/users.info", `"user": {"id": "U1"}`, time.Time{}},
		{providers.Ref{Type: "channel", ID: "C1"}, "/conversations.info", `"channel": {"id": "C1", "updated": 1767323045123}`, time.Time{}},
		{reply, "/conversations.history", `"messages": [` + theReply + `]`, time.Time{}},
		{reply, "/conversations.history", `"messages": [{"ts": "1767323044.000200", "edited": {"user": "U1", "ts": "1767323045.000600"}}]`,
			time.Date(2026, 1, 2, 3, 4, 5, 600_000, time.UTC)},
		{reply, "/conversations.history", `"messages": [{"ts": "1767323044.000200", "edited": {"ts": "1767323045"}}]`, time.Time{}},
		{reply, "/conversations.history", `"messages": [{"ts": "1767323044.000200", "edited": {"ts": "x.000000"}}]`, time.Time{}},
		{reply, "/conversations.history", `"messages": [{"ts": "1767323044.000200", "edited": true}]`, time.Time{}},
	} {
		got, _, err := fetch(t, c.ref, map[string]string{c.method: `{"ok": true, ` + c.body + `}`})
		require.NoError(t, err)
		require.Equal(t, c.want, got.UpdatedAt, c.body)
	}
}

func TestARefWhoseIDIsOfAnotherKindIsNotFetchable(t *testing.T) {
	for _, ref := range []providers.Ref{
		{Type: "channel", ID: "U1"}, {Type: "user", ID: "C1"}, {Type: "file", ID: "C1"}, {Type: "team", ID: "C1"},
		{Type: "message", ID: "C1"}, {Type: "message", ID: "C1/1767323044"}, {Type: "message", ID: "U1/1767323044.000200"},
		{Type: "message", ID: "C1/1767323044.000200/1767323044.000200"}, {Type: "", ID: "C1"},
	} {
		_, called, err := fetch(t, ref, nil)
		require.ErrorIs(t, err, providers.ErrNotFetchable, ref.String())
		require.Empty(t, called)
	}
}
