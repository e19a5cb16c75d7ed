package erasure

import (
	"bytes"
	"crypto/md5" //nolint:gosec // it names members in Mailchimp's API, and proves nothing
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// minText keeps somebody from erasing nearly everything: a shorter text is in
// nearly every body.
const minText = 4

// maxUnwrap is how many encodings may lie around each other: JSON within a field
// of a form has two, and a string of that JSON which holds JSON itself a third.
const maxUnwrap = 3

// text is what is looked for, such as an address or a phone number.
type text struct {
	needles [][]byte
	fold    bool // whatever the case
}

// newText prepares a text. What looks like an e-mail address is found whatever its
// case, and also by the hash under which Mailchimp names its member
// (https://mailchimp.com/developer/marketing/docs/methods-parameters/#path-parameters).
func newText(s string) (text, error) {
	s = strings.TrimSpace(s)
	if utf8.RuneCountInString(s) < minText {
		return text{}, fmt.Errorf("want at least %d characters to look for", minText)
	}
	if !strings.Contains(s, "@") {
		return text{needles: [][]byte{spaced([]byte(s))}}, nil
	}
	s = strings.ToLower(s)
	hash := md5.Sum([]byte(s)) //nolint:gosec // see the import
	return text{needles: [][]byte{spaced([]byte(s)), []byte(hex.EncodeToString(hash[:]))}, fold: true}, nil
}

// spaced writes + as a space: in a form that is what it means, in a URL's path it
// is not, and which of the two we look at we do not know.
func spaced(b []byte) []byte { return bytes.ReplaceAll(b, []byte("+"), []byte(" ")) }

// in reports whether the bytes hold the text, as it is or in the encodings of
// JSON, URLs and forms. Rather than to write the text in every way in which these
// let it be written, it reads the bytes in every way in which they may be meant.
func (t text) in(b []byte) bool { return t.within(b, maxUnwrap) }

func (t text) within(b []byte, unwrap int) bool {
	if t.contains(b) {
		return true
	}
	if unwrap == 0 {
		return false
	}
	if plain, ok := unescapeJSON(b); ok && t.within(plain, unwrap-1) {
		return true
	}
	plain, ok := unescapeURL(b)
	return ok && t.within(plain, unwrap-1)
}

func (t text) contains(b []byte) bool {
	b = spaced(b)
	if t.fold {
		b = bytes.ToLower(b)
	}
	for _, needle := range t.needles {
		if bytes.Contains(b, needle) {
			return true
		}
	}
	return false
}

// unescapeJSON reads the escapes of JSON strings, wherever they are, and reports
// whether there were any.
func unescapeJSON(b []byte) ([]byte, bool) {
	if bytes.IndexByte(b, '\\') < 0 {
		return nil, false
	}
	plain := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 == len(b) {
			plain = append(plain, b[i])
			continue
		}
		i++
		switch b[i] {
		case 'u':
			r, size := escapedRune(b[i-1:])
			if size == 0 {
				plain = append(plain, '\\', 'u')
				continue
			}
			plain = utf8.AppendRune(plain, r)
			i += size - 2
		case 'b', 'f', 'n', 'r', 't':
			plain = append(plain, ' ')
		default:
			plain = append(plain, b[i])
		}
	}
	return plain, true
}

// escapedRune reads \uXXXX, or two of them that make one character, and returns
// how many bytes they take: 0 when that is not what b begins with.
func escapedRune(b []byte) (r rune, size int) {
	first, ok := codeUnit(b)
	if !ok {
		return 0, 0
	}
	if utf16.IsSurrogate(first) {
		if second, ok := codeUnit(b[6:]); ok {
			if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
				return r, 12
			}
		}
	}
	return first, 6
}

func codeUnit(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), err == nil
}

// unescapeURL reads the escapes of URLs and forms, and reports whether there were
// any. Unlike url.PathUnescape it has no errors: what is none stays as it is.
func unescapeURL(b []byte) ([]byte, bool) {
	if bytes.IndexByte(b, '%') < 0 {
		return nil, false
	}
	plain := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			if n, err := strconv.ParseUint(string(b[i+1:i+3]), 16, 8); err == nil {
				plain = append(plain, byte(n))
				i += 2
				continue
			}
		}
		plain = append(plain, b[i])
	}
	return plain, true
}
