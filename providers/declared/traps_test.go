package declared_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

// verify verifies a signed request of the platform after a change.
func verify(t *testing.T, name string, change func(r *providers.Request)) error {
	t.Helper()
	r, secret := platforms()[name].signed()
	change(&r)
	return open(t, name).Verify(r, providers.Secrets{secret})
}

func TestOneOfSeveralSignaturesIsEnoughWhileASecretIsReplaced(t *testing.T) {
	for name, c := range map[string]struct{ header, separator string }{
		"paddle":    {"Paddle-Signature", ";"},
		"pagerduty": {"X-PagerDuty-Signature", ","},
		"calendly":  {"Calendly-Webhook-Signature", ","},
	} {
		t.Run(name, func(t *testing.T) {
			p := platforms()[name]
			r, secret := p.signed()
			genuine := r.Header.Get(c.header)
			digest := genuine[strings.LastIndex(genuine, "=")+1:]
			kind := genuine[:len(genuine)-len(digest)]
			kind = kind[strings.LastIndex(kind, c.separator)+1:]
			other := kind + strings.Repeat("0", len(digest))

			both := strings.Replace(genuine, kind+digest, other+c.separator+kind+digest, 1)
			r.Header.Set(c.header, both)
			require.NoError(t, open(t, name).Verify(r, providers.Secrets{secret}), both)
			r.Header.Set(c.header, genuine+c.separator+other)
			require.NoError(t, open(t, name).Verify(r, providers.Secrets{secret}))
			r.Header.Set(c.header, strings.Replace(both, digest, strings.Repeat("1", len(digest)), 1))
			require.ErrorIs(t, open(t, name).Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated)
		})
	}
}

func TestGitLabSignsWithSeveralVersionsAndOneOfOursIsEnough(t *testing.T) {
	require.NoError(t, verify(t, "gitlab", func(r *providers.Request) {
		r.Header.Set("Webhook-Signature", "v2,AAAA "+r.Header.Get("Webhook-Signature"))
	}))
	require.ErrorIs(t, verify(t, "gitlab", func(r *providers.Request) {
		r.Header.Set("Webhook-Signature", strings.Replace(r.Header.Get("Webhook-Signature"), "v1,", "v2,", 1))
	}), providers.ErrUnauthenticated)
}

func TestAGitLabTokenIsNoSubstituteForASignature(t *testing.T) {
	r, secret := platforms()["gitlab"].signed()
	r.Header.Del("Webhook-Signature")
	r.Header.Set("X-Gitlab-Token", secret)
	require.ErrorIs(t, open(t, "gitlab").Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated)
}

func TestAGitLabTokenIsNotKept(t *testing.T) {
	require.Equal(t, []string{"X-Gitlab-Token"}, open(t, "gitlab-token").Endpoint().SecretHeaders)
}

func TestGitLabBeforeIdempotencyKeysNamesAnEventByItsUUID(t *testing.T) {
	r, _ := platforms()["gitlab-token"].signed()
	r.Header.Del("Idempotency-Key")
	events, err := open(t, "gitlab-token").Events(r)
	require.NoError(t, err)
	require.Equal(t, "13792a34-cac6-4fda-95a8-c58e00a3954e", events[0].ID)
}

func TestAGitLabPushIsAboutNoObject(t *testing.T) {
	r, _ := platforms()["gitlab"].signed()
	r.Body = []byte(`{"object_kind": "push", "event_name": "push", "ref": "refs/heads/master", "project_id": 15}`)
	events, err := open(t, "gitlab").Events(r)
	require.NoError(t, err)
	require.Equal(t, "push", events[0].Type)
	require.True(t, events[0].Ref.IsZero())
}

func TestHubSpotSignsTheMethodAndTheURL(t *testing.T) {
	for what, change := range map[string]func(r *providers.Request){
		"another method": func(r *providers.Request) { r.Method = http.MethodPut },
		"another path":   func(r *providers.Request) { r.URL = r.URL.JoinPath("x") },
		"another host":   func(r *providers.Request) { u := *r.URL; u.Host = "x"; r.URL = &u },
		"no TLS":         func(r *providers.Request) { u := *r.URL; u.Scheme = "http"; r.URL = &u },
		"a query":        func(r *providers.Request) { u := *r.URL; u.RawQuery = "a=b"; r.URL = &u },
		"seconds": func(r *providers.Request) {
			r.Header.Set("X-HubSpot-Request-Timestamp", strconv.FormatInt(r.ReceivedAt.Unix(), 10))
		},
	} {
		t.Run(what, func(t *testing.T) {
			require.ErrorIs(t, verify(t, "hubspot", change), providers.ErrUnauthenticated)
		})
	}
}

func TestSquareSignsTheURL(t *testing.T) {
	require.ErrorIs(t, verify(t, "square", func(r *providers.Request) { r.URL = r.URL.JoinPath("x") }), providers.ErrUnauthenticated)
}

func TestHubSpotsOlderSignaturesProveNothing(t *testing.T) {
	require.ErrorIs(t, verify(t, "hubspot", func(r *providers.Request) {
		r.Header.Del("X-HubSpot-Signature-v3")
		r.Header.Set("X-HubSpot-Signature-Version", "v1")
		// https://developers.hubspot.com/docs/faq/v1-request-validation
		r.Header.Set("X-HubSpot-Signature", "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de")
	}), providers.ErrUnauthenticated)
}

func TestLinearsTimeIsTheOneInTheBody(t *testing.T) {
	late := func(r *providers.Request) {
		r.ReceivedAt = r.ReceivedAt.Add(61 * time.Second)
		r.Header.Set("Linear-Timestamp", strconv.FormatInt(r.ReceivedAt.UnixMilli(), 10))
	}
	require.ErrorIs(t, verify(t, "linear", late), providers.ErrStale)

	r, secret := platforms()["linear"].signed()
	r.Body = []byte(strings.Replace(string(r.Body), "webhookTimestamp", "webhooktimestamp", 1))
	signLinear(&r, secret)
	require.ErrorIs(t, open(t, "linear").Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated)
}

func TestSendGridSignsTheLineEndBehindItsEvents(t *testing.T) {
	require.ErrorIs(t, verify(t, "sendgrid", func(r *providers.Request) { r.Body = r.Body[:len(r.Body)-2] }), providers.ErrUnauthenticated)
}

func TestTypeformWritesBase64WhereOthersWriteHex(t *testing.T) {
	require.ErrorIs(t, verify(t, "typeform", func(r *providers.Request) {
		r.Header.Set("Typeform-Signature", "sha256="+hexMAC("a secret", string(r.Body)))
	}), providers.ErrUnauthenticated)
}

func TestZendesksTimeStandsBeforeTheBody(t *testing.T) {
	require.ErrorIs(t, verify(t, "zendesk", func(r *providers.Request) {
		at := r.Header.Get("X-Zendesk-Webhook-Signature-Timestamp")
		r.Header.Set("X-Zendesk-Webhook-Signature", base64MAC("a secret", string(r.Body), at)) // as in the preview of 2021
	}), providers.ErrUnauthenticated)
}

func TestWhatAZendeskTriggerSendsNeedsNoTypeAndIsAboutNothing(t *testing.T) {
	r, _ := platforms()["zendesk"].signed()
	r.Body = []byte(`{"id": 35436, "say": "hello"}`)
	events, err := open(t, "zendesk").Events(r)
	require.NoError(t, err)
	require.Equal(t, "trigger", events[0].Type)
	require.Equal(t, "01GK8E6BKWMJZD2T8Y5AXJQMG5", events[0].ID) // and not the ticket's
	require.True(t, events[0].Ref.IsZero())
}

func TestDiscordIsVerifiedWithThePublicKeyAlone(t *testing.T) {
	r, secret := platforms()["discord"].signed()
	der, err := hex.DecodeString(secret)
	require.NoError(t, err)
	public := hex.EncodeToString(ed25519.PrivateKey(der).Public().(ed25519.PublicKey))
	require.NoError(t, open(t, "discord").Verify(r, providers.Secrets{public}))
	require.Error(t, open(t, "discord").Sign(&r, providers.Secrets{public}))
}

// Discord tests an endpoint with badly signed pings, which must not be answered.
func TestADiscordPingIsAnsweredWhenItIsSignedOnly(t *testing.T) {
	ping := platforms()["discord"].handshake.Request()
	_, answered := open(t, "discord").Probe(ping)
	require.False(t, answered)
	require.ErrorIs(t, open(t, "discord").Verify(ping, providers.Secrets{ed25519Keys().Live}), providers.ErrUnauthenticated)
}

func TestAUserOfDiscordSeesThatAnAnswerIsOnItsWay(t *testing.T) {
	require.JSONEq(t, `{"type": 5}`, string(open(t, "discord").Endpoint().Accepted.Body))
}

func TestIntercomsProbeMayUseHEAD(t *testing.T) {
	require.Equal(t, []string{http.MethodHead}, open(t, "intercom").Endpoint().Methods)
}

func TestIntercomSignsWithSHA1Only(t *testing.T) {
	require.ErrorIs(t, verify(t, "intercom", func(r *providers.Request) {
		r.Header.Set("X-Hub-Signature", "sha256="+hexMAC("a secret", string(r.Body)))
	}), providers.ErrUnauthenticated)
}

func TestEventsOfABatchKeepTheirOwnPayload(t *testing.T) {
	r, _ := platforms()["hubspot"].signed()
	events, err := open(t, "hubspot").Events(r)
	require.NoError(t, err)
	require.Contains(t, string(events[0].Payload), `"contact.creation"`)
	require.NotContains(t, string(events[0].Payload), `"deal.deletion"`)
	require.Contains(t, string(events[1].Payload), `"deal.deletion"`)
}
