package slack

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/surehook/surehook/providers"
)

// maxProbeBytes is far more than a check has. What comes unsigned is not read
// when it is longer.
const maxProbeBytes = 4 << 10

// envelopeFields would make a form more than a check: the body of an
// interactive component, or an event.
var envelopeFields = []string{"payload", "event", "event_id"}

// Probe implements providers.Prober. Slack checks an endpoint's certificate now
// and then with a form that has ssl_check=1 and no signature; it wants status
// 200 (https://docs.slack.dev/interactivity/implementing-slash-commands). What
// else the form holds is dropped, since anybody can send one. A body with an
// envelope is no check, whatever it says of itself, and has to be signed.
func (p *Provider) Probe(r providers.Request) (providers.Response, bool) {
	if r.Method != http.MethodPost || len(r.Body) > maxProbeBytes || !looksLikeForm(r) {
		return providers.Response{}, false
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil || len(form["ssl_check"]) != 1 || form.Get("ssl_check") != "1" {
		return providers.Response{}, false
	}
	for _, field := range envelopeFields {
		if form.Has(field) {
			return providers.Response{}, false
		}
	}
	return providers.Response{Status: http.StatusOK}, true
}

// looksLikeForm says whether the body is a form by its looks as well as by its
// declared type: the type is not signed, and a JSON text that holds
// "&ssl_check=1&" could be read as a form, too.
func looksLikeForm(r providers.Request) bool {
	return r.IsForm() && !bytes.HasPrefix(bytes.TrimSpace(r.Body), []byte("{"))
}

// Handshake implements providers.Handshaker. Slack proves with a challenge that
// the endpoint's owner wants its events, when the URL is entered
// (https://docs.slack.dev/reference/events/url_verification). It is signed.
func (p *Provider) Handshake(r providers.Request) (providers.Response, bool) {
	var body struct {
		Type      string `json:"type"`
		Challenge string `json:"challenge"`
	}
	if err := providers.ReadJSON(r.Body, &body); err != nil || body.Type != "url_verification" || body.Challenge == "" {
		return providers.Response{}, false
	}
	answer, err := json.Marshal(map[string]string{"challenge": body.Challenge})
	if err != nil {
		return providers.Response{}, false
	}
	return providers.Response{Status: http.StatusOK, ContentType: "application/json", Body: answer}, true
}
