package slack

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

const (
	eventCallback  = "event_callback"   // https://docs.slack.dev/apis/events-api
	appRateLimited = "app_rate_limited" // https://docs.slack.dev/reference/events/app_rate_limited
)

// A full type is made of two of these.
var eventType = regexp.MustCompile(`^[!-~]{1,90}$`)

// envelope is what Slack puts around every event.
type envelope struct {
	Type         string         `json:"type"`
	AppID        string         `json:"api_app_id"`
	TeamID       string         `json:"team_id"`
	EnterpriseID string         `json:"enterprise_id"`
	EventID      string         `json:"event_id"`
	EventTime    jsontext.Value `json:"event_time"` // Unix seconds
	Event        jsontext.Value `json:"event"`

	// ContextTeamID is the workspace through which the app gets the event. In a
	// channel that is shared with another company, TeamID can be theirs.
	ContextTeamID string `json:"context_team_id"`

	// MinuteRateLimited is the time of an app_rate_limited, in Unix seconds.
	MinuteRateLimited jsontext.Value `json:"minute_rate_limited"`
}

// Events implements providers.Provider. A request carries one event. Its type
// is Slack's, followed by the subtype where a message has one:
// "reaction_added", "message", "message.message_changed".
func (p *Provider) Events(r providers.Request) ([]providers.Event, error) {
	var e envelope
	if err := providers.ReadJSON(r.Body, &e); err != nil {
		return nil, fmt.Errorf("%s: read event: %w", name, err)
	}
	parsed, err := e.parse()
	if err != nil {
		return nil, fmt.Errorf("%s: read event: %w: %w", name, providers.ErrMalformed, err)
	}
	if parsed.Review == "" {
		parsed.Review = p.foreign(e)
	}
	return []providers.Event{parsed}, nil
}

func (e envelope) parse() (providers.Event, error) {
	for _, team := range []string{e.TeamID, e.EnterpriseID} {
		if team != "" && !teamID.MatchString(team) {
			return providers.Event{}, errors.New("team_id or enterprise_id is no id")
		}
	}
	if e.AppID != "" && !appID.MatchString(e.AppID) {
		return providers.Event{}, errors.New("api_app_id is no id")
	}
	switch e.Type {
	case eventCallback:
		return e.callback()
	case appRateLimited:
		return e.rateLimited()
	default:
		return providers.Event{}, errors.New("type is neither event_callback nor app_rate_limited")
	}
}

func (e envelope) callback() (providers.Event, error) {
	at, err := unixSeconds(e.EventTime)
	if err != nil {
		return providers.Event{}, fmt.Errorf("event_time %w", err)
	}
	if !providers.IsName(e.EventID) {
		return providers.Event{}, errors.New("event_id is missing, too long or not printable")
	}
	var in inner
	if err := providers.ReadJSON(e.Event, &in); err != nil {
		return providers.Event{}, errors.New("event is no object, or has no plain type")
	}
	if !eventType.MatchString(in.Type) {
		return providers.Event{}, errors.New("event.type is missing, too long or not printable")
	}
	typ := in.Type
	if subtype := text(in.Subtype); typ == "message" && subtype != "" {
		if !eventType.MatchString(subtype) {
			return providers.Event{}, errors.New("event.subtype is too long or not printable")
		}
		typ += "." + subtype
	}
	team := cmp.Or(e.TeamID, e.EnterpriseID)
	ref, err := in.ref(team)
	if err != nil {
		return providers.Event{}, err
	}
	if !ref.IsZero() {
		ref.Account = team
	}
	return providers.Event{ID: e.EventID, Type: typ, Ref: ref, OccurredAt: at, Deleted: slices.Contains(deletions, typ)}, nil
}

// deletions are the types that tell the end of their object.
var deletions = []string{"message.message_deleted", "channel_deleted", "group_deleted", "file_deleted"}

// rateLimited reads the notice that Slack stopped sending events, above 30,000
// an hour of one workspace. It has no id. Slack sends one for each minute in
// which it drops events, so app, workspace and minute name it.
func (e envelope) rateLimited() (providers.Event, error) {
	at, err := unixSeconds(e.MinuteRateLimited)
	if err != nil {
		return providers.Event{}, fmt.Errorf("minute_rate_limited %w", err)
	}
	if e.AppID == "" || e.TeamID == "" {
		return providers.Event{}, errors.New("api_app_id or team_id is missing")
	}
	minute := strconv.FormatInt(at.Unix(), 10)
	return providers.Event{
		ID:         strings.Join([]string{appRateLimited, e.AppID, e.TeamID, minute}, "-"),
		Type:       appRateLimited,
		OccurredAt: at,
		Review: fmt.Sprintf("Slack limited the app's events of workspace %s from %s on: events were lost and reconciliation must run",
			e.TeamID, at.Format(time.RFC3339)),
	}, nil
}

// foreign says why an event is not for this source.
func (p *Provider) foreign(e envelope) string {
	switch s := p.settings; {
	case s.AppID != "" && e.AppID != s.AppID:
		return fmt.Sprintf("an event of app %q: the source's app_id is %s", e.AppID, s.AppID)
	case s.TeamID != "" && !slices.Contains([]string{e.TeamID, e.ContextTeamID, e.EnterpriseID}, s.TeamID):
		return fmt.Sprintf("an event of workspace %q: the source's team_id is %s", e.TeamID, s.TeamID)
	default:
		return ""
	}
}

func unixSeconds(v jsontext.Value) (time.Time, error) {
	seconds, err := strconv.ParseUint(string(v), 10, 36) // before the year 4148
	if err != nil {
		return time.Time{}, errors.New("is no time")
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}
