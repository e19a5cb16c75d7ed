package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/all"
	"github.com/surehook/surehook/sandbox"
)

// sending is a command line with sources, an ingress that answers what it is
// told to, and the sandbox of a `surehook dev`.
type sending struct {
	*cli
	answer string
	status int
}

func newSending(t *testing.T) *sending {
	t.Helper()
	s := &sending{cli: newCLI(t), answer: `{"status":"accepted","events":[{"id":"evt_1"}]}`, status: http.StatusOK}
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(s.status)
		_, _ = w.Write([]byte(s.answer))
	}))
	t.Cleanup(door.Close)
	file := filepath.Join(t.TempDir(), "surehook.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`sources:
  stripe: {provider: stripe, secrets: ["${SECRET}"]}
  github: {provider: github, secrets: ["${SECRET}"]}
`), 0o600))
	t.Setenv("SECRET", "whsec_1")
	t.Setenv("SUREHOOK_CONFIG", file)
	t.Setenv("SUREHOOK_LISTEN", strings.TrimPrefix(door.URL, "http://"))
	t.Setenv("SUREHOOK_SANDBOX_URL", s.sandbox(door.URL))
	return s
}

func (s *sending) sandbox(door string) (url string) {
	s.t.Helper()
	platform := func(name string) sandbox.PlatformConfig {
		p, err := all.New(name, providers.APIConfig{}, nil)
		require.NoError(s.t, err)
		return sandbox.PlatformConfig{Provider: p, Secrets: providers.Secrets{"whsec_1"}, Target: door + "/webhooks/" + name}
	}
	sb, err := sandbox.Open(sandbox.Config{Platforms: map[string]sandbox.PlatformConfig{"stripe": platform("stripe"), "github": platform("github")}})
	require.NoError(s.t, err)
	server := httptest.NewServer(sb)
	s.t.Cleanup(func() {
		server.Close()
		require.NoError(s.t, sb.Close())
	})
	return server.URL
}

func (s *sending) file(body string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "body.json")
	require.NoError(s.t, os.WriteFile(path, []byte(body), 0o600))
	return path
}

func TestSendSaysWhereToLookNext(t *testing.T) {
	s := newSending(t)
	text, code := s.run("send", "stripe", "invoice.paid")
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "sent stripe invoice.paid: 200 OK\n", "without a blank at its end")
	require.Regexp(t, `\n  surehook events show stripe evt_\w+\n`, text)
	require.Regexp(t, `\n  surehook records show stripe invoice/in_\w+\n`, text)
	require.NotContains(t, text, "note:")
}

func TestWithoutASandboxTheEventIsMadeUp(t *testing.T) {
	s := newSending(t)
	t.Setenv("SUREHOOK_SANDBOX_URL", "")
	for source, typ := range map[string]string{"stripe": "invoice.paid", "github": "push"} {
		text, code := s.run("send", source, typ)
		require.Equal(t, exitOK, code, text)
		require.Contains(t, text, "sent "+source+" "+typ+": 200 OK\n")
	}
	text, code := s.run("send", "stripe", "invoice.paid", "--object", "invoice/in_1")
	require.Equal(t, exitUsage, code, text)
}

func TestABodyThatCannotBeReadIsShownByTheIDItWasGiven(t *testing.T) {
	s := newSending(t)
	s.answer = `{"status":"accepted","events":[{"id":"unreadable-1"}]}`
	text, code := s.run("send", "stripe", "invoice.paid", "--file", s.file("garbage"))
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "surehook events show stripe unreadable-1\n")

	s.status, s.answer = http.StatusServiceUnavailable, "away"
	text, code = s.run("send", "stripe", "invoice.paid", "--file", s.file("garbage"))
	require.Equal(t, exitFailed, code)
	require.Contains(t, text, "503 Service Unavailable away")
}

func TestSendNotesWhatMayNotHaveBeenMeant(t *testing.T) {
	s := newSending(t)
	text, code := s.run("send", "stripe", "invoice.payed")
	require.Equal(t, exitOK, code)
	require.Contains(t, text, "note: the sandbox does not know what invoice.payed means")

	body := s.file(`{"id":"evt_1","object":"event","type":"charge.refunded","created":1700000000,"livemode":false,` +
		`"data":{"object":{"id":"ch_1","object":"charge"}}}`)
	text, code = s.run("send", "stripe", "invoice.paid", "--file", body)
	require.Equal(t, exitOK, code, text)
	require.Contains(t, text, "note: the body is a charge.refunded, not the invoice.paid")
	text, _ = s.run("send", "stripe", "charge.refunded", "--file", body)
	require.NotContains(t, text, "note:")
}

func TestSendRefusesFlagsThatWouldDoNothing(t *testing.T) {
	s := newSending(t)
	body := s.file("{}")
	for _, flags := range [][]string{
		{"--id", "1"},
		{"--id", "1", "--file", body},
		{"--object", "invoice/in_1", "--file", body},
		{"--object", "invoice/in_1", "--to", "http://127.0.0.1:1"},
		{"--object", "in_1"},
	} {
		text, code := s.run(append([]string{"send", "stripe", "invoice.paid"}, flags...)...)
		require.Equal(t, exitUsage, code, "%v: %s", flags, text)
	}
}

func TestSendTellsAnObjectThatIsMissingFromAWrongOne(t *testing.T) {
	s := newSending(t)
	text, code := s.run("send", "stripe", "invoice.paid", "--object", "invoice/in_9")
	require.Equal(t, exitNotFound, code)
	require.Contains(t, text, "no such object")
	text, code = s.run("send", "stripe", "invoice.paid", "--object", "customer/cus_1")
	require.Equal(t, exitUsage, code)
	require.Contains(t, text, "invoice.paid happens to objects of type invoice, and customer/cus_1 is none")
}

func TestSendAsksWhetherDevIsRunning(t *testing.T) {
	s := newSending(t)
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, nobody.Close())
	t.Setenv("SUREHOOK_SANDBOX_URL", "http://"+nobody.Addr().String())
	text, code := s.run("send", "stripe", "invoice.paid")
	require.Equal(t, exitFailed, code)
	require.Contains(t, text, "is `surehook dev` running?")
}

func TestTheExamplesOfSendWork(t *testing.T) {
	s := newSending(t)
	var tried int
	for example := range strings.Lines(sendCommand().Example) {
		words := strings.Fields(example)[1:]
		if strings.Contains(example, "in_1") || strings.Contains(example, "--file") {
			continue // they name what the reader has
		}
		text, code := s.run(words...)
		require.Equal(t, exitOK, code, "%s: %s", example, text)
		tried++
	}
	require.Equal(t, 2, tried)
}

func TestWhatASignerAddsToTheURLIsSent(t *testing.T) {
	signed, err := url.Parse("https://hooks.example.com/webhooks/x/s%2F1?key=a%20b")
	require.NoError(t, err)
	got, err := asSigned("http://127.0.0.1:8080/webhooks/x", providers.Request{URL: signed, PathToken: "s/1"})
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:8080/webhooks/x/s%2F1?key=a%20b", got)
}
