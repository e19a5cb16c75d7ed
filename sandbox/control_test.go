package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/sandbox"
)

// control calls the control API and reads the answer into into.
func (w *world) control(t *testing.T, method, path, body string, into any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.URL+"/sandbox"+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if into != nil {
		require.NoError(t, json.Unmarshal(raw, into), string(raw))
	}
	return resp.StatusCode
}

func TestControlTriggersAndRedelivers(t *testing.T) {
	w := open(t, nil)
	var sent sandbox.Event
	require.Equal(t, 200, w.control(t, "POST", "/stripe/events", `{"type":"invoice.paid","set":{"total":7}}`, &sent))
	require.Equal(t, "invoice", sent.Object.Type)
	require.True(t, sent.Acknowledged)
	require.Len(t, w.inbox.all(), 1)

	var again sandbox.Event
	body := `{"type":"invoice.voided","object":{"type":"invoice","id":"` + sent.Object.ID + `"},"undelivered":true,"envelope":{"account":"acct_1"}}`
	require.Equal(t, 200, w.control(t, "POST", "/stripe/events", body, &again))
	require.Equal(t, sent.Object, again.Object)
	require.Len(t, w.inbox.all(), 1, "undelivered")

	var attempt sandbox.Attempt
	require.Equal(t, 200, w.control(t, "POST", "/stripe/events/"+again.ID+"/redeliver", `{}`, &attempt))
	require.Equal(t, 200, attempt.Status)
	require.Contains(t, string(w.inbox.last(t).Body), `"account": "acct_1"`)

	var log []sandbox.Event
	require.Equal(t, 200, w.control(t, "GET", "/stripe/events", "", &log))
	require.Len(t, log, 2)
	require.Equal(t, 200, w.control(t, "GET", "/stripe/events/"+sent.ID, "", &sent))
}

func TestControlChangesObjectsWithoutEvents(t *testing.T) {
	w := open(t, nil)
	var o sandbox.Object
	require.Equal(t, 200, w.control(t, "POST", "/github/objects", `{"type":"issue","set":{"title":"One"}}`, &o))
	require.EqualValues(t, 1, o.Version)
	ref, err := json.Marshal(o.Ref)
	require.NoError(t, err)
	require.Equal(t, 200, w.control(t, "PATCH", "/github/objects", `{"object":`+string(ref)+`,"set":{"title":"Two"}}`, &o))
	require.EqualValues(t, 2, o.Version)
	require.Contains(t, string(o.State), `"title":"Two"`)

	one := "/github/objects?type=issue&id=octo-org/hello-world/issues/1"
	require.Equal(t, 200, w.control(t, "DELETE", one, "", &o))
	require.True(t, o.Deleted)
	require.Equal(t, 200, w.control(t, "GET", one, "", &o))
	require.EqualValues(t, 3, o.Version)
	var all []sandbox.Object
	require.Equal(t, 200, w.control(t, "GET", "/github/objects", "", &all))
	require.Len(t, all, 2, "the issue and its repository")
	require.Empty(t, w.inbox.all())
}

func TestControlSetsFaultsTargetAndCounts(t *testing.T) {
	w := open(t, nil)
	var faults sandbox.Faults
	require.Equal(t, 200, w.control(t, "PUT", "/stripe/faults", `{"api":[{"kind":"error","next":1}],"webhooks":{"drop":1}}`, &faults))
	require.Equal(t, 1, faults.API[0].Next)
	require.Equal(t, faults, w.Stripe.Faults())
	require.Equal(t, 200, w.control(t, "GET", "/stripe/faults", "", &faults))

	w.get(t, "/stripe/v1/customers/cus_1", stripeKey)
	var calls []sandbox.CallCount
	require.Equal(t, 200, w.control(t, "GET", "/stripe/calls", "", &calls))
	require.Equal(t, map[int]int{500: 1}, calls[0].Statuses)
	require.Equal(t, 200, w.control(t, "DELETE", "/stripe/calls", "", &calls))
	require.Empty(t, calls)

	require.Equal(t, 200, w.control(t, "PUT", "/github/target", `{"url":""}`, nil))
	sent, err := w.GitHub.Trigger(t.Context(), "push")
	require.NoError(t, err)
	require.Empty(t, sent.Attempts)

	require.Equal(t, 200, w.control(t, "PUT", "/receiver/faults", `{"fail_next":1}`, nil))
	require.Equal(t, 503, w.notify(t, "a", "{}"))
	var received struct{ Totals sandbox.Totals }
	require.Equal(t, 200, w.control(t, "GET", "/receiver", "", &received))
	require.Equal(t, 1, received.Totals.Refused)

	var overview struct {
		Seed   uint64
		Stripe struct{ Target string }
		GitHub struct{ Events int }
	}
	require.Equal(t, 200, w.control(t, "GET", "", "", &overview))
	require.EqualValues(t, 1, overview.Seed)
	require.Equal(t, 1, overview.GitHub.Events)
	require.NotEmpty(t, overview.Stripe.Target)
}

func TestControlRefuses(t *testing.T) {
	w := open(t, nil)
	for name, test := range map[string]struct {
		method, path, body string
		status             int
	}{
		"a body that is no JSON":         {"POST", "/stripe/events", `invoice.paid`, 400},
		"a member it does not know":      {"POST", "/stripe/events", `{"type":"invoice.paid","objects":{}}`, 400},
		"a type that is none":            {"POST", "/stripe/events", `{"type":"invoice"}`, 400},
		"an object that does not exist":  {"PATCH", "/stripe/objects", `{"object":{"type":"invoice","id":"in_0"},"set":{}}`, 404},
		"an event that does not exist":   {"POST", "/stripe/events/evt_0/redeliver", `{}`, 404},
		"a look at one":                  {"GET", "/stripe/events/evt_0", ``, 404},
		"an object without a type":       {"POST", "/stripe/objects", `{}`, 400},
		"a fault that does not exist":    {"PUT", "/github/faults", `{"api":[{"kind":"lock_timeout"}]}`, 400},
		"a target that is no URL":        {"PUT", "/github/target", `{"url":"http://[::1"}`, 400},
		"a platform that does not exist": {"GET", "/nowhere/events", ``, 404},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.status, w.control(t, test.method, test.path, test.body, nil))
		})
	}
	t.Run("what a web page could send", func(t *testing.T) {
		resp, err := http.Post(w.URL+"/sandbox/stripe/events", "text/plain", strings.NewReader(`{"type":"invoice.paid"}`))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 415, resp.StatusCode)
		require.Empty(t, w.Stripe.Events())
	})
}
