-- +goose Up

-- The runs over the platforms' lists: what each was to look at, how far it is,
-- and what it has found. A run is complete when its last page has been saved.
CREATE TABLE reconciliations (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source           text COLLATE "C" NOT NULL,
    list             text COLLATE "C" NOT NULL,
    backfill         boolean NOT NULL DEFAULT false,
    since            timestamptz,
    until            timestamptz NOT NULL,
    cursor           text NOT NULL DEFAULT '',
    -- Where the run began in a feed of changes, and where it came to. They are two
    -- columns because a run that is taken over half-way needs the first, and the
    -- next one the second.
    mark             text NOT NULL DEFAULT '',
    next_mark        text NOT NULL DEFAULT '',
    pages            bigint NOT NULL DEFAULT 0,
    objects          bigint NOT NULL DEFAULT 0,
    missed           bigint NOT NULL DEFAULT 0,
    repaired         bigint NOT NULL DEFAULT 0,
    failed           bigint NOT NULL DEFAULT 0,
    calls            bigint NOT NULL DEFAULT 0,
    -- It has left something out that the next one is to look at again, so that it
    -- will not be complete, whoever reads its last page.
    incomplete       boolean NOT NULL DEFAULT false,
    complete         boolean NOT NULL DEFAULT false,
    error            text NOT NULL DEFAULT '',
    workflow_id      text COLLATE "C" NOT NULL,
    run_id           text COLLATE "C" NOT NULL,
    requested_by     text NOT NULL DEFAULT '',
    requested_reason text NOT NULL DEFAULT '',
    started_at       timestamptz NOT NULL,
    finished_at      timestamptz
);

-- Of the runs that follow the schedule of a list only one is under way, and of
-- those that a workflow was asked for only one is its own.
CREATE UNIQUE INDEX reconciliations_open ON reconciliations (source, list) WHERE finished_at IS NULL AND NOT backfill;
CREATE UNIQUE INDEX reconciliations_backfill ON reconciliations (workflow_id, run_id) WHERE backfill;
CREATE INDEX reconciliations_run ON reconciliations (workflow_id, run_id);
CREATE INDEX reconciliations_list ON reconciliations (source, list, id);

-- When a list last showed the record to be as it is. It is in no index, so that
-- to note it is an update within the row's own page.
ALTER TABLE records ADD COLUMN seen_at timestamptz;
