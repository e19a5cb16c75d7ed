package msgraph

import (
	"cmp"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/surehook/surehook/providers"
)

// Settings are what a source of Graph can declare beside its secrets.
type Settings struct {
	// Subscriptions are the clientStates by subscription id. Where there are any,
	// an item must be of one of these subscriptions and have its clientState;
	// otherwise any of the source's secrets will do.
	Subscriptions map[string]providers.Secret `yaml:"subscriptions"`
	// Subscribe are the subscriptions that the source itself creates, renews and,
	// when one is lost, creates anew. They are given the first of the source's secrets.
	Subscribe []Subscribe `yaml:"subscribe"`
	// Tenants are the tenants whose items are taken; all of them when empty.
	Tenants []string `yaml:"tenants"`

	// Tenant and ClientID name the application that calls the API; its secret is
	// the API's key. For an item of one of Tenants the token is that tenant's.
	Tenant   string `yaml:"tenant"`
	ClientID string `yaml:"client_id"`
	TokenURL string `yaml:"token_url"` // {tenant} in it is replaced

	// AppID is the application that subscribed, which tokens of notifications
	// with resource data are made out to; ClientID when empty.
	AppID   string `yaml:"app_id"`
	JWKSURL string `yaml:"jwks_url"`
	// Certificates are the keys that resource data is encrypted for: the new one
	// and, for as long as notifications name it, the old one.
	Certificates []Certificate `yaml:"certificates"`
}

// Certificate is the private half of an encryptionCertificate.
type Certificate struct {
	ID  string           `yaml:"id"`  // its encryptionCertificateId
	Key providers.Secret `yaml:"key"` // PEM, PKCS #8 or PKCS #1
}

const (
	tenantMark      = "{tenant}"
	defaultTokenURL = "https://login.microsoftonline.com/" + tenantMark + "/oauth2/v2.0/token"
	// The keys of all tenants, as the discovery document names them:
	// https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration.
	defaultJWKSURL = "https://login.microsoftonline.com/common/discovery/v2.0/keys"

	minKeyBits = 2048 // what Graph asks of an encryption certificate
)

// checked are settings that have been found right.
type checked struct {
	subscriptions map[string]string // by lower-case id
	subscribe     []subscribed
	tenants       map[string]bool // lower case
	appID         string
	jwks          *url.URL
	keys          map[string]*rsa.PrivateKey // by encryptionCertificateId
}

// tenantNames are the ids (GUIDs) and domain names of tenants. They become part
// of a URL.
var tenantNames = regexp.MustCompile(`^[0-9A-Za-z](?:[0-9A-Za-z.-]{0,98}[0-9A-Za-z])?$`)

func (s Settings) check() (checked, error) {
	c := checked{
		subscriptions: map[string]string{},
		tenants:       map[string]bool{},
		appID:         cmp.Or(s.AppID, s.ClientID),
		keys:          map[string]*rsa.PrivateKey{},
	}
	var errJWKS, errSubscribe error
	c.subscribe, errSubscribe = s.checkSubscribe()
	c.jwks, errJWKS = checkURL("jwks_url", cmp.Or(s.JWKSURL, defaultJWKSURL))
	_, errToken := checkURL("token_url", strings.ReplaceAll(cmp.Or(s.TokenURL, defaultTokenURL), tenantMark, "x"))
	return c, errors.Join(c.addSubscriptions(s), errSubscribe, c.addTenants(s), c.addKeys(s), s.checkApplication(), errToken, errJWKS)
}

func wrong(field, format string, args ...any) error {
	return &providers.SettingError{Field: field, Err: fmt.Errorf(format, args...)}
}

func checkURL(field, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, wrong(field, "want http(s)://host/path")
	}
	return u, nil
}

func (c checked) addSubscriptions(s Settings) error {
	var errs []error
	for id, state := range s.Subscriptions {
		if id == "" || state == "" {
			errs = append(errs, wrong("subscriptions", "subscription %q has no id or no clientState", id))
			continue
		}
		if _, twice := c.subscriptions[strings.ToLower(id)]; twice {
			errs = append(errs, wrong("subscriptions", "subscription %q is there twice", id))
		}
		c.subscriptions[strings.ToLower(id)] = string(state)
	}
	return errors.Join(errs...)
}

func (c checked) addTenants(s Settings) error {
	var errs []error
	for i, tenant := range s.Tenants {
		if !tenantNames.MatchString(tenant) {
			errs = append(errs, wrong(fmt.Sprintf("tenants[%d]", i), "want a tenant's id"))
		}
		c.tenants[strings.ToLower(tenant)] = true
	}
	return errors.Join(errs...)
}

func (s Settings) checkApplication() error {
	switch {
	case s.ClientID == "" && s.Tenant == "":
		return nil
	case s.ClientID == "":
		return wrong("client_id", "is needed with tenant")
	case !tenantNames.MatchString(s.Tenant):
		return wrong("tenant", "want the id of the tenant that client_id gets its tokens from")
	}
	return nil
}

func (c checked) addKeys(s Settings) error {
	var errs []error
	for i, certificate := range s.Certificates {
		field := fmt.Sprintf("certificates[%d]", i)
		if certificate.ID == "" {
			errs = append(errs, wrong(field+".id", "is missing: the subscription's encryptionCertificateId"))
		}
		if c.keys[certificate.ID] != nil {
			errs = append(errs, wrong(field+".id", "is there twice"))
		}
		key, err := privateKey([]byte(certificate.Key))
		if err != nil {
			errs = append(errs, &providers.SettingError{Field: field + ".key", Err: err})
			continue
		}
		c.keys[certificate.ID] = key
	}
	return errors.Join(errs...)
}

var errNoKey = errors.New("want an RSA private key in PEM")

// privateKey reads the first private key in the text; a certificate may stand
// before it. Errors of the parsers are not passed on, since they may quote it.
func privateKey(text []byte) (*rsa.PrivateKey, error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, errNoKey
		}
		text = rest
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		key := parseKey(block.Bytes)
		if key == nil {
			return nil, errNoKey
		}
		if key.N.BitLen() < minKeyBits {
			return nil, fmt.Errorf("an RSA key of %d bits, Graph wants %d at least", key.N.BitLen(), minKeyBits)
		}
		return key, nil
	}
}

func parseKey(der []byte) *rsa.PrivateKey {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil
	}
	private, _ := key.(*rsa.PrivateKey)
	return private
}
