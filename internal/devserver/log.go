package devserver

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync/atomic"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// logger lets the Temporal server log through slog.
type logger struct {
	slog  *slog.Logger
	level slog.Leveler
	muted *atomic.Bool // shared by all loggers made from one with With
}

var (
	_ log.Logger      = (*logger)(nil)
	_ log.WithLogger  = (*logger)(nil)
	_ log.SLogWrapper = (*logger)(nil)
)

func newLogger(to *slog.Logger, level slog.Leveler) *logger {
	l := &logger{level: level, muted: &atomic.Bool{}}
	l.slog = slog.New(&levelHandler{Handler: to.Handler(), level: l})
	return l
}

// mute drops everything that is logged from now on.
func (l *logger) mute() { l.muted.Store(true) }

// Level makes logger a [slog.Leveler].
func (l *logger) Level() slog.Level {
	if l.muted.Load() {
		return math.MaxInt
	}
	return l.level.Level()
}

func (l *logger) Debug(msg string, tags ...tag.Tag) { l.log(slog.LevelDebug, msg, tags) }
func (l *logger) Info(msg string, tags ...tag.Tag)  { l.log(slog.LevelInfo, msg, tags) }
func (l *logger) Error(msg string, tags ...tag.Tag) { l.log(slog.LevelError, msg, tags) }

// longPage is warned of each time the Web UI shows a run: it asks for longer
// pages than the server gives, and is content with what it gets.
const longPage = "GetHistory page size is larger than threshold"

// Warn logs, as the interface wants.
func (l *logger) Warn(msg string, tags ...tag.Tag) {
	if msg != longPage {
		l.log(slog.LevelWarn, msg, tags)
	}
}

// DPanic panics only in Temporal's own tests.
func (l *logger) DPanic(msg string, tags ...tag.Tag) { l.log(slog.LevelError, msg, tags) }

// Panic logs and panics, as the interface wants.
func (l *logger) Panic(msg string, tags ...tag.Tag) {
	l.log(slog.LevelError, msg, tags)
	panic(msg)
}

// fatalError is what the server cannot go on after.
type fatalError struct{ msg string }

func (e fatalError) Error() string { return e.msg }

// Fatal panics where Temporal's own logger would exit, so that Start can give
// the reason to its caller.
func (l *logger) Fatal(msg string, tags ...tag.Tag) {
	l.log(slog.LevelError, msg, tags)
	i := slices.IndexFunc(tags, func(t tag.Tag) bool { return t.Key() == "error" })
	if i >= 0 {
		msg = fmt.Sprintf("%s: %v", msg, tags[i].Value())
	}
	panic(fatalError{msg})
}

// With returns a logger that adds the tags to each line.
func (l *logger) With(tags ...tag.Tag) log.Logger {
	return &logger{slog: slog.New(l.slog.Handler().WithAttrs(attrs(tags))), level: l.level, muted: l.muted}
}

// SLog returns the logger underneath, for the parts of the server that know
// slog.
func (l *logger) SLog() *slog.Logger { return l.slog }

func (l *logger) log(level slog.Level, msg string, tags []tag.Tag) {
	ctx := context.Background()
	if l.slog.Enabled(ctx, level) {
		l.slog.LogAttrs(ctx, level, msg, attrs(tags)...) //nolint:sloglint // The message is the server's.
	}
}

func attrs(tags []tag.Tag) []slog.Attr {
	list := make([]slog.Attr, len(tags))
	for i, t := range tags {
		list[i] = slog.Any(t.Key(), t.Value())
	}
	return list
}

// levelHandler passes on what is at its level or above.
type levelHandler struct {
	slog.Handler
	level slog.Leveler
}

// Enabled asks for both levels: this one and the one of the handler below.
func (h *levelHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level.Level() && h.Handler.Enabled(ctx, level)
}

// WithAttrs keeps the level.
func (h *levelHandler) WithAttrs(list []slog.Attr) slog.Handler {
	return &levelHandler{Handler: h.Handler.WithAttrs(list), level: h.level}
}

// WithGroup keeps the level.
func (h *levelHandler) WithGroup(name string) slog.Handler {
	return &levelHandler{Handler: h.Handler.WithGroup(name), level: h.level}
}
