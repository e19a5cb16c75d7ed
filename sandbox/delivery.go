package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// deadline is how long a platform waits for an answer to a webhook: GitHub's
// documented ten seconds; Stripe publishes no number.
const deadline = 10 * time.Second

// newPoster returns a client that treats redirects as failures, as the
// platforms do.
func newPoster() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns = 0
	transport.MaxIdleConnsPerHost = 256
	return &http.Client{
		Transport:     transport,
		Timeout:       deadline,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Wait returns when no delivery is on its way, delayed or to be retried, or
// when the context ends.
func (p *Platform) Wait(ctx context.Context) error {
	p.mu.Lock()
	busy, idle := p.sending > 0, p.idle
	p.mu.Unlock()
	if !busy {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// inBackground runs fn so that Wait and Close wait for it.
func (p *Platform) inBackground(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.goInBackground(fn)
}

// goInBackground is inBackground for who holds the lock.
func (p *Platform) goInBackground(fn func()) {
	if p.sending == 0 {
		p.idle = make(chan struct{})
	}
	p.sending++
	go func() {
		defer p.backgroundDone()
		fn()
	}()
}

func (p *Platform) backgroundDone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sending--; p.sending == 0 {
		close(p.idle)
	}
}

// Request returns the request the platform would send for an event now, signed
// now, to the target or, without one, to a placeholder address.
func (p *Platform) Request(eventID string) (providers.Request, error) {
	_, hook, err := p.payload(eventID)
	if err != nil {
		return providers.Request{}, err
	}
	return p.signed(hook, p.signingSecrets(), p.cfg.Now())
}

// Send posts a request once, as it is, and logs the attempt with the event. It
// is for requests that a test has altered.
func (p *Platform) Send(ctx context.Context, eventID string, r providers.Request) (Attempt, error) {
	ev, _, err := p.payload(eventID)
	if err != nil {
		return Attempt{}, err
	}
	return p.attempt(ctx, ev, r, "sent by hand"), nil
}

// Redeliver sends an event again, once and without faults: what the button in
// the platform's pages does. Stripe signs anew; GitHub keeps the delivery's GUID.
func (p *Platform) Redeliver(ctx context.Context, eventID string) (Attempt, error) {
	ev, hook, err := p.payload(eventID)
	if err != nil {
		return Attempt{}, err
	}
	r, err := p.signed(hook, p.signingSecrets(), p.cfg.Now())
	if err != nil {
		return Attempt{}, err
	}
	return p.attempt(ctx, ev, r, ""), nil
}

// deliver makes the first attempt, unless it is delayed, and leaves the others
// to the background.
func (p *Platform) deliver(ctx context.Context, ev *emitted) {
	p.mu.Lock()
	target, fate := p.target, p.webhookMishap(ev.ID, 1)
	p.mu.Unlock()
	switch {
	case target == "":
	case fate.drop:
		p.log(ev, Attempt{At: p.cfg.Now(), Fault: fate.String()})
	case fate.delay > 0:
		p.inBackground(func() {
			sleep(p.background, fate.delay)
			p.deliverNow(p.background, ev, fate)
		})
	default:
		p.deliverNow(ctx, ev, fate)
	}
}

func (p *Platform) deliverNow(ctx context.Context, ev *emitted, fate mishap) {
	if fate.duplicate {
		p.inBackground(func() { p.try(p.background, ev, fate) })
	}
	if !p.try(ctx, ev, fate) && len(p.cfg.Retries) > 0 {
		p.inBackground(func() { p.retry(ev) })
	}
}

// retry repeats until an attempt is acknowledged or the retries are used up.
// A retry can be spoilt; it is not dropped, doubled or delayed once more.
func (p *Platform) retry(ev *emitted) {
	for i, wait := range p.cfg.Retries {
		sleep(p.background, wait)
		p.mu.Lock()
		fate := p.webhookMishap(ev.ID, i+2)
		p.mu.Unlock()
		fate.drop, fate.duplicate, fate.delay = false, false, 0
		if p.background.Err() != nil || p.try(p.background, ev, fate) {
			return
		}
	}
}

// try makes one attempt, spoilt as fate will have it.
func (p *Platform) try(ctx context.Context, ev *emitted, fate mishap) (acknowledged bool) {
	_, hook, err := p.payload(ev.ID)
	if err != nil {
		p.log(ev, Attempt{At: p.cfg.Now(), Fault: fate.String(), Error: err.Error()})
		return false
	}
	secrets, at := p.signingSecrets(), p.cfg.Now()
	if fate.wrongSignature {
		secrets = providers.Secrets{"whsec_not_the_secret_of_this_endpoint"}
	}
	if fate.stale {
		at = at.Add(-time.Hour)
	}
	r, err := p.signed(hook, secrets, at)
	if err != nil {
		p.log(ev, Attempt{At: p.cfg.Now(), Fault: fate.String(), Error: err.Error()})
		return false
	}
	if fate.truncate {
		r.Body = r.Body[:len(r.Body)/2]
	}
	return p.attempt(ctx, ev, r, fate.String()).acknowledged()
}

func (a Attempt) acknowledged() bool { return a.Status/100 == 2 }

// signed returns the request for an event as signed at a time.
func (p *Platform) signed(hook webhook, secrets providers.Secrets, at time.Time) (providers.Request, error) {
	if p.cfg.Provider == nil {
		return providers.Request{}, fmt.Errorf("sign %s event %s: the sandbox was given no provider for it", p.dialect.name(), hook.ID)
	}
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	if target == "" {
		target = "http://localhost/webhooks/" + p.dialect.name()
	}
	to, err := url.Parse(target)
	if err != nil {
		return providers.Request{}, fmt.Errorf("%s webhook target: %w", p.dialect.name(), err)
	}
	r := providers.Request{
		Method: http.MethodPost, URL: to, Header: hook.Header.Clone(),
		Body: bytes.Clone(hook.Body), ReceivedAt: at,
	}
	if p.cfg.Method == http.MethodGet {
		r.Method = http.MethodGet
		r.URL.RawQuery = strings.TrimPrefix(to.RawQuery+"&"+string(r.Body), "&")
		r.Body = nil
		r.Header.Del("Content-Type")
	}
	if err := p.sign(&r, secrets); err != nil {
		return providers.Request{}, fmt.Errorf("sign %s event %s: %w", p.dialect.name(), hook.ID, err)
	}
	return r, nil
}

// sign signs the request as one to the address that the endpoint says it has.
func (p *Platform) sign(r *providers.Request, secrets providers.Secrets) error {
	if p.cfg.Public == "" {
		return p.cfg.Provider.Sign(r, secrets)
	}
	public, err := url.Parse(p.cfg.Public)
	if err != nil {
		return err
	}
	target := r.URL
	public.RawQuery = target.RawQuery
	r.URL = public
	err = p.cfg.Provider.Sign(r, secrets)
	target.RawQuery = r.URL.RawQuery // a signer may add to it
	r.URL = target
	return err
}

// attempt posts a request and logs what came of it.
func (p *Platform) attempt(ctx context.Context, ev *emitted, r providers.Request, fault string) Attempt {
	a := Attempt{At: p.cfg.Now(), Fault: fault}
	status, err := p.send(ctx, r)
	a.Status = status
	if err != nil {
		a.Error = err.Error()
	}
	p.log(ev, a)
	return a
}

func (p *Platform) send(ctx context.Context, r providers.Request) (int, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL.String(), bytes.NewReader(r.Body))
	if err != nil {
		return 0, err
	}
	req.Header = r.Header.Clone()
	resp, err := p.post.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, err
}

func (p *Platform) log(ev *emitted, a Attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ev.Attempts = append(ev.Attempts, a)
	ev.Acknowledged = ev.Acknowledged || a.acknowledged()
}
