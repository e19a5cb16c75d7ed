package github

import (
	"errors"
	"fmt"
	"slices"

	"github.com/surehook/surehook/providers"
)

// Settings say what can be listed at GitHub. A source needs none of it to take
// events.
type Settings struct {
	// Repositories are those whose issues and pull requests are listed, such as
	// "octo/hello".
	Repositories []string `yaml:"repositories"`
	// Hooks are the webhooks that send to this source.
	Hooks []Hook `yaml:"hooks"`
}

// Hook is a webhook of a repository or of an organization.
type Hook struct {
	Repository   string `yaml:"repository"`
	Organization string `yaml:"organization"`
	// ID is the number at the end of the address of the hook's page, and the header
	// X-GitHub-Hook-ID of what it sends.
	ID int64 `yaml:"id"`
}

var (
	errRepository   = errors.New("want owner/name")
	errOrganization = errors.New("want an organization's login")
	errOwner        = errors.New("want either repository or organization")
	errHookID       = errors.New("want the hook's number")
	errTwice        = errors.New("is declared twice")
)

// Validate returns all that is wrong.
func (s Settings) Validate() error {
	var errs []error
	fail := func(field string, i int, err error) {
		errs = append(errs, &providers.SettingError{Field: fmt.Sprintf("%s[%d]", field, i), Err: err})
	}
	for i, repository := range s.Repositories {
		switch _, err := escapeRepository(repository); {
		case err != nil:
			fail("repositories", i, errRepository)
		case slices.Index(s.Repositories, repository) < i:
			fail("repositories", i, errTwice)
		}
	}
	for i, hook := range s.Hooks {
		switch err := hook.validate(); {
		case err != nil:
			fail("hooks", i, err)
		case slices.Index(s.Hooks, hook) < i:
			fail("hooks", i, errTwice)
		}
	}
	return errors.Join(errs...)
}

func (h Hook) validate() error {
	if (h.Repository == "") == (h.Organization == "") {
		return errOwner
	}
	if h.ID <= 0 {
		return errHookID
	}
	if h.Organization != "" && !shapes["owner"].MatchString(h.Organization) {
		return errOrganization
	}
	if _, err := escapeRepository(h.Repository); err != nil && h.Repository != "" {
		return errRepository
	}
	return nil
}

// hookPaths returns where the API has the hooks.
func (s Settings) hookPaths() []string {
	var paths []string
	for _, h := range s.Hooks {
		owner := "/orgs/" + h.Organization
		if h.Repository != "" {
			owner = "/repos/" + h.Repository
		}
		paths = append(paths, fmt.Sprintf("%s/hooks/%d", owner, h.ID))
	}
	return paths
}
