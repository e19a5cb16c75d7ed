package sources_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers/all"
	ready "github.com/surehook/surehook/providers/declared"
)

func TestASourceOfADeclaredPlatformMayAddItsAPI(t *testing.T) {
	env := map[string]string{"S": "s", "K": "k"}
	got, err := load(t, `
sources:
  square:
    provider: square
    secrets: ["${S}"]
    api: { key: "${K}" }
    settings:
      fetch:
        base_url: https://connect.squareup.com
        paths: { payment: "/v2/payments/{ref.id}" }
        headers: { Square-Version: "2026-01-22" }
        object: payment
        updated_at: updated_at
      schemas:
        - type: "payment.*"
          schema: { required: [merchant_id] }
  linear: { provider: linear, secrets: ["${S}"] }
`, env)
	require.NoError(t, err)
	require.Len(t, got, 2)
	for _, source := range got {
		_, err := all.New(source.Provider, source.API, source.Settings)
		require.NoError(t, err)
		if source.Name == "square" {
			require.Equal(t, "payment", source.Settings.(*ready.Settings).Fetch.Object)
		}
	}

	got, err = load(t, "sources: {a: {provider: square, secrets: ['${S}'], settings: {fetch: {paths: {payment: nowhere}}}}}", env)
	require.NoError(t, err)
	_, err = all.New(got[0].Provider, got[0].API, got[0].Settings)
	require.ErrorContains(t, err, "fetch.paths.payment: ")

	_, err = load(t, "sources: {a: {provider: square, secrets: ['${S}'], settings: {verify: {scheme: token}}}}", env)
	require.ErrorContains(t, err, "sources.a.settings.verify: unknown field", "what proves a request is not a source's to choose")
}

func TestASourceOfPayPalMayBringItsCertificates(t *testing.T) {
	got, err := load(t, "sources: {p: {provider: paypal, secrets: ['${S}'], settings: {certificates: ['${CERT}']}}}",
		map[string]string{"S": "4JH86294D6297924G", "CERT": "not PEM"})
	require.NoError(t, err)
	_, err = all.New(got[0].Provider, got[0].API, got[0].Settings)
	require.ErrorContains(t, err, "certificates[0]: want one block of PEM")
	require.NotContains(t, err.Error(), "not PEM")
}
