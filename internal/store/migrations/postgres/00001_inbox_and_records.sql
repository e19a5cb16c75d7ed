-- +goose Up

-- The inbox. Keys are COLLATE "C": compared as bytes, so that an upgrade of the
-- operating system's collations can never corrupt the index that dedupes.
CREATE TABLE events (
    seq               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source            text COLLATE "C" NOT NULL,
    event_id          text COLLATE "C" NOT NULL,
    type              text COLLATE "C" NOT NULL,
    status            text COLLATE "C" NOT NULL
                      CHECK (status IN ('pending', 'processed', 'ignored', 'review', 'failed')),
    reason            text NOT NULL DEFAULT '',
    object_type       text COLLATE "C" NOT NULL DEFAULT '',
    object_id         text COLLATE "C" NOT NULL DEFAULT '',
    account           text NOT NULL DEFAULT '',
    mode              text NOT NULL DEFAULT '',
    api_version       text NOT NULL DEFAULT '',
    occurred_at       timestamptz,
    received_at       timestamptz NOT NULL,
    started_at        timestamptz,
    finished_at       timestamptz,
    workflow_id       text NOT NULL DEFAULT '',
    run_id            text NOT NULL DEFAULT '',
    deliveries        bigint NOT NULL DEFAULT 1,
    last_delivered_at timestamptz,
    changed           boolean NOT NULL DEFAULT false,
    covered_by        text NOT NULL DEFAULT '',
    due_at            timestamptz,
    resolved_by       text NOT NULL DEFAULT '',
    resolved_at       timestamptz,
    -- json, not jsonb: see records.state.
    header            json NOT NULL,
    body              bytea NOT NULL,
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
    source         text COLLATE "C" NOT NULL,
    object_type    text COLLATE "C" NOT NULL,
    object_id      text COLLATE "C" NOT NULL,
    account        text NOT NULL DEFAULT '',
    -- json keeps the platform's exact bytes. jsonb would reorder keys, round
    -- numbers, drop repeated keys, and refuse an object that holds \u0000.
    state          json,
    origin         text NOT NULL DEFAULT '',
    etag           text NOT NULL DEFAULT '',
    updated_at     timestamptz,
    deleted        boolean NOT NULL DEFAULT false,
    deleted_at     timestamptz,
    claim          bigint NOT NULL DEFAULT 0,
    saved_claim    bigint NOT NULL DEFAULT 0,
    as_of          timestamptz,
    saved_at       timestamptz,
    saved_event_id text NOT NULL DEFAULT '',
    changed_at     timestamptz,
    changes        bigint NOT NULL DEFAULT 0,
    event_id       text NOT NULL DEFAULT '',
    PRIMARY KEY (source, object_type, object_id)
);

CREATE INDEX records_changed ON records (changed_at);
CREATE INDEX records_source_changed ON records (source, changed_at);
CREATE INDEX records_type_changed ON records (source, object_type, changed_at);

CREATE TABLE rejections (
    minute      timestamptz NOT NULL,
    source      text COLLATE "C" NOT NULL,
    reason      text COLLATE "C" NOT NULL,
    count       bigint NOT NULL,
    remote_addr text NOT NULL DEFAULT '',
    method      text NOT NULL DEFAULT '',
    path        text NOT NULL DEFAULT '',
    detail      text NOT NULL DEFAULT '',
    excerpt     text NOT NULL DEFAULT '',
    PRIMARY KEY (minute, source, reason)
);
CREATE INDEX rejections_source ON rejections (source, minute);
