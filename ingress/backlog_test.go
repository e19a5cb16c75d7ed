package ingress

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

func waitingJob(source, id, typ, object string) job {
	ev := providers.EventRef{Source: source, ID: id, Type: typ, ReceivedAt: time.Unix(1, 0)}
	if object != "" {
		ev.Ref = providers.Ref{Type: "invoice", ID: object}
	}
	return job{ev: ev}
}

// taken lists the IDs of each group that the backlog gives, in its order.
func taken(b *backlog) (groups [][]string) {
	for g := b.take(queueSize); g != nil; g = b.take(queueSize) {
		var ids []string
		for _, j := range g {
			ids = append(ids, j.ev.ID)
		}
		groups = append(groups, ids)
	}
	return groups
}

func TestEventsAboutOneObjectThatWaitTogetherShareAGroup(t *testing.T) {
	b := newBacklog(100)
	b.add(waitingJob("stripe", "a1", "invoice.updated", "in_a"))
	b.add(waitingJob("stripe", "b1", "invoice.updated", "in_b"))
	b.add(waitingJob("stripe", "a2", "invoice.sent", "in_a"))
	b.add(waitingJob("github", "a3", "issues.opened", "in_a")) // another source's object of that name
	b.add(waitingJob("stripe", "none1", "balance.available", ""))
	b.add(waitingJob("stripe", "none2", "balance.available", ""))
	require.Equal(t, [][]string{{"a1", "a2"}, {"a3"}, {"b1"}, {"none1"}, {"none2"}}, taken(b))
	require.Zero(t, b.waiting())
}

// The newest of a group stands for all, by its payload too where there is no API to
// ask: an old event that is replayed must not stand for a new one, nor the new one,
// whose fetch may be of before the replay, for the old one.
func TestTheEventsOfAReplayShareAmongThemselves(t *testing.T) {
	b := newBacklog(100)
	replayed := func(id, batch string) job {
		j := waitingJob("stripe", id, "invoice.updated", "in_a")
		j.ev.Replay, j.ev.ReplayedAt = batch, time.Unix(5, 0)
		return j
	}
	b.add(waitingJob("stripe", "new1", "invoice.updated", "in_a"))
	b.add(replayed("old1", "again"))
	b.add(replayed("old2", "once-more"))
	b.add(replayed("old3", "again"))
	b.add(waitingJob("stripe", "new2", "invoice.updated", "in_a"))
	require.Equal(t, [][]string{{"new1", "new2"}, {"old1", "old3"}, {"old2"}}, taken(b))
}

func TestARouteOfItsOwnDoesNotShareARun(t *testing.T) {
	b := newBacklog(100)
	b.add(waitingJob("stripe", "1", "invoice.updated", "in_a"))
	b.add(waitingJob("stripe", "2", "invoice.paid", "in_a"))
	b.add(waitingJob("stripe", "3", "invoice.paid", "in_a"))
	b.add(job{ev: waitingJob("stripe", "4", "invoice.updated", "in_a").ev, kind: checkJob})
	b.add(waitingJob("stripe", "5", "invoice.updated", "in_a"))
	require.Equal(t, [][]string{{"1", "5"}, {"2"}, {"3"}, {"4"}}, taken(b))
}

func TestABurstOfOneSourceDoesNotHoldUpAnother(t *testing.T) {
	b := newBacklog(2000)
	for n := range 1000 {
		b.add(waitingJob("loud", fmt.Sprint(n), "invoice.updated", fmt.Sprint("in_", n)))
	}
	b.add(waitingJob("quiet", "q1", "invoice.updated", "in_1"))
	b.add(waitingJob("quiet", "q2", "invoice.updated", "in_2"))
	require.Equal(t, []string{"0"}, []string{b.take(queueSize)[0].ev.ID})
	require.Equal(t, "q1", b.take(queueSize)[0].ev.ID)
	require.Equal(t, "1", b.take(queueSize)[0].ev.ID)
	require.Equal(t, "q2", b.take(queueSize)[0].ev.ID)
}

func TestABurstOfOneSourceLeavesRoomForAnother(t *testing.T) {
	b := newBacklog(1000)
	added := 0
	for n := range 2000 {
		if b.add(waitingJob("loud", fmt.Sprint(n), "invoice.updated", fmt.Sprint("in_", n))) {
			added++
		}
	}
	require.Equal(t, 900, added)
	for n := range 10 {
		require.True(t, b.add(waitingJob("quiet", fmt.Sprint(n), "invoice.updated", fmt.Sprint("in_", n))))
	}
	require.False(t, b.add(waitingJob("quiet", "eleventh", "invoice.updated", "in_11")), "its share")
	for n := range 200 {
		b.add(waitingJob(fmt.Sprint("source", n), "1", "invoice.updated", "in_1"))
	}
	require.Equal(t, 1000, b.waiting(), "the memory is bounded, however many sources there are")
}

func TestAnEventIsHeldOnceUntilItIsDone(t *testing.T) {
	b := newBacklog(1)
	j := waitingJob("stripe", "1", "invoice.updated", "in_a")
	require.True(t, b.add(j))
	require.True(t, b.add(j), "it is there")
	require.False(t, b.add(waitingJob("stripe", "2", "invoice.updated", "in_b")), "full")
	require.Equal(t, [][]string{{"1"}}, taken(b))
	require.True(t, b.add(j), "under way")
	require.Nil(t, b.take(queueSize))
	b.done(j)
	require.True(t, b.add(j))
	require.Equal(t, [][]string{{"1"}}, taken(b))
}

func TestAGroupThatWasTakenIsNotJoinedAnyMore(t *testing.T) {
	b := newBacklog(10)
	b.add(waitingJob("stripe", "1", "invoice.updated", "in_a"))
	require.Len(t, b.take(queueSize), 1)
	b.add(waitingJob("stripe", "2", "invoice.updated", "in_a"))
	require.Equal(t, [][]string{{"2"}}, taken(b), "a later event is not shown by a fetch that may have begun")
}

func TestALargeGroupIsFollowedByAnother(t *testing.T) {
	b := newBacklog(2 * groupLimit)
	for n := range groupLimit + 2 {
		b.add(waitingJob("stripe", fmt.Sprint(n), "invoice.updated", "in_a"))
	}
	require.Len(t, b.take(queueSize), groupLimit)
	b.add(waitingJob("stripe", "late", "invoice.updated", "in_a"))
	require.Len(t, b.take(queueSize), 3)
	require.Zero(t, b.waiting())
}

// leaving is an inbox with one due event that notes what is left to others.
type leaving struct {
	Inbox
	due    []providers.Due
	covers []providers.Cover
}

func (l *leaving) ClaimDue(context.Context, int, time.Duration) ([]providers.Due, error) {
	return l.due, nil
}

func (l *leaving) Coalesce(_ context.Context, covers []providers.Cover) error {
	l.covers = append(l.covers, covers...)
	return nil
}

func TestOnlyWhatMayHaveBeenACoverIsHandedOn(t *testing.T) {
	swept := waitingJob("stripe", "swept", "invoice.updated", "in_a")
	inbox := &leaving{due: []providers.Due{{EventRef: swept.ev}}}
	r := &Relay{Inbox: inbox, Logger: slog.New(slog.DiscardHandler)}
	r.Offer([]providers.Accepted{{EventRef: waitingJob("stripe", "new", "invoice.updated", "in_a").ev}})
	r.sweepOnce(t.Context())
	failed := waitingJob("stripe", "failed", "invoice.updated", "in_a")
	r.again(failed)
	newest := waitingJob("stripe", "newest", "invoice.updated", "in_a")
	require.True(t, r.coalesce(t.Context(), r.backlog.take(queueSize), newest))
	require.Equal(t, []providers.Cover{{
		Source: "stripe", ID: "newest", Older: []string{"new", "swept", "failed"}, HandOn: []string{"swept", "failed"},
	}}, inbox.covers)
}
