package store

import (
	"fmt"
	"time"
)

// stamp reads a time as either database gives it: Postgres a time, SQLite whole
// microseconds since 1970. NULL is the zero time.
type stamp struct{ time.Time }

// Scan is called by database/sql.
func (s *stamp) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		s.Time = time.Time{}
	case time.Time:
		s.Time = v.UTC()
	case int64:
		s.Time = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("read a time from %T", v)
	}
	return nil
}

// at is the parameter for a time: cut to the microseconds that both databases
// keep (Postgres would round up), and NULL for the zero time.
func at(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Truncate(time.Microsecond)
}
