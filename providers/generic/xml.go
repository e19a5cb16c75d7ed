package generic

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/antchfx/xmlquery"
	"github.com/antchfx/xpath"
	"golang.org/x/net/html/charset"

	"github.com/surehook/surehook/providers"
)

// maxDepth bounds how deep elements are nested: documents are walked with one
// call for each level.
const maxDepth = 1000

// readXML reads a body that must be one XML document without a document type,
// so that there are no entities that it could define.
func readXML(body []byte) (*xmlquery.Node, error) {
	if err := checkXML(body); err != nil {
		return nil, fmt.Errorf("%w: %w", providers.ErrMalformed, err)
	}
	document, err := xmlquery.Parse(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: bad XML", providers.ErrMalformed) // its own text quotes the body
	}
	return document, nil
}

func checkXML(body []byte) error {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	decoder.CharsetReader = charset.NewReaderLabel
	depth, roots := 0, 0
	for {
		token, err := decoder.RawToken()
		switch {
		case errors.Is(err, io.EOF) && roots == 1 && depth == 0:
			return nil
		case err != nil:
			return fmt.Errorf("bad XML near byte %d", decoder.InputOffset())
		}
		switch token := token.(type) {
		case xml.Directive:
			return errors.New("XML with a document type")
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(token)) > 0 {
				return errors.New("text outside of the XML document")
			}
		}
		if depth > maxDepth || roots > 1 {
			return fmt.Errorf("XML with several roots, or nested deeper than %d levels", maxDepth)
		}
	}
}

// evaluate returns what an expression, which was checked when it was declared,
// says of a node. It is compiled each time because compiled ones hold state.
func evaluate(node *xmlquery.Node, expression string) (text string, found bool, err error) {
	defer recovered(&err)
	compiled, err := xpath.Compile(expression)
	if err != nil {
		return "", false, err
	}
	switch value := compiled.Evaluate(xmlquery.CreateXPathNavigator(node)).(type) {
	case string:
		text = value
	case bool:
		text = strconv.FormatBool(value)
	case float64:
		if !math.IsNaN(value) {
			text = strconv.FormatFloat(value, 'f', -1, 64)
		}
	case *xpath.NodeIterator:
		if value.MoveNext() {
			text = value.Current().Value()
		}
	}
	text = strings.TrimSpace(text)
	return text, text != "", nil
}

// recovered turns a panic of the library into an error: its functions panic on
// arguments of a wrong kind, which may depend on the document.
func recovered(err *error) {
	if recover() != nil {
		*err = fmt.Errorf("%w: an XPath finds something else than it expects", providers.ErrMalformed)
	}
}

func selectXML(document *xmlquery.Node, expression string) (nodes []*xmlquery.Node, err error) {
	defer recovered(&err)
	compiled, err := xpath.Compile(expression)
	if err != nil {
		return nil, err
	}
	nodes = xmlquery.QuerySelectorAll(document, compiled)
	if len(nodes) == 0 {
		return nil, fmt.Errorf("%w: no events in the XML", providers.ErrMalformed)
	}
	return nodes, nil
}

// xmlJSON is XML as JSON, for records and schemas: an element with nothing but
// text is that text; otherwise its attributes are members with an @ before their
// names, its text is #text, and elements of one name are a list.
func xmlJSON(node *xmlquery.Node) any {
	object := map[string]any{}
	for _, attribute := range node.Attr {
		object["@"+attribute.Name.Local] = attribute.Value
	}
	var text strings.Builder
	for child := node.FirstChild; child != nil; child = child.NextSibling {
		switch child.Type {
		case xmlquery.ElementNode:
			addElement(object, child)
		case xmlquery.TextNode, xmlquery.CharDataNode:
			text.WriteString(child.Data)
		default: // comments and the like are no content
		}
	}
	trimmed := strings.TrimSpace(text.String())
	if len(object) == 0 && node.Type == xmlquery.ElementNode {
		return trimmed
	}
	if trimmed != "" {
		object["#text"] = trimmed
	}
	return object
}

func addElement(object map[string]any, child *xmlquery.Node) {
	value := xmlJSON(child)
	switch before := object[child.Data].(type) {
	case nil:
		object[child.Data] = value
	case []any:
		object[child.Data] = append(before, value)
	default:
		object[child.Data] = []any{before, value}
	}
}
