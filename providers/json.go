package providers

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ReadJSON reads a body that must be one JSON object into a struct that names
// only the members the caller needs; all others are skipped. It reads
// strictly, because a body that two parsers understand differently could be
// verified as one thing and acted on as another: names match exactly, a name
// that occurs twice in an object is refused, even in a skipped one, and so are
// invalid UTF-8, a value of another type than the struct's, anything after the
// object, and nesting deeper than the 10,000 levels the parser stops at. A
// null leaves its field zero, as a missing member does, so the caller checks
// what it requires.
//
// The error wraps ErrMalformed and holds nothing of the body but the place of
// the fault.
func ReadJSON(body []byte, into any) error {
	if jsontext.Value(body).Kind() != jsontext.KindBeginObject {
		return fmt.Errorf("%w: not a JSON object", ErrMalformed)
	}
	return readJSON(body, into)
}

// ReadJSONArray is ReadJSON for a body that must be one JSON array.
func ReadJSONArray(body []byte, into any) error {
	if jsontext.Value(body).Kind() != jsontext.KindBeginArray {
		return fmt.Errorf("%w: not a JSON array", ErrMalformed)
	}
	return readJSON(body, into)
}

func readJSON(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%w: %s", ErrMalformed, fault(err))
	}
	return nil
}

// fault describes a parser's error without what it quotes: names and values of
// the body may be personal data. The path of a value with the wrong type is
// safe, since only members of the caller's own struct are looked at.
func fault(err error) string {
	if wrongType, ok := errors.AsType[*json.SemanticError](err); ok {
		return fmt.Sprintf("wrong type at %s", wrongType.JSONPointer)
	}
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case !ok:
		return "unreadable JSON"
	case errors.Is(err, jsontext.ErrDuplicateName):
		return fmt.Sprintf("a name occurs twice, near byte %d", syntax.ByteOffset)
	default:
		return fmt.Sprintf("bad JSON near byte %d", syntax.ByteOffset)
	}
}
