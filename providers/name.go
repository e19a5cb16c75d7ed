package providers

import "strings"

// MaxName is the longest ID or type, in bytes, that the product stores: they
// become parts of workflow ids, unique keys and search attributes.
const MaxName = 200

// IsName reports whether s can be the ID or type of an event or a ref: printable
// ASCII without blanks, at most MaxName bytes long.
func IsName(s string) bool {
	return s != "" && len(s) <= MaxName && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}
