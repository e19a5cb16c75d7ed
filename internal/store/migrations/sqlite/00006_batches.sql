-- +goose Up

-- As in migrations/postgres.
ALTER TABLE events ADD COLUMN replay TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN replayed_at INTEGER;

CREATE TABLE batches (
    name        TEXT PRIMARY KEY,
    what        TEXT NOT NULL CHECK (what IN ('replay', 'resolve')),
    action      TEXT NOT NULL DEFAULT '',
    filter      TEXT NOT NULL,
    asked_by    TEXT NOT NULL,
    reason      TEXT NOT NULL,
    asked_at    INTEGER NOT NULL,
    at_seq      INTEGER NOT NULL,
    until_seq   INTEGER NOT NULL,
    events      INTEGER NOT NULL DEFAULT 0,
    failed      INTEGER NOT NULL DEFAULT 0,
    finished_at INTEGER
);
