package paypal

import (
	"fmt"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// Events implements providers.Provider. A PayPal request carries one event. The ID
// stands in the body, of which only the checksum is signed, so the transmission
// names the event as well: it is the same for nothing else.
func (p *Provider) Events(r providers.Request) ([]providers.Event, error) {
	var body struct {
		ID           string `json:"id"`
		Type         string `json:"event_type"`
		Created      string `json:"create_time"`
		ResourceType string `json:"resource_type"`
		Version      string `json:"resource_version"`
		Resource     struct {
			ID        string `json:"id"`
			DisputeID string `json:"dispute_id"`
		} `json:"resource"`
	}
	if err := providers.ReadJSON(r.Body, &body); err != nil {
		return nil, fail("read event", err)
	}
	if !providers.IsName(body.ID) || !providers.IsName(body.Type) || (body.Version != "" && !providers.IsName(body.Version)) {
		return nil, fail("read event", fmt.Errorf("%w: id, event_type or resource_version is missing, too long or not printable", providers.ErrMalformed))
	}
	e := providers.Event{
		ID:          body.ID,
		Type:        body.Type,
		APIVersion:  body.Version,
		Deleted:     strings.HasSuffix(body.Type, ".DELETED"),
		Fingerprint: providers.Fingerprint([]byte(r.Header.Get(headerID))),
	}
	if at, err := time.Parse(time.RFC3339Nano, body.Created); err == nil {
		e.OccurredAt = at.UTC()
	}
	ref := providers.Ref{Type: body.ResourceType, ID: body.Resource.ID}
	if ref.ID == "" {
		ref.ID = body.Resource.DisputeID // the one resource whose id has another name
	}
	if providers.IsName(ref.Type) && providers.IsName(ref.ID) {
		e.Ref = ref
	}
	return []providers.Event{e}, nil
}
