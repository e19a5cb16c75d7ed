package declared_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/all"
	"github.com/surehook/surehook/providers/declared"
	"github.com/surehook/surehook/providers/generic"
	"github.com/surehook/surehook/providers/providertest"
)

// platform is what a platform sends, by its documentation, and what becomes of it.
type platform struct {
	url     string // where it is signed
	headers map[string]string
	body    string
	secrets providertest.Secrets // where they are keys

	// oracle signs without the engine's help.
	oracle    func(r *providers.Request, secret string)
	signature []string // the headers that it sets
	tolerance time.Duration
	bare      bool // the body is not signed

	malformed map[string]string // what is wrong with it, by the text that makes it so: old → new
	handshake *providertest.Handshake
	probes    map[string]providertest.Handshake

	events []providers.Event // without payload and fingerprint
	// fingerprint says that the signature does not cover the ID.
	fingerprint bool
}

func (p platform) request() providers.Request {
	r := providers.Request{Method: http.MethodPost, URL: &url.URL{}, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(p.body)}
	if p.url != "" {
		r.URL, _ = url.Parse(p.url)
	}
	for name, value := range p.headers {
		r.Header.Set(name, value)
	}
	return r
}

// signed is the request as it comes in, under the first of the secrets.
func (p platform) signed() (r providers.Request, secret string) {
	r, secret = p.request(), p.secrets.Live
	if secret == "" {
		secret = "a secret"
	}
	r.ReceivedAt = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	p.oracle(&r, secret)
	return r, secret
}

func open(t testing.TB, name string) *generic.Provider {
	t.Helper()
	p, err := all.New(name, providers.APIConfig{}, nil)
	require.NoError(t, err)
	return p.(*generic.Provider)
}

func TestEveryDeclarationConforms(t *testing.T) {
	for name, p := range platforms() {
		t.Run(name, func(t *testing.T) {
			malformed := map[string]string{}
			for change, what := range p.malformed {
				old, now, _ := strings.Cut(change, " → ")
				require.Contains(t, p.body, old)
				require.NotEqual(t, old, now)
				malformed[what] = strings.Replace(p.body, old, now, 1)
			}
			providertest.Exercise(t, providertest.Suite{
				Provider:         open(t, name),
				Declared:         true,
				BodyUnsigned:     p.bare,
				Request:          p.request,
				Secrets:          p.secrets,
				Oracle:           p.oracle,
				SignatureHeaders: p.signature,
				Tolerance:        p.tolerance,
				Malformed:        malformed,
				Handshake:        p.handshake,
				Probes:           p.probes,
			})
		})
	}
}

func TestEventsAreReadAsThePlatformMeansThem(t *testing.T) {
	for name, p := range platforms() {
		t.Run(name, func(t *testing.T) {
			r, _ := p.signed()
			events, err := open(t, name).Events(r)
			require.NoError(t, err)
			for i := range events {
				require.Equal(t, p.fingerprint, events[i].Fingerprint != "", "fingerprint %q", events[i].Fingerprint)
				events[i].Payload, events[i].Fingerprint = nil, ""
			}
			require.Equal(t, p.events, events)
		})
	}
}

func TestUnsignedIDsDoNotMakeACapturedRequestNew(t *testing.T) {
	for name, p := range platforms() {
		if !p.fingerprint {
			continue
		}
		t.Run(name, func(t *testing.T) {
			first, secret := p.signed()
			again, _ := p.signed()
			for header := range p.headers {
				again.Header.Set(header, again.Header.Get(header)+"x")
			}
			require.NoError(t, open(t, name).Verify(again, providers.Secrets{secret}))
			a, err := open(t, name).Events(first)
			require.NoError(t, err)
			b, err := open(t, name).Events(again)
			require.NoError(t, err)
			require.NotEqual(t, a[0].ID, b[0].ID)
			require.Equal(t, a[0].Fingerprint, b[0].Fingerprint)
		})
	}
}

func TestASourceMayAddAnAPIToADeclaration(t *testing.T) {
	settings := all.Settings("square").(*declared.Settings)
	settings.Fetch = generic.Fetch{BaseURL: "https://connect.squareup.com", Paths: map[string]string{"payment": "/v2/payments/{ref.id}"}}
	_, err := all.New("square", providers.APIConfig{Key: "k"}, settings)
	require.NoError(t, err)

	settings.Fetch.Paths["payment"] = "payments"
	_, err = all.New("square", providers.APIConfig{Key: "k"}, settings)
	require.ErrorContains(t, err, "fetch.paths.payment")
}

func TestThereIsATestOfEveryDeclaration(t *testing.T) {
	var ready []string
	for _, name := range all.Names() {
		if _, ok := all.Settings(name).(*declared.Settings); ok {
			ready = append(ready, name)
			require.Contains(t, platforms(), name)
		}
	}
	require.Len(t, ready, len(functions(t)), "providers/all names each of %v", functions(t))
}

// functions returns the names of the declarations in this package.
func functions(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, file := range []string{"commerce.go", "customers.go", "engineering.go", "mail.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		for _, declaration := range parsed.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Name.IsExported() {
				names = append(names, f.Name.Name)
			}
		}
	}
	return slices.Sorted(slices.Values(names))
}

func TestImports(t *testing.T) {
	providertest.CheckImports(t, deptest.Rule{Allow: []string{"github.com/surehook/surehook/providers/generic"}})
}

func FuzzVerify(f *testing.F) {
	opened := map[string]*generic.Provider{}
	for name, p := range platforms() {
		r := p.request()
		for _, header := range p.signature {
			f.Add(name, r.Body, header, "v1=00")
		}
		opened[name] = open(f, name)
	}
	f.Fuzz(func(t *testing.T, name string, body []byte, header, value string) {
		p := opened[name]
		if p == nil {
			t.Skip()
		}
		r := platforms()[name].request()
		r.Body = body
		r.Header.Set(header, value)
		require.ErrorIs(t, p.Verify(r, providers.Secrets{"a secret that nothing was signed with"}), providers.ErrUnauthenticated)
	})
}

func FuzzEvents(f *testing.F) {
	opened := map[string]*generic.Provider{}
	for name, p := range platforms() {
		f.Add(name, []byte(p.body))
		opened[name] = open(f, name)
	}
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		p := opened[name]
		if p == nil {
			t.Skip()
		}
		r := platforms()[name].request()
		r.Body = body
		events, err := p.Events(r)
		if err != nil {
			require.ErrorIs(t, err, providers.ErrMalformed)
		}
		for _, e := range events {
			require.NotEmpty(t, e.ID)
			require.LessOrEqual(t, len(e.ID), 200)
		}
	})
}

func BenchmarkVerifyAndEvents(b *testing.B) {
	for name, p := range platforms() {
		b.Run(name, func(b *testing.B) {
			p.body = strings.Replace(p.body, "{", `{"padding": "`+strings.Repeat("x", 2048-len(p.body))+`", `, 1)
			r, secret := p.signed()
			provider := open(b, name)
			providertest.Benchmark(b, provider, r, providers.Secrets{secret})
		})
	}
}
