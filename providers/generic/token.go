package generic

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/surehook/surehook/providers"
)

// The places where a token can be, besides inHeader and inQuery.
const (
	inBearer = "bearer"
	inBasic  = "basic"
	inPath   = "path"
)

const authorization = "Authorization"

// token proves the sender of a request by a secret that the request holds as it is.
type token struct {
	name string
	at   Token
}

func (p *problems) token(name string, v Verify) Proof {
	p.unused("with scheme: token", map[string]bool{
		"verify.key":       v.Key != "",
		"verify.signed":    v.Signed != "",
		"verify.signature": v.Signature != Signature{},
		"verify.timestamp": v.Timestamp != Timestamp{},
	})
	at := v.Token
	if at.In == "" {
		p.add("verify.token.in", "missing: want header, bearer, basic, query or path")
		return &token{name: name}
	}
	switch p.oneOf("verify.token.in", at.In, inHeader, inBearer, inBasic, inQuery, inPath) {
	case inHeader:
		p.headerName("verify.token.name", at.Name)
	case inQuery:
		if at.Name == "" {
			p.add("verify.token.name", "missing")
		}
	case inBearer, inPath:
		p.unused("with in: "+at.In, map[string]bool{"verify.token.name": at.Name != ""})
	}
	if at.In != inHeader {
		p.unused("without in: header", map[string]bool{"verify.token.prefix": at.Prefix != ""})
	}
	return &token{name: name, at: at}
}

// Verify implements providers.Provider. A wrong path is no endpoint of ours.
func (t *token) Verify(r providers.Request, secrets providers.Secrets) error {
	reason := providers.ErrUnauthenticated
	if t.at.In == inPath {
		reason = providers.ErrNoSuchPath
	}
	given, err := t.given(r)
	if err != nil {
		return fmt.Errorf("%s: verify: %w: %w", t.name, reason, err)
	}
	if !secrets.Contain(given) {
		return fmt.Errorf("%s: verify: %w: the token is no live secret", t.name, reason)
	}
	return nil
}

// given returns the token of a request.
func (t *token) given(r providers.Request) (string, error) {
	switch t.at.In {
	case inPath:
		return r.PathToken, nil
	case inQuery:
		if values := address(r.URL).Query()[t.at.Name]; len(values) == 1 {
			return values[0], nil
		}
		return "", fmt.Errorf("want one query parameter %s", t.at.Name)
	case inHeader:
		return behind(r.Header, t.at.Name, t.at.Prefix, strings.CutPrefix)
	case inBearer:
		return behind(r.Header, authorization, "Bearer ", cutFold)
	default:
		return t.basic(r.Header)
	}
}

func (t *token) basic(h http.Header) (string, error) {
	if _, err := providers.HeaderOnce(h, authorization); err != nil {
		return "", err
	}
	user, password, ok := (&http.Request{Header: h}).BasicAuth()
	switch {
	case !ok:
		return "", errors.New("no basic authentication")
	case t.at.Name == "":
		return user + ":" + password, nil
	case !providers.Secrets{t.at.Name}.Contain(user):
		return "", errors.New("another user")
	}
	return password, nil
}

// behind returns what follows the prefix in a header that must occur once.
func behind(h http.Header, name, prefix string, cut func(s, prefix string) (string, bool)) (string, error) {
	value, err := providers.HeaderOnce(h, name)
	if err != nil {
		return "", err
	}
	text, ok := cut(value, prefix)
	if !ok {
		return "", fmt.Errorf("%s does not begin with %q", name, prefix)
	}
	return text, nil
}

// cutFold is strings.CutPrefix for names of authentication schemes, whose case
// does not matter (RFC 9110, 11.1).
func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// Sign implements providers.Provider.
func (t *token) Sign(r *providers.Request, secrets providers.Secrets) error {
	if len(secrets) == 0 || secrets[0] == "" {
		return fmt.Errorf("%s: sign: no secret", t.name)
	}
	secret := secrets[0]
	switch t.at.In {
	case inHeader:
		setHeader(r, t.at.Name, t.at.Prefix+secret)
	case inBearer:
		setHeader(r, authorization, "Bearer "+secret)
	case inBasic:
		pair := secret
		if t.at.Name != "" {
			pair = t.at.Name + ":" + secret
		}
		setHeader(r, authorization, "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	case inPath:
		r.PathToken = secret
		r.URL = address(r.URL).JoinPath(url.PathEscape(secret))
	default:
		u := *address(r.URL)
		query := u.Query()
		query.Set(t.at.Name, secret)
		u.RawQuery = query.Encode()
		r.URL = &u
	}
	return nil
}

// Covers implements Proof. A token covers nothing, and whoever has it can send
// anything: there are no signed bytes that an event could be known by.
func (t *token) Covers(string) bool { return true }

// Signed implements Proof.
func (t *token) Signed(providers.Request) ([]byte, error) { return nil, nil }
