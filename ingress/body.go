package ingress

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// firstChunk is what a request may claim of the budget before it has sent a byte
// of its body. Most webhooks fit in it.
const firstChunk = 16 << 10

// budget bounds the bytes of all bodies that are held at the same time.
type budget struct {
	limit int64
	held  atomic.Int64
	used  prometheus.Gauge
}

func (b *budget) take(n int64) bool {
	if b.held.Add(n) > b.limit {
		b.held.Add(-n)
		return false
	}
	b.used.Add(float64(n))
	return true
}

func (b *budget) give(n int64) {
	b.held.Add(-n)
	b.used.Sub(float64(n))
}

var errBudget = errors.New("too many bytes in flight")

// readBody reads the body as far as limit and the budget allow, and returns
// how much of the budget it holds, which is the caller's to give back.
//
// The buffer doubles as bytes come in, so that a sender claims no more than
// about twice what it has sent: announcing large bodies and sending nothing
// must not shut out the others.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, held int64, err error) {
	expected := r.ContentLength
	if expected < 0 {
		expected = limit
	}
	from := http.MaxBytesReader(w, r.Body, limit)
	for {
		size := min(expected, max(firstChunk, 2*held))
		if !s.budget.take(size - held) {
			return nil, held, errBudget
		}
		body, held = grow(body, size), size
		n, err := io.ReadFull(from, body[len(body):size])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return complete(body, r.ContentLength, held)
		case err != nil:
			return nil, held, err
		case size == expected:
			return atEnd(from, body, held)
		}
	}
}

func grow(body []byte, size int64) []byte {
	return append(make([]byte, 0, size), body...)
}

// complete refuses a body that is shorter than its announced length.
func complete(body []byte, announced, held int64) ([]byte, int64, error) {
	if announced >= 0 && int64(len(body)) != announced {
		return nil, held, io.ErrUnexpectedEOF
	}
	return body, held, nil
}

// atEnd checks that nothing follows a body that is as long as it may be.
func atEnd(from io.Reader, body []byte, held int64) ([]byte, int64, error) {
	var more [1]byte
	if _, err := io.ReadFull(from, more[:]); !errors.Is(err, io.EOF) {
		return nil, held, errors.Join(err, errTrailing)
	}
	return body, held, nil
}

var errTrailing = errors.New("body is longer than announced")
