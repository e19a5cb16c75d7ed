// Package standardwebhooks knows every sender that signs as Standard Webhooks
// says (https://github.com/standard-webhooks/standard-webhooks, spec 1.0.0), and
// under the older names of the same headers those of Svix. The specification
// says how requests are signed and only recommends what they carry, so the rest
// is declared; see Settings.
package standardwebhooks

import (
	"errors"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/generic"
)

const name = "standard-webhooks"

// Settings declare what the specification leaves open. Without any, bodies are
// read as it recommends: type, timestamp, and in data the object with its id.
type Settings struct {
	// Event says where events are named, as for a declared source. Its ID is
	// always the header webhook-id.
	Event generic.Event `yaml:"event"`
	// Fetch is the API that returns objects. The specification has none.
	Fetch generic.Fetch `yaml:"fetch"`
	// Schemas are the contracts for payloads.
	Schemas []generic.Schema `yaml:"schemas"`
}

// Provider is a sender of Standard Webhooks. All but its signatures is declared.
type Provider struct{ *generic.Provider }

// New returns a provider for the declared sender.
func New(cfg providers.APIConfig, s Settings) (*Provider, error) {
	var fixed error
	if s.Event.ID != nil || s.Event.IDHash != nil {
		fixed = &providers.SettingError{Field: "event.id", Err: errors.New("has no effect: the ID is the header webhook-id")}
	}
	declared := generic.Settings{Event: withDefaults(s.Event), Fetch: s.Fetch, Schemas: s.Schemas}
	p, err := generic.Proven(name, cfg, declared, proof{})
	if err = join(fixed, err); err != nil {
		return nil, err
	}
	return &Provider{Provider: p}, nil
}

// join keeps the list of errors flat, as whoever names their fields expects it.
func join(first, others error) error {
	all := []error{first}
	if list, ok := others.(interface{ Unwrap() []error }); ok {
		return errors.Join(append(all, list.Unwrap()...)...)
	}
	return errors.Join(first, others)
}

// withDefaults fills in what the specification recommends for bodies. An object
// is called by what its events have in common: contact of contact.created.
func withDefaults(e generic.Event) generic.Event {
	e.ID, e.IDHash = generic.Value{"header:" + headerID + " ?? header:" + svixID}, nil
	if e.Type == nil {
		e.Type = generic.Value{"json:type"}
	}
	if e.Time == "" {
		e.Time = "json:timestamp"
	}
	if e.Ref.Type == nil && e.Ref.ID == nil {
		e.Ref.Type, e.Ref.ID = generic.Value{"stem:type"}, generic.Value{"json:data.id"}
	}
	return e
}
