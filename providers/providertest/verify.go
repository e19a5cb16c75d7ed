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
		require.NoError(t, s.Provider.Verify(s.signed(s.Secrets.Live), providers.Secrets{s.Secrets.Live}))
	})
	t.Run("what Sign signs is accepted", s.signThenVerify)
	t.Run("Sign signs as the platform does", func(t *testing.T) {
		r := s.unsigned()
		require.NoError(t, s.Provider.Sign(&r, providers.Secrets{s.Secrets.Live, s.Secrets.Next}))
		want := s.signed(s.Secrets.Live)
		if s.isForm() {
			require.Equal(t, string(want.Body), string(r.Body))
		} else {
			require.JSONEq(t, string(want.Body), string(r.Body)) // some platforms sign in the body
		}
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
		r := s.signed(s.Secrets.Live)
		require.NoError(t, s.Provider.Verify(r, providers.Secrets{s.Secrets.Next, s.Secrets.Live}))
		require.NoError(t, s.Provider.Verify(r, providers.Secrets{s.Secrets.Live, s.Secrets.Next}))
		require.NoError(t, s.Provider.Verify(r, providers.Secrets{s.Secrets.Wrong, s.Secrets.Next, s.Secrets.Live}))
	})
	t.Run("another secret is refused", func(t *testing.T) {
		s.refuse(t, s.signed(s.Secrets.Wrong), providers.ErrUnauthenticated, s.Secrets.Live, s.Secrets.Next)
	})
	t.Run("a list without secrets authenticates nothing", func(t *testing.T) {
		for _, with := range []string{"", s.Secrets.Live} {
			s.refuse(t, s.signed(with), providers.ErrUnauthenticated)
		}
	})
	t.Run("an empty secret authenticates nothing", func(t *testing.T) {
		s.refuse(t, s.signed(""), providers.ErrUnauthenticated, "")
		s.refuse(t, s.signed(""), providers.ErrUnauthenticated, s.Secrets.Live, "")
	})
	if s.InBody {
		t.Run("a changed byte anywhere in the secret is refused", s.changedSecret)
	}
	signed := !s.InBody && !s.BodyUnsigned
	if signed {
		t.Run("a changed byte anywhere in the body is refused", s.changedBody)
	}
	if signed && s.Covered == nil {
		t.Run("a body with a byte more or less is refused", func(t *testing.T) {
			r := s.signed(s.Secrets.Live)
			for _, body := range [][]byte{nil, r.Body[1:], r.Body[:len(r.Body)-1], append(slices.Clone(r.Body), '\n')} {
				r.Body = body
				s.refuse(t, r, providers.ErrUnauthenticated, s.Secrets.Live)
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
	require.NoError(t, s.Provider.Sign(&r, providers.Secrets{s.Secrets.Live, s.Secrets.Next}))
	require.NoError(t, s.Provider.Verify(r, providers.Secrets{s.Secrets.Live}))
	s.refuse(t, r, providers.ErrUnauthenticated, s.Secrets.Next)
}

func (s Suite) changedBody(t *testing.T) {
	r := s.signed(s.Secrets.Live)
	genuine := r.Body
	for i := range genuine {
		if !s.covered(genuine, i) {
			continue
		}
		r.Body = changed(genuine, i)
		require.ErrorIs(t, s.Provider.Verify(r, providers.Secrets{s.Secrets.Live}), providers.ErrUnauthenticated, "byte %d", i)
	}
	if s.covered(genuine, 0) {
		r.Body = changed(genuine, 0)
		s.refuse(t, r, providers.ErrUnauthenticated, s.Secrets.Live)
	}
}

// changedSecret alters the secret wherever it stands in the body.
func (s Suite) changedSecret(t *testing.T) {
	live := s.Secrets.Live
	r := s.signed(live)
	genuine := r.Body
	places := bytes.Count(genuine, []byte(live))
	require.NotZero(t, places, "the oracle writes no secret into the body")
	at := 0
	for range places {
		at += bytes.Index(genuine[at:], []byte(live))
		for i := range len(live) {
			r.Body = changed(genuine, at+i)
			require.ErrorIs(t, s.Provider.Verify(r, providers.Secrets{live}), providers.ErrUnauthenticated, "byte %d", at+i)
		}
		for _, other := range []string{"", live[1:], live[:len(live)-1], live + "x", strings.ToUpper(live), live + live} {
			r.Body = slices.Concat(genuine[:at], []byte(other), genuine[at+len(live):])
			s.refuse(t, r, providers.ErrUnauthenticated, live)
		}
		at += len(live)
	}
	for _, body := range [][]byte{nil, genuine[1:], genuine[:len(genuine)-1], append(slices.Clone(genuine), 'x')} {
		r.Body = body
		s.refuse(t, r, providers.ErrUnauthenticated, live)
	}
}

// covered reports whether a byte of a signed body cannot be changed.
func (s Suite) covered(body []byte, i int) bool { return s.Covered == nil || s.Covered(body, i) }

// changed returns data with one bit of one byte flipped.
func changed(data []byte, i int) []byte {
	c := slices.Clone(data)
	c[i] ^= 1
	return c
}

// exerciseHeader changes one of the headers that prove who sent the request.
func (s Suite) exerciseHeader(t *testing.T, name string) {
	genuine := s.signed(s.Secrets.Live).Header.Get(name)
	require.NotEmpty(t, genuine, "the oracle sets no %s", name)

	refuse := func(t *testing.T, values ...string) {
		r := s.signed(s.Secrets.Live)
		r.Header.Del(name)
		for _, v := range values {
			r.Header.Add(name, v)
		}
		s.refuse(t, r, providers.ErrUnauthenticated, s.Secrets.Live)
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
			r := s.signed(s.Secrets.Live)
			r.ReceivedAt = r.ReceivedAt.Add(1000 * time.Hour)
			require.NoError(t, s.Provider.Verify(r, providers.Secrets{s.Secrets.Live}))
		})
		return
	}
	arrives := func(later time.Duration) providers.Request {
		r := s.signed(s.Secrets.Live)
		r.ReceivedAt = r.ReceivedAt.Add(later)
		return r
	}
	t.Run("a request just inside the tolerance is accepted", func(t *testing.T) {
		require.NoError(t, s.Provider.Verify(arrives(s.Tolerance), providers.Secrets{s.Secrets.Live}))
		require.NoError(t, s.Provider.Verify(arrives(-s.Tolerance), providers.Secrets{s.Secrets.Live}))
	})
	t.Run("a request just too old is stale", func(t *testing.T) {
		s.refuse(t, arrives(s.Tolerance+time.Second), providers.ErrStale, s.Secrets.Live)
	})
	t.Run("a request just too far in the future is stale", func(t *testing.T) {
		s.refuse(t, arrives(-s.Tolerance-time.Second), providers.ErrStale, s.Secrets.Live)
	})
	t.Run("a stale request that is not authentic is not called stale", func(t *testing.T) {
		r := arrives(s.Tolerance + time.Second)
		r.Body = changed(r.Body, 0)
		s.refuse(t, r, providers.ErrUnauthenticated, s.Secrets.Live)
		require.NotErrorIs(t, s.Provider.Verify(r, providers.Secrets{s.Secrets.Live}), providers.ErrStale)
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
