package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/surehook/surehook/providers"
)

// AddRejections counts refused requests, one row for each source, reason and
// minute, so that a flood of them stays small. The first one's sample is kept.
func (s *Store) AddRejections(ctx context.Context, rejections []providers.Rejection) error {
	for chunk := range slices.Chunk(sumRejections(rejections), flushRows) {
		t := newTable(len(chunk), timeColumn, textColumn, textColumn, numberColumn, textColumn, textColumn, textColumn, textColumn, textColumn)
		for _, r := range chunk {
			t.add(at(r.Minute), r.Source, r.Reason, r.Count, r.RemoteAddr, r.Method, r.Path, r.Detail, r.Excerpt)
		}
		from, args := s.dialect.table(t, "new")
		_, err := s.db.ExecContext(ctx, s.sql(`
			INSERT INTO rejections (minute, source, reason, count, remote_addr, method, path, detail, excerpt)
			SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9 FROM `+from+` WHERE 1 = 1
			ON CONFLICT (minute, source, reason) DO UPDATE SET count = rejections.count + excluded.count`), args...)
		if err != nil {
			return s.wrap("add rejections", err)
		}
	}
	return nil
}

// sumRejections makes one of those that go into the same row, and sorts them so
// that processes that count the same ones never wait for each other.
func sumRejections(rejections []providers.Rejection) []providers.Rejection {
	type rowKey struct {
		source, reason string
		minute         time.Time
	}
	place := map[rowKey]int{}
	var sums []providers.Rejection
	for _, r := range rejections {
		r = cleanRejection(r)
		k := rowKey{r.Source, r.Reason, r.Minute}
		if i, ok := place[k]; ok {
			sums[i].Count += r.Count
			continue
		}
		place[k] = len(sums)
		sums = append(sums, r)
	}
	slices.SortFunc(sums, func(a, b providers.Rejection) int {
		return cmp.Or(a.Minute.Compare(b.Minute), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Reason, b.Reason))
	})
	return sums
}

// cleanRejection: a sample is what a stranger sent. It must not be able to make
// its own rejection impossible to store, nor to fill the disk.
func cleanRejection(r providers.Rejection) providers.Rejection {
	r.Minute = r.Minute.UTC().Truncate(time.Minute)
	for _, text := range []*string{&r.Source, &r.Reason, &r.RemoteAddr, &r.Method, &r.Path, &r.Detail, &r.Excerpt} {
		*text = clean(*text)
	}
	// These two are in the key, which Postgres limits.
	r.Source, r.Reason = clip(r.Source, maxKeyText), clip(r.Reason, maxKeyText)
	return r
}

// The longest texts we keep of what strangers send, in bytes.
const (
	maxText    = 4096
	maxKeyText = 256
)

// clean makes a text for people storable: without NUL, valid, not endless.
func clean(text string) string {
	return clip(strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "�"), maxText)
}

// clip cuts a valid text between two characters.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
