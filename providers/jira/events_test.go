package jira_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/jira"
	"github.com/surehook/surehook/providers/providertest"
)

// eventIn reads the one event of r.
func eventIn(t *testing.T, r providers.Request) providers.Event {
	t.Helper()
	return providertest.OneEvent(t, open(t), r)
}

func TestAnEventIsNamedByItsHeaderAndItsBody(t *testing.T) {
	require.Equal(t, providers.Event{
		ID:         identifier,
		Type:       "jira:issue_updated",
		Ref:        providers.Ref{Type: "issue", ID: "10002"},
		OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC),

		Fingerprint: providers.Fingerprint([]byte(issueUpdated)),
	}, eventIn(t, request(issueUpdated)))
}

func TestARetryIsTheSameEvent(t *testing.T) {
	r := request(issueUpdated)
	r.Header.Set("X-Atlassian-Webhook-Retry", "2")
	r.Header.Set("X-Atlassian-Webhook-Flow", "Secondary")
	require.Equal(t, eventIn(t, request(issueUpdated)), eventIn(t, r))
}

// The identifier is not signed.
func TestABodyUnderAnotherIdentifierHasTheSameFingerprint(t *testing.T) {
	r := request(issueUpdated)
	r.Header.Set("X-Atlassian-Webhook-Identifier", "another")
	require.Equal(t, "another", eventIn(t, r).ID)
	require.Equal(t, eventIn(t, request(issueUpdated)).Fingerprint, eventIn(t, r).Fingerprint)
}

func TestAWebhookWithoutAnIdentifierIsNamedByItsBody(t *testing.T) {
	unnamed := func(body string) providers.Request {
		r := request(body)
		r.Header.Del("X-Atlassian-Webhook-Identifier")
		return r
	}
	id := eventIn(t, unnamed(issueUpdated)).ID
	require.Regexp(t, `^body-[0-9a-f]{40}$`, id)
	require.Equal(t, id, eventIn(t, unnamed(issueUpdated)).ID, "the same each time")
	require.NotEqual(t, id, eventIn(t, unnamed(strings.Replace(issueUpdated, "678", "679", 1))).ID)
}

func TestAnIdentifierThatIsRepeatedOrUnreadableIsMalformed(t *testing.T) {
	for _, values := range [][]string{
		{""}, {identifier, identifier}, {identifier, ""}, {identifier + " "}, {"a b"}, {"a/b"}, {"\x00"}, {"é"}, {strings.Repeat("a", 201)},
	} {
		r := request(issueUpdated)
		r.Header.Del("X-Atlassian-Webhook-Identifier")
		for _, v := range values {
			r.Header.Add("X-Atlassian-Webhook-Identifier", v)
		}
		_, err := open(t).Events(r)
		require.ErrorIs(t, err, providers.ErrMalformed, "%q", values)
	}
}

func TestIdsAreUniquePerTenantOnly(t *testing.T) {
	const other = "globex.atlassian.net"
	theirs := strings.ReplaceAll(issueUpdated, site, other)
	read := func(settings jira.Settings, cfg providers.APIConfig, body string) providers.Event {
		p, err := jira.New(cfg, settings)
		require.NoError(t, err)
		events, err := p.Events(request(body))
		require.NoError(t, err)
		require.Len(t, events, 1)
		return events[0]
	}
	// The source is a part of an event's name, so two sources keep these apart.
	// Neither may then call the other's a duplicate for its content.
	ours, their := read(jira.Settings{Site: site}, providers.APIConfig{}, issueUpdated), read(jira.Settings{Site: other}, providers.APIConfig{}, theirs)
	require.Equal(t, ours.ID, their.ID)
	require.NotEqual(t, ours.Fingerprint, their.Fingerprint)
	require.Empty(t, ours.Review)
	require.Empty(t, their.Review)

	for name, c := range map[string]struct {
		settings jira.Settings
		baseURL  string
		body     string
		review   bool
	}{
		"another site than the setting says":      {jira.Settings{Site: site}, "", theirs, true},
		"another site than the base URL":          {jira.Settings{}, "https://" + site, theirs, true},
		"another site behind the gateway":         {jira.Settings{Site: site}, "https://api.atlassian.com/ex/jira/1122", theirs, true},
		"a domain that only begins alike":         {jira.Settings{Site: site}, "", strings.ReplaceAll(issueUpdated, site, site+".evil.example"), true},
		"a user that only looks like the site":    {jira.Settings{Site: site}, "", strings.ReplaceAll(issueUpdated, site, site+"@evil.example"), true},
		"a path that only begins alike":           {jira.Settings{Site: site}, "https://api.atlassian.com/ex/jira/1122", strings.ReplaceAll(issueUpdated, site, "api.atlassian.com/ex/jira/112233"), true},
		"an unreadable address":                   {jira.Settings{Site: site}, "", strings.ReplaceAll(issueUpdated, "https://"+site, "https://%zz"), true},
		"the site by the base URL":                {jira.Settings{}, "https://" + site, issueUpdated, false},
		"the site in other letters":               {jira.Settings{Site: "https://ACME.atlassian.net/"}, "", strings.ReplaceAll(issueUpdated, site, "Acme.Atlassian.net"), false},
		"the site by its address at the gateway":  {jira.Settings{Site: site}, "https://api.atlassian.com/ex/jira/1122", strings.ReplaceAll(issueUpdated, site, "api.atlassian.com/ex/jira/1122"), false},
		"the site by a domain of its own":         {jira.Settings{Site: "jira.acme.example"}, "https://" + site, strings.ReplaceAll(issueUpdated, site, "jira.acme.example"), false},
		"an event that shows no site":             {jira.Settings{Site: site}, "", `{"webhookEvent": "option_voting_changed"}`, false},
		"any site where the source's is unknown":  {jira.Settings{}, "http://127.0.0.1:9", theirs, false},
		"the site of a comment, and not its body": {jira.Settings{Site: site}, "", `{"webhookEvent": "comment_created", "issue": {"id": "1"}, "comment": {"id": "2", "self": "https://` + other + `/x"}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			got := read(c.settings, providers.APIConfig{BaseURL: c.baseURL}, c.body)
			require.Equal(t, c.review, got.Review != "", got.Review)
			require.NotContains(t, got.Review, other, "nothing of the body is repeated")
		})
	}
}

func TestEventsNameTheirObjectsByNumbers(t *testing.T) {
	for _, c := range []struct{ name, body, ref string }{
		{"jira:issue_created", `"issue": {"id": "10002", "key": "ED-1"}`, "issue/10002"},
		{"jira:issue_updated", `"issue": {"id": "10002"}, "comment": {"id": "7"}, "issue_event_type_name": "issue_commented"`, "issue/10002"},
		{"jira:worklog_updated", `"issue": {"id": "10002"}`, "issue/10002"},
		{"comment_created", `"comment": {"id": "10100"}, "issue": {"id": "10002"}`, "comment/10002/10100"},
		{"worklog_created", `"worklog": {"id": "10146", "issueId": "10531"}`, "worklog/10531/10146"},
		{"worklog_updated", `"worklog": {"id": "10146"}, "issue": {"id": "10531"}`, "worklog/10531/10146"},
		{"attachment_created", `"attachment": {"id": "10200", "filename": "a.png"}`, "attachment/10200"},
		{"issuelink_created", `"issueLink": {"id": 10300, "sourceIssueId": 1, "destinationIssueId": 2}`, "issue_link/10300"},
		{"project_created", `"project": {"id": 10181, "key": "DTP"}`, "project/10181"},
		{"project_archived", `"project": {"id": 10181}`, "project/10181"},
		{"jira:version_released", `"version": {"id": "10000", "projectId": 10181}`, "version/10000"},
		{"sprint_started", `"sprint": {"id": 37, "originBoardId": 5}`, "sprint/37"},
		{"board_configuration_changed", `"board": {"id": 5}`, "board/5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := eventIn(t, request(fmt.Sprintf(`{"timestamp": 1767323045678, "webhookEvent": %q, %s}`, c.name, c.body)))
			require.Equal(t, c.name, got.Type)
			require.Equal(t, c.ref, got.Ref.String())
			require.False(t, got.Deleted)
			require.True(t, fetchable(t, open(t), got.Ref))
		})
	}
}

func TestEventsThatEndTheirObject(t *testing.T) {
	const all = `"issue": {"id": "1"}, "comment": {"id": "2"}, "worklog": {"id": "3"}, "attachment": {"id": "4"}, "issueLink": {"id": 5},
		"project": {"id": 6}, "version": {"id": "7", "mergedTo": {"id": "8"}}, "sprint": {"id": 9}, "board": {"id": 10}`
	for name, ends := range map[string]bool{
		"jira:issue_deleted": true, "comment_deleted": true, "worklog_deleted": true, "attachment_deleted": true, "issuelink_deleted": true,
		"project_deleted": true, "project_soft_deleted": true, "jira:version_deleted": true, "sprint_deleted": true, "board_deleted": true,
		"project_restored_deleted": false, "project_archived": false, "sprint_closed": false, "jira:issue_updated": false,
		"jira:worklog_deleted": false, "issue_property_deleted": false, "user_deleted": false,
	} {
		require.Equal(t, ends, eventIn(t, request(fmt.Sprintf(`{"webhookEvent": %q, %s}`, name, all))).Deleted, name)
	}
}

func TestAnEventThatShouldNameItsObjectButDoesNotIsMalformed(t *testing.T) {
	for _, body := range []string{
		`{"webhookEvent": "comment_created", "comment": {"id": "2"}}`,
		`{"webhookEvent": "comment_created", "issue": {"id": "1"}}`,
		`{"webhookEvent": "worklog_created", "worklog": {"id": "3"}}`,
		`{"webhookEvent": "worklog_created", "worklog": {"issueId": "1"}}`,
		`{"webhookEvent": "sprint_started", "sprint": {"id": -1}}`,
		`{"webhookEvent": "sprint_started", "sprint": {"id": true}}`,
		`{"webhookEvent": "sprint_started", "sprint": null}`,
		`{"webhookEvent": "board_created", "board": {"id": "5/sprint"}}`,
		`{"webhookEvent": "project_created", "project": {"key": "ED"}}`,
		`{"webhookEvent": "jira:version_created", "version": {}}`,
		`{"webhookEvent": "attachment_created", "attachment": []}`,
		`{"webhookEvent": "issuelink_created"}`,
	} {
		_, err := open(t).Events(request(body))
		require.ErrorIs(t, err, providers.ErrMalformed, body)
		require.ErrorContains(t, err, "does not name its")
	}
}

// A profile is personal data, which Atlassian asks not to keep.
func TestEventsAboutUsersAndSettingsNameNoObject(t *testing.T) {
	for _, name := range []string{
		"user_created", "user_updated", "user_deleted", "option_voting_changed", "filter_created", "issuetype_created",
		"issue_property_set", "jira:something_new", "app_access_to_objects_blocked",
	} {
		got := eventIn(t, request(fmt.Sprintf(`{"webhookEvent": %q, "user": {"accountId": "557058:bf39"}, "project": "not an object"}`, name)))
		require.Equal(t, name, got.Type)
		require.True(t, got.Ref.IsZero())
	}
}

func TestATimeThatIsNoneIsLeftOut(t *testing.T) {
	for timestamp, want := range map[string]time.Time{
		`1767323045678`:             time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
		`"1767323045678"`:           time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
		`0`:                         {},
		`-1`:                        {},
		`1.5`:                       {},
		`9223372036854775807`:       {},
		`99999999999999999999`:      {},
		`null`:                      {},
		`{}`:                        {},
		`"2018-12-20 15:45:59,695"`: {},
	} {
		body := strings.Replace(issueUpdated, "1767323045678", timestamp, 1)
		require.Equal(t, want, eventIn(t, request(body)).OccurredAt, timestamp)
	}
}

// fetchable reports whether the provider would call an API for the ref.
func fetchable(t *testing.T, p *jira.Provider, ref providers.Ref) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Fetch(ctx, providers.FetchQuery{Ref: ref})
	require.Error(t, err, "a call cannot be made any more")
	return !errors.Is(err, providers.ErrNotFetchable)
}

func FuzzEvents(f *testing.F) {
	f.Add(identifier, []byte(issueUpdated))
	f.Add("", []byte(`{"webhookEvent": "comment_created", "comment": {"id": "10100"}, "issue": {"id": 10002}}`))
	f.Add("x", []byte(`{"webhookEvent": "sprint_closed", "sprint": {"id": 37, "self": "https://acme.atlassian.net/rest/agile/1.0/sprint/37"}}`))
	p := open(f)
	f.Fuzz(func(t *testing.T, id string, body []byte) {
		r := request(string(body))
		r.Header.Set("X-Atlassian-Webhook-Identifier", id)
		if id == "" {
			r.Header.Del("X-Atlassian-Webhook-Identifier")
		}
		events, err := p.Events(r)
		if err != nil {
			require.ErrorIs(t, err, providers.ErrMalformed)
			require.Empty(t, events)
			return
		}
		require.Len(t, events, 1)
		e := events[0]
		require.Regexp(t, `^[!-~]{1,200}$`, e.ID)
		require.Regexp(t, `^[!-~]{1,100}$`, e.Type)
		if !e.Ref.IsZero() {
			require.Regexp(t, `^[a-z_]+/[0-9]{1,19}(/[0-9]{1,19})?$`, e.Ref.String())
			require.True(t, fetchable(t, p, e.Ref))
		}
	})
}
