package sandbox_test

import (
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

// listing is a platform with a clock that the test sets, and the real provider
// pointed at it.
type listing[P listingProvider] struct {
	*sandbox.Platform
	provider P
	clock    atomic.Int64 // in seconds since 1970
}

type listingProvider interface {
	fetching
	providers.Lister
}

// openListing serves a platform.
func openListing[P listingProvider](t *testing.T, name, key string, open func(providers.APIConfig) (P, error)) *listing[P] {
	t.Helper()
	w := &listing[P]{}
	w.set(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
	signer, err := open(providers.APIConfig{Key: key})
	require.NoError(t, err)
	w.Platform = sandbox.New(name, sandbox.PlatformConfig{
		Provider: signer, Secrets: providers.Secrets{"a secret"}, Key: key, Seed: 1,
		Now: func() time.Time { return time.Unix(w.clock.Load(), 0).UTC() },
	})
	t.Cleanup(w.Close)
	api := httptest.NewServer(w.Platform)
	t.Cleanup(api.Close)
	w.provider, err = open(providers.APIConfig{BaseURL: api.URL, Key: key, Timeout: 5 * time.Second})
	require.NoError(t, err)
	return w
}

func (w *listing[P]) now() time.Time { return time.Unix(w.clock.Load(), 0).UTC() }

func (w *listing[P]) set(t time.Time) { w.clock.Store(t.Unix()) }

// create adds n objects of a type, each a second after the one before it.
func (w *listing[P]) create(t *testing.T, typ string, n int, members map[string]any) []providers.Ref {
	t.Helper()
	refs := make([]providers.Ref, 0, n)
	for range n {
		ref, err := w.Create(typ, members)
		require.NoError(t, err)
		refs = append(refs, ref)
		w.set(w.now().Add(time.Second))
	}
	return refs
}

// change alters an object, as when its webhook is missed.
func (w *listing[P]) change(t *testing.T, ref providers.Ref) {
	t.Helper()
	_, err := w.Update(ref, func(o map[string]any) { o["changed"] = w.now().String() })
	require.NoError(t, err)
}

// page asks for one page, with one call.
func (w *listing[P]) page(t *testing.T, q providers.ListQuery) providers.Page {
	t.Helper()
	before := w.TotalCalls()
	page, err := w.provider.List(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, before+1, w.TotalCalls(), "a page is one call")
	return page
}

// all reads a list to its end. Between two pages meanwhile is called, if there
// is such a function. It counts how often each object was shown.
func (w *listing[P]) all(t *testing.T, q providers.ListQuery, meanwhile func(shown []providers.Listed)) (shown map[providers.Ref]int, pages int) {
	t.Helper()
	shown = map[providers.Ref]int{}
	for {
		page := w.page(t, q)
		pages++
		for _, o := range page.Objects {
			require.True(t, o.Partial)
			require.False(t, o.UpdatedAt.IsZero())
			shown[o.Ref]++
		}
		if page.Next == "" {
			return shown, pages
		}
		require.Less(t, pages, 100, "the list has no end")
		if meanwhile != nil {
			meanwhile(page.Objects)
		}
		q.Cursor = page.Next
	}
}

// once is what a list shows that holds each of the objects one time.
func once(account string, refs ...providers.Ref) map[providers.Ref]int {
	shown := map[providers.Ref]int{}
	for _, ref := range refs {
		ref.Account = account
		shown[ref] = 1
	}
	return shown
}

// asFetched checks that a list names an object, and its last change, as a fetch does.
func (w *listing[P]) asFetched(t *testing.T, listed providers.Listed) {
	t.Helper()
	object, err := w.provider.Fetch(t.Context(), providers.FetchQuery{Ref: listed.Ref})
	require.NoError(t, err)
	require.False(t, object.Deleted)
	require.Equal(t, object.Ref, listed.Ref)
	require.Equal(t, object.UpdatedAt, listed.UpdatedAt)
}

// told triggers an event and returns the ref that its webhook names.
func (w *listing[P]) told(t *testing.T, typ string, on providers.Ref) providers.Ref {
	t.Helper()
	sent, err := w.Trigger(t.Context(), typ, sandbox.On(on))
	require.NoError(t, err)
	r, err := w.Request(sent.ID)
	require.NoError(t, err)
	events, err := w.provider.Events(r)
	require.NoError(t, err)
	require.Len(t, events, 1)
	return events[0].Ref
}
