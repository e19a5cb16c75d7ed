package generic

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/surehook/surehook/providers"
)

// The placeholders of a template of what is signed, besides values.
const (
	holdTimestamp = "timestamp"
	holdBody      = "body"
	holdURL       = "url"
	holdURI       = "uri"
	holdMethod    = "method"
	holdID        = "id"
)

// template says what is signed.
type template struct {
	pieces []piece
	reader reader // of the values that pieces want
}

// piece is a literal, a placeholder, or a value.
type piece struct {
	literal string
	hold    string
	value   part
}

// template reads what is signed. {id} stands for the event's ID where that is
// one header.
func (p *problems) template(field, text string, id Value) template {
	if text == "" {
		text = "{" + holdBody + "}"
	}
	var t template
	for text != "" {
		literal, rest, found := strings.Cut(text, "{")
		if literal != "" {
			t.pieces = append(t.pieces, piece{literal: literal})
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			p.add(field, "a { is not closed")
			break
		}
		t.pieces = append(t.pieces, p.piece(field, name, id))
		text = after
	}
	for _, piece := range t.pieces {
		t.reader.want(piece.value)
	}
	return t
}

func (p *problems) piece(field, name string, id Value) piece {
	switch name {
	case holdTimestamp, holdBody, holdURL, holdURI, holdMethod:
		return piece{hold: name}
	case holdID:
		if len(id) != 1 || !strings.HasPrefix(id[0], inHeader+":") {
			p.add(field, "{id}: event.id is not one header")
			return piece{}
		}
		name = id[0]
	}
	at, err := parsePlace(name, []string{inHeader, inJSON, inForm})
	if err != nil {
		p.add(field, "{%s}: want timestamp, body, url, uri, method, id, header:Name, json:path or form:name", name)
	}
	return piece{value: part{at}}
}

// holds reports whether the template has the placeholder.
func (t template) holds(hold string) bool {
	for _, piece := range t.pieces {
		if piece.hold == hold {
			return true
		}
	}
	return false
}

// covers reports whether a change at the place would change what is signed.
func (t template) covers(at place) bool {
	switch at.in {
	case inConst:
		return true
	case inHeader:
	case inQuery:
		return t.holds(holdURL) || t.holds(holdURI)
	default:
		if t.holds(holdBody) {
			return true
		}
	}
	for _, piece := range t.pieces {
		if len(piece.value) > 0 && piece.value[0].in == at.in && piece.value[0].name == at.name {
			return true
		}
	}
	return false
}

// fixes reports whether the value at the place can be no other while what is
// signed stays the same. To be signed is not enough for that: between two values,
// as in {json:id}{json:amount}, the border could be moved.
func (t template) fixes(at place) bool {
	if at.in == inConst || at.in != inHeader && t.holds(holdBody) {
		return true
	}
	for i, piece := range t.pieces {
		if len(piece.value) > 0 && piece.value[0].in == at.in && piece.value[0].name == at.name {
			return t.setsApart(i)
		}
	}
	return false
}

// setsApart reports whether there is one way only to find a piece's value in what
// is signed: there is text between it and its neighbors, and none of the others
// could take the place of that text and what follows it.
func (t template) setsApart(i int) bool {
	for j, other := range t.pieces {
		isText := other.literal != ""
		beside := j == i-1 || j == i+1
		plain := other.hold == holdTimestamp || other.hold == holdBody || other.hold == holdMethod
		if j != i && !isText && (beside || !plain) {
			return false
		}
	}
	return true
}

// fill returns what is signed of a request.
func (t template) fill(r providers.Request, timestamp string) ([]byte, error) {
	if len(t.pieces) == 1 && t.pieces[0].hold == holdBody {
		return r.Body, nil // without a copy of what may be large
	}
	values, err := t.reader.read(r)
	if err != nil {
		return nil, err
	}
	filled := make([]byte, 0, len(r.Body)+256)
	for _, piece := range t.pieces {
		switch piece.hold {
		case holdTimestamp:
			filled = append(filled, timestamp...)
		case holdBody:
			filled = append(filled, r.Body...)
		case holdURL:
			filled = append(filled, address(r.URL).String()...)
		case holdURI:
			filled = append(filled, address(r.URL).RequestURI()...)
		case holdMethod:
			filled = append(filled, r.Method...)
		default:
			filled = append(filled, piece.literal...)
			if piece.value == nil {
				continue
			}
			text, found, err := values.get(piece.value)
			if err != nil {
				return nil, err
			}
			if !found {
				return nil, fmt.Errorf("%s:%s, which is signed, is missing", piece.value[0].in, piece.value[0].name)
			}
			filled = append(filled, text...)
		}
	}
	return filled, nil
}

// address is the URL, which a request that is read again does not have.
func address(u *url.URL) *url.URL {
	if u == nil {
		return &url.URL{}
	}
	return u
}

// setHeader sets a header of a request that may have none yet.
func setHeader(r *providers.Request, name, value string) {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set(name, value)
}
