// Package slack is the Slack platform: the Events API in, the Web API out.
//
// Slack signs the raw body together with the time, so an event's id is covered
// by the signature (https://docs.slack.dev/authentication/verifying-requests-from-slack).
// Three things are special about it:
//
//   - The check of an endpoint's certificate, a form with ssl_check=1, is not
//     signed. It is answered, and nothing in it is believed.
//   - The event app_rate_limited has no envelope of its own. It says that events
//     were not sent, so it goes to an operator.
//   - The Web API reports its errors with status 200, as {"ok": false}.
//
// The member "token" of a body is the scheme that signatures have replaced, and
// is never looked at. Slash commands and interactive components come as signed
// forms; they are no events, so they are kept for review.
package slack

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/surehook/surehook/providers"
)

const (
	name           = "slack"
	defaultBaseURL = "https://slack.com/api"
)

// Settings bind a source to one app and one workspace. Both are optional.
type Settings struct {
	// AppID is the app whose events the source takes, such as A0123ABCD. An
	// operator is shown those of another one.
	AppID string `yaml:"app_id"`
	// TeamID is the workspace whose API token the source has. An operator is
	// shown events of another one: our token does not see its objects, and Slack
	// would say of each that it does not exist.
	TeamID string `yaml:"team_id"`
	// Channels are the conversations whose messages are listed, by their ids, such
	// as C0123ABCD. The bot has to be in them.
	Channels []string `yaml:"channels"`
}

var (
	appID  = regexp.MustCompile(`^A[0-9A-Z]{1,40}$`)
	teamID = regexp.MustCompile(`^[TE][0-9A-Z]{1,40}$`) // E is an organization
)

func (s Settings) validate() error {
	var errs []error
	if s.AppID != "" && !appID.MatchString(s.AppID) {
		errs = append(errs, &providers.SettingError{Field: "app_id", Err: errors.New("want an app's id, such as A0123ABCD")})
	}
	if s.TeamID != "" && !teamID.MatchString(s.TeamID) {
		errs = append(errs, &providers.SettingError{Field: "team_id", Err: errors.New("want a workspace's id, such as T0123ABCD")})
	}
	for i, channel := range s.Channels {
		if !kinds[channelRef].id.MatchString(channel) {
			errs = append(errs, &providers.SettingError{
				Field: fmt.Sprintf("channels[%d]", i), Err: errors.New("want a channel's id, such as C0123ABCD"),
			})
		}
	}
	return errors.Join(errs...)
}

var (
	_ providers.Provider   = (*Provider)(nil)
	_ providers.Handshaker = (*Provider)(nil)
	_ providers.Prober     = (*Provider)(nil)
	_ providers.Fetcher    = (*Provider)(nil)
	_ providers.Lister     = (*Provider)(nil)
)

// Provider is Slack. Create one with New.
type Provider struct {
	client   *providers.Client
	key      string
	settings Settings
}

// New returns a provider that calls the Web API at cfg.BaseURL, by default
// Slack's own, with cfg.Key: a bot token with the scopes that the source's
// events are about.
func New(cfg providers.APIConfig, s Settings) (*Provider, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = defaultBaseURL
	}
	client, err := providers.NewClient(name, cfg, classify)
	if err != nil {
		return nil, err
	}
	return &Provider{client: client, key: cfg.Key, settings: s}, nil
}
