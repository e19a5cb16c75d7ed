package adyen

import (
	"cmp"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// Events implements providers.Provider. An event is named by what Adyen tells
// duplicates by, the reference and the event's code, and by its outcome, because an
// offered payment that failed may still succeed under the same reference. All of
// it is signed, so that nobody can send an event again under another name.
//
// Source: docs.adyen.com/development-resources/webhooks/handle-webhook-events.
func (*Provider) Events(r providers.Request) ([]providers.Event, error) {
	items, live, err := read(r.Body)
	if err != nil {
		return nil, fail("read notifications", err)
	}
	events := make([]providers.Event, len(items))
	for i := range items {
		events[i] = items[i].event(mode(live))
	}
	return events, nil
}

func (it *item) event(m providers.Mode) providers.Event {
	e := providers.Event{
		ID:      strings.Join([]string{it.PSPReference, it.EventCode, it.Success}, ":"),
		Type:    it.EventCode,
		Ref:     it.ref(),
		Mode:    m,
		Payload: it.raw,
	}
	if !providers.IsName(e.ID) {
		// A report's reference is its file's name, which may hold anything.
		e.ID = providers.Fingerprint([]byte(it.PSPReference), []byte(it.EventCode), []byte(it.Success))
	}
	if !providers.IsName(e.Type) {
		e.Type = "UNKNOWN"
	}
	if at, err := time.Parse(time.RFC3339Nano, it.EventDate); err == nil {
		e.OccurredAt = at.UTC()
	}
	return e
}

// ref names the payment: a modification (a capture, a refund, a chargeback) has a
// reference of its own and names the payment's beside it. A report is no payment,
// and is named by its file.
func (it *item) ref() providers.Ref {
	ref := providers.Ref{Type: "payment", ID: cmp.Or(it.OriginalReference, it.PSPReference)}
	if it.EventCode == "REPORT_AVAILABLE" {
		ref.Type = "report"
	}
	if !providers.IsName(ref.ID) {
		return providers.Ref{}
	}
	if providers.IsName(it.MerchantAccountCode) {
		ref.Account = it.MerchantAccountCode
	}
	return ref
}

func mode(live string) providers.Mode {
	switch live {
	case "true":
		return providers.ModeLive
	case "false":
		return providers.ModeTest
	default:
		return providers.ModeUnknown
	}
}
