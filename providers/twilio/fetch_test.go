package twilio_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/twilio"
)

// asked returns the path and the credential that a ref is fetched with.
func asked(t *testing.T, key string, s twilio.Settings, ref providers.Ref) (path, user, password string) {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.EscapedPath()
		user, password, _ = r.BasicAuth()
		_, _ = w.Write([]byte(`{"sid": "` + ref.ID + `"}`))
	}))
	defer api.Close()
	p, err := twilio.New(providers.APIConfig{BaseURL: api.URL, Key: key}, s)
	require.NoError(t, err)
	got, err := p.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
	require.NoError(t, err)
	require.Equal(t, ref, got.Ref)
	require.True(t, got.UpdatedAt.IsZero(), "an answer without a time")
	return path, user, password
}

func TestEveryKindOfObjectIsFetchedFromItsCollection(t *testing.T) {
	const hex = "0123456789abcdef0123456789abcdef"
	for id, c := range map[string]struct{ kind, path string }{
		"SM" + hex: {"message", "Messages"},
		"MM" + hex: {"message", "Messages"},
		"CA" + hex: {"call", "Calls"},
		"RE" + hex: {"recording", "Recordings"},
		"CF" + hex: {"conference", "Conferences"},
		"TR" + hex: {"transcription", "Transcriptions"},
	} {
		path, _, _ := asked(t, account+":token", twilio.Settings{}, providers.Ref{Type: c.kind, ID: id})
		require.Equal(t, "/2010-04-01/Accounts/"+account+"/"+c.path+"/"+id+".json", path)
	}
}

// The parameters of an event are not what decides whose objects we read.
func TestOnlyAccountsOfTheSettingsAreAsked(t *testing.T) {
	settings := twilio.Settings{Subaccounts: []string{subaccount}}
	for _, sid := range []string{account, subaccount} {
		path, user, _ := asked(t, account+":token", settings, providers.Ref{Type: "message", ID: message, Account: sid})
		require.Contains(t, path, "/Accounts/"+sid+"/")
		require.Equal(t, account, user)
	}
	p, err := twilio.New(providers.APIConfig{BaseURL: "http://127.0.0.1:1", Key: account + ":token"}, settings)
	require.NoError(t, err)
	for _, sid := range []string{"AC00000000000000000000000000000003", "../" + account, strings.ToLower(account)} {
		_, err := p.Fetch(t.Context(), providers.FetchQuery{Ref: providers.Ref{Type: "message", ID: message, Account: sid}})
		requireNever(t, err, "its account is neither account_sid nor one of the subaccounts")
	}
}

func TestWithoutAKeyNothingIsAsked(t *testing.T) {
	_, err := open(t).Fetch(t.Context(), providers.FetchQuery{Ref: providers.Ref{Type: "message", ID: message, Account: account}})
	requireNever(t, err, "the source has no API key")
}

func requireNever(t *testing.T, err error, why string) {
	t.Helper()
	var apiErr *providers.APIError
	require.ErrorAs(t, err, &apiErr)
	require.Equal(t, providers.RetryNever, apiErr.Retry)
	require.ErrorContains(t, err, why)
}

func TestTheStateSaysWhenItWasUpdated(t *testing.T) {
	for text, want := range map[string]time.Time{
		`"Fri, 02 Jan 2026 03:04:05 +0000"`: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		`"Fri, 2 Jan 2026 03:04:05 +0100"`:  time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC),
		`"2026-01-02T03:04:05Z"`:            {},
		`null`:                              {}, // of a call that waits in the queue
	} {
		api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"sid": "` + message + `", "date_updated": ` + text + `}`))
		}))
		p, err := twilio.New(providers.APIConfig{BaseURL: api.URL, Key: account + ":token"}, twilio.Settings{})
		require.NoError(t, err)
		got, err := p.Fetch(t.Context(), providers.FetchQuery{Ref: providers.Ref{Type: "message", ID: message}})
		api.Close()
		require.NoError(t, err)
		require.Equal(t, want, got.UpdatedAt, text)
	}
}
