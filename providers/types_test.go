package providers_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers"
)

func TestSecretsAreNotPrinted(t *testing.T) {
	secrets := providers.Secrets{"whsec_1", "whsec_2"}
	inStruct := struct{ Secrets providers.Secrets }{secrets}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		require.NotContains(t, fmt.Sprintf(verb, secrets), "whsec", verb)
		require.NotContains(t, fmt.Sprintf(verb, inStruct), "whsec", verb)
		require.NotContains(t, fmt.Sprintf(verb, &inStruct), "whsec", verb)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secrets", secrets, "source", inStruct)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secrets", secrets)
	require.NotContains(t, log.String(), "whsec")
}

func TestASecretSettingIsNotPrinted(t *testing.T) {
	secret := providers.Secret("whsec_1")
	inStruct := struct{ Key providers.Secret }{secret}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		require.NotContains(t, fmt.Sprintf(verb, secret), "whsec", verb)
		require.NotContains(t, fmt.Sprintf(verb, inStruct), "whsec", verb)
		require.NotContains(t, fmt.Sprintf(verb, secret), "776873", verb)
	}
	text, err := json.Marshal(inStruct)
	require.NoError(t, err)
	require.NotContains(t, string(text), "whsec")
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret, "source", inStruct)
	require.NotContains(t, log.String(), "whsec")
}

func TestAFingerprintTellsPartsApart(t *testing.T) {
	ab := func(parts ...string) string {
		var raw [][]byte
		for _, p := range parts {
			raw = append(raw, []byte(p))
		}
		return providers.Fingerprint(raw...)
	}
	require.NotEqual(t, ab("ab", "c"), ab("a", "bc"))
	require.NotEqual(t, ab("a"), ab("a", ""))
	require.Len(t, ab("a"), 40)
}

func TestRefIsShownAsTypeAndID(t *testing.T) {
	require.Equal(t, "invoice/in_1", providers.Ref{Type: "invoice", ID: "in_1", Account: "acct_1"}.String())
	require.Empty(t, providers.Ref{Account: "acct_1"}.String())
	require.True(t, providers.Ref{Account: "acct_1"}.IsZero())
	require.False(t, providers.Ref{Type: "balance"}.IsZero())
}

// The names are in Temporal's history, where they cannot be changed.
func TestEventRefKeepsItsJSONNames(t *testing.T) {
	ref := providers.EventRef{
		Source: "stripe", ID: "evt_1", Type: "invoice.paid",
		Ref:        providers.Ref{Type: "invoice", ID: "in_1", Account: "acct_1"},
		ReceivedAt: time.Unix(0, 0).UTC(),
	}
	got, err := json.Marshal(ref)
	require.NoError(t, err)
	require.JSONEq(t, `{"source": "stripe", "id": "evt_1", "type": "invoice.paid",
		"ref": {"type": "invoice", "id": "in_1", "account": "acct_1"}, "received_at": "1970-01-01T00:00:00Z"}`, string(got))
}

func TestAPIErrorPutsTheOperationFirst(t *testing.T) {
	cause := errors.New("connection refused")
	err := &providers.APIError{Provider: "stripe", Op: "fetch invoice/in_1", Status: 404, Code: "resource_missing", Err: cause}
	require.EqualError(t, err, "stripe: fetch invoice/in_1: status 404 (resource_missing): connection refused")
	require.ErrorIs(t, err, cause)
	require.EqualError(t, &providers.APIError{Provider: "stripe", Op: "fetch invoice/in_1"}, "stripe: fetch invoice/in_1")
}

func TestImports(t *testing.T) {
	deptest.Check(t, deptest.Rule{
		Package: ".",
		Ban: []string{
			"go.temporal.io/...", "database/...", "github.com/jmoiron/...", "github.com/lib/pq/...", "modernc.org/...", "github.com/gorilla/...",
			"github.com/surehook/surehook/...",
		},
	})
}
