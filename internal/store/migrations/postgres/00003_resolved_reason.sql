-- +goose Up

-- Why the operator decided so, beside what went wrong (reason).
ALTER TABLE events ADD COLUMN resolved_reason text NOT NULL DEFAULT '';
