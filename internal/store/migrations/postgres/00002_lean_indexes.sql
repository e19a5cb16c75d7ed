-- +goose Up

-- An event that comes in is written to as few indexes as possible: a sender
-- waits for it. Those that only lists need hold what is no longer pending; of
-- what is, there is little, and events_due finds it. Processed events are
-- nearly all, so that none of them needs an index to be found by its status.
--
-- Pending events, and only they, are due at some time. Were events_due on "status =
-- 'pending'", Postgres without statistics would take it for as good an index as
-- events_covered or that of the names, and read all pending events of a source.
DROP INDEX events_due, events_object, events_source, events_status, events_type;
CREATE INDEX events_due ON events (source, due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX events_object ON events (object_id, object_type, seq) WHERE status <> 'pending' AND object_id <> '';
CREATE INDEX events_source ON events (source, seq) WHERE status <> 'pending';
CREATE INDEX events_status ON events (status, seq) WHERE status IN ('ignored', 'review', 'failed');
CREATE INDEX events_type ON events (type, seq) WHERE status <> 'pending';

-- Likewise, for the lists of records only: a save that finds its record by its
-- name must not read all records of a type.
DROP INDEX records_changed, records_source_changed, records_type_changed;
CREATE INDEX records_changed ON records (changed_at) WHERE saved_at IS NOT NULL;
CREATE INDEX records_source_changed ON records (source, changed_at) WHERE saved_at IS NOT NULL;
CREATE INDEX records_type_changed ON records (source, object_type, changed_at) WHERE saved_at IS NOT NULL;
