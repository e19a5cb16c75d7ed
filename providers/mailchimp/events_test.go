package mailchimp_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

// upemail is the form of a member who changes the address.
func upemail(from, to string) url.Values {
	return url.Values{
		"type":            {"upemail"},
		"fired_at":        {"2026-01-02 03:04:05"},
		"data[list_id]":   {list},
		"data[new_id]":    {"51da8c3259"},
		"data[new_email]": {to},
		"data[old_email]": {from},
	}
}

func eventsIn(t *testing.T, form url.Values) []providers.Event {
	t.Helper()
	events, err := open(t, false).Events(request(form.Encode()))
	require.NoError(t, err)
	return events
}

func TestAMemberIsNamedByTheHashOfTheAddressInLowerCase(t *testing.T) {
	for _, typ := range []string{"subscribe", "unsubscribe", "profile", "cleaned"} {
		events := eventsIn(t, with(subscribe(), "type", typ))
		require.Len(t, events, 1)
		require.Equal(t, typ, events[0].Type)
		require.Equal(t, providers.Ref{Type: "member", ID: hashOf("ada@example.com")}, events[0].Ref)
		require.False(t, events[0].Deleted, "who leaves is still a member, with another status")
	}
}

func TestACleanedMemberNeedsNoID(t *testing.T) {
	events := eventsIn(t, url.Values{
		"type": {"cleaned"}, "fired_at": {"2026-01-02 03:04:05"}, "data[list_id]": {list},
		"data[campaign_id]": {"4fjk2ma9xd"}, "data[reason]": {"hard"}, "data[email]": {"ada@example.com"},
	})
	require.Equal(t, hashOf("ada@example.com"), events[0].Ref.ID)
	require.Regexp(t, `^cleaned-a6b5da1054-20260102T030405-[0-9a-f]{32}$`, events[0].ID)
}

func TestACampaignIsItsOwnObject(t *testing.T) {
	events := eventsIn(t, url.Values{
		"type": {"campaign"}, "fired_at": {"2026-01-02 03:04:05"}, "data[id]": {"5aa2102003"},
		"data[subject]": {"News"}, "data[status]": {"sent"}, "data[reason]": {""}, "data[list_id]": {list},
	})
	require.Len(t, events, 1)
	require.Equal(t, providers.Ref{Type: "campaign", ID: "5aa2102003"}, events[0].Ref)
}

func TestAChangeOfAddressBeginsOneMemberAndEndsAnother(t *testing.T) {
	events := eventsIn(t, upemail("Ada@example.com", "ada@example.org"))
	require.Len(t, events, 2)
	now, old := events[0], events[1]
	require.Equal(t, "upemail", now.Type)
	require.Equal(t, hashOf("ada@example.org"), now.Ref.ID)
	require.False(t, now.Deleted)
	require.Equal(t, "upemail.old", old.Type)
	require.Equal(t, hashOf("ada@example.com"), old.Ref.ID)
	require.True(t, old.Deleted)
	require.Equal(t, now.ID+".old", old.ID)
	require.Equal(t, now.OccurredAt, old.OccurredAt)
}

func TestAChangeOfCaseIsNoChangeOfAddress(t *testing.T) {
	events := eventsIn(t, upemail("ADA@example.com", "Ada@Example.com"))
	require.Len(t, events, 1, "the member would be told gone")
	require.Equal(t, "upemail", events[0].Type)
	require.Equal(t, hashOf("ada@example.com"), events[0].Ref.ID)
}

func TestATypeToComeIsAboutTheMemberItNames(t *testing.T) {
	require.Equal(t, hashOf("ada@example.com"), eventsIn(t, with(subscribe(), "type", "tagged"))[0].Ref.ID)
	require.Zero(t, eventsIn(t, with(with(subscribe(), "type", "batch_operation_completed"), "data[email]"))[0].Ref)
}

func TestThePayloadIsTheFormAsJSON(t *testing.T) {
	require.JSONEq(t, `{
	  "type": "subscribe",
	  "fired_at": "2026-01-02 03:04:05",
	  "data": {
	    "id": "8a25ff1d98", "list_id": "a6b5da1054", "email": "Ada@Example.com", "email_type": "html",
	    "merges": {"EMAIL": "Ada@Example.com", "FNAME": "Ada", "ADDRESS": {"city": "Zürich"}}
	  }
	}`, string(eventsIn(t, subscribe())[0].Payload))
}

func TestATimeWithoutAZoneIsUTC(t *testing.T) {
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), eventsIn(t, subscribe())[0].OccurredAt)
}

func TestTheIDSaysWhatHappenedAndDependsOnEveryByte(t *testing.T) {
	id := eventsIn(t, subscribe())[0].ID
	require.Regexp(t, `^subscribe-a6b5da1054-8a25ff1d98-20260102T030405-[0-9a-f]{32}$`, id)
	require.Equal(t, id, eventsIn(t, subscribe())[0].ID)
	require.NotEqual(t, id, eventsIn(t, with(subscribe(), "data[merges][FNAME]", "Grace"))[0].ID,
		"two changes in one second are two events")
}

func FuzzEvents(f *testing.F) {
	for _, form := range []url.Values{
		subscribe(), upemail("a@example.com", "b@example.com"), with(subscribe(), "type", "campaign"), with(subscribe(), "data[][x]", "1"),
	} {
		f.Add([]byte(form.Encode()))
	}
	for _, body := range []string{"", "&", "=", "type", "type=subscribe&fired_at=2026-01-02+03:04:05", "a[b][c]=1&a[b]=2", "[]=1", "a]=1"} {
		f.Add([]byte(body))
	}
	p := open(f, false)
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := p.Events(request(string(body)))
		if err != nil {
			require.ErrorIs(t, err, providers.ErrMalformed)
			require.Empty(t, events)
			return
		}
		require.NotEmpty(t, events)
		for _, e := range events {
			require.Regexp(t, `^[!-~]{1,200}$`, e.ID)
			require.Regexp(t, `^[a-z_.]{1,60}$`, e.Type)
			require.Regexp(t, `^[0-9A-Za-z/]{0,100}$`, e.Ref.ID)
			require.Equal(t, e.Ref.Type == "", e.Ref.ID == "")
			require.NotEmpty(t, e.Payload)
		}
		if len(events) == 2 {
			require.NotEqual(t, events[0].ID, events[1].ID)
			require.NotEqual(t, events[0].Ref, events[1].Ref)
		}
	})
}
