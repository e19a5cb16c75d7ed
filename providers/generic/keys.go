package generic

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // HMAC-SHA1 is what some platforms sign with, and no weakness of SHA-1 reaches it
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// algorithm makes and checks signatures. Its errors say what is wrong with a
// secret and do not repeat it.
type algorithm interface {
	// proves reports whether one of the signatures of the message was made with the secret.
	proves(secret string, message []byte, signatures [][]byte) (bool, error)
	sign(secret string, message []byte) ([]byte, error)
}

// hmacOf signs with a key that both sides have.
type hmacOf struct {
	hash func() hash.Hash
	key  string // how it is written
}

var hashes = map[string]func() hash.Hash{
	SchemeHMACSHA1:   sha1.New,
	SchemeHMACSHA256: sha256.New,
	SchemeHMACSHA512: sha512.New,
}

func (a hmacOf) proves(secret string, message []byte, signatures [][]byte) (bool, error) {
	want, err := a.sign(secret, message)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(signatures, func(given []byte) bool { return hmac.Equal(given, want) }), nil
}

func (a hmacOf) sign(secret string, message []byte) ([]byte, error) {
	key, err := decodeKey(a.key, secret)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(a.hash, key)
	mac.Write(message)
	return mac.Sum(nil), nil
}

// The ways in which the key of an HMAC is written.
const (
	keyRaw    = "raw"
	keyHex    = "hex"
	keyBase64 = "base64"
	keyWhsec  = "whsec"
)

// whsecPrefix precedes keys as Standard Webhooks write them.
const whsecPrefix = "whsec_"

func decodeKey(written, secret string) (key []byte, err error) {
	switch written {
	case keyHex:
		if key, err = hex.DecodeString(secret); err != nil {
			return nil, errors.New("is not hex")
		}
	case keyBase64:
		if key, err = base64.StdEncoding.DecodeString(secret); err != nil {
			return nil, errors.New("is not base64")
		}
	case keyWhsec:
		text, found := strings.CutPrefix(secret, whsecPrefix)
		if key, err = base64.StdEncoding.DecodeString(text); err != nil || !found {
			return nil, errors.New("is not " + whsecPrefix + " and base64")
		}
	default:
		key = []byte(secret)
	}
	if len(key) == 0 {
		return nil, errors.New("is empty") // anyone can sign with it
	}
	return key, nil
}

// publicKey checks what only the owner of the private key can make. The secrets
// are public keys, or private ones where we are to sign as the platform does.
type publicKey struct{ scheme string }

func (a publicKey) proves(secret string, message []byte, signatures [][]byte) (bool, error) {
	public, _, err := a.parse(secret)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(signatures, func(given []byte) bool { return fits(public, message, given) }), nil
}

func fits(public crypto.PublicKey, message, given []byte) bool {
	digest := sha256.Sum256(message)
	switch key := public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, given)
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest[:], given)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], given) == nil
	}
	return false
}

// sign needs no randomness: ECDSA takes its own from the message (RFC 6979), and
// the others use none.
func (a publicKey) sign(secret string, message []byte) ([]byte, error) {
	_, signer, err := a.parse(secret)
	switch {
	case err != nil:
		return nil, err
	case signer == nil:
		return nil, errors.New("is a public key, and only a private one can sign")
	case a.scheme == SchemeEd25519:
		return signer.Sign(nil, message, crypto.Hash(0))
	}
	digest := sha256.Sum256(message)
	return signer.Sign(nil, digest[:], crypto.SHA256)
}

// parse reads a key; signer is nil for a public one.
func (a publicKey) parse(secret string) (public crypto.PublicKey, signer crypto.Signer, err error) {
	public, err = parseKey(secret, a.scheme == SchemeEd25519)
	if err != nil {
		return nil, nil, err
	}
	if private, ok := public.(crypto.Signer); ok {
		public, signer = private.Public(), private
	}
	if schemeOf(public) != a.scheme {
		return nil, nil, fmt.Errorf("is no key for %s", a.scheme)
	}
	return public, signer, nil
}

func schemeOf(public crypto.PublicKey) string {
	switch public.(type) {
	case ed25519.PublicKey:
		return SchemeEd25519
	case *ecdsa.PublicKey:
		return SchemeECDSA
	case *rsa.PublicKey:
		return SchemeRSA
	}
	return ""
}

var errNoKey = errors.New("is no key in PEM, base64 or hex")

// parseKey reads a key as platforms show it: PEM, or the same without its frame,
// or, of Ed25519, the bare 32 bytes of a public or 64 of a private key.
func parseKey(text string, bare bool) (any, error) {
	der, err := keyBytes(text)
	switch {
	case err != nil:
		return nil, err
	case bare && len(der) == ed25519.PublicKeySize:
		return ed25519.PublicKey(der), nil
	case bare && len(der) == ed25519.PrivateKeySize:
		return ed25519.PrivateKey(der), nil
	}
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, nil
	}
	return nil, errNoKey
}

func keyBytes(text string) ([]byte, error) {
	if block, _ := pem.Decode([]byte(text)); block != nil {
		return block.Bytes, nil
	}
	if key, err := hex.DecodeString(text); err == nil {
		return key, nil
	}
	if key, err := base64.StdEncoding.DecodeString(text); err == nil {
		return key, nil
	}
	return nil, errNoKey
}
