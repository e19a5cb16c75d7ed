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
	for i := range items {
		if err := s.AcceptKey(items[i].signedBy); err != nil {
			return fail("verify", fmt.Errorf("notification %d of %d: %w", i+1, len(items), err))
		}
	}
	return nil
}

// readKey reads a secret. The error does not repeat it.
func readKey(secret string) ([]byte, error) {
	key, err := hex.DecodeString(secret)
	if err != nil {
		return nil, errors.New("is no key in hex")
	}
	return key, nil
}

func (it *item) signedBy(secret string) (bool, error) {
	key, err := readKey(secret)
	if err != nil {
		return false, err
	}
	// The text is compared, not the bytes it stands for: base64 has several
	// texts for the same bytes, and Adyen writes one.
	return hmac.Equal([]byte(it.AdditionalData.Signature), it.signature(key)), nil
}

func (it *item) signature(key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(it.signed()))
	return base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
}

// Sign implements providers.Provider. It writes a signature into every
// notification of the body. The order of the members is not kept; it means nothing.
func (*Provider) Sign(r *providers.Request, s providers.Secrets) error {
	if len(s) == 0 || s[0] == "" {
		return fail("sign", errors.New("no secret"))
	}
	key, err := readKey(s[0])
	if err != nil {
		return fail("sign", fmt.Errorf("secret 1 %w", err))
	}
	items, _, err := read(r.Body)
	if err != nil {
		return fail("sign", err)
	}
	signed := make([]map[string]jsontext.Value, len(items))
	for i := range items {
		with, err := items[i].withSignature(items[i].signature(key))
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
