package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"
)

// load reads the configuration without judging it: each command validates the
// parts it uses, together with what could not be read.
func (e environment) load(ctx context.Context) config {
	var c config
	c.unreadable = e.loadFields(ctx, "", reflect.ValueOf(&c).Elem())
	return c
}

// loadFields reads each variable on its own. go-envconfig would stop at the
// first one that it cannot read, and name the field instead of the variable.
func (e environment) loadFields(ctx context.Context, prefix string, into reflect.Value) error {
	var errs []error
	for field, value := range into.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("env"), ",")
		_, inner, _ := strings.Cut(options, "prefix=")
		switch {
		case !field.IsExported():
		case name != "":
			errs = append(errs, e.loadField(ctx, prefix, name, field, value))
		case value.Kind() == reflect.Struct:
			errs = append(errs, e.loadFields(ctx, prefix+inner, value))
		}
	}
	return errors.Join(errs...)
}

// loadField keeps to the default where the variable is not readable, so that
// nothing else seems to be wrong with it.
func (e environment) loadField(ctx context.Context, prefix, name string, field reflect.StructField, into reflect.Value) error {
	read := func(from envconfig.Lookuper) error {
		only := reflect.New(reflect.StructOf([]reflect.StructField{field}))
		err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: only.Interface(), Lookuper: from})
		into.Set(only.Elem().Field(0))
		return err
	}
	if read(envconfig.PrefixLookuper(prefix, envconfig.LookuperFunc(e.Lookup))) == nil {
		return nil
	}
	text, _ := e.Lookup(prefix + name)
	return errors.Join(
		fmt.Errorf("%s: %q: want %s", prefix+name, text, wanted(into)),
		read(envconfig.MapLookuper(nil)),
	)
}

// wanted says what a variable may hold.
func wanted(v reflect.Value) string {
	switch v.Interface().(type) {
	case slog.Level:
		return "debug, info, warn or error"
	case time.Duration:
		return "a duration such as 30s or 5m"
	}
	if v.CanInt() {
		return "a whole number"
	}
	return v.Kind().String()
}
