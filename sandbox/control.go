package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/mux"

	"github.com/surehook/surehook/providers"
)

// control adds the HTTP control API, for tools in other processes. {platform}
// is one of Names; bodies and answers are JSON, and bodies must be declared
// as such, so that no web page can send one from its visitor's browser.
//
//	GET    /sandbox                             seed, targets, and how much there is
//	POST   /sandbox/{platform}/events           {"type", "object"?: {"type","id"}, "set"?: {…}, "envelope"?: {…}, "undelivered"?: true} as Trigger; answers the event
//	GET    /sandbox/{platform}/events           the log, oldest first
//	GET    /sandbox/{platform}/events/{id}      one entry of it
//	POST   /sandbox/{platform}/events/{id}/redeliver   {} sends it again; answers the attempt
//	POST   /sandbox/{platform}/objects          {"type", "set"?: {…}} creates without an event; answers the object
//	PATCH  /sandbox/{platform}/objects          {"object", "set"} changes without an event
//	DELETE /sandbox/{platform}/objects?type=&id=  deletes without an event
//	GET    /sandbox/{platform}/objects?type=&id=  all, those of a type, or one
//	GET, PUT /sandbox/{platform}/faults         Faults
//	GET, DELETE /sandbox/{platform}/calls       how often each path was called
//	PUT    /sandbox/{platform}/target           {"url"} where webhooks go
//	GET    /sandbox/receiver                    totals and the receipt of each key
//	PUT    /sandbox/receiver/faults             {"fail_next", "status", "lose_next"}
func (s *Sandbox) control(r *mux.Router) {
	r.HandleFunc("", s.overview).Methods(http.MethodGet)
	r.HandleFunc("/receiver", s.received).Methods(http.MethodGet)
	r.HandleFunc("/receiver/faults", s.receiverFaults).Methods(http.MethodPut)

	on := r.PathPrefix("/{platform:" + strings.Join(Names(), "|") + "}").Subrouter()
	on.HandleFunc("/events", s.on(control.trigger)).Methods(http.MethodPost)
	on.HandleFunc("/events", s.on(control.events)).Methods(http.MethodGet)
	on.HandleFunc("/events/{id}", s.on(control.event)).Methods(http.MethodGet)
	on.HandleFunc("/events/{id}/redeliver", s.on(control.redeliver)).Methods(http.MethodPost)
	on.HandleFunc("/objects", s.on(control.create)).Methods(http.MethodPost)
	on.HandleFunc("/objects", s.on(control.change)).Methods(http.MethodPatch)
	on.HandleFunc("/objects", s.on(control.remove)).Methods(http.MethodDelete)
	on.HandleFunc("/objects", s.on(control.objects)).Methods(http.MethodGet)
	on.HandleFunc("/faults", s.on(control.faults)).Methods(http.MethodGet)
	on.HandleFunc("/faults", s.on(control.setFaults)).Methods(http.MethodPut)
	on.HandleFunc("/calls", s.on(control.calls)).Methods(http.MethodGet)
	on.HandleFunc("/calls", s.on(control.resetCalls)).Methods(http.MethodDelete)
	on.HandleFunc("/target", s.on(control.target)).Methods(http.MethodPut)
}

// control is one call of the control API about a platform.
type control struct {
	p *Platform
	r *http.Request
}

// on answers with what the operation returns.
func (s *Sandbox) on(operation func(control) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := operation(control{p: s.Platform(mux.Vars(r)["platform"]), r: r})
		answerControl(w, v, err)
	}
}

func answerControl(w http.ResponseWriter, v any, err error) {
	switch {
	case errors.Is(err, ErrNoObject) || errors.Is(err, ErrNoEvent):
		writeJSON(w, http.StatusNotFound, fields{"error": err.Error()})
	case errors.Is(err, errNotJSON):
		writeJSON(w, http.StatusUnsupportedMediaType, fields{"error": err.Error()})
	case err != nil:
		writeJSON(w, http.StatusBadRequest, fields{"error": err.Error()})
	default:
		writeJSON(w, http.StatusOK, v)
	}
}

var errNotJSON = errors.New("want Content-Type: application/json")

func readControl(r *http.Request, into any) error {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != "application/json" {
		return errNotJSON
	}
	dec := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (c control) trigger() (any, error) {
	var body struct {
		Type        string        `json:"type"`
		Object      providers.Ref `json:"object"`
		Set         fields        `json:"set"`
		Envelope    fields        `json:"envelope"`
		Undelivered bool          `json:"undelivered"`
	}
	if err := readControl(c.r, &body); err != nil {
		return nil, err
	}
	options := []Option{On(body.Object), Set(body.Set), Envelope(body.Envelope)}
	if body.Undelivered {
		options = append(options, Undelivered())
	}
	return c.p.Trigger(c.r.Context(), body.Type, options...)
}

func (c control) events() (any, error) { return c.p.Events(), nil }

func (c control) event() (any, error) {
	ev, ok := c.p.Event(mux.Vars(c.r)["id"])
	if !ok {
		return nil, ErrNoEvent
	}
	return ev, nil
}

func (c control) redeliver() (any, error) {
	if err := readControl(c.r, &struct{}{}); err != nil {
		return nil, err
	}
	return c.p.Redeliver(c.r.Context(), mux.Vars(c.r)["id"])
}

func (c control) create() (any, error) {
	var body struct {
		Type string `json:"type"`
		Set  fields `json:"set"`
	}
	if err := readControl(c.r, &body); err != nil {
		return nil, err
	}
	if body.Type == "" {
		return nil, errors.New("want the type of the object")
	}
	ref, err := c.p.Create(body.Type, body.Set)
	if err != nil {
		return nil, err
	}
	return c.object(ref)
}

func (c control) change() (any, error) {
	var body struct {
		Object providers.Ref `json:"object"`
		Set    fields        `json:"set"`
	}
	if err := readControl(c.r, &body); err != nil {
		return nil, err
	}
	if _, err := c.p.Update(body.Object, func(o fields) { maps.Copy(o, body.Set) }); err != nil {
		return nil, err
	}
	return c.object(body.Object)
}

func (c control) remove() (any, error) {
	ref := refOf(c.r.URL.Query())
	if err := c.p.Delete(ref); err != nil {
		return nil, err
	}
	return c.object(ref)
}

func (c control) objects() (any, error) {
	ref := refOf(c.r.URL.Query())
	if ref.ID != "" {
		return c.object(ref)
	}
	return c.p.Objects(ref.Type), nil
}

func (c control) object(ref providers.Ref) (any, error) {
	o, ok := c.p.Object(ref)
	if !ok {
		return nil, ErrNoObject
	}
	return o, nil
}

func refOf(q url.Values) providers.Ref { return providers.Ref{Type: q.Get("type"), ID: q.Get("id")} }

func (c control) faults() (any, error) { return c.p.Faults(), nil }

func (c control) setFaults() (any, error) {
	var f Faults
	if err := readControl(c.r, &f); err != nil {
		return nil, err
	}
	if err := c.p.SetFaults(f); err != nil {
		return nil, err
	}
	return c.p.Faults(), nil
}

func (c control) calls() (any, error) { return c.p.CallCounts(), nil }

func (c control) resetCalls() (any, error) {
	c.p.ResetCalls()
	return c.p.CallCounts(), nil
}

func (c control) target() (any, error) {
	var body struct {
		URL string `json:"url"`
	}
	if err := readControl(c.r, &body); err != nil {
		return nil, err
	}
	if _, err := url.Parse(body.URL); err != nil {
		return nil, err
	}
	c.p.SetTarget(body.URL)
	return body, nil
}

func (s *Sandbox) overview(w http.ResponseWriter, _ *http.Request) {
	all := fields{"seed": s.seed, "receiver": s.Receiver.Totals()}
	for name, p := range s.platforms {
		all[name] = p.summary()
	}
	writeJSON(w, http.StatusOK, all)
}

func (p *Platform) summary() fields {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fields{"target": p.target, "objects": len(p.objects), "events": len(p.events), "calls": p.allCalls}
}

func (s *Sandbox) received(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, fields{"totals": s.Receiver.Totals(), "receipts": s.Receiver.Receipts()})
}

func (s *Sandbox) receiverFaults(w http.ResponseWriter, r *http.Request) {
	body := struct {
		FailNext int `json:"fail_next"`
		Status   int `json:"status"`
		LoseNext int `json:"lose_next"`
	}{Status: http.StatusServiceUnavailable}
	err := readControl(r, &body)
	if err == nil {
		s.Receiver.FailNext(body.FailNext, body.Status)
		s.Receiver.LoseNext(body.LoseNext)
	}
	answerControl(w, body, err)
}
