package sources

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/surehook/surehook/providers"
)

// reference matches ${VARIABLE} and ${VARIABLE:-}. A default other than the
// empty one would be a secret in the file.
var reference = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)(:-)?\}$`)

var errLiteral = errors.New("a secret must not stand in the file: write ${VARIABLE}, ${VARIABLE:-} or file:/path")

// secrets resolves the source's secrets and drops those that are optional and
// not there. A source without any would authenticate nobody.
func (r *reader) secrets(references []string) providers.Secrets {
	if len(references) == 0 {
		r.fail("secrets", errors.New("missing: list at least one, such as ${STRIPE_WEBHOOK_SECRET}"))
		return nil
	}
	var live providers.Secrets
	failed := len(r.errs)
	for i, ref := range references {
		if secret := r.secret(fmt.Sprintf("secrets[%d]", i), ref); secret != "" {
			live = append(live, secret)
		}
	}
	if len(live) == 0 && len(r.errs) == failed {
		r.fail("secrets", fmt.Errorf("none is set: set %s", strings.Join(variables(references), " or ")))
	}
	return live
}

// secret resolves one reference. It is empty when the reference is optional
// and its variable not set; otherwise an empty result has been reported.
func (r *reader) secret(field, ref string) string {
	if path, ok := strings.CutPrefix(ref, "file:"); ok {
		return r.secretFile(field, path)
	}
	m := reference.FindStringSubmatch(ref)
	if m == nil {
		r.fail(field, errLiteral)
		return ""
	}
	variable, optional := m[1], m[2] != ""
	value, _ := r.lookup(variable)
	if value == "" && !optional {
		r.fail(field, fmt.Errorf("variable %s is not set or empty", variable))
	}
	return value
}

// secretFile reads a secret as container platforms mount it. One line end at
// its end is what editors add, and no part of it.
func (r *reader) secretFile(field, path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		r.fail(field, fmt.Errorf("read secret: %w", err))
		return ""
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if secret == "" {
		r.fail(field, fmt.Errorf("read secret: %s is empty", path))
	}
	return secret
}

func variables(references []string) []string {
	var names []string
	for _, ref := range references {
		if m := reference.FindStringSubmatch(ref); m != nil {
			names = append(names, m[1])
		}
	}
	return names
}
