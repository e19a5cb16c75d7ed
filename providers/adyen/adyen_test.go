package adyen_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/adyen"
	"github.com/surehook/surehook/providers/providertest"
)

// The example of Adyen's documentation, with the key and the signature it gives.
const (
	key       = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
	oldKey    = "009E9E92268087AAD241638D3325201AFE8AAE6F3DCD369B6D32E87129FFAB10"
	signature = "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="

	authorised = `{
    "additionalData": {"authCode": "1234", "hmacSignature": "` + signature + `"},
    "amount": {"currency": "EUR", "value": 1130},
    "eventCode": "AUTHORISATION",
    "eventDate": "2019-05-06T17:15:34.121+02:00",
    "merchantAccountCode": "TestMerchant",
    "merchantReference": "TestPayment-1407325143704",
    "operations": ["CANCEL", "CAPTURE", "REFUND"],
    "pspReference": "7914073381342284",
    "success": "true"
  }`
	capture = `{
    "additionalData": {"hmacSignature": "?"},
    "amount": {"currency": "EUR", "value": 500},
    "eventCode": "CAPTURE",
    "eventDate": "2019-05-07T17:15:34.121+02:00",
    "merchantAccountCode": "TestMerchant",
    "merchantReference": "Über:1",
    "originalReference": "7914073381342284",
    "pspReference": "8825408195409505",
    "success": "false"
  }`
)

func open(t testing.TB) *adyen.Provider {
	t.Helper()
	p, err := adyen.New(providers.APIConfig{})
	require.NoError(t, err)
	return p
}

func request(live string, items ...string) providers.Request {
	wrapped := make([]string, len(items))
	for i, item := range items {
		wrapped[i] = `{"NotificationRequestItem": ` + item + `}`
	}
	return providers.Request{
		Method: http.MethodPost,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   []byte(`{"live": "` + live + `", "notificationItems": [` + strings.Join(wrapped, ",") + `]}`),
	}
}

// signAsDocumented is Adyen's documentation in code: the fields in their order,
// joined with colons, under the key behind the hex. A body that is no notification
// stays as it is.
func signAsDocumented(r *providers.Request, secret string) {
	var body map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(r.Body)))
	decoder.UseNumber()
	if decoder.Decode(&body) != nil {
		return
	}
	list, _ := body["notificationItems"].([]any)
	for _, wrapped := range list {
		item := wrapped.(map[string]any)["NotificationRequestItem"].(map[string]any)
		amount, _ := item["amount"].(map[string]any)
		text := func(m map[string]any, name string) string {
			if m[name] == nil {
				return ""
			}
			return fmt.Sprint(m[name])
		}
		k, _ := hex.DecodeString(secret)
		mac := hmac.New(sha256.New, k)
		mac.Write([]byte(strings.Join([]string{
			text(item, "pspReference"), text(item, "originalReference"), text(item, "merchantAccountCode"), text(item, "merchantReference"),
			text(amount, "value"), text(amount, "currency"), text(item, "eventCode"), text(item, "success"),
		}, ":")))
		old := text(item["additionalData"].(map[string]any), "hmacSignature")
		now := base64.StdEncoding.EncodeToString(mac.Sum(nil))
		r.Body = []byte(strings.Replace(string(r.Body), `"`+old+`"`, `"`+now+`"`, 1))
	}
}

func TestConforms(t *testing.T) {
	providertest.Exercise(t, providertest.Suite{
		Provider: open(t),
		Request:  func() providers.Request { return request("false", authorised, capture) },
		Secrets:  providertest.Secrets{Live: key, Next: oldKey, Wrong: strings.Repeat("ab", 32)},
		Oracle:   signAsDocumented,
		Covered: func(body []byte, i int) bool {
			return slices.ContainsFunc(signedValues.FindAllSubmatchIndex(body, -1), func(at []int) bool { return at[2] <= i && i < at[3] })
		},
		Malformed: map[string]string{
			"no notifications":                  `{"live": "false", "notificationItems": []}`,
			"too many notifications":            string(request("false", slices.Repeat([]string{authorised}, 101)...).Body),
			"a notification without a code":     strings.Replace(string(request("false", authorised).Body), `"eventCode"`, `"x"`, 1),
			"a notification with a colon in it": strings.Replace(string(request("false", authorised).Body), "TestMerchant", "Test:Merchant", 1),
			"an outcome that is neither":        strings.Replace(string(request("false", authorised).Body), `"success": "true"`, `"success": "maybe"`, 1),
		},
	})
}

// signedValues finds the values in a body that the signature covers, and itself.
var signedValues = regexp.MustCompile(
	`"(?:pspReference|originalReference|merchantAccountCode|merchantReference|currency|value|eventCode|success|hmacSignature)": "?([^",}]+)`)

func TestVerifyAcceptsTheDocumentedExample(t *testing.T) {
	p := open(t)
	require.NoError(t, p.Verify(request("false", authorised), providers.Secrets{key}))
	require.NoError(t, p.Verify(request("false", authorised), providers.Secrets{oldKey, strings.ToLower(key)}))
	require.ErrorIs(t, p.Verify(request("false", authorised), providers.Secrets{oldKey}), providers.ErrUnauthenticated)
}

func TestEveryNotificationOfARequestMustBeSigned(t *testing.T) {
	p := open(t)
	both := request("false", authorised, capture)
	err := p.Verify(both, providers.Secrets{key})
	require.ErrorIs(t, err, providers.ErrUnauthenticated)
	require.ErrorContains(t, err, "notification 2 of 2")

	signAsDocumented(&both, key)
	require.NoError(t, p.Verify(both, providers.Secrets{key}))

	// Adyen signs when an event happens: after a change of keys, one request can hold both.
	old := request("false", capture)
	signAsDocumented(&old, oldKey)
	mixed := request("false", authorised, string(old.Body[strings.Index(string(old.Body), `"NotificationRequestItem": `)+len(`"NotificationRequestItem": `):len(old.Body)-3]))
	require.NoError(t, p.Verify(mixed, providers.Secrets{key, oldKey}))
	require.ErrorIs(t, p.Verify(mixed, providers.Secrets{key}), providers.ErrUnauthenticated)
}

func TestARequestWithoutNotificationsProvesNothing(t *testing.T) {
	for _, body := range []string{`{"live": "false", "notificationItems": []}`, `{"live": "false"}`, `{}`, `[]`, ``} {
		r := providers.Request{Body: []byte(body)}
		require.ErrorIs(t, open(t).Verify(r, providers.Secrets{key}), providers.ErrUnauthenticated, body)
	}
}

func TestAChangeOfAnySignedFieldIsRefused(t *testing.T) {
	for name, change := range map[string][2]string{
		"pspReference":        {"7914073381342284", "7914073381342285"},
		"originalReference":   {`"success"`, `"originalReference": "1", "success"`},
		"merchantAccountCode": {"TestMerchant", "TestMerchanT"},
		"merchantReference":   {"TestPayment-", "TestPayment."},
		"amount.value":        {"1130", "1131"},
		"amount.value twice":  {`"value": 1130`, `"value": 1130, "value": 9`},
		"amount in exponents": {"1130", "1.13e3"},
		"amount as a text":    {"1130", `"1130"`},
		"amount.currency":     {"EUR", "USD"},
		"eventCode":           {"AUTHORISATION", "CANCELLATION"},
		"success":             {`"success": "true"`, `"success": "false"`},
		"success as a bool":   {`"success": "true"`, `"success": true`},
		"the signature":       {"coqC", "coqD"},
		"no signature":        {`"hmacSignature"`, `"hmacsignature"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("false", strings.Replace(authorised, change[0], change[1], 1))
			require.ErrorIs(t, open(t).Verify(r, providers.Secrets{key}), providers.ErrUnauthenticated)
		})
	}
}

// The same text, "1:::M:R:1:EUR:X:true", could be read with other borders.
func TestASignatureIsGoodForOneReadingOnly(t *testing.T) {
	moved := strings.NewReplacer(
		`"pspReference": "7914073381342284"`, `"pspReference": "7914073381342284::TestMerchant"`,
		`"merchantAccountCode": "TestMerchant",`, ``,
		`"merchantReference": "TestPayment-1407325143704"`, `"merchantReference": "1130"`,
	).Replace(authorised)
	require.ErrorIs(t, open(t).Verify(request("false", moved), providers.Secrets{key}), providers.ErrUnauthenticated)

	// The one field that merchants fill in may hold colons: all others do not.
	r := request("false", capture)
	signAsDocumented(&r, key)
	require.NoError(t, open(t).Verify(r, providers.Secrets{key}))
}

func TestASecretThatIsNoKeyProvesNothing(t *testing.T) {
	err := open(t).Verify(request("false", authorised), providers.Secrets{"not hex", ""})
	require.ErrorIs(t, err, providers.ErrUnauthenticated)
	require.ErrorContains(t, err, "secret 1 is no key in hex")
	require.NotContains(t, err.Error(), "not hex")
	require.NoError(t, open(t).Verify(request("false", authorised), providers.Secrets{"not hex", key}))
}

func TestEventsAreNamedByWhatIsSigned(t *testing.T) {
	events, err := open(t).Events(request("true", authorised, capture))
	require.NoError(t, err)
	payload := func(i int) string { return string(events[i].Payload) }
	require.JSONEq(t, authorised, payload(0))
	require.JSONEq(t, capture, payload(1))
	events[0].Payload, events[1].Payload = nil, nil
	payment := providers.Ref{Type: "payment", ID: "7914073381342284", Account: "TestMerchant"}
	require.Equal(t, []providers.Event{
		{
			ID: "7914073381342284:AUTHORISATION:true", Type: "AUTHORISATION", Ref: payment, Mode: providers.ModeLive,
			OccurredAt: time.Date(2019, 5, 6, 15, 15, 34, 121e6, time.UTC),
		},
		{
			ID: "8825408195409505:CAPTURE:false", Type: "CAPTURE", Ref: payment, Mode: providers.ModeLive,
			OccurredAt: time.Date(2019, 5, 7, 15, 15, 34, 121e6, time.UTC),
		},
	}, events)
}

func TestAReportIsNamedByItsFileWhateverThatIsCalled(t *testing.T) {
	report := strings.NewReplacer("AUTHORISATION", "REPORT_AVAILABLE", "7914073381342284", "my report (1).csv").Replace(authorised)
	events, err := open(t).Events(request("false", report))
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{40}$`, events[0].ID)
	require.True(t, events[0].Ref.IsZero())
	require.Equal(t, providers.ModeTest, events[0].Mode)

	report = strings.ReplaceAll(report, "my report (1).csv", "report_1.csv")
	events, err = open(t).Events(request("", report))
	require.NoError(t, err)
	require.Equal(t, "report_1.csv:REPORT_AVAILABLE:true", events[0].ID)
	require.Equal(t, "report/report_1.csv", events[0].Ref.String())
	require.Equal(t, providers.ModeUnknown, events[0].Mode)
}

func TestTheAnswerIsTheOneAdyenAskedForBefore(t *testing.T) {
	require.Equal(t, "[accepted]", string(open(t).Endpoint().Accepted.Body))
}

func TestSignKeepsWhatElseIsInTheBody(t *testing.T) {
	unsigned := strings.Replace(authorised, `"additionalData": {"authCode": "1234", "hmacSignature": "`+signature+`"},`, "", 1)
	r := request("false", unsigned, capture)
	p := open(t)
	require.NoError(t, p.Sign(&r, providers.Secrets{key}))
	require.NoError(t, p.Verify(r, providers.Secrets{key}))
	want := request("false", strings.Replace(authorised, `"authCode": "1234", `, "", 1), capture)
	signAsDocumented(&want, key)
	require.JSONEq(t, string(want.Body), string(r.Body))
}

func TestImports(t *testing.T) {
	providertest.CheckImports(t, deptest.Rule{})
}

func FuzzVerify(f *testing.F) {
	f.Add(request("false", authorised).Body)
	f.Add(request("false", authorised, capture).Body)
	p := open(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		r := providers.Request{Body: body}
		if p.Verify(r, providers.Secrets{key}) != nil {
			return
		}
		events, err := p.Events(r)
		require.NoError(t, err)
		for _, e := range events { // the seed is all that was ever signed with this key
			require.Equal(t, "7914073381342284:AUTHORISATION:true", e.ID)
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add(request("false", authorised).Body)
	p := open(f)
	f.Fuzz(func(_ *testing.T, body []byte) {
		_, _ = p.Events(providers.Request{Body: body})
	})
}

func BenchmarkVerifyAndEvents(b *testing.B) {
	big := strings.Replace(authorised, `"authCode": "1234"`, `"authCode": "1234", "x": "`+strings.Repeat("x", 1500)+`"`, 1)
	r, p := request("false", big), open(b)
	providertest.Benchmark(b, p, r, providers.Secrets{key})
}
