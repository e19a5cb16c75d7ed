package generic

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/antchfx/xmlquery"
	"github.com/go-json-experiment/json"

	"github.com/surehook/surehook/providers"
)

// The kinds of bodies.
const (
	bodyJSON = "json"
	bodyForm = "form"
	bodyXML  = "xml"
)

// eventReader reads events as they are declared.
type eventReader struct {
	body     string
	batch    string // the path of the events, or empty
	element  tree   // what is wanted of each event, or of the body without a batch
	envelope tree   // what is wanted of a body with a batch

	id       parts
	hashed   bool // the ID is a hash of id
	perPart  bool // the ID names the request, and not its parts
	query    bool // the query of a GET is the event
	unsigned bool // the ID is not covered by the proof
	proof    Proof

	typ        parts
	time       part
	unit       string
	refType    parts
	refID      parts
	account    part
	mode       part
	live, test []string
	version    part
	deleted    []string
}

// events reads how events are declared.
func (p *problems) events(s Settings, proof Proof) eventReader {
	e := eventReader{
		proof:   proof,
		body:    p.oneOf("body", s.Body, bodyJSON, bodyForm, bodyXML),
		unit:    p.oneOf("event.time_unit", s.Event.TimeUnit, unitRFC3339, unitSeconds, unitMillis),
		live:    s.Event.Mode.Live,
		test:    s.Event.Mode.Test,
		deleted: s.Event.Deleted,
		query:   slices.Contains(s.Methods, http.MethodGet),
	}
	e.batch = p.batch(e.body, s.Batch)
	places := e.places()
	e.typ = p.values("event.type", s.Event.Type, places...)
	if len(e.typ) == 0 {
		p.add("event.type", "missing: want where the type is, or const:text")
	}
	p.id(&e, s.Event, places)
	e.time = p.optional("event.time", s.Event.Time, places...)
	e.refType = p.values("event.ref.type", s.Event.Ref.Type, places...)
	e.refID = p.values("event.ref.id", s.Event.Ref.ID, places...)
	if (e.refType == nil) != (e.refID == nil) {
		p.add("event.ref", "want both type and id, or neither")
	}
	e.account = p.optional("event.ref.account", s.Event.Ref.Account, places...)
	e.mode = p.optional("event.mode.from", s.Event.Mode.From, places...)
	p.unused("without event.mode.from", map[string]bool{
		"event.mode.live": e.mode == nil && e.live != nil,
		"event.mode.test": e.mode == nil && e.test != nil,
	})
	e.version = p.optional("event.api_version", s.Event.APIVersion, places...)
	e.collect(p, s.Verify)
	return e
}

// places are where the values of events can be.
func (e *eventReader) places() []string {
	switch {
	case e.body == bodyForm:
		return []string{inForm, inHeader, inConst}
	case e.body == bodyXML:
		return []string{inXPath, inHeader, inConst}
	case e.batch != "" && e.batch != whole:
		return []string{inJSON, inStem, inEnvelope, inHeader, inConst}
	}
	return []string{inJSON, inStem, inHeader, inConst}
}

func (p *problems) batch(body, batch string) string {
	switch {
	case batch == "" || batch == whole && body == bodyJSON:
	case body == bodyForm:
		p.add("batch", "has no effect with body: form")
	case body == bodyXML:
		p.value("batch", inXPath+":"+batch, inXPath)
	default:
		p.value("batch", inJSON+":"+batch, inJSON)
	}
	return batch
}

func (p *problems) id(e *eventReader, declared Event, places []string) {
	switch {
	case len(declared.ID) > 0 && len(declared.IDHash) > 0:
		p.add("event.id_hash", "has no effect beside event.id")
	case len(declared.IDHash) > 0:
		e.id, e.hashed = p.values("event.id_hash", declared.IDHash, append(slices.Clone(places), inBody)...), true
	case len(declared.ID) > 0:
		e.id = p.values("event.id", declared.ID, places...)
	default:
		p.add("event.id", "missing: want where the ID is, or event.id_hash for a platform that has none")
	}
	anyOfPart, covered := false, true
	for _, at := range slices.Concat(e.id...) {
		ofPart := at.in == inJSON || at.in == inStem || at.in == inXPath || at.in == inBody
		anyOfPart = anyOfPart || ofPart
		signed := at.String()
		if e.batch != "" && ofPart {
			signed = inBody // a member of that name that is signed is not the part's
		}
		// What a GET has in its query could also stand in its body, or part of it.
		covered = covered && (at.in == inConst || e.proof.Covers(signed)) && (at.in != inForm || !e.query)
	}
	e.perPart = e.batch != "" && !anyOfPart
	e.unsigned = !covered
}

// String is the place as it is declared.
func (at place) String() string {
	if at.in == inBody {
		return inBody
	}
	return at.in + ":" + at.name
}

// collect gathers the paths of all values, and refuses headers that are not
// kept: an event is read again when its payload is needed.
func (e *eventReader) collect(p *problems, v Verify) {
	secret := []string{authorization, "Proxy-Authorization", "Cookie"}
	if v.Token.In == inHeader {
		secret = append(secret, v.Token.Name)
	}
	all := slices.Concat(e.id, e.typ, e.refType, e.refID, parts{e.time, e.account, e.mode, e.version})
	for _, at := range slices.Concat(all...) {
		switch at.in {
		case inJSON, inStem:
			e.element.want(at.name, false)
		case inEnvelope:
			e.envelope.want(at.name, false)
		case inHeader:
			if slices.ContainsFunc(secret, func(name string) bool { return strings.EqualFold(name, at.name) }) {
				p.add("event", "%s: the header holds a secret and is not kept with the event", at)
			}
		}
	}
	if e.body == bodyJSON && e.batch != "" && e.batch != whole {
		e.envelope.want(e.batch, true)
	}
}

// Events implements providers.Provider.
func (p *Provider) Events(r providers.Request) ([]providers.Event, error) {
	events, err := p.read(r)
	if err != nil {
		return nil, fmt.Errorf("%s: read events: %w", p.name, err)
	}
	return events, nil
}

func (p *Provider) read(r providers.Request) ([]providers.Event, error) {
	scopes, err := p.events.split(r)
	if err != nil {
		return nil, err
	}
	var signed []byte
	if p.events.unsigned {
		if signed, err = p.proof.Signed(r); err != nil {
			return nil, fmt.Errorf("%w: %w", providers.ErrMalformed, err)
		}
	}
	events := make([]providers.Event, len(scopes))
	for i := range scopes {
		e, err := p.events.event(&scopes[i], i)
		if err != nil {
			return nil, err
		}
		if p.events.unsigned {
			e.Fingerprint = providers.Fingerprint(signed, fmt.Append(nil, i))
		}
		e.Review = p.review(e.Type, scopes[i].body)
		events[i] = e
	}
	return events, nil
}

// split returns the scope of each event in a request.
func (e *eventReader) split(r providers.Request) ([]scope, error) {
	switch {
	case e.body == bodyForm:
		return e.splitForm(r)
	case e.body == bodyXML:
		return e.splitXML(r)
	case e.batch == "":
		found, err := readObject(r.Body, &e.element)
		if err != nil {
			return nil, err
		}
		return []scope{{header: r.Header, json: found, body: r.Body}}, nil
	}
	return e.splitJSON(r)
}

func (e *eventReader) splitJSON(r providers.Request) ([]scope, error) {
	list := r.Body
	var envelope members
	if e.batch != whole {
		var err error
		if envelope, err = readObject(r.Body, &e.envelope); err != nil {
			return nil, err
		}
		list = []byte(envelope[e.batch])
	}
	elements, err := readArray(list)
	if err != nil {
		return nil, err
	}
	scopes := make([]scope, len(elements))
	for i, element := range elements {
		found, err := readObject(element, &e.element)
		if err != nil {
			return nil, err
		}
		scopes[i] = scope{header: r.Header, json: found, envelope: envelope, body: element, part: true}
	}
	return scopes, nil
}

func (e *eventReader) splitForm(r providers.Request) ([]scope, error) {
	if len(r.Body) == 0 && !e.query {
		return nil, fmt.Errorf("%w: no body", providers.ErrMalformed) // its query, which need not be signed, is no event
	}
	form, err := readForm(r)
	if err != nil {
		return nil, err
	}
	payload, err := formJSON(form)
	if err != nil {
		return nil, err
	}
	return []scope{{header: r.Header, form: form, body: payload, part: true}}, nil
}

// formJSON is a form as JSON: a member for each field, a list where it occurs
// several times.
func formJSON(form url.Values) ([]byte, error) {
	object := make(map[string]any, len(form))
	for name, values := range form {
		object[name] = values
		if len(values) == 1 {
			object[name] = values[0]
		}
	}
	return marshal(object)
}

func marshal(value any) ([]byte, error) {
	text, err := json.Marshal(value, json.Deterministic(true))
	if err != nil { // invalid UTF-8: the error may quote it
		return nil, fmt.Errorf("%w: not valid text", providers.ErrMalformed)
	}
	return text, nil
}

func (e *eventReader) splitXML(r providers.Request) ([]scope, error) {
	document, err := readXML(r.Body)
	if err != nil {
		return nil, err
	}
	nodes := []*xmlquery.Node{document}
	if e.batch != "" {
		if nodes, err = selectXML(document, e.batch); err != nil {
			return nil, err
		}
	}
	scopes := make([]scope, len(nodes))
	for i, node := range nodes {
		payload, err := marshal(xmlJSON(node))
		if err != nil {
			return nil, err
		}
		scopes[i] = scope{header: r.Header, xml: node, body: payload, part: true}
	}
	return scopes, nil
}

// event names the event of a scope, which is the one with the index in its request.
func (e *eventReader) event(s *scope, index int) (ev providers.Event, err error) {
	if ev.ID, err = e.eventID(s, index); err != nil {
		return ev, err
	}
	if ev.Type, err = joined(s, e.typ, ".", false); err != nil {
		return ev, err
	}
	if ev.OccurredAt, err = e.occurredAt(s); err != nil {
		return ev, err
	}
	if ev.Ref, err = e.ref(s); err != nil {
		return ev, err
	}
	if ev.Mode, err = e.modeOf(s); err != nil {
		return ev, err
	}
	if ev.APIVersion, _, err = s.get(e.version); err != nil {
		return ev, err
	}
	if !providers.IsName(ev.ID) || !providers.IsName(ev.Type) || ev.APIVersion != "" && !providers.IsName(ev.APIVersion) {
		return ev, fmt.Errorf("%w: id, type or version of the event is missing, too long or not printable", providers.ErrMalformed)
	}
	ev.Deleted = slices.ContainsFunc(e.deleted, func(pattern string) bool { return providers.MatchType(pattern, ev.Type) })
	if s.part {
		ev.Payload = s.body
	}
	return ev, nil
}

// eventID adds the index to the ID of a request that is a batch: it stays the
// same when the platform sends the batch again.
func (e *eventReader) eventID(s *scope, index int) (id string, err error) {
	if e.hashed {
		id, err = hashOf(s, e.id)
	} else {
		id, err = joined(s, e.id, ":", true)
	}
	if err == nil && id != "" && e.perPart {
		id = fmt.Sprintf("%s-%d", id, index)
	}
	return id, err
}

// hashOf names an event by its values. One that is missing counts as empty,
// unless all are.
func hashOf(s *scope, of parts) (string, error) {
	var values [][]byte
	for _, p := range of {
		text, _, err := s.get(p)
		if err != nil {
			return "", err
		}
		values = append(values, []byte(text))
	}
	if len(bytes.Join(values, nil)) == 0 {
		return "", nil
	}
	return providers.Fingerprint(values...), nil
}

// joined returns the values with the separator between them, or nothing when
// all are missing or one that is needed is.
func joined(s *scope, of parts, separator string, all bool) (string, error) {
	var texts []string
	for _, p := range of {
		text, found, err := s.get(p)
		switch {
		case err != nil:
			return "", err
		case found:
			texts = append(texts, text)
		case all:
			return "", nil
		}
	}
	return strings.Join(texts, separator), nil
}

func (e *eventReader) occurredAt(s *scope) (time.Time, error) {
	text, found, err := s.get(e.time)
	if err != nil || !found {
		return time.Time{}, err
	}
	at, ok := parseTime(e.unit, text)
	if !ok {
		return time.Time{}, fmt.Errorf("%w: the event's time is no time", providers.ErrMalformed)
	}
	return at, nil
}

func (e *eventReader) ref(s *scope) (ref providers.Ref, err error) {
	var errs [3]error
	ref.Type, errs[0] = joined(s, e.refType, ".", false)
	ref.ID, errs[1] = joined(s, e.refID, ":", true)
	ref.Account, _, errs[2] = s.get(e.account)
	switch err := errors.Join(errs[:]...); {
	case err != nil:
		return providers.Ref{}, err
	case ref.Type == "" || ref.ID == "":
		return providers.Ref{}, nil
	case !providers.IsName(ref.Type) || !providers.IsName(ref.ID) || ref.Account != "" && !providers.IsName(ref.Account):
		return providers.Ref{}, fmt.Errorf("%w: type, id or account of the object is too long or not printable", providers.ErrMalformed)
	}
	return ref, nil
}

func (e *eventReader) modeOf(s *scope) (providers.Mode, error) {
	text, _, err := s.get(e.mode)
	switch {
	case err != nil:
		return "", err
	case slices.Contains(e.live, text):
		return providers.ModeLive, nil
	case slices.Contains(e.test, text):
		return providers.ModeTest, nil
	}
	return providers.ModeUnknown, nil
}

// Label implements providers.Labeler. Of a type that is composed, the header has
// the first part.
func (p *Provider) Label(r *providers.Request, id, eventType string) {
	if at := onlyHeader(p.events.id); at != "" && !p.events.hashed {
		setHeader(r, at, id)
	}
	if len(p.events.typ) > 1 {
		eventType, _, _ = strings.Cut(eventType, ".")
	}
	if len(p.events.typ) > 0 {
		if at := onlyHeader(p.events.typ[:1]); at != "" {
			setHeader(r, at, eventType)
		}
	}
}

// onlyHeader returns the header that is all of a value, or nothing.
func onlyHeader(p parts) string {
	if len(p) != 1 || len(p[0]) == 0 || p[0][0].in != inHeader {
		return ""
	}
	return p[0][0].name
}
