package adyen

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// Verify implements providers.Provider. Every notification must be signed with
// one of the secrets. A secret is an HMAC key as the Customer Area shows it, in
// hex; one that is not proves nothing. Adyen signs when an event happens and not
// when it is sent, so a new key and the old one are both in use until the queue of
// retries is empty: keep the old one for 30 days.
//
// Adyen signs no time, so there is nothing to judge freshness by.
func (*Provider) Verify(r providers.Request, s providers.Secrets) error {
	items, _, err := read(r.Body)
	if err != nil {
		return fail("verify", fmt.Errorf("%w: %w", providers.ErrUnauthenticated, err))
	}
	keys, err := readKeys(s)
	if err != nil {
		return fail("verify", fmt.Errorf("%w: %w", providers.ErrUnauthenticated, err))
	}
	for i := range items {
		if !items[i].signedBy(keys) {
			return fail("verify", fmt.Errorf("%w: the signature of notification %d fits none of %d secrets", providers.ErrUnauthenticated, i, len(keys)))
		}
	}
	return nil
}

// readKeys reads the secrets. It fails when none of them is a key, and says
// which: an unreadable one beside a good one is noticed when it is needed.
func readKeys(s providers.Secrets) ([][]byte, error) {
	var keys [][]byte
	var unusable []error
	for i, secret := range s {
		key, err := hex.DecodeString(secret)
		if err != nil || len(key) == 0 {
			unusable = append(unusable, fmt.Errorf("secret %d is no key in hex", i))
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.Join(append(unusable, errors.New("no usable secret"))...)
	}
	return keys, nil
}

func (it *item) signedBy(keys [][]byte) bool {
	known := false
	for _, key := range keys {
		// The text is compared, not the bytes it stands for: base64 has several
		// texts for the same bytes, and Adyen writes one.
		known = hmac.Equal([]byte(it.AdditionalData.Signature), it.signature(key)) || known
	}
	return known
}

func (it *item) signature(key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(it.signed()))
	return base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
}

// Sign implements providers.Provider. It writes a signature into every
// notification of the body. The order of the members is not kept; it means nothing.
func (*Provider) Sign(r *providers.Request, s providers.Secrets) error {
	keys, err := readKeys(s[:min(1, len(s))])
	if err != nil {
		return fail("sign", err)
	}
	items, _, err := read(r.Body)
	if err != nil {
		return fail("sign", err)
	}
	signed := make([]map[string]jsontext.Value, len(items))
	for i := range items {
		with, err := items[i].withSignature(items[i].signature(keys[0]))
		if err != nil {
			return fail("sign", err)
		}
		signed[i] = map[string]jsontext.Value{"NotificationRequestItem": with}
	}
	list, err := json.Marshal(signed)
	if err != nil {
		return fail("sign", err)
	}
	r.Body, err = with(r.Body, "notificationItems", list)
	if err != nil {
		return fail("sign", err)
	}
	return nil
}

// withSignature is the notification with the signature in it.
func (it *item) withSignature(signature []byte) (jsontext.Value, error) {
	quoted, err := jsontext.AppendQuote(nil, signature)
	if err != nil {
		return nil, err
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(it.raw, &members); err != nil {
		return nil, err
	}
	data := members["additionalData"]
	if len(data) == 0 {
		data = jsontext.Value("{}")
	}
	data, err = with(data, "hmacSignature", quoted)
	if err != nil {
		return nil, err
	}
	return with(it.raw, "additionalData", data)
}

// with is a JSON object with one of its members set.
func with(object jsontext.Value, member string, value jsontext.Value) (jsontext.Value, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(object, &members); err != nil {
		return nil, err
	}
	if members == nil {
		members = map[string]jsontext.Value{}
	}
	members[member] = value
	return json.Marshal(members, json.Deterministic(true))
}
