package generic

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/surehook/surehook/providers"
)

// schema is the contract for the payloads of some types.
type schema struct {
	pattern  string
	compiled *jsonschema.Schema
}

func (p *problems) schemas(declared []Schema) []schema {
	var schemas []schema
	for i, d := range declared {
		field := fmt.Sprintf("schemas[%d]", i)
		if d.Type == "" {
			p.add(field+".type", "missing: want a type, in which * stands for any characters")
		}
		text, err := d.text()
		if err != nil {
			p.add(field, "%w", err)
			continue
		}
		compiled, err := compile(text)
		if err != nil {
			p.add(field, "%w", err)
			continue
		}
		schemas = append(schemas, schema{pattern: d.Type, compiled: compiled})
	}
	return schemas
}

func (d Schema) text() ([]byte, error) {
	switch {
	case (d.File == "") == (d.Schema == nil):
		return nil, errors.New("want either file or schema")
	case d.File != "":
		text, err := os.ReadFile(d.File)
		if err != nil {
			return nil, fmt.Errorf("read schema: %w", err)
		}
		return text, nil
	}
	return json.Marshal(d.Schema)
}

// schemaURL names a schema in its own references.
const schemaURL = "schema.json"

func compile(text []byte) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("no JSON: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(nothingElse{})
	if err := compiler.AddResource(schemaURL, document); err != nil {
		return nil, fmt.Errorf("no JSON Schema: %w", err)
	}
	compiled, err := compiler.Compile(schemaURL)
	if err != nil {
		return nil, fmt.Errorf("no JSON Schema: %w", err)
	}
	return compiled, nil
}

// nothingElse keeps a schema from reading files and calling hosts.
type nothingElse struct{}

// Load implements jsonschema.URLLoader.
func (nothingElse) Load(string) (any, error) {
	return nil, errors.New("references to other documents are not followed")
}

// review says how a payload breaks the first contract for its type, without
// repeating any of its values.
func (p *Provider) review(eventType string, payload []byte) string {
	for _, s := range p.schemas {
		if providers.MatchType(s.pattern, eventType) {
			return s.review(payload)
		}
	}
	return ""
}

// What a number may have. Schemas compare numbers exactly: ten characters can
// stand for a number of a million digits, and a body can hold many.
const (
	maxNumberBytes = 400 // a float's largest value has 309 digits
	maxExponent    = 400
)

// countable reports whether the numbers of a document can be compared with those
// of a schema.
func countable(document any) bool {
	switch value := document.(type) {
	case map[string]any:
		for _, member := range value {
			if !countable(member) {
				return false
			}
		}
	case []any:
		return !slices.ContainsFunc(value, func(element any) bool { return !countable(element) })
	case json.Number:
		_, exponent, has := strings.Cut(strings.ToLower(value.String()), "e")
		power, err := strconv.Atoi(cmp.Or(exponent, "0"))
		return len(value) <= maxNumberBytes && (!has || err == nil && max(power, -power) <= maxExponent)
	}
	return true
}

func (s schema) review(payload []byte) string {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	switch {
	case err != nil:
		return "schema: the payload is no JSON"
	case !countable(document):
		return "schema: a number of the payload is too large to be compared"
	}
	invalid, ok := errors.AsType[*jsonschema.ValidationError](s.compiled.Validate(document))
	if !ok {
		return ""
	}
	for len(invalid.Causes) > 0 {
		invalid = invalid.Causes[0]
	}
	keyword := strings.Join(invalid.ErrorKind.KeywordPath(), "/")
	return fmt.Sprintf("schema: /%.150s breaks %s", strings.Join(invalid.InstanceLocation, "/"), keyword)
}
