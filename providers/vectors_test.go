package providers_test

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/all"
)

// vector is a signed request with its secret, which a platform published or which
// its library made or accepts.
type vector struct {
	Provider  string            `json:"provider"`
	Secret    string            `json:"secret"`    // or the public key
	Method    string            `json:"method"`    // POST when empty
	URL       string            `json:"url"`       // where the scheme signs it
	Timestamp string            `json:"timestamp"` // Unix seconds; empty when the scheme has no time
	Body      string            `json:"body_b64"`
	Headers   map[string]string `json:"headers"`
	Source    string            `json:"source"` // where it was published, or by what it was made
}

func TestVerifyAcceptsWhatThePlatformsPublished(t *testing.T) {
	published := map[string]bool{}
	for _, v := range readVectors(t) {
		published[v.Provider] = true
		t.Run(v.Provider, func(t *testing.T) {
			p, err := all.New(v.Provider, providers.APIConfig{}, nil)
			require.NoError(t, err)
			r := v.request(t)
			require.NoError(t, p.Verify(r, providers.Secrets{v.Secret}), v.Source)
			require.ErrorIs(t, p.Verify(r, providers.Secrets{v.Secret + "x"}), providers.ErrUnauthenticated)
		})
	}
	for _, name := range all.Names() {
		require.True(t, published[name] || unpublished[name] != "", "testdata/vectors.json has no vector for %s", name)
	}
}

// unpublished says why there is no vector for a platform.
var unpublished = map[string]string{
	"calendly":       "its documentation has code and no example, and there is no library; declared's tests sign as the code does",
	"discord-events": "signed as discord, whose vector this is",
	"generic":        "each source declares its own scheme; generic's tests have vectors of several",
	"gitlab-token":   "nothing is signed",
	"intercom":       "the example in its documentation is without the secret; declared's tests sign as it describes",
	"launchdarkly":   "its documentation describes the signature without an example; declared's tests sign as it describes",
	"mailchimp":      "its guide has the formula, and no request that was signed",
	"mandrill":       "its guide has the formula in PHP, and no request that was signed",
	"msgraph":        "Microsoft Graph signs no request: a secret of the subscriber's own comes back in it",
	"paypal":         "the example of its libraries needs a certificate that PayPal no longer serves; paypal's tests check what of it is signed",
	"typeform":       "its documentation has code and no example, and there is no library; declared's tests sign as the code does",
	"zendesk":        "the one example in its documentation is of the preview, which signed the body before the time; declared's tests sign as the present code does",
}

func readVectors(t *testing.T) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var vectors []vector
	require.NoError(t, json.Unmarshal(data, &vectors))
	return vectors
}

func (v vector) request(t *testing.T) providers.Request {
	t.Helper()
	body, err := base64.StdEncoding.DecodeString(v.Body)
	require.NoError(t, err)
	at, err := url.Parse(v.URL)
	require.NoError(t, err)
	r := providers.Request{
		Method: cmp.Or(v.Method, http.MethodPost), URL: at, Header: http.Header{}, Body: body, ReceivedAt: time.Now(),
	}
	for name, value := range v.Headers {
		r.Header.Set(name, value)
	}
	if v.Timestamp != "" {
		seconds, err := strconv.ParseInt(v.Timestamp, 10, 64)
		require.NoError(t, err)
		r.ReceivedAt = time.Unix(seconds, 0)
	}
	return r
}
