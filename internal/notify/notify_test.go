package notify

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

var notice = activities.Notice{
	Source: "stripe", Event: "evt_1", Type: "invoice.paid", Ref: providers.Ref{Type: "invoice", ID: "in_1"},
}

// receiver starts a server that answers with h, and returns its URL.
func receiver(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// failure is the error of posting the notice to the URL.
func failure(t *testing.T, url string) *providers.APIError {
	t.Helper()
	var api *providers.APIError
	require.ErrorAs(t, New(Config{URL: url}).Notify(t.Context(), notice), &api)
	return api
}

func TestNotifyPostsTheNoticeWithItsKey(t *testing.T) {
	var got *http.Request
	var body []byte
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
	})
	require.NoError(t, New(Config{URL: url + "/hooks?token=t0k3n"}).Notify(t.Context(), notice))
	require.Equal(t, http.MethodPost, got.Method)
	require.Equal(t, "/hooks?token=t0k3n", got.URL.RequestURI())
	require.Equal(t, "application/json", got.Header.Get("Content-Type"))
	require.Equal(t, "stripe/evt_1/notify", got.Header.Get("Idempotency-Key"))
	require.JSONEq(t, `{"source":"stripe","event":"evt_1","type":"invoice.paid","ref":{"type":"invoice","id":"in_1"}}`, string(body))
}

func TestNotifySaysWhetherToTryAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		after  string
		retry  providers.Retry
		wait   time.Duration
	}{
		{"too many requests, with a time", 429, "120", providers.RetryLater, 2 * time.Minute},
		{"too many requests", 429, "", providers.RetrySoon, 0},
		{"in maintenance, with a time", 503, "5", providers.RetryLater, 5 * time.Second},
		{"broken", 500, "", providers.RetrySoon, 0},
		{"a bad gateway", 502, "", providers.RetrySoon, 0},
		{"too slow for it", 408, "", providers.RetrySoon, 0},
		{"still at work on the same key", 409, "", providers.RetrySoon, 0},
		{"refused", 400, "", providers.RetryNever, 0},
		{"no permission", 401, "", providers.RetryNever, 0},
		{"not there", 404, "", providers.RetryNever, 0},
		{"the key was used for something else", 422, "", providers.RetryNever, 0},
		{"not modified", 304, "", providers.RetryNever, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := failure(t, receiver(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.after != "" {
					w.Header().Set("Retry-After", c.after)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, "card 4242")
			}))
			require.Equal(t, c.status, err.Status)
			require.Equal(t, c.retry, err.Retry)
			require.Equal(t, c.wait, err.After)
			require.NotContains(t, err.Error(), "4242")
		})
	}
}

func TestNotifyFollowsNoRedirect(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		followed := false
		elsewhere := receiver(t, func(http.ResponseWriter, *http.Request) { followed = true })
		err := failure(t, receiver(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, status) }))
		require.Equal(t, status, err.Status)
		require.Equal(t, providers.RetryNever, err.Retry, "the address has to be changed")
		require.False(t, followed, "%d", status)
	}
}

func TestNotifyTriesAgainWithoutAnAnswer(t *testing.T) {
	t.Run("when no one listens", func(t *testing.T) {
		s := httptest.NewServer(http.NotFoundHandler())
		s.Close()
		err := failure(t, s.URL+"/hooks?token=t0k3n")
		require.Equal(t, providers.RetrySoon, err.Retry)
		require.NotContains(t, err.Error(), "t0k3n", "the error is stored in the history")
		require.Contains(t, err.Error(), "connection refused")
	})
	t.Run("when it does not come in time", func(t *testing.T) {
		ended := make(chan struct{})
		url := receiver(t, func(_ http.ResponseWriter, r *http.Request) { <-ended })
		t.Cleanup(func() { close(ended) })
		c := &client{url: url + "/hooks?token=t0k3n", http: &http.Client{Timeout: 50 * time.Millisecond}}
		var err *providers.APIError
		require.ErrorAs(t, c.Notify(t.Context(), notice), &err)
		require.Equal(t, providers.RetrySoon, err.Retry)
		require.NotContains(t, err.Error(), "t0k3n")
	})
	t.Run("and hands on that it was cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		url := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then the server sees the client leave
			cancel()
			<-r.Context().Done()
		})
		err := New(Config{URL: url}).Notify(ctx, notice)
		require.ErrorIs(t, err, ctx.Err())
	})
}

func TestThereIsNoNotifierWithoutAURL(t *testing.T) {
	require.True(t, New(Config{}) == nil, "an interface around a nil pointer is not nil")
}

func TestConfigValidate(t *testing.T) {
	for _, url := range []string{"", "http://localhost:8080", "https://user:pw@example.com/hooks?token=x"} {
		require.NoError(t, Config{URL: url}.Validate(), url)
	}
	for _, url := range []string{"example.com/hooks", "ftp://example.com", "http://", "https://us%er:s3cr3t@ example.com"} {
		err := Config{URL: url}.Validate()
		require.ErrorContains(t, err, "SUREHOOK_NOTIFY_URL", url)
		require.NotContains(t, err.Error(), "s3cr3t")
	}
}
