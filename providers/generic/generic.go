// Package generic knows platforms that are declared instead of programmed: how
// their requests are proven, what these carry and how objects are fetched is
// all in Settings. It is the provider "generic", whose settings stand in the
// file that declares the sources, and the engine below the platforms whose
// declarations are compiled in.
package generic

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/surehook/surehook/providers"
)

// name is that of the provider for sources that bring their own declaration.
const name = "generic"

// Provider is a declared platform. It has all capabilities of one; those that
// are not declared do nothing.
type Provider struct {
	name       string
	proof      Proof
	endpoint   providers.Endpoint
	events     eventReader
	schemas    []schema
	handshakes []handshake
	probing    []string // the methods of handshakes by which no events come
	fetch      *fetcher // nil when objects cannot be fetched
}

var (
	_ providers.Provider   = (*Provider)(nil)
	_ providers.Handshaker = (*Provider)(nil)
	_ providers.Prober     = (*Provider)(nil)
	_ providers.Endpointer = (*Provider)(nil)
	_ providers.Labeler    = (*Provider)(nil)
	_ providers.Fetcher    = (*Provider)(nil)
)

// New returns the platform that the settings declare. The error names all
// fields that are wrong.
func New(cfg providers.APIConfig, s Settings) (*Provider, error) {
	return newProvider(name, cfg, s, nil)
}

// Declared returns the constructor of a platform whose declaration is compiled
// in. Its name starts every error.
func Declared(platform string, s Settings) func(providers.APIConfig) (*Provider, error) {
	return func(cfg providers.APIConfig) (*Provider, error) {
		return newProvider(platform, cfg, s, nil)
	}
}

// Proven is New for a platform whose way to prove its requests cannot be
// declared. What s.Verify says is not used.
func Proven(platform string, cfg providers.APIConfig, s Settings, proof Proof) (*Provider, error) {
	return newProvider(platform, cfg, s, proof)
}

func newProvider(platform string, cfg providers.APIConfig, s Settings, proof Proof) (*Provider, error) {
	var found problems
	if proof == nil {
		byQuery := s.Body == bodyForm && slices.Contains(s.Methods, http.MethodGet)
		proof = found.proof(platform, s.Verify, s.Event.ID, byQuery)
	}
	p := &Provider{name: platform, proof: proof}
	p.endpoint = found.endpoint(s)
	p.events = found.events(s, proof)
	p.schemas = found.schemas(s.Schemas)
	p.handshakes = found.handshakes(s)
	p.probing = slices.DeleteFunc(slices.Clone(p.endpoint.Methods), func(method string) bool { return slices.Contains(s.Methods, method) })
	p.fetch = found.fetch(platform, cfg, s.Fetch)
	if err := found.err(); err != nil {
		return nil, err
	}
	return p, nil
}

// endpoint says what is unusual about the requests.
func (p *problems) endpoint(s Settings) providers.Endpoint {
	e := providers.Endpoint{
		PathToken: s.Verify.Scheme == SchemeToken && s.Verify.Token.In == inPath,
		Accepted:  p.answer("accepted", s.Accepted),
	}
	if s.Body == bodyXML {
		e.Media = []string{"application/xml", "text/xml", "application/soap+xml"}
	}
	if s.Verify.Scheme == SchemeToken && s.Verify.Token.In == inHeader {
		e.SecretHeaders = []string{s.Verify.Token.Name}
	}
	for i, method := range s.Methods {
		field := fmt.Sprintf("methods[%d]", i)
		switch method {
		case http.MethodGet:
			p.get(field, s)
		case http.MethodPut, http.MethodPatch:
		default:
			p.add(field, "%q: want GET, PUT or PATCH", method)
		}
		e.Methods = append(e.Methods, method)
	}
	for _, h := range s.Handshakes {
		if h.Method != "" && h.Method != http.MethodPost && !slices.Contains(e.Methods, h.Method) {
			e.Methods = append(e.Methods, h.Method)
		}
	}
	return e
}

// get checks what is special about events that come as a query.
func (p *problems) get(field string, s Settings) {
	if s.Body != bodyForm {
		p.add(field, "GET: a query is a form: want body: form")
	}
	switch {
	case s.Verify.Scheme == SchemeToken && s.Verify.Token.In == inQuery:
		p.add(field, "GET: the query is stored as the event, so it cannot hold the secret: see verify.token")
	case s.Verify.Scheme != SchemeToken && !strings.Contains(s.Verify.Signed, "{"+holdURL+"}") && !strings.Contains(s.Verify.Signed, "{"+holdURI+"}"):
		p.add(field, "GET: the query is not signed: verify.signed has neither {url} nor {uri}")
	}
}

// Verify implements providers.Provider. A method by which only handshakes come
// brings nothing else: the query of a GET would be stored as its event, and may
// hold the secret.
func (p *Provider) Verify(r providers.Request, s providers.Secrets) error {
	if err := p.proof.Verify(r, s); err != nil {
		return err
	}
	if !slices.Contains(p.probing, r.Method) {
		return nil
	}
	if _, asks := p.Handshake(r); !asks {
		return fmt.Errorf("%s: verify: %w: a %s that is none of the handshakes", p.name, providers.ErrUnauthenticated, r.Method)
	}
	return nil
}

// Sign implements providers.Provider.
func (p *Provider) Sign(r *providers.Request, s providers.Secrets) error {
	return p.proof.Sign(r, s)
}

// Endpoint implements providers.Endpointer.
func (p *Provider) Endpoint() providers.Endpoint { return p.endpoint }
