package ingress

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/surehook/surehook/providers"
)

const (
	flushEvery   = time.Second
	flushTimeout = 5 * time.Second
	// maxRejections bounds what is kept while the database is away: a row is a
	// source, a reason and a minute, so a flood of requests adds few.
	maxRejections = 1000

	maxExcerpt = 200
	maxDetail  = 300
)

// rejectionKey is what refused requests are counted by.
type rejectionKey struct {
	source string
	reason reason
	minute time.Time
}

// rejections counts refused requests, so that an attack costs a row per
// minute and not one per request, in the database as well as in the log.
type rejections struct {
	inbox   Inbox
	logger  *slog.Logger
	dropped prometheus.Counter

	mu    sync.Mutex
	fresh map[rejectionKey]*providers.Rejection // since the last flush

	unsent map[rejectionKey]*providers.Rejection // of flushes that failed; used by run alone
	failed bool
}

// add counts a refused request. The first of its kind is kept as the sample.
func (j *rejections) add(a *arrival, r *refusal) {
	key := rejectionKey{a.sourceName(), r.reason, a.at.UTC().Truncate(time.Minute)}
	j.mu.Lock()
	defer j.mu.Unlock()
	if known := j.fresh[key]; known != nil {
		known.Count++
		return
	}
	if j.fresh == nil {
		j.fresh = map[rejectionKey]*providers.Rejection{}
	}
	j.fresh[key] = &providers.Rejection{
		Source:     key.source,
		Reason:     string(key.reason),
		Minute:     key.minute,
		Count:      1,
		RemoteAddr: a.client.String(),
		Method:     providers.Printable([]byte(a.http.Method), maxExcerpt),
		Path:       providers.Printable([]byte(a.path()), maxExcerpt),
		Detail:     providers.Printable([]byte(r.detail), maxDetail),
		Excerpt:    providers.Printable(a.excerpt(), maxExcerpt),
	}
}

// path is the request's path without what may be a secret: whatever follows the
// source's name, or stands where that should. A token is also there when a slash
// too many, or a prefix that a proxy has left, hides it from us.
func (a *arrival) path() string {
	segments := strings.Split(a.http.URL.Path, "/") // the first is empty
	kept := 2
	if len(segments) > kept && segments[1] == webhooks {
		kept = 3
	}
	if len(segments) <= kept {
		return a.http.URL.Path
	}
	return strings.Join(segments[:kept], "/") + "/[token]"
}

// excerpt is the body, unless a secret may be in it.
func (a *arrival) excerpt() []byte {
	if a.source != nil && a.source.endpoint.SecretBody {
		return nil
	}
	return a.body
}

// run stores what has been counted, until ctx ends and once more after that.
func (j *rejections) run(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			j.flush(ctx)
		case <-ctx.Done():
			j.flush(context.WithoutCancel(ctx))
			return
		}
	}
}

func (j *rejections) flush(ctx context.Context) {
	j.mu.Lock()
	fresh := j.fresh
	j.fresh = nil
	j.mu.Unlock()
	for key, r := range fresh {
		j.logger.Warn("requests refused", "source", r.Source, "reason", r.Reason, "count", r.Count, "detail", r.Detail)
		j.keep(key, r)
	}
	if len(j.unsent) == 0 {
		return
	}
	rows := make([]providers.Rejection, 0, len(j.unsent))
	for _, r := range j.unsent {
		rows = append(rows, *r)
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	err := j.inbox.AddRejections(ctx, rows)
	if err != nil && !j.failed {
		j.logger.Error("rejections not stored, will be tried again", "error", err)
	}
	j.failed = err != nil
	if err == nil {
		clear(j.unsent)
	}
}

func (j *rejections) keep(key rejectionKey, r *providers.Rejection) {
	if j.unsent == nil {
		j.unsent = map[rejectionKey]*providers.Rejection{}
	}
	known := j.unsent[key]
	switch {
	case known != nil:
		known.Count += r.Count
	case len(j.unsent) >= maxRejections:
		j.dropped.Add(float64(r.Count))
	default:
		j.unsent[key] = r
	}
}
