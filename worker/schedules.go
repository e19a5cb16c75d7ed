package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/robfig/cron/v3"
	commonpb "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/surehook/surehook/workflows"
)

// The names below are stored with every schedule, so they are for ever.
const (
	// ownerMemo in a schedule's memo, with the value owner, says that it is ours to
	// remove.
	ownerMemo = "managed-by"
	owner     = "surehook"
	// fingerprintMemo in the memo of a schedule's runs tells what the schedule was
	// made from. The schedule itself cannot be compared: Temporal turns the cron text
	// into calendars, and a schedule's own memo cannot be changed any more.
	fingerprintMemo = "schedule-fingerprint"
)

const maxJitter = time.Minute

// ensureSchedules makes Temporal's schedules those that are wanted, and keeps
// trying while Temporal does not answer. The workers run meanwhile.
func (w *Worker) ensureSchedules(ctx context.Context) {
	ensure := func() (struct{}, error) { return struct{}{}, w.trySchedules(ctx) }
	_, err := backoff.Retry(ctx, ensure, backoff.WithBackOff(schedulesBackOff()), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, wait time.Duration) {
			w.Logger.Warn("schedules cannot be written yet", "error", err, "retry_in", wait)
		}))
	if err == nil {
		w.Logger.Info("schedules written", "schedules", len(w.Schedules))
	}
}

// schedulesBackOff becomes slower than that of the start: what Temporal refuses
// may be refused until the next release.
func schedulesBackOff() *backoff.ExponentialBackOff {
	b := startBackOff()
	b.MaxInterval = time.Minute
	return b
}

// trySchedules writes all that can be written, whatever is wrong with one.
func (w *Worker) trySchedules(ctx context.Context) error {
	var errs []error
	for _, s := range w.Schedules {
		if err := ensureSchedule(ctx, w.Client.ScheduleClient(), s); err != nil {
			errs = append(errs, fmt.Errorf("schedule %s: %w", s.ID, err))
		}
	}
	return errors.Join(append(errs, w.removeOthers(ctx))...)
}

// ensureSchedule creates the schedule, or changes the one that is there when it
// was made from something else. Whether it is paused, and the note about that, are
// the operator's.
func ensureSchedule(ctx context.Context, schedules client.ScheduleClient, s workflows.Scheduled) error {
	want, err := scheduleOptions(s)
	if err != nil {
		return err
	}
	_, err = schedules.Create(ctx, want)
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return err
	}
	return schedules.GetHandle(ctx, s.ID).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(has client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			schedule := has.Description.Schedule
			if sameFingerprint(schedule.Action, want.Action) {
				return nil, temporal.ErrSkipScheduleUpdate
			}
			schedule.Spec = &want.Spec
			schedule.Action = want.Action
			schedule.Policy = &client.SchedulePolicies{Overlap: want.Overlap, CatchupWindow: want.CatchupWindow}
			return &client.ScheduleUpdate{Schedule: &schedule}, nil
		},
	})
}

func scheduleOptions(s workflows.Scheduled) (client.ScheduleOptions, error) {
	shortest, longest, err := intervals(s.Cron)
	if err != nil {
		return client.ScheduleOptions{}, err
	}
	action := &client.ScheduleWorkflowAction{
		ID:                    s.ID,
		Workflow:              s.Workflow,
		Args:                  []any{s.Input},
		TaskQueue:             workflows.TaskQueue,
		TypedSearchAttributes: s.SearchAttributes,
		StaticSummary:         s.Summary,
	}
	o := client.ScheduleOptions{
		ID: s.ID,
		Spec: client.ScheduleSpec{
			CronExpressions: []string{s.Cron},
			// Sources that share a cron text would else all begin in the same second.
			Jitter: min(shortest/10, maxJitter),
		},
		Action: action,
		// A run that takes longer than the interval goes on; the next one looks at
		// what it did not.
		Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP,
		// One run makes up for all that an outage of Temporal's prevented. By default
		// it would make up for a year.
		CatchupWindow: max(longest, time.Minute),
		Memo:          map[string]any{ownerMemo: owner},
	}
	fingerprint, err := fingerprint(s, o)
	action.Memo = map[string]any{fingerprintMemo: fingerprint}
	return o, err
}

// intervals are the shortest and the longest time between two runs, as far as the
// next ones show it, from a fixed day on so that they come out the same each time.
func intervals(text string) (shortest, longest time.Duration, err error) {
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return 0, 0, fmt.Errorf("cron %q: %w", text, err)
	}
	const looked = 100
	at := parsed.Next(time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC))
	for range looked {
		next := parsed.Next(at)
		if next.IsZero() { // the parser looks no further than five years ahead
			break
		}
		gap := next.Sub(at)
		if shortest == 0 || gap < shortest {
			shortest = gap
		}
		longest = max(longest, gap)
		at = next
	}
	if shortest == 0 {
		return 0, 0, fmt.Errorf("cron %q: there is no such time", text)
	}
	return shortest, longest, nil
}

// fingerprint stands for everything that a schedule is made from.
func fingerprint(s workflows.Scheduled, o client.ScheduleOptions) (string, error) {
	attributes := map[string]any{}
	for key, value := range s.SearchAttributes.GetUntypedValues() {
		attributes[key.GetName()] = value
	}
	text, err := json.Marshal([]any{
		s.Cron, s.Workflow, s.Input, s.Summary, attributes, workflows.TaskQueue, o.Spec.Jitter, o.Overlap, o.CatchupWindow,
	})
	if err != nil {
		return "", fmt.Errorf("fingerprint: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// sameFingerprint compares what a schedule does with what it should do. Where the
// memo cannot be read the schedule is written again, which changes nothing.
func sameFingerprint(has, want client.ScheduleAction) bool {
	action, ok := has.(*client.ScheduleWorkflowAction)
	if !ok {
		return false
	}
	stored, ok := action.Memo[fingerprintMemo].(*commonpb.Payload)
	if !ok {
		return false
	}
	var text string
	err := converter.GetDefaultDataConverter().FromPayload(stored, &text)
	return err == nil && text == want.(*client.ScheduleWorkflowAction).Memo[fingerprintMemo]
}

// removeOthers removes the schedules that we have made and that nobody wants any
// more. Those of other people, whatever their names, are left alone.
func (w *Worker) removeOthers(ctx context.Context) error {
	schedules := w.Client.ScheduleClient()
	list, err := schedules.List(ctx, client.ScheduleListOptions{})
	if err != nil {
		return fmt.Errorf("list schedules: %w", err)
	}
	for list.HasNext() {
		entry, err := list.Next()
		if err != nil {
			return fmt.Errorf("list schedules: %w", err)
		}
		wanted := slices.ContainsFunc(w.Schedules, func(s workflows.Scheduled) bool { return s.ID == entry.ID })
		if wanted || !isOurs(entry.Memo) {
			continue
		}
		err = schedules.GetHandle(ctx, entry.ID).Delete(ctx)
		if _, gone := errors.AsType[*serviceerror.NotFound](err); err != nil && !gone {
			return fmt.Errorf("remove schedule %s: %w", entry.ID, err)
		}
		w.Logger.Info("schedule removed, it is no longer configured", "schedule", entry.ID)
	}
	return nil
}

func isOurs(memo *commonpb.Memo) bool {
	var text string
	err := converter.GetDefaultDataConverter().FromPayload(memo.GetFields()[ownerMemo], &text)
	return err == nil && text == owner
}
