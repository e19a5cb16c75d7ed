package mailchimp

import (
	"crypto/md5" //nolint:gosec // it names members in Mailchimp's API, and proves nothing
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// The types that are not about one member under one address.
const (
	typeCampaign = "campaign"
	typeUpEmail  = "upemail"
	// typeOldEmail is our own: the second event in a request of type upemail.
	typeOldEmail = typeUpEmail + ".old"
)

// The types of refs.
const (
	refMember   = "member"
	refCampaign = "campaign"
)

// memberTypes are the events that are about the member data[email] of the
// audience data[list_id].
var memberTypes = map[string]bool{"subscribe": true, "unsubscribe": true, "profile": true, "cleaned": true}

var (
	typeName = regexp.MustCompile(`^[a-z][a-z_]{0,49}$`)
	// objectName is an id of Mailchimp's: today ten hex digits.
	objectName = regexp.MustCompile(`^[0-9A-Za-z]{1,32}$`)
)

// firedAtLayout is how Mailchimp writes a time. It names no zone. The API's own
// times are UTC, and so are these taken to be; nothing is decided by them.
const firedAtLayout = "2006-01-02 15:04:05"

// Events implements providers.Provider. A request carries one event, but a
// member who changes the address carries two: the new one begins, and the old
// one, which is another member to the API, ends.
//
// Mailchimp gives an event no ID. Ours is made of what the event is about and of
// the body's hash, so that it is the same for every delivery, and as much
// proven as the body: no captured body can come in under another ID.
func (p *Provider) Events(r providers.Request) ([]providers.Event, error) {
	form, err := providers.ReadForm(r.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: read event: %w", name, err)
	}
	events, err := parse(form, r.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: read event: %w: %w", name, providers.ErrMalformed, err)
	}
	return events, nil
}

// notice is one request's form.
type notice struct {
	form  map[string]string
	event providers.Event // what all events of the request have in common
}

func parse(form map[string]string, body []byte) ([]providers.Event, error) {
	event, err := common(form, body)
	if err != nil {
		return nil, err
	}
	n := notice{form: form, event: event}
	if n.event.Type == typeUpEmail {
		return n.moved()
	}
	n.event.Ref, err = n.ref()
	if err != nil {
		return nil, err
	}
	return []providers.Event{n.event}, nil
}

func common(form map[string]string, body []byte) (providers.Event, error) {
	if !typeName.MatchString(form["type"]) {
		return providers.Event{}, errors.New("type is missing or no name")
	}
	at, err := time.Parse(firedAtLayout, form["fired_at"])
	if err != nil {
		return providers.Event{}, errors.New("fired_at is missing or no time")
	}
	id, err := eventID(form, at, body)
	if err != nil {
		return providers.Event{}, err
	}
	payload, err := nested(form)
	if err != nil {
		return providers.Event{}, err
	}
	return providers.Event{ID: id, Type: form["type"], OccurredAt: at, Payload: payload}, nil
}

// eventID begins with what an operator may search for. The hash tells apart
// what happened to the same member in the same second.
func eventID(form map[string]string, at time.Time, body []byte) (string, error) {
	parts := []string{form["type"]}
	for _, field := range []string{"data[list_id]", "data[id]", "data[new_id]"} {
		switch value := form[field]; {
		case value == "":
		case !objectName.MatchString(value):
			return "", fmt.Errorf("%s is no id", field)
		default:
			parts = append(parts, value)
		}
	}
	sum := sha256.Sum256(body)
	parts = append(parts, at.Format("20060102T150405"), hex.EncodeToString(sum[:16]))
	return strings.Join(parts, "-"), nil
}

// ref names what the event is about. Of a type that we do not know it is the
// member, if it names one.
func (n notice) ref() (providers.Ref, error) {
	switch {
	case n.event.Type == typeCampaign:
		id := n.form["data[id]"]
		if id == "" {
			return providers.Ref{}, errors.New("data[id] is missing")
		}
		return providers.Ref{Type: refCampaign, ID: id}, nil
	case memberTypes[n.event.Type], n.form["data[list_id]"] != "" && n.form["data[email]"] != "":
		return n.member("data[email]")
	}
	return providers.Ref{}, nil
}

// moved returns both halves of a change of address. Where only the case of the
// letters changes, the member stays the same, and there is no old one.
func (n notice) moved() ([]providers.Event, error) {
	now, err := n.member("data[new_email]")
	if err != nil {
		return nil, err
	}
	before, err := n.member("data[old_email]")
	if err != nil {
		return nil, err
	}
	n.event.Ref = now
	if before == now {
		return []providers.Event{n.event}, nil
	}
	old := n.event
	old.ID += ".old"
	old.Type = typeOldEmail
	old.Ref = before
	old.Deleted = true
	return []providers.Event{n.event, old}, nil
}

// member names a member as the API does: by the MD5 of the address in lower
// case, within its audience.
//
// Source: mailchimp.com/developer/marketing/docs/methods-parameters.
func (n notice) member(field string) (providers.Ref, error) {
	list, email := n.form["data[list_id]"], n.form[field]
	if list == "" || email == "" {
		return providers.Ref{}, fmt.Errorf("data[list_id] or %s is missing", field)
	}
	hash := md5.Sum([]byte(strings.ToLower(email))) //nolint:gosec // see the import
	return providers.Ref{Type: refMember, ID: list + "/" + hex.EncodeToString(hash[:])}, nil
}
