-- +goose Up

-- The tables of migrations/postgres; there stands what each is for. Times are
-- whole microseconds since 1970 in UTC, so that they order and compare exactly.
CREATE TABLE events (
    seq               INTEGER PRIMARY KEY AUTOINCREMENT,
    source            TEXT NOT NULL,
    event_id          TEXT NOT NULL,
    type              TEXT NOT NULL,
    status            TEXT NOT NULL
                      CHECK (status IN ('pending', 'processed', 'ignored', 'review', 'failed')),
    reason            TEXT NOT NULL DEFAULT '',
    object_type       TEXT NOT NULL DEFAULT '',
    object_id         TEXT NOT NULL DEFAULT '',
    account           TEXT NOT NULL DEFAULT '',
    mode              TEXT NOT NULL DEFAULT '',
    api_version       TEXT NOT NULL DEFAULT '',
    occurred_at       INTEGER,
    received_at       INTEGER NOT NULL,
    started_at        INTEGER,
    finished_at       INTEGER,
    workflow_id       TEXT NOT NULL DEFAULT '',
    run_id            TEXT NOT NULL DEFAULT '',
    deliveries        INTEGER NOT NULL DEFAULT 1,
    last_delivered_at INTEGER,
    changed           INTEGER NOT NULL DEFAULT 0,
    covered_by        TEXT NOT NULL DEFAULT '',
    due_at            INTEGER,
    resolved_by       TEXT NOT NULL DEFAULT '',
    resolved_at       INTEGER,
    header            TEXT NOT NULL,
    body              BLOB NOT NULL,
    -- The id first, so that the same index finds an event whose source is not known.
    CONSTRAINT events_event_id_source_key UNIQUE (event_id, source)
);

CREATE INDEX events_due ON events (due_at, seq) WHERE status = 'pending';
CREATE INDEX events_covered ON events (covered_by, source) WHERE status = 'pending' AND covered_by <> '';
CREATE INDEX events_object ON events (object_id, object_type, seq) WHERE object_id <> '';
CREATE INDEX events_source ON events (source, seq);
CREATE INDEX events_status ON events (status, seq);
CREATE INDEX events_type ON events (type, seq);

CREATE TABLE records (
    source         TEXT NOT NULL,
    object_type    TEXT NOT NULL,
    object_id      TEXT NOT NULL,
    account        TEXT NOT NULL DEFAULT '',
    state          TEXT,
    origin         TEXT NOT NULL DEFAULT '',
    etag           TEXT NOT NULL DEFAULT '',
    updated_at     INTEGER,
    deleted        INTEGER NOT NULL DEFAULT 0,
    deleted_at     INTEGER,
    claim          INTEGER NOT NULL DEFAULT 0,
    saved_claim    INTEGER NOT NULL DEFAULT 0,
    as_of          INTEGER,
    saved_at       INTEGER,
    saved_event_id TEXT NOT NULL DEFAULT '',
    changed_at     INTEGER,
    changes        INTEGER NOT NULL DEFAULT 0,
    event_id       TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (source, object_type, object_id)
);

CREATE INDEX records_changed ON records (changed_at);
CREATE INDEX records_source_changed ON records (source, changed_at);
CREATE INDEX records_type_changed ON records (source, object_type, changed_at);

CREATE TABLE rejections (
    minute      INTEGER NOT NULL,
    source      TEXT NOT NULL,
    reason      TEXT NOT NULL,
    count       INTEGER NOT NULL,
    remote_addr TEXT NOT NULL DEFAULT '',
    method      TEXT NOT NULL DEFAULT '',
    path        TEXT NOT NULL DEFAULT '',
    detail      TEXT NOT NULL DEFAULT '',
    excerpt     TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (minute, source, reason)
);
CREATE INDEX rejections_source ON rejections (source, minute);
