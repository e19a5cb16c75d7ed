package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/surehook/surehook/providers"
)

// errClosed is what a Store answers after Close.
var errClosed = errors.New("the store is closed")

// wrap puts the operation before the driver's error and sorts it: what means
// that the database cannot be reached wraps providers.ErrUnavailable, an absent
// row is providers.ErrNotFound.
func (s *Store) wrap(operation string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%s: %w", operation, providers.ErrNotFound)
	case !errors.Is(err, providers.ErrUnavailable) && s.unavailable(err):
		return fmt.Errorf("%s: %w: %w", operation, providers.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// unavailable also counts a deadline: the database did not answer in time. A
// caller that gave up by itself (context.Canceled) says nothing about the
// database.
func (s *Store) unavailable(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	for _, lost := range []error{driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF,
		context.DeadlineExceeded, errClosed} {
		if errors.Is(err, lost) {
			return true
		}
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return s.dialect.unavailable(err)
}
