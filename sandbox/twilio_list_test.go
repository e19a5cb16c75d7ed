package sandbox_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/twilio"
	"github.com/surehook/surehook/sandbox"
)

func openTwilioLists(t *testing.T) *listing[*twilio.Provider] {
	t.Helper()
	return openListing(t, "twilio", sandbox.TwilioAccount+":token", func(cfg providers.APIConfig) (*twilio.Provider, error) {
		return twilio.New(cfg, twilio.Settings{Subaccounts: []string{twilioSubaccount}})
	})
}

func TestTwilioListsEveryObjectOfAnAccountOverSeveralPages(t *testing.T) {
	w := openTwilioLists(t)
	for _, typ := range []string{"message", "recording", "call", "conference"} {
		t.Run(typ, func(t *testing.T) {
			var refs []providers.Ref
			for _, o := range w.Objects(typ) { // calls come with recordings
				refs = append(refs, o.Ref)
			}
			refs = append(refs, w.create(t, typ, 510, nil)...)
			shown, pages := w.all(t, providers.ListQuery{List: typ}, nil)
			require.Equal(t, once(sandbox.TwilioAccount, refs...), shown)
			require.Equal(t, (len(refs)+249)/250+1, pages, "and one page of the subaccount")
		})
	}
}

func TestTwilioListsTheObjectsOfSubaccounts(t *testing.T) {
	w := openTwilioLists(t)
	own := w.create(t, "message", 2, nil)
	below := w.create(t, "message", 2, map[string]any{"account_sid": twilioSubaccount})
	want := once(sandbox.TwilioAccount, own...)
	for ref, n := range once(twilioSubaccount, below...) {
		want[ref] = n
	}
	shown, _ := w.all(t, providers.ListQuery{List: "message"}, nil)
	require.Equal(t, want, shown)
	for ref := range shown {
		object, err := w.provider.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
		require.NoError(t, err)
		require.False(t, object.Deleted, "it is fetched from the account that it is listed in")
	}
}

// Twilio's filters know days only.
func TestTwilioListsMessagesFromTheDayBeforeOn(t *testing.T) {
	w := openTwilioLists(t)
	sent := func(at time.Time) providers.Ref {
		w.set(at)
		ref, err := w.Create("message", map[string]any{"date_sent": at.Format(time.RFC1123Z)})
		require.NoError(t, err)
		return ref
	}
	since := time.Date(2026, 3, 4, 0, 5, 0, 0, time.UTC)
	old := sent(since.Add(-24*time.Hour - 6*time.Minute))
	before := sent(since.Add(-10 * time.Minute))
	after := sent(since.Add(time.Minute))
	unsent := w.create(t, "message", 1, nil)[0]
	w.change(t, before)

	page := w.page(t, providers.ListQuery{List: "message", Since: since})
	require.Len(t, page.Objects, 2)
	require.Equal(t, after.ID, page.Objects[0].Ref.ID, "the newest first")
	require.Equal(t, before.ID, page.Objects[1].Ref.ID, "sent the day before, and changed since")
	w.asFetched(t, page.Objects[1])
	require.Equal(t, w.told(t, "message.read", before), page.Objects[1].Ref, "as its webhook names it")

	shown, _ := w.all(t, providers.ListQuery{List: "message"}, nil)
	require.Equal(t, once(sandbox.TwilioAccount, old, before, after, unsent), shown)
}

func TestTwilioMessagesThatComeWhileAListIsReadHideNoOthers(t *testing.T) {
	w := openTwilioLists(t)
	refs := w.create(t, "message", 600, nil)
	shown, _ := w.all(t, providers.ListQuery{List: "message"}, func(shown []providers.Listed) {
		w.create(t, "message", 20, nil)
		if len(shown) > 0 {
			require.NoError(t, w.Delete(shown[len(shown)-1].Ref), "the one that the next page begins after")
		}
	})
	for _, ref := range refs {
		ref.Account = sandbox.TwilioAccount
		require.Equal(t, 1, shown[ref], ref)
	}
}
