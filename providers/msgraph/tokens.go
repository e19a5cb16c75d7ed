package msgraph

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/surehook/surehook/providers"
)

const (
	// publisher is the application that Graph's change notifications come from:
	// without it any application of a tenant could make out a token to ours.
	publisher = "0bf30f3b-4a52-48df-9a82-234910c4a086"

	// leeway is how far clocks may differ: the default of Microsoft's libraries.
	leeway = 5 * time.Minute

	maxTokens     = 100 // in one request; Graph sends one for each tenant
	maxTokenBytes = 16 << 10
)

// tokens judges validation tokens.
type tokens struct {
	audience string // the application that subscribed
	keys     *keySet
}

// identity is what a token says beside the registered claims: who asked for
// it, in the first and in the second version of Microsoft's tokens, and where.
type identity struct {
	AppID    string `json:"appid"`
	AZP      string `json:"azp"`
	TenantID string `json:"tid"`
}

// The ways in which a token proves nothing, in words for the operator.
var (
	errTokenFormat    = errors.New("no JSON Web Token signed with RS256")
	errTokenSignature = errors.New("not signed by the key it names")
	errTokenIssuer    = errors.New("not issued by Microsoft for a tenant")
	errTokenKey       = errors.New("signed by a key that Microsoft keeps for another tenant")
	errTokenAudience  = errors.New("made out to another application than settings.app_id")
	errTokenPublisher = errors.New("not requested by Graph's change notifications")
	errTokenExpiry    = errors.New("says not when it expires")
)

// verify returns the tenant that a genuine token is about, in lower case. The
// error wraps ErrUnauthenticated, or ErrStale for a token that was genuine at
// another time.
//
// Source: learn.microsoft.com/graph/change-notifications-with-resource-data,
// "How to validate".
func (t *tokens) verify(raw string, now time.Time) (tenant string, err error) {
	claims, who, err := t.claims(raw)
	if err != nil {
		return "", refused(err)
	}
	switch {
	case !issuedBy(claims.Issuer, who.TenantID):
		return "", refused(errTokenIssuer)
	case !claims.Audience.Contains(t.audience):
		return "", refused(errTokenAudience)
	case !who.is(publisher):
		return "", refused(errTokenPublisher)
	case claims.Expiry == nil:
		return "", refused(errTokenExpiry)
	}
	if err := claims.ValidateWithLeeway(jwt.Expected{Time: now}, leeway); err != nil {
		return "", fmt.Errorf("%w: valid until %s", providers.ErrStale, claims.Expiry.Time().UTC().Format(time.RFC3339))
	}
	return strings.ToLower(who.TenantID), nil
}

// claims returns what a token says once Microsoft's signature has been found good.
func (t *tokens) claims(raw string) (jwt.Claims, identity, error) {
	if len(raw) > maxTokenBytes {
		return jwt.Claims{}, identity{}, errTokenFormat
	}
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || len(token.Headers) != 1 {
		return jwt.Claims{}, identity{}, errTokenFormat // the parser's error may quote it
	}
	keys, err := t.keys.find(token.Headers[0].KeyID)
	if err != nil {
		return jwt.Claims{}, identity{}, err
	}
	for _, key := range keys {
		var claims jwt.Claims
		var who identity
		switch {
		case token.Claims(key.JSONWebKey, &claims, &who) != nil:
		case !key.signsFor(who.TenantID):
			return jwt.Claims{}, identity{}, errTokenKey
		default:
			return claims, who, nil
		}
	}
	return jwt.Claims{}, identity{}, errTokenSignature
}

// issuedBy reports whether the issuer is Microsoft's of the tenant, in the form
// of either version of its tokens.
func issuedBy(issuer, tenant string) bool {
	return tenantNames.MatchString(tenant) &&
		(issuer == "https://sts.windows.net/"+tenant+"/" || issuer == "https://login.microsoftonline.com/"+tenant+"/v2.0")
}

// is reports whether the application is the one that asked for the token.
func (who identity) is(application string) bool {
	for _, id := range []string{who.AppID, who.AZP} {
		if id != "" && id != application {
			return false
		}
	}
	return who.AppID != "" || who.AZP != ""
}
