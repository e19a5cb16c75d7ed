package declared_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
)

// What follows is the platforms' documentation in code, apart from the engine.

func digest(h func() hash.Hash, key []byte, parts ...string) []byte {
	mac := hmac.New(h, key)
	mac.Write([]byte(strings.Join(parts, "")))
	return mac.Sum(nil)
}

func hexMAC(secret string, parts ...string) string {
	return hex.EncodeToString(digest(sha256.New, []byte(secret), parts...))
}

func base64MAC(secret string, parts ...string) string {
	return base64.StdEncoding.EncodeToString(digest(sha256.New, []byte(secret), parts...))
}

func seconds(r *providers.Request) string { return strconv.FormatInt(r.ReceivedAt.Unix(), 10) }

func signCalendly(r *providers.Request, secret string) {
	r.Header.Set("Calendly-Webhook-Signature", "t="+seconds(r)+",v1="+hexMAC(secret, seconds(r), ".", string(r.Body)))
}

func signHubSpot(r *providers.Request, secret string) {
	at := strconv.FormatInt(r.ReceivedAt.UnixMilli(), 10)
	r.Header.Set("X-HubSpot-Request-Timestamp", at)
	r.Header.Set("X-HubSpot-Signature-v3", base64MAC(secret, r.Method, r.URL.String(), string(r.Body), at))
}

func signIntercom(r *providers.Request, secret string) {
	r.Header.Set("X-Hub-Signature", "sha1="+hex.EncodeToString(digest(sha1.New, []byte(secret), string(r.Body))))
}

func signLaunchDarkly(r *providers.Request, secret string) {
	r.Header.Set("X-LD-Signature", hexMAC(secret, string(r.Body)))
}

func signLinear(r *providers.Request, secret string) {
	r.Header.Set("Linear-Signature", hexMAC(secret, string(r.Body)))
}

func signPaddle(r *providers.Request, secret string) {
	r.Header.Set("Paddle-Signature", "ts="+seconds(r)+";h1="+hexMAC(secret, seconds(r), ":", string(r.Body)))
}

func signPagerDuty(r *providers.Request, secret string) {
	r.Header.Set("X-PagerDuty-Signature", "v1="+hexMAC(secret, string(r.Body)))
}

func signSquare(r *providers.Request, secret string) {
	r.Header.Set("X-Square-HmacSha256-Signature", base64MAC(secret, r.URL.String(), string(r.Body)))
}

func signTypeform(r *providers.Request, secret string) {
	r.Header.Set("Typeform-Signature", "sha256="+base64MAC(secret, string(r.Body)))
}

func signZendesk(r *providers.Request, secret string) {
	at := r.ReceivedAt.UTC().Format(time.RFC3339)
	r.Header.Set("X-Zendesk-Webhook-Signature-Timestamp", at)
	r.Header.Set("X-Zendesk-Webhook-Signature", base64MAC(secret, at, string(r.Body)))
}

func showGitLabToken(r *providers.Request, secret string) { r.Header.Set("X-Gitlab-Token", secret) }

func signGitLab(r *providers.Request, secret string) {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	r.Header.Set("Webhook-Id", r.Header.Get("Idempotency-Key"))
	r.Header.Set("Webhook-Timestamp", seconds(r))
	mac := digest(sha256.New, key, r.Header.Get("Webhook-Id"), ".", seconds(r), ".", string(r.Body))
	r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac))
}

func whsecKeys() providertest.Secrets {
	key := func(of string) string {
		return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(of, 32)))
	}
	return providertest.Secrets{Live: key("a"), Next: key("b"), Wrong: key("c")}
}

// The keys of the other two are private ones, with which the engine can sign, too.
// Without one, nothing can be signed.

func signDiscord(r *providers.Request, secret string) {
	r.Header.Set("X-Signature-Timestamp", seconds(r))
	r.Header.Set("X-Signature-Ed25519", strings.Repeat("00", ed25519.SignatureSize))
	if der, err := hex.DecodeString(secret); err == nil && secret != "" {
		signature := ed25519.Sign(ed25519.PrivateKey(der), append([]byte(seconds(r)), r.Body...))
		r.Header.Set("X-Signature-Ed25519", hex.EncodeToString(signature))
	}
}

func ed25519Keys() providertest.Secrets {
	key := func(of string) string {
		return hex.EncodeToString(ed25519.NewKeyFromSeed([]byte(strings.Repeat(of, ed25519.SeedSize))))
	}
	return providertest.Secrets{Live: key("a"), Next: key("b"), Wrong: key("c")}
}

func signSendGrid(r *providers.Request, secret string) {
	r.Header.Set("X-Twilio-Email-Event-Webhook-Timestamp", seconds(r))
	r.Header.Set("X-Twilio-Email-Event-Webhook-Signature", "MAYCAQECAQE=")
	der, _ := base64.StdEncoding.DecodeString(secret)
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		sum := sha256.Sum256(append([]byte(seconds(r)), r.Body...))
		signature, _ := key.(*ecdsa.PrivateKey).Sign(nil, sum[:], crypto.SHA256)
		r.Header.Set("X-Twilio-Email-Event-Webhook-Signature", base64.StdEncoding.EncodeToString(signature))
	}
}

func ecdsaKeys() providertest.Secrets {
	key := func(of string) string {
		parsed, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), []byte(strings.Repeat(of, 32)))
		if err != nil {
			panic(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(parsed)
		if err != nil {
			panic(err)
		}
		return base64.StdEncoding.EncodeToString(der)
	}
	return providertest.Secrets{Live: key("a"), Next: key("b"), Wrong: key("c")}
}
