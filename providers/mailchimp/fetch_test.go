package mailchimp_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/mailchimp"
	"github.com/surehook/surehook/providers/providertest"
)

const memberHash = "3f009d72559f51e7e454b16e5d0687a1"

func fetchSuite() *providertest.Fetch {
	return &providertest.Fetch{
		New: func(cfg providers.APIConfig) (providers.Fetcher, error) {
			return mailchimp.New(cfg, mailchimp.Settings{})
		},
		Ref:         providers.Ref{Type: "member", ID: list + "/" + memberHash},
		Path:        "/3.0/lists/" + list + "/members/" + memberHash,
		State:       `{"id": "` + memberHash + `", "list_id": "` + list + `", "status": "subscribed", "last_changed": "2026-01-02T03:04:05+00:00"}`,
		Unfetchable: providers.Ref{Type: "batch", ID: "123"},
		Gone: []providertest.Answer{
			{Name: "404 in Mailchimp's words", Status: 404, Body: problem("Resource Not Found")},
		},
		Failures: callFailures(),
	}
}

// problem is an error as Mailchimp writes it.
func problem(title string) string {
	return `{"type": "https://mailchimp.com/developer/marketing/docs/errors/", "title": "` + title + `", "detail": "private text"}`
}

// callFailures are those of calls for objects and for lists alike.
func callFailures() []providertest.Failure {
	fails := func(name string, status int, retry providers.Retry, code, body string) providertest.Failure {
		return providertest.Failure{Answer: providertest.Answer{Name: name, Status: status, Body: body}, Retry: retry, Code: code}
	}
	return []providertest.Failure{
		fails("a 404 in other words", 404, providers.RetryNever, "", "<html>private text</html>"),
		fails("a wrong key", 401, providers.RetryNever, "API Key Invalid", problem("API Key Invalid")),
		fails("a key of another data center", 403, providers.RetryNever, "Wrong Datacenter", problem("Wrong Datacenter")),
		fails("an eleventh connection", 429, providers.RetrySoon, "Too Many Requests", problem("Too Many Requests")),
		fails("a failure of theirs", 500, providers.RetrySoon, "Internal Server Error", problem("Internal Server Error")),
		fails("a title with private text", 400, providers.RetryNever, "", problem("private text")),
	}
}

// answers returns a provider whose API always gives the answer.
func answers(t *testing.T, body string) *mailchimp.Provider {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
	t.Cleanup(server.Close)
	p, err := mailchimp.New(providers.APIConfig{BaseURL: server.URL, Key: "key-us6"}, mailchimp.Settings{})
	require.NoError(t, err)
	return p
}

func member(t *testing.T, body string) (providers.Object, error) {
	t.Helper()
	return answers(t, body).Fetch(t.Context(), providers.FetchQuery{Ref: providers.Ref{Type: "member", ID: list + "/" + memberHash}})
}

func TestAMemberKnowsWhenItLastChanged(t *testing.T) {
	got, err := member(t, `{"id": "`+memberHash+`", "list_id": "`+list+`", "last_changed": "2026-01-02T05:04:05+02:00"}`)
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), got.UpdatedAt)
}

func TestAMemberWhoLeftIsAState(t *testing.T) {
	for _, status := range []string{"archived", "cleaned", "unsubscribed"} {
		got, err := member(t, `{"id": "`+memberHash+`", "list_id": "`+list+`", "status": "`+status+`"}`)
		require.NoError(t, err)
		require.False(t, got.Deleted)
		require.Contains(t, string(got.State), status)
		require.Zero(t, got.UpdatedAt)
	}
}

func TestAnotherMemberIsNoAnswer(t *testing.T) {
	for _, body := range []string{
		`{"id": "` + memberHash + `", "list_id": "ffffffffff"}`,
		`{"id": "00000000000000000000000000000000", "list_id": "` + list + `"}`,
		`{}`,
	} {
		_, err := member(t, body)
		var failed *providers.APIError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, providers.RetryNever, failed.Retry)
	}
}

func TestACampaignIsFetchedByItsID(t *testing.T) {
	ref := providers.Ref{Type: "campaign", ID: "5aa2102003"}
	got, err := answers(t, `{"id": "5aa2102003", "status": "sent"}`).Fetch(t.Context(), providers.FetchQuery{Ref: ref})
	require.NoError(t, err)
	require.Equal(t, ref, got.Ref)
	require.Zero(t, got.UpdatedAt)
}

func TestTheKeyNamesTheDataCenter(t *testing.T) {
	for key, want := range map[string]string{
		"":                                     "us1",
		"0123456789abcdef0123456789abcdef-us6": "us6",
		"0123456789abcdef-us21":                "us21",
	} {
		center, err := mailchimp.DataCenter(key)
		require.NoError(t, err)
		require.Equal(t, want, center)
	}
	for name, key := range map[string]string{
		"an OAuth token": "0123456789abcdef0123456789abcdef", "a host": "key-evil.example/", "a port": "key-us6:80", "nothing": "key-", "capitals": "key-US6",
	} {
		t.Run(name+" after the dash is refused", func(t *testing.T) {
			_, err := mailchimp.New(providers.APIConfig{Key: key}, mailchimp.Settings{})
			require.ErrorContains(t, err, "names no data center")
			require.NotContains(t, err.Error(), key)
			_, err = mailchimp.New(providers.APIConfig{Key: key, BaseURL: "https://us6.api.mailchimp.com"}, mailchimp.Settings{})
			require.NoError(t, err, "the base URL says it")
		})
	}
}
