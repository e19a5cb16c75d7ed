//go:build unix

package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/stripe"
)

// The secrets of a throwaway setup on loopback.
const (
	webhookSecret = "whsec_benchmark"
	apiKey        = "sk_test_benchmark"
)

// bodyBytes is the size of each body: a usual one of Stripe's, and what the
// figures of other systems in the report were measured with.
const bodyBytes = 2000

// letter is one signed request as it goes over the wire. It is signed before
// the clock starts, so that signing is not what is measured, and must be sent
// within the five minutes that a signature is good for.
type letter struct {
	id     string
	object string
	raw    []byte
}

// writer writes letters of customer.updated events, each signed afresh.
type writer struct {
	provider *stripe.Provider
}

func newWriter() (*writer, error) {
	p, err := stripe.New(providers.APIConfig{})
	return &writer{provider: p}, err
}

// newID is the ID of an event or of an object that exists nowhere else.
func newID(prefix string) string { return prefix + rand.Text()[:24] }

// letters writes one for each object.
func (w *writer) letters(source string, objects []string) ([]letter, error) {
	all := make([]letter, len(objects))
	for i, object := range objects {
		var err error
		if all[i], err = w.letter(source, newID("evt_"), object); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (w *writer) letter(source, id, object string) (letter, error) {
	now := time.Now()
	path := "/webhooks/" + source
	r := providers.Request{
		Method:     http.MethodPost,
		URL:        &url.URL{Scheme: "http", Host: "hooks.example.com", Path: path},
		Header:     http.Header{},
		Body:       body(id, object, now),
		ReceivedAt: now,
	}
	if err := w.provider.Sign(&r, providers.Secrets{webhookSecret}); err != nil {
		return letter{}, err
	}
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "POST %s HTTP/1.1\r\nHost: hooks.example.com\r\n"+
		"User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\nAccept: */*; q=0.5, application/xml\r\n"+
		"Cache-Control: no-cache\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n"+
		"Stripe-Signature: %s\r\n\r\n", path, len(r.Body), r.Header.Get("Stripe-Signature"))
	raw.Write(r.Body)
	return letter{id: id, object: object, raw: raw.Bytes()}, nil
}

// bodyFormat has an event's usual members; metadata brings it to its size.
const bodyFormat = `{
  "id": "%s",
  "object": "event",
  "api_version": "2026-08-26.dahlia",
  "created": %d,
  "data": {
    "object": {
      "id": "%s",
      "object": "customer",
      "address": {"city": "Turin", "country": "IT", "line1": "Via Po 1", "line2": null, "postal_code": "10124", "state": null},
      "balance": 0,
      "created": 1686089000,
      "currency": "eur",
      "default_source": null,
      "delinquent": false,
      "description": "a customer of the benchmark",
      "discount": null,
      "email": "customer@example.com",
      "invoice_prefix": "A1B2C3D4",
      "invoice_settings": {"custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null},
      "livemode": true,
      "metadata": {"notes": "%s"},
      "name": "A. Customer",
      "next_invoice_sequence": 1,
      "phone": null,
      "preferred_locales": ["it", "en"],
      "shipping": null,
      "tax_exempt": "none",
      "test_clock": null
    },
    "previous_attributes": {"description": null, "metadata": {"notes": ""}}
  },
  "livemode": true,
  "pending_webhooks": 1,
  "request": {"id": "req_%s", "idempotency_key": "5f2e0c3a-1a4b-4d46-9f0a-0c7f5f7c9d11"},
  "type": "customer.updated"
}`

func body(id, object string, at time.Time) []byte {
	request := id[len(id)-8:]
	bare := len(bodyFormat) - len("%s%d%s%s%s") + len(id) + 10 + len(object) + len(request) // a Unix time has ten digits
	notes := strings.Repeat("all work and no play ", bodyBytes/20)[:max(0, bodyBytes-bare)]
	return fmt.Appendf(nil, bodyFormat, id, at.Unix(), object, notes, request)
}
