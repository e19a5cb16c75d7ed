package ingress_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers"
)

func TestConfigHasDefaultsThatAreValid(t *testing.T) {
	var c ingress.Config
	require.NoError(t, envconfig.ProcessWith(t.Context(), &envconfig.Config{Target: &c, Lookuper: envconfig.MapLookuper(nil)}))
	require.NoError(t, c.Validate())
	require.Equal(t, ingress.Config{
		Listen: ":8080", AdminListen: "127.0.0.1:8081", MaxBytesInFlight: 256 << 20, ObjectsPerRun: 16, ShutdownTimeout: 20 * time.Second,
	}, c)
}

func TestConfigReportsAllErrorsByVariable(t *testing.T) {
	var c ingress.Config
	require.NoError(t, envconfig.ProcessWith(t.Context(), &envconfig.Config{Target: &c, Lookuper: envconfig.MapLookuper(map[string]string{
		"SUREHOOK_LISTEN":              "8080",
		"SUREHOOK_ADMIN_LISTEN":        "nowhere",
		"SUREHOOK_TLS_CERT":            "cert.pem",
		"SUREHOOK_TRUSTED_PROXIES":     "10.0.0.0/8,proxy.example",
		"SUREHOOK_PUBLIC_URL":          "hooks.example.com",
		"SUREHOOK_MAX_BYTES_IN_FLIGHT": "5",
		"SUREHOOK_OBJECTS_PER_RUN":     "101",
		"SUREHOOK_SHUTDOWN_DELAY":      "-1s",
		"SUREHOOK_SHUTDOWN_TIMEOUT":    "-1s",
	})}))
	err := c.Validate()
	for _, variable := range []string{
		"SUREHOOK_LISTEN", "SUREHOOK_ADMIN_LISTEN", "SUREHOOK_TLS_CERT", "SUREHOOK_TRUSTED_PROXIES", "SUREHOOK_PUBLIC_URL",
		"SUREHOOK_MAX_BYTES_IN_FLIGHT", "SUREHOOK_OBJECTS_PER_RUN", "SUREHOOK_SHUTDOWN_DELAY", "SUREHOOK_SHUTDOWN_TIMEOUT",
	} {
		require.ErrorContains(t, err, variable+": ")
	}
}

func TestListenFailsBeforeAnythingRuns(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	config := ingress.Config{Listen: taken.Addr().String(), AdminListen: "127.0.0.1:0", MaxBytesInFlight: 1 << 20, ShutdownTimeout: time.Second}
	t.Run("when the public address is taken", func(t *testing.T) {
		s := &ingress.Server{Config: config}
		require.ErrorContains(t, s.Listen(), "listen for webhooks")
	})
	t.Run("when the private address is taken", func(t *testing.T) {
		c := config
		c.Listen, c.AdminListen = c.AdminListen, c.Listen
		s := &ingress.Server{Config: c}
		require.ErrorContains(t, s.Listen(), "listen for admins")
	})
	t.Run("when a source is declared twice", func(t *testing.T) {
		s := &ingress.Server{Config: config, Sources: []ingress.Source{{Name: "a"}, {Name: "a"}}}
		require.ErrorContains(t, s.Listen(), `source "a" is declared twice`)
	})
	t.Run("when the certificate cannot be read", func(t *testing.T) {
		c := config
		c.TLSCert, c.TLSKey = "no.pem", "no.key"
		s := &ingress.Server{Config: c}
		require.ErrorContains(t, s.Listen(), "SUREHOOK_TLS_CERT")
	})
}

func TestTheConfiguredCertificateIsServed(t *testing.T) {
	t.Parallel()
	cert, key, pool := certificate(t)
	d := open(t, func(s *ingress.Server) { s.Config.TLSCert, s.Config.TLSKey = cert, key })
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	seen := d.signed("stripe", stripeEvent("evt_tls", "invoice.paid"))
	seen.URL.Scheme = "https"
	resp, err := transport.RoundTrip(seen)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, 2, resp.ProtoMajor)

	_, err = tls.Dial("tcp", d.server.Addr().String(), &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11})
	require.Error(t, err)
}

// certificate makes one for 127.0.0.1 and returns its files.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	require.NoError(t, os.WriteFile(certFile, certPEM, 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	pool = x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(certPEM))
	return certFile, keyFile, pool
}

func TestHealth(t *testing.T) {
	t.Parallel()
	d := open(t)
	admin := d.server.AdminAddr().String()
	require.JSONEq(t, `{"status":"ok"}`, d.get(admin, "/healthz").body)
	for name, c := range map[string]struct {
		set    func()
		status int
		body   string
	}{
		"all is well": {func() {}, 200, `{"status":"ready","database":"ok","temporal":"ok"}`},
		"without Temporal events can be accepted": {
			func() { d.temporal.failing(away) }, 200, `{"status":"ready","database":"ok","temporal":"unavailable"}`,
		},
		"without the database events can be accepted": {
			func() { d.inbox.down.Store(true) }, 200, `{"status":"ready","database":"unavailable","temporal":"ok"}`,
		},
		"without both they cannot": {
			func() { d.inbox.down.Store(true); d.temporal.failing(away) }, 503, `{"status":"not ready","database":"unavailable","temporal":"unavailable"}`,
		},
		"with a database that cannot be used they cannot": {
			func() { d.server.Inbox = unusable{d.inbox} }, 503, `{"status":"not ready","database":"not usable","temporal":"ok"}`,
		},
		"a database that hangs is unavailable": {
			func() { d.inbox.hangs.Store(true) }, 200, `{"status":"ready","database":"unavailable","temporal":"ok"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.set()
			got := d.get(admin, "/readyz")
			d.inbox.down.Store(false)
			d.inbox.hangs.Store(false)
			d.temporal.failing(nil)
			d.server.Inbox = d.inbox
			require.Equal(t, c.status, got.status)
			require.JSONEq(t, c.body, got.body)
		})
	}
	t.Run("profiles are there", func(t *testing.T) {
		require.Contains(t, d.get(admin, "/debug/pprof/").body, "goroutine")
		require.Equal(t, 200, d.get(admin, "/debug/pprof/heap").status)
	})
	t.Run("nothing of it is public", func(t *testing.T) {
		for _, path := range []string{"/healthz", "/readyz", "/metrics", "/debug/pprof/"} {
			require.Equal(t, http.StatusNotFound, d.get(d.server.Addr().String(), path).status)
		}
	})
}

type unusable struct{ *inbox }

func (unusable) Ping(context.Context) error { return errors.New("schema is older than this version") }

func TestShutdownFinishesWhatIsInProgress(t *testing.T) {
	t.Parallel()
	d := open(t, func(s *ingress.Server) { s.Config.ShutdownDelay = 200 * time.Millisecond })
	require.Equal(t, http.StatusUnauthorized, d.do(func() *http.Request {
		r := d.signed("stripe", "{}")
		r.Header.Del("Stripe-Signature")
		return r
	}()).status)

	body, send := io.Pipe()
	r := d.signed("stripe", stripeEvent("evt_slow", "invoice.paid"))
	whole, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	r.Body = body
	answered := make(chan reply, 1)
	go func() { answered <- d.do(r) }()
	_, err = send.Write(whole[:10])
	require.NoError(t, err)

	stopped := make(chan struct{})
	go func() { d.stop(); close(stopped) }()
	admin := d.server.AdminAddr().String()
	require.Eventually(t, func() bool { return strings.Contains(d.get(admin, "/readyz").body, "draining") }, 5*time.Second, time.Millisecond)
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", d.server.Addr().String())
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, 5*time.Second, 10*time.Millisecond, "nothing new is taken")
	require.JSONEq(t, `{"status":"draining","database":"ok","temporal":"ok"}`, d.get(admin, "/readyz").body)

	d.temporal.failing(func(context.Context, string) error { // a slow one
		<-time.After(300 * time.Millisecond)
		return nil
	})
	_, err = send.Write(whole[10:])
	require.NoError(t, err)
	require.NoError(t, send.Close())
	require.Equal(t, http.StatusOK, (<-answered).status)
	<-stopped
	require.NoError(t, d.err)
	require.True(t, d.temporal.started("stripe/evt_slow"), "the relay hands over what was accepted last")
	_, stored := d.inbox.rejected("bad_signature")
	require.True(t, stored, "rejections are stored")
}

func TestShutdownCutsWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	d := open(t, func(s *ingress.Server) { s.Config.ShutdownTimeout = 50 * time.Millisecond })
	c := dial(t, d)
	write(t, c, "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1")
	require.Eventually(t, func() bool { return d.metric("surehook_body_bytes_in_flight") == "10" }, 5*time.Second, 5*time.Millisecond)
	d.stop()
	require.ErrorContains(t, d.err, "finish requests")
	d.err = nil
}

func dial(t *testing.T, d *door) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", d.server.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func write(t *testing.T, c net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(t, err)
}

// raw sends bytes as they are and returns all that comes back until the server
// closes the connection, or stays silent for a while.
func raw(t *testing.T, d *door, text string) string {
	t.Helper()
	c := dial(t, d)
	write(t, c, text)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
	got, err := io.ReadAll(c)
	if !errors.Is(err, os.ErrDeadlineExceeded) && !isReset(err) {
		require.NoError(t, err)
	}
	return string(got)
}

func isReset(err error) bool {
	_, network := errors.AsType[*net.OpError](err)
	return network
}

func TestARequestThatIsSmuggledIsNeverRead(t *testing.T) {
	t.Parallel()
	d := open(t)
	smuggled := "POST /webhooks/none HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
	got := raw(t, d, fmt.Sprintf("POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n%s", 5+len(smuggled), smuggled))
	require.Equal(t, 1, strings.Count(got, "HTTP/1.1 "), got)
	require.Contains(t, got, "401 Unauthorized")
	require.Contains(t, got, "Connection: close")
	d.rejection("bad_signature")
	_, second := d.inbox.rejected("unknown_source")
	require.False(t, second)
}

func TestMalformedRequestsAreRefused(t *testing.T) {
	t.Parallel()
	d := open(t)
	const start = "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\n"
	for name, c := range map[string]struct{ request, want string }{
		"two lengths that differ":       {start + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "400 Bad Request"},
		"a length that is no number":    {start + "Content-Length: +2\r\n\r\n{}", "400 Bad Request"},
		"an unknown transfer encoding":  {start + "Transfer-Encoding: xchunked\r\n\r\n", "501 Not Implemented"},
		"two transfer encodings":        {start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "501 Not Implemented"},
		"a chunk that is none":          {start + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", "400 Bad Request"},
		"a header name with a blank":    {start + "X Y: 1\r\n\r\n", "400 Bad Request"},
		"a header with a NUL":           {start + "X: a\x00b\r\n\r\n", "400 Bad Request"},
		"two hosts":                     {start + "Host: y\r\nContent-Length: 0\r\n\r\n", "400 Bad Request"},
		"headers that are too large":    {start + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", "431 Request Header Fields Too Large"},
		"an escaped slash in the name":  {"POST /webhooks/..%2fstripe HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "404 Not Found"},
		"a path that climbs":            {"POST /webhooks/x/../stripe HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "404 Not Found"},
		"another host's URL":            {"POST http://evil/webhooks/none HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "404 Not Found"},
		"a method that does not exist":  {"BREW /webhooks/stripe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "405 Method Not Allowed"},
		"a body that stops too early":   {start + "Connection: close\r\nContent-Length: 5\r\n\r\n{}", ""},
		"a length that is out of range": {start + "Content-Length: 99999999999999999999\r\n\r\n", "400 Bad Request"},
		"a length of gigabytes":         {start + "Content-Length: 9999999999\r\n\r\n", "413 Request Entity Too Large"},
	} {
		t.Run(name, func(t *testing.T) {
			got := raw(t, d, c.request)
			require.Contains(t, got, c.want)
			require.NotContains(t, got, "200 OK")
		})
	}
	require.Zero(t, d.temporal.called())
}

func TestRepeatedSignaturesDoNotConfuse(t *testing.T) {
	t.Parallel()
	d := open(t)
	t.Run("a forged one beside the genuine one", func(t *testing.T) {
		r := d.signed("github", issueBody, asGitHub("issues", "d-1"))
		r.Header.Add("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
		require.Equal(t, http.StatusUnauthorized, d.do(r).status)
	})
	t.Run("two ids", func(t *testing.T) {
		r := d.signed("github", issueBody, asGitHub("issues", "d-1"))
		r.Header.Add("X-GitHub-Delivery", "d-2")
		got := d.do(r)
		require.Contains(t, got.body, `"unreadable-`)
		for _, id := range []string{"d-1", "d-2"} {
			_, err := d.inbox.Event(t.Context(), "github", id)
			require.ErrorIs(t, err, providers.ErrNotFound)
		}
	})
}

func TestASlowSenderIsCutOff(t *testing.T) {
	t.Parallel()
	d := open(t)
	// A byte of a header now and then would keep a connection for ever.
	c := dial(t, d)
	write(t, c, "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\n")
	began := time.Now()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_, _ = io.Copy(io.Discard, bufio.NewReader(c))
	}()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for open := true; open; {
		require.Less(t, time.Since(began), 15*time.Second)
		select {
		case <-closed:
			open = false
		case <-tick.C:
			_, _ = io.WriteString(c, "X-A: b\r\n")
		}
	}
	require.InDelta(t, 5, time.Since(began).Seconds(), 2)
	require.Equal(t, http.StatusOK, d.send("stripe", stripeEvent("evt_1", "invoice.paid")).status, "the others do not notice")
}

func TestRejectionsAreCountedNotRepeated(t *testing.T) {
	t.Parallel()
	d := open(t)
	const forgers, each = 8, 50
	done := make(chan struct{}, forgers)
	for range forgers {
		go func() {
			defer func() { done <- struct{}{} }()
			for range each {
				r := d.signed("stripe", "{\"card\":\"4242\"}\x1b[31m"+strings.Repeat("y", 500))
				r.Header.Set("Stripe-Signature", "t=1,v1=c0ffee")
				_ = d.do(r)
			}
		}()
	}
	for range forgers {
		<-done
	}
	require.Eventually(t, func() bool { return d.rejection("bad_signature").Count == forgers*each }, 5*time.Second, 20*time.Millisecond)
	got := d.rejection("bad_signature")
	require.Equal(t, "stripe", got.Source)
	require.Equal(t, "POST", got.Method)
	require.Equal(t, "/webhooks/stripe", got.Path)
	require.NotEmpty(t, got.Detail)
	require.Equal(t, `{"card":"4242"}.[31m`+strings.Repeat("y", 180), got.Excerpt)
	require.Zero(t, got.Minute.Second())
	d.inbox.mu.Lock()
	rows := len(d.inbox.rejections)
	d.inbox.mu.Unlock()
	require.Less(t, rows, 10)
	require.Contains(t, d.logs.String(), "bad_signature")
	for _, private := range []string{"c0ffee", "4242"} {
		require.NotContains(t, d.logs.String(), private)
	}
}

func TestImports(t *testing.T) {
	deptest.Check(t, deptest.Rule{
		Package: ".",
		// activities comes with workflows, which name them; it may not be used here.
		Ban: []string{
			"database/sql", "github.com/jmoiron/sqlx", "github.com/lib/pq", "modernc.org/...",
			"github.com/surehook/surehook/internal/...", "github.com/surehook/surehook/worker",
			"github.com/surehook/surehook/providers/...", "go.temporal.io/server/...",
		},
		BanDirect: []string{"github.com/surehook/surehook/activities"},
		Allow:     []string{"github.com/surehook/surehook/providers"},
	})
}
