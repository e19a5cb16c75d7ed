package sandbox_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/mailchimp"
)

// The audiences of the source; things happen in the first when none is named.
const (
	mailAudience  = "a6b5da1054"
	mailAudience2 = "b6b5da1055"
)

func openMailLists(t *testing.T) *listing[*mailchimp.Provider] {
	t.Helper()
	return openListing(t, "mailchimp", mailKey, func(cfg providers.APIConfig) (*mailchimp.Provider, error) {
		return mailchimp.New(cfg, mailchimp.Settings{Audiences: []string{mailAudience, mailAudience2}})
	})
}

var allMembers = providers.ListQuery{List: "member"}

func requireAllShown(t *testing.T, refs []providers.Ref, shown map[providers.Ref]int) {
	t.Helper()
	for _, ref := range refs {
		require.NotZero(t, shown[ref], ref)
	}
	require.Len(t, shown, len(refs))
}

func TestMailchimpListsTheMembersOfAllAudiences(t *testing.T) {
	w := openMailLists(t)
	refs := w.create(t, "member", 600, nil)
	refs = append(refs, w.create(t, "member", 3, map[string]any{"list_id": mailAudience2})...)
	archived := w.create(t, "member", 2, map[string]any{"list_id": mailAudience2, "status": "archived"})
	w.create(t, "member", 1, map[string]any{"list_id": "c6b5da1056"}) // of nobody's business
	gone := w.create(t, "member", 1, nil)[0]
	require.NoError(t, w.Delete(gone))

	shown, pages := w.all(t, allMembers, nil)
	requireAllShown(t, append(refs, archived...), shown)
	require.Equal(t, 3+1+1+1, pages, "of members and of archived members, in two audiences")
}

func TestMailchimpListsWhoChangedSince(t *testing.T) {
	w := openMailLists(t)
	w.create(t, "member", 1, map[string]any{"list_id": mailAudience2})
	refs := w.create(t, "member", 5, nil)
	since := w.now().Add(time.Minute)
	w.set(since)
	w.change(t, refs[3])

	page := w.page(t, providers.ListQuery{List: "member", Since: since})
	require.Len(t, page.Objects, 1)
	w.asFetched(t, page.Objects[0])
	require.Equal(t, w.told(t, "profile", refs[3]), page.Objects[0].Ref, "as its webhook names it")
	w.set(since.Add(time.Hour))
	shown, _ := w.all(t, providers.ListQuery{List: "member", Since: w.now()}, nil)
	require.Empty(t, shown)
}

// An import changes more members at once than a page holds.
func TestMailchimpListsMembersWhoAllChangedInTheSameSecond(t *testing.T) {
	w := openMailLists(t)
	refs := w.create(t, "member", 1, map[string]any{"list_id": mailAudience2})
	refs = append(refs, w.create(t, "member", 30, nil)...)
	for range 700 {
		ref, err := w.Create("member", nil)
		require.NoError(t, err)
		refs = append(refs, ref)
	}
	w.set(w.now().Add(time.Minute))
	refs = append(refs, w.create(t, "member", 30, nil)...)
	shown, _ := w.all(t, allMembers, nil)
	requireAllShown(t, refs, shown)
}

// Members who change move to the end, and all behind them move up.
func TestMailchimpMembersWhoChangeWhileAListIsReadHideNoOthers(t *testing.T) {
	for name, c := range map[string]struct {
		apart time.Duration
		leave int // the place where they were, between two pages
	}{
		"one after the other": {time.Second, 200},
		"in the same second":  {0, 120}, // less than half a page, which is what may
	} {
		t.Run(name, func(t *testing.T) {
			w := openMailLists(t)
			w.create(t, "member", 1, map[string]any{"list_id": mailAudience2})
			var refs []providers.Ref
			for range 1000 {
				ref, err := w.Create("member", nil)
				require.NoError(t, err)
				refs = append(refs, ref)
				w.set(w.now().Add(c.apart))
			}
			w.set(w.now().Add(time.Hour))
			next := 0
			shown, _ := w.all(t, allMembers, func([]providers.Listed) {
				w.set(w.now().Add(time.Second))
				for range c.leave { // of those that have been shown
					if next < 500 {
						w.change(t, refs[next])
						next++
					}
				}
			})
			for _, ref := range refs {
				require.NotZero(t, shown[ref], ref)
			}
		})
	}
}

func TestMailchimpRefusesAListOfAnAudienceThatIsNotThere(t *testing.T) {
	w := openMailLists(t)
	cursor := w.page(t, allMembers).Next                                         // archived ones of the first
	cursor = w.page(t, providers.ListQuery{List: "member", Cursor: cursor}).Next // the second
	_, err := w.provider.List(t.Context(), providers.ListQuery{List: "member", Cursor: cursor})
	var failed *providers.APIError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, 404, failed.Status)
	require.Equal(t, providers.RetryNever, failed.Retry)
	require.Contains(t, failed.Op, mailAudience2)
}
