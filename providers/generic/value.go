package generic

import (
	"fmt"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strings"

	"github.com/antchfx/xpath"

	"github.com/surehook/surehook/providers"
)

// The places where a value can be.
const (
	inHeader   = "header"
	inQuery    = "query"
	inJSON     = "json"
	inStem     = "stem"
	inEnvelope = "envelope"
	inForm     = "form"
	inXPath    = "xpath"
	inConst    = "const"
	inBody     = "body" // the event as it came, for hashes
)

// place is one place where a value can be.
type place struct {
	in   string
	name string // the header's or field's name, the path, the expression, the text
}

// part is a value: what is at the first of the places that has something.
type part []place

// parts are the parts of a composed value.
type parts []part

var headerNames = regexp.MustCompile("^[0-9A-Za-z!#$%&'*+.^_`|~-]{1,100}$")

// value reads where a value is. Only the named places are allowed.
func (p *problems) value(field, text string, allowed ...string) part {
	var found part
	for alternative := range strings.SplitSeq(text, " ?? ") {
		at, err := parsePlace(strings.TrimSpace(alternative), allowed)
		if err != nil {
			p.add(field, "%w", err)
		}
		found = append(found, at)
	}
	return found
}

// values reads the parts of a value. No text means no parts.
func (p *problems) values(field string, texts []string, allowed ...string) parts {
	var all parts
	for i, text := range texts {
		name := field
		if len(texts) > 1 {
			name = fmt.Sprintf("%s[%d]", field, i)
		}
		all = append(all, p.value(name, text, allowed...))
	}
	return all
}

// optional is value for a field that may be left out.
func (p *problems) optional(field, text string, allowed ...string) part {
	if text == "" {
		return nil
	}
	return p.value(field, text, allowed...)
}

func parsePlace(text string, allowed []string) (place, error) {
	in, name, found := strings.Cut(text, ":")
	switch {
	case in == inBody && !found && slices.Contains(allowed, inBody):
		return place{in: inBody}, nil
	case !found || !slices.Contains(allowed, in):
		return place{}, fmt.Errorf("%q: want %s", text, kindsOf(allowed))
	case name == "":
		return place{}, fmt.Errorf("%q: want a name behind the colon", text)
	}
	switch in {
	case inHeader:
		if !headerNames.MatchString(name) {
			return place{}, fmt.Errorf("%q: no name of a header", name)
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
	case inJSON, inStem, inEnvelope:
		if _, err := parsePath(name); err != nil {
			return place{}, err
		}
	case inXPath:
		if _, err := xpath.Compile(name); err != nil {
			return place{}, fmt.Errorf("%q: no XPath", name)
		}
	}
	return place{in: in, name: name}, nil
}

func kindsOf(allowed []string) string {
	kinds := make([]string, len(allowed))
	for i, in := range allowed {
		kinds[i] = in + ":…"
		if in == inBody {
			kinds[i] = in
		}
	}
	return listed(kinds)
}

// headerOnce returns a header, which may occur only once.
func headerOnce(h http.Header, name string) (string, bool, error) {
	switch values := h.Values(name); len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], values[0] != "", nil
	default:
		return "", false, fmt.Errorf("%w: more than one %s header", providers.ErrMalformed, name)
	}
}
