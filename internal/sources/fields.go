package sources

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/dustin/go-humanize"
	"github.com/goccy/go-yaml/ast"
	"golang.org/x/time/rate"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/all"
)

// A name is part of a URL, of workflow IDs, of task queues and of metrics.
var sourceName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// reservedNames begin the workflow IDs of our own runs, as a source's name begins
// those of its events.
var reservedNames = []string{"keep", "reconcile", "retention"}

var errReserved = errors.New("reserved name: runs of Surehook's own have it")

var errName = errors.New("bad name: want a-z, 0-9 and -, not starting with -, at most 63 characters")

func (r *reader) provider(name string) string {
	switch {
	case name == "":
		r.fail("provider", fmt.Errorf("missing: want one of %s", strings.Join(all.Names(), ", ")))
	case !slices.Contains(all.Names(), name):
		r.fail("provider", fmt.Errorf("%q: want one of %s", name, strings.Join(all.Names(), ", ")))
	}
	return name
}

// settings are the provider's own fields. What they mean is the provider's to
// judge, when it is made.
func (r *reader) settings(provider string, node ast.Node) any {
	into := all.Settings(provider)
	switch {
	case into != nil:
		r.decode("settings", node, reflect.ValueOf(into).Elem())
	case node != nil && slices.Contains(all.Names(), provider):
		r.fail("settings", fmt.Errorf("provider %s has none", provider))
	}
	return into
}

func (r *reader) mode(text string) providers.Mode {
	switch mode := providers.Mode(text); mode {
	case providers.ModeUnknown, providers.ModeLive, providers.ModeTest:
		return mode
	}
	r.fail("mode", fmt.Errorf("%q: want live or test, or leave it out to take both", text))
	return providers.ModeUnknown
}

func (r *reader) accept(patterns []string) []string {
	if patterns == nil {
		return []string{"*"}
	}
	if len(patterns) == 0 {
		r.fail("events.accept", errors.New("empty: leave it out to take every type"))
	}
	for i, p := range patterns {
		if p == "" || strings.ContainsFunc(p, unicode.IsSpace) {
			r.fail(fmt.Sprintf("events.accept[%d]", i), fmt.Errorf("%q: want a type, in which * stands for any characters", p))
		}
	}
	return patterns
}

func (r *reader) other(text string) providers.Status {
	switch text {
	case "", "ignore":
		return providers.StatusIgnored
	case "review":
		return providers.StatusReview
	}
	r.fail("events.other", fmt.Errorf("%q: want ignore or review", text))
	return ""
}

func (r *reader) body(text, provider string) int64 {
	if text == "" && provider == "github" {
		return defaultGitHubBody
	}
	if text == "" {
		return defaultBody
	}
	size, err := humanize.ParseBytes(text)
	if err != nil || size == 0 || size > math.MaxInt32 {
		r.fail("limits.body", fmt.Errorf("%q: want a size such as 1MiB, at most 2GiB", text))
		return 0
	}
	return int64(size)
}

// rate is ParseRate for a field; an empty text is 0.
func (r *reader) rate(field, text string) (rate.Limit, int) {
	if text == "" {
		return 0, 0
	}
	limit, burst, err := ParseRate(text)
	if err != nil {
		r.fail(field, err)
	}
	return limit, burst
}

// ParseRate reads "500/s", "100/m" or "2/h" as events per second and a burst.
func ParseRate(text string) (rate.Limit, int, error) {
	seconds := map[string]float64{"s": 1, "m": 60, "h": 3600}
	count, unit, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(count)
	if err != nil || n <= 0 || seconds[unit] == 0 {
		return 0, 0, fmt.Errorf("%q: want a whole number per s, m or h, such as 500/s", text)
	}
	return rate.Limit(float64(n) / seconds[unit]), n, nil
}

func (r *reader) allow(texts []string) []netip.Prefix {
	var prefixes []netip.Prefix
	for i, text := range texts {
		prefix, err := parsePrefix(text)
		if err != nil {
			r.fail(fmt.Sprintf("limits.allow[%d]", i), fmt.Errorf("%q: want an address or a network such as 3.18.12.63/32", text))
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes
}

func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix.Masked(), err
}

// variable matches ${VARIABLE} inside of an address.
var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// baseURL takes plain http too: the sandbox and test doubles have no TLS. It
// may name variables, because where those are differs between machines.
func (r *reader) baseURL(text string) string {
	if text == "" {
		return ""
	}
	failed := len(r.errs)
	text = variable.ReplaceAllStringFunc(text, func(ref string) string {
		name := variable.FindStringSubmatch(ref)[1]
		value, ok := r.lookup(name)
		if !ok || value == "" {
			r.fail("api.base_url", fmt.Errorf("variable %s is not set or empty", name))
		}
		return value
	})
	if len(r.errs) > failed {
		return "" // what is left of it says nothing
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		// The text is not repeated: it may hold credentials.
		r.fail("api.base_url", errors.New("want an http or https address without user, password and query"))
	}
	return text
}
