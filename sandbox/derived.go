package sandbox

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/surehook/surehook/providers"
)

// derivedID is the ID of a webhook whose platform gives events none: the one
// that our provider makes of its body. Without a provider nothing can be sent,
// and any name will do.
func (t *tx) derivedID(header http.Header, body []byte) (string, error) {
	if t.p.cfg.Provider == nil {
		return fmt.Sprintf("%s-%d", t.p.dialect.name(), t.p.ids.next("event")), nil
	}
	events, err := t.p.cfg.Provider.Events(providers.Request{
		Method: http.MethodPost, Header: header, Body: body, ReceivedAt: t.now,
	})
	if err != nil {
		return "", err
	}
	return events[0].ID, nil
}

// formWebhook is a webhook that carries a form and has no ID of its own.
func (t *tx) formWebhook(typ, agent string, form url.Values) (webhook, error) {
	hook := webhook{
		Type:   typ,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "User-Agent": {agent}},
		Body:   []byte(form.Encode()),
	}
	var err error
	hook.ID, err = t.derivedID(hook.Header, hook.Body)
	return hook, err
}
