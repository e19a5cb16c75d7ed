-- +goose Up

-- The runs over the platforms' lists: what each was to look at, how far it is,
-- and what it has found. A run is complete when its last page has been saved.
CREATE TABLE reconciliations (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    source           TEXT NOT NULL,
    list             TEXT NOT NULL,
    backfill         INTEGER NOT NULL DEFAULT 0,
    since            INTEGER,
    until            INTEGER NOT NULL,
    cursor           TEXT NOT NULL DEFAULT '',
    -- Where the run began in a feed of changes, and where it came to. They are two
    -- columns because a run that is taken over half-way needs the first, and the
    -- next one the second.
    mark             TEXT NOT NULL DEFAULT '',
    next_mark        TEXT NOT NULL DEFAULT '',
    pages            INTEGER NOT NULL DEFAULT 0,
    objects          INTEGER NOT NULL DEFAULT 0,
    missed           INTEGER NOT NULL DEFAULT 0,
    repaired         INTEGER NOT NULL DEFAULT 0,
    failed           INTEGER NOT NULL DEFAULT 0,
    calls            INTEGER NOT NULL DEFAULT 0,
    -- It has left something out that the next one is to look at again, so that it
    -- will not be complete, whoever reads its last page.
    incomplete       INTEGER NOT NULL DEFAULT 0,
    complete         INTEGER NOT NULL DEFAULT 0,
    error            TEXT NOT NULL DEFAULT '',
    workflow_id      TEXT NOT NULL,
    run_id           TEXT NOT NULL,
    requested_by     TEXT NOT NULL DEFAULT '',
    requested_reason TEXT NOT NULL DEFAULT '',
    started_at       INTEGER NOT NULL,
    finished_at      INTEGER
);

-- Of the runs that follow the schedule of a list only one is under way, and of
-- those that a workflow was asked for only one is its own.
CREATE UNIQUE INDEX reconciliations_open ON reconciliations (source, list) WHERE finished_at IS NULL AND NOT backfill;
CREATE UNIQUE INDEX reconciliations_backfill ON reconciliations (workflow_id, run_id) WHERE backfill;
CREATE INDEX reconciliations_run ON reconciliations (workflow_id, run_id);
CREATE INDEX reconciliations_list ON reconciliations (source, list, id);

-- When a list last showed the record to be as it is. It is in no index, so that
-- to note it is an update within the row's own page.
ALTER TABLE records ADD COLUMN seen_at INTEGER;
