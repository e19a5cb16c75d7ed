// Package declared holds the platforms that need no code: one function each, which
// returns what providers/generic needs to know of it. The comment above a function
// says where that is documented, and why what is not obvious is as it is.
//
// None of them fetches by itself, so a record is what the last event said. Where the
// platform's API can return an object, a source says so in its settings.
package declared

import (
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/generic"
)

// Settings are what a source may add to a declaration; docs/declaring.md explains
// them.
type Settings struct {
	Fetch   generic.Fetch    `yaml:"fetch"`
	Schemas []generic.Schema `yaml:"schemas"`
}

// New returns the constructor of a declared platform. The platform's name starts
// every error.
func New(name string, declaration func() generic.Settings) func(providers.APIConfig, Settings) (*generic.Provider, error) {
	return func(cfg providers.APIConfig, s Settings) (*generic.Provider, error) {
		whole := declaration()
		whole.Fetch, whole.Schemas = s.Fetch, s.Schemas
		return generic.Declared(name, whole)(cfg)
	}
}
