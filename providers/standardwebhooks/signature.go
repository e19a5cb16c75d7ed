package standardwebhooks

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// The headers, under both of their names.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
	svixID          = "Svix-Id"
	svixTimestamp   = "Svix-Timestamp"
	svixSignature   = "Svix-Signature"
)

// The versions of a signature that are known. Others are skipped: a sender may
// introduce one beside those that we can check.
const (
	versionHMAC    = "v1"  // HMAC-SHA256
	versionEd25519 = "v1a" // Ed25519
)

const (
	// tolerance is that of the official libraries. The specification leaves it open.
	tolerance = 300 * time.Second

	// maxSignatures bounds the work that a forged header can cause. Senders sign
	// twice while a secret is being replaced.
	maxSignatures = 16
)

// proof is how a sender of Standard Webhooks proves its requests.
type proof struct{}

// Verify implements generic.Proof. Authenticity is judged before age, so that
// ErrStale always speaks of a request that was signed once.
func (proof) Verify(r providers.Request, s providers.Secrets) error {
	sent, err := readHeaders(r.Header)
	if err != nil {
		return unauthenticated(err)
	}
	seconds, err := strconv.ParseUint(sent.timestamp, 10, 40)
	if err != nil {
		return unauthenticated(errors.New("the timestamp is malformed"))
	}
	signatures, err := sent.signatures()
	if err != nil {
		return unauthenticated(err)
	}
	signed := message(sent.id, sent.timestamp, r.Body)
	err = s.AcceptKey(func(secret string) (bool, error) {
		key, err := parseKey(secret)
		return err == nil && slices.ContainsFunc(signatures, func(given signature) bool { return key.fits(given, signed) }), err
	})
	if err == nil {
		err = r.CheckAge(time.Unix(int64(seconds), 0), tolerance)
	}
	if err != nil {
		return fmt.Errorf("%s: verify: %w", name, err)
	}
	return nil
}

func unauthenticated(err error) error {
	return fmt.Errorf("%s: verify: %w: %w", name, providers.ErrUnauthenticated, err)
}

// Sign implements generic.Proof. The ID is the caller's to set; it is signed. A
// secret of whsec_ makes a v1 signature and a private key of whsk_ a v1a one.
func (proof) Sign(r *providers.Request, s providers.Secrets) error {
	if len(s) == 0 || s[0] == "" {
		return errors.New(name + ": sign: no secret")
	}
	secret, err := parseKey(s[0])
	if err != nil {
		return fmt.Errorf("%s: sign: secret 1 %w", name, err)
	}
	id := r.Header.Get(headerID)
	if id == "" {
		return errors.New(name + ": sign: no " + headerID)
	}
	at := strconv.FormatInt(r.ReceivedAt.Unix(), 10)
	signature, err := secret.sign(message(id, at, r.Body))
	if err != nil {
		return fmt.Errorf("%s: sign: secret 1 %w", name, err)
	}
	r.Header.Set(headerTimestamp, at)
	r.Header.Set(headerSignature, signature)
	return nil
}

// Covers implements generic.Proof.
func (proof) Covers(value string) bool {
	in, _, _ := strings.Cut(value, ":")
	return in != "header" || value == "header:"+headerID || value == "header:"+svixID
}

// Signed implements generic.Proof.
func (proof) Signed(r providers.Request) ([]byte, error) {
	sent, err := readHeaders(r.Header)
	if err != nil {
		return nil, err
	}
	return message(sent.id, sent.timestamp, r.Body), nil
}

// message is what is signed.
func message(id, timestamp string, body []byte) []byte {
	return slices.Concat([]byte(id), []byte{'.'}, []byte(timestamp), []byte{'.'}, body)
}

// headers are what a sender says about its signature.
type headers struct{ id, timestamp, signature string }

// readHeaders takes the headers under either name. Svix sends both; where they
// are not the same, one of them was added by somebody else, and which one a
// reader takes must not decide what an event is called.
func readHeaders(h http.Header) (headers, error) {
	standard, hasStandard, err := readSet(h, headerID, headerTimestamp, headerSignature)
	if err != nil {
		return headers{}, err
	}
	svix, hasSvix, err := readSet(h, svixID, svixTimestamp, svixSignature)
	switch {
	case err != nil:
		return headers{}, err
	case hasStandard && hasSvix && standard != svix:
		return headers{}, errors.New("the webhook- and svix- headers differ")
	case hasStandard:
		return standard, nil
	case hasSvix:
		return svix, nil
	}
	return headers{}, errors.New("the headers webhook-id, webhook-timestamp and webhook-signature are missing")
}

// readSet reads one set, which is complete or not there.
func readSet(h http.Header, names ...string) (set headers, there bool, err error) {
	var texts [3]string
	missing := 0
	for i, header := range names {
		switch values := h.Values(header); {
		case len(values) > 1:
			return set, false, fmt.Errorf("%d %s headers: want one", len(values), header)
		case len(values) == 0:
			missing++
		case values[0] == "":
			return set, false, fmt.Errorf("the header %s is empty", header)
		default:
			texts[i] = values[0]
		}
	}
	switch missing {
	case 0:
		return headers{id: texts[0], timestamp: texts[1], signature: texts[2]}, true, nil
	case len(names):
		return set, false, nil
	}
	return set, false, fmt.Errorf("only some of the headers %s are there", strings.Join(names, ", "))
}

// signature is one of those that a request has.
type signature struct {
	version string
	bytes   []byte
}

// signatures returns those of known versions. What else the header says is not
// looked at, and no key is ever taken from a request.
func (sent headers) signatures() ([]signature, error) {
	var found []signature
	for element := range strings.SplitSeq(sent.signature, " ") {
		version, text, _ := strings.Cut(element, ",")
		if version != versionHMAC && version != versionEd25519 {
			continue
		}
		if len(found) == maxSignatures {
			return nil, fmt.Errorf("more than %d signatures", maxSignatures)
		}
		decoded, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			decoded = nil // fits nothing
		}
		found = append(found, signature{version: version, bytes: decoded})
	}
	if found == nil {
		return nil, fmt.Errorf("no signature of version %s or %s", versionHMAC, versionEd25519)
	}
	return found, nil
}

// key is a secret of either kind.
type key struct {
	shared  []byte             // of v1
	public  ed25519.PublicKey  // of v1a
	private ed25519.PrivateKey // of v1a, where we are to sign
}

// The prefixes of secrets, and the sizes of shared ones that the specification allows.
const (
	prefixShared  = "whsec_"
	prefixPublic  = "whpk_"
	prefixPrivate = "whsk_"

	minShared = 24
	maxShared = 64
)

// parseKey reads a secret. The error does not repeat it.
func parseKey(secret string) (key, error) {
	prefix, text, _ := strings.Cut(secret, "_")
	prefix += "_"
	if prefix != prefixShared && prefix != prefixPublic && prefix != prefixPrivate {
		return key{}, fmt.Errorf("begins with none of %s, %s and %s", prefixShared, prefixPublic, prefixPrivate)
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return key{}, fmt.Errorf("is not base64 behind %s", prefix)
	}
	switch size := len(decoded); {
	case prefix == prefixShared && size >= minShared && size <= maxShared:
		return key{shared: decoded}, nil
	case prefix == prefixPublic && size == ed25519.PublicKeySize:
		return key{public: decoded}, nil
	case prefix == prefixPrivate && size == ed25519.SeedSize:
		return privateKey(ed25519.NewKeyFromSeed(decoded)), nil
	case prefix == prefixPrivate && size == ed25519.PrivateKeySize:
		return privateKey(ed25519.NewKeyFromSeed(decoded[:ed25519.SeedSize])), nil
	default:
		return key{}, fmt.Errorf("is a key of %d bytes, which %s does not allow", size, prefix)
	}
}

// privateKey also checks signatures: a source that sends to itself needs one
// secret only.
func privateKey(private ed25519.PrivateKey) key {
	public := ed25519.PublicKey(private[ed25519.SeedSize:]) // Go keeps it behind the seed
	return key{private: private, public: public}
}

func (k key) fits(given signature, signed []byte) bool {
	if k.shared != nil {
		return given.version == versionHMAC && hmac.Equal(given.bytes, digest(k.shared, signed))
	}
	return given.version == versionEd25519 && ed25519.Verify(k.public, signed, given.bytes)
}

func (k key) sign(signed []byte) (string, error) {
	switch {
	case k.shared != nil:
		return versionHMAC + "," + base64.StdEncoding.EncodeToString(digest(k.shared, signed)), nil
	case k.private != nil:
		return versionEd25519 + "," + base64.StdEncoding.EncodeToString(ed25519.Sign(k.private, signed)), nil
	}
	return "", errors.New("is a public key, and only a private one can sign")
}

func digest(key, signed []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(signed)
	return mac.Sum(nil)
}
