package sandbox_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

func TestTheStateOutlivesTheProcess(t *testing.T) {
	dir := t.TempDir()
	keep := func(c *config) { c.Dir, c.Seed = dir, 7 }
	first := open(t, keep)
	paid, err := first.Stripe.Trigger(t.Context(), "invoice.paid")
	require.NoError(t, err)
	gone, err := first.Stripe.Trigger(t.Context(), "customer.deleted")
	require.NoError(t, err)
	repository := providers.Ref{Type: "repository", ID: "octo-org/hello-world"}
	issue, err := first.GitHub.Trigger(t.Context(), "issues")
	require.NoError(t, err)
	renamed, err := first.GitHub.Trigger(t.Context(), "repository.renamed", sandbox.On(repository))
	require.NoError(t, err)
	require.Equal(t, 200, first.notify(t, "a", `{"n":1}`))
	body := string(first.inbox.all()[0].Body)
	before, err := first.fetch(t.Context(), paid.Object)
	require.NoError(t, err)
	// Not closed: a process may be killed, and what it answered must be there.

	second := open(t, func(c *config) { keep(c); c.Seed = 8 })
	require.EqualValues(t, 7, second.Seed(), "the file's seed goes on")
	after, err := second.fetch(t.Context(), paid.Object)
	require.NoError(t, err)
	require.Equal(t, string(before.State), string(after.State))
	stub, err := second.fetch(t.Context(), gone.Object)
	require.NoError(t, err)
	require.True(t, stub.Deleted)
	moved, err := second.github.Fetch(t.Context(), providers.FetchQuery{Ref: issue.Object})
	require.NoError(t, err)
	require.False(t, moved.Deleted, "the old name still leads to %s", renamed.Object)

	resp, _ := second.get(t, "/github/repos/"+repository.ID, githubKey)
	require.Equal(t, 301, resp.StatusCode)

	_, err = second.Stripe.Redeliver(t.Context(), paid.ID)
	require.NoError(t, err)
	require.Equal(t, body, string(second.inbox.last(t).Body))
	require.Equal(t, 200, second.notify(t, "a", `{"n":1}`))
	require.Equal(t, 1, second.Receiver.Receipt("a").Effects)
	require.Equal(t, 2, second.Receiver.Receipt("a").Deliveries)

	next, err := second.Stripe.Trigger(t.Context(), "invoice.paid")
	require.NoError(t, err)
	require.NotEqual(t, paid.Object, next.Object, "identifiers go on as well")
	require.NotEqual(t, paid.ID, next.ID)
}

func TestChangesAtOnceAreAllInTheFile(t *testing.T) {
	dir := t.TempDir()
	w := open(t, func(c *config) { c.Dir = dir; c.Stripe.Target = "" })
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 10 {
				if _, err := w.Stripe.Create("customer", nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	again := open(t, func(c *config) { c.Dir = dir })
	require.Len(t, again.Stripe.Objects("customer"), 80)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file is left")
}

func TestABrokenFileIsAnErrorAndNotANewStart(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sandbox.json"), []byte(`{"seed":`), 0o600))
	_, err := sandbox.Open(sandbox.Config{Dir: dir})
	require.ErrorContains(t, err, "open sandbox")
}

func TestAChangeThatCannotBeSavedIsToldAndNotSent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	w := open(t, func(c *config) { c.Dir = dir })
	require.NoError(t, os.WriteFile(dir, nil, 0o600)) // a file where the folder should be
	_, err := w.Stripe.Trigger(t.Context(), "invoice.paid")
	require.ErrorContains(t, err, "save sandbox")
	require.Empty(t, w.inbox.all())
	require.NoError(t, os.Remove(dir))
}

func TestWithoutASeedThereIsARandomOne(t *testing.T) {
	unseeded := func(c *config) { c.Seed = 0 }
	one, two := open(t, unseeded), open(t, unseeded)
	require.NotZero(t, one.Seed())
	require.NotEqual(t, one.Seed(), two.Seed())
}
