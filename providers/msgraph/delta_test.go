package msgraph_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/msgraph"
	"github.com/surehook/surehook/providers/providertest"
	"github.com/surehook/surehook/sandbox"
)

const inbox = "users/" + user + "/mailFolders/inbox/messages/delta"

// subscribes are settings with two delta functions.
var subscribes = msgraph.Settings{Subscribe: []msgraph.Subscribe{
	{Resource: "users", Delta: []string{"users/delta"}},
	{Resource: "/users/" + user + "/messages", Delta: []string{inbox}},
}}

func listSuite() *providertest.List {
	suite := fetchSuite()
	return &providertest.List{
		New:      func(cfg providers.APIConfig) (providers.Lister, error) { return msgraph.New(cfg, subscribes) },
		Worlds:   map[string]func(t *testing.T, key string) providertest.World{"delta": directory},
		Failures: suite.Failures[2:],
	}
}

// directory has users and the mail of one of them, and some of each deleted.
func directory(t *testing.T, key string) providertest.World {
	p, _ := play(t, key)
	create := func(kind string, n int) (names []string) {
		for range n {
			ref, err := p.Create(kind, nil)
			require.NoError(t, err)
			names = append(names, ref.String())
		}
		deleted, err := p.Create(kind, nil)
		require.NoError(t, err)
		require.NoError(t, p.Delete(deleted))
		return names
	}
	users, mail := create("user", 130), create("message", 120)
	world := providertest.World{API: p, Since: begin, Old: append(users, "user/"+user), Recent: mail, Timeless: true}
	for _, code := range []string{"syncStateNotFound", "SyncStateNotFound", "resyncRequired", "Directory_ExpiredPageToken"} {
		world.Stale = append(world.Stale, providertest.Answer{Name: code, Status: 400, Body: graphError(code)})
	}
	world.Stale = append(world.Stale, providertest.Answer{Name: "410", Status: 410, Body: graphError("private text")})
	return world
}

var begin = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// play is a sandboxed Graph whose clock the test sets.
func play(t *testing.T, key string) (*sandbox.Platform, *time.Time) {
	t.Helper()
	now := begin
	p := sandbox.NewMSGraph(sandbox.PlatformConfig{
		Provider: open(t, msgraph.Settings{}), Secrets: providers.Secrets{secret}, Key: key, Now: func() time.Time { return now },
	})
	t.Cleanup(p.Close)
	return p, &now
}

// reading is a lister of the API, below a path as well as it may be.
func reading(t *testing.T, api http.Handler, s msgraph.Settings) *msgraph.Provider {
	t.Helper()
	server := httptest.NewServer(http.StripPrefix("/below/it", api))
	t.Cleanup(server.Close)
	p, err := msgraph.New(providers.APIConfig{BaseURL: server.URL + "/below/it", Key: "token"}, s)
	require.NoError(t, err)
	return p
}

// round reads a whole round and returns what it showed, by name, and its mark.
func round(t *testing.T, p *msgraph.Provider, mark string) (shown map[string]providers.Listed, after string) {
	t.Helper()
	shown = map[string]providers.Listed{}
	for q := (providers.ListQuery{List: "delta", Mark: mark}); ; {
		page, err := p.List(t.Context(), q)
		require.NoError(t, err)
		for _, o := range page.Objects {
			require.True(t, o.Partial)
			shown[o.Ref.String()] = o
		}
		if q.Cursor = page.Next; page.Next == "" {
			return shown, page.Mark
		}
		require.Empty(t, page.Mark, "before the last page there is none")
	}
}

func TestARoundShowsWhatHasChangedSinceTheOneBefore(t *testing.T) {
	api, now := play(t, "token")
	p := reading(t, api, subscribes)
	mail, err := api.Create("message", nil)
	require.NoError(t, err)
	gone, err := api.Create("user", nil)
	require.NoError(t, err)
	*now = now.Add(time.Minute)
	whole, mark := round(t, p, "")
	require.Len(t, whole, 3)
	require.Equal(t, begin, whole[mail.String()].UpdatedAt, "a whole round is compared by its times")
	require.NotContains(t, mark, "http", "where the links lead is not kept")

	*now = now.Add(time.Minute)
	nothing, mark := round(t, p, mark)
	require.Empty(t, nothing)

	*now = now.Add(time.Minute)
	_, err = api.Update(mail, func(o map[string]any) { o["subject"] = "another" })
	require.NoError(t, err)
	require.NoError(t, api.Delete(gone))
	changed, mark := round(t, p, mark)
	require.Len(t, changed, 2)
	require.False(t, changed[mail.String()].Deleted)
	require.Zero(t, changed[mail.String()].UpdatedAt, "what has changed is fetched, whatever its whole seconds say")
	require.True(t, changed[gone.String()].Deleted)

	*now = now.Add(8 * 24 * time.Hour)
	_, err = p.List(t.Context(), providers.ListQuery{List: "delta", Mark: mark})
	require.ErrorIs(t, err, providers.ErrStaleCursor)
}

func TestAFunctionThatTheMarkDoesNotKnowBeginsWithEverything(t *testing.T) {
	api, now := play(t, "token")
	mail, err := api.Create("message", nil)
	require.NoError(t, err)
	*now = now.Add(time.Minute)
	_, mark := round(t, reading(t, api, msgraph.Settings{Subscribe: subscribes.Subscribe[:1]}), "")
	*now = now.Add(time.Minute)
	shown, _ := round(t, reading(t, api, subscribes), mark)
	require.Len(t, shown, 1)
	require.Contains(t, shown, mail.String())
}

// delivered answers a delta with a text, in which %s is the API's address.
func delivered(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.ReplaceAll(text, "%s", "http://"+r.Host+"/below/it"))
	})
}

func TestObjectsAreNamedAsNotificationsNameThem(t *testing.T) {
	folder := "users/" + user
	const group = "02bd9fd6-8f93-4758-87c3-1fb73740a315"
	for _, c := range []struct {
		resource, delta, id string
		want                providers.Ref
	}{
		{"users", "users/delta", user, providers.Ref{Type: "user", ID: user}},
		{"Users", "/users/delta?$select=displayName", user, providers.Ref{Type: "user", ID: user}},
		{"groups", "groups/delta", group, providers.Ref{Type: "group", ID: "Groups/" + group}},
		{folder + "/messages", inbox, mail, providers.Ref{Type: "message", ID: user + "/Messages/" + mail}},
		{folder + "/mailFolders('inbox')/messages", inbox, mail, providers.Ref{Type: "message", ID: user + "/Messages/" + mail}},
		{folder + "/events", folder + "/calendarView/delta?startDateTime=2026-01-01T00:00:00Z&endDateTime=2027-01-01T00:00:00Z", mail, providers.Ref{Type: "event", ID: user + "/Events/" + mail}},
		{folder + "/contacts", folder + "/contactFolders/AAA=/contacts/delta", mail, providers.Ref{Type: "contact", ID: user + "/Contacts/" + mail}},
	} {
		s := msgraph.Settings{Subscribe: []msgraph.Subscribe{{Resource: c.resource, Delta: []string{c.delta}}}}
		p := reading(t, delivered(`{"value": [{"id": "`+c.id+`"}], "@odata.deltaLink": "%s/v1.0/users/delta?$deltatoken=x"}`), s)
		page, err := p.List(t.Context(), providers.ListQuery{List: "delta"})
		require.NoError(t, err, c.resource)
		require.Equal(t, c.want, page.Objects[0].Ref)
		require.NotEmpty(t, page.Mark)
	}

	// The same object as its notification names it.
	for item, want := range map[string]providers.Ref{
		mailUpdated: {Type: "message", ID: user + "/Messages/" + mail, Account: tenant},
		userDeleted: {Type: "user", ID: user, Account: otherTenant},
	} {
		events, err := open(t, msgraph.Settings{}).Events(request(batch(item)))
		require.NoError(t, err)
		require.Equal(t, want, events[0].Ref)
	}
}

func TestWhatNoNotificationNamesIsNotListed(t *testing.T) {
	p := reading(t, delivered(`{"value": [
		{"id": "a b"}, {"id": ""}, {"id": "../x"}, {"id": "`+strings.Repeat("x", 300)+`"}, {"id": "`+user+`", "type": "occurrence"}, {"id": "`+user+`"}, {"id": "`+user+`"}
	], "@odata.deltaLink": "%s/v1.0/users/delta?$deltatoken=x"}`), msgraph.Settings{Subscribe: subscribes.Subscribe[:1]})
	page, err := p.List(t.Context(), providers.ListQuery{List: "delta"})
	require.NoError(t, err)
	require.Len(t, page.Objects, 2, "and what is shown twice is listed twice")
}

func TestLinksLeadToADeltaFunctionOfTheSameAPI(t *testing.T) {
	for _, link := range []string{
		"https://graph.example/v1.0/users/delta?$skiptoken=x", "http://graph.example/below/it/v1.0/users/delta?$skiptoken=x", "//graph.example/v1.0/users/delta", "%s.evil.example/v1.0/users/delta", "/v1.0/users/delta",
		"%s/v1.0/users", "%s/v1.0/users/delta/x", "%s/beta/users/delta", "%s/../v1.0/users/delta", "%s/v1.0/x/../users/delta", "%s/v1.0/delta", "%s/v1.0/%2e%2e/delta",
		"delta", "x y",
	} {
		for _, member := range []string{"@odata.nextLink", "@odata.deltaLink"} {
			p := reading(t, delivered(fmt.Sprintf(`{"value": [], %q: %q}`, member, link)), subscribes)
			_, err := p.List(t.Context(), providers.ListQuery{List: "delta"})
			var failed *providers.APIError
			require.ErrorAs(t, err, &failed, link)
			require.Equal(t, providers.RetryNever, failed.Retry)
			require.NotContains(t, err.Error(), "example")
		}
	}
	for _, link := range []string{
		"%s/v1.0/users/delta?$skiptoken=x", "%s/v1.0/users/microsoft.graph.delta()?$skiptoken=x", "%s/v1.0/users/delta()?$skiptoken=x",
		"%s/v1.0/users('" + user + "')/mailFolders('AQMk=')/messages/delta?$skiptoken=a-_%2F",
	} {
		p := reading(t, delivered(fmt.Sprintf(`{"value": [], "@odata.nextLink": %q}`, link)), subscribes)
		_, err := p.List(t.Context(), providers.ListQuery{List: "delta"})
		require.NoError(t, err, link)
	}
}

func TestAMarkThatLeadsElsewhereIsStale(t *testing.T) {
	p := reading(t, http.NotFoundHandler(), subscribes)
	for _, q := range []providers.ListQuery{
		{Mark: `{"users/delta": "users"}`},
		{Mark: `{"users/delta": "https://graph.example/users/delta"}`},
		{Mark: `not JSON`},
		{Cursor: `{"function": "users/delta", "link": "subscriptions"}`},
		{Cursor: `{"function": "groups/delta"}`},
		{Cursor: `[]`},
	} {
		q.List = "delta"
		_, err := p.List(t.Context(), q)
		require.ErrorIs(t, err, providers.ErrStaleCursor)
	}
}

func TestASourceWithoutADeltaHasNoList(t *testing.T) {
	for _, s := range []msgraph.Settings{{}, {Subscribe: []msgraph.Subscribe{{Resource: "users"}}}} {
		require.Empty(t, open(t, s).Lists())
		_, err := open(t, s).List(t.Context(), providers.ListQuery{List: "delta"})
		require.ErrorIs(t, err, providers.ErrNoSuchList)
	}
}
