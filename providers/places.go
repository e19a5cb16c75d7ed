package providers

import (
	"slices"
	"strings"
)

// Places are where a platform has the objects of a list, such as shops, channels
// or repositories, when they are read one after the other. The cursor of such a
// list begins with the place whose turn it is. A place's name has no space in it.
type Places []string

// At reads a cursor: the place whose turn it is, and what leads to the page there,
// which is empty for its first page. The error is ErrStaleCursor for a place that
// is not, or no longer, one of these: a cursor leads nowhere else.
func (p Places) At(cursor string) (place, page string, err error) {
	if cursor == "" && len(p) > 0 {
		return p[0], "", nil
	}
	place, page, _ = strings.Cut(cursor, " ")
	if !slices.Contains(p, place) {
		return "", "", ErrStaleCursor
	}
	return place, page, nil
}

// Next is the cursor of the page after one of a place: in the same place or, when
// page is empty, at the beginning of the next; empty after the last.
func (p Places) Next(place, page string) string {
	if page != "" {
		return place + " " + page
	}
	if i := slices.Index(p, place) + 1; i > 0 && i < len(p) {
		return p[i]
	}
	return ""
}
