-- +goose Up

-- The batch that last had the event run again, and when that was asked for.
ALTER TABLE events ADD COLUMN replay text COLLATE "C" NOT NULL DEFAULT '', ADD COLUMN replayed_at timestamptz;

-- What an operator asked for of many events at once. at_seq is how far it has come
-- through the events, in the order received, and until_seq where it ends.
CREATE TABLE batches (
    name        text COLLATE "C" PRIMARY KEY,
    what        text NOT NULL CHECK (what IN ('replay', 'resolve')),
    action      text NOT NULL DEFAULT '',
    filter      json NOT NULL,
    asked_by    text NOT NULL,
    reason      text NOT NULL,
    asked_at    timestamptz NOT NULL,
    at_seq      bigint NOT NULL,
    until_seq   bigint NOT NULL,
    events      bigint NOT NULL DEFAULT 0,
    failed      bigint NOT NULL DEFAULT 0,
    finished_at timestamptz
);
