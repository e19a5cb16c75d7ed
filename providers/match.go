package providers

import "strings"

// MatchType reports whether an event type fits a pattern: the type itself, or
// one in which each * stands for any run of characters, such as "invoice.*".
// Every part between two stars is looked for once, at its first place, so that
// no pattern makes it slow.
func MatchType(pattern, eventType string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == eventType
	}
	left, found := strings.CutPrefix(eventType, head)
	for found {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(left, part)
		}
		_, left, found = strings.Cut(left, part)
		rest = after
	}
	return false
}
