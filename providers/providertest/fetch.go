package providertest

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

// apiKey is the credential the API under test is called with.
const apiKey = "key_live-4Rj9Wm2TxUs7Bz1Qe6Nc"

// tooLarge is more than the client reads of one response.
const tooLarge = 16<<20 + 1

func (s Suite) exerciseFetch(t *testing.T) {
	fetcher, ok := s.Provider.(providers.Fetcher)
	require.Equal(t, ok, s.Declared || s.Fetch != nil, "Suite.Fetch must be set if, and only if, the provider is a Fetcher")
	switch {
	case s.Fetch != nil:
		s.Fetch.exercise(t)
	case ok:
		_, err := fetcher.Fetch(t.Context(), providers.FetchQuery{Ref: providers.Ref{Type: "order", ID: "1"}})
		require.ErrorIs(t, err, providers.ErrNotFetchable)
	}
}

func (f *Fetch) exercise(t *testing.T) {
	t.Run("an object comes back as the platform gave it", func(t *testing.T) {
		for _, prefix := range []string{"", "/below/a/path"} {
			got, err := f.fetch(t, prefix, f.Ref, f.serve(prefix))
			require.NoError(t, err)
			require.Equal(t, f.Ref, got.Ref)
			require.Equal(t, f.State, string(got.State))
			require.Equal(t, f.ETag, got.ETag)
			require.False(t, got.Deleted || got.NotModified)
		}
	})
	t.Run("an object of a kind without an API is not fetchable", func(t *testing.T) {
		_, err := f.fetch(t, "", f.Unfetchable, forbidden(t))
		require.ErrorIs(t, err, providers.ErrNotFetchable)
	})
	t.Run("a ref that would lead elsewhere is not followed", f.exerciseHostileRefs)
	t.Run("a state we hold already is not sent again", f.exerciseNotModified)
	for _, gone := range append(f.Gone, Answer{Name: "410", Status: http.StatusGone}) {
		t.Run("an object that is gone is deleted: "+gone.Name, func(t *testing.T) {
			got, err := f.fetch(t, "", f.Ref, answering(gone))
			require.NoError(t, err)
			require.Equal(t, f.Ref, got.Ref)
			require.True(t, got.Deleted)
			require.Nil(t, got.State)
		})
	}
	for _, failure := range append(f.Failures, sameEverywhere...) {
		t.Run("a failure is understood: "+failure.Name, func(t *testing.T) {
			_, err := f.fetch(t, "", f.Ref, answering(failure.Answer))
			failure.check(t, err)
		})
	}
	t.Run("network", f.exerciseNetwork)
	t.Run("redirects", f.exerciseRedirects)
}

// check requires that the error is how the answer must be understood.
func (f Failure) check(t *testing.T, err error) {
	t.Helper()
	got := requireAPIError(t, err)
	require.Equal(t, f.Status, got.Status)
	require.Equal(t, f.Retry, got.Retry)
	require.GreaterOrEqual(t, got.After, f.After)
	require.Less(t, got.After, f.After+time.Hour)
	require.Equal(t, f.Code, got.Code)
	require.NotContains(t, err.Error(), "private text", "errors hold nothing of the answer but its code")
}

// sameEverywhere are the failures that all platforms mean alike.
var sameEverywhere = []Failure{
	{Answer: Answer{Name: "a 400", Status: 400, Body: "private text"}, Retry: providers.RetryNever},
	{Answer: Answer{Name: "a 401", Status: 401, Body: "private text"}, Retry: providers.RetryNever},
	{Answer: Answer{Name: "a 403", Status: 403, Body: "private text"}, Retry: providers.RetryNever},
	{Answer: Answer{Name: "a 500", Status: 500, Body: "private text"}, Retry: providers.RetrySoon},
	{Answer: Answer{Name: "a 502 from a proxy", Status: 502, Body: "<html>private text</html>"}, Retry: providers.RetrySoon},
	{Answer: Answer{Name: "a 503", Status: 503}, Retry: providers.RetrySoon},
	{
		Answer: Answer{Name: "a 429 that says when", Status: 429, Header: map[string]string{"Retry-After": "7"}},
		Retry:  providers.RetryLater,
		After:  7 * time.Second,
	},
}

// exerciseHostileRefs fetches ids that would change the path of the call.
func (f *Fetch) exerciseHostileRefs(t *testing.T) {
	for _, id := range []string{
		"", ".", "..", "../" + f.Ref.ID, f.Ref.ID + "/../x", f.Ref.ID + "/refunds", f.Ref.ID + "?expand=x", f.Ref.ID + "#x",
		"%2e%2e%2f", "//evil.example/x", "http://evil.example/x", "a b", "a\r\nHost: evil.example", "\x00", "\xff", strings.Repeat("x", 10_000),
	} {
		ref := f.Ref
		ref.ID = id
		_, err := f.fetch(t, "", ref, forbidden(t))
		require.ErrorIs(t, err, providers.ErrNotFetchable, "id %.40q", id)
	}
}

func (f *Fetch) exerciseNotModified(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.ETag == "" {
			assert.Empty(t, r.Header.Get("If-None-Match"), "asked a platform that does not know conditional requests")
			f.serve("").ServeHTTP(w, r)
			return
		}
		assert.Equal(t, f.ETag, r.Header.Get("If-None-Match"))
		w.WriteHeader(http.StatusNotModified)
	}))
	defer server.Close()
	query := providers.FetchQuery{Ref: f.Ref, ETag: f.ETag}
	if f.ETag == "" {
		query.ETag = `"left over"`
	}
	got, err := f.open(t, providers.APIConfig{BaseURL: server.URL, Key: apiKey}).Fetch(t.Context(), query)
	require.NoError(t, err)
	require.Equal(t, f.Ref, got.Ref)
	require.False(t, got.Deleted)
	require.Equal(t, f.ETag != "", got.NotModified)
	if got.NotModified {
		require.Nil(t, got.State)
		require.Equal(t, f.ETag, got.ETag)
	}
}

func (f *Fetch) exerciseNetwork(t *testing.T) {
	soon := func(t *testing.T, err error) {
		t.Helper()
		got := requireAPIError(t, err)
		require.Equal(t, providers.RetrySoon, got.Retry)
	}
	t.Run("a slow answer is asked for again", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a server sees the caller leave only after that
			<-r.Context().Done()
		}))
		defer server.Close()
		impatient := providers.APIConfig{BaseURL: server.URL, Key: apiKey, Timeout: 100 * time.Millisecond}
		_, err := f.open(t, impatient).Fetch(t.Context(), providers.FetchQuery{Ref: f.Ref})
		soon(t, err)
	})
	t.Run("an answer that breaks off is asked for again", func(t *testing.T) {
		_, err := f.fetch(t, "", f.Ref, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(f.wrapped())))
			_, _ = w.Write([]byte(f.wrapped()[:len(f.wrapped())/2]))
		}))
		soon(t, err)
	})
	t.Run("an API that cannot be reached is asked again", func(t *testing.T) {
		server := httptest.NewServer(forbidden(t))
		server.Close()
		_, err := f.open(t, providers.APIConfig{BaseURL: server.URL, Key: apiKey}).Fetch(t.Context(), providers.FetchQuery{Ref: f.Ref})
		soon(t, err)
	})
	t.Run("an answer that is too large is not asked for again", func(t *testing.T) {
		_, err := f.fetch(t, "", f.Ref, answering(Answer{Status: 200, Body: `{"x":"` + strings.Repeat("x", tooLarge) + `"}`}))
		require.Equal(t, providers.RetryNever, requireAPIError(t, err).Retry)
	})
	for name, body := range map[string]string{"an empty answer": "", "a page of a proxy": "<html>private text</html>", "half an answer": f.wrapped()[:len(f.wrapped())/2]} {
		t.Run(name+" is no object", func(t *testing.T) {
			_, err := f.fetch(t, "", f.Ref, answering(Answer{Status: 200, Body: body}))
			require.Equal(t, providers.RetrySoon, requireAPIError(t, err).Retry)
			require.NotContains(t, err.Error(), "private text")
		})
	}
}

func (f *Fetch) exerciseRedirects(t *testing.T) {
	redirect := func(to string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/moved" {
				f.answer(w)
				return
			}
			http.Redirect(w, r, to, http.StatusPermanentRedirect) // 301 would turn a POST into a GET
		})
	}
	t.Run("on the same host is followed", func(t *testing.T) {
		got, err := f.fetch(t, "", f.Ref, redirect("/moved"))
		require.NoError(t, err)
		require.Equal(t, f.State, string(got.State))
	})
	t.Run("to another host is refused", func(t *testing.T) {
		other := httptest.NewServer(forbidden(t))
		defer other.Close()
		_, err := f.fetch(t, "", f.Ref, redirect(other.URL+f.Path))
		require.Equal(t, providers.RetryNever, requireAPIError(t, err).Retry)
	})
	t.Run("without end is given up", func(t *testing.T) {
		_, err := f.fetch(t, "", f.Ref, redirect(f.Path))
		requireAPIError(t, err)
	})
}

// fetch asks the API that handler plays.
func (f *Fetch) fetch(t *testing.T, prefix string, ref providers.Ref, handler http.Handler) (providers.Object, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	return f.open(t, providers.APIConfig{BaseURL: server.URL + prefix, Key: apiKey}).Fetch(t.Context(), providers.FetchQuery{Ref: ref})
}

func (f *Fetch) open(t *testing.T, cfg providers.APIConfig) providers.Fetcher {
	t.Helper()
	fetcher, err := f.New(cfg)
	require.NoError(t, err)
	return fetcher
}

// serve plays an API that has the object, below prefix, for callers with the key.
func (f *Fetch) serve(prefix string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := cmp.Or(f.Method, http.MethodGet)
		if r.Method != method || r.URL.RequestURI() != prefix+f.Path || !carriesKey(r) {
			http.Error(w, "unexpected call", http.StatusTeapot)
			return
		}
		f.answer(w)
	})
}

func (f *Fetch) answer(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	if f.ETag != "" {
		w.Header().Set("ETag", f.ETag)
	}
	_, _ = w.Write([]byte(f.wrapped()))
}

func (f *Fetch) wrapped() string {
	if f.Wrap == "" {
		return f.State
	}
	return strings.ReplaceAll(f.Wrap, "%s", f.State)
}

// carriesKey reports whether the call holds the credential: in a header, as the
// user or password of basic authentication or as it is, or in the body of a POST.
func carriesKey(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	if strings.Contains(user, apiKey) || strings.Contains(password, apiKey) {
		return true
	}
	for _, values := range r.Header {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, apiKey) }) {
			return true
		}
	}
	body, err := io.ReadAll(r.Body)
	return err == nil && strings.Contains(string(body), apiKey)
}

func answering(a Answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range a.Header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(a.Status)
		_, _ = w.Write([]byte(a.Body))
	})
}

// forbidden plays a host that must not be called.
func forbidden(t *testing.T) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("unexpected call of %s %s", r.Method, r.URL)
	})
}

// requireAPIError checks what holds for every failed call: it is an
// *APIError, and the credential is not in its text.
func requireAPIError(t *testing.T, err error) *providers.APIError {
	t.Helper()
	var apiErr *providers.APIError
	require.ErrorAs(t, err, &apiErr)
	require.NotContains(t, err.Error(), apiKey)
	return apiErr
}
