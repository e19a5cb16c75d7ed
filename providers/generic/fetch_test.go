package generic_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/generic"
)

// fetching opens a platform with an API that answers as told and notes what it
// was asked.
func fetching(t *testing.T, f generic.Fetch, status int, body string) (p *generic.Provider, asked *http.Request) {
	t.Helper()
	asked = &http.Request{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = *r
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	s := shop()
	s.Fetch = f
	p, err := generic.New(providers.APIConfig{BaseURL: server.URL, Key: "user:pass"}, s)
	require.NoError(t, err)
	return p, asked
}

func fetch(t *testing.T, p *generic.Provider, ref providers.Ref) (providers.Object, error) {
	t.Helper()
	return p.Fetch(t.Context(), providers.FetchQuery{Ref: ref})
}

func TestTheKeyIsSentAsDeclared(t *testing.T) {
	for auth, want := range map[string]http.Header{
		"":                 {"Authorization": {"Bearer user:pass"}},
		"bearer":           {"Authorization": {"Bearer user:pass"}},
		"basic":            {"Authorization": {"Basic dXNlcjpwYXNz"}},
		"header:X-Api-Key": {"X-Api-Key": {"user:pass"}},
	} {
		p, asked := fetching(t, generic.Fetch{
			Paths: map[string]string{"*": "/x/{ref.id}"}, Auth: auth, Headers: map[string]string{"X-Version": "2"},
		}, 200, `{}`)
		_, err := fetch(t, p, providers.Ref{Type: "order", ID: "1"})
		require.NoError(t, err)
		for _, name := range []string{"Authorization", "X-Api-Key"} {
			require.Equal(t, want.Get(name), asked.Header.Get(name))
		}
		require.Equal(t, "2", asked.Header.Get("X-Version"))
	}
}

func TestAPathIsFilledInWithWhatTheRefSays(t *testing.T) {
	p, asked := fetching(t, generic.Fetch{
		Paths: map[string]string{"order": "/t/{ref.account}/orders/{ref.id}", "*": "/find?type={ref.type}&id={ref.id}"},
	}, 200, `{}`)
	for ref, want := range map[providers.Ref]string{
		{Type: "order", ID: "a:1@x", Account: "t1"}: "/t/t1/orders/a:1@x",
		{Type: "shop", ID: "a+b=c"}:                 "/find?type=shop&id=a%2Bb%3Dc",
	} {
		_, err := fetch(t, p, ref)
		require.NoError(t, err)
		require.Equal(t, want, asked.URL.RequestURI())
	}
	_, err := fetch(t, p, providers.Ref{Type: "order", ID: "1"})
	require.ErrorIs(t, err, providers.ErrNotFetchable, "without its account")
	_, err = fetch(t, p, providers.Ref{Type: "shop&id=2", ID: "1"})
	require.ErrorIs(t, err, providers.ErrNotFetchable)
}

func TestIDsFitTheirPatternAsAWhole(t *testing.T) {
	p, asked := fetching(t, generic.Fetch{Paths: map[string]string{"*": "/o/{ref.id}"}, IDs: "[0-9]+|a/b|\\.+"}, 200, `{}`)
	for id, ok := range map[string]bool{"12": true, "12x": false, "x12": false, "1\n": false, "..": false, ".": false, "a/b": true, "": false} {
		_, err := fetch(t, p, providers.Ref{Type: "o", ID: id})
		require.Equal(t, ok, err == nil, "%q: %v", id, err)
	}
	_, err := fetch(t, p, providers.Ref{Type: "o", ID: "a/b"})
	require.NoError(t, err)
	require.Equal(t, "/o/a%2Fb", asked.URL.EscapedPath(), "even an id with a slash is one part of the path")
}

func TestTheObjectIsWhereItIsDeclared(t *testing.T) {
	f := generic.Fetch{Paths: map[string]string{"*": "/o"}, Object: "items[0]", UpdatedAt: "meta.changed", UpdatedUnit: "ms"}
	p, _ := fetching(t, f, 200, `{"items": [{"id": 1, "meta": {"changed": 1767323045678}}, {}]}`)
	got, err := fetch(t, p, providers.Ref{Type: "o", ID: "1"})
	require.NoError(t, err)
	require.Equal(t, `{"id": 1, "meta": {"changed": 1767323045678}}`, string(got.State))
	require.Equal(t, time.UnixMilli(1767323045678).UTC(), got.UpdatedAt)
	for _, body := range []string{`{"items": []}`, `{}`, `{"items": [1]}`} {
		p, _ := fetching(t, f, 200, body)
		_, err := fetch(t, p, providers.Ref{Type: "o", ID: "1"})
		var failed *providers.APIError
		require.ErrorAs(t, err, &failed, body)
	}
}

func TestWhichStatusesMeanGone(t *testing.T) {
	for _, c := range []struct {
		declared []int
		status   int
		gone     bool
	}{{nil, 404, true}, {nil, 410, true}, {[]int{422}, 422, true}, {[]int{422}, 404, false}, {[]int{422}, 410, true}, {[]int{}, 404, false}} {
		p, _ := fetching(t, generic.Fetch{Paths: map[string]string{"*": "/o"}, Gone: c.declared}, c.status, "")
		got, err := fetch(t, p, providers.Ref{Type: "o", ID: "1"})
		require.Equal(t, c.gone, err == nil && got.Deleted, "%v: %d", c.declared, c.status)
	}
}

func TestTheAPIMayBePartOfTheDeclaration(t *testing.T) {
	called := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		called = true
		_, _ = w.Write([]byte(`{}`))
	}))
	defer server.Close()
	s := shop()
	s.Fetch = generic.Fetch{BaseURL: server.URL, Paths: map[string]string{"order": "/o"}}
	p, err := generic.Declared("acme", s)(providers.APIConfig{})
	require.NoError(t, err)
	_, err = fetch(t, p, providers.Ref{Type: "order", ID: "1"})
	require.NoError(t, err)
	require.True(t, called)
	_, err = fetch(t, p, providers.Ref{Type: "shop", ID: strings.Repeat("1", 9)})
	require.ErrorIs(t, err, providers.ErrNotFetchable)
}
