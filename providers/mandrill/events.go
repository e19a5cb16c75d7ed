package mandrill

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// The types of refs. Of changes to the lists of addresses it is the list's name.
const (
	refMessage = "message"
	refInbound = "inbound"
)

const (
	eventInbound = "inbound"
	actionRemove = "remove"
)

var (
	typeName = regexp.MustCompile(`^[a-z][a-z_]{0,49}$`)
	// messageID is 32 hex digits today; Mandrill's examples hold other letters.
	messageID = regexp.MustCompile(`^[0-9A-Za-z_-]{1,100}$`)
)

// element is one of the events in a request. There are three kinds: about a
// message that was sent, about a message that came in, and about an address on
// one of the account's lists.
//
// Source: mandrill.zendesk.com "Webhook Format" and the pages it names.
type element struct {
	ID    string `json:"_id"` // the message's, not the event's
	Event string `json:"event"`
	TS    int64  `json:"ts"`

	// What tells one open or click of a message from another in the same second.
	URL       string `json:"url"`
	IP        string `json:"ip"`
	UserAgent string `json:"user_agent"`

	Type   string  `json:"type"` // the list: blacklist or whitelist
	Action string  `json:"action"`
	Reject address `json:"reject"` // the blacklist's
	Entry  address `json:"entry"`  // the whitelist's

	raw []byte
}

type address struct {
	Email      string `json:"email"`
	Subaccount string `json:"subaccount"` // it has a blacklist of its own
}

// Events implements providers.Provider. One element that cannot be read makes
// the whole request unreadable: it is kept for an operator as it came.
func (p *Provider) Events(r providers.Request) ([]providers.Event, error) {
	events, err := parse(r.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: read events: %w", name, err)
	}
	return events, nil
}

func parse(body []byte) ([]providers.Event, error) {
	form, err := providers.ReadForm(body)
	if err != nil {
		return nil, err
	}
	elements, err := split(form[eventsField])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", providers.ErrMalformed, err)
	}
	var events []providers.Event
	known := map[string]bool{}
	for i, raw := range elements {
		e := element{raw: slices.Clone(raw)}
		if err := providers.ReadJSON(raw, &e); err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
		event, err := e.parse()
		if err != nil {
			return nil, fmt.Errorf("event %d: %w: %w", i, providers.ErrMalformed, err)
		}
		if !known[event.ID] { // told twice in one request
			known[event.ID] = true
			events = append(events, event)
		}
	}
	return events, nil
}

// split returns the elements of the array in the form.
func split(field string) ([]jsontext.Value, error) {
	array := jsontext.Value(field)
	if array.Kind() != jsontext.KindBeginArray {
		return nil, errors.New(eventsField + " is missing or no array")
	}
	var elements []jsontext.Value
	if err := json.Unmarshal(array, &elements); err != nil {
		return nil, errors.New(eventsField + " is bad JSON") // the parser's error may quote it
	}
	return elements, nil
}

func (e element) parse() (providers.Event, error) {
	if e.TS <= 0 || e.TS > 1<<37 {
		return providers.Event{}, errors.New("ts is missing or no time")
	}
	event := providers.Event{OccurredAt: time.Unix(e.TS, 0).UTC(), Payload: e.raw}
	var err error
	switch {
	case e.Event == eventInbound:
		e.inbound(&event)
	case e.Event != "":
		err = e.message(&event)
	default:
		err = e.list(&event)
	}
	return event, err
}

// message names an event by its message, kind and second, as Mandrill gives
// events no ID. A message can be opened or clicked twice in a second, by
// different people or at different links, which the hash tells apart. It leaves
// out the message's own state, which may have moved on when Mandrill sends again.
func (e element) message(event *providers.Event) error {
	if !typeName.MatchString(e.Event) || !messageID.MatchString(e.ID) {
		return errors.New("event or _id is missing or no name")
	}
	event.Type = e.Event
	event.Ref = providers.Ref{Type: refMessage, ID: e.ID}
	event.ID = e.ID + "-" + e.Event + "-" + strconv.FormatInt(e.TS, 10)
	if e.URL != "" || e.IP != "" || e.UserAgent != "" {
		event.ID += "-" + providers.Fingerprint([]byte(e.URL), []byte(e.IP), []byte(e.UserAgent))
	}
	return nil
}

// inbound messages have no ID and cannot be fetched: the event is all there is.
func (e element) inbound(event *providers.Event) {
	hash := providers.Fingerprint(e.raw)
	event.Type = e.Event
	event.Ref = providers.Ref{Type: refInbound, ID: hash}
	event.ID = eventInbound + "-" + strconv.FormatInt(e.TS, 10) + "-" + hash
}

// list is about one address on one of the lists. The address is named by its
// hash: names are shown in places where personal data has no business.
func (e element) list(event *providers.Event) error {
	if !typeName.MatchString(e.Type) || !typeName.MatchString(e.Action) {
		return errors.New("neither event nor type and action are names")
	}
	event.Type = e.Type + "." + e.Action
	event.ID = e.Type + "-" + e.Action + "-" + strconv.FormatInt(e.TS, 10) + "-" + providers.Fingerprint(e.raw)
	event.Deleted = e.Action == actionRemove
	at := e.Reject
	if at.Email == "" {
		at = e.Entry
	}
	if at.Email != "" {
		event.Ref = providers.Ref{Type: e.Type, ID: providers.Fingerprint([]byte(strings.ToLower(at.Email)), []byte(at.Subaccount))}
	}
	return nil
}
