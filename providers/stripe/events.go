package stripe

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// The values of an event's "object" member.
const (
	snapshotEvent = "event"         // https://docs.stripe.com/api/events/object
	thinEvent     = "v2.core.event" // https://docs.stripe.com/api/v2/core/events/object
)

// event is what both kinds of event have in common, and what each has of its own.
type event struct {
	ID         string         `json:"id"`
	Object     string         `json:"object"`
	Type       string         `json:"type"`
	Created    jsontext.Value `json:"created"` // snapshot: Unix seconds; thin: RFC 3339
	Livemode   *bool          `json:"livemode"`
	APIVersion string         `json:"api_version"`
	Account    string         `json:"account"` // the Connect account it happened in
	Context    string         `json:"context"` // the same, for organizations and thin events

	Data struct {
		Object *struct {
			ID     string `json:"id"`
			Object string `json:"object"`
		} `json:"object"`
	} `json:"data"`

	// RelatedObject also has a URL. It is not read: what we call is made from
	// the type and the id, so that no event can send our credential elsewhere.
	RelatedObject struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	} `json:"related_object"`
}

// Events implements providers.Provider. A Stripe request carries one event.
func (p *Provider) Events(r providers.Request) ([]providers.Event, error) {
	var e event
	if err := providers.ReadJSON(r.Body, &e); err != nil {
		return nil, fmt.Errorf("%s: read event: %w", name, err)
	}
	parsed, err := e.parse()
	if err != nil {
		return nil, fmt.Errorf("%s: read event: %w: %w", name, providers.ErrMalformed, err)
	}
	return []providers.Event{parsed}, nil
}

func (e event) parse() (providers.Event, error) {
	ref, err := e.ref()
	if err != nil {
		return providers.Event{}, err
	}
	occurred, err := e.occurredAt()
	if err != nil {
		return providers.Event{}, err
	}
	if e.Livemode == nil {
		return providers.Event{}, errors.New("livemode is missing")
	}
	mode := providers.ModeTest
	if *e.Livemode {
		mode = providers.ModeLive
	}
	if !providers.IsName(e.ID) || !providers.IsName(e.Type) || len(e.APIVersion) > providers.MaxName {
		return providers.Event{}, errors.New("id, type or api_version is missing, too long or not printable")
	}
	return providers.Event{
		ID:         e.ID,
		Type:       e.Type,
		Ref:        ref,
		OccurredAt: occurred,
		Mode:       mode,
		APIVersion: e.APIVersion,
		Deleted:    strings.HasSuffix(e.Type, ".deleted"),
	}, nil
}

// ref names the object that the event is about. Some objects have no id: a
// balance, or the preview in invoice.upcoming. They are no objects of their
// own but views, so the ref stays zero.
func (e event) ref() (providers.Ref, error) {
	ref := providers.Ref{Account: e.Account}
	if ref.Account == "" {
		ref.Account = e.Context
	}
	switch {
	case e.Object == thinEvent:
		ref.Type, ref.ID = e.RelatedObject.Type, e.RelatedObject.ID
	case e.Object != snapshotEvent:
		return providers.Ref{}, errors.New("object is neither an event nor a thin event")
	case e.Data.Object == nil:
		return providers.Ref{}, errors.New("data.object is missing")
	default:
		ref.Type, ref.ID = e.Data.Object.Object, e.Data.Object.ID
	}
	if ref.Type == "" || ref.ID == "" {
		return providers.Ref{}, nil
	}
	if !providers.IsName(ref.Type) || !isObjectID(ref.ID) || (ref.Account != "" && !providers.IsName(ref.Account)) {
		return providers.Ref{}, errors.New("type, id or account of the object is too long or not printable")
	}
	return ref, nil
}

func (e event) occurredAt() (time.Time, error) {
	if e.Object == thinEvent {
		text, err := jsontext.AppendUnquote(nil, e.Created)
		if err != nil {
			return time.Time{}, errors.New("created is no time")
		}
		at, err := time.Parse(time.RFC3339Nano, string(text))
		if err != nil {
			return time.Time{}, errors.New("created is no time")
		}
		return at.UTC(), nil
	}
	at := unixTime(e.Created)
	if at.IsZero() {
		return time.Time{}, errors.New("created is no time")
	}
	return at, nil
}

// isObjectID reports whether s can be the id of an object. Stripe's users choose
// those of coupons, products and the like, and may use blanks.
func isObjectID(s string) bool {
	return providers.IsName(strings.ReplaceAll(s, " ", "_"))
}
