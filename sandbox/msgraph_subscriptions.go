package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

const (
	msgraphSubscriptionsPath = "/v1.0/subscriptions"
	// msgraphLongest is how long a subscription to users may last, the longest of
	// the kinds that the sandbox has; those to mail and calendars may last a week.
	msgraphLongest = 29 * 24 * time.Hour
	msgraphWeek    = 7 * 24 * time.Hour
	// msgraphSubscriptionPage is small, so that who lists subscriptions has to page.
	msgraphSubscriptionPage = 2
)

// errNobodySubscribed is why a change is not sent.
var errNobodySubscribed = fmt.Errorf("nobody is subscribed: %w", ErrNoObject)

// msgraphOrder is the body of a call that makes or renews a subscription.
type msgraphOrder struct {
	ChangeType      string `json:"changeType"`
	NotificationURL string `json:"notificationUrl"`
	LifecycleURL    string `json:"lifecycleNotificationUrl"`
	Resource        string `json:"resource"`
	Expires         string `json:"expirationDateTime"`
	ClientState     string `json:"clientState"`
}

// subscribed reports whether a subscription is to objects of the kind.
func (k msgraphKind) subscribed(o *Object) bool {
	return strings.EqualFold(strings.Trim(member(o, "resource"), "/"), strings.Trim(k.resource, "/"))
}

// subscriptionOf returns the subscription that a change of a kind is sent for: of
// those that were made through the API the one that lasts longest. As long as
// nobody has made one, the sandbox has one of its own, and keeps it alive.
func (g *msgraph) subscriptionOf(t *tx, kind msgraphKind) (id string, err error) {
	var found *Object
	made := false
	for _, o := range t.p.objects {
		if o.Ref.Type != msgraphSubscription || member(o, "notificationUrl") == msgraphOwnURL || !kind.subscribed(o) {
			continue
		}
		made = true
		if !o.Deleted && expires(o).After(t.now) && (found == nil || expires(o).After(expires(found))) {
			found = o
		}
	}
	own := providers.Ref{Type: msgraphSubscription, ID: kind.subscription}
	switch {
	case found != nil:
		return found.Ref.ID, nil
	case made:
		return "", errNobodySubscribed
	case t.p.objects[own] == nil:
		_, err = g.subscribe(t, own.ID, kind.resource, nil)
	case t.p.objects[own].Deleted:
		err = errNobodySubscribed
	case !expires(t.p.objects[own]).After(t.now):
		_, err = t.change(own, func(o fields) { o["expirationDateTime"] = msgraphExpiry(t) })
	}
	return own.ID, err
}

// member is a member of an object that is a text.
func member(o *Object, name string) string {
	state, err := decode(o.State)
	if err != nil {
		return ""
	}
	text, _ := state[name].(string)
	return text
}

func expires(o *Object) time.Time {
	at, err := time.Parse(time.RFC3339, member(o, "expirationDateTime"))
	if err != nil {
		return time.Time{}
	}
	return at
}

// msgraphSubscriptions answers calls that list, renew, reauthorize or end
// subscriptions. One that has expired is gone.
func msgraphSubscriptions(t *tx, r *http.Request, body []byte) (*answer, bool) {
	if r.Method == http.MethodGet && r.URL.Path == msgraphSubscriptionsPath {
		return msgraphListed(t, r), true
	}
	id, action, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, msgraphSubscriptionsPath+"/"), "/")
	ref := providers.Ref{Type: msgraphSubscription, ID: id}
	o := t.p.objects[ref]
	if o == nil || !strings.HasPrefix(r.URL.Path, msgraphSubscriptionsPath+"/") {
		return nil, false
	}
	if o.Deleted || !expires(o).After(t.now) {
		return msgraphMissing(msgraphSubscriptionsPath + "/" + id), true
	}
	switch {
	case r.Method == http.MethodPost && action == "reauthorize":
		return &answer{status: http.StatusNoContent, header: http.Header{}}, true
	case r.Method == http.MethodDelete && action == "":
		if err := t.remove(ref); err != nil {
			return msgraphMissing(r.URL.Path), true
		}
		return &answer{status: http.StatusNoContent, header: http.Header{}}, true
	case r.Method == http.MethodPatch && action == "":
		return msgraphRenewed(t, o, body), true
	}
	return nil, false
}

func msgraphListed(t *tx, r *http.Request) *answer {
	var live []*Object
	for _, o := range t.p.objects {
		if o.Ref.Type == msgraphSubscription && !o.Deleted && expires(o).After(t.now) && o.Ref.ID > r.URL.Query().Get("$skiptoken") {
			live = append(live, o)
		}
	}
	slices.SortFunc(live, func(a, b *Object) int { return compareRefs(a.Ref, b.Ref) })
	body := fields{"@odata.context": selfURL(r, "/v1.0/$metadata#subscriptions")}
	if len(live) > msgraphSubscriptionPage {
		live = live[:msgraphSubscriptionPage]
		body["@odata.nextLink"] = selfURL(r, msgraphSubscriptionsPath+"?$skiptoken="+live[len(live)-1].Ref.ID)
	}
	value := []any{}
	for _, o := range live {
		value = append(value, msgraphWithoutState(o))
	}
	body["value"] = value
	return msgraphAnswer(http.StatusOK, body)
}

// msgraphWithoutState is a subscription as Graph shows it: the clientState is for
// notifications only.
func msgraphWithoutState(o *Object) fields {
	state, err := decode(o.State)
	if err != nil {
		return fields{}
	}
	state["clientState"] = nil
	return state
}

func msgraphRenewed(t *tx, o *Object, body []byte) *answer {
	var order msgraphOrder
	if json.Unmarshal(body, &order) != nil || !mayLast(t, member(o, "resource"), order.Expires) {
		return msgraphError(http.StatusBadRequest, "ExtensionError", "Subscription expiration can only be set within the resource's limit.")
	}
	if _, err := t.change(o.Ref, func(state fields) { state["expirationDateTime"] = order.Expires }); err != nil {
		return msgraphMissing(msgraphSubscriptionsPath + "/" + o.Ref.ID)
	}
	return msgraphAnswer(http.StatusOK, msgraphWithoutState(o))
}

// mayLast reports whether a subscription to the resource may end at that time.
func mayLast(t *tx, resource, until string) bool {
	at, err := time.Parse(time.RFC3339, until)
	longest := msgraphWeek
	if strings.EqualFold(strings.Trim(resource, "/"), "users") {
		longest = msgraphLongest
	}
	return err == nil && at.After(t.now) && at.Sub(t.now) <= longest
}

// order makes a subscription. It is not called with the platform locked, because
// the endpoint is asked first whether it wants the notifications.
func (g *msgraph) order(r *http.Request) *answer {
	var order msgraphOrder
	if json.NewDecoder(r.Body).Decode(&order) != nil || order.ChangeType == "" || order.Resource == "" || order.NotificationURL == "" {
		return msgraphError(http.StatusBadRequest, "InvalidRequest", "Subscription is missing a property.")
	}
	for _, endpoint := range []string{order.NotificationURL, order.LifecycleURL} {
		if endpoint != "" && !g.validates(r, endpoint) {
			return msgraphError(http.StatusBadRequest, "ValidationError", "Subscription validation request failed. Notification endpoint must respond with 200 OK to validation request.")
		}
	}
	var a *answer
	err := g.platform.update(func(t *tx) error {
		a = g.ordered(t, order)
		return nil
	})
	if err != nil {
		return msgraphError(http.StatusInternalServerError, "generalException", "General exception while processing")
	}
	return a
}

func (g *msgraph) ordered(t *tx, order msgraphOrder) *answer {
	if !mayLast(t, order.Resource, order.Expires) {
		return msgraphError(http.StatusBadRequest, "ExtensionError", "Subscription expiration can only be set within the resource's limit.")
	}
	for _, o := range t.p.objects {
		if o.Ref.Type == msgraphSubscription && !o.Deleted && expires(o).After(t.now) && member(o, "notificationUrl") != msgraphOwnURL &&
			strings.EqualFold(member(o, "resource"), order.Resource) && member(o, "changeType") == order.ChangeType {
			return msgraphError(http.StatusConflict, "ExtensionError", "Subscription Id "+o.Ref.ID+" already exists for the requested combination.")
		}
	}
	ref, err := g.subscribe(t, t.p.ids.guid(msgraphSubscription), order.Resource, fields{
		"changeType": order.ChangeType, "notificationUrl": order.NotificationURL, "lifecycleNotificationUrl": order.LifecycleURL,
		"expirationDateTime": order.Expires, "clientState": order.ClientState,
	})
	if err != nil {
		return msgraphError(http.StatusInternalServerError, "generalException", "General exception while processing")
	}
	return msgraphAnswer(http.StatusCreated, msgraphWithoutState(t.p.objects[ref]))
}

// validates asks an endpoint to send back a token, as plain text.
func (g *msgraph) validates(r *http.Request, endpoint string) bool {
	token := fmt.Sprintf("Validation: Testing client application reachability for subscription Request-Id: %d+", g.platform.TotalCalls())
	to, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	query := to.Query()
	query.Set("validationToken", token)
	to.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, to.String(), http.NoBody)
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := g.platform.post.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	echoed, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	return err == nil && resp.StatusCode == http.StatusOK && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") &&
		bytes.Equal(echoed, []byte(token))
}
