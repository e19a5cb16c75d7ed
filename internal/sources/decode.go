package sources

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// decode fills a declaration, or the group of that name in it, from a mapping.
// Each field is decoded on its own, so that one's mistake does not hide
// another's.
func (r *reader) decode(group string, node ast.Node, into reflect.Value) {
	if node == nil || node.Type() == ast.NullType { // a name with nothing behind it
		return
	}
	mapping, ok := node.(ast.MapNode)
	if !ok {
		r.unreadable(group, errors.New("want a mapping of fields"))
		return
	}
	for members := mapping.MapRange(); members.Next(); {
		key := members.Key().GetToken()
		name := key.Value
		if group != "" {
			name = group + "." + name
		}
		field, ok := fieldNamed(key.Value, into)
		if !ok {
			r.fail(name, fmt.Errorf("unknown field, in line %d", key.Position.Line))
			continue
		}
		r.decodeField(name, members.Value(), field)
	}
}

func (r *reader) decodeField(name string, node ast.Node, into reflect.Value) {
	if into.Kind() == reflect.Struct {
		r.decode(name, node, into)
		return
	}
	if err := yaml.NodeToValue(node, into.Addr().Interface(), yaml.Strict()); err != nil {
		r.unreadable(name, withLine(err))
	}
}

func fieldNamed(name string, in reflect.Value) (reflect.Value, bool) {
	for field, value := range in.Fields() {
		if field.Tag.Get("yaml") == name {
			return value, true
		}
	}
	return reflect.Value{}, false
}
