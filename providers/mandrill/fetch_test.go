package mandrill_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/mandrill"
	"github.com/surehook/surehook/providers/providertest"
)

func fetchSuite() *providertest.Fetch {
	failed := func(name string) string {
		return `{"status": "error", "code": -1, "name": "` + name + `", "message": "private text"}`
	}
	fails := func(name string, status int, retry providers.Retry, code, body string) providertest.Failure {
		return providertest.Failure{Answer: providertest.Answer{Name: name, Status: status, Body: body}, Retry: retry, Code: code}
	}
	return &providertest.Fetch{
		New: func(cfg providers.APIConfig) (providers.Fetcher, error) {
			return mandrill.New(cfg, mandrill.Settings{})
		},
		Ref:         providers.Ref{Type: "message", ID: sentTo},
		Method:      http.MethodPost,
		Path:        "/1.0/messages/info.json",
		State:       `{"_id": "` + sentTo + `", "state": "sent", "opens": 2}`,
		Unfetchable: providers.Ref{Type: "inbound", ID: sentTo},
		Gone: []providertest.Answer{
			{Name: "a message that is not known, or no more", Status: 500, Body: failed("Unknown_Message")},
		},
		Failures: []providertest.Failure{
			fails("a wrong key", 500, providers.RetryNever, "Invalid_Key", failed("Invalid_Key")),
			fails("an account that owes", 500, providers.RetryNever, "PaymentRequired", failed("PaymentRequired")),
			fails("a bad call", 500, providers.RetryNever, "ValidationError", failed("ValidationError")),
			fails("a failure of theirs", 500, providers.RetrySoon, "GeneralError", failed("GeneralError")),
			fails("a service that is away", 500, providers.RetrySoon, "ServiceUnavailable", failed("ServiceUnavailable")),
			fails("an error to come", 500, providers.RetrySoon, "", failed("private text")),
			fails("an error to come with a status", 400, providers.RetryNever, "", failed("Other")),
			fails("too many calls", 429, providers.RetrySoon, "", ""),
			fails("a path that is not there", 404, providers.RetryNever, "", "private text"),
			fails("a name without an error", 500, providers.RetrySoon, "", `{"name": "Unknown_Message"}`),
		},
	}
}

func TestAnotherMessageIsNoAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"_id": "another", "state": "sent"}`))
	}))
	defer server.Close()
	p, err := mandrill.New(providers.APIConfig{BaseURL: server.URL, Key: "md-1"}, mandrill.Settings{})
	require.NoError(t, err)
	_, err = p.Fetch(t.Context(), providers.FetchQuery{Ref: providers.Ref{Type: "message", ID: sentTo}})
	var failed *providers.APIError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, providers.RetryNever, failed.Retry)
}

func TestTheKeyTravelsInTheBody(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call map[string]string
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&call))
		assert.Equal(t, map[string]string{"key": "md-1", "id": sentTo}, call)
		assert.Empty(t, r.Header.Get("Authorization"))
		_, _ = w.Write([]byte(`{"_id": "` + sentTo + `"}`))
	}))
	defer server.Close()
	p, err := mandrill.New(providers.APIConfig{BaseURL: server.URL, Key: "md-1"}, mandrill.Settings{})
	require.NoError(t, err)
	_, err = p.Fetch(t.Context(), providers.FetchQuery{Ref: providers.Ref{Type: "message", ID: sentTo}})
	require.NoError(t, err)
}
