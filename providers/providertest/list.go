package providertest

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

// List describes a platform's lists.
type List struct {
	// New returns the provider for an API at cfg.BaseURL, with settings that give it
	// all the lists below.
	New func(cfg providers.APIConfig) (providers.Lister, error)

	// Worlds make what there is to list, by the name of the list: as many things as
	// fill two pages or more.
	Worlds map[string]func(t *testing.T, key string) World

	// Failures are the answers by which the platform says that a call failed, and
	// what it wants done. Exercise adds those that mean the same everywhere.
	Failures []Failure
}

// World is what a list has to show. Objects are named as Ref.String does, events
// by their IDs.
type World struct {
	API    http.Handler // takes calls with the key
	Since  time.Time
	Recent []string // what is listed for Since
	Old    []string // what is listed besides when nothing is said about the time
	// Timeless says that the platform knows no Since for this list: without a mark it
	// shows everything.
	Timeless bool
	// Stale are the answers by which the platform refuses a cursor that it no longer
	// knows; none where it does not.
	Stale []Answer
}

// listName is what can stand in a workflow's ID and in a schedule's.
var listName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// maxPages ends a list whose cursor leads round in circles.
const maxPages = 1000

func (s Suite) exerciseList(t *testing.T) {
	_, ok := s.Provider.(providers.Lister)
	require.Equal(t, ok, s.List != nil, "Suite.List must be set if, and only if, the provider is a Lister")
	if s.List != nil {
		s.List.exercise(t)
	}
}

func (l *List) exercise(t *testing.T) {
	t.Run("every list has a world, and a name that fits into an ID", func(t *testing.T) {
		var names []string
		for _, list := range l.open(t, "https://api.example.com").Lists() {
			require.Regexp(t, listName, list.Name)
			names = append(names, list.Name)
		}
		require.ElementsMatch(t, names, slices.Collect(maps.Keys(l.Worlds)))
	})
	for _, name := range slices.Sorted(maps.Keys(l.Worlds)) {
		t.Run(name, func(t *testing.T) { l.exerciseOne(t, name) })
	}
	t.Run("there is no list of another name", func(t *testing.T) {
		for _, name := range []string{"", "no-such-list", "../events", "EVENTS", " ", strings.Repeat("x", 10_000)} {
			err := l.refused(t, forbidden(t), providers.ListQuery{List: name})
			require.ErrorIs(t, err, providers.ErrNoSuchList, "list %.40q", name)
		}
	})
}

func (l *List) exerciseOne(t *testing.T, name string) {
	world := l.Worlds[name](t, apiKey)
	api := newListed(t, l, world.API)
	pages := api.readAll(t, providers.ListQuery{List: name})
	require.Greater(t, len(pages), 1, "the world is to fill several pages")
	mark := pages[len(pages)-1].Mark

	t.Run("all that there is comes, page by page", func(t *testing.T) {
		require.ElementsMatch(t, slices.Concat(world.Recent, world.Old), namesIn(pages))
	})
	t.Run("what was before Since does not come", func(t *testing.T) {
		require.NotEmpty(t, world.Recent)
		require.NotEmpty(t, world.Old)
		want := world.Recent
		if world.Timeless {
			want = slices.Concat(world.Recent, world.Old)
		}
		require.ElementsMatch(t, want, namesIn(api.readAll(t, providers.ListQuery{List: name, Since: world.Since})))
	})
	t.Run("a page is the same when it is asked for again", func(t *testing.T) {
		again := api.read(t, providers.ListQuery{List: name, Cursor: pages[0].Next})
		require.Equal(t, namesIn(pages[1:2]), namesIn([]providers.Page{again}))
		require.Equal(t, pages[1].Next, again.Next)
	})
	t.Run("a run goes on from the mark of the one before", func(t *testing.T) {
		if mark == "" {
			t.Skip("the list has none")
		}
		api.readAll(t, providers.ListQuery{List: name, Mark: mark})
	})
	t.Run("what is listed is what a fetch returns", func(t *testing.T) { api.compareWithFetch(t, pages) })
	t.Run("events can be read under their IDs", func(t *testing.T) { api.readEvents(t, pages) })
	t.Run("a cursor or mark from elsewhere leads nowhere", func(t *testing.T) {
		genuine := providers.ListQuery{List: name, Cursor: pages[len(pages)-2].Next, Mark: mark}
		api.hostileCursors(t, genuine)
	})
	t.Run("failures", func(t *testing.T) { l.exerciseFailures(t, name, api.whole(t, name)) })
	t.Run("a cursor that is refused is stale", func(t *testing.T) {
		for _, stale := range world.Stale {
			err := l.refused(t, answering(stale), providers.ListQuery{List: name, Cursor: pages[0].Next})
			require.ErrorIs(t, err, providers.ErrStaleCursor, stale.Name)
			err = l.refused(t, answering(stale), providers.ListQuery{List: name})
			require.NotErrorIs(t, err, providers.ErrStaleCursor, "%s: there was no cursor to be stale", stale.Name)
			requireAPIError(t, err)
		}
	})
}

func (l *List) exerciseFailures(t *testing.T, name string, whole []byte) {
	for _, failure := range slices.Concat(l.Failures, sameEverywhere) {
		t.Run(failure.Name, func(t *testing.T) {
			err := l.refused(t, answering(failure.Answer), providers.ListQuery{List: name})
			failure.check(t, err)
		})
	}
	for what, body := range map[string]string{"an empty answer": "", "a page of a proxy": "<html>private text</html>", "half an answer": string(whole[:len(whole)/2])} {
		t.Run(what+" is no page", func(t *testing.T) {
			err := l.refused(t, answering(Answer{Status: http.StatusOK, Body: body}), providers.ListQuery{List: name})
			require.Equal(t, providers.RetrySoon, requireAPIError(t, err).Retry)
			require.NotContains(t, err.Error(), "private text")
		})
	}
	for _, body := range []string{"{}", "[1]", `{"private text": null}`} {
		t.Run("an answer of another kind is no empty page: "+body, func(t *testing.T) {
			err := l.refused(t, answering(Answer{Status: http.StatusOK, Body: body}), providers.ListQuery{List: name})
			requireAPIError(t, err)
			require.NotContains(t, err.Error(), "private text")
		})
	}
}

func (l *List) open(t *testing.T, baseURL string) providers.Lister {
	t.Helper()
	lister, err := l.New(providers.APIConfig{BaseURL: baseURL, Key: apiKey})
	require.NoError(t, err)
	return lister
}

// refused asks the API that handler plays, and returns why there is no page.
func (l *List) refused(t *testing.T, handler http.Handler, q providers.ListQuery) error {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	page, err := l.open(t, server.URL).List(t.Context(), q)
	require.Error(t, err)
	require.Equal(t, providers.Page{}, page, "an error comes alone")
	return err
}

// listed is a world whose API is being called, and counts that.
type listed struct {
	lister providers.Lister

	mu    sync.Mutex
	calls []string        // method and path of each
	last  []byte          // the body of the latest answer
	known map[string]bool // the calls that genuine pages were asked for with
}

func newListed(t *testing.T, l *List, api http.Handler) *listed {
	w := &listed{known: map[string]bool{}}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		api.ServeHTTP(answer, r)
		w.mu.Lock()
		w.calls = append(w.calls, r.Method+" "+r.URL.Path)
		w.last = bytes.Clone(answer.Body.Bytes())
		w.mu.Unlock()
		maps.Copy(rw.Header(), answer.Header())
		rw.WriteHeader(answer.Code)
		_, _ = io.Copy(rw, answer.Body)
	}))
	t.Cleanup(server.Close)
	w.lister = l.open(t, server.URL)
	return w
}

// called returns the calls since it was asked before.
func (w *listed) called() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := w.calls
	w.calls = nil
	return calls
}

// whole returns the API's answer for the first page.
func (w *listed) whole(t *testing.T, name string) []byte {
	w.read(t, providers.ListQuery{List: name})
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// read asks for one page, which must cost one call.
func (w *listed) read(t *testing.T, q providers.ListQuery) providers.Page {
	t.Helper()
	w.called()
	page, err := w.lister.List(t.Context(), q)
	require.NoError(t, err)
	calls := w.called()
	require.Len(t, calls, 1, "a page costs one call")
	w.known[calls[0]] = true
	return page
}

func (w *listed) readAll(t *testing.T, q providers.ListQuery) []providers.Page {
	t.Helper()
	var pages []providers.Page
	for range maxPages {
		page := w.read(t, q)
		pages = append(pages, page)
		if page.Next == "" {
			return pages
		}
		q.Cursor = page.Next
	}
	t.Fatalf("no end after %d pages", maxPages)
	return nil
}

// namesIn returns the names of all that the pages show, each once.
func namesIn(pages []providers.Page) []string {
	names := map[string]bool{}
	for _, page := range pages {
		for _, object := range page.Objects {
			names[object.Ref.String()] = true
		}
		for _, event := range page.Events {
			names[event.ID] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// compareWithFetch fetches some objects of each page.
func (w *listed) compareWithFetch(t *testing.T, pages []providers.Page) {
	for _, page := range pages {
		for _, object := range page.Objects[:min(3, len(page.Objects))] {
			requireID(t, object.Ref.Type)
			requireID(t, object.Ref.ID)
			fetched, err := w.lister.(providers.Fetcher).Fetch(t.Context(), providers.FetchQuery{Ref: object.Ref})
			require.NoError(t, err)
			require.Equal(t, object.Ref, fetched.Ref)
			require.Equal(t, object.Deleted, fetched.Deleted)
			require.Equal(t, object.Deleted, object.State == nil)
			if !object.UpdatedAt.IsZero() {
				require.Equal(t, object.UpdatedAt, fetched.UpdatedAt)
			}
			if object.ETag != "" {
				require.Equal(t, object.ETag, fetched.ETag)
			}
			if !object.Partial && !object.Deleted {
				require.JSONEq(t, string(fetched.State), string(object.State))
			}
		}
	}
}

// readEvents reads some events of each page.
func (w *listed) readEvents(t *testing.T, pages []providers.Page) {
	for _, page := range pages {
		for _, event := range page.Events[:min(3, len(page.Events))] {
			requireID(t, event.ID)
			w.called()
			request, err := event.Request(t.Context())
			require.NoError(t, err)
			require.LessOrEqual(t, len(w.called()), 1, "a request costs one call at most")
			require.False(t, request.ReceivedAt.IsZero(), "a request has a time")
			events, err := w.lister.(providers.Provider).Events(request)
			require.NoError(t, err)
			require.True(t, slices.ContainsFunc(events, func(e providers.Event) bool { return e.ID == event.ID }), "%s is not in its request", event.ID)
		}
	}
}

// hostileCursors lists with texts that would change which URL is called, if they
// became part of one as they are.
func (w *listed) hostileCursors(t *testing.T, genuine providers.ListQuery) {
	evil := httptest.NewServer(forbidden(t))
	defer evil.Close()
	for _, text := range hostile(evil.URL, genuine.Cursor) {
		w.requireKnown(t, providers.ListQuery{List: genuine.List, Cursor: text})
	}
	if genuine.Mark != "" {
		for _, text := range hostile(evil.URL, genuine.Mark) {
			w.requireKnown(t, providers.ListQuery{List: genuine.List, Mark: text})
		}
	}
}

// requireKnown lists, and requires that no path is called that the genuine pages
// were not at. Whether there is a page or an error does not count.
func (w *listed) requireKnown(t *testing.T, q providers.ListQuery) {
	t.Helper()
	w.called()
	_, _ = w.lister.List(t.Context(), q)
	for _, call := range w.called() {
		require.True(t, w.known[call], "%.60q and %.60q led to %s", q.Cursor, q.Mark, call)
	}
}

func hostile(evil, genuine string) []string {
	return []string{
		evil, evil + "/x?" + genuine, strings.TrimPrefix(evil, "http:"), "../" + genuine, genuine + "/../../../x", "/v1/x",
		genuine + "?a=b", genuine + "&a=b#c", genuine + "#x", "%2e%2e%2fx", genuine + "\r\nHost: evil.example", "\x00", "\xff", "in=../..&x", "-1", "1e9",
		strings.Repeat("x", 10_000), genuine + strings.Repeat("x", 10_000),
	}
}
