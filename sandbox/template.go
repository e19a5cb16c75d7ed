package sandbox

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"strings"
)

// The templates are written by hand from the documented shapes, with the
// members that the platforms' present versions have.
//
//go:embed templates
var templateFiles embed.FS

// fill returns the template's JSON with each ${name} replaced by its value. A
// string that is nothing but one placeholder takes the value as it is, so that
// "${number}" can become a number or an object. overlay then replaces whole members.
func fill(name string, vars, overlay fields) (fields, error) {
	raw, err := fs.ReadFile(templateFiles, "templates/"+name+".json")
	if err != nil {
		return nil, err
	}
	var state fields
	if err := json.Unmarshal(raw, &state); err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	replace(state, vars, textReplacer(vars))
	maps.Copy(state, overlay)
	return state, nil
}

// hasTemplate reports whether there is a template of that name.
func hasTemplate(name string) bool {
	_, err := fs.Stat(templateFiles, "templates/"+name+".json")
	return err == nil
}

func textReplacer(vars fields) *strings.Replacer {
	var pairs []string
	for name, value := range vars {
		switch value.(type) {
		case string, int, int64, uint64:
			pairs = append(pairs, "${"+name+"}", fmt.Sprint(value))
		}
	}
	return strings.NewReplacer(pairs...)
}

func replace(v any, vars fields, text *strings.Replacer) any {
	switch v := v.(type) {
	case string:
		if name, ok := strings.CutPrefix(v, "${"); ok {
			if value, known := vars[strings.TrimSuffix(name, "}")]; known {
				return value
			}
		}
		return text.Replace(v)
	case fields:
		for name := range v {
			v[name] = replace(v[name], vars, text)
		}
	case []any:
		for i := range v {
			v[i] = replace(v[i], vars, text)
		}
	}
	return v
}
