package mailchimp

import (
	"errors"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
)

// maxDepth bounds how deep the names of a form nest. Mailchimp's own have three
// levels, and an address among the merge fields a fourth.
const maxDepth = 8

var errForm = errors.New("body is no form")

// readForm reads a form whose names occur once each: of two values, two
// parsers would take different ones.
func readForm(body []byte) (map[string]string, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errForm // the parser's error quotes the body
	}
	form := make(map[string]string, len(values))
	for key, all := range values {
		if len(all) != 1 {
			return nil, errors.New("a name occurs twice in the form")
		}
		form[key] = all[0]
	}
	return form, nil
}

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
