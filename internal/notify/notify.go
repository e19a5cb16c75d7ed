// Package notify tells another system of ours about an event by HTTP. The
// request carries an Idempotency-Key, so that a receiver that honours it acts
// once however often Temporal has to send it.
package notify

import (
	"bytes"
	"context"
	"encoding/json"
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
		return fmt.Errorf("SUREHOOK_NOTIFY_URL: %q: want http(s)://host/path", c.URL)
	}
	return nil
}

// Client posts notices to one URL.
type Client struct {
	url  string
	http *http.Client
}

// New returns a client for the configured URL, or nil when there is none.
func New(cfg Config) *Client {
	if cfg.URL == "" {
		return nil
	}
	return &Client{url: cfg.URL, http: &http.Client{Timeout: timeout}}
}

// Notify posts the notice. Any 2xx means that it was taken.
func (c *Client) Notify(ctx context.Context, n activities.Notice) error {
	body, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", n.Key())
	resp, err := c.http.Do(req)
	if err != nil {
		return &providers.APIError{Provider: "notify", Op: "post " + n.Key(), Retry: providers.RetrySoon, Err: err}
	}
	defer resp.Body.Close()
	// Read what little there is, so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	if resp.StatusCode/100 == 2 {
		return nil
	}
	return classify(n, resp)
}

// classify tries again where that can help by the meaning of the status.
func classify(n activities.Notice, resp *http.Response) error {
	e := &providers.APIError{Provider: "notify", Op: "post " + n.Key(), Status: resp.StatusCode}
	after := providers.RetryAfter(resp.Header, time.Now())
	switch {
	case after > 0:
		e.Retry, e.After = providers.RetryLater, after
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout, resp.StatusCode >= 500:
		e.Retry = providers.RetrySoon
	}
	return e
}
