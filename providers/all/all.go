// Package all lists the platforms that Surehook knows. It is the one place
// that names them all, so that nothing depends on which packages happen to be
// linked in.
package all

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/adyen"
	"github.com/surehook/surehook/providers/declared"
	"github.com/surehook/surehook/providers/generic"
	"github.com/surehook/surehook/providers/github"
	"github.com/surehook/surehook/providers/jira"
	"github.com/surehook/surehook/providers/mailchimp"
	"github.com/surehook/surehook/providers/mandrill"
	"github.com/surehook/surehook/providers/msgraph"
	"github.com/surehook/surehook/providers/paypal"
	"github.com/surehook/surehook/providers/shopify"
	"github.com/surehook/surehook/providers/slack"
	"github.com/surehook/surehook/providers/standardwebhooks"
	"github.com/surehook/surehook/providers/stripe"
	"github.com/surehook/surehook/providers/twilio"
)

// platforms is the list, in the order in which people are shown it. A platform
// is added with one line.
var platforms = []platform{
	plain("adyen", adyen.New),
	ready("calendly", declared.Calendly),
	ready("discord", declared.Discord),
	ready("discord-events", declared.DiscordEvents),
	configured("generic", generic.New).required(),
	configured("github", github.New),
	ready("gitlab", declared.GitLab),
	ready("gitlab-token", declared.GitLabToken),
	ready("hubspot", declared.HubSpot),
	ready("intercom", declared.Intercom),
	configured("jira", jira.New),
	ready("launchdarkly", declared.LaunchDarkly),
	ready("linear", declared.Linear),
	configured("mailchimp", mailchimp.New),
	configured("mandrill", mandrill.New),
	configured("msgraph", msgraph.New),
	ready("paddle", declared.Paddle),
	ready("pagerduty", declared.PagerDuty),
	configured("paypal", paypal.New),
	ready("sendgrid", declared.SendGrid),
	configured("shopify", shopify.New),
	configured("slack", slack.New),
	ready("square", declared.Square),
	configured("standard-webhooks", standardwebhooks.New),
	plain("stripe", stripe.New),
	configured("twilio", twilio.New),
	ready("typeform", declared.Typeform),
	ready("zendesk", declared.Zendesk),
}

type platform struct {
	name     string
	settings func() any // a pointer to the settings, all at their defaults; nil without any
	open     func(cfg providers.APIConfig, settings any) (providers.Provider, error)
	needs    bool // there is no platform without settings
}

// required says that the settings have no defaults that would do.
func (p platform) required() platform {
	p.needs = true
	return p
}

// plain is a platform that needs nothing but its API's address and credential.
func plain[P providers.Provider](name string, open func(providers.APIConfig) (P, error)) platform {
	return platform{name: name, open: func(cfg providers.APIConfig, _ any) (providers.Provider, error) {
		p, err := open(cfg)
		if err != nil {
			return nil, err // a typed nil would be no nil
		}
		return p, nil
	}}
}

// configured is a platform with settings of its own.
func configured[S any, P providers.Provider](name string, open func(providers.APIConfig, S) (P, error)) platform {
	return platform{
		name:     name,
		settings: func() any { return new(S) },
		open: func(cfg providers.APIConfig, settings any) (providers.Provider, error) {
			s, ok := settings.(*S)
			if !ok {
				s = new(S)
			}
			p, err := open(cfg, *s)
			if err != nil {
				return nil, err
			}
			return p, nil
		},
	}
}

// ready is a platform whose declaration is compiled in.
func ready(name string, declaration func() generic.Settings) platform {
	return configured(name, declared.New(name, declaration))
}

// New returns the provider for the named platform, with the given access to its
// API. Settings are what Settings returned, filled in, or nil for the defaults.
// The error for an unknown name says which names there are.
func New(name string, cfg providers.APIConfig, settings any) (providers.Provider, error) {
	for _, p := range platforms {
		if p.name == name {
			return p.open(cfg, settings)
		}
	}
	return nil, fmt.Errorf("unknown provider %q: want one of %s", name, strings.Join(Names(), ", "))
}

// Settings returns a pointer to the named platform's settings, for the reader of
// the sources to fill in, or nil when it has none.
func Settings(name string) any {
	for _, p := range platforms {
		if p.name == name && p.settings != nil {
			return p.settings()
		}
	}
	return nil
}

// NeedsSettings reports whether the named platform cannot be opened without settings.
func NeedsSettings(name string) bool {
	return slices.ContainsFunc(platforms, func(p platform) bool { return p.name == name && p.needs })
}

// Names returns the names that New knows.
func Names() []string {
	names := make([]string, 0, len(platforms))
	for _, p := range platforms {
		names = append(names, p.name)
	}
	return names
}
