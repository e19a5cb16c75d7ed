package generic_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/generic"
)

func TestNewNamesTheFieldOfEachMistake(t *testing.T) {
	for _, c := range []struct {
		mistake func(s *generic.Settings)
		want    string
	}{
		{func(s *generic.Settings) { s.Verify.Scheme = "" }, "verify.scheme: missing: want hmac-sha256, hmac-sha1, "},
		{func(s *generic.Settings) { s.Verify.Scheme = "md5" }, `verify.scheme: "md5": want hmac-sha256, hmac-sha1, hmac-sha512, token, ed25519, ecdsa-sha256 or rsa-sha256`},
		{func(s *generic.Settings) { s.Verify.Key = "b64" }, `verify.key: "b64": want raw, hex, base64 or whsec`},
		{func(s *generic.Settings) { s.Verify.Scheme, s.Verify.Key = "ed25519", "hex" }, "verify.key: has no effect without an HMAC: other keys tell how they are written"},
		{func(s *generic.Settings) { s.Verify.Token.In = "header" }, "verify.token: has no effect without scheme: token"},
		{func(s *generic.Settings) { s.Verify.Signature.Header = "" }, "verify.signature.header: missing"},
		{func(s *generic.Settings) { s.Verify.Signature.Header = "X Y" }, `verify.signature.header: "X Y": no name of a header`},
		{func(s *generic.Settings) { s.Verify.Signature.Encoding = "b64" }, `verify.signature.encoding: "b64": want hex, base64 or base64url`},
		{func(s *generic.Settings) { s.Verify.Signature.Prefix = "" }, "verify.signature.prefix: missing: with a separator, it tells the signatures from the rest"},
		{
			func(s *generic.Settings) { s.Verify.Signature.Separator = "" },
			"verify.timestamp.header: missing: verify.signature.separator divides no header that could hold the time, too",
		},
		{func(s *generic.Settings) { s.Verify.Signed = "{body}" }, "verify.timestamp: it is not signed, so anybody could change it: verify.signed has no {timestamp}"},
		{func(s *generic.Settings) { s.Verify.Timestamp = generic.Timestamp{} }, "verify.timestamp: missing: verify.signed has {timestamp}"},
		{func(s *generic.Settings) { s.Verify.Timestamp.Prefix, s.Verify.Timestamp.Unit = "", "s" }, "verify.timestamp: want a header, a prefix in the signature's header, or a field of the body"},
		{func(s *generic.Settings) { s.Verify.Timestamp.Header = "T:" }, `verify.timestamp.header: "T:": no name of a header`},
		{func(s *generic.Settings) { s.Verify.Timestamp.Unit = "us" }, `verify.timestamp.unit: "us": want s, ms or rfc3339`},
		{func(s *generic.Settings) { s.Verify.Timestamp.Tolerance = -1 }, "verify.timestamp.tolerance: -1ns: want a time of up to 24h, such as 5m"},
		{func(s *generic.Settings) { s.Verify.Timestamp.Tolerance = 25 * 3600e9 }, "verify.timestamp.tolerance: 25h0m0s: want"},
		{func(s *generic.Settings) { s.Verify.Timestamp.Field = "json:at" }, "verify.timestamp.prefix: has no effect beside field"},
		{
			func(s *generic.Settings) {
				s.Verify.Signed, s.Verify.Timestamp = "{json:id}", generic.Timestamp{Field: "json:at"}
			},
			"verify.timestamp.field: it is not signed: anybody could change it",
		},
		{func(s *generic.Settings) { s.Verify.Timestamp = generic.Timestamp{Field: "header:T"} }, `verify.timestamp.field: "header:T": want json:… or form:…`},
		{func(s *generic.Settings) { s.Verify.Signed = "{timestamp}.{bdy}" }, "verify.signed: {bdy}: want timestamp, body, url, uri, method, id, header:Name, json:path or form:name"},
		{func(s *generic.Settings) { s.Verify.Signed = "{timestamp}.{body" }, "verify.signed: a { is not closed"},
		{func(s *generic.Settings) { s.Verify.Signed = "{timestamp}.{id}.{body}" }, "verify.signed: {id}: event.id is not one header"},
		{func(s *generic.Settings) { s.Verify.Signed = "{timestamp}" }, "verify.signed: want {body} in it, or a value of the body: otherwise anything could be sent"},
		{
			func(s *generic.Settings) { s.Verify.Signed = "{timestamp}{url}{header:Digest}" }, // whose digest nobody would compare
			"verify.signed: want {body} in it, or a value of the body: otherwise anything could be sent",
		},
		{
			func(s *generic.Settings) { s.Verify.Signed, s.Methods = "{timestamp}{method}{uri}", []string{"PUT"} },
			"verify.signed: want {body} in it, or a value of the body: otherwise anything could be sent",
		},
		{func(s *generic.Settings) { s.Methods = []string{"GET"} }, "methods[0]: GET: a query is a form: want body: form"},
		{func(s *generic.Settings) { s.Methods = []string{"GET"} }, "methods[0]: GET: the query is not signed: verify.signed has neither {url} nor {uri}"},
		{func(s *generic.Settings) { s.Methods = []string{"PUT", "HEAD"} }, `methods[1]: "HEAD": want GET, PUT or PATCH`},
		{
			func(s *generic.Settings) {
				s.Methods, s.Body = []string{"GET"}, "form"
				s.Verify = generic.Verify{Scheme: "token", Token: generic.Token{In: "query", Name: "k"}}
			},
			"methods[0]: GET: the query is stored as the event, so it cannot hold the secret: see verify.token",
		},
		{func(s *generic.Settings) { s.Body = "yaml" }, `body: "yaml": want json, form or xml`},
		{func(s *generic.Settings) { s.Body, s.Batch = "form", "items" }, "batch: has no effect with body: form"},
		{func(s *generic.Settings) { s.Batch = "a..b" }, `batch: "a..b": want a path such as data.items[0].id or /data/items/0/id`},
		{func(s *generic.Settings) { s.Body, s.Batch = "xml", "//[" }, `batch: "//[": no XPath`},
		{func(s *generic.Settings) { s.Event.ID = nil }, "event.id: missing: want where the ID is, or event.id_hash for a platform that has none"},
		{func(s *generic.Settings) { s.Event.IDHash = generic.Value{"body"} }, "event.id_hash: has no effect beside event.id"},
		{func(s *generic.Settings) { s.Event.ID = generic.Value{"id"} }, `event.id: "id": want json:…, stem:…, header:… or const:…`},
		{func(s *generic.Settings) { s.Event.ID = generic.Value{"body"} }, `event.id: "body": want json:…`},
		{func(s *generic.Settings) { s.Event.ID = generic.Value{"json:id", "header:X Y"} }, `event.id[1]: "X Y": no name of a header`},
		{func(s *generic.Settings) { s.Event.ID = generic.Value{"json:"} }, `event.id: "json:": want a name behind the colon`},
		{func(s *generic.Settings) { s.Event.ID, s.Event.IDHash = nil, generic.Value{"xml"} }, `event.id_hash: "xml": want json:…, stem:…, header:…, const:… or body`},
		{func(s *generic.Settings) { s.Event.ID = generic.Value{"header:authorization"} }, "event: header:Authorization: the header holds a secret and is not kept with the event"},
		{
			func(s *generic.Settings) {
				s.Verify = generic.Verify{Scheme: "token", Token: generic.Token{In: "header", Name: "x-token"}}
				s.Event.Type = generic.Value{"header:X-Token"}
			},
			"event: header:X-Token: the header holds a secret and is not kept with the event",
		},
		{func(s *generic.Settings) { s.Event.Type = nil }, "event.type: missing: want where the type is, or const:text"},
		{func(s *generic.Settings) { s.Event.Type = generic.Value{"form:type"} }, `event.type: "form:type": want json:…, stem:…, header:… or const:…`},
		{func(s *generic.Settings) { s.Event.Type = generic.Value{"json:a ?? jsn:b"} }, `event.type: "jsn:b": want json:…`},
		{func(s *generic.Settings) { s.Event.Time = "json:a[x]" }, `event.time: "a[x]": want a path`},
		{func(s *generic.Settings) { s.Event.TimeUnit = "iso" }, `event.time_unit: "iso": want rfc3339, s or ms`},
		{func(s *generic.Settings) { s.Event.Ref.ID = nil }, "event.ref: want both type and id, or neither"},
		{func(s *generic.Settings) { s.Event.Ref.ID = generic.Value{"json:a[0"} }, `event.ref.id: "a[0": want a path`},
		{func(s *generic.Settings) { s.Event.Ref.Account = "envelope:x" }, `event.ref.account: "envelope:x": want json:…`},
		{func(s *generic.Settings) { s.Event.Mode.From = "" }, "event.mode.live: has no effect without event.mode.from"},
		{func(s *generic.Settings) { s.Event.APIVersion = "v" }, `event.api_version: "v": want json:…`},
		{func(s *generic.Settings) { s.Handshakes = []generic.Handshake{{}} }, "handshakes[0].when: missing: without it every event would be answered so"},
		{func(s *generic.Settings) { s.Handshakes = []generic.Handshake{{Method: "DELETE"}} }, `handshakes[0].method: "DELETE": want POST, GET, HEAD or PUT`},
		{func(s *generic.Settings) { s.Handshakes = []generic.Handshake{{Method: "GET", Is: "x"}} }, "handshakes[0].is: has no effect without when"},
		{func(s *generic.Settings) { s.Handshakes = []generic.Handshake{{Method: "GET", Member: "x"}} }, "handshakes[0].member: has no effect without echo"},
		{func(s *generic.Settings) { s.Handshakes = []generic.Handshake{{Method: "GET", Echo: "const:x"}} }, `handshakes[0].echo: "const:x": want json:…, form:…, query:… or header:…`},
		{
			func(s *generic.Settings) {
				s.Handshakes = []generic.Handshake{{Method: "GET", Echo: "query:x", Answer: generic.Answer{Body: "x"}}}
			},
			"handshakes[0].answer.body: has no effect beside echo",
		},
		{func(s *generic.Settings) { s.Accepted.Status = 302 }, "accepted.status: 302: want one from 200 to 299"},
		{func(s *generic.Settings) { s.Fetch.Paths = map[string]string{"o": "orders"} }, `fetch.paths.o: "orders": want a path that begins with /, below api.base_url`},
		{func(s *generic.Settings) { s.Fetch.Paths = map[string]string{"o": "//evil.example/x"} }, "fetch.paths.o: "},
		{func(s *generic.Settings) { s.Fetch.Paths = map[string]string{"o": "/{id}"} }, "fetch.paths.o: {id}: want {ref.id}, {ref.type} or {ref.account}"},
		{func(s *generic.Settings) { s.Fetch.Auth = "digest" }, `fetch.auth: "digest": want bearer, basic or header:Name`},
		{func(s *generic.Settings) { s.Fetch.Auth = "header:a b" }, `fetch.auth: "a b": no name of a header`},
		{func(s *generic.Settings) { s.Fetch.Auth = "bearer" }, "fetch.auth: has no effect without fetch.paths"},
		{func(s *generic.Settings) { s.Fetch.Headers = map[string]string{"a b": "x"} }, `fetch.headers: "a b": no name of a header`},
		{func(s *generic.Settings) { s.Fetch.IDs = "[" }, `fetch.ids: "[": no regular expression`},
		{func(s *generic.Settings) { s.Fetch.Object = "a..b" }, `fetch.object: "a..b": want a path`},
		{func(s *generic.Settings) { s.Fetch.UpdatedAt = "[0]" }, `fetch.updated_at: "[0]": want a path`},
		{func(s *generic.Settings) { s.Fetch.UpdatedUnit = "us" }, `fetch.updated_unit: "us": want rfc3339, s or ms`},
		{func(s *generic.Settings) { s.Fetch.ErrorCode = "." }, `fetch.error_code: ".": want a path`},
		{func(s *generic.Settings) { s.Fetch.Gone = []int{404, 500} }, "fetch.gone[1]: 500: want one from 400 to 499"},
		{func(s *generic.Settings) { s.Schemas = []generic.Schema{{Schema: map[string]any{}}} }, "schemas[0].type: missing: want a type, in which * stands for any characters"},
		{func(s *generic.Settings) { s.Schemas = []generic.Schema{{Type: "*"}} }, "schemas[0]: want either file or schema"},
		{func(s *generic.Settings) { s.Schemas = []generic.Schema{{Type: "*", File: "/does/not/exist"}} }, "schemas[0]: read schema: open /does/not/exist"},
		{func(s *generic.Settings) {
			s.Schemas = []generic.Schema{{Type: "*", Schema: map[string]any{"type": 7}}}
		}, "schemas[0]: no JSON Schema: "},
		{
			func(s *generic.Settings) {
				s.Schemas = []generic.Schema{{Type: "*", Schema: map[string]any{"$ref": "file:///etc/passwd"}}}
			},
			"references to other documents are not followed",
		},
	} {
		s := shop()
		c.mistake(&s)
		_, err := generic.New(providers.APIConfig{BaseURL: "https://api.example.com"}, s)
		require.ErrorContains(t, err, c.want)
		var setting *providers.SettingError
		require.ErrorAs(t, err, &setting, c.want)
	}
}

func TestNewNamesTheFieldsOfATokenThatIsMistaken(t *testing.T) {
	for _, c := range []struct {
		verify generic.Verify
		want   string
	}{
		{generic.Verify{}, "verify.token.in: missing: want header, bearer, basic, query or path"},
		{generic.Verify{Token: generic.Token{In: "cookie"}}, `verify.token.in: "cookie": want header, bearer, basic, query or path`},
		{generic.Verify{Token: generic.Token{In: "header"}}, "verify.token.name: missing"},
		{generic.Verify{Token: generic.Token{In: "query"}}, "verify.token.name: missing"},
		{generic.Verify{Token: generic.Token{In: "path", Name: "x"}}, "verify.token.name: has no effect with in: path"},
		{generic.Verify{Token: generic.Token{In: "bearer", Prefix: "x"}}, "verify.token.prefix: has no effect without in: header"},
		{generic.Verify{Token: generic.Token{In: "bearer"}, Key: "hex"}, "verify.key: has no effect with scheme: token"},
		{generic.Verify{Token: generic.Token{In: "bearer"}, Signed: "x"}, "verify.signed: has no effect with scheme: token"},
		{generic.Verify{Token: generic.Token{In: "bearer"}, Signature: generic.Signature{Header: "x"}}, "verify.signature: has no effect with scheme: token"},
		{generic.Verify{Token: generic.Token{In: "bearer"}, Timestamp: generic.Timestamp{Header: "x"}}, "verify.timestamp: has no effect with scheme: token"},
	} {
		c.verify.Scheme = "token"
		_, err := generic.New(providers.APIConfig{}, generic.Settings{Verify: c.verify, Event: named})
		require.EqualError(t, err, c.want)
	}
}

func TestNewReportsAllMistakesTogether(t *testing.T) {
	s := shop()
	s.Verify.Signature.Encoding, s.Body, s.Event.Type, s.Fetch = "b64", "yaml", nil, generic.Fetch{Paths: map[string]string{"*": "x"}}
	_, err := generic.New(providers.APIConfig{}, s)
	require.Len(t, strings.Split(err.Error(), "\n"), 5, "%v", err)
	list, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok)
	require.Len(t, list.Unwrap(), 5)
	require.ErrorContains(t, err, "generic: api.base_url: missing: settings.fetch has paths")
}

func TestNewWantsADeclaration(t *testing.T) {
	_, err := generic.New(providers.APIConfig{}, generic.Settings{})
	for _, want := range []string{"verify.scheme: missing", "verify.signature.header: missing", "event.id: missing", "event.type: missing"} {
		require.ErrorContains(t, err, want)
	}
}

func TestADeclaredPlatformHasItsName(t *testing.T) {
	p, err := generic.Declared("acme", shop())(providers.APIConfig{})
	require.NoError(t, err)
	require.ErrorContains(t, p.Verify(request("{}"), providers.Secrets{secret}), "acme: verify: not authentic")
	_, err = p.Events(request("{"))
	require.ErrorContains(t, err, "acme: read events: malformed")
	_, err = generic.Declared("acme", shop())(providers.APIConfig{BaseURL: "ftp://x"})
	require.ErrorContains(t, err, "acme: base URL")
}

// stamped proves requests in a way that cannot be declared.
type stamped struct{}

func (stamped) Verify(r providers.Request, _ providers.Secrets) error {
	if r.Header.Get("X-Stamp") == "" {
		return errors.Join(providers.ErrUnauthenticated)
	}
	return nil
}

func (stamped) Sign(r *providers.Request, _ providers.Secrets) error {
	r.Header.Set("X-Stamp", "1")
	return nil
}

func (stamped) Covers(value string) bool { return value == "json:id" }

func (stamped) Signed(r providers.Request) ([]byte, error) { return r.Body[:1], nil }

func TestAPlatformMayProveItsRequestsInAWayOfItsOwn(t *testing.T) {
	p, err := generic.Proven("acme", providers.APIConfig{}, generic.Settings{Event: named}, stamped{})
	require.NoError(t, err)
	r := request(`{"id": 1}`)
	require.ErrorIs(t, p.Verify(r, nil), providers.ErrUnauthenticated)
	require.NoError(t, p.Sign(&r, nil))
	require.NoError(t, p.Verify(r, nil))
	require.Empty(t, read(t, p, r)[0].Fingerprint)

	p, err = generic.Proven("acme", providers.APIConfig{}, generic.Settings{Event: generic.Event{
		ID: generic.Value{"header:X-Id"}, Type: generic.Value{"const:x"},
	}}, stamped{})
	require.NoError(t, err)
	require.Equal(t, providers.Fingerprint([]byte("{"), []byte("0")), read(t, p, request(`{}`, "X-Id", "1"))[0].Fingerprint)
}
