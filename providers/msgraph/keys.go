package msgraph

import (
	"context"
	"crypto/rsa"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// How long to wait for keys, and for how long to believe them. Microsoft rolls
// its keys daily and asks to have them cached for some time.
const (
	keysFetch = 10 * time.Second       // the most a fetch may take
	keysWait  = 500 * time.Millisecond // the most a request waits for one: Graph calls 3 s slow
	keysFresh = time.Hour              // after this they are fetched again, beside the requests
	keysStale = 24 * time.Hour         // after this they prove nothing
	keysPause = 30 * time.Second       // the least between two fetches, whatever tokens name
)

// keySet is Microsoft's signing keys as they were last fetched. Nothing is
// fetched before a token asks for it.
type keySet struct {
	client *providers.Client
	path   string

	mu      sync.Mutex
	keys    map[string][]signingKey // by key id
	fetched time.Time               // when they were, zero before
	tried   time.Time               // when the last fetch began
	pending chan struct{}           // closed at the end of the fetch under way; nil when none is
}

// signingKey is one of Microsoft's keys.
type signingKey struct {
	jose.JSONWebKey
	// issuer is whose tokens it signs, with anyTenant in it where that is any; it is
	// empty where nothing is said of it.
	issuer string
}

const anyTenant = "{tenantid}"

// signsFor reports whether the key may sign for a tenant. The key set of all
// tenants also holds the keys of private accounts, which are a tenant of their
// own: without this, whoever has one of those could speak for any other.
//
// Source: learn.microsoft.com/entra/identity-platform/access-tokens, "Validate
// the signing key issuer".
func (k signingKey) signsFor(tenant string) bool {
	issuer := strings.TrimSuffix(strings.TrimSuffix(k.issuer, "/"), "/v2.0")
	of := issuer[strings.LastIndexByte(issuer, '/')+1:]
	return of == "" || of == anyTenant || strings.EqualFold(of, tenant)
}

func newKeySet(at *url.URL) (*keySet, error) {
	base := url.URL{Scheme: at.Scheme, Host: at.Host}
	client, err := providers.NewClient(name, providers.APIConfig{BaseURL: base.String(), Timeout: keysFetch}, classify)
	if err != nil {
		return nil, err
	}
	return &keySet{client: client, path: at.RequestURI()}, nil
}

var (
	errNoSuchKey = errors.New("signed by a key that Microsoft does not publish")
	errNoKeys    = errors.New("the signing keys could not be fetched in time")
)

// find returns the keys of an id. A request that needs keys which are not there
// waits for them, but not for long: it is refused, Graph repeats it, and by
// then the fetch that goes on without it may have brought them.
func (k *keySet) find(id string) ([]signingKey, error) {
	keys, wait := k.look(id)
	if keys != nil {
		return keys, nil
	}
	if wait != nil {
		patience := time.NewTimer(keysWait)
		defer patience.Stop()
		select {
		case <-wait:
		case <-patience.C:
			return nil, errNoKeys
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch keys := k.known(id); {
	case keys != nil:
		return keys, nil
	case k.fetched.IsZero() || time.Since(k.fetched) > keysStale:
		return nil, errNoKeys
	default:
		return nil, errNoSuchKey
	}
}

// look returns the keys of an id, and what to wait for when there are none.
func (k *keySet) look(id string) (keys []signingKey, wait <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys = k.known(id)
	if keys != nil && time.Since(k.fetched) < keysFresh {
		return keys, nil
	}
	if k.pending == nil && time.Since(k.tried) >= keysPause {
		k.tried, k.pending = time.Now(), make(chan struct{})
		go k.fetch(k.pending)
	}
	return keys, k.pending
}

func (k *keySet) known(id string) []signingKey {
	if time.Since(k.fetched) > keysStale {
		return nil
	}
	return k.keys[id]
}

// fetch replaces the keys, or leaves them as they are when it fails: the next
// token tries again.
func (k *keySet) fetch(done chan struct{}) {
	defer close(done)
	ctx, cancel := context.WithTimeout(context.Background(), keysFetch)
	defer cancel()
	r, err := k.client.Get(ctx, "fetch signing keys", k.path, http.Header{"Accept": {"application/json"}})
	var keys map[string][]signingKey
	if err == nil {
		keys, err = readKeys(r.Body)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pending = nil
	if err == nil {
		k.keys, k.fetched = keys, time.Now()
	}
}

// readKeys takes the RSA keys for signatures and skips all others: a key of a
// kind to come must not cost those we know.
func readKeys(body []byte) (map[string][]signingKey, error) {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := providers.ReadJSON(body, &set); err != nil {
		return nil, err
	}
	keys := map[string][]signingKey{}
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		var said struct {
			Issuer string `json:"issuer"`
		}
		if key.UnmarshalJSON(raw) != nil || providers.ReadJSON(raw, &said) != nil || key.KeyID == "" || (key.Use != "" && key.Use != "sig") {
			continue
		}
		if _, isRSA := key.Key.(*rsa.PublicKey); isRSA {
			keys[key.KeyID] = append(keys[key.KeyID], signingKey{JSONWebKey: key, issuer: said.Issuer})
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no RSA key for signatures")
	}
	return keys, nil
}
