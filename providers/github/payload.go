package github

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// members holds texts and numbers of a payload by their path, such as
// "issue.number". One that is missing, null or of another kind is not in it.
type members map[string]string

// tree says which members of a payload to keep, by their names level by level.
type tree map[string]*node

type node struct {
	path  string // of a member to keep, else empty
	below tree
}

// newTree returns the tree of dotted paths.
func newTree(paths []string) tree {
	root := tree{}
	for _, path := range paths {
		level := root
		var last *node
		for name := range strings.SplitSeq(path, ".") {
			if level[name] == nil {
				level[name] = &node{below: tree{}}
			}
			last = level[name]
			level = last.below
		}
		last.path = path
	}
	return root
}

// read keeps the wanted members of a document in one pass, and checks all of
// it as strictly as providers.ReadJSON does.
func read(document []byte, wants tree) (members, error) {
	r := reader{wants: wants, found: make(members, 8)}
	if err := providers.ReadJSON(document, &r); err != nil {
		return nil, err
	}
	return r.found, nil
}

type reader struct {
	wants tree
	found members
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. It returns the decoder's
// own errors only, since others could quote the payload.
func (r *reader) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	return r.object(dec, r.wants)
}

func (r *reader) object(dec *jsontext.Decoder, wants tree) error {
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
		if err := r.value(dec, wants[string(name)]); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

func (r *reader) value(dec *jsontext.Decoder, n *node) error {
	kind := dec.PeekKind()
	if n != nil && kind == jsontext.KindBeginObject && len(n.below) > 0 {
		return r.object(dec, n.below)
	}
	if n == nil || n.path == "" || !isScalar(kind) {
		_, err := dec.ReadValue()
		return err
	}
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	r.found[n.path] = token.String()
	return nil
}

func isScalar(k jsontext.Kind) bool {
	return k == jsontext.KindString || k == jsontext.KindNumber || k == jsontext.KindTrue || k == jsontext.KindFalse
}
