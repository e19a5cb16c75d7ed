-- +goose Up

-- By default Postgres looks at a table again when a tenth of it has changed. A look
-- amid a backlog would then be believed for as long after it: that a lot is pending,
-- so that the newest pending events are soon met by reading all events backwards. A
-- list of the pending ones reads the whole inbox so, when none is.
ALTER TABLE events SET (autovacuum_analyze_scale_factor = 0.01);
