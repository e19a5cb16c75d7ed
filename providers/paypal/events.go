package paypal

import (
	"fmt"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// maxIDBytes is the longest id the product stores.
const maxIDBytes = 200

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
	if !isID(body.ID) || !isID(body.Type) || (body.Version != "" && !isID(body.Version)) {
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
	if isID(ref.Type) && isID(ref.ID) {
		e.Ref = ref
	}
	return []providers.Event{e}, nil
}

// isID reports whether s can be an id or a type: printable ASCII without blanks,
// and not too long.
func isID(s string) bool {
	if s == "" || len(s) > maxIDBytes {
		return false
	}
	return strings.IndexFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) < 0
}
