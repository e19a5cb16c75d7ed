package sources_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/all"
	"github.com/surehook/surehook/providers/generic"
)

// examples returns the YAML in a page of the documentation.
func examples(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page)
	require.NoError(t, err)
	var found []string
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		yaml, _, closed := strings.Cut(block, "```")
		require.True(t, closed)
		found = append(found, yaml)
	}
	return found
}

// declared opens the one source of a text.
func declared(t *testing.T, text string, env map[string]string) (providers.Provider, providers.Secrets) {
	t.Helper()
	got, err := load(t, text, env)
	require.NoError(t, err)
	require.Len(t, got, 1)
	p, err := all.New(got[0].Provider, got[0].API, got[0].Settings)
	require.NoError(t, err)
	return p, got[0].Secrets
}

func TestTheExamplesOfDeclaringWork(t *testing.T) {
	texts := examples(t, "declaring.md")
	require.Len(t, texts, 2)
	for i, c := range []struct {
		body string
		want providers.Event
	}{
		{
			`{"id": "e1", "event": "order.paid", "created_at": "2026-01-02T03:04:05Z", "live": true, "data": {"id": 7}}`,
			providers.Event{
				ID: "e1", Type: "order.paid", Ref: providers.Ref{Type: "order", ID: "7"}, Mode: providers.ModeLive,
				OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
				Review:     "schema: /data breaks required",
			},
		},
		{
			`<calls><call nr="12"><state>ended</state><at>2026-01-02T03:04:05Z</at></call></calls>`,
			providers.Event{
				ID:   providers.Fingerprint([]byte("12"), []byte("ended"), []byte("2026-01-02T03:04:05Z")),
				Type: "call.ended", Ref: providers.Ref{Type: "call", ID: "12"},
				OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
				Payload:    []byte(`{"@nr":"12","at":"2026-01-02T03:04:05Z","state":"ended"}`),
			},
		},
	} {
		p, secrets := declared(t, texts[i], map[string]string{"SHOP_SECRET": "s", "SHOP_API_KEY": "k", "PBX_TOKEN": "t"})
		r := providers.Request{Method: "POST", Body: []byte(c.body), ReceivedAt: time.Now()}
		require.NoError(t, p.Sign(&r, secrets))
		require.NoError(t, p.Verify(r, secrets))
		events, err := p.Events(r)
		require.NoError(t, err)
		require.Equal(t, []providers.Event{c.want}, events)
	}
}

func TestTheExampleOfStandardWebhooksWorks(t *testing.T) {
	texts := examples(t, "runbooks/standard-webhooks.md")
	require.Len(t, texts, 1)
	p, _ := declared(t, `
sources:
  crm:
    provider: standard-webhooks
    secrets: ["${S}"]
    api: {base_url: "https://api.example.com"}
    `+strings.ReplaceAll(texts[0], "\n", "\n    "), map[string]string{"S": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
	events, err := p.Events(providers.Request{
		Header: map[string][]string{"Webhook-Id": {"msg_1"}},
		Body:   []byte(`{"event": {"name": "user.made"}, "sent_at": "2026-01-02T03:04:05Z", "data": {"user_id": 7}}`),
	})
	require.NoError(t, err)
	require.Equal(t, providers.Ref{Type: "user", ID: "7"}, events[0].Ref)
}

func TestADeclarationIsReadWhole(t *testing.T) {
	got, err := load(t, `
sources:
  a:
    provider: generic
    secrets: ["${S}"]
    settings:
      verify:
        scheme: hmac-sha512
        key: hex
        signed: "{timestamp}{body}"
        signature: {header: A, encoding: base64, prefix: p, separator: ";"}
        timestamp: {header: B, prefix: q, field: json:t, unit: ms, tolerance: 90s}
        token: {in: header, name: C, prefix: r}
      methods: [PUT]
      body: xml
      batch: /a
      event:
        id: json:a
        id_hash: [json:b, body]
        type: [json:c, json:d ?? json:e]
        time: json:f
        time_unit: s
        ref: {type: const:g, id: ["json:h", "json:i"], account: json:j}
        mode: {from: json:k, live: [l], test: [m]}
        api_version: json:n
        deleted: [o]
      handshakes:
        - {signed: true, method: GET, when: "query:a", is: b, echo: "query:c", member: d, answer: {status: 201, content_type: e, body: f}}
      accepted: {status: 202, content_type: g, body: h}
      fetch:
        base_url: https://a.example
        paths: {x: /y}
        auth: basic
        headers: {H: v}
        ids: "[0-9]+"
        object: o
        updated_at: u
        updated_unit: ms
        gone: [404, 422]
        error_code: e
        etags: true
      schemas:
        - {type: "*", file: f.json, schema: {type: object, required: [id], maxProperties: 3}}
`, map[string]string{"S": "x"})
	require.NoError(t, err)
	require.Equal(t, &generic.Settings{
		Verify: generic.Verify{
			Scheme: "hmac-sha512", Key: "hex", Signed: "{timestamp}{body}",
			Signature: generic.Signature{Header: "A", Encoding: "base64", Prefix: "p", Separator: ";"},
			Timestamp: generic.Timestamp{Header: "B", Prefix: "q", Field: "json:t", Unit: "ms", Tolerance: 90 * time.Second},
			Token:     generic.Token{In: "header", Name: "C", Prefix: "r"},
		},
		Methods: []string{"PUT"},
		Body:    "xml",
		Batch:   "/a",
		Event: generic.Event{
			ID:         generic.Value{"json:a"},
			IDHash:     generic.Value{"json:b", "body"},
			Type:       generic.Value{"json:c", "json:d ?? json:e"},
			Time:       "json:f",
			TimeUnit:   "s",
			Ref:        generic.Ref{Type: generic.Value{"const:g"}, ID: generic.Value{"json:h", "json:i"}, Account: "json:j"},
			Mode:       generic.Mode{From: "json:k", Live: []string{"l"}, Test: []string{"m"}},
			APIVersion: "json:n",
			Deleted:    []string{"o"},
		},
		Handshakes: []generic.Handshake{{
			Signed: true, Method: "GET", When: "query:a", Is: "b", Echo: "query:c", Member: "d",
			Answer: generic.Answer{Status: 201, ContentType: "e", Body: "f"},
		}},
		Accepted: generic.Answer{Status: 202, ContentType: "g", Body: "h"},
		Fetch: generic.Fetch{
			BaseURL: "https://a.example", Paths: map[string]string{"x": "/y"}, Auth: "basic", Headers: map[string]string{"H": "v"},
			IDs: "[0-9]+", Object: "o", UpdatedAt: "u", UpdatedUnit: "ms", Gone: []int{404, 422}, ErrorCode: "e", ETags: true,
		},
		Schemas: []generic.Schema{{Type: "*", File: "f.json", Schema: map[string]any{
			"type": "object", "required": []any{"id"}, "maxProperties": uint64(3),
		}}},
	}, got[0].Settings)
}

func TestMistakesInADeclarationAreNamed(t *testing.T) {
	_, err := load(t, `
sources:
  a:
    provider: generic
    secrets: ["${S}"]
    settings:
      verify: {schema: token, timestamp: {tolerance: soon}}
      event: {id: {a: b}}
      handshakes: {method: GET}
      schemas: [{typ: x}]
`, map[string]string{"S": "x"})
	for _, want := range []string{
		"sources.a.settings.verify.schema: unknown field, in line 7",
		"sources.a.settings.verify.timestamp.tolerance: line 7: want a time such as 5m",
		`sources.a.settings.event.id: line 8: want a text such as "json:data.id", or a list of such texts in quotes`,
		"sources.a.settings.handshakes: want a list",
		"sources.a.settings.schemas[0].typ: unknown field",
	} {
		require.ErrorContains(t, err, want)
	}
}
