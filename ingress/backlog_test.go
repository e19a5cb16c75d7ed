package ingress

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

func waitingJob(source, id, typ, object string) job {
	ev := providers.EventRef{Source: source, ID: id, Type: typ, ReceivedAt: time.Unix(1, 0)}
	if object != "" {
		ev.Ref = providers.Ref{Type: "invoice", ID: object}
	}
	return job{ev: ev}
}

// allGroups lists the IDs of each group that the backlog gives, in its order.
func allGroups(b *backlog) (groups [][]string) {
	for t := b.take(queueSize); t.groups != nil; t = b.take(queueSize) {
		groups = append(groups, idsOf(t)...)
	}
	return groups
}

// idsOf are the IDs of each group that was taken.
func idsOf(t taken) (groups [][]string) {
	for _, g := range t.groups {
		var ids []string
		for _, j := range g {
			ids = append(ids, j.ev.ID)
		}
		groups = append(groups, ids)
	}
	return groups
}

func TestEventsAboutOneObjectThatWaitTogetherShareAGroup(t *testing.T) {
	b := newBacklog(100, nil)
	b.add(waitingJob("stripe", "a1", "invoice.updated", "in_a"))
	b.add(waitingJob("stripe", "b1", "invoice.updated", "in_b"))
	b.add(waitingJob("stripe", "a2", "invoice.sent", "in_a"))
	b.add(waitingJob("github", "a3", "issues.opened", "in_a")) // another source's object of that name
	b.add(waitingJob("stripe", "none1", "balance.available", ""))
	b.add(waitingJob("stripe", "none2", "balance.available", ""))
	require.Equal(t, [][]string{{"a1", "a2"}, {"a3"}, {"b1"}, {"none1"}, {"none2"}}, allGroups(b))
	require.Zero(t, b.waiting())
}

// The newest of a group stands for all, by its payload too where there is no API to
// ask: an old event that is replayed must not stand for a new one, nor the new one,
// whose fetch may be of before the replay, for the old one.
func TestTheEventsOfAReplayShareAmongThemselves(t *testing.T) {
	b := newBacklog(100, nil)
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
	require.Equal(t, [][]string{{"new1", "new2"}, {"old1", "old3"}, {"old2"}}, allGroups(b))
}

func TestARouteOfItsOwnDoesNotShareARun(t *testing.T) {
	b := newBacklog(100, nil)
	b.add(waitingJob("stripe", "1", "invoice.updated", "in_a"))
	b.add(waitingJob("stripe", "2", "invoice.paid", "in_a"))
	b.add(waitingJob("stripe", "3", "invoice.paid", "in_a"))
	b.add(job{ev: waitingJob("stripe", "4", "invoice.updated", "in_a").ev, kind: checkJob})
	b.add(waitingJob("stripe", "5", "invoice.updated", "in_a"))
	require.Equal(t, [][]string{{"1", "5"}, {"2"}, {"3"}, {"4"}}, allGroups(b))
}

// The newest event stands for all, with its own route's workflow.
func TestEventsOfDifferentRoutesDoNotShareARun(t *testing.T) {
	before := workflows.Routes
	t.Cleanup(func() { workflows.Routes = before })
	workflows.Routes = append([]workflows.Route{{Source: "stripe", Type: "refund.*", Workflow: workflows.StripeInvoicePaid, Coalesce: true}}, before...)
	b := newBacklog(100, nil)
	b.add(waitingJob("stripe", "1", "invoice.updated", "in_a"))
	b.add(waitingJob("stripe", "2", "refund.created", "in_a"))
	b.add(waitingJob("stripe", "3", "invoice.updated", "in_a"))
	b.add(waitingJob("stripe", "4", "refund.updated", "in_a"))
	require.Equal(t, [][]string{{"1", "3"}, {"2", "4"}}, allGroups(b))
}

func TestABurstOfOneSourceDoesNotHoldUpAnother(t *testing.T) {
	b := newBacklog(2000, nil)
	for n := range 1000 {
		b.add(waitingJob("loud", fmt.Sprint(n), "invoice.updated", fmt.Sprint("in_", n)))
	}
	b.add(waitingJob("quiet", "q1", "invoice.updated", "in_1"))
	b.add(waitingJob("quiet", "q2", "invoice.updated", "in_2"))
	require.Equal(t, [][]string{{"0"}}, idsOf(b.take(queueSize)))
	require.Equal(t, [][]string{{"q1"}}, idsOf(b.take(queueSize)))
	require.Equal(t, [][]string{{"1"}}, idsOf(b.take(queueSize)))
	require.Equal(t, [][]string{{"q2"}}, idsOf(b.take(queueSize)))
}

func TestABurstOfOneSourceLeavesRoomForAnother(t *testing.T) {
	b := newBacklog(1000, nil)
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
	b := newBacklog(1, nil)
	j := waitingJob("stripe", "1", "invoice.updated", "in_a")
	require.True(t, b.add(j))
	require.True(t, b.add(j), "it is there")
	require.False(t, b.add(waitingJob("stripe", "2", "invoice.updated", "in_b")), "full")
	first := b.take(queueSize)
	require.Equal(t, [][]string{{"1"}}, idsOf(first))
	require.True(t, b.add(j), "under way")
	require.Empty(t, allGroups(b))
	b.done(first)
	require.True(t, b.add(j))
	require.Equal(t, [][]string{{"1"}}, allGroups(b))
}

func TestARetryIsNotDoneByAStartThatIsUnderWay(t *testing.T) {
	b := newBacklog(10, nil)
	j := waitingJob("stripe", "1", "invoice.updated", "in_a")
	b.add(j)
	start := b.take(queueSize)
	retry := j
	retry.kind = retryJob
	b.add(retry)
	b.add(retry)
	require.Equal(t, [][]string{{"1"}}, allGroups(b), "once")
	b.done(start)
}

func TestAJointRunHasNoMoreEventsThanAGroup(t *testing.T) {
	b := newBacklog(10_000, map[string]int{"loud": 16})
	for object := range 4 {
		for n := range groupLimit - 500 {
			b.add(waitingJob("loud", fmt.Sprint(object, "/", n), "invoice.updated", fmt.Sprint("in_", object)))
		}
	}
	require.Len(t, b.take(queueSize).groups, 2)
}

func TestAGroupThatWasTakenIsNotJoinedAnyMore(t *testing.T) {
	b := newBacklog(10, nil)
	b.add(waitingJob("stripe", "1", "invoice.updated", "in_a"))
	require.Equal(t, [][]string{{"1"}}, idsOf(b.take(queueSize)))
	b.add(waitingJob("stripe", "2", "invoice.updated", "in_a"))
	require.Equal(t, [][]string{{"2"}}, allGroups(b), "a later event is not shown by a fetch that may have begun")
}

func TestALargeGroupIsFollowedByAnother(t *testing.T) {
	b := newBacklog(2*groupLimit, nil)
	for n := range groupLimit + 2 {
		b.add(waitingJob("stripe", fmt.Sprint(n), "invoice.updated", "in_a"))
	}
	require.Len(t, b.take(queueSize).groups[0], groupLimit)
	b.add(waitingJob("stripe", "late", "invoice.updated", "in_a"))
	require.Len(t, b.take(queueSize).groups[0], 3)
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
	newest.ev.ReceivedAt = newest.ev.ReceivedAt.Add(time.Second)
	r.Offer([]providers.Accepted{{EventRef: newest.ev}})
	_, err := r.coalesce(t.Context(), r.backlog.take(queueSize).groups)
	require.NoError(t, err)
	require.Equal(t, []providers.Cover{{
		Source: "stripe", ID: "newest", Older: []string{"failed", "new", "swept"}, HandOn: []string{"failed", "swept"},
	}}, inbox.covers)
}

// crowdedBacklog is a backlog with so many events of a source, each about its own object.
func crowdedBacklog(n int, objectsPerRun map[string]int) *backlog {
	b := newBacklog(10_000, objectsPerRun)
	for i := range n {
		b.add(waitingJob("loud", fmt.Sprint(i), "invoice.updated", fmt.Sprint("in_", i)))
	}
	return b
}

func TestManyEventsOfASourceAreTakenTogether(t *testing.T) {
	b := crowdedBacklog(few+10, map[string]int{"loud": 8})
	b.add(waitingJob("loud", "0 again", "invoice.updated", "in_0"))
	require.Equal(t, [][]string{{"0", "0 again"}, {"1"}, {"2"}, {"3"}, {"4"}, {"5"}, {"6"}, {"7"}}, idsOf(b.take(queueSize)),
		"groups of as many objects")
	require.Len(t, b.take(queueSize).groups, 8)
	require.Equal(t, [][]string{{"16"}}, idsOf(b.take(queueSize)), "few that wait have a run each")
}

func TestASourceHasNoJointRunsUnlessItIsSaidSo(t *testing.T) {
	for name, joint := range map[string]map[string]int{"another may": {"quiet": 8}, "one event in a run": {"loud": 1}, "none": {"loud": 0}} {
		t.Run(name, func(t *testing.T) {
			b := crowdedBacklog(few+50, joint)
			for i := range 50 {
				require.Equal(t, [][]string{{fmt.Sprint(i)}}, idsOf(b.take(queueSize)))
			}
		})
	}
}

func TestWhatNeedsARunOfItsOwnIsInNoJointRun(t *testing.T) {
	b := newBacklog(10_000, map[string]int{"stripe": 8})
	failed := waitingJob("stripe", "failed", "invoice.updated", "in_2")
	failed.failed = 1
	b.add(waitingJob("stripe", "1", "invoice.updated", "in_1"))
	b.add(failed)
	b.add(waitingJob("stripe", "own route", "invoice.paid", "in_3"))
	b.add(waitingJob("stripe", "no object", "balance.available", ""))
	b.add(job{ev: waitingJob("stripe", "check", "invoice.updated", "in_4").ev, kind: checkJob})
	b.add(waitingJob("stripe", "5", "invoice.updated", "in_5"))
	b.add(waitingJob("stripe", "6", "invoice.updated", "in_6"))
	b.add(waitingJob("stripe", "again own route", "invoice.paid", "in_7"))
	for i := range few {
		b.add(waitingJob("stripe", fmt.Sprint("more", i), "invoice.paid", "in_8"))
	}
	require.Equal(t, [][]string{{"1"}, {"5"}, {"6"}}, idsOf(b.take(queueSize)))
	for _, alone := range []string{"failed", "own route", "no object", "check", "again own route"} {
		require.Equal(t, [][]string{{alone}}, idsOf(b.take(queueSize)))
	}
}

func TestJointRunsLeaveStartersToOtherSources(t *testing.T) {
	b := crowdedBacklog(1000, map[string]int{"loud": 4})
	var joint []taken
	for range jointStarters {
		joint = append(joint, b.take(queueSize))
		require.Len(t, joint[0].groups, 4)
	}
	require.False(t, b.has(queueSize))
	require.Empty(t, b.take(queueSize).groups)
	b.add(waitingJob("quiet", "q", "invoice.updated", "in_1"))
	require.Equal(t, [][]string{{"q"}}, idsOf(b.take(queueSize)))
	b.done(joint[0])
	require.True(t, b.has(queueSize))
	require.Len(t, b.take(queueSize).groups, 4)
}

func TestACrowdThatCannotJoinHasAllStarters(t *testing.T) {
	b := newBacklog(10_000, map[string]int{"stripe": 8})
	for i := range 1000 {
		b.add(waitingJob("stripe", fmt.Sprint(i), "invoice.paid", fmt.Sprint("in_", i)))
	}
	for range starters {
		require.Len(t, b.take(queueSize).groups, 1)
	}
	require.True(t, b.has(queueSize))
}
