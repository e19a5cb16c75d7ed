package github_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	sdk "github.com/google/go-github/v89/github"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/github"
	"github.com/surehook/surehook/providers/providertest"
)

const (
	secret   = "It's a Secret to Everybody"
	delivery = "72d3162e-cc78-11e3-81ab-4c9367dc0958"

	issueOpened = `{
  "action": "opened",
  "issue": {"id": 73464126, "number": 12, "title": "Über", "updated_at": "2026-01-02T03:04:05Z", "user": {"login": "octocat", "id": 1}},
  "repository": {"id": 35129377, "full_name": "octocat/hello", "pushed_at": 1767323045},
  "sender": {"login": "octocat", "id": 1}
}
`
)

// open returns a provider for tests that call no API.
func open(t testing.TB) *github.Provider {
	t.Helper()
	p, err := github.New(providers.APIConfig{}, github.Settings{})
	require.NoError(t, err)
	return p
}

// request is one with the event, as GitHub sends it but unsigned.
func request(event, body string) providers.Request {
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "GitHub-Hookshot/044aadd")
	h.Set("X-GitHub-Delivery", delivery)
	h.Set("X-GitHub-Event", event)
	h.Set("X-GitHub-Hook-ID", "292430182")
	return providers.Request{
		Method: http.MethodPost,
		URL:    &url.URL{Scheme: "https", Host: "hooks.example.com", Path: "/webhooks/github"},
		Header: h,
		Body:   []byte(body),
	}
}

// formRequest is the same from a hook that sends forms.
func formRequest(event, document string) providers.Request {
	r := request(event, url.Values{"payload": {document}}.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// signAsDocumented is GitHub's documentation in code.
func signAsDocumented(r *providers.Request, secret string) {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(r.Body)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
}

func TestConforms(t *testing.T) {
	providertest.Exercise(t, providertest.Suite{
		Provider:         open(t),
		Request:          func() providers.Request { return request("issues", issueOpened) },
		Oracle:           signAsDocumented,
		SignatureHeaders: []string{"X-Hub-Signature-256"},
		Malformed: map[string]string{
			"an issue without a number":      strings.Replace(issueOpened, `"number"`, `"x"`, 1),
			"an issue with an odd number":    strings.Replace(issueOpened, `"number": 12`, `"number": "1/2"`, 1),
			"an event without its issue":     strings.Replace(issueOpened, `"issue"`, `"x"`, 1),
			"an event without a repository":  strings.Replace(issueOpened, `"repository"`, `"x"`, 1),
			"an event in no repository":      strings.Replace(issueOpened, `"octocat/hello"`, `null`, 1),
			"a repository without an owner":  strings.Replace(issueOpened, `"octocat/hello"`, `"hello"`, 1),
			"an owner that leads elsewhere":  strings.Replace(issueOpened, `"octocat/hello"`, `"../hello"`, 1),
			"a name that leads elsewhere":    strings.Replace(issueOpened, `"octocat/hello"`, `"octocat/.."`, 1),
			"a repository with a part extra": strings.Replace(issueOpened, `"octocat/hello"`, `"octocat/hello/x"`, 1),
		},
		Handshake: &providertest.Handshake{
			Request: func() providers.Request {
				return request("ping", `{"zen": "Design for failure.", "hook_id": 1, "hook": {"id": 1}}`)
			},
			Want: providers.Response{Status: http.StatusOK, ContentType: "application/json", Body: []byte(`{"status":"pong"}`)},
		},
		Fetch: fetchSuite(),
		List:  listSuite(),
	})
}

func fetchSuite() *providertest.Fetch {
	later := func(name string, status int, after time.Duration, code, body string, header map[string]string) providertest.Failure {
		return providertest.Failure{
			Answer: providertest.Answer{Name: name, Status: status, Header: header, Body: body},
			Retry:  providers.RetryLater, After: after, Code: code,
		}
	}
	return &providertest.Fetch{
		New:         func(cfg providers.APIConfig) (providers.Fetcher, error) { return github.New(cfg, github.Settings{}) },
		Ref:         providers.Ref{Type: "issue", ID: "octocat/hello/issues/12"},
		Path:        "/repos/octocat/hello/issues/12",
		State:       `{"number": 12, "updated_at": "2026-01-02T03:04:05Z", "title": "Über"}`,
		ETag:        `W/"644b5b0155e6404a9cc4bd9d8b1ae730"`,
		Unfetchable: providers.Ref{Type: "discussion", ID: "octocat/hello/3297442"},
		Gone:        []providertest.Answer{{Name: "404", Status: http.StatusNotFound, Body: `{"message": "Not Found"}`}},
		Failures: []providertest.Failure{
			later("the hourly quota is used up", 403, 59*time.Minute, "API rate limit exceeded",
				`{"message": "API rate limit exceeded for user ID 1, private text."}`,
				map[string]string{
					"Date": "Fri, 02 Jan 2026 03:00:00 GMT", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1767326340",
				}),
			later("the quota is back by now", 429, time.Second, "", "",
				map[string]string{
					"Date": "Fri, 02 Jan 2026 03:00:00 GMT", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1767322000",
				}),
			later("a quota without a readable end", 403, time.Minute, "", "",
				map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"}),
			later("a quota that ends in another age", 403, time.Hour, "", "",
				map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1767326340000"}),
			later("a secondary limit that says when", 403, 30*time.Second, "secondary rate limit",
				`{"message": "You have exceeded a secondary rate limit. private text"}`, map[string]string{"Retry-After": "30"}),
			later("a secondary limit that does not say when", 403, time.Minute, "secondary rate limit",
				`{"message": "You have exceeded a secondary rate limit. private text"}`, map[string]string{"X-RateLimit-Remaining": "4999"}),
			later("a secondary limit in old words", 403, time.Minute, "secondary rate limit",
				`{"message": "You have triggered an abuse detection mechanism. private text"}`, nil),
			later("a 429 without a word", 429, time.Minute, "", "", nil),
			{
				Answer: providertest.Answer{
					Name: "a missing permission", Status: 403, Header: map[string]string{"X-RateLimit-Remaining": "4999"},
					Body: `{"message": "Resource not accessible by integration"}`,
				},
				Retry: providers.RetryNever, Code: "Resource not accessible by integration",
			},
			{
				Answer: providertest.Answer{Name: "a wrong token", Status: 401, Body: `{"message": "Bad credentials"}`},
				Retry:  providers.RetryNever, Code: "Bad credentials",
			},
			{
				Answer: providertest.Answer{Name: "a message with private text", Status: 451, Body: `{"message": "private text"}`},
				Retry:  providers.RetryNever,
			},
			{
				Answer: providertest.Answer{Name: "a 422 for anything but a commit", Status: 422, Body: `{"message": "Validation Failed"}`},
				Retry:  providers.RetryNever, Code: "Validation Failed",
			},
		},
	}
}

// The example of docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries.
func TestVerifyAcceptsThePublishedSignature(t *testing.T) {
	r := request("push", "Hello, World!")
	r.Header.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	require.NoError(t, open(t).Verify(r, providers.Secrets{secret}))
}

func TestGitHubsLibraryAcceptsWhatSignSigns(t *testing.T) {
	for _, r := range []providers.Request{request("issues", issueOpened), formRequest("issues", issueOpened), request("issues", "")} {
		require.NoError(t, open(t).Sign(&r, providers.Secrets{secret}))
		require.NoError(t, sdk.ValidateSignature(r.Header.Get("X-Hub-Signature-256"), r.Body, []byte(secret)))
	}
}

func TestVerifyAgreesWithGitHubsLibrary(t *testing.T) {
	p := open(t)
	genuine := request("issues", issueOpened)
	signAsDocumented(&genuine, secret)
	signature := genuine.Header.Get("X-Hub-Signature-256")
	for _, s := range []string{
		signature, "sha256=" + strings.ToUpper(strings.TrimPrefix(signature, "sha256=")),
		"sha256=", strings.TrimPrefix(signature, "sha256="), "SHA256=" + signature[7:], signature + "00", signature[:60], "sha512=" + signature[7:], "sha256=zz" + signature[9:],
	} {
		r := genuine
		r.Header = genuine.Header.Clone()
		r.Header.Set("X-Hub-Signature-256", s)
		want := sdk.ValidateSignature(s, r.Body, []byte(secret))
		require.Equal(t, want == nil, p.Verify(r, providers.Secrets{secret}) == nil, "%s: the library says %v", s, want)
	}
}

func TestVerifyRefusesASHA1Signature(t *testing.T) {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(issueOpened))
	signature := "sha1=" + hex.EncodeToString(mac.Sum(nil))
	require.NoError(t, sdk.ValidateSignature(signature, []byte(issueOpened), []byte(secret)), "the test signs wrongly")

	for _, name := range []string{"X-Hub-Signature", "X-Hub-Signature-256"} {
		r := request("issues", issueOpened)
		r.Header.Set(name, signature)
		require.ErrorIs(t, open(t).Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated, name)
	}
}

func TestVerifyTellsTheOperatorWhyNothingFits(t *testing.T) {
	unsigned, signed := request("issues", issueOpened), request("issues", issueOpened)
	signAsDocumented(&signed, "another secret")
	for _, c := range []struct {
		request providers.Request
		secrets providers.Secrets
		want    string
	}{
		{unsigned, providers.Secrets{secret}, "the header X-Hub-Signature-256 is missing"},
		{signed, providers.Secrets{secret}, "the signature does not fit the secret"},
		{signed, providers.Secrets{secret, "old"}, "the signature fits none of the 2 secrets"},
	} {
		err := open(t).Verify(c.request, c.secrets)
		require.ErrorIs(t, err, providers.ErrUnauthenticated)
		require.ErrorContains(t, err, c.want)
	}
}

func TestVerifyCoversTheRawForm(t *testing.T) {
	r := formRequest("issues", issueOpened)
	signAsDocumented(&r, secret)
	require.NoError(t, open(t).Verify(r, providers.Secrets{secret}))

	r.Body = []byte(strings.ReplaceAll(string(r.Body), "+", "%20"))
	require.ErrorIs(t, open(t).Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated)
}

func TestNewRefusesABaseURLThatIsNone(t *testing.T) {
	_, err := github.New(providers.APIConfig{BaseURL: "api.github.com"}, github.Settings{})
	require.Error(t, err)
}

func TestImports(t *testing.T) {
	providertest.CheckImports(t, deptest.Rule{Ban: []string{"github.com/google/go-github/..."}})
}

func FuzzVerify(f *testing.F) {
	r := request("issues", issueOpened)
	signAsDocumented(&r, secret)
	f.Add(r.Header.Get("X-Hub-Signature-256"), r.Body)
	f.Add("sha256=", []byte{})
	f.Add("sha1=", []byte("x"))
	p := open(f)
	f.Fuzz(func(t *testing.T, signature string, body []byte) {
		r := request("issues", string(body))
		r.Header.Set("X-Hub-Signature-256", signature)
		accepted := p.Verify(r, providers.Secrets{secret}) == nil

		signAsDocumented(&r, secret)
		digits, hasPrefix := strings.CutPrefix(signature, "sha256=")
		want := hasPrefix && "sha256="+strings.ToLower(digits) == r.Header.Get("X-Hub-Signature-256")
		require.Equal(t, want, accepted)
	})
}

func BenchmarkVerifyAndEvents(b *testing.B) {
	labels := strings.Repeat(`{"id": 208045946, "name": "bug", "color": "d73a4a", "default": true}, `, 23)
	benchmark(b, "issues", strings.Replace(issueOpened, `"title"`, `"labels": [`+labels+`{}], "title"`, 1))
}

// Whole payloads of GitHub's are larger.
func BenchmarkVerifyAndEventsOfAPullRequest(b *testing.B) {
	body, err := os.ReadFile("testdata/pull_request.json")
	require.NoError(b, err)
	benchmark(b, "pull_request", string(body))
}

func benchmark(b *testing.B, event, body string) {
	b.Helper()
	r := request(event, body)
	signAsDocumented(&r, secret)
	p := open(b)
	providertest.Benchmark(b, p, r, providers.Secrets{secret})
}
