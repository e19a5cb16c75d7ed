package oracletest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/all"
)

const (
	document = `{"id": "evt_1", "object": "event", "name": "Übermut", "amount": 1e3}` + "\n"
	form     = "MessageSid=SM0123&Body=%C3%9Cbermut+%26+mehr&NumMedia=0&Media=b&Media=a&Media=b&Empty="

	jsonMedia = "application/json"
	formMedia = "application/x-www-form-urlencoded"
)

// library is one that a platform's own developers give to its users.
type library struct {
	sdk      string // as oracle.mjs and npm call it
	platform string
	secret   string
	wrong    string // another secret
	times    bool   // the platform signs the time
	media    string
	body     string
	header   map[string]string // what the library wants besides its signature
	ours     map[string]string // the same for our Sign, where that differs
}

var libraries = []library{
	{
		sdk: "@octokit/webhooks-methods", platform: "github", media: jsonMedia, body: document,
		secret: "It's a Secret to Everybody", wrong: "It's a Secret",
	},
	{
		sdk: "@shopify/shopify-api", platform: "shopify", media: jsonMedia, body: document,
		secret: "shpss_0123456789abcdef", wrong: "shpss_0123456789abcdee",
		header: map[string]string{
			"x-shopify-topic": "orders/updated", "x-shopify-shop-domain": "acme.myshopify.com", "x-shopify-api-version": "2025-07",
			"x-shopify-webhook-id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
		},
	},
	{
		sdk: "@slack/bolt", platform: "slack", media: jsonMedia, body: document, times: true,
		secret: "8f742231b10e8888abcd99yyyzzz85a5", wrong: "8f742231b10e8888abcd99yyyzzz85a6",
	},
	{
		sdk: "standardwebhooks", platform: "standard-webhooks", media: jsonMedia, body: document, times: true,
		secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", wrong: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx",
		header: map[string]string{"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek"},
	},
	{
		sdk: "svix", platform: "standard-webhooks", media: jsonMedia, body: document, times: true,
		secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", wrong: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx",
		header: map[string]string{"svix-id": "msg_p5jXN8AQM9LWM0D4loKWxJek"},
		ours:   map[string]string{"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek"},
	},
	{
		sdk: "stripe", platform: "stripe", media: jsonMedia, body: document, times: true,
		secret: "whsec_test-2Lk7Qw9Zx4Vb", wrong: "whsec_test-2Lk7Qw9Zx4Vc",
	},
	{
		sdk: "twilio", platform: "twilio", media: formMedia, body: form,
		secret: "0123456789abcdef0123456789abcdef", wrong: "0123456789abcdef0123456789abcdee",
	},
	{
		sdk: "twilio", platform: "twilio", media: jsonMedia, body: document,
		secret: "0123456789abcdef0123456789abcdef", wrong: "0123456789abcdef0123456789abcdee",
	},
}

// TestWeAgreeWithThePlatformsOwnLibraries has either side sign, and asks both
// whether they accept that: as it is, with another body, under another secret,
// and, where the time is signed, when it has become old.
func TestWeAgreeWithThePlatformsOwnLibraries(t *testing.T) {
	node := startOracle(t)
	for _, lib := range libraries {
		t.Run(lib.sdk+" "+lib.media, func(t *testing.T) {
			provider, err := all.New(lib.platform, providers.APIConfig{}, nil)
			require.NoError(t, err)
			both := pair{provider: provider, node: node, library: lib}
			t.Run("about what they sign", func(t *testing.T) { both.judge(t, both.theySign) })
			t.Run("about what we sign", func(t *testing.T) { both.judge(t, both.weSign) })
		})
	}
}

// pair is one of our providers and the library that does the same.
type pair struct {
	provider providers.Provider
	node     *oracle
	library  library
}

func (p pair) judge(t *testing.T, sign func(t *testing.T, at time.Time) providers.Request) {
	t.Helper()
	now := time.Now()
	genuine := sign(t, now)
	genuine.ReceivedAt = now
	p.require(t, nil, genuine, p.library.secret)
	p.require(t, providers.ErrUnauthenticated, genuine, p.library.wrong)

	changed := genuine
	changed.Body = bytes.Replace(genuine.Body, []byte("bermut"), []byte("berMut"), 1)
	require.NotEqual(t, genuine.Body, changed.Body)
	p.require(t, providers.ErrUnauthenticated, changed, p.library.secret)

	old := sign(t, now.Add(-10*time.Minute))
	old.ReceivedAt = now
	if p.library.times {
		p.require(t, providers.ErrStale, old, p.library.secret)
	} else {
		p.require(t, nil, old, p.library.secret)
	}
}

// require demands the same of both: that they accept the request, or refuse it.
func (p pair) require(t *testing.T, want error, r providers.Request, secret string) {
	t.Helper()
	require.ErrorIs(t, p.provider.Verify(r, providers.Secrets{secret}), want)
	theirs := p.node.ask(t, question{SDK: p.library.sdk, Op: "verify", Secret: secret, Request: described(r)})
	require.NotNil(t, theirs.Accepted)
	require.Equal(t, want == nil, *theirs.Accepted, theirs.Reason)
}

func (p pair) theySign(t *testing.T, at time.Time) providers.Request {
	t.Helper()
	r := p.request(p.library.header)
	r.ReceivedAt = at
	signed := p.node.ask(t, question{SDK: p.library.sdk, Op: "sign", Secret: p.library.secret, Request: described(r)})
	require.NotEmpty(t, signed.Headers)
	for name, value := range signed.Headers {
		r.Header.Set(name, value)
	}
	if signed.URL != "" {
		u, err := url.Parse(signed.URL)
		require.NoError(t, err)
		r.URL = u
	}
	return r
}

func (p pair) weSign(t *testing.T, at time.Time) providers.Request {
	t.Helper()
	header := p.library.header
	if p.library.ours != nil {
		header = p.library.ours
	}
	r := p.request(header)
	r.ReceivedAt = at
	require.NoError(t, p.provider.Sign(&r, providers.Secrets{p.library.secret}))
	return r
}

func (p pair) request(header map[string]string) providers.Request {
	h := http.Header{}
	h.Set("Content-Type", p.library.media)
	for name, value := range header {
		h.Set(name, value)
	}
	return providers.Request{
		Method: http.MethodPost,
		URL:    &url.URL{Scheme: "https", Host: "hooks.example.com", Path: "/webhooks/main", RawQuery: "team=a%20b"},
		Header: h,
		Body:   []byte(p.library.body),
	}
}

// oracle is a Node process that runs testdata/npm/oracle.mjs.
type oracle struct {
	questions *json.Encoder
	answers   *json.Decoder
	stderr    *bytes.Buffer
}

type question struct {
	SDK     string      `json:"sdk"`
	Op      string      `json:"op"`
	Secret  string      `json:"secret"`
	Request description `json:"request"`
}

type description struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	At      int64             `json:"at"`
}

type answer struct {
	Headers  map[string]string `json:"headers"`
	URL      string            `json:"url"`
	Accepted *bool             `json:"accepted"`
	Reason   string            `json:"reason"`
	Error    string            `json:"error"`
}

func described(r providers.Request) description {
	headers := map[string]string{}
	for name := range r.Header {
		headers[strings.ToLower(name)] = r.Header.Get(name)
	}
	return description{URL: r.URL.String(), Headers: headers, Body: string(r.Body), At: r.ReceivedAt.Unix()}
}

// startOracle starts the process, which ends with the test. The script is handed
// over as text: it then finds the packages from the folder that it runs in.
func startOracle(t *testing.T) *oracle {
	t.Helper()
	dir := modules(t)
	script, err := os.ReadFile(filepath.Join("testdata", "npm", "oracle.mjs"))
	require.NoError(t, err)
	o := &oracle{stderr: &bytes.Buffer{}}
	node := exec.CommandContext(t.Context(), "node", "--input-type=module", "--eval", string(script))
	node.Dir, node.Stderr = dir, o.stderr
	in, err := node.StdinPipe()
	require.NoError(t, err)
	out, err := node.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, node.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_, _ = io.Copy(io.Discard, out)
		_ = node.Wait()
	})
	o.questions, o.answers = json.NewEncoder(in), json.NewDecoder(out)
	return o
}

func (o *oracle) ask(t *testing.T, q question) answer {
	t.Helper()
	var a answer
	sent := o.questions.Encode(q)
	require.NoError(t, o.answers.Decode(&a), "node does not answer: %v: %s", sent, o.stderr)
	require.Empty(t, a.Error)
	return a
}
