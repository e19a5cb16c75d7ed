package generic_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/generic"
	"github.com/surehook/surehook/providers/providertest"
)

const (
	secret = "a shared secret"

	orderPaid = `{"id": "evt_1", "type": "order.paid", "created": 1767323045, "livemode": true, "version": "v2",
 "data": {"order": {"id": "ord-7", "total": 1200, "lines": [{"sku": "a.b"}]}, "shop": "s1"}}`
)

// shop is a platform that signs a time and the body, in one header.
func shop() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{
			Scheme:    generic.SchemeHMACSHA256,
			Signed:    "{timestamp}.{body}",
			Signature: generic.Signature{Header: "X-Shop-Signature", Prefix: "v1=", Separator: ","},
			Timestamp: generic.Timestamp{Prefix: "t="},
		},
		Event: generic.Event{
			ID:         generic.Value{"json:id"},
			Type:       generic.Value{"json:type"},
			Time:       "json:created",
			TimeUnit:   "s",
			Ref:        generic.Ref{Type: generic.Value{"const:order"}, ID: generic.Value{"json:data.order.id"}, Account: "json:data.shop"},
			Mode:       generic.Mode{From: "json:livemode", Live: []string{"true"}, Test: []string{"false"}},
			APIVersion: "json:version",
			Deleted:    []string{"*.deleted"},
		},
	}
}

// interactions is a platform that signs with a key of its own, and pings.
func interactions() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{
			Scheme:    generic.SchemeEd25519,
			Signed:    "{timestamp}{body}",
			Signature: generic.Signature{Header: "X-Signature-Ed25519"},
			Timestamp: generic.Timestamp{Header: "X-Signature-Timestamp"},
		},
		Event: generic.Event{
			ID:   generic.Value{"json:id"},
			Type: generic.Value{"const:interaction", "json:type"},
		},
		Handshakes: []generic.Handshake{{
			Signed: true, When: "json:type", Is: "1", Answer: generic.Answer{ContentType: "application/json", Body: `{"type":1}`},
		}},
	}
}

// hook is a platform that sends a token, and nothing else that proves anything.
func hook() generic.Settings {
	return generic.Settings{
		Verify: generic.Verify{Scheme: generic.SchemeToken, Token: generic.Token{In: "header", Name: "X-Hook-Token"}},
		Event: generic.Event{
			ID:   generic.Value{"header:X-Hook-Id"},
			Type: generic.Value{"header:X-Hook-Event", "json:action"},
			Ref:  generic.Ref{Type: generic.Value{"const:order"}, ID: generic.Value{"json:order"}},
		},
		Handshakes: []generic.Handshake{{Method: http.MethodGet, Echo: "query:challenge"}},
		Fetch:      orders(),
	}
}

func orders() generic.Fetch {
	return generic.Fetch{
		Paths:     map[string]string{"order": "/v1/orders/{ref.id}?expand=lines"},
		Object:    "data.order",
		UpdatedAt: "updated_at",
		ErrorCode: "error.code",
		ETags:     true,
	}
}

func open(t testing.TB, s generic.Settings) *generic.Provider {
	t.Helper()
	p, err := generic.New(providers.APIConfig{BaseURL: "https://api.example.com"}, s)
	require.NoError(t, err)
	return p
}

func request(body string, headers ...string) providers.Request {
	r := providers.Request{
		Method: http.MethodPost,
		URL:    &url.URL{Scheme: "https", Host: "hooks.example.com", Path: "/webhooks/shop"},
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   []byte(body),
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func mac(key string, message ...string) string {
	h := hmac.New(sha256.New, []byte(key))
	for _, part := range message {
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestConformsWithAnHMACOverATime(t *testing.T) {
	providertest.Exercise(t, providertest.Suite{
		Provider: open(t, shop()),
		Request:  func() providers.Request { return request(orderPaid) },
		Oracle: func(r *providers.Request, secret string) {
			at := strconv.FormatInt(r.ReceivedAt.Unix(), 10)
			r.Header.Set("X-Shop-Signature", "t="+at+",v1="+mac(secret, at, ".", string(r.Body)))
		},
		SignatureHeaders: []string{"X-Shop-Signature"},
		Tolerance:        5 * time.Minute,
		Declared:         true,
		Malformed: map[string]string{
			"an event without an id":    strings.Replace(orderPaid, `"id": "evt_1"`, `"x": 1`, 1),
			"an event without a type":   strings.Replace(orderPaid, `"type": "order.paid"`, `"x": 1`, 1),
			"an id with a blank":        strings.Replace(orderPaid, `evt_1`, `evt 1`, 1),
			"an id of 201 bytes":        strings.Replace(orderPaid, `evt_1`, strings.Repeat("e", 201), 1),
			"an object as an id":        strings.Replace(orderPaid, `"id": "evt_1"`, `"id": {}`, 1),
			"a time that is none":       strings.Replace(orderPaid, `1767323045`, `"yesterday"`, 1),
			"an object with a bad id":   strings.Replace(orderPaid, `ord-7`, `ord\u0000`, 1),
			"an account with a blank":   strings.Replace(orderPaid, `"s1"`, `"s 1"`, 1),
			"a version that is no name": strings.Replace(orderPaid, `"v2"`, `"v\n2"`, 1),
		},
	})
}

// keyed gives the suite's secrets, which are any text, the form of Ed25519 keys.
type keyed struct{ *generic.Provider }

func ed25519Key(secret string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(secret))
	return ed25519.NewKeyFromSeed(seed[:])
}

func keys(s providers.Secrets) providers.Secrets {
	var all providers.Secrets
	for _, secret := range s {
		if secret != "" {
			secret = hex.EncodeToString(ed25519Key(secret))
		}
		all = append(all, secret)
	}
	return all
}

func (k keyed) Verify(r providers.Request, s providers.Secrets) error {
	return k.Provider.Verify(r, keys(s))
}

func (k keyed) Sign(r *providers.Request, s providers.Secrets) error {
	return k.Provider.Sign(r, keys(s))
}

func TestConformsWithEd25519(t *testing.T) {
	sign := func(r *providers.Request, secret string) {
		at := strconv.FormatInt(r.ReceivedAt.Unix(), 10)
		r.Header.Set("X-Signature-Timestamp", at)
		r.Header.Set("X-Signature-Ed25519", hex.EncodeToString(ed25519.Sign(ed25519Key(secret), []byte(at+string(r.Body)))))
	}
	providertest.Exercise(t, providertest.Suite{
		Provider:         keyed{open(t, interactions())},
		Request:          func() providers.Request { return request(`{"id": "846462639134605312", "type": 2, "token": "x"}`) },
		Oracle:           sign,
		SignatureHeaders: []string{"X-Signature-Ed25519", "X-Signature-Timestamp"},
		Tolerance:        5 * time.Minute,
		Declared:         true,
		Malformed:        map[string]string{"an event without an id": `{"type": 2}`, "a list as an id": `{"id": [1], "type": 2}`},
		Handshake: &providertest.Handshake{
			Request: func() providers.Request { return request(`{"id": "1", "type": 1}`) },
			Want:    providers.Response{Status: 200, ContentType: "application/json", Body: []byte(`{"type":1}`)},
		},
	})
}

func TestConformsWithATokenAndAnAPI(t *testing.T) {
	state := `{"id": "ord-7", "updated_at": "2026-01-02T03:04:05Z"}`
	providertest.Exercise(t, providertest.Suite{
		Provider: open(t, hook()),
		Request: func() providers.Request {
			return request(`{"action": "paid", "order": 7}`, "X-Hook-Id", "h-1", "X-Hook-Event", "order")
		},
		Oracle:           func(r *providers.Request, secret string) { r.Header.Set("X-Hook-Token", secret) },
		SignatureHeaders: []string{"X-Hook-Token"},
		BodyUnsigned:     true,
		Declared:         true,
		Probes: map[string]providertest.Handshake{"a GET with a challenge": {
			Request: func() providers.Request {
				r := request("")
				r.Method, r.URL.RawQuery = http.MethodGet, "challenge=a%2Bb"
				return r
			},
			Want: providers.Response{Status: 200, ContentType: "text/plain; charset=utf-8", Body: []byte("a+b")},
		}},
		Fetch: &providertest.Fetch{
			New:         func(cfg providers.APIConfig) (providers.Fetcher, error) { return generic.New(cfg, hook()) },
			Ref:         providers.Ref{Type: "order", ID: "ord-7"},
			Path:        "/v1/orders/ord-7?expand=lines",
			State:       state,
			Wrap:        `{"data": {"order": %s}}`,
			ETag:        `"abc"`,
			Unfetchable: providers.Ref{Type: "shop", ID: "s1"},
			Gone:        []providertest.Answer{{Name: "404", Status: 404}},
			Failures: []providertest.Failure{
				{Answer: providertest.Answer{Name: "its own code", Status: 422, Body: `{"error": {"code": "bad_order"}}`}, Code: "bad_order"},
				{Answer: providertest.Answer{Name: "text as a code", Status: 422, Body: `{"error": {"code": "private text"}}`}},
				{Answer: providertest.Answer{Name: "a 429", Status: 429}, Retry: providers.RetryLater, After: time.Minute},
				{
					Answer: providertest.Answer{Name: "a 503 that says when", Status: 503, Header: map[string]string{"Retry-After": "9"}},
					Retry:  providers.RetryLater, After: 9 * time.Second,
				},
				{Answer: providertest.Answer{Name: "a 408", Status: 408}, Retry: providers.RetrySoon},
			},
		},
	})
}

func TestImports(t *testing.T) {
	providertest.CheckImports(t, deptest.Rule{})
}
