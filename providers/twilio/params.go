package twilio

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// params are a webhook's parameters: by name, the distinct values, sorted. That is
// as much as Twilio signs of them, so nothing may depend on more.
type params map[string][]string

var errForm = errors.New("unreadable form") // url's own error quotes the form

func parseForm(encoded string) (params, error) {
	form, err := url.ParseQuery(encoded)
	if err != nil {
		return nil, errForm
	}
	for name, values := range form {
		slices.Sort(values)
		form[name] = slices.Compact(values)
	}
	return params(form), nil
}

// joined is what is signed of the parameters: names and values, sorted by name,
// with nothing between them.
func (p params) joined() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p)) {
		for _, value := range p[name] {
			b.WriteString(name)
			b.WriteString(value)
		}
	}
	return b.String()
}

// one returns the value of a parameter, or nothing when there is none. Two values
// where Twilio sends one are refused: another reader might take the other one.
func (p params) one(name string) (string, error) {
	switch values := p[name]; len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	default:
		return "", fmt.Errorf("%w: %d values of %s", providers.ErrMalformed, len(values), name)
	}
}

// json returns the parameters as an object: strings, and lists of them where a
// name has several values.
func (p params) json() ([]byte, error) {
	object := make(map[string]any, len(p))
	for name, values := range p {
		object[name] = values
		if len(values) == 1 {
			object[name] = values[0]
		}
	}
	raw, err := json.Marshal(object, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("%w: parameters that are not UTF-8", providers.ErrMalformed) // the error quotes them
	}
	return raw, nil
}

// read returns the parameters of a request, the JSON of an event where the body
// is not just that, and the bytes that were signed of it.
func read(r providers.Request) (p params, payload, signed []byte, err error) {
	if len(r.Body) > 0 && !r.IsForm() {
		p, err = readObject(r.Body)
		return p, nil, r.Body, err
	}
	encoded := string(r.Body)
	if encoded == "" && r.Method == http.MethodGet && r.URL != nil {
		encoded = r.URL.RawQuery
	}
	if p, err = parseForm(encoded); err != nil {
		return nil, nil, nil, fmt.Errorf("%w: %w", providers.ErrMalformed, err)
	}
	payload, err = p.json()
	return p, payload, []byte(p.joined()), err
}

// readObject reads a body that is JSON: an object with the same members as the
// forms have parameters. Other members than texts are no parameters.
func readObject(body []byte) (params, error) {
	var members map[string]jsontext.Value
	if err := providers.ReadJSON(body, &members); err != nil {
		return nil, err
	}
	p := params{}
	for name, value := range members {
		if text, err := jsontext.AppendUnquote(nil, value); err == nil && value.Kind() == jsontext.KindString {
			p[name] = []string{string(text)}
		}
	}
	return p, nil
}
