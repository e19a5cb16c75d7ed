package sandbox_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// notify posts to the receiver and returns the status.
func (w *world) notify(t *testing.T, key, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/receiver", strings.NewReader(body))
	require.NoError(t, err)
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func TestReceiverActsOncePerKey(t *testing.T) {
	w := open(t, nil)
	require.Equal(t, 200, w.notify(t, "a", `{"n":1}`))
	require.Equal(t, 200, w.notify(t, "a", `{"n":1}`))
	require.Equal(t, 422, w.notify(t, "a", `{"n":2}`), "a key stands for one request")
	require.Equal(t, 200, w.notify(t, "b", `{"n":1}`))
	require.Equal(t, 400, w.notify(t, "", `{"n":1}`))

	a := w.Receiver.Receipt("a")
	require.Equal(t, 3, a.Deliveries)
	require.Equal(t, 1, a.Effects)
	require.Equal(t, 1, a.Conflicts)
	require.JSONEq(t, `{"n":1}`, string(a.Body))
	totals := w.Receiver.Totals()
	require.Equal(t, 2, totals.Keys)
	require.Equal(t, 2, totals.Effects)
	require.Equal(t, 4, totals.Deliveries)
	require.Len(t, w.Receiver.Receipts(), 2)
}

func TestReceiverCanRefuseAndCanLoseItsAnswer(t *testing.T) {
	w := open(t, nil)
	w.Receiver.FailNext(2, 503)
	require.Equal(t, 503, w.notify(t, "a", "{}"))
	require.Equal(t, 503, w.notify(t, "a", "{}"))
	require.Zero(t, w.Receiver.Receipt("a").Effects, "refused before any effect")
	require.Equal(t, 200, w.notify(t, "a", "{}"))
	require.Equal(t, 2, w.Receiver.Totals().Refused)

	w.Receiver.LoseNext(1)
	require.Equal(t, 502, w.notify(t, "b", "{}"))
	require.Equal(t, 1, w.Receiver.Receipt("b").Effects, "it took effect all the same")
	require.Equal(t, 200, w.notify(t, "b", "{}"))
	require.Equal(t, 1, w.Receiver.Receipt("b").Effects)
}

func TestReceiverActsOnceForCallersAtTheSameTime(t *testing.T) {
	w := open(t, nil)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { w.notify(t, "a", "{}") })
	}
	group.Wait()
	require.Equal(t, 1, w.Receiver.Receipt("a").Effects)
	require.Equal(t, 20, w.Receiver.Receipt("a").Deliveries)
}
