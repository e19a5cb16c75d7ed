-- +goose Up

-- The tables of migrations/postgres; there stands what each is for.
ALTER TABLE events ADD COLUMN body_removed_at INTEGER;

CREATE TABLE retention (
    what   TEXT PRIMARY KEY,
    passed INTEGER NOT NULL
);
INSERT INTO retention (what, passed) VALUES ('bodies', 0);

CREATE TABLE retention_left (
    seq INTEGER PRIMARY KEY
);

CREATE TABLE erasures (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    begun_at    INTEGER NOT NULL,
    finished_at INTEGER,
    asked_by    TEXT NOT NULL,
    reason      TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('object', 'text')),
    source      TEXT NOT NULL DEFAULT '',
    search_hash TEXT NOT NULL,
    events      INTEGER NOT NULL DEFAULT 0,
    records     INTEGER NOT NULL DEFAULT 0,
    rejections  INTEGER NOT NULL DEFAULT 0,
    unfinished  INTEGER NOT NULL DEFAULT 0
);
