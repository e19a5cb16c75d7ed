package sources

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/surehook/surehook/providers"
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

var (
	nodeType   = reflect.TypeFor[ast.Node]()
	secretType = reflect.TypeFor[providers.Secret]()
)

func (r *reader) decodeField(name string, node ast.Node, into reflect.Value) {
	switch {
	case into.Type() == nodeType:
		into.Set(reflect.ValueOf(node)) // it is read later
	case into.Type() == secretType:
		r.decodeSecret(name, node, into)
	case into.Kind() == reflect.Struct:
		r.decode(name, node, into)
	case into.Kind() == reflect.Slice && isOurs(into.Type().Elem()):
		r.decodeList(name, node, into)
	case into.Kind() == reflect.Map && isOurs(into.Type().Elem()):
		r.decodeMap(name, node, into)
	default:
		if err := yaml.NodeToValue(node, into.Addr().Interface(), yaml.Strict()); err != nil {
			r.unreadable(name, wanted(err, node, into))
		}
	}
}

// wanter is a type that reads itself. Its own error is not repeated, because it
// may quote what stands in the file; Wants says what should.
type wanter interface{ Wants() string }

// wanted is withLine for a value whose type says what it wants.
func wanted(err error, node ast.Node, into reflect.Value) error {
	var text string
	switch value := into.Interface().(type) {
	case wanter:
		text = value.Wants()
	case time.Duration:
		text = "a time such as 5m"
	default:
		return withLine(err)
	}
	return fmt.Errorf("line %d: want %s", node.GetToken().Position.Line, text)
}

// isOurs reports whether values of the type are read here and not by the
// library, because they may hold secrets or mistakes of their own.
func isOurs(t reflect.Type) bool { return t.Kind() == reflect.Struct || t == secretType }

func (r *reader) decodeSecret(name string, node ast.Node, into reflect.Value) {
	var ref string
	if err := yaml.NodeToValue(node, &ref, yaml.Strict()); err != nil {
		r.unreadable(name, withLine(err))
		return
	}
	into.SetString(r.secret(name, ref))
}

func (r *reader) decodeList(name string, node ast.Node, into reflect.Value) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		r.unreadable(name, errors.New("want a list"))
		return
	}
	for i, member := range list.Values {
		value := reflect.New(into.Type().Elem()).Elem()
		r.decodeField(fmt.Sprintf("%s[%d]", name, i), member, value)
		into.Set(reflect.Append(into, value))
	}
}

func (r *reader) decodeMap(name string, node ast.Node, into reflect.Value) {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		r.unreadable(name, errors.New("want a mapping"))
		return
	}
	into.Set(reflect.MakeMap(into.Type()))
	for members := mapping.MapRange(); members.Next(); {
		key := members.Key().GetToken().Value
		value := reflect.New(into.Type().Elem()).Elem()
		r.decodeField(name+"."+key, members.Value(), value)
		into.SetMapIndex(reflect.ValueOf(key), value)
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
