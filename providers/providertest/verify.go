package providertest

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

func (s Suite) exerciseVerify(t *testing.T) {
	t.Run("what the platform signs is accepted", func(t *testing.T) {
		require.NoError(t, s.Provider.Verify(s.signed(secret), providers.Secrets{secret}))
	})
	t.Run("what Sign signs is accepted", s.signThenVerify)
	t.Run("Sign signs as the platform does", func(t *testing.T) {
		r := s.unsigned()
		require.NoError(t, s.Provider.Sign(&r, providers.Secrets{secret, otherSecret}))
		want := s.signed(secret)
		for _, name := range s.SignatureHeaders {
			require.Equal(t, want.Header.Values(name), r.Header.Values(name), name)
		}
		if s.InBody {
			require.JSONEq(t, string(want.Body), string(r.Body))
		}
	})
	t.Run("Sign refuses to sign without a secret", func(t *testing.T) {
		for _, none := range []providers.Secrets{nil, {}, {""}} {
			r := s.unsigned()
			require.Error(t, s.Provider.Sign(&r, none))
		}
	})
	t.Run("any one of several secrets is enough", func(t *testing.T) {
		r := s.signed(secret)
		require.NoError(t, s.Provider.Verify(r, providers.Secrets{otherSecret, secret}))
		require.NoError(t, s.Provider.Verify(r, providers.Secrets{secret, otherSecret}))
		require.NoError(t, s.Provider.Verify(r, providers.Secrets{wrongSecret, otherSecret, secret}))
	})
	t.Run("another secret is refused", func(t *testing.T) {
		s.refuse(t, s.signed(wrongSecret), providers.ErrUnauthenticated, secret, otherSecret)
	})
	t.Run("a list without secrets authenticates nothing", func(t *testing.T) {
		for _, with := range []string{"", secret} {
			s.refuse(t, s.signed(with), providers.ErrUnauthenticated)
		}
	})
	t.Run("an empty secret authenticates nothing", func(t *testing.T) {
		s.refuse(t, s.signed(""), providers.ErrUnauthenticated, "")
		s.refuse(t, s.signed(""), providers.ErrUnauthenticated, secret, "")
	})
	if s.InBody {
		t.Run("a changed byte anywhere in the secret is refused", s.changedSecret)
	}
	if !s.InBody && !s.BodyUnsigned {
		t.Run("a changed byte anywhere in the body is refused", s.changedBody)
		t.Run("a body with a byte more or less is refused", func(t *testing.T) {
			r := s.signed(secret)
			for _, body := range [][]byte{nil, r.Body[1:], r.Body[:len(r.Body)-1], append(slices.Clone(r.Body), '\n')} {
				r.Body = body
				s.refuse(t, r, providers.ErrUnauthenticated, secret)
			}
		})
	}
	for _, name := range s.SignatureHeaders {
		t.Run(name, func(t *testing.T) { s.exerciseHeader(t, name) })
	}
	t.Run("time", s.exerciseTime)
}

func (s Suite) signThenVerify(t *testing.T) {
	r := s.unsigned()
	require.NoError(t, s.Provider.Sign(&r, providers.Secrets{secret, otherSecret}))
	require.NoError(t, s.Provider.Verify(r, providers.Secrets{secret}))
	s.refuse(t, r, providers.ErrUnauthenticated, otherSecret)
}

func (s Suite) changedBody(t *testing.T) {
	r := s.signed(secret)
	genuine := r.Body
	for i := range genuine {
		r.Body = changed(genuine, i)
		require.ErrorIs(t, s.Provider.Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated, "byte %d", i)
	}
	r.Body = changed(genuine, 0)
	s.refuse(t, r, providers.ErrUnauthenticated, secret)
}

// changedSecret alters the secret wherever it stands in the body.
func (s Suite) changedSecret(t *testing.T) {
	r := s.signed(secret)
	genuine := r.Body
	places := bytes.Count(genuine, []byte(secret))
	require.NotZero(t, places, "the oracle writes no secret into the body")
	at := 0
	for range places {
		at += bytes.Index(genuine[at:], []byte(secret))
		for i := range len(secret) {
			r.Body = changed(genuine, at+i)
			require.ErrorIs(t, s.Provider.Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated, "byte %d", at+i)
		}
		for _, other := range []string{"", secret[1:], secret[:len(secret)-1], secret + "x", strings.ToUpper(secret), secret + secret} {
			r.Body = slices.Concat(genuine[:at], []byte(other), genuine[at+len(secret):])
			s.refuse(t, r, providers.ErrUnauthenticated, secret)
		}
		at += len(secret)
	}
	for _, body := range [][]byte{nil, genuine[1:], genuine[:len(genuine)-1], append(slices.Clone(genuine), 'x')} {
		r.Body = body
		s.refuse(t, r, providers.ErrUnauthenticated, secret)
	}
}

// changed returns data with one bit of one byte flipped.
func changed(data []byte, i int) []byte {
	c := slices.Clone(data)
	c[i] ^= 1
	return c
}

// exerciseHeader changes one of the headers that prove who sent the request.
func (s Suite) exerciseHeader(t *testing.T, name string) {
	genuine := s.signed(secret).Header.Get(name)
	require.NotEmpty(t, genuine, "the oracle sets no %s", name)

	refuse := func(t *testing.T, values ...string) {
		r := s.signed(secret)
		r.Header.Del(name)
		for _, v := range values {
			r.Header.Add(name, v)
		}
		s.refuse(t, r, providers.ErrUnauthenticated, secret)
	}
	t.Run("missing is refused", func(t *testing.T) { refuse(t) })
	t.Run("empty is refused", func(t *testing.T) { refuse(t, "") })
	t.Run("repeated is refused", func(t *testing.T) {
		refuse(t, genuine, genuine)
		refuse(t, genuine, "")
		refuse(t, "", genuine)
	})
	t.Run("cut short is refused", func(t *testing.T) {
		for n := range len(genuine) {
			refuse(t, genuine[:n])
		}
	})
	t.Run("with a changed byte is refused", func(t *testing.T) {
		for i := range len(genuine) {
			refuse(t, string(changed([]byte(genuine), i)))
		}
	})
	t.Run("malformed is refused", func(t *testing.T) {
		for _, v := range []string{
			" ", ",", "=", "==", ";", "t", "t=", "t=,v1=", "v1=", "sha256=", "v1,", "0", "-1", "null", "\x00", "\xff\xfe",
			genuine + "0", genuine + "\x00", "x" + genuine, strings.Repeat(genuine+",", 1000), strings.Repeat("v1=00,", 100_000),
		} {
			refuse(t, v)
		}
	})
}

func (s Suite) exerciseTime(t *testing.T) {
	if s.Tolerance == 0 {
		t.Run("a scheme without a time accepts an old request", func(t *testing.T) {
			r := s.signed(secret)
			r.ReceivedAt = r.ReceivedAt.Add(1000 * time.Hour)
			require.NoError(t, s.Provider.Verify(r, providers.Secrets{secret}))
		})
		return
	}
	arrives := func(later time.Duration) providers.Request {
		r := s.signed(secret)
		r.ReceivedAt = r.ReceivedAt.Add(later)
		return r
	}
	t.Run("a request just inside the tolerance is accepted", func(t *testing.T) {
		require.NoError(t, s.Provider.Verify(arrives(s.Tolerance), providers.Secrets{secret}))
		require.NoError(t, s.Provider.Verify(arrives(-s.Tolerance), providers.Secrets{secret}))
	})
	t.Run("a request just too old is stale", func(t *testing.T) {
		s.refuse(t, arrives(s.Tolerance+time.Second), providers.ErrStale, secret)
	})
	t.Run("a request just too far in the future is stale", func(t *testing.T) {
		s.refuse(t, arrives(-s.Tolerance-time.Second), providers.ErrStale, secret)
	})
	t.Run("a stale request that is not authentic is not called stale", func(t *testing.T) {
		r := arrives(s.Tolerance + time.Second)
		r.Body = changed(r.Body, 0)
		s.refuse(t, r, providers.ErrUnauthenticated, secret)
		require.NotErrorIs(t, s.Provider.Verify(r, providers.Secrets{secret}), providers.ErrStale)
	})
}

// refuse checks that Verify refuses r for the wanted reason, in words that help
// nobody to forge: no secret, and no signature that would have been right.
func (s Suite) refuse(t *testing.T, r providers.Request, want error, secrets ...string) {
	t.Helper()
	err := s.Provider.Verify(r, providers.Secrets(secrets))
	require.ErrorIs(t, err, want)
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		require.NotContains(t, err.Error(), secret)
		for _, part := range s.signatureParts(r, secret) {
			require.NotContains(t, err.Error(), part)
		}
	}
}

// signatureParts returns what is long enough to be a signature in the headers
// that would make r authentic.
func (s Suite) signatureParts(r providers.Request, with string) []string {
	r.Header = r.Header.Clone()
	for _, name := range s.SignatureHeaders {
		r.Header.Del(name)
	}
	s.Oracle(&r, with)
	var parts []string
	for _, name := range s.SignatureHeaders {
		parts = append(parts, longRun.FindAllString(r.Header.Get(name), -1)...)
	}
	return parts
}

var longRun = regexp.MustCompile(`[0-9A-Za-z+/_-]{20,}`)
