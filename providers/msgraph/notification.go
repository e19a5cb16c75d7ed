package msgraph

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// collection is the body of a request.
//
// Source: learn.microsoft.com/graph/api/resources/changenotificationcollection.
type collection struct {
	ValidationTokens []string         `json:"validationTokens"`
	Value            []jsontext.Value `json:"value"`

	items []item // Value, read
}

// item is one notification: of a change, or of its subscription's lifecycle.
//
// Source: learn.microsoft.com/graph/api/resources/changenotification.
type item struct {
	ID               string            `json:"id"`
	SubscriptionID   string            `json:"subscriptionId"`
	TenantID         string            `json:"tenantId"`
	ClientState      string            `json:"clientState"`
	ChangeType       string            `json:"changeType"`
	LifecycleEvent   string            `json:"lifecycleEvent"`
	Resource         string            `json:"resource"`
	ResourceData     jsontext.Value    `json:"resourceData"`
	EncryptedContent *encryptedContent `json:"encryptedContent"`

	raw  jsontext.Value
	data resourceData
}

// resourceData is what of an item's resourceData has a meaning for us. Which
// members there are, and what they hold, is up to the kind of resource.
//
// Source: learn.microsoft.com/graph/api/resources/resourcedata.
type resourceData struct {
	Type jsontext.Value `json:"@odata.type"`
	ETag jsontext.Value `json:"@odata.etag"`
	// Notifications about users and groups have these instead of an ETag.
	SequenceNumber jsontext.Value `json:"sequenceNumber"`
	EventTime      jsontext.Value `json:"eventTime"`
}

// saysVersion reports whether the data tells one state of its object from another.
func (d resourceData) saysVersion() bool {
	return text(d.ETag) != "" || text(d.EventTime) != "" || d.SequenceNumber.Kind() == jsontext.KindNumber
}

// text is the string that the value is, or nothing.
func text(v jsontext.Value) string {
	if v.Kind() != jsontext.KindString {
		return ""
	}
	s, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return ""
	}
	return string(s)
}

// What an item's members may hold. Subscriptions have GUIDs, change types and
// lifecycle events are words; the bounds leave room.
var (
	subscriptionIDs = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)
	words           = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z]{0,63}$`)
)

// read reads a body. The error wraps ErrMalformed.
func read(body []byte) (collection, error) {
	var c collection
	if err := providers.ReadJSON(body, &c); err != nil {
		return collection{}, err
	}
	if len(c.Value) == 0 {
		return collection{}, fmt.Errorf("%w: no notification in value", providers.ErrMalformed)
	}
	c.items = make([]item, len(c.Value))
	for i, raw := range c.Value {
		n, err := readItem(raw)
		if err != nil {
			return collection{}, fmt.Errorf("item %d of %d: %w", i+1, len(c.Value), err)
		}
		c.items[i] = n
	}
	return c, nil
}

func readItem(raw jsontext.Value) (item, error) {
	n := item{raw: raw}
	if err := providers.ReadJSON(raw, &n); err != nil {
		return item{}, err
	}
	if n.ResourceData.Kind() == jsontext.KindBeginObject {
		if err := providers.ReadJSON(n.ResourceData, &n.data); err != nil {
			return item{}, err
		}
	}
	if err := n.check(); err != nil {
		return item{}, fmt.Errorf("%w: %w", providers.ErrMalformed, err)
	}
	return n, nil
}

func (n item) check() error {
	switch {
	case !subscriptionIDs.MatchString(n.SubscriptionID):
		return errors.New("subscriptionId is missing or no id")
	case n.TenantID != "" && !tenantNames.MatchString(n.TenantID): // personal accounts may have none
		return errors.New("tenantId is no id")
	case n.LifecycleEvent != "" && n.ChangeType == "":
		if !words.MatchString(n.LifecycleEvent) {
			return errors.New("lifecycleEvent is no word")
		}
	case !words.MatchString(n.ChangeType):
		return errors.New("changeType is missing or no word")
	case n.Resource == "":
		return errors.New("resource is missing")
	}
	return nil
}

func (n item) isLifecycle() bool { return n.ChangeType == "" }

// tenant is the item's tenant as it is compared.
func (n item) tenant() string { return strings.ToLower(n.TenantID) }

// payload is the item without its secret.
func (n item) payload() ([]byte, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(n.raw, &members); err != nil {
		return nil, fmt.Errorf("%w: unreadable item", providers.ErrMalformed)
	}
	delete(members, "clientState")
	return json.Marshal(members, json.Deterministic(true))
}
