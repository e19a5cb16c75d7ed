package slack_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	sdk "github.com/slack-go/slack"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
	"github.com/surehook/surehook/providers/slack"
)

const (
	secret = "8f742231b10e8888abcd99yyyzzz85a5"

	renamed = `{"token": "xyzz0WbapA4vBCDEFasx0q6G", "team_id": "T123ABC456", "api_app_id": "A123ABC456", ` +
		`"event": {"type": "channel_rename", "channel": {"id": "C02ELGNBH", "name": "new_name", "created": 1360782804}, "event_ts": "1767323044.000200"}, ` +
		`"type": "event_callback", "event_id": "Ev123ABC456", "event_time": 1767323045, "authed_users": ["U123ABC456"]}`
)

// open returns a provider for tests that call no API.
func open(t testing.TB) *slack.Provider {
	t.Helper()
	p, err := slack.New(providers.APIConfig{}, slack.Settings{})
	require.NoError(t, err)
	return p
}

// request is one with the body, as Slack sends it but unsigned.
func request(body string) providers.Request {
	return providers.Request{
		Method: http.MethodPost,
		URL:    &url.URL{Scheme: "https", Host: "hooks.example.com", Path: "/webhooks/slack"},
		Header: http.Header{
			"Accept":       {"*/*"},
			"Content-Type": {"application/json"},
			"User-Agent":   {"Slackbot 1.0 (+https://api.slack.com/robots)"},
		},
		Body: []byte(body),
	}
}

// formRequest is one with a form, as Slack checks certificates and reports slash commands.
func formRequest(form string) providers.Request {
	r := request(form)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// signAsDocumented is Slack's documentation in code.
func signAsDocumented(r *providers.Request, secret string) {
	t := fmt.Sprint(r.ReceivedAt.Unix())
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + t + ":" + string(r.Body)))
	r.Header.Set("X-Slack-Request-Timestamp", t)
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
}

// acceptedBySDK asks the library that Go programs use with Slack.
func acceptedBySDK(t *testing.T, r providers.Request, secret string) bool {
	t.Helper()
	verifier, err := sdk.NewSecretsVerifier(r.Header, secret)
	if err != nil {
		return false
	}
	_, err = verifier.Write(r.Body)
	require.NoError(t, err)
	return verifier.Ensure() == nil
}

func TestConformsAsChannelEvent(t *testing.T) {
	conforms(t, &providertest.Fetch{
		Ref:   providers.Ref{Type: "channel", ID: "C02ELGNBH", Account: "T123ABC456"},
		Path:  "/conversations.info?channel=C02ELGNBH",
		State: `{"id": "C02ELGNBH", "name": "new_name", "is_archived": false, "updated": 1767323045123}`,
		Wrap:  `{"ok": true, "channel": %s}`,
		Gone:  []providertest.Answer{errorIn200("channel_not_found")},
	})
}

func TestConformsAsMessageEvent(t *testing.T) {
	conforms(t, &providertest.Fetch{
		Ref:   providers.Ref{Type: "message", ID: "C02ELGNBH/1767323044.000200", Account: "T123ABC456"},
		Path:  "/conversations.history?channel=C02ELGNBH&inclusive=true&latest=1767323044.000200&limit=1&oldest=1767323044.000200",
		State: `{"type": "message", "user": "U123ABC456", "text": "Hello  world", "ts": "1767323044.000200"}`,
		Wrap:  `{"ok": true, "messages": [%s], "has_more": true, "pin_count": 0}`,
		Gone: []providertest.Answer{
			errorIn200("channel_not_found"),
			{Name: "no message", Status: 200, Body: `{"ok": true, "messages": [], "has_more": false}`},
			{Name: "another message", Status: 200, Body: `{"ok": true, "messages": [{"type": "message", "ts": "1767323044.000100"}]}`},
			{Name: "a tombstone", Status: 200, Body: `{"ok": true, "messages": [{"type": "message", "subtype": "tombstone", "ts": "1767323044.000200"}]}`},
		},
	})
}

func TestConformsAsUserEvent(t *testing.T) {
	conforms(t, &providertest.Fetch{
		Ref:   providers.Ref{Type: "user", ID: "W123ABC456"},
		Path:  "/users.info?user=W123ABC456",
		State: `{"id": "W123ABC456", "name": "jenny", "deleted": true, "updated": 1767323045}`,
		Wrap:  `{"ok": true, "user": %s}`,
		Gone:  []providertest.Answer{errorIn200("user_not_found")},
	})
}

func TestConformsAsFileEvent(t *testing.T) {
	conforms(t, &providertest.Fetch{
		Ref:   providers.Ref{Type: "file", ID: "F2147483862"},
		Path:  "/files.info?file=F2147483862",
		State: `{"id": "F2147483862", "name": "tedair.gif", "mode": "hosted"}`,
		Wrap:  `{"ok": true, "file": %s, "comments": [], "response_metadata": {"next_cursor": ""}}`,
		Gone: []providertest.Answer{
			errorIn200("file_not_found"), errorIn200("file_deleted"),
			{Name: "a tombstone", Status: 200, Body: `{"ok": true, "file": {"id": "F2147483862", "mode": "tombstone"}}`},
		},
	})
}

func TestConformsAsTeamEvent(t *testing.T) {
	conforms(t, &providertest.Fetch{
		Ref:   providers.Ref{Type: "team", ID: "T123ABC456"},
		Path:  "/team.info?team=T123ABC456",
		State: `{"id": "T123ABC456", "name": "My Team", "domain": "example"}`,
		Wrap:  `{"ok": true, "team": %s}`,
		Gone:  []providertest.Answer{errorIn200("team_not_found")},
	})
}

func conforms(t *testing.T, fetch *providertest.Fetch) {
	fetch.New = func(cfg providers.APIConfig) (providers.Fetcher, error) { return slack.New(cfg, slack.Settings{}) }
	fetch.Unfetchable = providers.Ref{Type: "usergroup", ID: "S0614TZR7"}
	fetch.Failures = failures()
	with := func(old, replacement string) string {
		require.Contains(t, renamed, old)
		return strings.Replace(renamed, old, replacement, 1)
	}
	providertest.Exercise(t, providertest.Suite{
		Provider:         open(t),
		Request:          func() providers.Request { return request(renamed) },
		Oracle:           signAsDocumented,
		SignatureHeaders: []string{"X-Slack-Signature", "X-Slack-Request-Timestamp"},
		Tolerance:        300 * time.Second,
		Malformed: map[string]string{
			"an envelope without a type":      with(`"type": "event_callback"`, `"x": 1`),
			"an envelope of an unknown type":  with(`"event_callback"`, `"event_batch"`),
			"an envelope without an event":    with(`"event": {`, `"x": {`),
			"an event that is a string":       with(`"event": {`, `"event": "x", "x": {`),
			"an event without an id":          with(`"event_id"`, `"x"`),
			"an id with a blank":              with(`"Ev123`, `"Ev 123`),
			"an id that is not ASCII":         with(`"Ev123`, `"Ev\u00e9`),
			"an id of 201 bytes":              with(`"Ev123ABC456"`, `"`+strings.Repeat("E", 201)+`"`),
			"an event without a time":         with(`"event_time"`, `"x"`),
			"a time before 1970":              with(`1767323045`, `-1`),
			"a time beyond all time":          with(`1767323045`, `99999999999999`),
			"a time that is a string":         with(`1767323045`, `"1767323045"`),
			"an event of no type":             with(`"channel_rename"`, `""`),
			"an event whose type is a number": with(`"channel_rename"`, `1`),
			"an event whose type has a blank": with(`"channel_rename"`, `"channel rename"`),
			"an event without its channel":    with(`"channel": {`, `"x": {`),
			"a channel with a bad id":         with(`"C02ELGNBH"`, `"../C02ELGNBH"`),
			"a channel with a user's id":      with(`"C02ELGNBH"`, `"U02ELGNBH"`),
			"a workspace with a bad id":       with(`"T123ABC456"`, `"T\u0000"`),
			"an app with a bad id":            with(`"A123ABC456"`, `"A 1"`),
			"a slash command":                 "token=x&command=%2Fweather&text=94070&trigger_id=1",
			"an interactive component":        "payload=%7B%22type%22%3A%22block_actions%22%7D",
		},
		Handshake: &providertest.Handshake{
			Request: func() providers.Request {
				return request(`{"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P", "type": "url_verification"}`)
			},
			Want: providers.Response{
				Status: http.StatusOK, ContentType: "application/json",
				Body: []byte(`{"challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}`),
			},
		},
		Probes: map[string]providertest.Handshake{
			"the check of a certificate": {
				Request: func() providers.Request { return formRequest("ssl_check=1&token=Jhj5dZrVaK7ZwHHjRyZWjbDl") },
				Want:    providers.Response{Status: http.StatusOK},
			},
		},
		Fetch: fetch,
		List:  listSuite(),
	})
}

func errorIn200(code string) providertest.Answer {
	return providertest.Answer{Name: code, Status: 200, Body: fmt.Sprintf(`{"ok": false, "error": %q}`, code)}
}

// failures are Slack's ways to say that a call failed, nearly all of them with status 200.
func failures() []providertest.Failure {
	var all []providertest.Failure
	for _, code := range []string{
		"invalid_auth", "not_authed", "token_revoked", "token_expired", "missing_scope", "account_inactive", "not_in_channel",
		"invalid_arguments", "an_error_to_come",
	} {
		all = append(all, providertest.Failure{Answer: errorIn200(code), Retry: providers.RetryNever, Code: code})
	}
	for _, code := range []string{"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"} {
		all = append(all, providertest.Failure{Answer: errorIn200(code), Retry: providers.RetrySoon, Code: code})
	}
	limited := func(name string, status int, wait string, after time.Duration) providertest.Failure {
		a := providertest.Answer{Name: name, Status: status, Header: map[string]string{}, Body: `{"ok": false, "error": "ratelimited"}`}
		if wait != "" {
			a.Header["Retry-After"] = wait
		}
		return providertest.Failure{Answer: a, Retry: providers.RetryLater, After: after, Code: "ratelimited"}
	}
	answer := func(name string, status int, body string, retry providers.Retry, code string) providertest.Failure {
		return providertest.Failure{Answer: providertest.Answer{Name: name, Status: status, Body: body}, Retry: retry, Code: code}
	}
	return append(all,
		limited("a rate limit", 429, "30", 30*time.Second),
		limited("a rate limit that does not say when", 429, "", time.Minute),
		limited("a rate limit with status 200", 200, "30", 30*time.Second),
		limited("a rate limit with status 200 that does not say when", 200, "", time.Minute),
		answer("a 404 from a proxy", 404, "<html>private text</html>", providers.RetrySoon, ""),
		answer("a 503 with a code", 503, `{"ok": false, "error": "service_unavailable"}`, providers.RetrySoon, "service_unavailable"),
		answer("a 403 with a code", 403, `{"ok": false, "error": "invalid_auth"}`, providers.RetryNever, "invalid_auth"),
		answer("a code that is no code", 200, `{"ok": false, "error": "private text"}`, providers.RetryNever, ""),
		answer("a code that is none either", 200, `{"ok": false, "error": "`+strings.Repeat("x", 65)+`"}`, providers.RetryNever, ""),
		answer("an answer that says nothing of success", 200, `{"error": "private text"}`, providers.RetrySoon, ""),
		answer("another object", 200, `{"ok": true, "has_more": true, "channel": {"id": "C1"}, "user": {"id": "U1"}, "file": {"id": "F1"}, `+
			`"team": {"id": "T1"}, "messages": [{"ts": "1.000001"}]}`, providers.RetryNever, ""),
		answer("no object", 200, `{"ok": true, "has_more": true}`, providers.RetryNever, ""),
		answer("an object that is none", 200, `{"ok": true, "has_more": true, "channel": "C1", "user": [], "messages": [null, 1]}`, providers.RetryNever, ""),
	)
}

func TestSettingsNameWhatIsWrong(t *testing.T) {
	_, err := slack.New(providers.APIConfig{}, slack.Settings{AppID: "T123", TeamID: "t123"})
	var setting *providers.SettingError
	require.ErrorAs(t, err, &setting)
	require.EqualError(t, err, "app_id: want an app's id, such as A0123ABCD\nteam_id: want a workspace's id, such as T0123ABCD")

	_, err = slack.New(providers.APIConfig{}, slack.Settings{AppID: "A123", TeamID: "E123"})
	require.NoError(t, err)
}

func TestNewRefusesABaseURLThatIsNone(t *testing.T) {
	_, err := slack.New(providers.APIConfig{BaseURL: "slack.com/api"}, slack.Settings{})
	require.Error(t, err)
}

func TestImports(t *testing.T) {
	providertest.CheckImports(t, deptest.Rule{Ban: []string{"github.com/slack-go/..."}})
}
