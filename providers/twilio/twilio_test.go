package twilio_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
	"github.com/surehook/surehook/providers/twilio"
)

const (
	secret   = "5e8f1c2a7b9d40363f2e1d0c9b8a7654"
	endpoint = "https://hooks.example.com/webhooks/twilio"

	account    = "AC00000000000000000000000000000001"
	subaccount = "AC00000000000000000000000000000002"
	message    = "SM0123456789abcdef0123456789abcdef"
	call       = "CA0123456789abcdef0123456789abcdef"

	// delivered is a message's status callback.
	delivered = "AccountSid=" + account + "&ApiVersion=2010-04-01&From=%2B15017122661&MessageSid=" + message +
		"&MessageStatus=delivered&RawDlrDoneDate=2601020304&SmsSid=" + message + "&SmsStatus=delivered&To=%2B15558675310"
	// completed is a call's.
	completed = "AccountSid=" + account + "&ApiVersion=2010-04-01&CallSid=" + call + "&CallStatus=completed&CallDuration=12" +
		"&CallbackSource=call-progress-events&Direction=outbound-api&SequenceNumber=3&Timestamp=Fri%2C+02+Jan+2026+03%3A04%3A05+%2B0000"
	// document is a status callback as JSON.
	document = `{
  "AccountSid": "` + account + `", "ApiVersion": "2010-04-01", "MessageSid": "` + message + `", "MessageStatus": "delivered", "Attempts": 1
}
`
)

// open returns a provider for tests that call no API.
func open(t testing.TB) *twilio.Provider {
	t.Helper()
	p, err := twilio.New(providers.APIConfig{}, twilio.Settings{})
	require.NoError(t, err)
	return p
}

// request is one with the body, as Twilio sends it but unsigned.
func request(body string) providers.Request {
	h := http.Header{}
	h.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	h.Set("User-Agent", "TwilioProxy/1.1")
	h.Set("I-Twilio-Idempotency-Token", "e1c3b0a4-5f63-4a0b-9d0a-0d6f7b6d2f11")
	return at(endpoint, providers.Request{Method: http.MethodPost, Header: h, Body: []byte(body)})
}

// formRequest is request with the media type bare.
func formRequest(body string) providers.Request {
	r := request(body)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// jsonRequest is one whose body is JSON.
func jsonRequest(body string) providers.Request {
	r := request(body)
	r.Header.Set("Content-Type", "application/json")
	return r
}

// getRequest has its parameters in the URL.
func getRequest(query string) providers.Request {
	r := at(endpoint+"?"+query, request(""))
	r.Method, r.Body = http.MethodGet, nil
	r.Header.Del("Content-Type")
	return r
}

// at is the request to another URL.
func at(address string, r providers.Request) providers.Request {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	r.URL = u
	return r
}

// signAsDocumented is Twilio's documentation in code, with the port as it stands
// in the URL.
func signAsDocumented(r *providers.Request, secret string) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		hash := sha256.Sum256(r.Body)
		query := r.URL.Query()
		query.Set("bodySHA256", hex.EncodeToString(hash[:]))
		hashed := *r.URL
		hashed.RawQuery = query.Encode()
		r.URL = &hashed
	}
	signAs(r, r.URL.String(), secret)
}

// signAs signs for another spelling of the URL.
func signAs(r *providers.Request, address, secret string) {
	text := address
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, _ := url.ParseQuery(string(r.Body)) // what cannot be read is signed without its bad part
		var pairs [][2]string
		for name, values := range form {
			for _, value := range values {
				pairs = append(pairs, [2]string{name, value})
			}
		}
		slices.SortFunc(pairs, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
		for _, pair := range slices.Compact(pairs) {
			text += pair[0] + pair[1]
		}
	}
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(text))
	r.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func TestConformsWithForms(t *testing.T) {
	for name, form := range map[string]string{"a message": delivered, "a call": completed} {
		without := func(parameter string) string { return strings.Replace(form, parameter+"=", "X=", 1) }
		t.Run(name, func(t *testing.T) {
			providertest.Exercise(t, suite(t, func() providers.Request { return formRequest(form) }, map[string]string{
				"an empty form":                  "",
				"a form without an account":      without("AccountSid"),
				"an account that leads away":     strings.Replace(form, account, "..%2F..", 1),
				"a second account":               form + "&AccountSid=" + subaccount,
				"a SID that leads away":          form + "&RecordingSid=..%2Fx",
				"a SID with a line break":        form + "&RecordingSid=RE0123456789abcdef0123456789abcdef%0A",
				"two SIDs":                       form + "&MessageSid=" + strings.ToUpper(message) + "&CallSid=" + strings.ToUpper(call),
				"two statuses":                   form + "&MessageStatus=sent&CallStatus=busy",
				"a value that is not UTF-8":      form + "&Body=%ff",
				"a name that is not UTF-8":       form + "&%ff=x",
				"an escape that is none":         form + "&Body=%zz",
				"semicolons":                     strings.ReplaceAll(form, "&", ";"),
				"JSON that calls itself a form":  document,
				"a form in the place of another": "payload=" + url.QueryEscape(form),
			}))
		})
	}
}

func TestConformsWithJSON(t *testing.T) {
	without := func(member string) string { return strings.Replace(document, `"`+member+`"`, `"x"`, 1) }
	providertest.Exercise(t, suite(t, func() providers.Request { return jsonRequest(document) }, map[string]string{
		"an object without an account": without("AccountSid"),
		"an account that is a number":  strings.Replace(document, `"`+account+`"`, "1", 1),
		"an account that leads away":   strings.Replace(document, account, "../..", 1),
		"a SID that leads away":        strings.Replace(document, message, "../x", 1),
		"a form":                       delivered,
	}))
}

func suite(t *testing.T, request func() providers.Request, malformed map[string]string) providertest.Suite {
	return providertest.Suite{
		Provider:         open(t),
		Request:          request,
		Oracle:           signAsDocumented,
		SignatureHeaders: []string{"X-Twilio-Signature"},
		Malformed:        malformed,
		Fetch:            fetchSuite(),
		List:             listSuite(),
	}
}

func fetchSuite() *providertest.Fetch {
	return &providertest.Fetch{
		New: func(cfg providers.APIConfig) (providers.Fetcher, error) {
			cfg.Key = account + ":" + cfg.Key
			return twilio.New(cfg, twilio.Settings{})
		},
		Ref:         providers.Ref{Type: "message", ID: message, Account: account},
		Path:        "/2010-04-01/Accounts/" + account + "/Messages/" + message + ".json",
		State:       `{"sid": "` + message + `", "status": "delivered", "date_updated": "Fri, 02 Jan 2026 03:04:05 +0000"}`,
		Unfetchable: providers.Ref{Type: "queue", ID: "QU0123456789abcdef0123456789abcdef", Account: account},
		Gone: []providertest.Answer{{
			Name: "404", Status: http.StatusNotFound,
			Body: `{"code": 20404, "message": "The requested resource private text was not found", "more_info": "https://www.twilio.com/docs/errors/20404", "status": 404}`,
		}},
		Failures: append(callFailures(), failed("another object", 200, `{"sid": "SM00000000000000000000000000000000"}`, providers.RetryNever, "")),
	}
}

func failed(name string, status int, body string, retry providers.Retry, code string) providertest.Failure {
	return providertest.Failure{Answer: providertest.Answer{Name: name, Status: status, Body: body}, Retry: retry, Code: code}
}

// callFailures are those of calls for objects and for lists alike.
func callFailures() []providertest.Failure {
	return []providertest.Failure{
		failed("a 404 that is not Twilio's", 404, "<html>private text</html>", providers.RetryNever, ""),
		failed("a 404 with another code", 404, `{"code": 20001, "message": "private text"}`, providers.RetryNever, "20001"),
		failed("a wrong key", 401, `{"code": 20003, "message": "Authenticate private text", "status": 401}`, providers.RetryNever, "20003"),
		failed("too many calls at a time", 429, `{"code": 20429, "message": "Too Many Requests private text", "status": 429}`, providers.RetrySoon, "20429"),
		failed("too many calls, without a word", 429, "", providers.RetrySoon, ""),
		failed("an error of Twilio's own", 500, `{"code": 20500, "message": "private text", "status": 500}`, providers.RetrySoon, "20500"),
		failed("a code that is a text", 400, `{"code": "private text"}`, providers.RetryNever, ""),
		failed("a code below zero", 400, `{"code": -1}`, providers.RetryNever, ""),
	}
}

func TestNewTakesAllFormsOfTheKey(t *testing.T) {
	const apiKey = "SK0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct {
		key      string
		settings twilio.Settings
		account  string
		user     string
		password string
	}{
		"an auth token with its account":         {account + ":token", twilio.Settings{}, account, account, "token"},
		"an auth token alone":                    {"token", twilio.Settings{AccountSID: account}, account, account, "token"},
		"an API key":                             {apiKey + ":secret", twilio.Settings{AccountSID: account}, account, apiKey, "secret"},
		"a main account's token for another one": {account + ":token", twilio.Settings{AccountSID: subaccount}, subaccount, account, "token"},
		"a secret with a colon":                  {apiKey + ":se:cret", twilio.Settings{AccountSID: account}, account, apiKey, "se:cret"},
	} {
		t.Run(name, func(t *testing.T) {
			asked, user, password := asked(t, c.key, c.settings, providers.Ref{Type: "message", ID: message})
			require.Equal(t, "/2010-04-01/Accounts/"+c.account+"/Messages/"+message+".json", asked)
			require.Equal(t, c.user, user)
			require.Equal(t, c.password, password)
		})
	}
}

func TestNewSaysWhichSettingsAreWrong(t *testing.T) {
	for name, c := range map[string]struct {
		key      string
		settings twilio.Settings
		want     string
	}{
		"an API key without an account": {"SK0123456789abcdef0123456789abcdef:secret", twilio.Settings{}, "account_sid: is missing: the API key does not begin with it"},
		"a token without an account":    {"token", twilio.Settings{}, "account_sid: is missing: the API key does not begin with it"},
		"an account that is none":       {"", twilio.Settings{AccountSID: "../x"}, "account_sid: want AC and 32 lower-case hex digits"},
		"several mistakes": {
			"", twilio.Settings{AccountSID: strings.ToUpper("ACffffffffffffffffffffffffffffffff"), Subaccounts: []string{account, "x"}},
			"account_sid: want AC and 32 lower-case hex digits\nsubaccounts[1]: want AC and 32 lower-case hex digits",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := twilio.New(providers.APIConfig{Key: c.key}, c.settings)
			require.EqualError(t, err, c.want)
			require.ErrorAs(t, err, new(*providers.SettingError))
			require.NotContains(t, err.Error(), "secret")
			require.Nil(t, p)
		})
	}
}

func TestNewRefusesABaseURLThatIsNone(t *testing.T) {
	_, err := twilio.New(providers.APIConfig{BaseURL: "api.twilio.com"}, twilio.Settings{})
	require.ErrorContains(t, err, "base URL")
}

// Twilio takes what it is answered for instructions.
func TestTheAnswerTellsTwilioToDoNothing(t *testing.T) {
	got := open(t).Endpoint()
	require.Equal(t, []string{"GET"}, got.Methods)
	require.Equal(t, http.StatusOK, got.Accepted.Status)
	require.Equal(t, "text/xml", got.Accepted.ContentType)
	require.Equal(t, `<?xml version="1.0" encoding="UTF-8"?><Response></Response>`, string(got.Accepted.Body))
}

func TestImports(t *testing.T) {
	providertest.CheckImports(t, deptest.Rule{Ban: []string{"github.com/twilio/..."}})
}
