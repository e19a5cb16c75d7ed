package generic

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// Proof is how a platform proves that it sent a request.
type Proof interface {
	Verify(r providers.Request, s providers.Secrets) error
	Sign(r *providers.Request, s providers.Secrets) error
	// Covers reports whether the proof covers "body", or a value such as
	// "header:Name" or "json:path": whether the value can be no other while what
	// was proven stays the same.
	Covers(value string) bool
	// Signed returns the bytes that a verified request's proof covers.
	Signed(r providers.Request) ([]byte, error)
}

const (
	defaultTolerance = 5 * time.Minute // what Stripe and Standard Webhooks use

	// maxSignatures bounds the work that a forged header can cause.
	maxSignatures = 16
)

// The encodings of a signature.
const (
	encodingHex       = "hex"
	encodingBase64    = "base64"
	encodingBase64URL = "base64url"
)

// The ways in which times are written.
const (
	unitSeconds = "s"
	unitMillis  = "ms"
	unitRFC3339 = "rfc3339"
)

// signed proves a request with a signature.
type signed struct {
	name      string
	algorithm algorithm
	at        Signature
	message   template
	noBody    bool // nothing of a body is signed, so that there may be none
	timed     bool // the scheme has a time
	time      Timestamp
	timeField part
	timeIn    reader
}

// proof reads how requests are proven. With byQuery, a request may have all that
// it says in its URL.
func (p *problems) proof(name string, v Verify, id Value, byQuery bool) Proof {
	v.Scheme = p.scheme(v.Scheme)
	if v.Scheme == SchemeToken {
		return p.token(name, v)
	}
	p.unused("without scheme: token", map[string]bool{"verify.token": v.Token != Token{}})
	s := &signed{name: name, at: v.Signature, time: v.Timestamp, timed: v.Timestamp != Timestamp{}}
	s.algorithm = p.algorithm(v)
	p.signature(&s.at)
	s.message = p.template("verify.signed", v.Signed, id)
	if s.timed {
		p.timestamp(s)
	} else if s.message.holds(holdTimestamp) {
		p.add("verify.timestamp", "missing: verify.signed has {timestamp}")
	}
	s.noBody = !s.message.covers(place{in: inBody}) && !s.message.coversValues()
	signsQuery := s.message.holds(holdURL) || s.message.holds(holdURI)
	if len(s.message.pieces) > 0 && s.noBody && !(byQuery && signsQuery) {
		p.add("verify.signed", "want {body} in it, or a value of the body: otherwise anything could be sent")
	}
	return s
}

func (p *problems) scheme(scheme string) string {
	known := []string{SchemeHMACSHA256, SchemeHMACSHA1, SchemeHMACSHA512, SchemeToken, SchemeEd25519, SchemeECDSA, SchemeRSA}
	switch {
	case scheme == "":
		p.add("verify.scheme", "missing: want %s", listed(known))
	case !slices.Contains(known, scheme):
		p.add("verify.scheme", "%q: want %s", scheme, listed(known))
	}
	return scheme
}

func (p *problems) algorithm(v Verify) algorithm {
	if hash := hashes[v.Scheme]; hash != nil {
		return hmacOf{hash: hash, key: p.oneOf("verify.key", v.Key, keyRaw, keyHex, keyBase64, keyWhsec)}
	}
	p.unused("without an HMAC: other keys tell how they are written", map[string]bool{"verify.key": v.Key != ""})
	return publicKey{scheme: v.Scheme}
}

func (p *problems) signature(at *Signature) {
	p.headerName("verify.signature.header", at.Header)
	at.Encoding = p.oneOf("verify.signature.encoding", at.Encoding, encodingHex, encodingBase64, encodingBase64URL)
	if at.Separator != "" && at.Prefix == "" {
		p.add("verify.signature.prefix", "missing: with a separator, it tells the signatures from the rest")
	}
}

func (p *problems) headerName(field, name string) {
	switch {
	case name == "":
		p.add(field, "missing")
	case !headerNames.MatchString(name):
		p.add(field, "%q: no name of a header", name)
	}
}

func (p *problems) timestamp(s *signed) {
	t := &s.time
	t.Unit = p.oneOf("verify.timestamp.unit", t.Unit, unitSeconds, unitMillis, unitRFC3339)
	switch {
	case t.Tolerance == 0:
		t.Tolerance = defaultTolerance
	case t.Tolerance < 0 || t.Tolerance > 24*time.Hour:
		p.add("verify.timestamp.tolerance", "%s: want a time of up to 24h, such as 5m", t.Tolerance)
	}
	switch {
	case t.Field != "":
		p.unused("beside field", map[string]bool{"verify.timestamp.header": t.Header != "", "verify.timestamp.prefix": t.Prefix != ""})
		s.timeField = p.value("verify.timestamp.field", t.Field, inJSON, inForm)
		s.timeIn.want(s.timeField)
		if slices.ContainsFunc(s.timeField, func(at place) bool { return !s.message.covers(at) }) && !s.message.holds(holdTimestamp) {
			p.add("verify.timestamp.field", "it is not signed: anybody could change it")
		}
	case t.Header == "" && t.Prefix == "":
		p.add("verify.timestamp", "want a header, a prefix in the signature's header, or a field of the body")
	case t.Header == "" && s.at.Separator == "":
		p.add("verify.timestamp.header", "missing: verify.signature.separator divides no header that could hold the time, too")
	default:
		if t.Header != "" {
			p.headerName("verify.timestamp.header", t.Header)
		}
		if !s.message.holds(holdTimestamp) && !s.message.covers(place{in: inHeader, name: http.CanonicalHeaderKey(t.Header)}) {
			p.add("verify.timestamp", "it is not signed, so anybody could change it: verify.signed has no {timestamp}")
		}
	}
}

// coversValues reports whether a value of the body is signed.
func (t template) coversValues() bool {
	return slices.ContainsFunc(t.pieces, func(p piece) bool {
		return len(p.value) > 0 && p.value[0].in != inHeader
	})
}

// Verify implements providers.Provider. Authenticity is judged before age, so
// that ErrStale always speaks of a request that the platform did sign once.
func (s *signed) Verify(r providers.Request, secrets providers.Secrets) error {
	given, message, err := s.claim(r)
	if err != nil {
		return fmt.Errorf("%s: verify: %w: %w", s.name, providers.ErrUnauthenticated, err)
	}
	err = secrets.AcceptKey(func(secret string) (bool, error) { return s.algorithm.proves(secret, message, given) })
	if err == nil && s.timed {
		err = s.fresh(r)
	}
	if err != nil {
		return fmt.Errorf("%s: verify: %w", s.name, err)
	}
	return nil
}

// claim returns the signatures of a request and what they should be of.
func (s *signed) claim(r providers.Request) (given [][]byte, message []byte, err error) {
	if s.noBody && len(r.Body) > 0 {
		return nil, nil, errors.New("it has a body, and only its URL is signed") // which anybody could have added
	}
	if given, err = s.signatures(r.Header); err != nil {
		return nil, nil, err
	}
	message, err = s.Signed(r)
	return given, message, err
}

func (s *signed) fresh(r providers.Request) error {
	text, err := s.timestamp(r)
	if err != nil {
		return fmt.Errorf("%w: %w", providers.ErrUnauthenticated, err)
	}
	at, ok := parseTime(s.time.Unit, text)
	if !ok {
		return fmt.Errorf("%w: the time of signing is malformed", providers.ErrUnauthenticated)
	}
	return r.CheckAge(at, s.time.Tolerance)
}

// signatures returns those in the header. One that is not readable is nil, which
// fits nothing.
func (s *signed) signatures(h http.Header) ([][]byte, error) {
	elements, err := elementsOf(h, s.at.Header, s.at.Separator)
	if err != nil {
		return nil, err
	}
	var found [][]byte
	for _, element := range elements {
		text, ok := strings.CutPrefix(element, s.at.Prefix)
		if !ok {
			continue
		}
		if len(found) == maxSignatures {
			return nil, fmt.Errorf("%s has more than %d signatures", s.at.Header, maxSignatures)
		}
		found = append(found, decodeSignature(s.at.Encoding, text))
	}
	if found == nil {
		return nil, fmt.Errorf("%s holds no %ssignature", s.at.Header, s.at.Prefix)
	}
	return found, nil
}

// elementsOf splits a header that must occur once.
func elementsOf(h http.Header, name, separator string) ([]string, error) {
	value, err := providers.HeaderOnce(h, name)
	if err != nil {
		return nil, err
	}
	if separator == "" {
		return []string{value}, nil
	}
	elements := strings.Split(value, separator)
	for i, element := range elements {
		elements[i] = strings.TrimSpace(element)
	}
	return elements, nil
}

// decodeSignature takes only the one way in which a platform writes a signature.
func decodeSignature(encoding, text string) []byte {
	var decoded []byte
	var err error
	switch encoding {
	case encodingHex:
		decoded, err = hex.DecodeString(text)
	case encodingBase64URL:
		decoded, err = base64.RawURLEncoding.Strict().DecodeString(strings.TrimRight(text, "="))
	default:
		decoded, err = base64.StdEncoding.Strict().DecodeString(text)
	}
	if err != nil {
		return nil
	}
	return decoded
}

func encodeSignature(encoding string, signature []byte) string {
	switch encoding {
	case encodingHex:
		return hex.EncodeToString(signature)
	case encodingBase64URL:
		return base64.RawURLEncoding.EncodeToString(signature)
	default:
		return base64.StdEncoding.EncodeToString(signature)
	}
}

// timestamp returns the time of signing as it stands in the request: these
// bytes are signed.
func (s *signed) timestamp(r providers.Request) (string, error) {
	if s.time.Field != "" {
		values, err := s.timeIn.read(r)
		if err != nil {
			return "", err
		}
		text, found, err := values.get(s.timeField)
		if err == nil && !found {
			err = errors.New("the time of signing is missing")
		}
		return text, err
	}
	header, separator := s.time.Header, ""
	if header == "" {
		header, separator = s.at.Header, s.at.Separator
	}
	elements, err := elementsOf(r.Header, header, separator)
	if err != nil {
		return "", err
	}
	var found []string
	for _, element := range elements {
		if text, ok := strings.CutPrefix(element, s.time.Prefix); ok {
			found = append(found, text)
		}
	}
	if len(found) != 1 || found[0] == "" {
		return "", fmt.Errorf("%s holds %d times: want one", header, len(found))
	}
	return found[0], nil
}

// Signed implements Proof.
func (s *signed) Signed(r providers.Request) ([]byte, error) {
	var timestamp string
	if s.message.holds(holdTimestamp) {
		var err error
		if timestamp, err = s.timestamp(r); err != nil {
			return nil, err
		}
	}
	return s.message.fill(r, timestamp)
}

// Covers implements Proof.
func (s *signed) Covers(value string) bool {
	at, err := parsePlace(value, []string{inBody, inHeader, inJSON, inEnvelope, inForm, inXPath, inConst})
	return err == nil && s.message.fixes(at)
}

// Sign implements providers.Provider. A time in the body is the caller's to
// write there.
func (s *signed) Sign(r *providers.Request, secrets providers.Secrets) error {
	if len(secrets) == 0 || secrets[0] == "" {
		return fmt.Errorf("%s: sign: no secret", s.name)
	}
	at := formatTime(s.time.Unit, r.ReceivedAt)
	before := ""
	switch {
	case !s.timed || s.time.Field != "":
	case s.time.Header == "":
		before = s.time.Prefix + at + s.at.Separator
		setHeader(r, s.at.Header, before)
	default:
		setHeader(r, s.time.Header, s.time.Prefix+at)
	}
	message, err := s.Signed(*r)
	if err != nil {
		return fmt.Errorf("%s: sign: %w", s.name, err)
	}
	signature, err := s.algorithm.sign(secrets[0], message)
	if err != nil {
		return fmt.Errorf("%s: sign: secret 1 %w", s.name, err)
	}
	setHeader(r, s.at.Header, before+s.at.Prefix+encodeSignature(s.at.Encoding, signature))
	return nil
}

// parseTime reads a time. Seconds may have a fraction.
func parseTime(unit, text string) (time.Time, bool) {
	if unit == unitRFC3339 {
		at, err := time.Parse(time.RFC3339Nano, text)
		return at.UTC(), err == nil
	}
	whole, fraction, hasFraction := strings.Cut(text, ".")
	n, err := strconv.ParseUint(whole, 10, 48)
	if err != nil || hasFraction && unit == unitMillis {
		return time.Time{}, false
	}
	if unit == unitMillis {
		return time.UnixMilli(int64(n)).UTC(), true
	}
	nanos := uint64(0)
	if hasFraction {
		if nanos, err = strconv.ParseUint((fraction + "000000000")[:9], 10, 32); err != nil {
			return time.Time{}, false
		}
	}
	return time.Unix(int64(n), int64(nanos)).UTC(), n < 1<<37 // before the year 6000
}

func formatTime(unit string, at time.Time) string {
	switch unit {
	case unitRFC3339:
		return at.UTC().Format(time.RFC3339)
	case unitMillis:
		return strconv.FormatInt(at.UnixMilli(), 10)
	default:
		return strconv.FormatInt(at.Unix(), 10)
	}
}
