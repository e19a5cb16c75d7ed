package providers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The client's limits. A fetched object is held in memory and stored as one
// row, so it is bounded; 16 MiB is far above what the platforms return for one
// object.
const (
	maxResponseBytes = 16 << 20
	defaultTimeout   = 20 * time.Second
	maxRedirects     = 5
	maxIdleConns     = 64
	maxRetryAfter    = 24 * time.Hour
)

// APIConfig says where a platform's API is and how to call it.
type APIConfig struct {
	BaseURL string        // scheme, host and optional path; a provider has a default
	Key     string        // the credential; how it is sent is the provider's matter
	Timeout time.Duration // for one call with its redirects and body; 0 means 20 s
}

// Client calls one platform's API. It only ever talks to the host of its base
// URL: paths come from refs, never from URLs in events, and redirects to
// another host are refused.
type Client struct {
	provider string
	base     *url.URL
	http     *http.Client
	classify Classifier
}

// Classifier reads a platform's own error rules off a response that is not
// 2xx or 304: whether and when to call again, and the platform's error code.
type Classifier func(r APIResponse) (retry Retry, after time.Duration, code string)

// APIResponse is a response whose body has been read.
type APIResponse struct {
	Status int
	Header http.Header
	Body   []byte

	provider, op string // of the call it answers
}

// ReadJSON is the function ReadJSON for the response's body. Its error is an
// *APIError with RetrySoon: something between us and the platform answered, or
// cut the answer short, and the next one may be whole.
func (r APIResponse) ReadJSON(into any) error { return r.orUnusable(ReadJSON(r.Body, into)) }

// ReadJSONArray is ReadJSON for a body that must be one JSON array.
func (r APIResponse) ReadJSONArray(into any) error { return r.orUnusable(ReadJSONArray(r.Body, into)) }

func (r APIResponse) orUnusable(err error) error {
	if err != nil {
		return r.Unusable(RetrySoon, err)
	}
	return nil
}

// Unusable is the error for an answer that succeeded and is not what was asked
// for.
func (r APIResponse) Unusable(retry Retry, err error) *APIError {
	return &APIError{Provider: r.provider, Op: r.op, Status: r.Status, Retry: retry, Err: err}
}

// Failure is the error for an answer by which the platform says that the call
// failed. The client returns it for every status that is neither 2xx nor 304;
// some platforms say so with status 200.
func (r APIResponse) Failure(retry Retry, after time.Duration, code string) *APIError {
	return &APIError{Provider: r.provider, Op: r.op, Status: r.Status, Code: code, Retry: retry, After: after}
}

// SentAt is the platform's own clock, so that ours need not be right for a time
// among its headers to mean what it should. It is ours where the answer has none.
func (r APIResponse) SentAt() time.Time {
	if t, err := http.ParseTime(r.Header.Get("Date")); err == nil {
		return t
	}
	return time.Now()
}

// NewClient returns a client for the API at cfg.BaseURL. The provider's name
// starts every error.
func NewClient(provider string, cfg APIConfig, classify Classifier) (*Client, error) {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || (base.Scheme != "https" && base.Scheme != "http") || base.Host == "" || base.User != nil {
		// It is not repeated: it may hold credentials.
		return nil, fmt.Errorf("%s: base URL: want http(s)://host without user and password", provider)
	}
	timeout := cfg.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	// All calls go to one host, for which Go keeps two idle connections by default:
	// under load most calls would then pay for a handshake.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = maxIdleConns
	return &Client{
		provider: provider,
		base:     base,
		classify: classify,
		http:     &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: sameHost(base)},
	}, nil
}

var errOtherHost = errors.New("redirect to another host refused")

// sameHost keeps the credential, and our network position, from being sent to
// wherever a response points.
func sameHost(base *url.URL) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if req.URL.Host != base.Host || req.URL.Scheme != base.Scheme {
			return errOtherHost
		}
		if len(via) >= maxRedirects {
			return fmt.Errorf("stopped after %d redirects", maxRedirects)
		}
		return nil
	}
}

// Get calls the API path (already escaped, below the base URL) with the given
// headers. op names the operation in errors. A response that is neither 2xx
// nor 304 comes back together with an *APIError, so that the caller can tell
// "gone" from "failed".
func (c *Client) Get(ctx context.Context, op, path string, header http.Header) (APIResponse, error) {
	return c.Call(ctx, op, http.MethodGet, path, header, nil)
}

// Post is Get for APIs that read with a POST, such as GraphQL. The headers name
// the body's type.
func (c *Client) Post(ctx context.Context, op, path string, header http.Header, body []byte) (APIResponse, error) {
	return c.Call(ctx, op, http.MethodPost, path, header, body)
}

// Call is Get with any method, and with a body whose type the headers name.
func (c *Client) Call(ctx context.Context, op, method, path string, header http.Header, body []byte) (APIResponse, error) {
	target := *c.base
	joined, err := url.Parse(strings.TrimSuffix(target.String(), "/") + "/" + strings.TrimPrefix(path, "/"))
	if err != nil {
		return APIResponse{}, c.fail(op, err, RetryNever)
	}
	req, err := http.NewRequestWithContext(ctx, method, joined.String(), bytes.NewReader(body))
	if err != nil {
		return APIResponse{}, c.fail(op, err, RetryNever)
	}
	req.Header = header
	resp, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, errOtherHost) {
			return APIResponse{}, c.fail(op, errOtherHost, RetryNever)
		}
		return APIResponse{}, c.fail(op, WithoutURL(err), RetrySoon)
	}
	defer resp.Body.Close()
	return c.read(op, resp)
}

// Below returns the path, for Get, of a link that the platform gave, such as that
// of a list's next page. ok is false for one that leads anywhere but below the
// base URL: it would take the credential along.
func (c *Client) Below(link string) (path string, ok bool) {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != c.base.Scheme || u.Host != c.base.Host || u.User != nil {
		return "", false
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return "", false
		}
	}
	path, ok = strings.CutPrefix(u.RequestURI(), strings.TrimSuffix(c.base.EscapedPath(), "/"))
	return path, ok && strings.HasPrefix(path, "/")
}

func (c *Client) read(op string, resp *http.Response) (APIResponse, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponseBytes+1))
	if err != nil {
		return APIResponse{}, c.fail(op, WithoutURL(err), RetrySoon)
	}
	if len(body) > maxResponseBytes {
		return APIResponse{}, c.fail(op, fmt.Errorf("response is larger than %d bytes", maxResponseBytes), RetryNever)
	}
	r := APIResponse{Status: resp.StatusCode, Header: resp.Header, Body: body, provider: c.provider, op: op}
	if r.Status/100 == 2 || r.Status == http.StatusNotModified {
		return r, nil
	}
	return r, r.Failure(c.classify(r))
}

func (c *Client) fail(op string, err error, retry Retry) error {
	return &APIError{Provider: c.provider, Op: op, Retry: retry, Err: err}
}

// WithoutURL drops the address that net/http puts before its errors: it may
// carry a query, and the operation says what was called.
func WithoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// RetryAfter reads a Retry-After header in both of its forms, seconds and
// date (RFC 9110, 10.2.3). It is 0 when there is none or it lies in the past,
// and at most a day: more is a mistake, and would strand whoever waits for it.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if secs, err := strconv.Atoi(v); err == nil && secs > 0 {
		return time.Duration(min(secs, int(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil && at.After(now) {
		return min(at.Sub(now), maxRetryAfter)
	}
	return 0
}
