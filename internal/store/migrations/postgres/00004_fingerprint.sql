-- +goose Up

-- What the platform signed of an event whose ID it does not sign: a captured
-- request that is sent again under another ID is found by it. NULL elsewhere.
ALTER TABLE events ADD COLUMN fingerprint text COLLATE "C";
CREATE UNIQUE INDEX events_fingerprint ON events (fingerprint, source) WHERE fingerprint IS NOT NULL;
