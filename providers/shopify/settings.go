package shopify

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/surehook/surehook/providers"
)

// defaultVersion is the version of the Admin API that the queries were written
// for. Shopify keeps a version for a year at least
// (https://shopify.dev/docs/api/usage/versioning).
const defaultVersion = "2026-07"

// Settings say which shops a source takes events from. The domain is the one
// that ends in myshopify.com, whatever customers call the shop by.
type Settings struct {
	// Shop is the only shop; its access token is the source's api.key.
	Shop string `yaml:"shop"`
	// Shops are several, each with a token of its own.
	Shops []Shop `yaml:"shops"`
	// APIVersion of the Admin API, such as "2026-07".
	APIVersion string `yaml:"api_version"`
}

// Shop is one of several.
type Shop struct {
	Domain      string           `yaml:"domain"`
	AccessToken providers.Secret `yaml:"access_token"`
}

var (
	domains  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,99}\.myshopify\.com$`)
	versions = regexp.MustCompile(`^(20[0-9]{2}-(01|04|07|10)|unstable)$`)
)

var (
	errDomain  = errors.New(`want the shop's own domain, in lower case: "<shop>.myshopify.com"`)
	errVersion = errors.New(`want a quarterly version such as "` + defaultVersion + `"`)
	errBoth    = errors.New("not beside shops: put the shop among them")
	errTwice   = errors.New("is declared twice")
	errNoToken = errors.New("is missing: every shop has a token of its own")
)

// check returns the declared shops with their tokens, or all that is wrong.
func (s Settings) check(key string) ([]Shop, error) {
	var errs []error
	fail := func(field string, err error) { errs = append(errs, &providers.SettingError{Field: field, Err: err}) }
	if !versions.MatchString(s.version()) {
		fail("api_version", errVersion)
	}
	declared := s.Shops
	if s.Shop != "" {
		if len(s.Shops) > 0 {
			fail("shop", errBoth)
		}
		if !domains.MatchString(s.Shop) {
			fail("shop", errDomain)
		}
		declared = []Shop{{Domain: s.Shop, AccessToken: providers.Secret(key)}}
	}
	seen := map[string]bool{}
	for i, one := range s.Shops {
		field := fmt.Sprintf("shops[%d]", i)
		switch {
		case !domains.MatchString(one.Domain):
			fail(field+".domain", errDomain)
		case seen[one.Domain]:
			fail(field+".domain", errTwice)
		}
		if one.AccessToken == "" {
			fail(field+".access_token", errNoToken)
		}
		seen[one.Domain] = true
	}
	return declared, errors.Join(errs...)
}

func (s Settings) version() string {
	if s.APIVersion == "" {
		return defaultVersion
	}
	return s.APIVersion
}
