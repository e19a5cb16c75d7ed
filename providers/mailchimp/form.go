package mailchimp

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
)

// maxDepth bounds how deep the names of a form nest. Mailchimp's own have three
// levels, and an address among the merge fields a fourth.
const maxDepth = 8

// nested returns the form as the JSON object that its names describe:
// data[merges][FNAME]=Ada is {"data": {"merges": {"FNAME": "Ada"}}}. Its members
// are sorted, so that the same form always gives the same bytes.
func nested(form map[string]string) ([]byte, error) {
	root := map[string]any{}
	for key, value := range form {
		path, err := pathOf(key)
		if err != nil {
			return nil, err
		}
		if err := put(root, path, value); err != nil {
			return nil, err
		}
	}
	document, err := json.Marshal(root, json.Deterministic(true))
	if err != nil {
		return nil, errors.New("form is no text") // invalid UTF-8
	}
	return document, nil
}

// pathOf splits a name such as data[merges][FNAME].
func pathOf(key string) ([]string, error) {
	bracket := strings.IndexByte(key, '[')
	if bracket <= 0 {
		return []string{key}, nil
	}
	inner, closed := strings.CutSuffix(key[bracket+1:], "]")
	path := append([]string{key[:bracket]}, strings.Split(inner, "][")...)
	if !closed || len(path) > maxDepth {
		return nil, errors.New("a name in the form nests too deep or has no end")
	}
	return path, nil
}

func put(object map[string]any, path []string, value string) error {
	last := len(path) - 1
	for _, part := range path[:last] {
		below, ok := object[part].(map[string]any)
		if !ok {
			if _, taken := object[part]; taken {
				return errAmbiguous
			}
			below = map[string]any{}
			object[part] = below
		}
		object = below
	}
	if _, taken := object[path[last]]; taken {
		return errAmbiguous
	}
	object[path[last]] = value
	return nil
}

var errAmbiguous = errors.New("a name in the form is both a text and an object")
