package generic

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/antchfx/xmlquery"

	"github.com/surehook/surehook/providers"
)

// reader finds values in requests: those it was told to want.
type reader struct {
	json *tree
	form bool
}

func (rd *reader) want(p part) {
	for _, at := range p {
		switch at.in {
		case inJSON:
			if rd.json == nil {
				rd.json = &tree{}
			}
			rd.json.want(at.name, false)
		case inForm:
			rd.form = true
		}
	}
}

// read looks at the request's own body, as opposed to an element of a batch.
func (rd *reader) read(r providers.Request) (scope, error) {
	s := scope{header: r.Header, query: address(r.URL).Query()}
	var err error
	if rd.json != nil {
		if s.json, err = readObject(r.Body, rd.json); err != nil {
			return s, err
		}
	}
	if rd.form {
		s.form, err = readForm(r)
	}
	return s, err
}

// readForm reads a form, which is the query of a GET.
func readForm(r providers.Request) (url.Values, error) {
	text := string(r.Body)
	if r.Method == http.MethodGet && text == "" {
		text = address(r.URL).RawQuery
	}
	form, err := url.ParseQuery(text)
	if err != nil || len(form) == 0 {
		return nil, fmt.Errorf("%w: unreadable form", providers.ErrMalformed)
	}
	return form, nil
}

// scope is where the values of one event are looked up.
type scope struct {
	header   http.Header
	query    url.Values
	json     members
	envelope members
	form     url.Values
	xml      *xmlquery.Node
	body     []byte // the event as JSON
	part     bool   // the event is not just the body
}

// get returns the value at the first place that has one.
func (s *scope) get(p part) (text string, found bool, err error) {
	for _, at := range p {
		if text, found, err = s.at(at); found || err != nil {
			return text, found, err
		}
	}
	return "", false, nil
}

func (s *scope) at(at place) (string, bool, error) {
	switch at.in {
	case inHeader:
		return headerOnce(s.header, at.name)
	case inQuery:
		return fieldOnce(s.query, at.name)
	case inForm:
		return fieldOnce(s.form, at.name)
	case inConst:
		return at.name, true, nil
	case inBody:
		return string(s.body), true, nil
	case inXPath:
		return evaluate(s.xml, at.name)
	case inEnvelope:
		text := s.envelope[at.name]
		return text, text != "", nil
	case inStem:
		text := s.json[at.name]
		if dot := strings.LastIndexByte(text, '.'); dot > 0 {
			text = text[:dot]
		}
		return text, text != "", nil
	default:
		text := s.json[at.name]
		return text, text != "", nil
	}
}

func fieldOnce(fields url.Values, name string) (string, bool, error) {
	switch values := fields[name]; len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], values[0] != "", nil
	default:
		return "", false, fmt.Errorf("%w: more than one field %.50q", providers.ErrMalformed, name)
	}
}
