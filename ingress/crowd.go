package ingress

import (
	"sync/atomic"
	"time"
)

const (
	// crowded is how many requests that wait for their commit make a crowd.
	crowded = 16
	// crowdLinger is how long a crowd counts as one after it was last seen: the
	// number falls to almost none each time that a batch is committed.
	crowdLinger = 100 * time.Millisecond
	// crowdLimit is how long a crowd can hold the relay back. What has not ended
	// by then is no burst but the usual load.
	crowdLimit = 15 * time.Second
)

// crowd knows whether many requests wait at the door. While they do, the relay
// starts nothing of the sources that they are for: a sender waits for seconds and
// a workflow can for hours, and Temporal and its database often share a machine,
// or a disk, with the inbox. What waits meanwhile can share workflows, so it is
// not lost time either.
type crowd struct {
	waiting     atomic.Int64 // requests
	since, last atomic.Int64 // when this crowd was seen first and last, in Unix nanoseconds
}

// comes counts a request that waits for its commit until leaves.
func (c *crowd) comes() {
	if c.waiting.Add(1) < crowded {
		return
	}
	now := time.Now().UnixNano()
	if now-c.last.Swap(now) > int64(crowdLinger) {
		c.since.Store(now)
	}
}

func (c *crowd) leaves() { c.waiting.Add(-1) }

// holdsBack reports whether there is a crowd that has not been there too long.
func (c *crowd) holdsBack() bool {
	now := time.Now().UnixNano()
	return now-c.last.Load() < int64(crowdLinger) && now-c.since.Load() < int64(crowdLimit)
}
