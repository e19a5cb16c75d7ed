package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// Faults says what goes wrong on the way between a platform and its user. The
// zero value is a perfect world. What strikes is decided by the sandbox's seed.
type Faults struct {
	API      []APIFault    `json:"api,omitempty"`
	Webhooks WebhookFaults `json:"webhooks,omitzero"`
}

// FaultKind is a way for an API call to go wrong.
type FaultKind string

// The ways. Rate limits look as the platform's own do; a kind that a platform
// does not have is refused by SetFaults.
const (
	FaultLatency        FaultKind = "latency"         // the answer comes after Latency
	FaultHang           FaultKind = "hang"            // no answer until the caller gives up
	FaultError          FaultKind = "error"           // Status, 500 by default, and the platform's error body
	FaultTruncate       FaultKind = "truncate"        // the connection breaks in the middle of the body
	FaultRateLimit      FaultKind = "rate_limit"      // Stripe, Jira: 429 with a reason; GitHub: 403 with nothing remaining
	FaultSecondaryLimit FaultKind = "secondary_limit" // GitHub: 403 with Retry-After
	FaultLockTimeout    FaultKind = "lock_timeout"    // Stripe: 429 without a reason
	FaultErrorIn200     FaultKind = "error_in_200"    // Slack: status 200, and an error with the code Reason
	FaultThrottle       FaultKind = "throttle"        // Shopify: 200 with an error, and the quota that is lacking
)

// APIFault makes some calls of the API go wrong: the next Next ones, and of
// the others a share of Probability.
type APIFault struct {
	Path        string // pattern of the paths it strikes, as in providers.MatchType; all when empty
	Kind        FaultKind
	Next        int
	Probability float64 // 0 to 1
	Latency     time.Duration
	RetryAfter  time.Duration // told in the answer, in whole seconds; none when 0
	Status      int
	Reason      string // Stripe-Rate-Limited-Reason, Jira's RateLimit-Reason, Slack's or Mandrill's error; the most common one when empty
}

// apiFaultJSON is an APIFault in the control API: durations as "1.5s".
type apiFaultJSON struct {
	Path        string    `json:"path,omitempty"`
	Kind        FaultKind `json:"kind"`
	Next        int       `json:"next,omitempty"`
	Probability float64   `json:"probability,omitempty"`
	Latency     string    `json:"latency,omitempty"`
	RetryAfter  string    `json:"retry_after,omitempty"`
	Status      int       `json:"status,omitempty"`
	Reason      string    `json:"reason,omitempty"`
}

// MarshalJSON writes durations in Go's notation, such as "1.5s".
func (f APIFault) MarshalJSON() ([]byte, error) {
	return json.Marshal(apiFaultJSON{
		Path: f.Path, Kind: f.Kind, Next: f.Next, Probability: f.Probability,
		Latency: durationText(f.Latency), RetryAfter: durationText(f.RetryAfter),
		Status: f.Status, Reason: f.Reason,
	})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *APIFault) UnmarshalJSON(raw []byte) error {
	var j apiFaultJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return err
	}
	latency, errLatency := durationFrom(j.Latency)
	after, errAfter := durationFrom(j.RetryAfter)
	*f = APIFault{
		Path: j.Path, Kind: j.Kind, Next: j.Next, Probability: j.Probability,
		Latency: latency, RetryAfter: after, Status: j.Status, Reason: j.Reason,
	}
	return errors.Join(errLatency, errAfter)
}

// WebhookFaults makes deliveries go wrong. Each number is the share of attempts
// that it strikes, from 0 to 1; several can strike one attempt.
type WebhookFaults struct {
	Drop           float64 // the event is never sent, nor retried
	Duplicate      float64 // sent twice, at the same time
	Delay          float64 // sent up to MaxDelay later, so that later events overtake it
	WrongSignature float64 // signed with a secret that is not ours
	Stale          float64 // signed an hour ago, where the signature has a time
	Truncate       float64 // half of the body is missing
	MaxDelay       time.Duration
}

type webhookFaultsJSON struct {
	Drop           float64 `json:"drop,omitempty"`
	Duplicate      float64 `json:"duplicate,omitempty"`
	Delay          float64 `json:"delay,omitempty"`
	WrongSignature float64 `json:"wrong_signature,omitempty"`
	Stale          float64 `json:"stale,omitempty"`
	Truncate       float64 `json:"truncate,omitempty"`
	MaxDelay       string  `json:"max_delay,omitempty"`
}

// MarshalJSON writes durations in Go's notation, such as "1.5s".
func (f WebhookFaults) MarshalJSON() ([]byte, error) {
	return json.Marshal(webhookFaultsJSON{
		f.Drop, f.Duplicate, f.Delay, f.WrongSignature, f.Stale, f.Truncate, durationText(f.MaxDelay),
	})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *WebhookFaults) UnmarshalJSON(raw []byte) error {
	var j webhookFaultsJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return err
	}
	maxDelay, err := durationFrom(j.MaxDelay)
	*f = WebhookFaults{j.Drop, j.Duplicate, j.Delay, j.WrongSignature, j.Stale, j.Truncate, maxDelay}
	return err
}

func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func durationFrom(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	return time.ParseDuration(text)
}

// SetFaults replaces the faults. It refuses a kind the platform does not have.
func (p *Platform) SetFaults(f Faults) error {
	for _, fault := range f.API {
		if !slices.Contains(p.dialect.faultKinds(), fault.Kind) {
			return fmt.Errorf("%s has no fault of kind %q, only %q", p.dialect.name(), fault.Kind, p.dialect.faultKinds())
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = Faults{API: slices.Clone(f.API), Webhooks: f.Webhooks}
	return nil
}

// Faults returns the faults as they are now: Next counts down.
func (p *Platform) Faults() Faults {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Faults{API: slices.Clone(p.faults.API), Webhooks: p.faults.Webhooks}
}

// apiFaults returns the faults that strike the nth call of a path. It is
// called with the lock held.
func (p *Platform) apiFaults(path string, nth int) []APIFault {
	var struck []APIFault
	rnd := chance(p.cfg.Seed, "call "+path, uint64(nth))
	for i := range p.faults.API {
		fault := &p.faults.API[i]
		roll := rnd.Float64() // also for faults that strike anyway: it keeps the others' rolls apart from them
		if fault.Path != "" && !providers.MatchType(fault.Path, path) {
			continue
		}
		if fault.Next > 0 {
			fault.Next--
		} else if roll >= fault.Probability {
			continue
		}
		struck = append(struck, *fault)
	}
	return struck
}

// mishap is what goes wrong with one attempt to deliver an event.
type mishap struct {
	drop, duplicate, wrongSignature, stale, truncate bool
	delay                                            time.Duration
}

// webhookMishap decides the fate of an attempt by the event's identifier and
// the attempt's number. It is called with the lock held.
func (p *Platform) webhookMishap(eventID string, attempt int) mishap {
	rnd := chance(p.cfg.Seed, "delivery "+eventID, uint64(attempt))
	f := p.faults.Webhooks
	m := mishap{
		drop:           rnd.Float64() < f.Drop,
		duplicate:      rnd.Float64() < f.Duplicate,
		wrongSignature: rnd.Float64() < f.WrongSignature,
		stale:          rnd.Float64() < f.Stale,
		truncate:       rnd.Float64() < f.Truncate,
	}
	if late := rnd.Float64() < f.Delay; late && f.MaxDelay > 0 {
		m.delay = 1 + time.Duration(rnd.Int64N(int64(f.MaxDelay)))
	}
	return m
}

// String names what went wrong, for the log of attempts.
func (m mishap) String() string {
	var names []string
	for name, struck := range m.all {
		if struck {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

func (m mishap) all(yield func(string, bool) bool) {
	_ = yield("drop", m.drop) && yield("duplicate", m.duplicate) && yield("delay", m.delay > 0) &&
		yield("wrong_signature", m.wrongSignature) && yield("stale", m.stale) && yield("truncate", m.truncate)
}
