// Package notify tells another system of ours about an event by HTTP. The
// request carries an Idempotency-Key, so that a receiver that honours it acts
// once however often Temporal has to send it.
package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

// timeout bounds one attempt; Temporal makes the further ones.
const timeout = 20 * time.Second

// Config is read from the environment by go-envconfig.
type Config struct {
	// URL receives a POST for every notice. Empty: no one is told.
	URL string `env:"SUREHOOK_NOTIFY_URL"`
}

// Validate reports a URL that cannot be called, by its variable.
func (c Config) Validate() error {
	if c.URL == "" {
		return nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("SUREHOOK_NOTIFY_URL: want http(s)://host/path") // without the value: it may hold a password
	}
	return nil
}

// client posts notices to one URL.
type client struct {
	url  string
	http *http.Client
}

// New returns a notifier for the configured URL, or nil when there is none. It
// returns the interface because a nil *client inside one would not be nil.
func New(cfg Config) activities.Notifier {
	if cfg.URL == "" {
		return nil
	}
	return &client{url: cfg.URL, http: &http.Client{Timeout: timeout, CheckRedirect: stay}}
}

// stay makes a redirect the answer. Following it would turn the POST into a
// GET, whose 200 does not mean that anyone was told.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Notify posts the notice. Any 2xx means that it was taken.
func (c *client) Notify(ctx context.Context, n activities.Notice) error {
	body, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("notify: %w", providers.WithoutURL(err))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", n.Key())
	resp, err := c.http.Do(req)
	if err != nil {
		return &providers.APIError{Provider: "notify", Op: "post " + n.Key(), Retry: providers.RetrySoon, Err: providers.WithoutURL(err)}
	}
	defer resp.Body.Close()
	// Read what little there is, so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	if resp.StatusCode/100 == 2 {
		return nil
	}
	return classify(n, resp)
}

// classify tries again where that can help by the meaning of the status. 409 is
// the answer while an earlier request with the same key is still being worked
// on (draft-ietf-httpapi-idempotency-key-header).
func classify(n activities.Notice, resp *http.Response) error {
	e := &providers.APIError{Provider: "notify", Op: "post " + n.Key(), Status: resp.StatusCode}
	after := providers.RetryAfter(resp.Header, time.Now())
	switch status := resp.StatusCode; {
	case after > 0:
		e.Retry, e.After = providers.RetryLater, after
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusConflict:
		e.Retry = providers.RetrySoon
	}
	return e
}
