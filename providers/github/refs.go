package github

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/surehook/surehook/providers"
)

// plan is a rule made ready for reading payloads.
type plan struct {
	rule
	event string
	wants tree
}

// plans returns the plans of all rules, by event.
func plans() map[string]plan {
	all := make(map[string]plan, len(rules))
	for event, r := range rules {
		all[event] = newPlan(event, r)
	}
	return all
}

func newPlan(event string, r rule) plan {
	r.object = cmp.Or(r.object, event)
	p := plan{rule: r, event: event}
	if p.times == nil {
		for _, t := range []string{"updated_at", "completed_at", "submitted_at", "published_at", "started_at", "created_at"} {
			p.times = append(p.times, p.member(t))
		}
	}
	wants := slices.Concat([]string{"action", fullName}, p.times, p.reads)
	if p.kind != "" {
		wants = append(wants, p.names(apiPaths[p.kind])...)
	} else {
		wants = slices.Concat(wants, p.names(p.id), []string{p.member("id"), p.member("node_id")}, owners)
	}
	p.wants = newTree(wants)
	return p
}

// member returns the path in the payload of a member that a path or id asks for.
func (p plan) member(name string) string {
	if strings.Contains(name, ".") || p.object == payload {
		return name
	}
	return p.object + "." + name
}

var braces = regexp.MustCompile(`\{[^}]*\}`)

// names returns the members that stand in braces.
func (p plan) names(text string) []string {
	var names []string
	for _, b := range braces.FindAllString(text, -1) {
		names = append(names, p.member(strings.Trim(b, "{}")))
	}
	return names
}

// ref names the object. An event that should have one which can be fetched,
// but does not name it, is malformed.
func (p plan) ref(found members) (providers.Ref, error) {
	kind := p.kind
	if p.choose != nil {
		kind = p.choose(found)
	}
	if kind == "" {
		return p.payloadRef(found)
	}
	path, err := fillPath(apiPaths[kind], found[fullName], func(name string) string { return found[p.member(name)] })
	if err != nil {
		return providers.Ref{}, fmt.Errorf("%w: %s event does not name its %s", providers.ErrMalformed, p.event, kind)
	}
	return providers.Ref{Type: kind, ID: bounded(found[fullName], path)}, nil
}

// payloadRef names an object that cannot be fetched as well as the payload
// allows. The ref is zero when it allows nothing.
func (p plan) payloadRef(found members) (providers.Ref, error) {
	repository := ""
	if found[fullName] != "" && !p.global {
		var err error
		if repository, err = escapeRepository(found[fullName]); err != nil {
			return providers.Ref{}, fmt.Errorf("%w: unreadable repository name", providers.ErrMalformed)
		}
	}
	id := strings.Trim(repository+"/"+p.payloadID(found), "/")
	for _, owner := range owners {
		id = cmp.Or(id, url.PathEscape(found[owner]))
	}
	if id == "" {
		return providers.Ref{}, nil
	}
	return providers.Ref{Type: p.event, ID: bounded(repository, id)}, nil
}

// payloadID returns the object's id without its repository, or nothing when
// the payload lacks it.
func (p plan) payloadID(found members) string {
	missing := p.id == ""
	id := braces.ReplaceAllStringFunc(p.id, func(b string) string {
		text := found[p.member(strings.Trim(b, "{}"))]
		missing = missing || text == ""
		return escapeAll(text)
	})
	if missing {
		return escapeAll(cmp.Or(found[p.member("id")], found[p.member("node_id")]))
	}
	return id
}

// escapeAll makes any text printable ASCII without blanks. It keeps slashes.
func escapeAll(text string) string {
	return strings.ReplaceAll(url.PathEscape(text), "%2F", "/")
}
