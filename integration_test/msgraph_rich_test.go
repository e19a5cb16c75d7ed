package integration_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/msgraph"
	"github.com/surehook/surehook/sandbox"
)

const (
	graphApp       = "8e460676-ae3f-4b1e-8790-ee0fb5d6148f"
	graphTenant    = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
	graphPublisher = "0bf30f3b-4a52-48df-9a82-234910c4a086"
)

// A kind of object that has no API here is known by its notifications alone:
// what they carry becomes the record, once Microsoft has signed for it.
func TestTheResourceDataOfAGraphNotificationBecomesARecord(t *testing.T) {
	t.Parallel()
	microsoft, ours := newRSAKey(t), newRSAKey(t)
	der, err := x509.MarshalPKCS8PrivateKey(ours)
	require.NoError(t, err)
	settings := &msgraph.Settings{
		AppID: graphApp,
		Certificates: []msgraph.Certificate{
			{ID: "ours", Key: providers.Secret(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))},
		},
	}
	keys := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: microsoft.Public(), KeyID: "k1", Use: "sig", Algorithm: "RS256"}}}
	settings.JWKSURL = (&system{t: t}).listen(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(keys)
	})) + "/keys"
	s, graph := startGraph(t, settings)

	ref := providers.Ref{Type: "sensorReading", ID: "rooms('7')/sensors('1')"}
	ev := s.trigger(graph, "message.updated", sandbox.Undelivered(), sandbox.Envelope(map[string]any{
		"resource":         ref.ID,
		"resourceData":     map[string]any{"@odata.type": "#Microsoft.Graph.SensorReading", "id": "1"},
		"encryptedContent": sealedFor(t, ours, `{"id":"1","degrees":21}`),
	}))
	unsigned := s.request(graph, ev.ID)
	require.Equal(t, http.StatusUnauthorized, s.send("msgraph", unsigned).Status, "its clientState does not prove resource data")

	signed := s.request(graph, ev.ID)
	var body map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(signed.Body, &body))
	body["validationTokens"], err = json.Marshal([]string{validationToken(t, microsoft)})
	require.NoError(t, err)
	signed.Body, err = json.Marshal(body)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, s.send("msgraph", signed).Status)

	e := s.untilStatus("msgraph", ev.ID, providers.StatusProcessed)
	require.Equal(t, "sensorReading.updated", e.Type)
	record, err := s.store.Record(t.Context(), "msgraph", ref.Type, ref.ID)
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"1","degrees":21}`, string(record.State))
}

func newRSAKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return key
}

// validationToken is a token as Microsoft signs them.
func validationToken(t *testing.T, key *rsa.PrivateKey) string {
	t.Helper()
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k1"))
	require.NoError(t, err)
	token, err := jwt.Signed(signer).Claims(map[string]any{
		"aud": graphApp, "iss": "https://sts.windows.net/" + graphTenant + "/", "tid": graphTenant, "appid": graphPublisher,
		"exp": time.Now().Add(time.Hour).Unix(),
	}).Serialize()
	require.NoError(t, err)
	return token
}

// sealedFor encrypts resource data as Graph does.
func sealedFor(t *testing.T, key *rsa.PrivateKey, resource string) map[string]any {
	t.Helper()
	symmetric := make([]byte, 32)
	_, err := rand.Read(symmetric)
	require.NoError(t, err)
	dataKey, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, &key.PublicKey, symmetric, nil)
	require.NoError(t, err)
	padding := aes.BlockSize - len(resource)%aes.BlockSize
	data := slices.Concat([]byte(resource), slices.Repeat([]byte{byte(padding)}, padding))
	block, err := aes.NewCipher(symmetric)
	require.NoError(t, err)
	cipher.NewCBCEncrypter(block, symmetric[:aes.BlockSize]).CryptBlocks(data, data)
	mac := hmac.New(sha256.New, symmetric)
	mac.Write(data)
	return map[string]any{
		"data":                    base64.StdEncoding.EncodeToString(data),
		"dataSignature":           base64.StdEncoding.EncodeToString(mac.Sum(nil)),
		"dataKey":                 base64.StdEncoding.EncodeToString(dataKey),
		"encryptionCertificateId": "ours",
	}
}
