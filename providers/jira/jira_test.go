package jira_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/jira"
	"github.com/surehook/surehook/providers/providertest"
)

const (
	secret     = "It's a Secret to Everybody"
	identifier = "c8a4f3a2-5d6e-4b7f-9a0b-1c2d3e4f5a6b"
	site       = "acme.atlassian.net"

	issueUpdated = `{
  "timestamp": 1767323045678,
  "webhookEvent": "jira:issue_updated",
  "issue_event_type_name": "issue_generic",
  "user": {"self": "https://acme.atlassian.net/rest/api/2/user?accountId=557058%3Abf39", "accountId": "557058:bf39", "displayName": "Zoë"},
  "issue": {
    "id": "10002", "self": "https://acme.atlassian.net/rest/api/2/10002", "key": "ED-1",
    "fields": {"summary": "Über", "updated": "2026-01-02T03:04:05.678+0000", "project": {"id": "10000", "key": "ED"}}
  },
  "changelog": {"id": "10124", "items": [{"field": "summary", "fromString": "Uber", "toString": "Über"}]}
}
`
)

// open returns a provider for tests that call no API.
func open(t testing.TB) *jira.Provider {
	t.Helper()
	p, err := jira.New(providers.APIConfig{}, jira.Settings{Site: site})
	require.NoError(t, err)
	return p
}

// request is one with the body, as Jira sends it but unsigned.
func request(body string) providers.Request {
	h := http.Header{}
	h.Set("Content-Type", "application/json; charset=UTF-8")
	h.Set("User-Agent", "Atlassian Webhook HTTP Client")
	h.Set("X-Atlassian-Webhook-Identifier", identifier)
	h.Set("X-Atlassian-Webhook-Flow", "Primary")
	return providers.Request{
		Method: http.MethodPost,
		URL:    &url.URL{Scheme: "https", Host: "hooks.example.com", Path: "/webhooks/jira"},
		Header: h,
		Body:   []byte(body),
	}
}

// signAsDocumented writes HMAC out as RFC 2104 defines it, apart from the code
// under test and from the package that it uses.
func signAsDocumented(r *providers.Request, secret string) {
	key := []byte(secret)
	if len(key) > sha256.BlockSize {
		hashed := sha256.Sum256(key)
		key = hashed[:]
	}
	pad := func(with byte) []byte {
		padded := bytes.Repeat([]byte{with}, sha256.BlockSize)
		for i, b := range key {
			padded[i] ^= b
		}
		return padded
	}
	inner := sha256.Sum256(append(pad(0x36), r.Body...))
	outer := sha256.Sum256(append(pad(0x5c), inner[:]...))
	r.Header.Set("X-Hub-Signature", "sha256="+hex.EncodeToString(outer[:]))
}

func TestConforms(t *testing.T) {
	providertest.Exercise(t, providertest.Suite{
		Provider:         open(t),
		Request:          func() providers.Request { return request(issueUpdated) },
		Oracle:           signAsDocumented,
		SignatureHeaders: []string{"X-Hub-Signature"},
		Malformed: map[string]string{
			"an event without a name":       strings.Replace(issueUpdated, `"webhookEvent"`, `"x"`, 1),
			"an event with an odd name":     strings.Replace(issueUpdated, `"jira:issue_updated"`, `"a b"`, 1),
			"an event whose name is none":   strings.Replace(issueUpdated, `"jira:issue_updated"`, `7`, 1),
			"an event without its issue":    strings.Replace(issueUpdated, `"issue"`, `"x"`, 1),
			"an issue that is none":         `{"webhookEvent": "jira:issue_updated", "issue": "10002"}`,
			"an issue without an id":        strings.Replace(issueUpdated, `"id": "10002"`, `"x": 1`, 1),
			"an issue with its key as id":   strings.Replace(issueUpdated, `"id": "10002"`, `"id": "ED-1"`, 1),
			"an issue with a path as id":    strings.Replace(issueUpdated, `"id": "10002"`, `"id": "10002/../1"`, 1),
			"an issue with a fraction":      strings.Replace(issueUpdated, `"id": "10002"`, `"id": 1.5`, 1),
			"an issue with too long an id":  strings.Replace(issueUpdated, `"id": "10002"`, `"id": "`+strings.Repeat("1", 20)+`"`, 1),
			"an address that is no address": strings.Replace(issueUpdated, `"self": "https://acme.atlassian.net/rest/api/2/10002"`, `"self": 1`, 1),
		},
		Fetch: fetchSuite(),
		List:  listSuite(),
	})
}

// The example of developer.atlassian.com/cloud/jira/platform/webhooks.
func TestVerifyAcceptsThePublishedSignature(t *testing.T) {
	r := request("Hello World!")
	r.Header.Set("X-Hub-Signature", "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9")
	require.NoError(t, open(t).Verify(r, providers.Secrets{secret}))
	signAsDocumented(&r, secret)
	require.NoError(t, open(t).Verify(r, providers.Secrets{secret}))
}

func TestOnlyTheMethodThatJiraUsesIsUnderstoodAndOthersAreNamed(t *testing.T) {
	genuine := request(issueUpdated)
	signAsDocumented(&genuine, secret)
	digits := strings.TrimPrefix(genuine.Header.Get("X-Hub-Signature"), "sha256=")
	for signature, want := range map[string]string{
		"sha1=" + digits:                     "signed by the method sha1",
		"sha384=" + strings.Repeat("ab", 48): "signed by the method sha384",
		"sha512=" + strings.Repeat("ab", 64): "signed by the method sha512",
		"SHA256=" + digits:                   "is not sha256= and 64 hex digits",
		"none=" + digits:                     "is not sha256= and 64 hex digits",
		digits:                               "is not sha256= and 64 hex digits",
		"sha256=" + digits + "ab":            "is not sha256= and 64 hex digits",
		"sha256=" + "zz" + digits[2:]:        "is not sha256= and 64 hex digits",
	} {
		r := request(issueUpdated)
		r.Header.Set("X-Hub-Signature", signature)
		err := open(t).Verify(r, providers.Secrets{secret})
		require.ErrorIs(t, err, providers.ErrUnauthenticated)
		require.ErrorContains(t, err, want)
	}
}

// A Connect app's token does not cover the body, and OAuth apps' webhooks have no
// signature at all.
func TestARequestWithoutASignatureProvesNothing(t *testing.T) {
	r := request(issueUpdated)
	r.Header.Set("Authorization", "JWT eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln")
	err := open(t).Verify(r, providers.Secrets{secret})
	require.ErrorIs(t, err, providers.ErrUnauthenticated)
	require.ErrorContains(t, err, "the header X-Hub-Signature is missing")
}

func TestVerifyTellsTheOperatorWhyNothingFits(t *testing.T) {
	signed := request(issueUpdated)
	signAsDocumented(&signed, "another secret")
	require.ErrorContains(t, open(t).Verify(signed, providers.Secrets{secret}), "the signature does not fit the secret")
	require.ErrorContains(t, open(t).Verify(signed, providers.Secrets{secret, "old"}), "the signature fits none of the 2 secrets")
}

func TestLabelSetsWhatIsNotInTheBody(t *testing.T) {
	r := request(issueUpdated)
	open(t).Label(&r, "by-hand-1", "jira:issue_updated")
	require.Equal(t, "by-hand-1", eventIn(t, r).ID)
	require.Equal(t, "Primary", r.Header.Get("X-Atlassian-Webhook-Flow"))
}

func TestNewSaysWhatIsWrongWithItsSettings(t *testing.T) {
	for name, c := range map[string]struct {
		baseURL, site, want string
	}{
		"a base URL that is none":       {"acme.atlassian.net", "", "base URL"},
		"a site that is no host":        {"", "acme", `site: "acme": want a host`},
		"a site with a path":            {"", "https://acme.atlassian.net/jira", "want a host"},
		"a site that is the gateway":    {"", "api.atlassian.com", "want a host"},
		"a gateway, and nobody's site":  {"https://api.atlassian.com/ex/jira/11223344-a1b2", "", "site: must be set"},
		"a site with somebody's secret": {"", "me:token@acme.atlassian.net", "want a host"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := jira.New(providers.APIConfig{BaseURL: c.baseURL}, jira.Settings{Site: c.site})
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "jira: ")
			if c.baseURL != "acme.atlassian.net" {
				setting, ok := errors.AsType[*providers.SettingError](err)
				require.True(t, ok)
				require.Equal(t, "site", setting.Field)
			}
		})
	}
}

func TestImports(t *testing.T) {
	providertest.CheckImports(t, deptest.Rule{})
}

func FuzzVerify(f *testing.F) {
	r := request(issueUpdated)
	signAsDocumented(&r, secret)
	f.Add(r.Header.Get("X-Hub-Signature"), r.Body)
	f.Add("sha256=", []byte{})
	f.Add("sha1=00", []byte("x"))
	p := open(f)
	f.Fuzz(func(t *testing.T, signature string, body []byte) {
		r := request(string(body))
		r.Header.Set("X-Hub-Signature", signature)
		accepted := p.Verify(r, providers.Secrets{secret}) == nil

		signAsDocumented(&r, secret)
		digits, hasPrefix := strings.CutPrefix(signature, "sha256=")
		want := hasPrefix && "sha256="+strings.ToLower(digits) == r.Header.Get("X-Hub-Signature")
		require.Equal(t, want, accepted)
	})
}

func BenchmarkVerifyAndEvents(b *testing.B) {
	filler := `"description": "` + strings.Repeat("lorem ipsum ", 110) + `"`
	r := request(strings.Replace(issueUpdated, `"summary": "Über"`, filler, 1))
	r.ReceivedAt = time.Now()
	signAsDocumented(&r, secret)
	p := open(b)
	providertest.Benchmark(b, p, r, providers.Secrets{secret})
}
