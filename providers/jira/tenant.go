package jira

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/surehook/surehook/providers"
)

// Settings are what a source of Jira may say besides where its API is.
type Settings struct {
	// Site is the host of the site whose webhooks the source gets, such as
	// "acme.atlassian.net". By default it is the host of the API's base URL where
	// that is below atlassian.net. Where no site is known, the events of any are taken.
	Site string `yaml:"site"`
	// Projects are the keys of the projects whose issues are listed; by default
	// all that the account may browse.
	Projects []string `yaml:"projects"`
	// RefreshWebhooks keeps alive the webhooks that the API's OAuth 2.0 app has
	// registered itself, which end after 30 days.
	RefreshWebhooks bool `yaml:"refresh_webhooks"`
}

// gateway is Atlassian's host for the APIs of all sites, and siteDomain the
// domain of the sites. (A site may have a domain of its own as well.)
const (
	gateway    = "api.atlassian.com"
	siteDomain = ".atlassian.net"
)

var hosts = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)

// projectKeys are what Jira lets an administrator make of a project's key. It
// becomes part of a query.
var projectKeys = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,254}$`)

// check returns the site's host, or everything that is wrong with the settings.
func (s Settings) check() (site string, err error) {
	site, err = s.host()
	errs := []error{err}
	for i, key := range s.Projects {
		if !projectKeys.MatchString(key) {
			errs = append(errs, &providers.SettingError{Field: fmt.Sprintf("projects[%d]", i), Err: errors.New("want a project's key, such as ABC")})
		}
	}
	return site, errors.Join(errs...)
}

var (
	errNoHost  = errors.New("want a host, such as acme" + siteDomain)
	errGateway = errors.New("must be set: the base URL is Atlassian's gateway and does not show whose webhooks to take")
)

// host returns the site's host in lower case, or nothing when it is not set.
// People also copy the site's address out of their browser.
func (s Settings) host() (string, error) {
	if s.Site == "" {
		return "", nil
	}
	host := strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(s.Site), "https://"), "/")
	if !hosts.MatchString(host) || host == gateway {
		return "", &providers.SettingError{Field: "site", Err: fmt.Errorf("%q: %w", s.Site, errNoHost)}
	}
	return host, nil
}

// tenant is the site that a source stands for. The zero value is any.
type tenant struct {
	site string
	// base is the API's address, by which objects may also call themselves.
	base *url.URL
}

// newTenant returns the tenant of a base URL that has been found to be one.
func newTenant(site, baseURL string) (tenant, error) {
	base, err := url.Parse(strings.TrimSuffix(strings.ToLower(baseURL), "/"))
	if err != nil {
		return tenant{}, err
	}
	if site == "" && base.Hostname() == gateway {
		return tenant{}, &providers.SettingError{Field: "site", Err: errGateway}
	}
	if site == "" && strings.HasSuffix(base.Hostname(), siteDomain) {
		site = base.Hostname()
	}
	return tenant{site: site, base: base}, nil
}

// owns reports whether an object that calls itself by this URL may be one of
// the tenant's. The URL is compared and never called.
func (t tenant) owns(self string) bool {
	if t.site == "" || self == "" {
		return true
	}
	u, err := url.Parse(strings.ToLower(self))
	if err != nil {
		return false
	}
	return u.Hostname() == t.site ||
		t.base != nil && u.Host == t.base.Host && strings.HasPrefix(u.Path, t.base.Path+"/")
}
