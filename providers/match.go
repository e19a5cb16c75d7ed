package providers

import "strings"

// MatchType reports whether an event type fits a pattern: the type itself, or
// one in which each * stands for any run of characters, such as "invoice.*".
func MatchType(pattern, eventType string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == eventType
	}
	if !strings.HasPrefix(eventType, head) {
		return false
	}
	eventType = eventType[len(head):]
	for i := 0; i <= len(eventType); i++ {
		if MatchType(rest, eventType[i:]) {
			return true
		}
	}
	return false
}
