package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
)

// keptEvents is how many events of a platform the file holds: enough to send
// recent ones again.
const keptEvents = 1000

// savedState is the file's content.
type savedState struct {
	Seed      uint64                   `json:"seed,string"`
	Platforms map[string]platformState `json:"platforms"`
	Receiver  []Receipt                `json:"receiver"`
}

type platformState struct {
	Counters map[string]uint64 `json:"counters"`
	Objects  []Object          `json:"objects"`
	Moved    map[string]string `json:"moved,omitempty"`
	Alias    map[string]string `json:"alias,omitempty"`
	Events   []savedEvent      `json:"events"`
}

// savedEvent holds the body as text, so that its bytes stay what was signed.
type savedEvent struct {
	Event
	Header http.Header `json:"header"`
	Body   string      `json:"body"`
}

// save returns when a file that contains all changes made before the call has
// been written. Callers that come while one is being written share the next.
func (s *Sandbox) save() error {
	if s.file == "" {
		return nil
	}
	s.mu.Lock()
	s.changes++
	mine := s.changes
	s.mu.Unlock()

	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	covered, now := s.saved >= mine, s.changes
	s.mu.Unlock()
	if covered {
		return nil
	}
	state := savedState{Seed: s.seed, Platforms: map[string]platformState{}, Receiver: s.Receiver.Receipts()}
	for name, p := range s.platforms {
		state.Platforms[name] = p.snapshot()
	}
	if err := writeState(s.file, state); err != nil {
		return fmt.Errorf("save sandbox: %w", err)
	}
	s.mu.Lock()
	s.saved = now
	s.mu.Unlock()
	return nil
}

// writeState replaces the file in one step: a crash leaves the old one or the new.
func writeState(file string, state savedState) (err error) {
	raw, err := encode(state)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".sandbox-*.json")
	if err != nil {
		return err
	}
	_, errWrite := f.Write(raw)
	err = errors.Join(errWrite, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// readState returns nil when there is no file, or none of this version.
func readState(file string) (*savedState, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var state savedState
	if err := json.Unmarshal(raw, &state); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if state.Platforms == nil {
		return nil, nil // of an older version: begin anew, with a seed whose identifiers are new
	}
	return &state, nil
}

func (p *Platform) snapshot() platformState {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := platformState{
		Counters: maps.Clone(p.ids.counters), Moved: maps.Clone(p.moved), Alias: maps.Clone(p.alias),
	}
	for _, o := range p.objects {
		state.Objects = append(state.Objects, *o)
	}
	for _, ev := range p.events[max(0, len(p.events)-keptEvents):] {
		state.Events = append(state.Events, savedEvent{Event: ev.copy(), Header: ev.webhook.Header, Body: string(ev.webhook.Body)})
	}
	slices.SortFunc(state.Objects, func(a, b Object) int { return compareRefs(a.Ref, b.Ref) })
	return state
}

// restore fills a platform that nobody uses yet.
func (p *Platform) restore(state platformState) {
	maps.Copy(p.ids.counters, state.Counters)
	maps.Copy(p.moved, state.Moved)
	maps.Copy(p.alias, state.Alias)
	for _, o := range state.Objects {
		o.body = p.dialect.layout(o.State)
		p.objects[o.Ref] = &o
		for _, path := range o.Paths {
			p.byPath[path] = &o
		}
	}
	for _, saved := range state.Events {
		ev := &emitted{Event: saved.Event, webhook: webhook{
			ID: saved.ID, Type: saved.Type, Header: saved.Header, Body: []byte(saved.Body),
		}}
		p.events = append(p.events, ev)
		p.byID[ev.ID] = ev
		p.bytes += len(saved.Body)
	}
}
