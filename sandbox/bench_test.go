package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/stripe"
	"github.com/surehook/surehook/sandbox"
)

// The sandbox must be far faster than what is tested against it.
func BenchmarkStripe(b *testing.B) {
	signer, err := stripe.New(providers.APIConfig{BaseURL: "http://localhost"})
	require.NoError(b, err)
	p := sandbox.NewStripe(sandbox.PlatformConfig{Provider: signer, Secrets: providers.Secrets{stripeSecret}, Key: stripeKey})
	b.Run("trigger invoice.paid of one of 10,000 objects", func(b *testing.B) {
		for range 5_000 { // each with its customer
			_, err := p.Create("invoice", nil)
			require.NoError(b, err)
		}
		ref := p.Objects("invoice")[0].Ref
		for b.Loop() {
			_, err := p.Trigger(b.Context(), "invoice.paid", sandbox.On(ref))
			require.NoError(b, err)
		}
	})
	b.Run("fetch", func(b *testing.B) {
		ref, err := p.Create("invoice", nil)
		require.NoError(b, err)
		r := httptest.NewRequest(http.MethodGet, "/v1/invoices/"+ref.ID, nil)
		r.Header.Set("Authorization", "Bearer "+stripeKey)
		for b.Loop() {
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			require.Equal(b, 200, w.Code)
		}
	})
}
