package paypal

import "crypto/x509"

// TrustOnly makes the provider trust these authorities instead of the machine's.
func (p *Provider) TrustOnly(roots *x509.CertPool) { p.certificates.(*fetched).roots = roots }
