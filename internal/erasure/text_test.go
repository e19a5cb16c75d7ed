package erasure

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestATextIsFoundHoweverItIsWritten(t *testing.T) {
	const address, phone, name = "Ann.Müller+x@Example.org", "+49 1555 0100", `Zoë "Z" O'Hara/Smith 😀`
	quoted := func(s string) string {
		b, err := json.Marshal(s)
		require.NoError(t, err)
		return string(b)
	}
	// ascii is JSON with everything escaped that can be.
	ascii := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			if r > 0xffff {
				r -= 0x10000
				b.WriteString(escape(0xd800+r>>10) + escape(0xdc00+r&0x3ff))
				continue
			}
			b.WriteString(escape(r))
		}
		return `"` + b.String() + `"`
	}
	ways := map[string]func(string) string{
		"as it is":                       func(s string) string { return "<" + s + ">" },
		"in JSON":                        quoted,
		"in JSON, all of it escaped":     ascii,
		"in JSON in JSON":                func(s string) string { return quoted(`{"a":` + quoted(s) + `}`) },
		"in a form":                      url.QueryEscape,
		"in a path":                      url.PathEscape,
		"in a URL in lower case":         func(s string) string { return lowerEscapes(url.PathEscape(s)) },
		"in JSON in a form":              func(s string) string { return "payload=" + url.QueryEscape(`{"a":`+ascii(s)+`}`) },
		"in JSON in JSON in a form":      func(s string) string { return "payload=" + url.QueryEscape(quoted(`{"a":`+quoted(s)+`}`)) },
		"in a URL in JSON":               func(s string) string { return quoted("https://x.test/?q=" + url.QueryEscape(s)) },
		"beside what only looks escaped": func(s string) string { return `100% \u12 %zz \` + quoted(s) + ` % \` },
	}
	for _, wanted := range []string{address, phone, name} {
		text, err := newText(wanted)
		require.NoError(t, err)
		for how, write := range ways {
			t.Run(wanted+" "+how, func(t *testing.T) {
				require.True(t, text.in([]byte(write(wanted))), write(wanted))
				require.False(t, text.in([]byte(write("x"+wanted[1:]))), "another one")
			})
		}
	}
}

func escape(r rune) string {
	const digits = "0123456789ABCDEF"
	return `\u` + string([]byte{digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15]})
}

// lowerEscapes writes %2B as %2b.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] == '%' {
			copy(b[i:], strings.ToLower(string(b[i:i+3])))
		}
	}
	return string(b)
}

func TestOnlyAnAddressIsFoundInAnyCase(t *testing.T) {
	address, err := newText(" ann@example.org\n")
	require.NoError(t, err)
	require.True(t, address.in([]byte("ANN@Example.ORG")))
	name, err := newText("Ann Example")
	require.NoError(t, err)
	require.False(t, name.in([]byte("ann example")))
}

func TestAnAddressIsFoundByMailchimpsHashOfIt(t *testing.T) {
	// The address and the hash are those of Mailchimp's documentation:
	// https://mailchimp.com/developer/marketing/docs/methods-parameters/#path-parameters
	text, err := newText("Urist.McVankab@freddiesjokes.com")
	require.NoError(t, err)
	require.True(t, text.in([]byte("list/62eeb292278cc15f5817cb78f7790b08")))
}

func TestAShortTextIsRefused(t *testing.T) {
	for _, short := range []string{"", "   ", "abc", " é é "} {
		_, err := newText(short)
		require.Error(t, err, short)
	}
}

func FuzzIn(f *testing.F) {
	text, err := newText("ann@example.org")
	require.NoError(f, err)
	for _, seed := range []string{`\u`, `%`, `\ud800\u`, `%4`, `+\`, `{"a":"\ud83d\ude00"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		text.in(b)
		require.True(t, text.in(append(b, " ann@example.org"...)))
	})
}
