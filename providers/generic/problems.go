package generic

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/surehook/surehook/providers"
)

// problems collects everything that is wrong with a declaration.
type problems struct{ errs []error }

func (p *problems) add(field, format string, args ...any) {
	p.errs = append(p.errs, &providers.SettingError{Field: field, Err: fmt.Errorf(format, args...)})
}

// oneOf returns text, or the first of the choices when it is empty.
func (p *problems) oneOf(field, text string, choices ...string) string {
	switch {
	case text == "":
		return choices[0]
	case !slices.Contains(choices, text):
		p.add(field, "%q: want %s", text, listed(choices))
	}
	return text
}

// unused reports the fields that are declared but have no effect.
func (p *problems) unused(why string, declared map[string]bool) {
	for _, field := range slices.Sorted(maps.Keys(declared)) {
		if declared[field] {
			p.add(field, "has no effect %s", why)
		}
	}
}

func (p *problems) err() error { return errors.Join(p.errs...) }

func listed(choices []string) string {
	last := len(choices) - 1
	return strings.Join(choices[:last], ", ") + " or " + choices[last]
}
