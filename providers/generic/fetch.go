package generic

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// The placeholders of an API's path.
const (
	holdRefID      = "{ref.id}"
	holdRefType    = "{ref.type}"
	holdRefAccount = "{ref.account}"
)

// defaultIDs are ids that mean one thing in a path, however it is read.
var defaultIDs = regexp.MustCompile(`^[0-9A-Za-z_:@=+-][0-9A-Za-z._:@=+-]*$`)

// errorCodes are what an API's error code may look like: it is stored and logged.
var errorCodes = regexp.MustCompile(`^[0-9A-Za-z_.:-]{1,64}$`)

// limitedWait is how long to wait when the API says that it was called too
// often and not when to call again.
const limitedWait = time.Minute

// fetcher fetches objects as it is declared.
type fetcher struct {
	platform string
	client   *providers.Client
	header   http.Header
	paths    map[string]string
	ids      *regexp.Regexp
	answer   tree // with the object, where that is not all of it
	object   string
	state    tree // what is wanted of an object
	updated  string
	unit     string
	gone     []int
	failed   tree // what is wanted of an answer that failed
	code     string
	etags    bool
}

// fetch reads how objects are fetched. Without paths they are not.
func (p *problems) fetch(platform string, cfg providers.APIConfig, d Fetch) *fetcher {
	f := &fetcher{
		platform: platform,
		paths:    d.Paths,
		ids:      p.ids(d.IDs),
		object:   p.path("fetch.object", d.Object),
		updated:  p.path("fetch.updated_at", d.UpdatedAt),
		unit:     p.oneOf("fetch.updated_unit", d.UpdatedUnit, unitRFC3339, unitSeconds, unitMillis),
		gone:     p.statuses(d.Gone),
		code:     p.path("fetch.error_code", d.ErrorCode),
		etags:    d.ETags,
		header:   p.header(cfg.Key, d),
	}
	for _, typ := range slices.Sorted(maps.Keys(d.Paths)) {
		p.pathTemplate("fetch.paths."+typ, d.Paths[typ])
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = d.BaseURL
	}
	switch {
	case cfg.BaseURL != "":
		client, err := providers.NewClient(platform, cfg, f.classify)
		if err != nil {
			p.errs = append(p.errs, err)
		}
		f.client = client
	case len(d.Paths) > 0:
		p.errs = append(p.errs, fmt.Errorf("%s: api.base_url: missing: settings.fetch has paths", platform))
	}
	if len(d.Paths) == 0 {
		p.unused("without fetch.paths", map[string]bool{
			"fetch.auth":       d.Auth != "",
			"fetch.base_url":   d.BaseURL != "",
			"fetch.error_code": d.ErrorCode != "",
			"fetch.etags":      d.ETags,
			"fetch.gone":       d.Gone != nil,
			"fetch.headers":    d.Headers != nil,
			"fetch.ids":        d.IDs != "",
			"fetch.object":     d.Object != "",
			"fetch.updated_at": d.UpdatedAt != "",
		})
		return nil
	}
	f.answer.wantIf(f.object, true)
	f.state.wantIf(f.updated, false)
	f.failed.wantIf(f.code, false)
	return f
}

func (t *tree) wantIf(path string, raw bool) {
	if path != "" {
		t.want(path, raw)
	}
}

func (p *problems) path(field, path string) string {
	if path == "" {
		return ""
	}
	if _, err := parsePath(path); err != nil {
		p.add(field, "%w", err)
	}
	return path
}

func (p *problems) ids(pattern string) *regexp.Regexp {
	if pattern == "" {
		return defaultIDs
	}
	compiled, err := regexp.Compile(`^(?:` + pattern + `)$`)
	if err != nil {
		p.add("fetch.ids", "%q: no regular expression", pattern)
	}
	return compiled
}

func (p *problems) statuses(gone []int) []int {
	if gone == nil {
		gone = []int{http.StatusNotFound}
	}
	for i, status := range gone {
		if status < 400 || status > 499 {
			p.add(fmt.Sprintf("fetch.gone[%d]", i), "%d: want one from 400 to 499", status)
		}
	}
	return append(slices.Clone(gone), http.StatusGone)
}

// header returns what every call sends.
func (p *problems) header(key string, d Fetch) http.Header {
	h := http.Header{"Accept": {"application/json"}, "User-Agent": {"surehook"}}
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		p.headerName("fetch.headers", name)
		h.Set(name, d.Headers[name])
	}
	in, value := authorization, ""
	switch name, isHeader := strings.CutPrefix(d.Auth, inHeader+":"); {
	case isHeader:
		p.headerName("fetch.auth", name)
		in, value = name, key
	case d.Auth == "" || d.Auth == inBearer:
		value = "Bearer " + key
	case d.Auth == inBasic:
		user, password, _ := strings.Cut(key, ":")
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(user, password)
		value = r.Header.Get(authorization)
	default:
		p.add("fetch.auth", "%q: want bearer, basic or header:Name", d.Auth)
	}
	if key != "" {
		h.Set(in, value)
	}
	return h
}

var placeholders = regexp.MustCompile(`\{[^}]*\}`)

func (p *problems) pathTemplate(field, path string) {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		p.add(field, "%q: want a path that begins with /, below api.base_url", path)
	}
	for _, hold := range placeholders.FindAllString(path, -1) {
		if hold != holdRefID && hold != holdRefType && hold != holdRefAccount {
			p.add(field, "%s: want %s, %s or %s", hold, holdRefID, holdRefType, holdRefAccount)
		}
	}
}

// Fetch implements providers.Fetcher.
func (p *Provider) Fetch(ctx context.Context, q providers.FetchQuery) (providers.Object, error) {
	if p.fetch == nil {
		return providers.Object{}, fmt.Errorf("%s: %w", p.name, providers.ErrNotFetchable)
	}
	return p.fetch.get(ctx, q)
}

func (f *fetcher) get(ctx context.Context, q providers.FetchQuery) (providers.Object, error) {
	path, ok := f.pathOf(q.Ref)
	if !ok {
		return providers.Object{}, fmt.Errorf("%s: fetch %.50q: %w", f.platform, q.Ref.Type, providers.ErrNotFetchable)
	}
	header := f.header.Clone()
	if f.etags && q.ETag != "" {
		header.Set("If-None-Match", q.ETag)
	}
	answer, err := f.client.Get(ctx, "fetch "+q.Ref.String(), path, header)
	switch {
	case slices.Contains(f.gone, answer.Status):
		return providers.Object{Ref: q.Ref, Deleted: true}, nil
	case err != nil:
		return providers.Object{}, err
	case f.etags && answer.Status == http.StatusNotModified:
		return providers.Object{Ref: q.Ref, ETag: q.ETag, NotModified: true}, nil
	}
	object, err := f.read(q.Ref, answer)
	if err != nil {
		// Something between us and the API answered, or cut the answer short.
		return providers.Object{}, answer.Unusable(providers.RetrySoon, err)
	}
	return object, nil
}

// pathOf returns the API's path of an object, with its names escaped for where
// they stand: an id can choose an object, but not another path.
func (f *fetcher) pathOf(ref providers.Ref) (string, bool) {
	path, ok := f.paths[ref.Type]
	if !ok {
		path, ok = f.paths["*"]
	}
	if !ok || !f.fits(ref.ID) || !providers.IsName(ref.Type) || !defaultIDs.MatchString(ref.Type) || strings.Contains(path, holdRefAccount) && !f.fits(ref.Account) {
		return "", false
	}
	path, query, hasQuery := strings.Cut(path, "?")
	path = fillPath(path, ref, url.PathEscape)
	if hasQuery {
		path += "?" + fillPath(query, ref, url.QueryEscape)
	}
	return path, true
}

func fillPath(path string, ref providers.Ref, escape func(string) string) string {
	return strings.NewReplacer(holdRefID, escape(ref.ID), holdRefType, escape(ref.Type), holdRefAccount, escape(ref.Account)).Replace(path)
}

func (f *fetcher) fits(id string) bool {
	return providers.IsName(id) && id != "." && id != ".." && f.ids.MatchString(id)
}

func (f *fetcher) read(ref providers.Ref, answer providers.APIResponse) (providers.Object, error) {
	state := answer.Body
	if f.object != "" {
		found, err := readObject(answer.Body, &f.answer)
		if err != nil {
			return providers.Object{}, err
		}
		if found[f.object] == "" {
			return providers.Object{}, errors.New("the answer has no object at fetch.object")
		}
		state = []byte(found[f.object])
	}
	found, err := readObject(state, &f.state)
	if err != nil {
		return providers.Object{}, err
	}
	object := providers.Object{Ref: ref, State: state}
	if f.etags {
		object.ETag = answer.Header.Get("ETag")
	}
	if at, ok := parseTime(f.unit, found[f.updated]); ok && f.updated != "" {
		object.UpdatedAt = at
	}
	return object, nil
}

// classify reads what HTTP says of a failure (RFC 9110; RFC 6585 for 429).
func (f *fetcher) classify(r providers.APIResponse) (retry providers.Retry, after time.Duration, code string) {
	if f.code != "" {
		if found, err := readObject(r.Body, &f.failed); err == nil && errorCodes.MatchString(found[f.code]) {
			code = found[f.code]
		}
	}
	after = providers.RetryAfter(r.Header, time.Now())
	switch {
	case r.Status == http.StatusTooManyRequests && after == 0:
		return providers.RetryLater, limitedWait, code
	case after > 0 && (r.Status == http.StatusTooManyRequests || r.Status >= http.StatusInternalServerError):
		return providers.RetryLater, after, code
	case r.Status >= http.StatusInternalServerError, r.Status == http.StatusRequestTimeout, r.Status == http.StatusTooEarly:
		return providers.RetrySoon, 0, code
	}
	return providers.RetryNever, 0, code
}
