package github_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/google/go-github/v89/github"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/github"
	"github.com/surehook/surehook/providers/providertest"
	"github.com/surehook/surehook/sandbox"
)

// before and since are when the sandbox's objects come to be: what there is to
// list, and what a Since leaves out.
var (
	before = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	since  = before.Add(time.Hour)
)

// hook is the number of every hook in the sandbox.
const hook = 471234567

var listing = github.Settings{
	Repositories: []string{"octo/hello", "octo/other"},
	Hooks:        []github.Hook{{Repository: "octo/hello", ID: hook}, {Organization: "acme", ID: hook}},
}

func listSuite() *providertest.List {
	return &providertest.List{
		New: func(cfg providers.APIConfig) (providers.Lister, error) { return github.New(cfg, listing) },
		Worlds: map[string]func(t *testing.T, key string) providertest.World{
			"deliveries": deliveries,
			"issue": func(t *testing.T, key string) providertest.World {
				return issues(t, key, "issues.opened", "pull_request.opened")
			},
			"pull-request": func(t *testing.T, key string) providertest.World {
				return issues(t, key, "pull_request.opened", "issues.opened")
			},
		},
		Failures: []providertest.Failure{{
			Answer: providertest.Answer{Name: "no such hook or repository, or no right to see it", Status: 404, Body: `{"message": "Not Found"}`},
			Retry:  providers.RetryNever,
		}, {
			Answer: providertest.Answer{
				Name: "a link that leads nowhere", Status: 200, Body: `[]`,
				Header: map[string]string{"Link": `<https://api.github.com/x?after_all=private+text>; rel="next"`},
			},
			Retry: providers.RetryNever,
		}, {
			Answer: providertest.Answer{Name: "entries without their members", Status: 200, Body: `[{"title": "private text"}]`},
			Retry:  providers.RetryNever,
		}},
	}
}

// play returns an API, and lets the test set its clock.
func play(t *testing.T, key string) (*sandbox.Platform, *time.Time) {
	t.Helper()
	now := before
	p := sandbox.NewGitHub(sandbox.PlatformConfig{
		Provider: open(t), Secrets: providers.Secrets{secret}, Key: key, Now: func() time.Time { return now },
	})
	t.Cleanup(p.Close)
	return p, &now
}

// happen makes an event in a repository.
func happen(t *testing.T, api *sandbox.Platform, typ, repository string) sandbox.Event {
	t.Helper()
	ev, err := api.Trigger(t.Context(), typ, sandbox.On(providers.Ref{Type: "repository", ID: repository}))
	require.NoError(t, err)
	return ev
}

// issues are in two repositories, more of them than a page holds in each of three
// seconds, one after the other, among others that are not to be listed.
func issues(t *testing.T, key, typ, other string) providertest.World {
	api, now := play(t, key)
	fill := func(repository string, n int) (names []string) {
		for i := range n {
			if i%20 == 0 {
				happen(t, api, other, repository)
				*now = now.Add(time.Second)
			}
			names = append(names, happen(t, api, typ, repository).Object.String())
		}
		return names
	}
	old := slices.Concat(fill("octo/hello", 70), fill("octo/other", 10))
	for range 3 {
		*now = now.Add(time.Second)
		for range 130 {
			old = append(old, happen(t, api, typ, "octo/hello").Object.String())
		}
	}
	fill("octo/elsewhere", 10)
	*now = since
	return providertest.World{API: api, Since: since, Recent: slices.Concat(fill("octo/hello", 30), fill("octo/other", 5)), Old: old}
}

// deliveries are of two hooks, with pings and events that were sent twice.
func deliveries(t *testing.T, key string) providertest.World {
	api, now := play(t, key)
	endpoint := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(endpoint.Close)
	api.SetTarget(endpoint.URL)
	fill := func(repository string, n int) (ids []string) {
		for i := range n {
			ev := happen(t, api, "issues.opened", repository)
			ids = append(ids, ev.ID)
			if i%20 == 0 {
				happen(t, api, "ping", repository)
				_, err := api.Redeliver(t.Context(), ev.ID)
				require.NoError(t, err)
			}
		}
		return ids
	}
	old := slices.Concat(fill("octo/hello", 110), fill("acme/one", 20))
	again := old[5]
	fill("octo/elsewhere", 10)
	*now = since
	recent := slices.Concat(fill("octo/hello", 110), fill("acme/one", 20), fill("acme/two", 20))
	_, err := api.Redeliver(t.Context(), again)
	require.NoError(t, err)
	return providertest.World{
		API: api, Since: since, Recent: append(recent, again), Old: slices.Delete(old, 5, 6),
		Stale: []providertest.Answer{{Name: "422", Status: http.StatusUnprocessableEntity, Body: `{"message": "Validation Failed"}`}},
	}
}

// lister asks the API for its lists.
func lister(t *testing.T, api http.Handler, s github.Settings) *github.Provider {
	t.Helper()
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	p, err := github.New(providers.APIConfig{BaseURL: server.URL, Key: "ghp_x"}, s)
	require.NoError(t, err)
	return p
}

// answers is an API that answers every call alike, and tells of it.
func answers(body string, calls *[]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*calls = append(*calls, r.URL.Path+"?"+r.URL.Query().Encode())
		_, _ = w.Write([]byte(body))
	})
}

func TestASourceHasTheListsThatItsSettingsAllow(t *testing.T) {
	for name, c := range map[string]struct {
		settings github.Settings
		want     []string
	}{
		"none":         {},
		"repositories": {github.Settings{Repositories: listing.Repositories}, []string{"issue", "pull-request"}},
		"hooks":        {github.Settings{Hooks: listing.Hooks}, []string{"deliveries"}},
		"both":         {listing, []string{"deliveries", "issue", "pull-request"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := github.New(providers.APIConfig{}, c.settings)
			require.NoError(t, err)
			var names []string
			for _, list := range p.Lists() {
				names = append(names, list.Name)
			}
			require.Equal(t, c.want, names)
			for _, list := range []string{"deliveries", "issue", "pull-request"} {
				if !slices.Contains(c.want, list) {
					_, err := p.List(t.Context(), providers.ListQuery{List: list})
					require.ErrorIs(t, err, providers.ErrNoSuchList)
				}
			}
		})
	}
}

func TestMistakesInTheSettingsAreNamed(t *testing.T) {
	for want, s := range map[string]github.Settings{
		"repositories[1]: want owner/name":                                                   {Repositories: []string{"octo/hello", "hello"}},
		"repositories[0]: want owner/name":                                                   {Repositories: []string{"octo/.."}},
		"repositories[1]: is declared twice":                                                 {Repositories: []string{"octo/hello", "octo/hello"}},
		"hooks[0]: want either repository or organization":                                   {Hooks: []github.Hook{{ID: 1}}},
		"hooks[1]: want either repository or organization":                                   {Hooks: []github.Hook{{Organization: "acme", ID: 1}, {Repository: "o/r", Organization: "o", ID: 1}}},
		"hooks[0]: want the hook's number":                                                   {Hooks: []github.Hook{{Repository: "octo/hello"}}},
		"hooks[0]: want owner/name":                                                          {Hooks: []github.Hook{{Repository: "../hello", ID: 1}}},
		"hooks[0]: want an organization's login":                                             {Hooks: []github.Hook{{Organization: "a/b", ID: 1}}},
		"hooks[1]: is declared twice":                                                        {Hooks: []github.Hook{{Organization: "acme", ID: 1}, {Organization: "acme", ID: 1}}},
		"repositories[0]: want owner/name\nhooks[0]: want either repository or organization": {Repositories: []string{""}, Hooks: []github.Hook{{ID: 1}}},
	} {
		_, err := github.New(providers.APIConfig{}, s)
		require.ErrorContains(t, err, want)
	}
}

func TestListsAskForWhatGitHubDocuments(t *testing.T) {
	for _, c := range []struct {
		query providers.ListQuery
		want  string
	}{
		{providers.ListQuery{List: "issue"}, "/repos/octo/hello/issues?direction=asc&per_page=100&sort=updated&state=all"},
		{
			providers.ListQuery{List: "pull-request", Since: since},
			"/repos/octo/hello/issues?direction=asc&per_page=100&since=2026-03-04T06%3A06%3A06Z&sort=updated&state=all",
		},
		{providers.ListQuery{List: "deliveries", Since: since}, "/repos/octo/hello/hooks/471234567/deliveries?per_page=100"},
		{
			providers.ListQuery{List: "deliveries", Cursor: "/orgs/acme/hooks/471234567 cursor=v1_1"},
			"/orgs/acme/hooks/471234567/deliveries?cursor=v1_1&per_page=100",
		},
	} {
		var calls []string
		_, err := lister(t, answers("[]", &calls), listing).List(t.Context(), c.query)
		require.NoError(t, err)
		require.Equal(t, []string{c.want}, calls)
	}
}

func TestListedObjectsHaveTheNamesThatWebhooksGiveThem(t *testing.T) {
	api, _ := play(t, "ghp_x")
	p := lister(t, api, listing)
	for list, typ := range map[string]string{"issue": "issues.opened", "pull-request": "pull_request.opened"} {
		sent := happen(t, api, typ, "octo/hello")
		r, err := api.Request(sent.ID)
		require.NoError(t, err)
		page, err := p.List(t.Context(), providers.ListQuery{List: list})
		require.NoError(t, err)
		require.Len(t, page.Objects, 1)
		require.Equal(t, providertest.OneEvent(t, p, r).Ref, page.Objects[0].Ref)
		require.True(t, page.Objects[0].Partial)
		require.Equal(t, before, page.Objects[0].UpdatedAt)
	}
}

func TestListedObjectsAreNamedByTheRepositorysOwnName(t *testing.T) {
	var calls []string
	p := lister(t, answers(`[{"number": 7, "updated_at": "2026-03-04T05:06:07Z", "repository_url": "https://api.github.com/repos/Octo/Hello-World"}]`, &calls), listing)
	page, err := p.List(t.Context(), providers.ListQuery{List: "issue"})
	require.NoError(t, err)
	require.Equal(t, providers.Ref{Type: "issue", ID: "Octo/Hello-World/issues/7"}, page.Objects[0].Ref)
}

func TestARepositoryIsListedUnderItsFormerName(t *testing.T) {
	api, _ := play(t, "ghp_x")
	issue := happen(t, api, "issues.opened", "octo/hello")
	happen(t, api, "repository.renamed", "octo/hello")
	page, err := lister(t, api, listing).List(t.Context(), providers.ListQuery{List: "issue"})
	require.NoError(t, err)
	require.Len(t, page.Objects, 1)
	require.Equal(t, issue.Object, page.Objects[0].Ref)
}

// To read on by the numbers of pages would lose one: what is updated moves to the end.
func TestAnIssueThatIsUpdatedMeanwhileHidesNoOther(t *testing.T) {
	api, now := play(t, "ghp_x")
	var all []string
	var first providers.Ref
	for i := range 150 {
		*now = now.Add(time.Second)
		issue := happen(t, api, "issues.opened", "octo/hello").Object
		if i == 0 {
			first = issue
		}
		all = append(all, issue.String())
	}
	p := lister(t, api, github.Settings{Repositories: []string{"octo/hello"}})
	var listed []string
	for query, pages := (providers.ListQuery{List: "issue"}), 0; pages == 0 || query.Cursor != ""; pages++ {
		page, err := p.List(t.Context(), query)
		require.NoError(t, err)
		for _, o := range page.Objects {
			listed = append(listed, o.Ref.String())
		}
		query.Cursor = page.Next
		*now = now.Add(time.Second)
		_, err = api.Update(first, func(map[string]any) {})
		require.NoError(t, err)
		require.Less(t, pages, 10)
	}
	slices.Sort(listed)
	require.ElementsMatch(t, all, slices.Compact(listed))
}

func TestAPlaceThatIsNoLongerInTheSettingsIsStale(t *testing.T) {
	p := lister(t, http.NotFoundHandler(), listing)
	for _, cursor := range []string{"octo/gone", "/repos/octo/hello/hooks/1 cursor=v1_1", "octo/hello page=%2", "/repos/octo/hello/hooks/471234567 page=%2", "x"} {
		for _, list := range []string{"issue", "deliveries"} {
			_, err := p.List(t.Context(), providers.ListQuery{List: list, Cursor: cursor})
			require.ErrorIs(t, err, providers.ErrStaleCursor)
			require.NotContains(t, err.Error(), cursor)
		}
	}
}

// delivered returns the request of the one delivery that the API's hook has.
func delivered(t *testing.T, p *github.Provider) (providers.Request, error) {
	t.Helper()
	page, err := p.List(t.Context(), providers.ListQuery{List: "deliveries"})
	require.NoError(t, err)
	require.Len(t, page.Events, 1)
	require.NotEmpty(t, page.Events[0].ID)
	return page.Events[0].Request(t.Context())
}

func TestAMissedDeliveryIsTheOneThatWasSent(t *testing.T) {
	api, _ := play(t, "ghp_x")
	sent := happen(t, api, "issues.opened", "octo/hello")
	webhook, err := api.Request(sent.ID)
	require.NoError(t, err)
	p := lister(t, api, listing)
	missed, err := delivered(t, p)
	require.NoError(t, err)
	require.Equal(t, providertest.OneEvent(t, p, webhook), providertest.OneEvent(t, p, missed))
	require.Empty(t, missed.Header.Get("X-Hub-Signature-256"))
	require.Equal(t, "471234567", missed.Header.Get("X-GitHub-Hook-ID"))
	require.Equal(t, before, missed.ReceivedAt)
}

// detailed is an API with one delivery, and the answer for its details.
func detailed(status int, details string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/deliveries") {
			_, _ = fmt.Fprintf(w, `[{"id": 5, "guid": %q, "delivered_at": "2026-03-04T05:06:07Z", "event": "issues"}]`, delivery)
			return
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(details))
	})
}

func TestADeliveryInAFormIsReadAsWhatTheLogShows(t *testing.T) {
	p := lister(t, detailed(http.StatusOK, fmt.Sprintf(`{"id": 5, "guid": %q, "request": {"payload": %s, "headers": {
		"content-type": "application/x-www-form-urlencoded", "X-Hub-Signature": "sha1=0", "X-Hub-Signature-256": "sha256=0",
		"X-GitHub-Event": "issues", "X-GitHub-Delivery": %q}}}`, delivery, issueOpened, delivery)), listing)
	missed, err := delivered(t, p)
	require.NoError(t, err)
	require.Equal(t, http.Header{
		"Content-Type": {"application/json"}, "X-Github-Event": {"issues"}, "X-Github-Delivery": {delivery},
	}, missed.Header)
	require.Equal(t, delivery, providertest.OneEvent(t, p, missed).ID)
}

func TestADeliveryThatGitHubNoLongerHasIsNotFound(t *testing.T) {
	for _, api := range []http.Handler{
		detailed(http.StatusNotFound, `{"message": "Not Found"}`),
		detailed(http.StatusOK, fmt.Sprintf(`{"id": 5, "guid": %q, "request": {"headers": null, "payload": null}}`, delivery)),
	} {
		_, err := delivered(t, lister(t, api, listing))
		require.ErrorIs(t, err, providers.ErrNotFound)
	}
}

func TestADeliveryThatCannotBeReadIsAFailedCall(t *testing.T) {
	for body, want := range map[string]providers.Retry{
		`<html>private text</html>`:                                        providers.RetrySoon,
		`{"guid": "another", "request": {"payload": {"private text": 1}}}`: providers.RetryNever,
	} {
		_, err := delivered(t, lister(t, detailed(http.StatusOK, body), listing))
		var failed *providers.APIError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, want, failed.Retry)
		require.NotContains(t, err.Error(), "private text")
	}
}

func TestDeliveriesOfLongAgoAreNoLongerListed(t *testing.T) {
	api, now := play(t, "ghp_x")
	happen(t, api, "issues.opened", "octo/hello")
	*now = before.AddDate(0, 0, 4)
	page, err := lister(t, api, listing).List(t.Context(), providers.ListQuery{List: "deliveries"})
	require.NoError(t, err)
	require.Empty(t, page.Events)
}

// A run that has seen all since its time asks for no older page.
func TestPagesBeforeSinceAreNotAskedFor(t *testing.T) {
	api, now := play(t, "ghp_x")
	for range 250 {
		happen(t, api, "issues.opened", "octo/hello")
	}
	*now = since
	happen(t, api, "issues.opened", "octo/hello")
	p := lister(t, api, github.Settings{Hooks: listing.Hooks[:1]})
	page, err := p.List(t.Context(), providers.ListQuery{List: "deliveries", Since: since.Add(500 * time.Millisecond)})
	require.NoError(t, err)
	require.Len(t, page.Events, 1)
	require.Empty(t, page.Next)
	page, err = p.List(t.Context(), providers.ListQuery{List: "deliveries"})
	require.NoError(t, err)
	require.Regexp(t, `^/repos/octo/hello/hooks/471234567 \S`, page.Next)
}

// library returns go-github, pointed at the API.
func library(t *testing.T, api http.Handler) *sdk.Client {
	t.Helper()
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	base := server.URL + "/"
	client, err := sdk.NewClient(sdk.WithAuthToken("ghp_x"), sdk.WithURLs(&base, nil))
	require.NoError(t, err)
	return client
}

// What go-github finds on the fake we find, too: what passes there is likely to
// be right at GitHub.
func TestTheLibraryFindsTheDeliveriesThatWeFind(t *testing.T) {
	world := deliveries(t, "ghp_x")
	client := library(t, world.API)
	found, pings := map[string]bool{}, 0
	note := func(page []*sdk.HookDelivery) {
		for _, d := range page {
			if d.GetEvent() == "ping" {
				pings++
				continue
			}
			found[d.GetGUID()] = true
		}
	}
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		page, response, err := client.Repositories.ListHookDeliveries(t.Context(), "octo", "hello", hook, &sdk.ListCursorOptions{PerPage: 100, Cursor: cursor})
		require.NoError(t, err)
		note(page)
		cursor = response.Cursor
		require.Less(t, pages, 10)
	}
	page, _, err := client.Organizations.ListHookDeliveries(t.Context(), "acme", hook, &sdk.ListCursorOptions{PerPage: 100})
	require.NoError(t, err)
	note(page)
	require.ElementsMatch(t, slices.Concat(world.Recent, world.Old), slices.Collect(maps.Keys(found)))
	require.Equal(t, 15, pings)
}

func TestTheLibraryFindsTheIssuesThatWeFind(t *testing.T) {
	world := issues(t, "ghp_x", "issues.opened", "pull_request.opened")
	client := library(t, world.API)
	var found []string
	for _, repository := range []string{"hello", "other"} {
		opts := &sdk.IssueListByRepoOptions{State: "all", Sort: "updated", Since: since}
		page, _, err := client.Issues.ListByRepo(t.Context(), "octo", repository, opts)
		require.NoError(t, err)
		for _, i := range page {
			if !i.IsPullRequest() {
				found = append(found, fmt.Sprintf("issue/octo/%s/issues/%d", repository, i.GetNumber()))
			}
		}
	}
	require.Subset(t, world.Recent, found)
	require.Greater(t, len(found), 25)
}

func TestTheLibraryReadsADeliveryAndHasItSentAgain(t *testing.T) {
	api, _ := play(t, "ghp_x")
	sent := happen(t, api, "issues.opened", "octo/hello")
	client := library(t, api)
	log := func() []*sdk.HookDelivery {
		page, _, err := client.Repositories.ListHookDeliveries(t.Context(), "octo", "hello", hook, nil)
		require.NoError(t, err)
		return page
	}
	require.Len(t, log(), 1)
	details, _, err := client.Repositories.GetHookDelivery(t.Context(), "octo", "hello", hook, log()[0].GetID())
	require.NoError(t, err)
	require.Equal(t, sent.ID, details.GetGUID())
	require.NoError(t, sdk.ValidateSignature(details.Request.GetHeader("X-Hub-Signature-256"), *details.Request.RawPayload, []byte(secret)))

	endpoint := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(endpoint.Close)
	api.SetTarget(endpoint.URL)
	_, _, err = client.Repositories.RedeliverHookDelivery(t.Context(), "octo", "hello", hook, log()[0].GetID())
	var accepted *sdk.AcceptedError
	require.ErrorAs(t, err, &accepted)
	require.NoError(t, api.Wait(t.Context()))
	again, ok := api.Event(sent.ID)
	require.True(t, ok)
	require.True(t, again.Acknowledged)
	require.Equal(t, "OK", log()[0].GetStatus())
}
