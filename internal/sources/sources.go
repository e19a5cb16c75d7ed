// Package sources reads the YAML file that declares the sources: who may send
// webhooks, how they prove who they are, and what is done with what they send.
// The file is reviewed like code, so it holds no secret, only references to
// them, and whatever is wrong in it is found at start and reported together.
package sources

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"reflect"
	"slices"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"golang.org/x/time/rate"

	"github.com/surehook/surehook/providers"
)

// The default limits of a request's body.
const (
	defaultBody = 1 << 20
	// GitHub sends payloads of up to 25 MB, never sends one again by itself, and
	// drops what is larger on its own side: a smaller default would lose events.
	// https://docs.github.com/en/webhooks/webhook-events-and-payloads
	defaultGitHubBody = 25 << 20
)

// Source is one source as the file declares it, with its secrets looked up.
type Source struct {
	Name     string // the last part of POST /webhooks/{source}
	Provider string // the name of its provider

	Secrets providers.Secrets
	API     providers.APIConfig
	APIRate float64 // calls of the API per second; 0 when the file does not say
	// Settings are what only this provider has; nil where it has none.
	Settings any

	Mode   providers.Mode // the only mode to take, or ModeUnknown for any
	Accept []string       // patterns of the event types to take; by default all
	// Other is what becomes of events that Accept does not take: ignored (the
	// default) or review.
	Other providers.Status

	Body int64 // the largest body, in bytes
	// Rate is how many events' requests are taken per second, Burst how many of
	// them at once. A rate written as 100/m has a burst of 100. The default is
	// no limit: some platforms never repeat what was refused.
	Rate  rate.Limit
	Burst int
	Allow []netip.Prefix // the senders' addresses; empty means any

	Reconcile Reconcile

	Owner   string
	Purpose string
	Runbook string
}

// declaration is one source in the file.
type declaration struct {
	Provider string   `yaml:"provider"`
	Secrets  []string `yaml:"secrets"`
	API      struct {
		BaseURL string `yaml:"base_url"`
		Key     string `yaml:"key"`
		Rate    string `yaml:"rate"`
	} `yaml:"api"`
	Settings ast.Node `yaml:"settings"`
	Mode     string   `yaml:"mode"`
	Events   struct {
		Accept []string `yaml:"accept"`
		Other  string   `yaml:"other"`
	} `yaml:"events"`
	Limits struct {
		Body  string   `yaml:"body"`
		Rate  string   `yaml:"rate"`
		Allow []string `yaml:"allow"`
	} `yaml:"limits"`
	Reconcile declaredReconcile `yaml:"reconcile"`

	Owner   string `yaml:"owner"`
	Purpose string `yaml:"purpose"`
	Runbook string `yaml:"runbook"`
}

// Load reads the file at path and returns its sources in the order of their
// names. Variables are looked up with lookup, which is os.LookupEnv outside of
// tests. The error joins everything that is wrong, one line each, and repeats
// no value that could be a secret.
func Load(path string, lookup func(string) (string, bool)) ([]Source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read sources: %w", err)
	}
	declared, err := declarations(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var sources []Source
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		r := reader{file: path, source: name, lookup: lookup, unread: map[string]bool{}}
		sources = append(sources, r.read(declared[name]))
		errs = append(errs, r.errs...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return sources, nil
}

// declarations splits the file into its sources. Each is decoded on its own
// later, so that one's mistakes do not hide another's.
func declarations(text []byte) (map[string]ast.Node, error) {
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, withLine(err)
	}
	var file struct {
		Sources map[string]ast.Node `yaml:"sources"`
	}
	if len(tree.Docs) != 1 {
		return nil, fmt.Errorf("want one YAML document, found %d", len(tree.Docs))
	}
	if body := tree.Docs[0].Body; body != nil {
		if err := yaml.NodeToValue(body, &file, yaml.Strict()); err != nil {
			return nil, withLine(err)
		}
	}
	if len(file.Sources) == 0 {
		return nil, errors.New("sources: none declared")
	}
	return file.Sources, nil
}

// withLine reduces a YAML error to its message and line. The library's own
// text quotes the lines around the mistake, and a secret may be among them.
func withLine(err error) error {
	var at yaml.Error
	if !errors.As(err, &at) {
		return errors.New("not readable as sources")
	}
	if token := at.GetToken(); token != nil && token.Position != nil {
		return fmt.Errorf("line %d: %s", token.Position.Line, at.GetMessage())
	}
	return errors.New(at.GetMessage())
}

// reader reads one source and collects what is wrong with it.
type reader struct {
	file   string
	source string
	lookup func(string) (string, bool)
	errs   []error
	unread map[string]bool // fields whose value is not known
}

// fail reports what is wrong with a field, or with the source when that is
// empty.
func (r *reader) fail(field string, err error) {
	if r.unread[field] {
		return // it is not missing, as it seems: its mistake has been reported
	}
	name := "sources." + r.source
	if field != "" {
		name += "." + field
	}
	r.errs = append(r.errs, fmt.Errorf("%s: %s: %w", r.file, name, err))
}

// unreadable reports a field whose value is no value for it.
func (r *reader) unreadable(field string, err error) {
	r.fail(field, err)
	if field != "" {
		r.unread[field] = true
	}
}

func (r *reader) read(node ast.Node) Source {
	if !sourceName.MatchString(r.source) {
		r.fail("", errName)
	}
	if slices.Contains(reservedNames, r.source) {
		r.fail("", errReserved)
	}
	var d declaration
	r.decode("", node, reflect.ValueOf(&d).Elem())
	s := Source{
		Name:     r.source,
		Provider: r.provider(d.Provider),
		Secrets:  r.secrets(d.Secrets),
		Mode:     r.mode(d.Mode),
		Accept:   r.accept(d.Events.Accept),
		Other:    r.other(d.Events.Other),
		Body:     r.body(d.Limits.Body, d.Provider),
		Allow:    r.allow(d.Limits.Allow),
		Owner:    d.Owner,
		Purpose:  d.Purpose,
		Runbook:  d.Runbook,
		Settings: r.settings(d.Provider, d.Settings),

		Reconcile: r.reconcile(d.Reconcile),
	}
	s.API.BaseURL = r.baseURL(d.API.BaseURL)
	if d.API.Key != "" {
		s.API.Key = r.secret("api.key", d.API.Key)
	}
	apiRate, _ := r.rate("api.rate", d.API.Rate)
	s.APIRate = float64(apiRate)
	s.Rate, s.Burst = r.rate("limits.rate", d.Limits.Rate)
	s.Rate = cmp.Or(s.Rate, rate.Inf)
	return s
}
