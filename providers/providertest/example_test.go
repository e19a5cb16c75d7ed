package providertest_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
)

// acme is a whole platform, as a folder under providers/ would hold it: Acme
// signs the body with HMAC-SHA256 in hex, sends one event per request, and
// serves its parcels at /parcels/{id}.
type acme struct {
	api *providers.Client
	key string
}

// parcelID keeps an id from leading to another path of the API.
var parcelID = regexp.MustCompile(`^p_[0-9A-Za-z]{1,40}$`)

func newAcme(cfg providers.APIConfig) (*acme, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = "https://api.acme.example"
	}
	client, err := providers.NewClient("acme", cfg, classify)
	if err != nil {
		return nil, err
	}
	return &acme{api: client, key: cfg.Key}, nil
}

func (a *acme) Verify(r providers.Request, s providers.Secrets) error {
	sent, err := providers.HeaderOnce(r.Header, "Acme-Signature")
	if err != nil {
		return fmt.Errorf("acme: verify: %w: %w", providers.ErrUnauthenticated, err)
	}
	mac, err := hex.DecodeString(sent)
	if err != nil {
		return fmt.Errorf("acme: verify: %w: the signature is no hex", providers.ErrUnauthenticated)
	}
	err = s.Accept(func(secret string) bool { return hmac.Equal(mac, digest(secret, r.Body)) })
	if err != nil {
		return fmt.Errorf("acme: verify: %w", err)
	}
	return nil
}

func (a *acme) Sign(r *providers.Request, s providers.Secrets) error {
	if len(s) == 0 || s[0] == "" {
		return errors.New("acme: sign: no secret")
	}
	r.Header.Set("Acme-Signature", hex.EncodeToString(digest(s[0], r.Body)))
	return nil
}

func digest(secret string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return mac.Sum(nil)
}

func (a *acme) Events(r providers.Request) ([]providers.Event, error) {
	var body struct {
		ID     string    `json:"id"`
		Type   string    `json:"type"`
		At     time.Time `json:"at"`
		Parcel string    `json:"parcel"`
	}
	if err := providers.ReadJSON(r.Body, &body); err != nil {
		return nil, fmt.Errorf("acme: %w", err)
	}
	if !providers.IsName(body.ID) || !providers.IsName(body.Type) || !parcelID.MatchString(body.Parcel) {
		return nil, fmt.Errorf("acme: %w: id, type or parcel is missing, or no name", providers.ErrMalformed)
	}
	return []providers.Event{{
		ID:         body.ID,
		Type:       body.Type,
		OccurredAt: body.At,
		Ref:        providers.Ref{Type: "parcel", ID: body.Parcel},
	}}, nil
}

func (a *acme) Fetch(ctx context.Context, q providers.FetchQuery) (providers.Object, error) {
	if q.Ref.Type != "parcel" || !parcelID.MatchString(q.Ref.ID) {
		return providers.Object{}, fmt.Errorf("acme: %s: %w", q.Ref, providers.ErrNotFetchable)
	}
	r, err := a.api.Get(ctx, "fetch "+q.Ref.String(), "/parcels/"+q.Ref.ID, http.Header{"Authorization": {"Bearer " + a.key}})
	if r.Status == http.StatusNotFound || r.Status == http.StatusGone {
		return providers.Object{Ref: q.Ref, Deleted: true}, nil
	}
	if err != nil {
		return providers.Object{}, err
	}
	var parcel struct {
		ID string `json:"id"`
	}
	if err := r.ReadJSON(&parcel); err != nil {
		return providers.Object{}, err
	}
	if parcel.ID != q.Ref.ID {
		return providers.Object{}, r.Unusable(providers.RetryNever, errors.New("answer is another object"))
	}
	return providers.Object{Ref: q.Ref, State: r.Body}, nil
}

func classify(r providers.APIResponse) (providers.Retry, time.Duration, string) {
	switch after := providers.RetryAfter(r.Header, time.Now()); {
	case after > 0:
		return providers.RetryLater, after, ""
	case r.Status == http.StatusTooManyRequests, r.Status >= 500:
		return providers.RetrySoon, 0, ""
	default:
		return providers.RetryNever, 0, ""
	}
}

func TestExampleConforms(t *testing.T) {
	provider, err := newAcme(providers.APIConfig{})
	if err != nil {
		t.Fatal(err)
	}
	providertest.Exercise(t, providertest.Suite{
		Provider: provider,
		Request: func() providers.Request {
			return providers.Request{
				Method: http.MethodPost,
				Header: http.Header{"Content-Type": {"application/json"}},
				Body:   []byte(`{"id": "ev_1", "type": "parcel.sent", "at": "2026-03-04T05:06:07Z", "parcel": "p_1"}`),
			}
		},
		// A platform's own SDK would be better: it cannot share our mistakes.
		Oracle: func(r *providers.Request, secret string) {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write(r.Body)
			r.Header.Set("Acme-Signature", fmt.Sprintf("%x", mac.Sum(nil)))
		},
		SignatureHeaders: []string{"Acme-Signature"},
		Malformed:        map[string]string{"an event without a parcel": `{"id": "ev_1", "type": "parcel.sent"}`},
		Fetch: &providertest.Fetch{
			New:         func(cfg providers.APIConfig) (providers.Fetcher, error) { return newAcme(cfg) },
			Ref:         providers.Ref{Type: "parcel", ID: "p_1"},
			Path:        "/parcels/p_1",
			State:       `{"id": "p_1", "where": "on its way"}`,
			Unfetchable: providers.Ref{Type: "weather", ID: "today"},
			Gone:        []providertest.Answer{{Name: "no such parcel", Status: 404, Body: `{}`}},
		},
		List: &providertest.List{
			New:    func(cfg providers.APIConfig) (providers.Lister, error) { return newAcme(cfg) },
			Worlds: map[string]func(*testing.T, string) providertest.World{"parcel": parcels},
		},
	})
}
