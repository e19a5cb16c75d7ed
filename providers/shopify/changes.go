package shopify

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// change is the body of a delivery of Events, the successor of webhooks: what
// changed on which resource. In contrast to a webhook's body it names its topic
// and its action, so both are signed.
//
// Source: shopify.dev/docs/apps/build/events/delivery-structure.
type change struct {
	Topic          string                    `json:"topic"`
	Action         string                    `json:"action"`
	QueryVariables map[string]jsontext.Value `json:"query_variables"`
}

// readChange reads a delivery of Events. The resource's id is taken from the
// body. The header Shopify-Resource-Id, which Shopify stopped sending in
// September 2026, only must not contradict it.
func readChange(body []byte, said labels) (providers.Event, error) {
	var c change
	if err := providers.ReadJSON(body, &c); err != nil {
		return providers.Event{}, err
	}
	gid := text(c.QueryVariables[strings.ToLower(said[labelTopic][:1])+said[labelTopic][1:]+"Id"])
	id, ok := strings.CutPrefix(gid, gidPrefix+c.Topic+"/")
	switch {
	case c.Topic != said[labelTopic]:
		return providers.Event{}, malformed(errors.New("the body has another topic than the header Shopify-Topic"))
	case !actions.MatchString(c.Action):
		return providers.Event{}, malformed(errors.New("the body has no action"))
	case said[labelAction] != "" && said[labelAction] != c.Action:
		return providers.Event{}, malformed(errors.New("the body has another action than the header Shopify-Action"))
	case !ok || !ids.MatchString(id):
		return providers.Event{}, malformed(errors.New("the body does not name its resource"))
	case said[labelResourceID] != "" && said[labelResourceID] != gid:
		return providers.Event{}, malformed(errors.New("the body names another resource than the header Shopify-Resource-Id"))
	}
	return providers.Event{
		Type:    c.Topic + "/" + c.Action,
		Ref:     providers.Ref{Type: kindOf(c.Topic), ID: id},
		Deleted: c.Action == "delete",
	}, nil
}

// kindOf is the ref type of a resource of the Admin API. One that is not
// fetched keeps its name.
func kindOf(gidType string) string {
	for name, k := range kinds {
		if k.gid == gidType {
			return name
		}
	}
	return gidType
}
