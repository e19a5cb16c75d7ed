//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sendTimeout is how long a sender waits for an answer, as GitHub does.
const sendTimeout = 10 * time.Second

// load posts letters, each once, over connections that stay open. It is a
// closed loop: a connection sends its next letter when the last one has been
// answered.
//
// It writes prepared bytes to the socket instead of using net/http's client,
// which would take as much of the machine as the servers that are measured.
type load struct {
	address     string
	connections int
	letters     []letter
	// before, if set, is called before the letter of that number is sent.
	before func(n int) error
	// every, if set, spaces the letters: an open loop of that pace, as far as
	// the connections suffice.
	every time.Duration
}

// outcome is what became of a load.
type outcome struct {
	statuses  map[int]int     // answers by status, 0 for none
	latencies []time.Duration // of those acknowledged, in ascending order
	acked     []letter
	began     time.Time
	took      time.Duration
	err       error // one of those that stand for no answer
}

// share is what one connection has seen.
type share struct {
	statuses  map[int]int
	latencies []time.Duration
	acked     []letter
	err       error
}

func (l load) run(ctx context.Context) outcome {
	var next atomic.Int64
	shares := make([]share, l.connections)
	began := time.Now()
	var all sync.WaitGroup
	for i := range shares {
		all.Go(func() { shares[i] = l.connection(ctx, began, &next) })
	}
	all.Wait()
	o := outcome{statuses: map[int]int{}, began: began, took: time.Since(began)}
	for _, s := range shares {
		for status, n := range s.statuses {
			o.statuses[status] += n
		}
		o.latencies = append(o.latencies, s.latencies...)
		o.acked = append(o.acked, s.acked...)
		o.err = errors.Join(o.err, s.err)
	}
	slices.Sort(o.latencies)
	return o
}

func (l load) connection(ctx context.Context, began time.Time, next *atomic.Int64) share {
	s := share{statuses: map[int]int{}}
	var c conn
	defer c.close()
	for ctx.Err() == nil {
		n := int(next.Add(1) - 1)
		if n >= len(l.letters) {
			break
		}
		if l.every > 0 && !sleepUntil(ctx, began.Add(time.Duration(n)*l.every)) {
			break
		}
		if l.before != nil {
			if err := l.before(n); err != nil {
				s.err = err
				break
			}
		}
		sent := time.Now()
		status, err := c.post(ctx, l.address, l.letters[n].raw)
		if err != nil {
			s.err = err
		}
		s.statuses[status]++
		if status/100 == 2 {
			s.latencies = append(s.latencies, time.Since(sent))
			s.acked = append(s.acked, l.letters[n])
		}
	}
	return s
}

func sleepUntil(ctx context.Context, at time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(at)):
		return true
	}
}

// conn is one connection, opened when it is needed.
type conn struct {
	net  net.Conn
	read *bufio.Reader
}

// post sends a request and reads its answer to the end. The status is 0 when
// there is none.
func (c *conn) post(ctx context.Context, address string, raw []byte) (int, error) {
	if c.net == nil {
		var dialer net.Dialer
		opened, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return 0, err
		}
		c.net, c.read = opened, bufio.NewReader(opened)
	}
	status, err := c.exchange(raw)
	if err != nil {
		c.close()
	}
	return status, err
}

func (c *conn) exchange(raw []byte) (int, error) {
	if err := c.net.SetDeadline(time.Now().Add(sendTimeout)); err != nil {
		return 0, err
	}
	if _, err := c.net.Write(raw); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(c.read, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	if resp.Close {
		c.close()
	}
	return resp.StatusCode, nil
}

func (c *conn) close() {
	if c.net != nil {
		_ = c.net.Close() // nothing that was answered is lost by it
		c.net = nil
	}
}

// check returns an error unless every letter was acknowledged.
func (o outcome) check(sent int) error {
	if len(o.acked) == sent {
		return nil
	}
	return fmt.Errorf("%d of %d acknowledged, answers by status %v: %w", len(o.acked), sent, o.statuses, errors.Join(o.err, errors.New("load failed")))
}

// rate is how many letters were acknowledged in a second.
func (o outcome) rate() float64 { return float64(len(o.acked)) / o.took.Seconds() }
