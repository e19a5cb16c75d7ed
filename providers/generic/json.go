package generic

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// whole is the path of a document as a whole.
const whole = "."

// parsePath splits a path into the names of members and the indexes of
// elements on the way. It is either dotted, data.items[0].id, or, for names
// with dots and brackets in them, a JSON pointer (RFC 6901): /data/items/0/id.
func parsePath(path string) ([]string, error) {
	if pointer, ok := strings.CutPrefix(path, "/"); ok {
		steps := strings.Split(pointer, "/")
		for i, step := range steps {
			steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		}
		return steps, nil
	}
	var steps []string
	for member := range strings.SplitSeq(path, ".") {
		name, indexes, _ := strings.Cut(member, "[")
		if name == "" {
			return nil, badPath(path)
		}
		steps = append(steps, name)
		if indexes == "" {
			if strings.Contains(member, "[") {
				return nil, badPath(path)
			}
			continue
		}
		for index := range strings.SplitSeq(indexes, "[") {
			digits, closed := strings.CutSuffix(index, "]")
			if _, err := strconv.ParseUint(digits, 10, 31); err != nil || !closed {
				return nil, badPath(path)
			}
			steps = append(steps, digits)
		}
	}
	return steps, nil
}

func badPath(path string) error {
	return fmt.Errorf("%q: want a path such as data.items[0].id or /data/items/0/id", path)
}

// tree says which values of a document to keep.
type tree struct {
	path  string // of a value to keep, else empty
	raw   bool   // it is kept as it is, whatever it is; otherwise only texts, numbers and booleans are
	below map[string]*tree
}

// want adds a path, which parsePath has accepted.
func (t *tree) want(path string, raw bool) {
	steps, err := parsePath(path)
	if err != nil {
		return // it has been reported
	}
	for _, step := range steps {
		next := t.below[step]
		if next == nil {
			next = &tree{}
			if t.below == nil {
				t.below = map[string]*tree{}
			}
			t.below[step] = next
		}
		t = next
	}
	t.path, t.raw = path, t.raw || raw
}

// members are the values of a document by their paths. One that is missing or
// null, or of a kind that is not wanted, is not among them.
type members map[string]string

// readObject keeps the wanted values of a document in one pass, and checks all of
// it as strictly as providers.ReadJSON does.
func readObject(document []byte, wants *tree) (members, error) {
	r := treeReader{wants: wants, found: members{}}
	if err := providers.ReadJSON(document, &r); err != nil {
		return nil, err
	}
	return r.found, nil
}

// readArray returns the elements of a document that is an array, as strictly.
func readArray(document []byte) ([][]byte, error) {
	var elements []jsontext.Value
	if err := providers.ReadJSONArray(document, &elements); err != nil {
		return nil, err
	}
	split := make([][]byte, len(elements))
	for i, element := range elements {
		split[i] = element
	}
	return split, nil
}

type treeReader struct {
	wants *tree
	found members
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. It returns the decoder's
// own errors only, since others could quote the document.
func (r *treeReader) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	return r.value(dec, r.wants)
}

func (r *treeReader) value(dec *jsontext.Decoder, t *tree) error {
	kind := dec.PeekKind()
	switch {
	case t == nil:
		return dec.SkipValue()
	case t.raw:
		value, err := dec.ReadValue()
		if err == nil && kind != jsontext.KindNull {
			r.found[t.path] = string(bytes.Clone(value))
		}
		return err
	case kind == jsontext.KindBeginObject && t.below != nil:
		return r.object(dec, t)
	case kind == jsontext.KindBeginArray && t.below != nil:
		return r.array(dec, t)
	case t.path != "" && isScalar(kind):
		token, err := dec.ReadToken()
		if err == nil {
			r.found[t.path] = token.String()
		}
		return err
	}
	return dec.SkipValue()
}

func (r *treeReader) object(dec *jsontext.Decoder, t *tree) error {
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	var space [64]byte
	for dec.PeekKind() != jsontext.KindEndObject {
		quoted, err := dec.ReadValue()
		if err != nil {
			return err
		}
		name, err := jsontext.AppendUnquote(space[:0], quoted)
		if err != nil {
			return err
		}
		if err := r.value(dec, t.below[string(name)]); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

func (r *treeReader) array(dec *jsontext.Decoder, t *tree) error {
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for i := 0; dec.PeekKind() != jsontext.KindEndArray; i++ {
		if err := r.value(dec, t.below[strconv.Itoa(i)]); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

func isScalar(k jsontext.Kind) bool {
	return k == jsontext.KindString || k == jsontext.KindNumber || k == jsontext.KindTrue || k == jsontext.KindFalse
}
