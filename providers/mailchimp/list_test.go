package mailchimp_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/mailchimp"
	"github.com/surehook/surehook/providers/providertest"
	"github.com/surehook/surehook/sandbox"
)

const otherList = "b6b5da1055"

var theLists = mailchimp.Settings{Audiences: []string{list, otherList}}

func listSuite() *providertest.List {
	return &providertest.List{
		New:      func(cfg providers.APIConfig) (providers.Lister, error) { return mailchimp.New(cfg, theLists) },
		Worlds:   map[string]func(t *testing.T, key string) providertest.World{"member": world},
		Failures: callFailures(),
	}
}

// world is an account with two audiences, some of whose members were changed of late.
func world(t *testing.T, key string) providertest.World {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	api := sandbox.NewMailchimp(sandbox.PlatformConfig{Provider: open(t, false), Secrets: providers.Secrets{secret}, Key: key, Now: func() time.Time { return now }})
	t.Cleanup(api.Close)
	create := func(n int, audience, status string) (names []string) {
		for i := range n {
			ref, err := api.Create("member", map[string]any{"list_id": audience, "status": status})
			require.NoError(t, err)
			now = now.Add(time.Second)
			if i == 0 {
				require.NoError(t, api.Delete(ref))
				continue
			}
			names = append(names, ref.String())
		}
		return names
	}
	w := providertest.World{API: api}
	w.Old = slices.Concat(create(260, list, "subscribed"), create(3, otherList, "unsubscribed"), create(3, otherList, "archived"))
	w.Since = now.Add(time.Hour)
	now = w.Since
	w.Recent = slices.Concat(create(5, list, "cleaned"), create(3, list, "archived"), create(3, otherList, "pending"))
	return w
}

// listed asks an API that gives the answer for a page of the members, and returns
// what it was asked for.
func listed(t *testing.T, s mailchimp.Settings, q providers.ListQuery, answer string) (page providers.Page, asked []*url.URL, err error) {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL)
		_, _ = w.Write([]byte(answer))
	}))
	defer api.Close()
	p, err := mailchimp.New(providers.APIConfig{BaseURL: api.URL, Key: "key-us6"}, s)
	require.NoError(t, err)
	page, err = p.List(t.Context(), q)
	return page, asked, err
}

// membersPage is a page of members who changed at these times.
func membersPage(total string, times ...string) string {
	rows := make([]string, 0, len(times))
	for _, at := range times {
		rows = append(rows, `{"id": "`+memberHash+`", "list_id": "`+list+`", "last_changed": "`+at+`"}`)
	}
	return `{"members": [` + strings.Join(rows, ", ") + `], "total_items": ` + total + `}`
}

func members(cursor string) providers.ListQuery {
	return providers.ListQuery{List: "member", Cursor: cursor}
}

func TestListAsksAsMailchimpDocuments(t *testing.T) {
	q := providers.ListQuery{List: "member", Since: time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600))}
	page, asked, err := listed(t, theLists, q, membersPage("1", "2026-01-02T03:04:05+00:00"))
	require.NoError(t, err)
	require.Len(t, asked, 1)
	require.Equal(t, "/3.0/lists/"+list+"/members", asked[0].Path)
	require.Equal(t, url.Values{
		"count": {"250"}, "offset": {"0"}, "sort_field": {"last_changed"}, "sort_dir": {"ASC"},
		"fields":             {"members.id,members.list_id,members.last_changed,total_items"},
		"since_last_changed": {"2026-01-02T03:04:04+00:00"}, // nothing says that it includes the second
	}, asked[0].Query())
	require.Equal(t, []providers.Listed{{
		Object: providers.Object{
			Ref:       providers.Ref{Type: "member", ID: list + "/" + memberHash},
			State:     json.RawMessage(`{"id": "` + memberHash + `", "list_id": "` + list + `", "last_changed": "2026-01-02T03:04:05+00:00"}`),
			UpdatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		},
		Partial: true,
	}}, page.Objects)

	_, asked, err = listed(t, theLists, members(""), membersPage("0"))
	require.NoError(t, err)
	require.False(t, asked[0].Query().Has("since_last_changed"))
}

func TestAListReadsOneAudienceAfterTheOtherWithItsArchivedMembers(t *testing.T) {
	q := providers.ListQuery{List: "member", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	var paths []string
	for {
		page, asked, err := listed(t, theLists, q, membersPage("0"))
		require.NoError(t, err)
		require.Equal(t, "2026-01-02T03:04:04+00:00", asked[0].Query().Get("since_last_changed"))
		paths = append(paths, asked[0].Path+" "+asked[0].Query().Get("status"))
		if page.Next == "" {
			break
		}
		q.Cursor = page.Next
	}
	require.Equal(t, []string{
		"/3.0/lists/" + list + "/members ", "/3.0/lists/" + list + "/members archived",
		"/3.0/lists/" + otherList + "/members ", "/3.0/lists/" + otherList + "/members archived",
	}, paths)
}

// A page begins where the one before it ended by the time of change, with the
// second before, since rows may share theirs.
func TestTheNextPageBeginsAtTheTimeOfTheLastRow(t *testing.T) {
	page, _, err := listed(t, theLists, members(""), membersPage("9", "2026-01-02T03:04:05+00:00", "2026-01-02T03:04:06+00:00"))
	require.NoError(t, err)
	page, asked, err := listed(t, theLists, members(page.Next),
		membersPage("8", "2026-01-02T03:04:06+00:00", "2026-01-02T03:04:06+00:00", "2026-01-02T03:04:06+00:00", "2026-01-02T03:04:06+00:00"))
	require.NoError(t, err)
	require.Equal(t, "2026-01-02T03:04:05+00:00", asked[0].Query().Get("since_last_changed"))
	require.Equal(t, "0", asked[0].Query().Get("offset"))

	// All of that page changed at once: half of it comes again.
	page, asked, err = listed(t, theLists, members(page.Next), membersPage("8", "2026-01-02T03:04:06+00:00", "2026-01-02T03:04:09+00:00"))
	require.NoError(t, err)
	require.Equal(t, "2026-01-02T03:04:05+00:00", asked[0].Query().Get("since_last_changed"))
	require.Equal(t, "2", asked[0].Query().Get("offset"))

	_, asked, err = listed(t, theLists, members(page.Next), membersPage("1", "2026-01-02T03:04:09+00:00"))
	require.NoError(t, err)
	require.Equal(t, "2026-01-02T03:04:08+00:00", asked[0].Query().Get("since_last_changed"))
	require.Equal(t, "0", asked[0].Query().Get("offset"))
}

func TestRowsWithoutATimeAreCounted(t *testing.T) {
	page, _, err := listed(t, theLists, members(""), membersPage("9", ""))
	require.NoError(t, err)
	require.True(t, page.Objects[0].UpdatedAt.IsZero())
	_, asked, err := listed(t, theLists, members(page.Next), membersPage("1"))
	require.NoError(t, err)
	require.Equal(t, "1", asked[0].Query().Get("offset"))
}

func TestACursorLeadsToNoAudienceThatIsNotDeclared(t *testing.T) {
	for _, cursor := range []string{
		"c6b5da1056", "c6b5da1056 0 0", "../x 0 0", list + "/archived 0", list + " 0 0 0", list + "/other 0 0", list + " -1 0", list + " 0 -1",
		list + " x 0", list + " 0 x", list + " 9999999999999 0", list + " 0 9999999999", "   ", " ",
	} {
		_, asked, err := listed(t, theLists, members(cursor), ``)
		require.ErrorIs(t, err, providers.ErrStaleCursor, cursor)
		require.Empty(t, asked)
	}
}

func TestWithoutAudiencesThereIsNoList(t *testing.T) {
	require.Empty(t, open(t, false).Lists())
	_, asked, err := listed(t, mailchimp.Settings{}, members(""), ``)
	require.ErrorIs(t, err, providers.ErrNoSuchList)
	require.Empty(t, asked)
	_, asked, err = listed(t, theLists, providers.ListQuery{List: "campaign"}, ``)
	require.ErrorIs(t, err, providers.ErrNoSuchList)
	require.Empty(t, asked)
}

func TestAnAnswerThatIsNoPageIsNotTakenForOne(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		retry  providers.Retry
	}{
		"nothing":                     {`{}`, providers.RetrySoon},
		"no total":                    {`{"members": []}`, providers.RetrySoon},
		"more, and none of them":      {membersPage("3"), providers.RetrySoon},
		"members of another audience": {strings.ReplaceAll(membersPage("1", ""), list, otherList), providers.RetryNever},
		"an id that is none":          {strings.ReplaceAll(membersPage("1", ""), memberHash, "../x"), providers.RetryNever},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := listed(t, theLists, members(""), c.answer)
			var failed *providers.APIError
			require.ErrorAs(t, err, &failed)
			require.Equal(t, c.retry, failed.Retry)
		})
	}
}

func TestNewNamesTheAudienceThatIsWrong(t *testing.T) {
	_, err := mailchimp.New(providers.APIConfig{}, mailchimp.Settings{Audiences: []string{list, "no id", list, "../x"}})
	var fields []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		setting, ok := errors.AsType[*providers.SettingError](e)
		require.True(t, ok, e)
		fields = append(fields, setting.Field)
	}
	require.Equal(t, []string{"audiences[1]", "audiences[2]", "audiences[3]"}, fields)
}
