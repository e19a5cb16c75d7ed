package providers_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

// final classifies every failure alike, so that tests see what else happens.
func final(providers.APIResponse) (providers.Retry, time.Duration, string) {
	return providers.RetryLater, time.Minute, "some_code"
}

func client(t *testing.T, cfg providers.APIConfig) *providers.Client {
	t.Helper()
	c, err := providers.NewClient("acme", cfg, final)
	require.NoError(t, err)
	return c
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func get(t *testing.T, baseURL, path string) (providers.APIResponse, error) {
	t.Helper()
	return client(t, providers.APIConfig{BaseURL: baseURL}).Get(t.Context(), "fetch thing 1", path, http.Header{"Authorization": {"Bearer key"}})
}

func requireAPIError(t *testing.T, err error, retry providers.Retry) *providers.APIError {
	t.Helper()
	var apiErr *providers.APIError
	require.ErrorAs(t, err, &apiErr)
	require.Equal(t, retry, apiErr.Retry)
	require.True(t, strings.HasPrefix(err.Error(), "acme: fetch thing 1: "), err.Error())
	return apiErr
}

func TestNewClientRefusesWhatIsNoBaseURL(t *testing.T) {
	for _, base := range []string{
		"", "api.example.com", "ftp://api.example.com", "https://", "//api.example.com", "https://exa mple.com", "file:///etc/passwd", ":",
		"https://me:s3cret@api.example.com", "https://me:s3cret/x@api.example.com", "ftp://me:s3cret@api.example.com",
	} {
		_, err := providers.NewClient("acme", providers.APIConfig{BaseURL: base}, final)
		require.ErrorContains(t, err, "acme: base URL", base)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

func TestClientCallsThePathBelowItsBase(t *testing.T) {
	var called string
	base := serve(t, func(_ http.ResponseWriter, r *http.Request) { called = r.URL.RequestURI() })
	for _, c := range []struct{ base, path, want string }{
		{"", "/v1/things/1", "/v1/things/1"},
		{"/", "/v1/things/1", "/v1/things/1"},
		{"/api/v3", "/v1/things/1", "/api/v3/v1/things/1"},
		{"/api/v3/", "v1/things/1", "/api/v3/v1/things/1"},
		{"/a%2Fb", "/things/a%2Fb%20c", "/a%2Fb/things/a%2Fb%20c"},
		{"", "/things?page=2", "/things?page=2"},
		{"", "//evil.example/x", "//evil.example/x"},
	} {
		_, err := get(t, base+c.base, c.path)
		require.NoError(t, err)
		require.Equal(t, c.want, called)
	}
}

func TestClientSendsTheHeaders(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		_, _ = w.Write([]byte(r.Method + " " + r.Header.Get("Authorization")))
	})
	answer, err := get(t, base, "/")
	require.NoError(t, err)
	require.Equal(t, 200, answer.Status)
	require.Equal(t, "GET Bearer key", string(answer.Body))
	require.Equal(t, `"1"`, answer.Header.Get("Etag"))
}

func TestClientTakesNotModifiedForAnAnswer(t *testing.T) {
	answer, err := get(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }), "/")
	require.NoError(t, err)
	require.Equal(t, http.StatusNotModified, answer.Status)
}

func TestClientReturnsAFailureWithItsAnswer(t *testing.T) {
	for _, status := range []int{300, 400, 404, 429, 500} {
		answer, err := get(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte("why"))
		}), "/")
		apiErr := requireAPIError(t, err, providers.RetryLater)
		require.Equal(t, status, apiErr.Status)
		require.Equal(t, time.Minute, apiErr.After)
		require.Equal(t, "some_code", apiErr.Code)
		require.NotContains(t, err.Error(), "why")
		require.Equal(t, status, answer.Status)
		require.Equal(t, "why", string(answer.Body))
	}
}

func TestClientFollowsARedirectOnItsHostWithTheCredential(t *testing.T) {
	answer, err := get(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			http.Redirect(w, r, "/new", http.StatusTemporaryRedirect)
			return
		}
		_, _ = w.Write([]byte(r.URL.Path + " " + r.Header.Get("Authorization")))
	}), "/old")
	require.NoError(t, err)
	require.Equal(t, "/new Bearer key", string(answer.Body))
}

func TestClientRefusesARedirectToAnotherHost(t *testing.T) {
	other := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("called %s", r.URL) })
	for name, to := range map[string]string{
		"another port":   other,
		"another scheme": "https://{host}/",
		"another name":   "http://localhost.{host}/",
		"no host":        "file:///etc/passwd",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := get(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", strings.Replace(to, "{host}", r.Host, 1))
				w.WriteHeader(http.StatusMovedPermanently)
			}), "/")
			apiErr := requireAPIError(t, err, providers.RetryNever)
			require.ErrorContains(t, apiErr.Err, "redirect to another host refused")
			require.NotContains(t, err.Error(), other)
		})
	}
}

func TestClientGivesUpOnRedirectsWithoutEnd(t *testing.T) {
	calls := 0
	_, err := get(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		http.Redirect(w, r, "/", http.StatusFound)
	}), "/")
	requireAPIError(t, err, providers.RetrySoon)
	require.Equal(t, 5, calls)
}

func TestClientRefusesABodyThatIsTooLarge(t *testing.T) {
	const limit = 16 << 20
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		size := limit
		if r.URL.Path == "/larger" {
			size++
		}
		_, _ = w.Write(make([]byte, size))
	})
	answer, err := get(t, base, "/largest")
	require.NoError(t, err)
	require.Len(t, answer.Body, limit)

	_, err = get(t, base, "/larger")
	requireAPIError(t, err, providers.RetryNever)
}

func TestClientTimesOut(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	hangInBody := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		hang(w, r)
	}
	for name, handler := range map[string]http.HandlerFunc{"before the answer": hang, "within the body": hangInBody} {
		t.Run(name, func(t *testing.T) {
			c := client(t, providers.APIConfig{BaseURL: serve(t, handler), Timeout: 50 * time.Millisecond})
			_, err := c.Get(t.Context(), "fetch thing 1", "/things?token=abc", nil)
			requireAPIError(t, err, providers.RetrySoon)
			require.NotContains(t, err.Error(), "token=abc")
		})
	}
}

func TestClientStopsWhenItsContextIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	base := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	_, err := client(t, providers.APIConfig{BaseURL: base}).Get(ctx, "fetch thing 1", "/", nil)
	requireAPIError(t, err, providers.RetrySoon)
	require.ErrorIs(t, err, context.Canceled)
}

func TestClientErrorsDoNotHoldTheAddress(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := get(t, server.URL, "/things?token=abc")
	requireAPIError(t, err, providers.RetrySoon)
	require.NotContains(t, err.Error(), "token=abc")
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                                  0,
		"7":                                 7 * time.Second,
		" 7 ":                               7 * time.Second,
		"0":                                 0,
		"-7":                                0,
		"7.5":                               0,
		"soon":                              0,
		"86400":                             24 * time.Hour,
		"86401":                             24 * time.Hour,
		"9223372036854775807":               24 * time.Hour,
		"99999999999999999999999":           0,
		"Wed, 04 Mar 2026 05:07:07 GMT":     time.Minute,
		"Wednesday, 04-Mar-26 05:07:07 GMT": time.Minute,
		"Wed Mar  4 05:07:07 2026":          time.Minute,
		"Wed, 04 Mar 2026 05:06:07 GMT":     0,
		"Wed, 04 Mar 2026 04:06:07 GMT":     0,
		"Fri, 31 Dec 9999 23:59:59 GMT":     24 * time.Hour,
	} {
		require.Equal(t, want, providers.RetryAfter(http.Header{"Retry-After": {value}}, now), value)
	}
	require.Zero(t, providers.RetryAfter(nil, now))
}

func TestAnAnswerThatIsNoObjectIsAskedForAgain(t *testing.T) {
	for _, body := range []string{"", "<html>private text</html>", `{"id": `, `{"id": 1}`} {
		base := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
		answer, err := get(t, base, "/")
		require.NoError(t, err)
		var object struct {
			ID string `json:"id"`
		}
		failed := requireAPIError(t, answer.ReadJSON(&object), providers.RetrySoon)
		require.Equal(t, http.StatusOK, failed.Status)
		require.NotContains(t, failed.Error(), "private text")
	}
}

func TestAnAnswerMakesTheErrorsOfItsCall(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"id": "1"}`)) })
	answer, err := get(t, base, "/")
	require.NoError(t, err)
	var object struct {
		ID string `json:"id"`
	}
	require.NoError(t, answer.ReadJSON(&object))
	require.Equal(t, "1", object.ID)
	failed := requireAPIError(t, answer.Unusable(providers.RetryNever, errors.New("answer is another object")), providers.RetryNever)
	require.EqualError(t, failed, "acme: fetch thing 1: status 200: answer is another object")
	failed = requireAPIError(t, answer.Failure(providers.RetryLater, time.Minute, "ratelimited"), providers.RetryLater)
	require.EqualError(t, failed, "acme: fetch thing 1: status 200 (ratelimited)")
	require.Equal(t, time.Minute, failed.After)
}

func TestAnAnswerIsDatedByThePlatformsClock(t *testing.T) {
	answer := providers.APIResponse{Header: http.Header{"Date": {"Fri, 02 Jan 2026 03:04:05 GMT"}}}
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), answer.SentAt().UTC())
	require.WithinDuration(t, time.Now(), providers.APIResponse{}.SentAt(), time.Minute)
}

func TestBelowTakesALinkOnlyWhereItLeadsBelowTheBaseURL(t *testing.T) {
	c, err := providers.NewClient("example", providers.APIConfig{BaseURL: "https://api.example.com/v2/"}, nil)
	require.NoError(t, err)
	for link, want := range map[string]string{
		"https://api.example.com/v2/orders?page=2&a=%2F#x": "/orders?page=2&a=%2F",
		"https://api.example.com/v2/a%20b":                 "/a%20b",
		"https://api.example.com/v2":                       "",
		"https://api.example.com/v2x/orders":               "",
		"https://api.example.com/orders":                   "",
		"https://api.example.com/v2/../orders":             "",
		"https://api.example.com/v2/%2e%2e/orders":         "",
		"http://api.example.com/v2/orders":                 "",
		"https://other.example.com/v2/orders":              "",
		"https://api.example.com:8443/v2/orders":           "",
		"https://user@api.example.com/v2/orders":           "",
		"//api.example.com/v2/orders":                      "",
		"/v2/orders":                                       "",
		"\x00":                                             "",
	} {
		path, ok := c.Below(link)
		require.Equal(t, want != "", ok, link)
		if ok {
			require.Equal(t, want, path)
		}
	}
}
