// Package all lists the platforms that Surehook knows. It is the one place
// that names them all, so that nothing depends on which packages happen to be
// linked in.
package all

import (
	"fmt"
	"strings"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/github"
	"github.com/surehook/surehook/providers/stripe"
)

// platforms is the list, in the order in which people are shown it. A platform
// is added with one line.
var platforms = []platform{
	{"github", opener(github.New)},
	{"stripe", opener(stripe.New)},
}

type platform struct {
	name string
	open func(providers.APIConfig) (providers.Provider, error)
}

// opener lets a platform's New return its own type.
func opener[P providers.Provider](open func(providers.APIConfig) (P, error)) func(providers.APIConfig) (providers.Provider, error) {
	return func(cfg providers.APIConfig) (providers.Provider, error) {
		p, err := open(cfg)
		if err != nil {
			return nil, err
		}
		return p, nil
	}
}

// New returns the provider for the named platform, with the given access to its
// API. The error for an unknown name says which names there are.
func New(name string, cfg providers.APIConfig) (providers.Provider, error) {
	for _, p := range platforms {
		if p.name == name {
			return p.open(cfg)
		}
	}
	return nil, fmt.Errorf("unknown provider %q: want one of %s", name, strings.Join(Names(), ", "))
}

// Names returns the names that New knows.
func Names() []string {
	names := make([]string, 0, len(platforms))
	for _, p := range platforms {
		names = append(names, p.name)
	}
	return names
}
