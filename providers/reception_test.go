package providers_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

// batch is a platform whose requests carry what the test says.
type batch struct {
	events []providers.Event
	err    error
}

func (batch) Verify(providers.Request, providers.Secrets) error { return providers.ErrUnauthenticated }
func (batch) Sign(*providers.Request, providers.Secrets) error  { return providers.ErrUnauthenticated }
func (b batch) Events(providers.Request) ([]providers.Event, error) {
	return b.events, b.err
}
func (batch) Endpoint() providers.Endpoint {
	return providers.Endpoint{SecretHeaders: []string{"X-Token"}}
}

func reception(b batch) *providers.Reception {
	return &providers.Reception{
		Source:     "shop",
		Provider:   b,
		Mode:       providers.ModeLive,
		Accept:     []string{"order.*"},
		Other:      providers.StatusIgnored,
		WorkflowID: func(source, eventID string) string { return source + "/" + eventID },
	}
}

func TestAReceptionDecidesByModeThenTypeThenWhatTheEventSays(t *testing.T) {
	for name, c := range map[string]struct {
		event  providers.Event
		other  providers.Status
		status providers.Status
		reason string
		runs   bool
	}{
		"an event to work on":               {event: providers.Event{Type: "order.paid", Mode: providers.ModeLive}, status: providers.StatusPending, runs: true},
		"one whose mode nobody knows":       {event: providers.Event{Type: "order.paid"}, status: providers.StatusPending, runs: true},
		"one of the other mode":             {event: providers.Event{Type: "order.paid", Mode: providers.ModeTest}, other: providers.StatusReview, status: providers.StatusIgnored, reason: "mode: a test event, the source takes live ones"},
		"a type that is not taken":          {event: providers.Event{Type: "cart.made"}, other: providers.StatusIgnored, status: providers.StatusIgnored, reason: "events.accept: the source does not take this type"},
		"a type that is not taken, to see":  {event: providers.Event{Type: "cart.made"}, other: providers.StatusReview, status: providers.StatusReview, reason: "events.accept: the source does not take this type", runs: true},
		"one that breaks its declaration":   {event: providers.Event{Type: "order.paid", Review: "schema"}, status: providers.StatusReview, reason: "schema", runs: true},
		"one not taken that breaks as well": {event: providers.Event{Type: "cart.made", Review: "schema"}, other: providers.StatusIgnored, status: providers.StatusIgnored, reason: "events.accept: the source does not take this type"},
	} {
		t.Run(name, func(t *testing.T) {
			c.event.ID = "e1"
			r := reception(batch{events: []providers.Event{c.event}})
			r.Other = c.other
			got := r.Received(providers.Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte("{}")})
			require.Len(t, got, 1)
			require.Equal(t, c.event, got[0].Event)
			require.Equal(t, "shop", got[0].Source)
			require.Equal(t, c.status, got[0].Status)
			require.Equal(t, c.reason, got[0].Reason)
			want := ""
			if c.runs {
				want = "shop/e1"
			}
			require.Equal(t, want, got[0].WorkflowID)
		})
	}
}

func TestAReceptionKeepsWhatCannotBeReadForReview(t *testing.T) {
	far := time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, b := range map[string]batch{
		"the body":                      {err: errors.New("no JSON")},
		"an event without an id":        {events: []providers.Event{{Type: "order.paid"}}},
		"an event without a type":       {events: []providers.Event{{ID: "e1"}}},
		"a time that cannot be stored":  {events: []providers.Event{{ID: "e1", Type: "t", OccurredAt: far}}},
		"a name that is too long":       {events: []providers.Event{{ID: strings.Repeat("x", 1025), Type: "t"}}},
		"a name with a control byte":    {events: []providers.Event{{ID: "e\x00", Type: "t"}}},
		"a name that is no UTF-8":       {events: []providers.Event{{ID: "e1", Type: "t", Ref: providers.Ref{Type: "o", ID: "\xff"}}}},
		"the second event of a request": {events: []providers.Event{{ID: "e1", Type: "t"}, {ID: "e2"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := reception(b).Received(providers.Request{Method: http.MethodPost, Body: []byte("{}")})
			require.Len(t, got, 1)
			require.Equal(t, providers.StatusReview, got[0].Status)
			require.Regexp(t, "^unreadable: .", got[0].Reason)
			require.Equal(t, "unreadable-44136fa355b3678a1146ad16f7e8649e", got[0].Event.ID, "the same body is the same event")
			require.Empty(t, got[0].WorkflowID)
			require.Equal(t, []byte("{}"), got[0].Body)
		})
	}
}

func TestAReceptionKeepsNoProofOfTheSender(t *testing.T) {
	req := providers.Request{Method: http.MethodPost, Header: http.Header{
		"X-Token": {"s"}, "Authorization": {"s"}, "Proxy-Authorization": {"s"}, "Cookie": {"s"}, "X-Kept": {"v"},
	}}
	got := reception(batch{events: []providers.Event{{ID: "e1", Type: "order.paid"}}}).Received(req)
	require.Equal(t, http.Header{"X-Kept": {"v"}}, got[0].Header)
}

func TestAReceptionKeepsTheQueryOfARequestWithoutABody(t *testing.T) {
	req := providers.Request{Method: http.MethodGet, URL: &url.URL{RawQuery: "a=b"}}
	got := reception(batch{events: []providers.Event{{ID: "e1", Type: "order.paid"}}}).Received(req)
	require.Equal(t, "a=b", string(got[0].Body))
	require.Equal(t, "application/x-www-form-urlencoded", got[0].Header.Get("Content-Type"))
}

func TestAReceptionKeepsOfALargeBatchOnlyTheParts(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 1<<19)
	events := []providers.Event{
		{ID: "e1", Type: "order.paid", Payload: []byte("1")},
		{ID: "e2", Type: "order.paid", Payload: []byte("2"), Deleted: true},
		{ID: "e3", Type: "order.paid", Payload: []byte("3")},
	}
	got := reception(batch{events: events}).Received(providers.Request{Method: http.MethodPost, Body: body})
	require.Len(t, got, 3)
	require.Equal(t, "1", string(got[0].Body))
	require.Equal(t, []string{providers.PartPresent}, got[0].Header[providers.Part])
	require.Equal(t, []string{providers.PartDeleted}, got[1].Header[providers.Part])

	got = reception(batch{events: events[:2]}).Received(providers.Request{Method: http.MethodPost, Body: body})
	require.Len(t, got[0].Body, len(body), "two copies are no burden")
	require.NotContains(t, got[0].Header, providers.Part)
}

func TestPrintable(t *testing.T) {
	require.Equal(t, "a.b.c", providers.Printable([]byte("a\x00b\nc"), 10))
	require.Equal(t, "é..", providers.Printable([]byte("é\xff\u202e"), 10), "neither broken nor reversing characters")
	require.Equal(t, "ab", providers.Printable([]byte("abc"), 2))
	require.Equal(t, "a.", providers.Printable([]byte("aé"), 2), "a character that is cut")
	require.Empty(t, providers.Printable(nil, 2))
}
