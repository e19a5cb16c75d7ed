package sandbox

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// ErrNoObject means that the sandbox has no such object, or has it no longer.
var ErrNoObject = errors.New("no such object")

// fields are the members of one JSON object.
type fields = map[string]any

// Object is an object as the platform has it now.
type Object struct {
	Ref providers.Ref `json:"ref"`
	// Version counts the object's changes: 1 when it was created, and the
	// number of the change that removed it when it is deleted.
	Version int64           `json:"version"`
	Deleted bool            `json:"deleted,omitempty"`
	State   json.RawMessage `json:"state"` // the last one, when deleted
	Paths   []string        `json:"paths"` // where the API serves it
	// CreatedAt and ChangedAt are the sandbox's clock, for lists. A deletion is a change.
	CreatedAt time.Time `json:"created_at"`
	ChangedAt time.Time `json:"changed_at"`

	body []byte // the state as the API writes it
}

// etag is the strong part of the validator GitHub gives with a state.
func (o Object) etag() string {
	return fmt.Sprintf("%x", sha256.Sum256(o.State))
}

// tx is one change of a platform's state, made while the platform is locked.
type tx struct {
	p   *Platform
	now time.Time
}

// put adds an object, or replaces the one of that name.
func (t *tx) put(ref providers.Ref, paths []string, state fields) error {
	ref.Account = ""
	version := int64(1)
	if old := t.p.objects[ref]; old != nil {
		version = old.Version + 1
	}
	o := &Object{Ref: ref, Version: version, Paths: paths, CreatedAt: t.now, ChangedAt: t.now}
	if err := t.render(o, state); err != nil {
		return err
	}
	t.p.objects[ref] = o
	for _, path := range paths {
		t.p.byPath[path] = o
	}
	return nil
}

// live returns the object if it exists and is not deleted.
func (t *tx) live(ref providers.Ref) (*Object, error) {
	ref.Account = ""
	o := t.p.objects[ref]
	if o == nil || o.Deleted {
		return nil, fmt.Errorf("%s %s: %w", t.p.dialect.name(), ref, ErrNoObject)
	}
	return o, nil
}

// subject returns the object that an event of the type happens to: the one that
// is named, or a new one of the kind.
func (t *tx) subject(typ, kind string, on providers.Ref, set fields) (ref providers.Ref, created bool, err error) {
	switch {
	case on.IsZero():
		ref, err = t.p.dialect.create(t, kind, set)
		return ref, true, err
	case on.Type != kind:
		return on, false, fmt.Errorf("%s: %s happens to objects of type %s, and %s is none", t.p.dialect.name(), typ, kind, on)
	}
	return on, false, nil
}

// state returns a copy of an object's members.
func (t *tx) state(ref providers.Ref) (fields, error) {
	o, err := t.live(ref)
	if err != nil {
		return nil, err
	}
	return decode(o.State)
}

// change lets fn alter an object's members and counts a version. It returns
// the members as they are now.
func (t *tx) change(ref providers.Ref, fn func(fields)) (fields, error) {
	o, err := t.live(ref)
	if err != nil {
		return nil, err
	}
	state, err := decode(o.State)
	if err != nil {
		return nil, err
	}
	fn(state)
	next := *o
	next.Version++
	next.ChangedAt = t.now
	if err := t.render(&next, state); err != nil {
		return nil, err
	}
	*o = next
	return state, nil
}

// remove marks an object deleted; its last state stays for later events.
func (t *tx) remove(ref providers.Ref) error {
	o, err := t.live(ref)
	if err != nil {
		return err
	}
	o.Version++
	o.Deleted, o.ChangedAt = true, t.now
	return nil
}

// forget takes back an object that was just put.
func (t *tx) forget(ref providers.Ref) {
	for _, path := range t.p.objects[ref].Paths {
		delete(t.p.byPath, path)
	}
	delete(t.p.objects, ref)
}

// render stamps the version into the state and keeps it as JSON. The slice is
// always a new one: answers that are being written still hold the old one.
func (t *tx) render(o *Object, state fields) error {
	t.p.dialect.stamp(state, o.Version, t.now)
	raw, err := encode(state)
	if err != nil {
		return fmt.Errorf("%s %s: %w", t.p.dialect.name(), o.Ref, err)
	}
	o.State, o.body = raw, t.p.dialect.layout(raw)
	return nil
}

func decode(raw json.RawMessage) (fields, error) {
	var state fields
	if err := json.Unmarshal(raw, &state); err != nil {
		return nil, err
	}
	return state, nil
}

// cloned returns a copy that shares nothing with the caller's, and holds what
// JSON makes of it.
func cloned(set fields) (fields, error) {
	if set == nil {
		return nil, nil
	}
	raw, err := encode(set)
	if err != nil {
		return nil, fmt.Errorf("members of an object: %w", err)
	}
	return decode(raw)
}

// encode writes JSON as the platforms do: without Go's escapes for HTML.
func encode(v any) (json.RawMessage, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return json.RawMessage(strings.TrimSuffix(b.String(), "\n")), nil
}
