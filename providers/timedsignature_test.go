package providers_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

var timed = providers.TimedSignature{Header: "X-Signature", Tolerance: 5 * time.Minute}

// timedRequest is one that was signed with "secret" by openssl:
// printf '1767323045.{}' | openssl dgst -sha256 -hmac secret.
func timedRequest() (r providers.Request, signature string) {
	signature = "4a10b40c9c842e332be9ba9d790f8f8df44002dca45fd184d766fa8db55ef209"
	return providers.Request{
		Header:     http.Header{"X-Signature": {"t=1767323045,v1=" + signature}},
		Body:       []byte(`{}`),
		ReceivedAt: time.Unix(1767323045, 0),
	}, signature
}

func TestATimedSignatureThatOthersMadeIsAccepted(t *testing.T) {
	r, _ := timedRequest()
	require.NoError(t, timed.Verify(r, providers.Secrets{"another", "secret"}))
	require.ErrorIs(t, timed.Verify(r, providers.Secrets{"another"}), providers.ErrUnauthenticated)
	r.ReceivedAt = r.ReceivedAt.Add(5*time.Minute + 1)
	require.ErrorIs(t, timed.Verify(r, providers.Secrets{"secret"}), providers.ErrStale)
	require.NotErrorIs(t, timed.Verify(r, providers.Secrets{"another"}), providers.ErrStale, "age tells nothing about a request that nobody signed")
}

func TestATimedSignatureIsReadStrictly(t *testing.T) {
	r, right := timedRequest()
	wrong := strings.Repeat("0", 64)
	for header, want := range map[string]string{
		"":                                      "header is malformed",
		"t=1767323045,v1":                       "header is malformed",
		"v1=" + right:                           "header has no time",
		"t=1767323045,v0=" + right:              "the signature does not fit the secret",
		"t=1767323046,v1=" + right:              "the signature does not fit the secret",
		"t=1767323045,v1=" + right + "zz":       "the signature does not fit the secret",
		"t=-1767323045,v1=" + right:             "time in the header is malformed or repeated",
		"t=1767323045,t=1767323045,v1=" + right: "time in the header is malformed or repeated",
		"t=1767323045" + strings.Repeat(",v1="+wrong, 16) + ",v1=" + right: "header has more than 16 signatures",
	} {
		r.Header.Set("X-Signature", header)
		err := timed.Verify(r, providers.Secrets{"secret"})
		require.ErrorIs(t, err, providers.ErrUnauthenticated, header)
		require.ErrorContains(t, err, want, header)
	}
	r.Header.Set("X-Signature", "t=1767323045"+strings.Repeat(",v1="+wrong, 15)+", v1="+right+",v2=x")
	require.NoError(t, timed.Verify(r, providers.Secrets{"secret"}))
}

func TestATimedSignatureIsMadeWithTheFirstSecret(t *testing.T) {
	want, _ := timedRequest()
	r := providers.Request{Body: want.Body, ReceivedAt: want.ReceivedAt}
	require.NoError(t, timed.Sign(&r, providers.Secrets{"secret", "another"}))
	require.Equal(t, want, r)
	require.Error(t, timed.Sign(&r, nil))
	require.Error(t, timed.Sign(&r, providers.Secrets{""}))
}
