package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// window is how long to wait where Slack limits calls and does not say until
// when: its limits are numbers of calls a minute
// (https://docs.slack.dev/apis/web-api/rate-limits).
const window = time.Minute

// answer is what the Web API returns
// (https://docs.slack.dev/apis/web-api/#evaluating-responses), with the members
// in which our calls find their objects.
type answer struct {
	OK       *bool          `json:"ok"`
	Error    string         `json:"error"`
	Channel  jsontext.Value `json:"channel"`
	User     jsontext.Value `json:"user"`
	File     jsontext.Value `json:"file"`
	Team     jsontext.Value `json:"team"`
	Messages rawObjects     `json:"messages"`
	HasMore  bool           `json:"has_more"`
	Metadata struct {
		NextCursor string `json:"next_cursor"`
	} `json:"response_metadata"`
}

// Fetch implements providers.Fetcher. Slack knows no conditional requests, so
// the query's ETag is not used.
func (p *Provider) Fetch(ctx context.Context, q providers.FetchQuery) (providers.Object, error) {
	kind, known := kinds[q.Ref.Type]
	if !known || !kind.id.MatchString(q.Ref.ID) {
		return providers.Object{}, fmt.Errorf("%s: fetch %.50q: %w", name, q.Ref.Type, providers.ErrNotFetchable)
	}
	object, err := p.fetch(ctx, q.Ref, kind.call(q.Ref.ID))
	if err == nil && object.Deleted && q.Ref.Type == messageRef {
		// The history of a channel leaves out the replies in threads, and an event
		// need not say that its message is one: a reaction's does not. So a
		// message is gone only when it is in no thread either.
		return p.fetch(ctx, q.Ref, repliesCall(q.Ref.ID))
	}
	return object, err
}

func (p *Provider) fetch(ctx context.Context, ref providers.Ref, path string) (providers.Object, error) {
	r, err := p.get(ctx, "fetch "+ref.String(), path)
	if r.Status == http.StatusGone {
		return providers.Object{Ref: ref, Deleted: true}, nil
	}
	if err != nil {
		return providers.Object{}, err
	}
	return read(ref, r)
}

// get calls a method of the Web API.
func (p *Provider) get(ctx context.Context, op, path string) (providers.APIResponse, error) {
	return p.client.Get(ctx, op, path, http.Header{"Authorization": {"Bearer " + p.key}})
}

// readAnswer reads an answer whose status was 200, which says nothing about success.
func readAnswer(r providers.APIResponse) (answer, error) {
	var a answer
	if err := r.ReadJSON(&a); err != nil {
		return answer{}, err
	}
	if a.OK == nil {
		return answer{}, r.Unusable(providers.RetrySoon, errors.New("answer is not the Web API's"))
	}
	return a, nil
}

// read takes the object out of an answer.
func read(ref providers.Ref, r providers.APIResponse) (providers.Object, error) {
	a, err := readAnswer(r)
	if err != nil {
		return providers.Object{}, err
	}
	if !*a.OK {
		if slices.Contains(kinds[ref.Type].gone, a.Error) {
			return providers.Object{Ref: ref, Deleted: true}, nil
		}
		return providers.Object{}, r.Failure(classify(r))
	}
	found, gone := find(ref, kinds[ref.Type].pick(a))
	switch {
	case found != nil:
		return providers.Object{Ref: ref, State: []byte(found.raw), UpdatedAt: found.updatedAt(ref.Type)}, nil
	case gone || ref.Type == messageRef && !a.HasMore:
		return providers.Object{Ref: ref, Deleted: true}, nil
	default:
		return providers.Object{}, r.Unusable(providers.RetryNever, errors.New("answer does not hold the object"))
	}
}

// state is what we look at in an object.
type state struct {
	raw jsontext.Value

	ID      string         `json:"id"`
	TS      string         `json:"ts"`
	Subtype string         `json:"subtype"`
	Mode    string         `json:"mode"`
	Updated jsontext.Value `json:"updated"`
	Edited  jsontext.Value `json:"edited"`
}

// tombstone is what is left of a deleted message that has replies, and of a
// deleted file that messages show.
const tombstone = "tombstone"

// find returns the object that was asked for, from among those of an answer.
// gone says that only its tombstone is left.
func find(ref providers.Ref, objects rawObjects) (found *state, gone bool) {
	for _, raw := range objects {
		s := state{raw: raw}
		if providers.ReadJSON(raw, &s) != nil {
			continue
		}
		switch _, ts, _ := strings.Cut(ref.ID, "/"); {
		case ref.Type == messageRef && s.TS == ts:
			if s.Subtype == tombstone {
				return nil, true
			}
			return &s, false
		case ref.Type != messageRef && s.ID == ref.ID:
			if ref.Type == fileRef && s.Mode == tombstone {
				return nil, true
			}
			return &s, false
		}
	}
	return nil, false
}

// updatedAt is the time of the last change: of users, who have it in seconds,
// and of messages that were edited. A channel's "updated" is not documented, so
// it orders nothing.
func (s *state) updatedAt(typ string) time.Time {
	switch typ {
	case userRef:
		at, err := unixSeconds(s.Updated)
		if err != nil {
			return time.Time{}
		}
		return at
	case messageRef:
		return timeOf(text(member(s.Edited, "ts")))
	default:
		return time.Time{}
	}
}

// timeOf reads a ts, such as 1355517536.000001. It is zero when it is none.
func timeOf(ts string) time.Time {
	whole, fraction, _ := strings.Cut(ts, ".")
	seconds, err := strconv.ParseUint(whole, 10, 36)
	micros, errFraction := strconv.ParseUint(fraction, 10, 20)
	if err != nil || errFraction != nil || len(fraction) != 6 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), int64(micros)*1000).UTC()
}

// errorCode is what the codes of Slack's errors look like. Only they may stand
// in logs and in Temporal's history.
var errorCode = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// passing are the errors of Slack's own making, and those of a workspace that
// is being moved into an organization
// (https://docs.slack.dev/reference/methods/conversations.info#errors).
var passing = []string{"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}

// classify is the providers.Classifier, and serves for errors with status 200 as
// well. A 404 does not mean that an object is gone, for which there are codes:
// it comes from what stands in front of the API, or is a wrong base URL.
func classify(r providers.APIResponse) (providers.Retry, time.Duration, string) {
	var a answer
	if providers.ReadJSON(r.Body, &a) != nil || !errorCode.MatchString(a.Error) {
		a.Error = ""
	}
	switch {
	case r.Status == http.StatusTooManyRequests, a.Error == "ratelimited", a.Error == "rate_limited":
		after := providers.RetryAfter(r.Header, time.Now())
		if after == 0 {
			after = window
		}
		return providers.RetryLater, after, a.Error
	case r.Status >= http.StatusInternalServerError, r.Status == http.StatusNotFound, slices.Contains(passing, a.Error):
		return providers.RetrySoon, 0, a.Error
	default:
		return providers.RetryNever, 0, a.Error
	}
}
