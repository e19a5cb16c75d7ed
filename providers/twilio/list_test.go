package twilio_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
	"github.com/surehook/surehook/providers/twilio"
	"github.com/surehook/surehook/sandbox"
)

func listSuite() *providertest.List {
	suite := &providertest.List{
		New: func(cfg providers.APIConfig) (providers.Lister, error) {
			return twilio.New(cfg, twilio.Settings{AccountSID: account, Subaccounts: []string{subaccount}})
		},
		Worlds:   map[string]func(t *testing.T, key string) providertest.World{},
		Failures: callFailures(),
	}
	for list, member := range map[string]string{
		"message": "date_sent", "call": "start_time", "recording": "date_created", "conference": "date_created",
	} {
		suite.Worlds[list] = func(t *testing.T, key string) providertest.World { return world(t, key, list, member) }
	}
	return suite
}

// world is an account, with a subaccount, that has had objects of a type for
// some days. The member says on which.
func world(t *testing.T, key, typ, member string) providertest.World {
	t.Helper()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	api := sandbox.NewTwilio(sandbox.PlatformConfig{Provider: open(t), Secrets: providers.Secrets{secret}, Key: key, Now: func() time.Time { return now }})
	t.Cleanup(api.Close)
	create := func(account string, n int) (names []string) {
		for i := range n {
			ref, err := api.Create(typ, map[string]any{"account_sid": account, member: now.Format(time.RFC1123Z)})
			require.NoError(t, err)
			if i == 0 {
				require.NoError(t, api.Delete(ref))
				continue
			}
			names = append(names, ref.String())
		}
		return names
	}
	old := 5 // each account has a page
	if typ == "message" {
		old = 255
	}
	w := providertest.World{API: api, Since: now.AddDate(0, 0, 2)}
	w.Old = append(create(account, old), create(subaccount, 3)...)
	now = now.AddDate(0, 0, 1) // the day before, which is listed as well
	w.Recent = create(account, 5)
	now = w.Since
	w.Recent = append(w.Recent, create(subaccount, 5)...)
	return w
}

// listed asks an API that gives the answer for a page, and returns what it was
// asked for.
func listed(t *testing.T, s twilio.Settings, q providers.ListQuery, answer string) (page providers.Page, asked []string, err error) {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		_, _ = w.Write([]byte(answer))
	}))
	defer api.Close()
	p, err := twilio.New(providers.APIConfig{BaseURL: api.URL, Key: account + ":token"}, s)
	require.NoError(t, err)
	page, err = p.List(t.Context(), q)
	return page, asked, err
}

const (
	messagesPath = "/2010-04-01/Accounts/" + account + "/Messages.json"
	aMessage     = `{"sid": "` + message + `", "date_updated": "Fri, 02 Jan 2026 03:04:05 +0000"}`
)

// messagesPage is a page with a message and the address of the next page.
func messagesPage(next string) string {
	return `{"messages": [` + aMessage + `], "next_page_uri": ` + next + `, "page": 0}`
}

func TestListAsksAsTwilioDocuments(t *testing.T) {
	since := time.Date(2026, 1, 2, 0, 30, 0, 0, time.FixedZone("", 3600)) // still the first in UTC
	for list, want := range map[string]string{
		"message":    "/Messages.json?DateSent%3E=2025-12-31&PageSize=250",
		"call":       "/Calls.json?PageSize=250&StartTime%3E=2025-12-31",
		"recording":  "/Recordings.json?DateCreated%3E=2025-12-31&PageSize=250",
		"conference": "/Conferences.json?DateUpdated%3E=2025-12-31&PageSize=250",
	} {
		_, asked, _ := listed(t, twilio.Settings{}, providers.ListQuery{List: list, Since: since}, ``)
		require.Equal(t, []string{"/2010-04-01/Accounts/" + account + want}, asked)
		_, asked, _ = listed(t, twilio.Settings{}, providers.ListQuery{List: list}, ``)
		require.Len(t, asked, 1)
		require.True(t, strings.HasSuffix(asked[0], ".json?PageSize=250"), asked)
	}
}

func TestAPageNamesTheObjectsAsWebhooksDo(t *testing.T) {
	page, _, err := listed(t, twilio.Settings{}, providers.ListQuery{List: "message"}, messagesPage("null"))
	require.NoError(t, err)
	require.Empty(t, page.Next)
	require.Equal(t, []providers.Listed{{
		Object: providers.Object{
			Ref:       providers.Ref{Type: "message", ID: message, Account: account},
			State:     json.RawMessage(aMessage),
			UpdatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		},
		Partial: true,
	}}, page.Objects)
	events, err := open(t).Events(request(delivered))
	require.NoError(t, err)
	require.Equal(t, events[0].Ref, page.Objects[0].Ref)
}

// Of the address of the next page only the query is followed.
func TestTheNextPageIsOfTheSameListAndHost(t *testing.T) {
	for _, next := range []string{
		messagesPath + `?DateSent%3E=2026-01-01&PageSize=250&Page=1&PageToken=PASM1`,
		`https://evil.example` + messagesPath + `?PageSize=250&Page=1&PageToken=PASM1&DateSent>=2026-01-01`,
	} {
		page, _, err := listed(t, twilio.Settings{}, providers.ListQuery{List: "message"}, messagesPage(`"`+next+`"`))
		require.NoError(t, err)
		_, asked, err := listed(t, twilio.Settings{}, providers.ListQuery{List: "message", Cursor: page.Next}, messagesPage(`null`))
		require.NoError(t, err)
		require.Equal(t, []string{messagesPath + "?DateSent%3E=2026-01-01&Page=1&PageSize=250&PageToken=PASM1"}, asked)
	}
	for _, next := range []string{
		"/2010-04-01/Accounts/" + subaccount + "/Messages.json?Page=1", "/2010-04-01/Accounts/" + account + "/Calls.json?Page=1",
		messagesPath, messagesPath + "?", messagesPath + "?%zz", ":", "?Page=1",
	} {
		_, _, err := listed(t, twilio.Settings{}, providers.ListQuery{List: "message"}, messagesPage(`"`+next+`"`))
		requireNever(t, err, "the next page")
	}
}

func TestAPageThatIsItsOwnNextIsNotFollowedForEver(t *testing.T) {
	q := providers.ListQuery{List: "message", Cursor: account + " Page=1&PageSize=250"}
	_, _, err := listed(t, twilio.Settings{}, q, messagesPage(`"`+messagesPath+`?PageSize=250&Page=1"`))
	var failed *providers.APIError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, providers.RetrySoon, failed.Retry)
}

func TestAListReadsOneAccountAfterTheOther(t *testing.T) {
	// An account that is named twice must not be read in a circle.
	settings := twilio.Settings{Subaccounts: []string{account, subaccount, subaccount}}
	q := providers.ListQuery{List: "message", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	page, _, err := listed(t, settings, q, messagesPage("null"))
	require.NoError(t, err)
	q.Cursor = page.Next
	page, asked, err := listed(t, settings, q, messagesPage(`""`))
	require.NoError(t, err)
	require.Equal(t, []string{"/2010-04-01/Accounts/" + subaccount + "/Messages.json?DateSent%3E=2026-01-01&PageSize=250"}, asked)
	require.Equal(t, subaccount, page.Objects[0].Ref.Account)
	require.Empty(t, page.Next)
}

func TestACursorLeadsToNoAccountThatIsNotDeclared(t *testing.T) {
	for _, cursor := range []string{
		subaccount, subaccount + " Page=1", "../" + account + " Page=1", account + "/Messages.json Page=1", account + " %zz", " ",
	} {
		_, asked, err := listed(t, twilio.Settings{}, providers.ListQuery{List: "message", Cursor: cursor}, ``)
		require.ErrorIs(t, err, providers.ErrStaleCursor, cursor)
		require.Empty(t, asked)
	}
	_, asked, _ := listed(t, twilio.Settings{}, providers.ListQuery{List: "message", Cursor: account + " #/../../x?&Page=1"}, ``)
	require.Equal(t, []string{messagesPath + "?%23%2F..%2F..%2Fx%3F=&Page=1"}, asked, "whatever it holds, it is a query")
}

func TestThereIsNoListOfWhatTwilioCannotNarrow(t *testing.T) {
	for _, name := range []string{"", "transcription", "messages"} {
		_, asked, err := listed(t, twilio.Settings{}, providers.ListQuery{List: name}, ``)
		require.ErrorIs(t, err, providers.ErrNoSuchList)
		require.Empty(t, asked)
	}
	_, err := open(t).List(t.Context(), providers.ListQuery{List: "message"})
	requireNever(t, err, "the source has no API key")
}

func TestAnAnswerThatIsNoPageIsNotTakenForOne(t *testing.T) {
	for answer, retry := range map[string]providers.Retry{
		`{}`:                        providers.RetrySoon,
		`{"messages": null}`:        providers.RetrySoon,
		`{"calls": []}`:             providers.RetrySoon,
		`{"messages": [{}]}`:        providers.RetryNever,
		`{"messages": [{"sid": 1}]`: providers.RetrySoon,
		`{"messages": [{"sid": "` + call + `"}]}`: providers.RetryNever,
	} {
		_, _, err := listed(t, twilio.Settings{}, providers.ListQuery{List: "message"}, answer)
		var failed *providers.APIError
		require.ErrorAs(t, err, &failed, answer)
		require.Equal(t, retry, failed.Retry, answer)
	}
}
