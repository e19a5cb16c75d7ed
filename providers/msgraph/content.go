package msgraph

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // Graph's choice for OAEP, where its weakness does not matter
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// encryptedContent is the resource data of an item, encrypted for us.
//
// Source: learn.microsoft.com/graph/change-notifications-with-resource-data,
// "Decrypting resource data".
type encryptedContent struct {
	Data          string `json:"data"`
	DataSignature string `json:"dataSignature"`
	DataKey       string `json:"dataKey"`
	CertificateID string `json:"encryptionCertificateId"`
}

// The ways in which content cannot be read, in words for the operator.
var (
	errBase64    = errors.New("unreadable base64")
	errDataKey   = errors.New("dataKey cannot be decrypted with the certificate's key")
	errSignature = errors.New("dataSignature does not fit the data")
	errData      = errors.New("data is no encrypted JSON object")
)

// dataKeyBytes is the length of a key for AES-256.
const dataKeyBytes = 32

// decrypt returns the resource as JSON. The key of the data is encrypted for
// our certificate (RSA, OAEP with SHA-1), signs the data (HMAC-SHA256) and
// encrypts it (AES-256-CBC, PKCS #7, the IV being the key's first 16 bytes).
// Nothing is decrypted before its signature has been found good.
func (c encryptedContent) decrypt(keys map[string]*rsa.PrivateKey) ([]byte, error) {
	private := keys[c.CertificateID]
	if private == nil {
		return nil, errors.New("settings.certificates has no key for its encryptionCertificateId")
	}
	data, err1 := base64.StdEncoding.DecodeString(c.Data)
	signature, err2 := base64.StdEncoding.DecodeString(c.DataSignature)
	encrypted, err3 := base64.StdEncoding.DecodeString(c.DataKey)
	if errors.Join(err1, err2, err3) != nil {
		return nil, errBase64
	}
	key, err := rsa.DecryptOAEP(sha1.New(), nil, private, encrypted, nil) //nolint:gosec // see the import
	if err != nil || len(key) != dataKeyBytes {
		return nil, errDataKey
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	if !hmac.Equal(mac.Sum(nil), signature) {
		return nil, errSignature
	}
	return decryptData(key, data)
}

func decryptData(key, data []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDataKey, err)
	}
	if len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, errData
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, key[:aes.BlockSize]).CryptBlocks(plain, data)
	plain, ok := withoutPadding(plain)
	object := jsontext.Value(plain)
	if !ok || object.Kind() != jsontext.KindBeginObject || !object.IsValid() {
		return nil, errData
	}
	return plain, nil
}

// withoutPadding removes PKCS #7 padding: n bytes of the value n, from 1 to a block.
func withoutPadding(plain []byte) ([]byte, bool) {
	n := int(plain[len(plain)-1])
	if n == 0 || n > aes.BlockSize {
		return nil, false
	}
	for _, b := range plain[len(plain)-n:] {
		if int(b) != n {
			return nil, false
		}
	}
	return plain[:len(plain)-n], true
}
