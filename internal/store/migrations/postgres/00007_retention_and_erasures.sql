-- +goose Up

-- When the body and the headers of a finished event were removed; NULL while
-- they are there. No index: the retention walks along seq instead, and an event
-- that comes in must not be written to one more.
ALTER TABLE events ADD COLUMN body_removed_at timestamptz;

-- How far the retention has come. It passes each event once, in the order of
-- seq, when that is old enough.
CREATE TABLE retention (
    what   text COLLATE "C" PRIMARY KEY,
    passed bigint NOT NULL -- the seq of the last event that it has looked at
);
INSERT INTO retention (what, passed) VALUES ('bodies', 0);

-- The events that it passed while they still needed their bodies. Only these are
-- looked at again.
CREATE TABLE retention_left (
    seq bigint PRIMARY KEY
);

-- Who had data erased, and why. Whose data it was is not kept but as a hash.
CREATE TABLE erasures (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    begun_at    timestamptz NOT NULL,
    finished_at timestamptz,
    asked_by    text NOT NULL,
    reason      text NOT NULL,
    kind        text COLLATE "C" NOT NULL CHECK (kind IN ('object', 'text')),
    source      text COLLATE "C" NOT NULL DEFAULT '',
    search_hash text COLLATE "C" NOT NULL,
    events      bigint NOT NULL DEFAULT 0,
    records     bigint NOT NULL DEFAULT 0,
    rejections  bigint NOT NULL DEFAULT 0,
    unfinished  bigint NOT NULL DEFAULT 0
);
