package jira_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/jira"
	"github.com/surehook/surehook/sandbox"
)

const day = 24 * time.Hour

// keeping is a sandboxed Jira whose clock the test sets, and the provider for it.
func keeping(t *testing.T) (*sandbox.Platform, *jira.Provider, *time.Time) {
	t.Helper()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	p := sandbox.NewJira(sandbox.PlatformConfig{Provider: open(t), Key: "token", Now: func() time.Time { return now }})
	t.Cleanup(p.Close)
	api := httptest.NewServer(p)
	t.Cleanup(api.Close)
	keeper, err := jira.New(providers.APIConfig{BaseURL: api.URL, Key: "token"}, jira.Settings{RefreshWebhooks: true})
	require.NoError(t, err)
	return p, keeper, &now
}

func TestWebhooksAreRefreshedWhenHalfOfTheirTimeIsOver(t *testing.T) {
	p, keeper, now := keeping(t)
	begin := *now
	for range 150 {
		_, err := p.Create("webhook", nil)
		require.NoError(t, err)
	}
	keep := func() map[providers.Upkeep]int {
		did := map[providers.Upkeep]int{}
		kept, err := keeper.Keep(t.Context(), providers.KeepQuery{})
		require.NoError(t, err)
		for _, s := range kept {
			did[s.Did]++
			require.Empty(t, s.List)
			require.NotEmpty(t, s.What)
			require.False(t, s.Expires.Before(begin.Add(30*day)))
		}
		return did
	}
	*now = begin.Add(14 * day)
	require.Equal(t, map[providers.Upkeep]int{providers.UpkeepNone: 150}, keep())
	require.Zero(t, p.Calls("/rest/api/3/webhook/refresh"))

	*now = begin.Add(16 * day)
	_, err := p.Create("webhook", nil)
	require.NoError(t, err)
	require.Equal(t, map[providers.Upkeep]int{providers.UpkeepRenewed: 150, providers.UpkeepNone: 1}, keep())
	require.Equal(t, 2, p.Calls("/rest/api/3/webhook/refresh"), "one for each page of 100")

	*now = begin.Add(31 * day)
	require.Equal(t, map[providers.Upkeep]int{providers.UpkeepNone: 151}, keep(), "all of them are still there, a month after they were made")
}

func TestAWebhooksEndIsReadInBothOfItsForms(t *testing.T) {
	soon := time.Now().Add(day)
	for form, renewed := range map[string]bool{
		strconv.FormatInt(soon.UnixMilli(), 10):                 true,
		`"` + soon.Format("2006-01-02T15:04:05.000-0700") + `"`: true,
		`"some day"`: false,
		`null`:       false,
	} {
		refreshes := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				refreshes++
			}
			_, _ = w.Write([]byte(`{"isLast": true, "values": [{"id": 10000, "events": ["jira:issue_created"], "expirationDate": ` + form + `}], "expirationDate": ` + form + `}`))
		}))
		p, err := jira.New(providers.APIConfig{BaseURL: server.URL}, jira.Settings{RefreshWebhooks: true})
		require.NoError(t, err)
		kept, err := p.Keep(t.Context(), providers.KeepQuery{})
		server.Close()
		require.NoError(t, err)
		require.Len(t, kept, 1)
		require.Equal(t, renewed, kept[0].Did == providers.UpkeepRenewed, form)
		require.Equal(t, renewed, refreshes == 1, form)
	}
}

func TestOnlyWhoAsksForItKeepsWebhooks(t *testing.T) {
	require.False(t, open(t).Keeps())
	_, keeper, _ := keeping(t)
	require.True(t, keeper.Keeps())
}
