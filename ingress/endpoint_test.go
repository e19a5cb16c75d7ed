package ingress_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/providers"
)

// odd is a platform with everything that is unusual about some: a secret in the
// path or in a header, events sent by GET, probes that prove nothing, and an
// answer of its own.
type odd struct{}

func (odd) Endpoint() providers.Endpoint {
	return providers.Endpoint{
		Methods:       []string{http.MethodGet, http.MethodHead},
		Media:         []string{"text/xml"},
		PathToken:     true,
		SecretHeaders: []string{"X-Odd-Token"},
		Accepted:      providers.Response{Status: http.StatusAccepted, ContentType: "text/xml", Body: []byte("<ok/>")},
	}
}

func (odd) Probe(r providers.Request) (providers.Response, bool) {
	if r.Method == http.MethodHead {
		return providers.Response{Status: http.StatusNoContent}, true
	}
	token := r.URL.Query().Get("validate")
	return providers.Response{Status: http.StatusOK, ContentType: "text/plain", Body: []byte(token)}, token != ""
}

func (odd) Verify(r providers.Request, s providers.Secrets) error {
	if r.PathToken == s[0] || r.Header.Get("X-Odd-Token") == s[0] {
		return nil
	}
	return fmt.Errorf("odd: %w: %w", providers.ErrNoSuchPath, providers.ErrUnauthenticated)
}

func (odd) Events(r providers.Request) ([]providers.Event, error) {
	text := r.Body
	if r.Method == http.MethodGet {
		text = []byte(r.URL.RawQuery)
	}
	form, err := url.ParseQuery(string(text))
	if err != nil || form.Get("id") == "" {
		return nil, errors.Join(providers.ErrMalformed, err)
	}
	return []providers.Event{{
		ID: form.Get("id"), Type: "thing", Fingerprint: providers.Fingerprint([]byte(form.Get("what"))), Review: form.Get("review"),
	}}, nil
}

func (odd) Sign(r *providers.Request, s providers.Secrets) error {
	r.Header.Set("X-Odd-Token", s[0])
	return nil
}

func openOdd(t *testing.T) *door {
	t.Helper()
	return open(t, func(s *ingress.Server) {
		s.Sources = append(s.Sources, ingress.Source{
			Name: "odd", Provider: odd{}, Secrets: providers.Secrets{secret},
			Accept: []string{"*"}, Other: providers.StatusIgnored, Body: 1 << 20, Rate: rate.Inf,
		})
	})
}

func (d *door) request(method, path, body string) reply {
	d.t.Helper()
	r, err := http.NewRequest(method, d.url(path), strings.NewReader(body))
	require.NoError(d.t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return d.do(r)
}

func TestASecretInThePathProvesTheSender(t *testing.T) {
	t.Parallel()
	d := openOdd(t)
	got := d.request(http.MethodPost, "/webhooks/odd/"+secret, "id=1&what=a")
	require.Equal(t, http.StatusAccepted, got.status)
	require.Equal(t, "<ok/>", got.body, "the platform's own answer")
	require.Equal(t, "text/xml", got.header.Get("Content-Type"))
	require.Equal(t, providers.StatusPending, d.status("odd", "1"))
}

func TestAWrongSecretInThePathIsNoSuchSource(t *testing.T) {
	t.Parallel()
	d := openOdd(t)
	none := d.request(http.MethodPost, "/webhooks/none", "id=1&what=a")
	for _, path := range []string{"/webhooks/odd", "/webhooks/odd/wrong", "/webhooks/stripe/" + secret, "/webhooks/odd/" + secret + "/more"} {
		got := d.request(http.MethodPost, path, "id=1&what=a")
		require.Equal(t, none.status, got.status, path)
		require.Equal(t, none.body, got.body, path)
	}
	d.stop()
	rejection := d.rejection("wrong_path_token")
	require.EqualValues(t, 2, rejection.Count)
	for _, r := range d.inbox.rejections {
		require.NotContains(t, r.Path, "wrong", "a token that is nearly right must not be read in a list")
	}
}

func TestAProbeIsAnsweredWithoutProof(t *testing.T) {
	t.Parallel()
	d := openOdd(t)
	got := d.request(http.MethodGet, "/webhooks/odd?validate="+url.QueryEscape("<script>x</script>"), "")
	require.Equal(t, http.StatusOK, got.status)
	require.Equal(t, "<script>x</script>", got.body)
	require.Equal(t, "text/plain", got.header.Get("Content-Type"))
	require.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
	require.Equal(t, http.StatusNoContent, d.request(http.MethodHead, "/webhooks/odd", "").status)
	require.Equal(t, http.StatusMethodNotAllowed, d.request(http.MethodPut, "/webhooks/odd", "").status)
	require.Equal(t, "POST, GET, HEAD", d.request(http.MethodPut, "/webhooks/odd", "").header.Get("Allow"))
}

func TestTheQueryOfAGetIsKeptAsAForm(t *testing.T) {
	t.Parallel()
	d := openOdd(t)
	require.Equal(t, http.StatusAccepted, d.request(http.MethodGet, "/webhooks/odd/"+secret+"?id=2&what=b", "").status)
	stored, err := d.inbox.Event(t.Context(), "odd", "2")
	require.NoError(t, err)
	require.Equal(t, "id=2&what=b", string(stored.Body))
	events, err := odd{}.Events(providers.Request{Header: stored.Header, Body: stored.Body})
	require.NoError(t, err)
	require.Equal(t, "2", events[0].ID)
}

func TestASecretInAHeaderIsNotKept(t *testing.T) {
	t.Parallel()
	d := openOdd(t)
	require.Equal(t, http.StatusAccepted, d.send("odd", "id=3&what=c").status)
	stored, err := d.inbox.Event(t.Context(), "odd", "3")
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprint(stored.Header), secret)
}

func TestTheTypesOfBodiesAreThePlatforms(t *testing.T) {
	t.Parallel()
	d := openOdd(t)
	xml := func(r *providers.Request) { r.Header.Set("Content-Type", "text/xml; charset=utf-8") }
	require.Equal(t, http.StatusAccepted, d.send("odd", "id=4&what=d", xml).status)
	require.Equal(t, http.StatusUnsupportedMediaType, d.send("stripe", stripeEvent("evt_1", "invoice.paid"), xml).status)
}

func TestAnEventThatBreaksItsContractIsParked(t *testing.T) {
	t.Parallel()
	d := openOdd(t)
	require.Equal(t, http.StatusAccepted, d.send("odd", "id=5&what=e&review=no+amount").status)
	require.Equal(t, providers.StatusReview, d.status("odd", "5"))
	require.Zero(t, d.temporal.called())
}

func TestACapturedRequestUnderAnotherIDIsADuplicate(t *testing.T) {
	t.Parallel()
	d := open(t)
	require.Contains(t, d.send("github", issueBody, asGitHub("issues", "d-1")).body, `"accepted"`)
	got := d.send("github", issueBody, asGitHub("issues", "d-2"))
	require.Equal(t, http.StatusOK, got.status)
	require.JSONEq(t, `{"status":"duplicate","events":[{"id":"d-1","workflow_id":"github/d-1"}]}`, got.body)
	_, err := d.inbox.Event(t.Context(), "github", "d-2")
	require.ErrorIs(t, err, providers.ErrNotFound)
	require.Eventually(t, func() bool { return d.temporal.started("github/d-1") }, 5*time.Second, time.Millisecond)
	d.stop()
	require.False(t, d.temporal.started("github/d-2"))
}

// batched is a platform that sends several events in a request, one a line.
type batched struct{ odd }

func (batched) Events(r providers.Request) ([]providers.Event, error) {
	var events []providers.Event
	for line := range strings.Lines(string(r.Body)) {
		id := strings.Fields(line)[0]
		events = append(events, providers.Event{ID: id, Type: "thing", Payload: []byte(`{"id":"` + id + `"}`), Deleted: id == "e1"})
	}
	return events, nil
}

func openBatched(t *testing.T) *door {
	t.Helper()
	return open(t, func(s *ingress.Server) {
		s.Sources = append(s.Sources, ingress.Source{
			Name: "odd", Provider: batched{}, Secrets: providers.Secrets{secret},
			Accept: []string{"*"}, Other: providers.StatusIgnored, Body: 1 << 20, Rate: rate.Inf,
		})
	})
}

func TestTheEventsOfALargeBatchAreKeptWithTheirOwnPartsOnly(t *testing.T) {
	t.Parallel()
	d := openBatched(t)
	var body strings.Builder
	for i := range 100 {
		fmt.Fprintf(&body, "e%d %s\n", i, strings.Repeat("x", 150))
	}
	require.Equal(t, http.StatusAccepted, d.send("odd", body.String()).status)
	for id, want := range map[string]string{"e0": providers.PartPresent, "e1": providers.PartDeleted, "e99": providers.PartPresent} {
		stored, err := d.inbox.Event(t.Context(), "odd", id)
		require.NoError(t, err)
		require.JSONEq(t, `{"id":"`+id+`"}`, string(stored.Body))
		require.Equal(t, []string{want}, stored.Header[providers.Part])
		require.Equal(t, "application/json", stored.Header.Get("Content-Type"))
	}
}

func TestTheEventsOfASmallBatchAreKeptWithTheWholeRequest(t *testing.T) {
	t.Parallel()
	d := openBatched(t)
	require.Equal(t, http.StatusAccepted, d.send("odd", "e0 x\ne1 y\n").status)
	stored, err := d.inbox.Event(t.Context(), "odd", "e1")
	require.NoError(t, err)
	require.Equal(t, "e0 x\ne1 y\n", string(stored.Body), "as it was signed")
	require.Empty(t, stored.Header[providers.Part])
}
