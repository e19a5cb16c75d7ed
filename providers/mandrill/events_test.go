package mandrill_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/mandrill"
)

func eventsIn(t *testing.T, elements ...string) []providers.Event {
	t.Helper()
	events, err := open(t, mandrill.Settings{}).Events(request(t, batch(elements...)))
	require.NoError(t, err)
	return events
}

func TestARequestIsSplitIntoItsEvents(t *testing.T) {
	events := eventsIn(t, sent, opened, rejected, received)
	require.Len(t, events, 4)
	for i, want := range []struct{ typ, ref, payload string }{
		{"send", "message/" + sentTo, sent},
		{"open", "message/" + sentTo, opened},
		{"blacklist.add", "blacklist/", rejected},
		{"inbound", "inbound/", received},
	} {
		require.Equal(t, want.typ, events[i].Type)
		require.True(t, strings.HasPrefix(events[i].Ref.String(), want.ref), events[i].Ref)
		require.Equal(t, want.payload, string(events[i].Payload), "the payload is the element as it came")
		require.Equal(t, time.Unix(1767323045+int64(i), 0).UTC(), events[i].OccurredAt)
	}
}

func TestAnEventOfAMessageIsNamedByMessageKindAndSecond(t *testing.T) {
	require.Equal(t, sentTo+"-send-1767323045", eventsIn(t, sent)[0].ID)
	later := strings.Replace(sent, `"state": "sent"`, `"state": "bounced"`, 1)
	require.Equal(t, eventsIn(t, sent)[0].ID, eventsIn(t, later)[0].ID, "the message may have moved on when it is sent again")
}

func TestTwoOpeningsInOneSecondAreTwoEvents(t *testing.T) {
	elsewhere := strings.Replace(opened, "192.0.2.1", "192.0.2.2", 1)
	events := eventsIn(t, opened, elsewhere)
	require.Len(t, events, 2)
	require.NotEqual(t, events[0].ID, events[1].ID)
	require.Regexp(t, "^"+sentTo+"-open-1767323046-[0-9a-f]{40}$", events[0].ID)

	for _, differs := range []string{`"url": "https://example.com/1"`, `"ip": "192.0.2.1"`, `"user_agent": "Mail"`} {
		click := `{"event": "click", "ts": 1767323046, "_id": "` + sentTo + `"`
		require.Len(t, eventsIn(t, click+"}", click+", "+differs+"}"), 2, differs)
	}
}

func TestAnEventThatIsToldTwiceInOneRequestIsOne(t *testing.T) {
	require.Len(t, eventsIn(t, sent, opened, sent), 2)
}

func TestAnAddressOnAListIsNamedByItsHash(t *testing.T) {
	added := eventsIn(t, rejected)[0]
	removed := eventsIn(t, strings.NewReplacer(`"add"`, `"remove"`, "Ada@", "ada@").Replace(rejected))[0]
	require.Equal(t, added.Ref, removed.Ref)
	require.NotContains(t, added.Ref.ID+added.ID, "ada")
	require.False(t, added.Deleted)
	require.True(t, removed.Deleted, "its end is known from the event alone: it cannot be fetched")

	other := eventsIn(t, strings.Replace(rejected, `"subaccount": null`, `"subaccount": "cust-1"`, 1))[0]
	require.NotEqual(t, added.Ref, other.Ref, "a subaccount has a list of its own")
	allowed := eventsIn(t, `{"type": "whitelist", "action": "add", "ts": 1767323047, "entry": {"email": "ada@example.com"}}`)[0]
	require.Equal(t, "whitelist.add", allowed.Type)
	require.Equal(t, providers.Ref{Type: "whitelist", ID: added.Ref.ID}, allowed.Ref)
}

func TestAListWithoutAnAddressIsAboutNoObject(t *testing.T) {
	require.Zero(t, eventsIn(t, `{"type": "denylist", "action": "change", "ts": 1767323047}`)[0].Ref)
}

func FuzzEvents(f *testing.F) {
	for _, elements := range [][]string{{}, {sent}, {sent, opened, rejected, received}, {`{}`}, {`null`}} {
		f.Add(batch(elements...))
	}
	for _, body := range []string{"", "mandrill_events", "mandrill_events=[", "mandrill_events=[]]", "mandrill_events={}"} {
		f.Add(body)
	}
	p := open(f, mandrill.Settings{})
	f.Fuzz(func(t *testing.T, body string) {
		events, err := p.Events(request(t, body))
		if err != nil {
			require.ErrorIs(t, err, providers.ErrMalformed)
			require.Empty(t, events)
			return
		}
		ids := map[string]bool{}
		for _, e := range events {
			require.Regexp(t, `^[!-~]{1,200}$`, e.ID)
			require.Regexp(t, `^[a-z_.]{1,110}$`, e.Type)
			require.Regexp(t, `^[0-9A-Za-z_-]{0,100}$`, e.Ref.ID)
			require.Equal(t, e.Ref.Type == "", e.Ref.ID == "")
			require.NotEmpty(t, e.Payload)
			require.False(t, ids[e.ID])
			ids[e.ID] = true
		}
	})
}
