package msgraph_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/msgraph"
)

func TestWrongSettingsAreNamed(t *testing.T) {
	good := pemOf(t, newKey(t, "new"))
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(curve)
	require.NoError(t, err)
	elliptical := providers.Secret(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	keys := func(c ...msgraph.Certificate) msgraph.Settings { return msgraph.Settings{Certificates: c} }

	for name, c := range map[string]struct {
		settings msgraph.Settings
		field    string
	}{
		"a subscription without a state": {msgraph.Settings{Subscriptions: map[string]providers.Secret{first: ""}}, "subscriptions"},
		"a subscription without an id":   {msgraph.Settings{Subscriptions: map[string]providers.Secret{"": secret}}, "subscriptions"},
		"a subscription twice":           {msgraph.Settings{Subscriptions: map[string]providers.Secret{"a": "x", "A": "y"}}, "subscriptions"},
		"a tenant that is a path":        {msgraph.Settings{Tenants: []string{tenant, "a/b"}}, "tenants[1]"},
		"a tenant without a client":      {msgraph.Settings{Tenant: tenant}, "client_id"},
		"a client without a tenant":      {msgraph.Settings{ClientID: "x"}, "tenant"},
		"a client of a path":             {msgraph.Settings{ClientID: "x", Tenant: "../x"}, "tenant"},
		"a token URL that is none":       {msgraph.Settings{TokenURL: "login.microsoftonline.com"}, "token_url"},
		"keys in a file":                 {msgraph.Settings{JWKSURL: "file:///keys"}, "jwks_url"},
		"a certificate without an id":    {keys(msgraph.Certificate{Key: good}), "certificates[0].id"},
		"a certificate twice":            {keys(msgraph.Certificate{ID: "a", Key: good}, msgraph.Certificate{ID: "a", Key: good}), "certificates[1].id"},
		"no key":                         {keys(msgraph.Certificate{ID: "a"}), "certificates[0].key"},
		"a key that is none":             {keys(msgraph.Certificate{ID: "a", Key: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"}), "certificates[0].key"},
		"a small key":                    {keys(msgraph.Certificate{ID: "a", Key: pemOf(t, small)}), "certificates[0].key"},
		"a key of another kind":          {keys(msgraph.Certificate{ID: "a", Key: elliptical}), "certificates[0].key"},
	} {
		_, err := msgraph.New(providers.APIConfig{}, c.settings)
		var wrong *providers.SettingError
		require.ErrorAs(t, err, &wrong, name)
		require.Equal(t, c.field, wrong.Field, name)
		require.NotContains(t, err.Error(), string(good))
	}
}

func TestAKeyMayStandBehindItsCertificateAndInEitherForm(t *testing.T) {
	key := newKey(t, "new")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{0}})
	old := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	for _, text := range []providers.Secret{pemOf(t, key), providers.Secret(old), providers.Secret(string(certificate) + string(old))} {
		p := open(t, msgraph.Settings{Certificates: []msgraph.Certificate{{ID: "new", Key: text}}})
		events, err := p.Events(request(batch(rich(t, chatUpdated, sealed(t, chat, "new")))))
		require.NoError(t, err)
		require.Equal(t, chat, string(events[0].Payload))
	}
}
