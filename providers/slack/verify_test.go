package slack_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
)

// signedNow is a request that Slack's library can judge: it reads the clock.
func signedNow(t *testing.T, body string, age time.Duration) providers.Request {
	t.Helper()
	r := request(body)
	r.ReceivedAt = time.Now().Add(-age)
	require.NoError(t, open(t).Sign(&r, providers.Secrets{secret}))
	r.ReceivedAt = time.Now()
	return r
}

func TestTheSDKAcceptsWhatSignSigns(t *testing.T) {
	for _, body := range []string{renamed, "", "\x00\xff", strings.Repeat("x", 1<<20)} {
		r := signedNow(t, body, 0)
		require.True(t, acceptedBySDK(t, r, secret))
		require.False(t, acceptedBySDK(t, r, secret+"x"))
	}
}

func TestVerifyAgreesWithTheSDK(t *testing.T) {
	for name, alter := range map[string]func(*providers.Request){
		"as signed":              func(*providers.Request) {},
		"another body":           func(r *providers.Request) { r.Body = append(r.Body, ' ') },
		"another time":           func(r *providers.Request) { r.Header.Set("X-Slack-Request-Timestamp", "1767323045") },
		"no time":                func(r *providers.Request) { r.Header.Del("X-Slack-Request-Timestamp") },
		"no signature":           func(r *providers.Request) { r.Header.Del("X-Slack-Signature") },
		"half a signature":       func(r *providers.Request) { r.Header.Set("X-Slack-Signature", r.Header.Get("X-Slack-Signature")[:35]) },
		"a signature in capital": func(r *providers.Request) { upper(r.Header, "X-Slack-Signature") },
		"a retry's headers": func(r *providers.Request) {
			r.Header.Set("X-Slack-Retry-Num", "1")
			r.Header.Set("X-Slack-Retry-Reason", "http_timeout")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := signedNow(t, renamed, 0)
			alter(&r)
			require.Equal(t, acceptedBySDK(t, r, secret), open(t).Verify(r, providers.Secrets{secret}) == nil)
		})
	}
	for _, age := range []time.Duration{-time.Hour, -4 * time.Minute, 4 * time.Minute, time.Hour} {
		r := signedNow(t, renamed, age)
		require.Equal(t, acceptedBySDK(t, r, secret), open(t).Verify(r, providers.Secrets{secret}) == nil, "signed %s ago", age)
	}
}

// upper writes the hex digits of a signature in capitals.
func upper(h http.Header, name string) {
	h.Set(name, "v0="+strings.ToUpper(strings.TrimPrefix(h.Get(name), "v0=")))
}

func TestVerifyRefusesASignatureOfAnotherVersion(t *testing.T) {
	for _, prefix := range []string{"", "v1=", "V0=", "v0:", "v0=v0="} {
		r := signedNow(t, renamed, 0)
		r.Header.Set("X-Slack-Signature", strings.Replace(r.Header.Get("X-Slack-Signature"), "v0=", prefix, 1))
		require.ErrorIs(t, open(t).Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated, prefix)
	}
}

func TestVerifyJudgesTheFractionOfASecond(t *testing.T) {
	signed := time.Unix(1767323046, 0)
	r := request(renamed)
	r.ReceivedAt = signed
	signAsDocumented(&r, secret)
	for offset, want := range map[time.Duration]error{
		300 * time.Second:                  nil,
		300*time.Second + time.Nanosecond:  providers.ErrStale,
		-300 * time.Second:                 nil,
		-300*time.Second - time.Nanosecond: providers.ErrStale,
		-1000 * time.Hour:                  providers.ErrStale,
	} {
		r.ReceivedAt = signed.Add(offset)
		require.ErrorIs(t, open(t).Verify(r, providers.Secrets{secret}), want, offset)
	}
}

func TestTheBodysTokenProvesNothing(t *testing.T) {
	r := request(renamed)
	r.ReceivedAt = time.Unix(1767323046, 0)
	err := open(t).Verify(r, providers.Secrets{"xyzz0WbapA4vBCDEFasx0q6G"})
	require.ErrorIs(t, err, providers.ErrUnauthenticated)
	require.ErrorContains(t, err, "the header X-Slack-Request-Timestamp is missing")
}

func TestVerifyTellsTheOperatorWhyNothingFits(t *testing.T) {
	r := signedNow(t, renamed, 0)
	err := open(t).Verify(r, providers.Secrets{"another"})
	require.ErrorContains(t, err, "the signature does not fit the secret")
	err = open(t).Verify(r, providers.Secrets{"another", "old"})
	require.ErrorContains(t, err, "the signature fits none of the 2 secrets")
}

func FuzzVerify(f *testing.F) {
	at := time.Unix(1767323046, 0)
	r := request(renamed)
	r.ReceivedAt = at
	signAsDocumented(&r, secret)
	genuine := r.Header.Get("X-Slack-Signature")
	f.Add(genuine, "1767323046", []byte(renamed))
	f.Add(genuine, "1767323045", []byte(renamed))
	f.Add("v0=", "", []byte{})
	f.Add("v0=00", "01767323046", []byte("x"))
	p := open(f)
	f.Fuzz(func(t *testing.T, signature, timestamp string, body []byte) {
		r := request(string(body))
		r.ReceivedAt = at
		r.Header.Set("X-Slack-Signature", signature)
		r.Header.Set("X-Slack-Request-Timestamp", timestamp)
		err := p.Verify(r, providers.Secrets{secret})
		if err != nil {
			require.True(t, errors.Is(err, providers.ErrUnauthenticated) != errors.Is(err, providers.ErrStale), err)
			return
		}
		// Nobody but the holder of the secret can make headers that verify.
		require.Equal(t, renamed, string(body))
		require.Equal(t, "1767323046", timestamp)
		require.Equal(t, genuine, strings.ToLower(signature))
	})
}

func BenchmarkVerifyAndEvents(b *testing.B) {
	blocks := strings.Repeat(`{"type": "rich_text_section", "elements": [{"type": "text", "text": "Hello world"}]}, `, 19)
	body := strings.Replace(renamed, `"event_ts"`, `"blocks": [`+blocks+`{}], "event_ts"`, 1)
	r := request(body)
	r.ReceivedAt = time.Now()
	p, secrets := open(b), providers.Secrets{secret}
	require.NoError(b, p.Sign(&r, secrets))
	providertest.Benchmark(b, p, r, secrets)
}
