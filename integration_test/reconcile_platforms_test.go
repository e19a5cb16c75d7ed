package integration_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/jira"
	"github.com/surehook/surehook/providers/mailchimp"
	"github.com/surehook/surehook/providers/shopify"
	"github.com/surehook/surehook/providers/slack"
	"github.com/surehook/surehook/providers/twilio"
	"github.com/surehook/surehook/sandbox"
)

func TestAGitHubDeliveryThatWasMissedIsRecovered(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ev := s.trigger(s.github, "issues.opened", sandbox.Undelivered())
	s.requireNoEvent("github", ev.ID)

	tally, err := s.run(activities.ReconcileStart{Source: "github", List: "deliveries", Backfill: true})
	require.NoError(t, err)
	require.EqualValues(t, 1, tally.Missed)
	require.EqualValues(t, 2, tally.Calls, "the list, and the delivery itself")
	s.untilStatus("github", ev.ID, providers.StatusProcessed)
	s.requireTrue(s.github, "github", ev.Object)

	got := s.post(s.github, "github", ev.ID)
	require.Equal(t, http.StatusOK, got.Status)
	require.Contains(t, got.Body, `"duplicate"`, "somebody has pressed GitHub's button to send it again")
}

func TestWhatNoWebhookToldIsFoundInThePlatformsLists(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, list, event string
		platform          platform
		set               map[string]any
	}{
		{name: "jira", list: "issue", event: "jira:issue_created",
			platform: platform{secret: jiraSecret, settings: &jira.Settings{Site: "sandbox.atlassian.net"}}},
		{name: "mailchimp", list: "member", event: "subscribe",
			platform: platform{secret: mailSecret, settings: &mailchimp.Settings{Audiences: []string{"a6b5da1054"}}}},
		{name: "shopify", list: "order", event: "orders/create",
			platform: platform{secret: shopifySecret, settings: &shopify.Settings{Shop: sandbox.ShopifyShop}}},
		{name: "slack", list: "message", event: "message", set: map[string]any{"channel": "C0LISTED"},
			platform: platform{secret: slackSecret, settings: &slack.Settings{Channels: []string{"C0LISTED"}, TeamID: "T0SANDBOX"}}},
		{name: "twilio", list: "message", event: "message.sent",
			platform: platform{secret: twilioSecret, settings: &twilio.Settings{AccountSID: sandbox.TwilioAccount}}},
	}
	played := map[string]platform{}
	for _, c := range cases {
		played[c.name] = c.platform
	}
	s := start(t, options{platforms: played})
	_, err := s.platforms["slack"].Create("channel", map[string]any{"id": "C0LISTED"})
	require.NoError(t, err)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := s.in(t)
			missed := s.trigger(s.platforms[c.name], c.event, sandbox.Set(c.set), sandbox.Undelivered())
			tally, err := s.run(activities.ReconcileStart{Source: c.name, List: c.list, Backfill: true})
			require.NoError(t, err)
			require.EqualValues(t, 1, tally.Repaired)
			s.requireTrue(s.platforms[c.name], c.name, missed.Object)

			tally, err = s.run(activities.ReconcileStart{Source: c.name, List: c.list, Backfill: true})
			require.NoError(t, err)
			require.EqualValues(t, 1, tally.Objects)
			require.Zero(t, tally.Repaired, "it is true already")
		})
	}
}
