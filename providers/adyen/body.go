package adyen

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// maxItems bounds the work that one request can cause. The format has room for
// several notifications; Adyen sends one in a JSON body.
const maxItems = 100

// body is a request's body as far as it is used.
type body struct {
	Live  string `json:"live"` // "true" or "false"; not signed
	Items []struct {
		Item jsontext.Value `json:"NotificationRequestItem"`
	} `json:"notificationItems"`
}

// item is a notification as far as it is used.
type item struct {
	raw jsontext.Value // as it stands in the body

	PSPReference        string `json:"pspReference"`
	OriginalReference   string `json:"originalReference"`
	MerchantAccountCode string `json:"merchantAccountCode"`
	MerchantReference   string `json:"merchantReference"`
	EventCode           string `json:"eventCode"`
	Success             string `json:"success"`
	EventDate           string `json:"eventDate"` // not signed
	Amount              struct {
		Value    jsontext.Value `json:"value"`
		Currency string         `json:"currency"`
	} `json:"amount"`
	AdditionalData struct {
		Signature string `json:"hmacSignature"`
	} `json:"additionalData"`
}

// read returns the notifications in a body, and whether they say that they are
// live.
func read(b []byte) (items []item, live string, err error) {
	var whole body
	if err := providers.ReadJSON(b, &whole); err != nil {
		return nil, "", err
	}
	if n := len(whole.Items); n == 0 || n > maxItems {
		return nil, "", fmt.Errorf("%w: %d notifications", providers.ErrMalformed, n)
	}
	items = make([]item, len(whole.Items))
	for i, wrapped := range whole.Items {
		it := &items[i]
		if err := providers.ReadJSON(wrapped.Item, it); err != nil {
			return nil, "", fmt.Errorf("notification %d of %d: %w", i+1, len(items), err)
		}
		if err := it.check(); err != nil {
			return nil, "", fmt.Errorf("notification %d of %d: %w: %w", i+1, len(items), providers.ErrMalformed, err)
		}
		it.raw = wrapped.Item
	}
	return items, whole.Live, nil
}

// check refuses what could be signed as one thing and read as another. Adyen
// joins the fields with colons and escapes none, so a colon inside a field could
// move its border: whoever saw one signature could give the same bytes another
// meaning. The merchant chooses one field; as long as none of the others holds a
// colon, there is one way to part the signed text.
func (it *item) check() error {
	for _, field := range []string{it.PSPReference, it.OriginalReference, it.MerchantAccountCode, it.Amount.Currency, it.EventCode, it.Success} {
		if strings.Contains(field, ":") {
			return errors.New("a signed field holds a colon")
		}
	}
	switch {
	case it.PSPReference == "" || it.EventCode == "":
		return errors.New("pspReference or eventCode is missing")
	case it.Success != "true" && it.Success != "false":
		return errors.New("success is neither true nor false")
	case !isAmount(it.Amount.Value):
		return errors.New("amount.value is no whole number")
	}
	return nil
}

// isAmount reports whether an amount is written as Adyen writes it, in minor
// units: a number in any other notation need not be what was signed. Reports and
// the like have no amount.
func isAmount(v jsontext.Value) bool {
	digits := strings.TrimPrefix(string(v), "-")
	return len(digits) <= 20 && strings.Trim(digits, "0123456789") == ""
}

// signed is the text that Adyen signs of a notification.
func (it *item) signed() string {
	return strings.Join([]string{
		it.PSPReference, it.OriginalReference, it.MerchantAccountCode, it.MerchantReference,
		string(it.Amount.Value), it.Amount.Currency, it.EventCode, it.Success,
	}, ":")
}
