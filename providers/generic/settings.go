package generic

import (
	"errors"
	"time"
)

// Settings declare a platform: how its requests are proven, what they carry,
// and how its objects are fetched. The names in the tags are those in the file
// that declares the sources; docs/declaring.md explains them all.
type Settings struct {
	Verify Verify `yaml:"verify"`

	// Methods are the request methods of events besides POST: GET, PUT or PATCH.
	// The query of a GET is read as a form.
	Methods []string `yaml:"methods"`
	// Body is what bodies are: json (the default), form or xml.
	Body string `yaml:"body"`
	// Batch is where the list of events is in a request that carries several:
	// a path of a JSON array, "." for a body that is one, or an XPath.
	Batch string `yaml:"batch"`
	Event Event  `yaml:"event"`

	// Handshakes are answers to requests that carry no event. The first that
	// fits a request answers it.
	Handshakes []Handshake `yaml:"handshakes"`
	// Accepted answers requests whose events are durable; by default 200 and
	// what became of each event.
	Accepted Answer `yaml:"accepted"`

	Fetch   Fetch    `yaml:"fetch"`
	Schemas []Schema `yaml:"schemas"`
}

// Verify declares how a request proves who sent it.
type Verify struct {
	// Scheme is one of the Scheme constants.
	Scheme string `yaml:"scheme"`
	// Key says how the key of an HMAC is written in the source's secrets: raw
	// (the default: its bytes are the key), hex, base64, or whsec (base64 behind
	// whsec_). Keys of the other schemes tell themselves: PEM, base64 or hex.
	Key string `yaml:"key"`
	// Signed is what is signed, by default {body}. It may hold {timestamp},
	// {body}, {url} (all of it), {uri} (path and query), {method}, {id} (the event's
	// id, where a header has it), {header:Name}, {json:path} and {form:name}.
	Signed    string    `yaml:"signed"`
	Signature Signature `yaml:"signature"`
	Timestamp Timestamp `yaml:"timestamp"`
	// Token is where a request has the secret itself, for SchemeToken.
	Token Token `yaml:"token"`
}

// The schemes. The public keys of the last three are the source's secrets.
const (
	SchemeHMACSHA1   = "hmac-sha1"
	SchemeHMACSHA256 = "hmac-sha256"
	SchemeHMACSHA512 = "hmac-sha512"
	SchemeToken      = "token" // proves the sender, but not what was sent
	SchemeEd25519    = "ed25519"
	SchemeECDSA      = "ecdsa-sha256" // the signature in ASN.1
	SchemeRSA        = "rsa-sha256"   // PKCS #1 v1.5
)

// Signature declares where signatures are in a request.
type Signature struct {
	Header string `yaml:"header"`
	// Encoding is hex (the default), base64 or base64url.
	Encoding string `yaml:"encoding"`
	// Prefix precedes a signature, such as "sha256=".
	Prefix string `yaml:"prefix"`
	// Separator divides a header that holds several things, such as "," in
	// "t=1,v1=2". Those with the prefix are signatures, of which one has to fit;
	// others, which may be signatures of a weaker scheme, are ignored.
	Separator string `yaml:"separator"`
}

// Timestamp declares where the time of signing is: in a header of its own, in
// the signature's header behind a prefix, or in the body. It must be signed.
type Timestamp struct {
	Header string `yaml:"header"`
	// Prefix precedes the time, in the signature's header when Header is empty.
	Prefix string `yaml:"prefix"`
	// Field is a json: or form: value in the body.
	Field string `yaml:"field"`
	// Unit is s (the default), ms or rfc3339.
	Unit string `yaml:"unit"`
	// Tolerance is how far the time may lie from ours, in either direction; 5m
	// by default.
	Tolerance time.Duration `yaml:"tolerance"`
}

// Token declares where a request has a secret as it is.
type Token struct {
	// In is header, bearer, basic, query, or path: the last part of the URL's path.
	In string `yaml:"in"`
	// Name is that of the header or the query parameter. For basic it is the
	// user, whose password the secret is; without one the secret is user:password.
	Name string `yaml:"name"`
	// Prefix precedes the secret in a header.
	Prefix string `yaml:"prefix"`
}

// Value says where in a request a value is: one or several of
//
//	header:Name     a header
//	json:path       a member, such as data.items[0].id, or a JSON pointer
//	stem:path       the same without its last word: order of order.paid
//	envelope:path   with a batch: a member of the whole body
//	form:name       a field of a form
//	xpath:expr      a string, number or node of an XML document
//	const:text      the text itself
//
// Each may have alternatives: "json:a ?? json:b" is b where there is no a. In
// the file a single one need not be a list.
type Value []string

// UnmarshalYAML reads a text or a list of texts.
func (v *Value) UnmarshalYAML(read func(any) error) error {
	var one string
	if read(&one) == nil {
		*v = Value{one}
		return nil
	}
	var list []string
	if read(&list) != nil {
		return errors.New("want " + v.Wants())
	}
	*v = list
	return nil
}

// Wants says what UnmarshalYAML reads.
func (v Value) Wants() string {
	return `a text such as "json:data.id", or a list of such texts in quotes`
}

// Event declares how an event is named.
type Event struct {
	// ID is what the platform calls the event; several values are joined with ":".
	// Where the signature does not cover it, the signed bytes name the event as
	// well, so that a captured request cannot be sent again under another ID.
	ID Value `yaml:"id"`
	// IDHash makes an ID for a platform that has none: the hash of the values,
	// one of which may be body, the event as it came.
	IDHash Value `yaml:"id_hash"`
	// Type is the event's type; several values are joined with ".", and those
	// that are missing are left out.
	Type Value `yaml:"type"`
	// Time is when it happened, in TimeUnit: rfc3339 (the default), s or ms.
	Time     string `yaml:"time"`
	TimeUnit string `yaml:"time_unit"`

	Ref        Ref    `yaml:"ref"`
	Mode       Mode   `yaml:"mode"`
	APIVersion string `yaml:"api_version"`
	// Deleted are patterns of the types that tell the end of their object.
	Deleted []string `yaml:"deleted"`
}

// Ref declares how the object of an event is named. Where its type or its id is
// missing, the event is about no object.
type Ref struct {
	Type Value `yaml:"type"` // joined with "."
	ID   Value `yaml:"id"`   // joined with ":"
	// Account is the tenant the object lives in.
	Account string `yaml:"account"`
}

// Mode declares how real traffic is told from trial traffic.
type Mode struct {
	From string   `yaml:"from"`
	Live []string `yaml:"live"` // the values that mean live, such as "true"
	Test []string `yaml:"test"` // the values that mean test
}

// Handshake declares requests that carry no event, and their answer. It must
// fit in all that it names.
type Handshake struct {
	// Signed says that the platform signs these requests; otherwise anybody gets
	// the answer.
	Signed bool `yaml:"signed"`
	// Method is the request's method, POST by default.
	Method string `yaml:"method"`
	// When is a header:, query:, json: or form: value that the request must have,
	// and Is what it must be; by default anything.
	When string `yaml:"when"`
	Is   string `yaml:"is"`
	// Echo is a header:, query:, json: or form: value to answer with, as text.
	Echo string `yaml:"echo"`
	// Member makes the answer a JSON object that has the echoed value under this name.
	Member string `yaml:"member"`

	Answer Answer `yaml:"answer"`
}

// Answer declares a response.
type Answer struct {
	Status      int    `yaml:"status"` // 200 by default
	ContentType string `yaml:"content_type"`
	Body        string `yaml:"body"`
}

// Fetch declares the API that returns objects.
type Fetch struct {
	// BaseURL is where the API is when api.base_url does not say.
	BaseURL string `yaml:"base_url"`
	// Paths are the API's paths by the ref's type, * for all others, such as
	// /v1/orders/{ref.id}. They may hold {ref.id}, {ref.type} and {ref.account}.
	// Objects of other types are not fetchable.
	Paths map[string]string `yaml:"paths"`
	// Auth is how api.key is sent: bearer (the default), basic (user:password),
	// or header:Name.
	Auth string `yaml:"auth"`
	// Headers are sent with every call, such as an API version.
	Headers map[string]string `yaml:"headers"`
	// IDs is the pattern that ids and accounts fit as a whole, by default letters,
	// digits and ._:@=+- without a leading dot.
	IDs string `yaml:"ids"`
	// Object is the path of the object in the answer; by default it is all of it.
	Object string `yaml:"object"`
	// UpdatedAt is the path, in the object, of the time of its last change, in
	// UpdatedUnit: rfc3339 (the default), s or ms.
	UpdatedAt   string `yaml:"updated_at"`
	UpdatedUnit string `yaml:"updated_unit"`
	// Gone are the statuses that mean that there is no such object any more, by
	// default 404; 410 always does.
	Gone []int `yaml:"gone"`
	// ErrorCode is the path of the API's own error code in an answer that failed.
	ErrorCode string `yaml:"error_code"`
	// ETags says that the API knows conditional requests.
	ETags bool `yaml:"etags"`
}

// Schema is the contract for the payload of some events: one that breaks it
// waits for an operator.
type Schema struct {
	// Type is a pattern of event types; the first schema that fits is used.
	Type string `yaml:"type"`
	// File is a JSON Schema, and Schema one that stands here instead.
	File   string         `yaml:"file"`
	Schema map[string]any `yaml:"schema"`
}
